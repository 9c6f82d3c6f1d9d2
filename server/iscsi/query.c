// SPDX-License-Identifier: GPL-2.0-or-later
/* What other threads ask of targets: who is logged in, to close one. See server.h. */
#include "iscsi/hub.h"
#include "iscsi/session.h"
#include "iscsi/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- release ---- */

struct release {
	struct loop_msg msg;
	struct release_request request;
	struct iscsi_server *server;
	uint64_t key;
	char why[80];
	struct loop *reply_loop;
	void (*released)(void *arg);
	void *arg;
};

static void release_reply(struct loop_msg *msg)
{
	struct release *release = container_of(msg, struct release, msg);

	release->released(release->arg);
	free(release);
}

static void release_done(struct release_request *request)
{
	struct release *release = container_of(request, struct release, request);

	release->msg.run = release_reply;
	loop_post(release->reply_loop, &release->msg);
}

static void release_start(struct loop_msg *msg)
{
	struct release *release = container_of(msg, struct release, msg);
	struct target *target = target_find(hub_of(release->server, release->key), release->key);

	if (target)
		target_release(target, &release->request, release->why);
	else
		release_done(&release->request);
}

void iscsi_server_release(struct iscsi_server *server, uint64_t key, const char *why, struct loop *reply_loop,
			  void (*released)(void *arg), void *arg)
{
	struct release *release = calloc(1, sizeof(*release));

	if (!release)
		abort(); /* somebody waits for it, and there is no other way to tell him */
	release->msg.run = release_start;
	release->request.released = release_done;
	release->server = server;
	release->key = key;
	snprintf(release->why, sizeof(release->why), "%s", why);
	release->reply_loop = reply_loop;
	release->released = released;
	release->arg = arg;
	loop_post(hub_of(server, key)->loop, &release->msg);
}

/* ---- sessions ---- */

/* Goes from hub to hub, then to whoever asked. */
struct census {
	struct loop_msg msg;
	struct iscsi_server *server;
	uint64_t key;
	unsigned hub, last_hub;
	struct iscsi_session_info *infos;
	size_t count, room;
	int err;
	struct loop *reply_loop;
	void (*each)(void *arg, const struct iscsi_session_info *session, int err);
	void *arg;
};

static void census_reply(struct loop_msg *msg)
{
	struct census *census = container_of(msg, struct census, msg);

	for (size_t i = 0; i < census->count; i++)
		census->each(census->arg, &census->infos[i], 0);
	census->each(census->arg, NULL, census->err);
	free(census->infos);
	free(census);
}

static void census_add(struct census *census, const struct session *session)
{
	if (census->count == census->room) {
		size_t room = census->room ? 2 * census->room : 16;
		struct iscsi_session_info *infos = realloc(census->infos, room * sizeof(*infos));

		if (!infos) {
			census->err = -ENOMEM;
			return;
		}
		census->infos = infos;
		census->room = room;
	}
	session_info(session, &census->infos[census->count++]);
}

static void census_visit(struct loop_msg *msg)
{
	struct census *census = container_of(msg, struct census, msg);
	struct hub *hub = &census->server->hubs[census->hub];

	list_each(link, next, &hub->conns) {
		const struct session *session = list_entry(link, struct conn, link)->session;

		if (session && session->target && (!census->key || session->target->key == census->key))
			census_add(census, session);
	}
	if (census->hub == census->last_hub) {
		census->msg.run = census_reply;
		loop_post(census->reply_loop, &census->msg);
		return;
	}
	census->hub++;
	loop_post(census->server->hubs[census->hub].loop, &census->msg);
}

void iscsi_server_sessions(struct iscsi_server *server, uint64_t key, struct loop *reply_loop,
			   void (*each)(void *arg, const struct iscsi_session_info *session, int err), void *arg)
{
	struct census *census = calloc(1, sizeof(*census));

	if (!census)
		abort();
	census->msg.run = census_visit;
	census->server = server;
	census->key = key;
	census->hub = key ? (unsigned)(hub_of(server, key) - server->hubs) : 0;
	census->last_hub = key ? census->hub : server->hub_count - 1;
	census->reply_loop = reply_loop;
	census->each = each;
	census->arg = arg;
	loop_post(server->hubs[census->hub].loop, &census->msg);
}
