/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads parts of a golden file into memory before anybody asks for them. Blocking, on a worker.
 *
 * In file order and in pieces of 4 MiB: a slow disk then has one long way to go, not many short ones, and the reads of
 * machines, which come between, do not become what it does most of the time (1 MiB: measured, no gain). What is in
 * memory already is not read again. Machines go first: after a piece, while one of them waits for a disk, the
 * read-ahead waits as well, at most as long as the piece took; but not for machines that wait for this very file, since
 * it reads what they wait for. One at a time in a process. It ends where memory gets short.
 */
#ifndef DISK_READ_AHEAD_H
#define DISK_READ_AHEAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct disk_env;

enum { READ_AHEAD_PIECE_BYTES = 4 << 20, READ_AHEAD_PIECE_RANGES = 64 };

struct read_ahead_range {
	uint64_t offset, length; /* bytes */
};

/*
 * Where what is read is kept. NULL: the kernel's page cache. piece reads ranges (of READ_AHEAD_PIECE_BYTES together, in
 * order) and waits for them; *read_bytes: what was not there before. 0 or -errno.
 */
struct read_ahead_layer {
	int (*piece)(void *arg, int fd, const struct read_ahead_range *ranges, unsigned count, uint64_t *read_bytes);
	void *arg;
};

struct read_ahead {
	struct disk_env *env; /* whose machines go first */
	const char *path;
	const struct read_ahead_range *ranges; /* in order, apart */
	unsigned range_count;
	const struct read_ahead_layer *layer; /* may be NULL */
	const atomic_bool *stop;	      /* ends it early */
	uint64_t memory_bytes;		      /* most that it may read; 0: half of what the host has available */
	atomic_ullong *total;		      /* counts what it read, as it goes; may be NULL */
};

struct read_ahead_result {
	uint64_t asked_bytes; /* of the ranges that it came to */
	uint64_t read_bytes;  /* of those, what was not in memory */
	bool short_of_memory; /* and therefore not all of it was done */
};

/* 0 or -errno, result is set in any case. */
int read_ahead_run(const struct read_ahead *how, struct read_ahead_result *result);

#endif
