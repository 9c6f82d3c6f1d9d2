/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the server has on one I/O loop: its connections, its targets, the memory that they share, and two clocks.
 *
 * Work that an event caused is put off to the moment before the loop sleeps (uv_prepare): then each connection that has
 * something to say says all of it in one call, and targets whose wants changed take their next step. Nothing is
 * freed before that. Everything here belongs to the hub's loop, except where it says otherwise.
 */
#ifndef ISCSI_HUB_H
#define ISCSI_HUB_H

#include "base/loop.h"
#include "base/parse.h"
#include "base/spares.h"
#include "iscsi/chunks.h"
#include "iscsi/list.h"
#include "iscsi/rx_pool.h"
#include "iscsi/server.h"
#include "scsi/target.h"

#include <stdatomic.h>
#include <uv.h>

struct conn;
struct target;

enum {
	HUB_TARGET_BUCKETS = 64,
	HUB_TICK_MS = 250,
	STOP_POLITE_MS = 500, /* for an initiator to log out when we stop */
};

struct hub {
	struct iscsi_server *server;
	struct loop *loop;
	uv_prepare_t prepare;
	uv_timer_t tick;
	bool stopping;
	bool resting; /* the tick is far away, or off */
	uint64_t stop_deadline_ms, stop_polite_ms;
	struct list conns;
	struct conn *last;  /* whose turn was last: who is likely to come next, while the loop stays awake; or NULL */
	struct list dirty;  /* connections with something to do before the loop sleeps */
	struct list kicked; /* targets, likewise */
	struct list ending; /* sessions that wait for their last tasks */
	struct list targets[HUB_TARGET_BUCKETS];
	struct list probes;
	unsigned login_count; /* connections without a session of their own on a target */
	struct chunk_pool chunks;
	struct spares pdus, tasks, scsi_tasks;
	struct rx_pool rx;
	unsigned log_left, log_suppressed; /* lines that peers may still cause until the next tick */
	unsigned handles;
	struct loop_msg msg, stop_msg; /* start, then close; stop */
};

struct listener {
	struct iscsi_server *server;
	struct hub *hub;
	uv_poll_t poll;
	bool poll_open, paused;
	int fd;
	struct endpoint endpoint;
};

struct iscsi_server {
	const struct iscsi_provider *provider;
	uint32_t first_statsn;
	unsigned lun_in_use_ms;
	char *advertise; /* NULL: the address that the client reached */
	unsigned hub_count;
	struct hub *hubs;
	unsigned listener_count;
	struct listener *listeners;
	/* Connections, targets, listeners, and one for each hub that has not been told to stop. Any thread. */
	atomic_uint live;
	atomic_uint hubs_open;
	unsigned drain_ms;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

int hub_init(struct hub *hub, struct iscsi_server *server, struct loop *loop);
/* Starts the clocks. On the hub's loop. */
void hub_start(struct hub *hub);
/* The server stops: logins end at once, sessions when their tasks are done. */
void hub_stop(struct hub *hub);
/* Something waits for the clock: the tick must not rest. What goes through dirty or kicked does this by itself. */
void hub_wake(struct hub *hub);
/* Closes the clocks; server_hub_closed when that has happened. */
void hub_close(struct hub *hub);
/* After its handles are closed, or before they were opened. */
void hub_fini(struct hub *hub);
/* Which hub a target lives on. Any thread. */
struct hub *hub_of(const struct iscsi_server *server, uint64_t key);
/* A line that a peer caused: at most a few for each tick, the rest counted. False: this one was not written. */
bool hub_log(struct hub *hub, const char *format, ...) __attribute__((format(printf, 2, 3)));

void server_live_get(struct iscsi_server *server);
/* Any thread. After iscsi_server_stop, the last one closes the hubs. */
void server_live_put(struct iscsi_server *server);
void server_hub_closed(struct iscsi_server *server);

#endif
