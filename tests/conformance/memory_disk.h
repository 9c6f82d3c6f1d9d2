/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk in memory for tests of what stands above it. Requests that touch [slow_from, slow_from + 1 MiB) take slow_ms,
 * those in [broken_from, + 1 MiB) fail with EIO; all others complete in the next turn of the loop.
 */
#ifndef MEMORY_DISK_H
#define MEMORY_DISK_H

#include <stdint.h>

struct disk;
struct disk_env;
struct loop;

struct memory_disk_config {
	void *memory; /* the caller's: it outlives the disk, as a file would */
	uint64_t size_bytes;
	uint64_t slow_from;
	unsigned slow_ms;
	uint64_t broken_from;
};

/* On loop. */
struct disk *memory_disk_new(struct disk_env *env, struct loop *loop, const struct memory_disk_config *config);

#endif
