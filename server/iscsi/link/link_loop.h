/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the connections of one I/O loop share: memory, a clock that rests while nobody needs it, and a bound on what they
 * may write into the log. All of it belongs to the loop's thread, except where it says otherwise.
 *
 * Work that an event caused is put off to the moment before the loop sleeps: then each connection that has something to
 * say says all of it in one call (conn_work_all).
 */
#ifndef ISCSI_LINK_LOOP_H
#define ISCSI_LINK_LOOP_H

#include "base/list.h"
#include "base/loop.h"
#include "base/free_list.h"
#include "iscsi/link/rx_pool.h"

#include <stdatomic.h>
#include <stdint.h>
#include <uv.h>

struct conn;

enum { LINK_TICK_MS = 250 };

/* Counts what is left of a server: its connections, its listeners, whatever else its owner adds. Any thread. */
struct live {
	atomic_uint count;
	void (*none)(struct live *live); /* on the thread of whoever was the last */
};

void live_get(struct live *live);
void live_put(struct live *live);

struct link_loop {
	struct loop *loop;
	struct live *live;
	/* Gives a new connection its first user. 0 or -errno. */
	int (*accepted)(struct conn *conn);
	bool stopping;
	struct list conns;
	struct list busy;     /* connections with something to do before the loop sleeps */
	struct conn *last;    /* whose turn was last: who is likely to come next, while the loop stays awake; or NULL */
	unsigned login_count; /* connections that have not logged in at a target */
	struct free_list pdus;
	struct rx_pool rx;
	uv_timer_t tick;
	bool resting;			   /* the tick is far away, or off */
	unsigned log_left, log_suppressed; /* lines that peers may still cause until the next tick */
};

/* 0 or -ENOMEM. The tick is the owner's: he starts it, and calls link_ticked first. */
int link_init(struct link_loop *link, struct loop *loop, struct live *live, int (*accepted)(struct conn *conn));
void link_fini(struct link_loop *link);
/* Something waits for the clock: the tick must not rest. What goes through busy does this by itself. */
void link_wake(struct link_loop *link);
/* Nothing needs the clock before that time (time_monotonic_ms; UINT64_MAX: never): an idle server does not wake up. */
void link_rest(struct link_loop *link, uint64_t until_ms, uint64_t now_ms);
void link_ticked(struct link_loop *link);
/* A line that a peer caused: at most a few for each tick, the rest counted. False: this one was not written. */
bool link_log(struct link_loop *link, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
