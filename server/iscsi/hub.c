// SPDX-License-Identifier: GPL-2.0-or-later
/* What the server has on one loop: see hub.h. */
#include "iscsi/hub.h"

#include "base/log.h"
#include "iscsi/conn.h"
#include "iscsi/portal.h"
#include "iscsi/probe.h"
#include "iscsi/session.h"
#include "iscsi/target.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS_MAX = 16, LOG_LINES_A_TICK = 10 };

int hub_init(struct hub *hub, struct iscsi_server *server, struct loop *loop)
{
	hub->server = server;
	hub->loop = loop;
	list_init(&hub->conns);
	list_init(&hub->dirty);
	list_init(&hub->kicked);
	list_init(&hub->ending);
	list_init(&hub->probes);
	for (int i = 0; i < HUB_TARGET_BUCKETS; i++)
		list_init(&hub->targets[i]);
	hub->log_left = LOG_LINES_A_TICK;
	return rx_pool_init(&hub->rx);
}

void hub_fini(struct hub *hub)
{
	spares_fini(&hub->pdus);
	spares_fini(&hub->tasks);
	spares_fini(&hub->scsi_tasks);
	chunk_pool_fini(&hub->chunks);
	rx_pool_fini(&hub->rx);
}

struct hub *hub_of(const struct iscsi_server *server, uint64_t key)
{
	return &server->hubs[key % server->hub_count];
}

bool hub_log(struct hub *hub, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (!hub->log_left) {
		hub->log_suppressed++;
		return false;
	}
	hub->log_left--;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_info("%s", text);
	return true;
}

/* ---- before the loop sleeps ---- */

static bool hub_round(struct hub *hub)
{
	bool any = !list_empty(&hub->dirty) || !list_empty(&hub->kicked);

	while (!list_empty(&hub->dirty)) {
		struct conn *conn = list_entry(hub->dirty.next, struct conn, dirty_link);

		list_remove(&conn->dirty_link);
		conn_work(conn);
	}
	list_each(link, next, &hub->ending)
		session_maybe_finish(list_entry(link, struct session, ending_link));
	while (!list_empty(&hub->kicked)) {
		struct target *target = list_entry(hub->kicked.next, struct target, kick_link);

		list_remove(&target->kick_link);
		target_advance(target);
	}
	return any;
}

void hub_wake(struct hub *hub)
{
	if (!hub->resting)
		return;
	hub->resting = false;
	uv_timer_start(&hub->tick, hub->tick.timer_cb, HUB_TICK_MS, HUB_TICK_MS);
}

static void hub_on_prepare(uv_prepare_t *prepare)
{
	struct hub *hub = prepare->data;

	for (int i = 0; i < ROUNDS_MAX; i++) {
		if (!hub_round(hub))
			return;
		hub_wake(hub);
	}
	/* Whatever is left must not wait for an event. */
	uv_timer_start(&hub->tick, hub->tick.timer_cb, 0, HUB_TICK_MS);
}

/* ---- the clock ---- */

static void tick_conns(struct hub *hub, uint64_t now_ms)
{
	list_each(link, next, &hub->conns) {
		struct conn *conn = list_entry(link, struct conn, link);

		conn_tick(conn, now_ms);
		if (conn->state == CONN_OPEN && conn->session)
			session_tick(conn->session, now_ms);
	}
}

static bool target_needs_clock(const struct target *target)
{
	return target->close_after_ms || !list_empty(&target->changes);
}

static void tick_targets(struct hub *hub)
{
	for (int i = 0; i < HUB_TARGET_BUCKETS; i++) {
		list_each(link, next, &hub->targets[i]) {
			struct target *target = list_entry(link, struct target, link);

			if (target_needs_clock(target))
				target_kick(target);
		}
	}
}

/* ms until the clock is needed again: 0 for the next tick, UINT64_MAX for never. */
static uint64_t next_tick_ms(const struct hub *hub, uint64_t now_ms)
{
	uint64_t next_ms = UINT64_MAX;

	if (hub->stopping || !list_empty(&hub->probes) || portal_is_paused(hub))
		return 0;
	list_each(link, next, &hub->conns) {
		const struct conn *conn = list_entry(link, struct conn, link);
		uint64_t at_ms;

		if (conn->deadline_ms || !conn->session)
			return 0;
		at_ms = session_next_tick_ms(conn->session);
		next_ms = min_u64(next_ms, at_ms > now_ms ? at_ms - now_ms : 0);
	}
	for (int i = 0; i < HUB_TARGET_BUCKETS; i++)
		list_each(link, next, &hub->targets[i])
			if (target_needs_clock(list_entry(link, struct target, link)))
				return 0;
	return next_ms;
}

/* Nobody needs the clock for a while: an idle server does not wake the processor. */
static void hub_rest(struct hub *hub, uint64_t now_ms)
{
	uint64_t next_ms = next_tick_ms(hub, now_ms);

	if (next_ms <= HUB_TICK_MS)
		return;
	hub->resting = true;
	if (next_ms == UINT64_MAX)
		uv_timer_stop(&hub->tick);
	else
		uv_timer_start(&hub->tick, hub->tick.timer_cb, next_ms, HUB_TICK_MS);
}

static void hub_stop_tick(struct hub *hub, uint64_t now_ms);

static void hub_on_tick(uv_timer_t *tick)
{
	struct hub *hub = tick->data;
	uint64_t now_ms = time_monotonic_ms();

	hub->resting = false;
	if (hub->log_suppressed)
		log_info("iscsi: %u more lines like these were not written", hub->log_suppressed);
	hub->log_suppressed = 0;
	hub->log_left = LOG_LINES_A_TICK;
	tick_conns(hub, now_ms);
	tick_targets(hub);
	probe_tick(hub, now_ms);
	portal_tick(hub);
	if (hub->stopping)
		hub_stop_tick(hub, now_ms);
	hub_rest(hub, now_ms);
}

static bool hub_look(void *arg)
{
	struct hub *hub = arg;

	return hub->last && conn_look(hub->last);
}

void hub_start(struct hub *hub)
{
	uv_loop_t *uv = loop_uv(hub->loop);

	uv_prepare_init(uv, &hub->prepare);
	uv_timer_init(uv, &hub->tick);
	hub->prepare.data = hub->tick.data = hub;
	uv_prepare_start(&hub->prepare, hub_on_prepare);
	loop_set_look(hub->loop, hub_look, hub);
	uv_timer_start(&hub->tick, hub_on_tick, HUB_TICK_MS, HUB_TICK_MS);
	hub->handles = 2;
}

/* ---- stopping ---- */

static bool conn_is_idle(const struct conn *conn)
{
	return !conn->out_first && (!conn->session || list_empty(&conn->session->tasks));
}

/* design.md: tasks in hand finish; initiators that were asked to log out get a moment to do so. */
static void hub_stop_tick(struct hub *hub, uint64_t now_ms)
{
	list_each(link, next, &hub->conns) {
		struct conn *conn = list_entry(link, struct conn, link);

		if (now_ms >= hub->stop_deadline_ms)
			conn_close(conn, "the server stops");
		else if (conn_is_idle(conn) &&
			 ((conn->session && conn->session->ipxe) || now_ms >= hub->stop_polite_ms))
			conn_close(conn, "the server stops");
	}
}

void hub_stop(struct hub *hub)
{
	uint64_t now_ms = time_monotonic_ms();
	unsigned drain_ms = hub->server->drain_ms;

	hub->stopping = true;
	hub_wake(hub);
	hub->stop_deadline_ms = now_ms + drain_ms;
	hub->stop_polite_ms = now_ms + min_u64(drain_ms, STOP_POLITE_MS);
	list_each(link, next, &hub->conns) {
		struct conn *conn = list_entry(link, struct conn, link);

		if (!conn->session || !conn->session->target)
			conn_close(conn, "the server stops");
		else
			async_request_logout(conn->session, drain_ms / 1000 + 1);
	}
	for (int i = 0; i < HUB_TARGET_BUCKETS; i++)
		list_each(link, next, &hub->targets[i])
			target_kick(list_entry(link, struct target, link));
	hub_stop_tick(hub, now_ms);
}

static void hub_on_handle_closed(uv_handle_t *handle)
{
	struct hub *hub = handle->data;

	if (--hub->handles == 0)
		server_hub_closed(hub->server);
}

void hub_close(struct hub *hub)
{
	loop_set_look(hub->loop, NULL, NULL);
	probe_end_all(hub);
	uv_close((uv_handle_t *)&hub->prepare, hub_on_handle_closed);
	uv_close((uv_handle_t *)&hub->tick, hub_on_handle_closed);
}
