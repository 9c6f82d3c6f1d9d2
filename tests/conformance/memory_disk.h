/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk in memory for tests of what stands above it. Requests that touch [slow_from, slow_from + 1 MiB) take slow_ms,
 * those in [broken_from, + 1 MiB) fail with EIO; those in [held_from, + 1 MiB) wait while the gate is shut. All others
 * complete in the next turn of the loop.
 */
#ifndef MEMORY_DISK_H
#define MEMORY_DISK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct disk;
struct disk_env;
struct loop;

/* Says when what waits at a disk goes on; it outlives the disk. */
struct memory_gate {
	pthread_mutex_t mutex; /* guards what follows */
	bool shut;
	struct held_request *held;
	void (*on_held)(void *arg); /* a request waits; on the disk's loop, under the mutex */
	void *arg;
};

/* Any thread. Opened: those that wait complete on their loops, the last one first. */
void memory_gate_set(struct memory_gate *gate, bool shut);

struct memory_disk_config {
	void *memory; /* the caller's: it outlives the disk, as a file would */
	uint64_t size_bytes;
	uint64_t slow_from;
	unsigned slow_ms;
	uint64_t broken_from;
	uint64_t held_from;
	struct memory_gate *gate;
};

/* On loop. */
struct disk *memory_disk_new(struct disk_env *env, struct loop *loop, const struct memory_disk_config *config);

#endif
