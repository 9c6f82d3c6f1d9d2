/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much the files of one loop have written and not yet sent to the disk, so that writing it back begins before the
 * kernel would make the writers wait (which would be the loop). Private to disk/. All on the loop.
 *
 * Bytes count when they are written, also where they were dirty already, and until a sync or writeback that began
 * later is done. The kernel writes back by itself what is 30 s old, and we do not learn of it: so the file that
 * has been dirty for longest is written back first, which for such a one costs nothing.
 */
#ifndef DISK_DIRTY_H
#define DISK_DIRTY_H

#include <stdbool.h>
#include <stdint.h>

/* Embedded in each file. In the list exactly when bytes > 0. */
struct dirty {
	uint64_t bytes;
	struct dirty *older, *newer;
};

struct dirty_budget {
	uint64_t bytes, limit;
	struct dirty *oldest, *newest;
};

/* limit: a share of half of what the kernel lets be dirty before it begins to write back. Start-up. */
void dirty_budget_init(struct dirty_budget *budget, unsigned shares);
void dirty_add(struct dirty_budget *budget, struct dirty *dirty, uint64_t bytes);
/* So many of its bytes have been sent to the disk. With what is left it is the newest. */
void dirty_settle(struct dirty_budget *budget, struct dirty *dirty, uint64_t bytes);

#endif
