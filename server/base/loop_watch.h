/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches that no callback of an I/O loop waits: for a disk, a lock, a page that has to be read. Only in builds with
 * LOOP_WATCH (debug, asan); elsewhere it is nothing.
 *
 * A wait is a voluntary context switch or a major fault of the thread between begin and end. Each is logged, once a
 * second and thread at most. A mutex that a worker holds for a moment shows up, too: such waits are short, so the
 * line says how long the callback took. Waits of LOOP_WATCH_MS or with a major fault are errors, shorter ones debug.
 */
#ifndef BASE_LOOP_WATCH_H
#define BASE_LOOP_WATCH_H

#ifdef LOOP_WATCH

#include <stdint.h>

struct loop_watch {
	long switches, faults;
	uint64_t began_ns;
};

void loop_watch_begin(struct loop_watch *watch);
/* what: of the callback. */
void loop_watch_end(const struct loop_watch *watch, const char *what);

#else

struct loop_watch {
	char nothing;
};

static inline void loop_watch_begin(struct loop_watch *watch)
{
	(void)watch;
}

static inline void loop_watch_end(const struct loop_watch *watch, const char *what)
{
	(void)watch;
	(void)what;
}

#endif
#endif
