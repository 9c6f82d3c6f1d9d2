// SPDX-License-Identifier: GPL-2.0-or-later
/* What a boot read, as bits: see read_trace.h. */
#include "disk/read_trace.h"

#include <stdlib.h>

#include "base/util.h"

enum { WORD_BITS = 64 };

struct read_trace *read_trace_new(uint64_t size_bytes)
{
	uint64_t blocks = size_bytes / BOOT_BLOCK_BYTES + (size_bytes % BOOT_BLOCK_BYTES != 0);
	struct read_trace *trace;

	if (blocks > UINT32_MAX)
		return NULL;
	/* A big one comes from the kernel as pages that are not there until they are written to. */
	trace = calloc(1, sizeof(*trace) + (blocks + WORD_BITS - 1) / WORD_BITS * sizeof(trace->words[0]));
	if (!trace)
		return NULL;
	atomic_store(&trace->references, 1);
	trace->block_count = (uint32_t)blocks;
	return trace;
}

struct read_trace *read_trace_ref(struct read_trace *trace)
{
	atomic_fetch_add(&trace->references, 1);
	return trace;
}

void read_trace_unref(struct read_trace *trace)
{
	if (trace && atomic_fetch_sub(&trace->references, 1) == 1)
		free(trace);
}

void read_trace_stop(struct read_trace *trace)
{
	atomic_store(&trace->stopped, true);
}

void read_trace_note(struct read_trace *trace, uint64_t offset, uint64_t length)
{
	uint64_t last = min_u64((offset + length - 1) / BOOT_BLOCK_BYTES, (uint64_t)trace->block_count - 1);

	if (!length || !trace->block_count)
		return;
	for (uint64_t block = offset / BOOT_BLOCK_BYTES; block <= last; block++) {
		_Atomic uint64_t *word = &trace->words[block / WORD_BITS];
		uint64_t bit = (uint64_t)1 << block % WORD_BITS;
		uint64_t was = atomic_load_explicit(word, memory_order_relaxed);

		/* One writer: no locked instruction is needed. */
		if (!(was & bit))
			atomic_store_explicit(word, was | bit, memory_order_relaxed);
	}
}

/* The first block from `from` on whose bit is `set`; block_count where there is none. */
static uint32_t find(const struct read_trace *trace, uint32_t from, bool set)
{
	uint64_t at = from;

	while (at < trace->block_count) {
		uint64_t word = atomic_load_explicit(&trace->words[at / WORD_BITS], memory_order_relaxed);

		word = (set ? word : ~word) >> at % WORD_BITS;
		if (word)
			return (uint32_t)min_u64(at + (unsigned)__builtin_ctzll(word), trace->block_count);
		at = (at / WORD_BITS + 1) * WORD_BITS;
	}
	return trace->block_count;
}

bool read_trace_next(const struct read_trace *trace, uint32_t from, uint32_t *first, uint32_t *count)
{
	uint32_t start = find(trace, from, true);

	if (start >= trace->block_count)
		return false;
	*first = start;
	*count = find(trace, start, false) - start;
	return *count > 0;
}

uint64_t read_trace_count(const struct read_trace *trace)
{
	uint32_t first = 0, count = 0;
	uint64_t sum = 0;

	while (read_trace_next(trace, first + count, &first, &count))
		sum += count;
	return sum;
}
