/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which blocks of a golden image one boot has read: a bit each, set on the loop that owns the disk, read by anybody.
 *
 * The disk of a booting machine has one (struct disk_open) until its boot is steady; then it is stopped, and the disk
 * lets go of it with its next read. Memory is taken as bits are set. Bits of blocks beyond the image are none.
 */
#ifndef DISK_READ_TRACE_H
#define DISK_READ_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { BOOT_BLOCK_BYTES = 8192 };

struct read_trace {
	atomic_uint references;
	atomic_bool stopped;
	uint32_t block_count;
	/* One loop writes at a time: a target moves between loops only closed. */
	_Atomic uint64_t words[];
};

/* Of an image of so many bytes, at most 16 TiB. One reference; NULL without memory. */
struct read_trace *read_trace_new(uint64_t size_bytes);
struct read_trace *read_trace_ref(struct read_trace *trace);
/* NULL is fine. */
void read_trace_unref(struct read_trace *trace);
/* Nothing more is noted. Any thread. */
void read_trace_stop(struct read_trace *trace);

/* The owning loop: these bytes were read. */
void read_trace_note(struct read_trace *trace, uint64_t offset, uint64_t length);

/*
 * The next blocks in a row that were read, from block `from` on. False: no more. Any thread; what is being noted just
 * now may be missing.
 */
bool read_trace_next(const struct read_trace *trace, uint32_t from, uint32_t *first, uint32_t *count);
/* How many there are. */
uint64_t read_trace_count(const struct read_trace *trace);

#endif
