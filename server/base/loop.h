/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An I/O loop: one libuv loop on one thread, and a mailbox through which other threads talk to it.
 *
 * Everything that belongs to a loop (connections, targets, the maps of their disks) is touched on its thread only.
 * A loop without a thread (loop_new, then loop_run_once by the caller) serves tests and simulations.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct uv_loop_s;

/*
 * A message. The sender owns its memory until run is called; run, on the loop's thread, takes it over. A message may be
 * embedded in a larger struct, and must not be posted again before it ran.
 */
struct loop_msg {
	void (*run)(struct loop_msg *msg);
	struct loop_msg *next; /* private to the loop */
};

/* A loop without a thread. NULL without memory. */
struct loop *loop_new(unsigned index);
/*
 * Gives the loop a thread named name (15 characters), running until loop_stop. "io-N" is one that must never wait:
 * see loop_watch.h. 0 or -errno.
 */
int loop_start(struct loop *loop, const char *name);
/* For a loop without a thread, before it runs: its name, and with it whether it may wait. */
void loop_set_name(struct loop *loop, const char *name);
/*
 * Asks the thread to end when its mailbox is empty, and waits for it. All handles on the loop must be closed by then.
 */
void loop_stop(struct loop *loop);
/* Frees a loop that has no thread (any more). Messages still in the mailbox are run first. */
void loop_free(struct loop *loop);

/* Any thread. Messages of one sender run in order, each in a later turn of the loop, never inside the call. */
void loop_post(struct loop *loop, struct loop_msg *msg);
/*
 * On the loop, at the end of a callback of libuv: runs what the loop has posted to itself so far, while its data is still in the
 * processor's caches. Nothing else changes by it.
 */
void loop_run_own(struct loop *loop);

/*
 * On the loop, in a callback of libuv: it begins to do something for a peer, who may come back at once. After the turn
 * the loop may then stay awake for a few microseconds: see spin.h.
 */
void loop_works(struct loop *loop);
/*
 * On the loop, or before it runs. While it stays awake it calls poll(arg) again and again, between polls of all that
 * libuv watches: for whoever knows where the next work is likely to come from. True: it has come, and is done. NULL: no
 * more.
 */
void loop_set_poll(struct loop *loop, bool (*poll)(void *arg), void *arg);

/* The loop whose thread this is; NULL elsewhere. A loop without a thread is current while loop_run_once runs. */
struct loop *loop_current(void);
struct uv_loop_s *loop_uv(struct loop *loop);
unsigned loop_index(const struct loop *loop);

/* Runs what is ready, without waiting (wait: waits for one event first). Only for loops without a thread. */
void loop_run_once(struct loop *loop, bool wait);

/* Runs run(arg) on the loop and waits until it returned. From other threads only: never from a loop. */
void loop_call(struct loop *loop, void (*run)(void *arg), void *arg);

#endif
