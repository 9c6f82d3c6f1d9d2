// SPDX-License-Identifier: GPL-2.0-or-later
/* What the server has on one loop: see iscsi_loop.h. */
#include "iscsi/iscsi_loop.h"

#include "base/log.h"

#include <string.h>

enum { ROUNDS_MAX = 16 };

static int accepted(struct conn *conn)
{
	return login_new(conn, &container_of(conn->loop, struct iscsi_loop, link)->server->logins);
}

int iscsi_loop_init(struct iscsi_loop *at, struct iscsi_server *server, struct loop *loop)
{
	int err = link_init(&at->link, loop, &server->live, accepted);

	if (err)
		return err;
	at->server = server;
	session_loop_init(&at->sessions, &at->link, server->provider, server->advertise);
	target_loop_init(&at->targets, &at->link, &at->sessions, server->provider, server->lun_in_use_ms);
	return 0;
}

void iscsi_loop_fini(struct iscsi_loop *at)
{
	target_loop_fini(&at->targets);
	session_loop_fini(&at->sessions);
	link_fini(&at->link);
}

/* ---- before the loop sleeps ---- */

static bool do_round(struct iscsi_loop *at)
{
	bool any = !list_empty(&at->link.busy) || !list_empty(&at->targets.kicked);

	conn_work_all(&at->link);
	session_finish_all(&at->sessions);
	target_advance_all(&at->targets);
	return any;
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct iscsi_loop *at = prepare->data;

	for (int i = 0; i < ROUNDS_MAX; i++) {
		if (!do_round(at))
			return;
		link_wake(&at->link);
	}
	/* Whatever is left must not wait for an event. */
	uv_timer_start(&at->link.tick, at->link.tick.timer_cb, 0, LINK_TICK_MS);
}

/* ---- the clock ---- */

static void stop_tick(struct iscsi_loop *at, uint64_t now_ms);

static void on_tick(uv_timer_t *tick)
{
	struct iscsi_loop *at = tick->data;
	uint64_t now_ms = time_monotonic_ms(), next_ms;

	link_ticked(&at->link);
	next_ms = conn_tick_all(&at->link, now_ms);
	if (target_tick_all(&at->targets, false))
		next_ms = 0;
	alive_tick(&at->targets, now_ms);
	for (unsigned i = 0; i < at->server->listener_count; i++)
		if (at->server->listeners[i].loop == &at->link)
			portal_tick(&at->server->listeners[i]);
	if (at->link.stopping)
		stop_tick(at, now_ms);
	if (!at->link.stopping && list_empty(&at->targets.checks))
		link_rest(&at->link, next_ms, now_ms);
}

void iscsi_loop_start(struct iscsi_loop *at)
{
	uv_loop_t *uv = loop_uv(at->link.loop);

	uv_prepare_init(uv, &at->prepare);
	uv_timer_init(uv, &at->link.tick);
	at->prepare.data = at->link.tick.data = at;
	uv_prepare_start(&at->prepare, on_prepare);
	loop_set_poll(at->link.loop, conn_busy_poll, &at->link);
	uv_timer_start(&at->link.tick, on_tick, LINK_TICK_MS, LINK_TICK_MS);
	at->handles = 2;
	for (unsigned i = 0; i < at->server->listener_count; i++) {
		struct listener *listener = &at->server->listeners[i];
		int err = listener->loop == &at->link ? portal_start(listener) : 0;

		if (err)
			log_error("iscsi: a portal does not accept: %s", strerror(-err));
	}
}

/* ---- stopping ---- */

static bool is_idle(const struct conn *conn, const struct session *session)
{
	return !conn->out_first && (!session || list_empty(&session->tasks));
}

/* design.md: tasks in hand finish; initiators that were asked to log out get a moment to do so. */
static void stop_tick(struct iscsi_loop *at, uint64_t now_ms)
{
	list_each(link, next, &at->link.conns)
	{
		struct conn *conn = list_entry(link, struct conn, link);
		const struct session *session = session_of(conn);

		if (now_ms >= at->stop_deadline_ms ||
		    (is_idle(conn, session) && ((session && session->ipxe) || now_ms >= at->stop_polite_ms)))
			conn_close(conn, "the server stops");
	}
}

void iscsi_loop_stop(struct iscsi_loop *at)
{
	struct iscsi_server *server = at->server;
	uint64_t now_ms = time_monotonic_ms();

	for (unsigned i = 0; i < server->listener_count; i++)
		if (server->listeners[i].loop == &at->link)
			portal_stop(&server->listeners[i]);
	at->link.stopping = true;
	link_wake(&at->link);
	at->stop_deadline_ms = now_ms + server->drain_ms;
	at->stop_polite_ms = now_ms + min_u64(server->drain_ms, STOP_POLITE_MS);
	list_each(link, next, &at->link.conns)
	{
		struct conn *conn = list_entry(link, struct conn, link);
		struct session *session = session_of(conn);

		if (!session || !session->port)
			conn_close(conn, "the server stops");
		else
			async_request_logout(session, server->drain_ms / 1000 + 1);
	}
	target_tick_all(&at->targets, true);
	stop_tick(at, now_ms);
	live_put(&server->live);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct iscsi_loop *at = handle->data;
	struct iscsi_server *server = at->server;

	if (--at->handles == 0 && atomic_fetch_sub(&server->loops_open, 1) == 1)
		server->stopped(server->stopped_arg);
}

void iscsi_loop_close(struct iscsi_loop *at)
{
	loop_set_poll(at->link.loop, NULL, NULL);
	alive_end_all(&at->targets);
	uv_close((uv_handle_t *)&at->prepare, on_handle_closed);
	uv_close((uv_handle_t *)&at->link.tick, on_handle_closed);
}
