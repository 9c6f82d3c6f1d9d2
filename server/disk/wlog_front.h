/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands between disk.c and an engine that has the write log (wlog.h): which requests it answers, which have to wait
 * for it, and how what it holds comes down to the child. Private to disk/. All of it on the disk's loop.
 *
 *	WRITE    of whole pages, or within pages that it holds, no more than WLOG_WRITE_MAX, without FUA: copied, acknowledged
 *	READ     lends what it holds, the rest comes from the engine
 *	FLUSH    waits until what was acknowledged before is down; then the engine flushes
 *	others   that touch what it holds wait until that is down; then the engine has them
 *
 * Down goes what a flush, an overlapping request or a close waits for, what is older than a second, and, when half of the
 * area is used, what has been there longest: sorted by place, neighbours in one request. While a slot goes down its
 * page may be written again: into a new slot, which goes down when the first has arrived. A slot that is not on its way
 * gives its place in the order to the one that replaces it, so that a flush cannot miss the page.
 *
 * What there is no space for stays, is tried again each second and at each flush, and flushes fail meanwhile. Any other
 * error fails the disk (invariant 5); what it had stays, and is read.
 *
 *	slot:  idle ---> going ---> (free)
 *	         ^         |
 *	         +---------+  no space, no memory
 */
#ifndef DISK_WLOG_FRONT_H
#define DISK_WLOG_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "disk/wlog.h"

struct disk;
struct disk_request;

enum {
	WLOG_WRITE_MAX = 16 << 10,
	WLOG_DOWN_PAGES = 64, /* of one request */
	WLOG_TICK_MS = 1000,
};

/* What the fronts of one loop share; in struct env_loop. */
struct wlog_loop {
	struct wlog *wlog;
	struct loop *loop;
	struct wlog_area *area;	    /* NULL: nothing new is taken */
	struct wlog_slot **buckets; /* page of a disk -> its newest slot */
	unsigned bucket_count;	    /* a power of two */
	struct wlog_front *fronts;  /* ring of those that have something to bring down; the next one whose turn it is */
	struct wlog_front *room;    /* those whose requests wait for slots */
	unsigned going;		    /* requests on their way down */
	bool no_space;		    /* the last one that ended failed for want of it */
	bool room_posted;
	struct loop_msg room_msg;
	bool by_hand;		  /* no timer: a simulation calls wlog_tick */
	struct wlog_timer *timer; /* NULL: none runs */
};

/* Embedded in each disk whose engine has a log. */
struct wlog_front {
	struct disk *disk;
	struct wlog_loop *shared;
	uint64_t id, path, seq;
	struct wlog_slot *first, *last; /* by since */
	unsigned count;			/* slots */
	unsigned going;			/* requests on their way down */
	unsigned joins;			/* slots of one request, as far as the last ones tell */
	uint64_t wanted;		/* what is as old as that should come down */
	uint64_t tick_seq;		/* what there was at the last tick */
	bool failed;			/* nothing goes down any more */
	bool errors;			/* some slot has one */
	bool ringed;			/* in shared->fronts */
	bool roomless;			/* in shared->room */
	bool closing, closed;
	int left_error; /* why a close left something here */
	struct wlog_front *next, *prev, *room_next;
};

enum wlog_answer {
	WLOG_PASS,  /* the engine's */
	WLOG_TAKEN, /* answered, in a later turn */
	WLOG_WAIT,  /* disk_retry_log will ask again */
};

/* wlog may be NULL. Start-up; 0 or -ENOMEM. */
int wlog_loop_init(struct wlog_loop *shared, struct wlog *wlog, struct loop *loop, unsigned index);
void wlog_loop_fini(struct wlog_loop *shared);
/* What is older than the last tick comes down; what failed is tried again. */
void wlog_tick(struct wlog_loop *shared);

/* slots: what wlog_claim gave. failed: the disk may not be written to. */
void wlog_front_open(struct wlog_front *front, struct disk *disk, struct wlog_loop *shared, uint64_t id, uint64_t path,
		     struct wlog_slots slots, bool failed);
/* again: it has waited. */
enum wlog_answer wlog_front_submit(struct wlog_front *front, struct disk_request *req, bool again);
/* Gives back a read that was answered here. */
void wlog_front_release(struct disk_request *req);
/*
 * true: nothing is here any more, or what is cannot be brought down and was left to the next who opens the disk
 * (left_error). false: the disk's close_msg is posted when it is so.
 */
bool wlog_front_close(struct wlog_front *front);

/* ---- between the wlog_*.c ---- */

struct wlog_slot *wlog_find(const struct wlog_front *front, uint64_t page);
enum wlog_answer wlog_read(struct wlog_front *front, struct disk_request *req);
void wlog_unpin(struct wlog_slot *slot);

/* wlog_down.c: what is as old as `wanted` goes down, as far as not too much is under way. */
void wlog_pump(struct wlog_front *front);
/* These as well, at once, in no more than so many requests. How many of them went. */
unsigned wlog_send(struct wlog_front *front, struct wlog_slot **slots, unsigned count, unsigned requests);
/* Those that have been here longest, where much is used. */
void wlog_press(struct wlog_loop *shared);
/* One has arrived, or will not: wlog_front.c. */
void wlog_arrived(struct wlog_front *front, struct wlog_slot *slot, int result);
/* After one request's slots. */
void wlog_progress(struct wlog_front *front);

#endif
