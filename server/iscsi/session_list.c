// SPDX-License-Identifier: GPL-2.0-or-later
/* Who is logged in: see iscsi_server_sessions. */
#include "iscsi/server.h"

#include "iscsi/iscsi_loop.h"

#include <errno.h>
#include <stdlib.h>

/* Goes from loop to loop, then to whoever asked. */
struct session_list {
	struct loop_msg msg;
	struct iscsi_server *server;
	uint64_t key;
	unsigned at, last;
	struct iscsi_session_info *infos;
	size_t count, room;
	int err;
	struct loop *reply_loop;
	void (*each)(void *arg, const struct iscsi_session_info *session, int err);
	void *arg;
};

static void session_list_reply(struct loop_msg *msg)
{
	struct session_list *list = container_of(msg, struct session_list, msg);

	for (size_t i = 0; i < list->count; i++)
		list->each(list->arg, &list->infos[i], 0);
	list->each(list->arg, NULL, list->err);
	free(list->infos);
	free(list);
}

static void session_list_add(struct session_list *list, const struct session *session)
{
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 16;
		struct iscsi_session_info *infos = realloc(list->infos, room * sizeof(*infos));

		if (!infos) {
			list->err = -ENOMEM;
			return;
		}
		list->infos = infos;
		list->room = room;
	}
	session_info(session, &list->infos[list->count++]);
}

static void session_list_visit(struct loop_msg *msg)
{
	struct session_list *list = container_of(msg, struct session_list, msg);

	list_each(link, next, &list->server->loops[list->at].link.conns)
	{
		const struct session *session = session_of(list_entry(link, struct conn, link));

		if (session && session->port && (!list->key || session->port->key == list->key))
			session_list_add(list, session);
	}
	if (list->at == list->last) {
		list->msg.run = session_list_reply;
		loop_post(list->reply_loop, &list->msg);
		return;
	}
	list->at++;
	loop_post(list->server->loops[list->at].link.loop, &list->msg);
}

void iscsi_server_sessions(struct iscsi_server *server, uint64_t key, struct loop *reply_loop,
			   void (*each)(void *arg, const struct iscsi_session_info *session, int err), void *arg)
{
	struct session_list *list = calloc(1, sizeof(*list));

	if (!list)
		abort();
	list->msg.run = session_list_visit;
	list->server = server;
	list->key = key;
	list->at = key ? (unsigned)(key % server->loop_count) : 0;
	list->last = key ? list->at : server->loop_count - 1;
	list->reply_loop = reply_loop;
	list->each = each;
	list->arg = arg;
	loop_post(server->loops[list->at].link.loop, &list->msg);
}
