/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much the files of one loop have written and not yet sent to the disk, so that writing it back begins before the
 * kernel would make the writers wait (which would be the loop). Private to disk/. All on the loop.
 *
 * Bytes count when they are written, also where they were dirty already (but never more than a file has), and until a
 * sync or writeback that began later is done. The kernel writes back by itself what is 30 s old, and we do not learn of
 * it: so the file that has been dirty for longest is written back first; if the kernel has done so already, that costs
 * nothing.
 *
 * So what counts may be far more than is dirty: machines write the same blocks over and over. The floor is granted
 * without asking; before what counts goes beyond, a worker asks the kernel how much more it would take from all of the
 * machine's programs together, and the limit moves up to that.
 */
#ifndef DISK_DIRTY_H
#define DISK_DIRTY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pool.h"

struct disk_env;

/* Embedded in each file. In the list exactly when bytes > 0. */
struct dirty {
	uint64_t bytes;
	struct dirty *older, *newer;
};

struct dirty_budget {
	uint64_t bytes, floor, limit;
	struct dirty *oldest, *newest;
	struct disk_env *env;
	struct loop *loop;
	const char *vmstat; /* path of the kernel's figures */
	unsigned shares;
	bool asking;
	uint64_t answered_ms; /* 0: never */
	uint64_t room_bytes;  /* the answer; the worker's while asking */
	struct pool_job ask;
};

/* floor: a share of half of what the kernel lets be dirty before it begins to write back. Start-up. */
void dirty_budget_init(struct dirty_budget *budget, struct disk_env *env, struct loop *loop, unsigned shares);
/* Counts bytes that were written to a file just now. most: how many of its bytes can be dirty at all. */
void dirty_add(struct dirty_budget *budget, struct dirty *dirty, uint64_t bytes, uint64_t most);
/* So many of its bytes have been sent to the disk. If it has more, it becomes the newest in the list. */
void dirty_settle(struct dirty_budget *budget, struct dirty *dirty, uint64_t bytes);

enum dirty_grant {
	DIRTY_GRANTED,
	DIRTY_UNKNOWN, /* the kernel is asked */
	DIRTY_FULL,    /* something has to be written back first */
};

/* May so many more bytes be dirty? */
enum dirty_grant dirty_grants(struct dirty_budget *budget, uint64_t bytes);

#endif
