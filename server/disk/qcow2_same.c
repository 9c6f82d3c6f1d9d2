// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A write of what is there already, in blocks that the child does not have: it costs nothing, where knowing it costs
 * next to nothing. Formatting, partitioning and installing write many zeroes where there are only zeroes, and a
 * machine that gets the same software as its golden image writes that.
 *
 * Asked before anything else is done for a write, and answered "no" wherever the answer is not at hand: zeroes over a
 * hole are seen in memory; bytes over a backing file are compared where the page cache has them, first one sector.
 * Zeroes over a part of the golden image that nobody has read yet ask its file system, once. A machine that has
 * written other things many times in a row is compared only now and then. All on the disk's loop.
 *
 * The caller holds the blocks, so nobody changes them meanwhile. A change of them that came before is acknowledged, or
 * in the journal's queue (a discard lets go of its blocks then): whoever answers "written" has to wait for the journal.
 */
#include "disk/qcow2_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	PROBE_BYTES = DISK_BLOCK_BYTES,
	COMPARE_BYTES = 64 << 10,
	MISSES_MANY = 32,     /* comparisons that found something else, in a row: from there on only each */
	MISSES_TURN = 8,      /* eighth write is compared */
	ASK_BYTES = 16 << 20, /* how far ahead the file system is asked: formatting goes on */
};

/* Bytes skip to skip+length-1 of the caller's, against as many of `with` (repeated: zeroes). */
static bool equal(const struct qcow2_writer *w, uint64_t skip, uint64_t length, const uint8_t *with)
{
	for (int i = 0; i < w->iov_count && length; i++) {
		uint64_t have = w->iov[i].iov_len, take;

		if (skip >= have) {
			skip -= have;
			continue;
		}
		take = min_u64(have - skip, length);
		if (memcmp((const uint8_t *)w->iov[i].iov_base + skip, with, take))
			return false;
		with += take;
		length -= take;
		skip = 0;
	}
	return true;
}

static bool is_zero(const struct qcow2_writer *w, uint64_t skip, uint64_t length)
{
	/* No request is longer than the zero region. */
	return equal(w, skip, length, disk_env_zeroes(w->q->disk.env));
}

enum same { SAME_NO, SAME_YES, SAME_UNKNOWN };

/* Against a backing file, from the page cache or not at all. */
static enum same compare_below(const struct qcow2_writer *w, const struct qcow2_extent *extent, void *buffer)
{
	uint64_t skip = extent->guest - w->offset, step = PROBE_BYTES;

	for (uint64_t at = 0; at < extent->length; at += step, step = COMPARE_BYTES) {
		uint64_t length = min_u64(step, extent->length - at);
		struct iovec iov = { buffer, length };

		if (!extent->file->ops->read_now(extent->file, extent->offset + at, &iov, 1, length))
			return SAME_UNKNOWN;
		if (!equal(w, skip + at, length, buffer))
			return SAME_NO;
	}
	return SAME_YES;
}

/* One comparison is a system call that finds the page in the cache: 1 us, 5% of a 4 KiB write's first. */
static bool worth_comparing(struct qcow2_writer *w)
{
	struct qcow2 *q = w->q;

	return q->same_misses < MISSES_MANY || ++q->same_misses % MISSES_TURN == 0 || is_zero(w, 0, w->length);
}

/* The hole is one of the raw file's; a file above it may have something there. */
static bool in_hole(const struct qcow2_writer *w, const struct qcow2_extent *extent)
{
	return w->q->layers[extent->layer].raw && extent->guest >= w->hole_start &&
	       extent->guest + extent->length <= w->hole_end;
}

static enum same compare_extent(struct qcow2_writer *w, const struct qcow2_extent *extent)
{
	struct disk *disk = &w->q->disk;
	enum same same;
	void *buffer;

	if (!extent->file || in_hole(w, extent))
		return is_zero(w, extent->guest - w->offset, extent->length) ? SAME_YES : SAME_NO;
	if (extent->layer == 0 || !worth_comparing(w))
		return SAME_NO;
	buffer = disk_buffers_get(disk->env, disk->loop, COMPARE_BYTES);
	if (!buffer)
		return SAME_NO;
	same = compare_below(w, extent, buffer);
	disk_buffers_put(disk->env, disk->loop, buffer, COMPARE_BYTES);
	if (same == SAME_YES)
		w->q->same_misses = 0;
	else if (w->q->same_misses < MISSES_MANY)
		w->q->same_misses++;
	return same;
}

/* ---- asking the file system ---- */

struct question {
	struct file_request io;
	struct disk_extent answer;
	struct qcow2_writer *writer;
	uint64_t guest;
};

static void answered(struct file_request *io)
{
	struct question *question = container_of(io, struct question, io);
	struct qcow2_writer *w = question->writer;

	if (!io->result && io->extent_count && !question->answer.mapped) {
		w->hole_start = question->guest;
		w->hole_end = question->guest + question->answer.length;
	}
	free(question);
	w->waiter.result = 0;
	w->waiter.run(&w->waiter);
}

static int ask(struct qcow2_writer *w, const struct qcow2_extent *extent)
{
	struct question *question = calloc(1, sizeof(*question));

	w->asked = true;
	if (!question)
		return -ENOMEM;
	question->writer = w;
	question->guest = extent->guest;
	question->io = (struct file_request){
		.op = FILE_STATUS,
		.offset = extent->offset,
		.length = min_u64(max_u64(extent->length, ASK_BYTES),
				  w->q->layers[extent->layer].size_bytes - extent->offset),
		.extents = &question->answer,
		.extent_max = 1,
		.done = answered,
	};
	extent->file->ops->submit(extent->file, &question->io);
	return QCOW2_WAIT;
}

int qcow2_same(struct qcow2_writer *w, bool *same)
{
	uint64_t at = w->offset, end = w->offset + w->length;

	*same = false;
	while (at < end) {
		struct qcow2_extent extent;
		int err = qcow2_find(w->q, 0, at, end - at, &w->waiter, &extent);

		if (err)
			return err;
		switch (compare_extent(w, &extent)) {
		case SAME_NO:
			return 0;
		case SAME_YES:
			break;
		case SAME_UNKNOWN:
			if (w->asked || !w->q->layers[extent.layer].raw || !is_zero(w, 0, w->length))
				return 0;
			return ask(w, &extent);
		}
		at += extent.length;
	}
	*same = true;
	return 0;
}
