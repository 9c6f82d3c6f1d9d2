/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The insides of struct disk_env, for env.c, env_host.c and disk.c. Private to them. */
#ifndef DISK_ENV_H
#define DISK_ENV_H

#include <stdatomic.h>

#include "base/free_list.h"
#include "disk/dirty.h"
#include "disk/engine.h"
#include "disk/flush_turn.h"
#include "disk/hole_map.h"

enum { ENV_CLASSES = 11 }; /* powers of two from 4 KiB to DISK_REQUEST_MAX */

struct env_buffer {
	struct env_buffer *next;
};

/* What the disks of one loop share. Touched on that loop only. */
struct env_loop {
	struct disk_env *env;
	struct loop *loop;
	struct env_buffer *free[ENV_CLASSES];
	uint64_t kept_bytes;	 /* in free */
	struct free_list small;	 /* of DISK_SMALL_BYTES */
	uint64_t reserved_bytes; /* by reads, from submit to release */
	/* Disks that hold requests back until there is room; each goes to the end when it has had its turn. */
	struct disk *wait_first, **wait_last;
	struct loop_msg wake_msg;
	bool wake_posted;
	/* Requests that complete in the next turn. */
	struct disk_request *soon_first, **soon_last;
	struct loop_msg soon_msg;
	struct dirty_budget dirty; /* of its files */
	struct flush_turns flush_turns;
	atomic_ullong cache_hit_bytes, cache_miss_bytes; /* written by its loop only */
};

struct disk_env {
	struct pool *pool;
	const struct disk_env_ops *ops;
	void *ops_arg;
	void *zeroes;
	struct golden_cache *cache; /* or NULL */
	struct hole_maps hole_maps;
	char boot_id[40];
	atomic_uint reads_waiting;
	atomic_ullong read_ahead; /* inode */
	unsigned loop_count;
	struct env_loop loops[];
};

/* The part of loop; a loop that was not given to disk_env_new is our own bug. */
struct env_loop *env_loop_of(struct disk_env *env, const struct loop *loop);

#endif
