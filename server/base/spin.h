/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a loop that has done its work polls for more for a moment before it sleeps. To sleep and to be woken costs
 * several microseconds of CPU and more of time, so where the next work nearly always comes sooner than that (a peer
 * with a short queue, on a fast network) it is cheaper to stay awake. Where it does not, nothing is spent: how long
 * sleeps last is known without staying awake.
 *
 * Times are of any monotonic clock, in ns. One thread.
 */
#ifndef BASE_SPIN_H
#define BASE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SPIN_NS = 10000,       /* the longest poll */
	SPIN_SHORT_NS = 20000, /* a sleep so short, with its waking, is one that a poll would have saved */
	SPIN_TRUST_MAX = 16,
	SPIN_TRUST_MIN = -16, /* so many short sleeps in a row come before the first poll */
	SPIN_FAILURE = 8,     /* a poll in vain costs as much trust as so many good ones gain */
};

struct spin {
	int trust; /* above 0: polls */
	bool polling;
	bool in_vain;	   /* the last poll; the sleep after it teaches nothing */
	uint64_t ended_ns; /* the last work */
};

void spin_init(struct spin *spin);
/* Work that began at began_ns (the end of the sleep before it; unused while polling) has ended. Stay awake? */
bool spin_worked(struct spin *spin, uint64_t began_ns, uint64_t now_ns);
/* While polling, nothing came. Go on? */
bool spin_go_on(struct spin *spin, uint64_t now_ns);

#endif
