/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose turn it is to flush: only so many disks of a loop flush at a time. While a disk waits here, others who want it
 * flushed can still join, it has not taken its snapshot yet, and its writes are still done inline; none of that would
 * hold if it waited in a worker's queue. First come, first served. Private to disk/; on the loop.
 */
#ifndef DISK_FLUSH_TURN_H
#define DISK_FLUSH_TURN_H

#include <stdbool.h>

/* Embed it in the disk. */
struct flush_turn {
	void (*run)(struct flush_turn *turn); /* it is yours */
	struct flush_turn *next;	      /* private */
};

struct flush_turns {
	unsigned limit, taken;
	bool giving;
	struct flush_turn *first, **last;
};

void flush_turns_init(struct flush_turns *turns, unsigned limit);
/* true: it is yours at once. false: run is called when it is, on the loop. */
bool flush_turn_take(struct flush_turns *turns, struct flush_turn *turn);
/* Calls run of the next one, before it returns. */
void flush_turn_give(struct flush_turns *turns);

#endif
