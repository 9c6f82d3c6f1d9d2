// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading ahead: see read_ahead.h. Workers; no state but the caller's. */
#include "disk/read_ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "disk/engine.h"
#include "disk/file_io.h"

enum {
	PAUSE_MAX_MS = 200,
	PAUSE_STEP_MS = 10, /* how soon a pause sees that it is to stop */
	PROBE_BYTES = 65536,
};

/* ---- the page cache ---- */

/* What page_cache_piece has to read: what each probe did not find. */
struct missing {
	struct read_ahead_range list[READ_AHEAD_PIECE_BYTES / PROBE_BYTES + READ_AHEAD_PIECE_RANGES];
	unsigned count;
	uint8_t scratch[PROBE_BYTES];
};

static int read_into(int fd, struct missing *m, uint64_t offset, uint64_t length, int flags, uint64_t *moved)
{
	struct iovec iov = { m->scratch, length };

	return file_io_move(fd, false, offset, &iov, 1, length, flags, moved);
}

/* Splits ranges at what is in memory: adds the rest to m->list. */
static void find_missing(int fd, struct missing *m, const struct read_ahead_range *range)
{
	uint64_t end = range->offset + range->length;

	for (uint64_t at = range->offset, length; at < end; at += length) {
		struct read_ahead_range *last = m->count ? &m->list[m->count - 1] : NULL;
		off_t data = lseek(fd, (off_t)at, SEEK_DATA);
		uint64_t moved = 0;

		/* Holes are never read: the zero page stands for them. */
		if ((data < 0 && errno == ENXIO) || (data >= 0 && (uint64_t)data >= end))
			return;
		if (data > 0)
			at = max_u64(at, (uint64_t)data);
		length = min_u64(PROBE_BYTES, end - at);
		read_into(fd, m, at, length, RWF_NOWAIT, &moved); /* where it cannot be told, it is missing */
		if (moved == length)
			continue;
		if (last && !moved && last->offset + last->length == at)
			last->length += length;
		else
			m->list[m->count++] = (struct read_ahead_range){ at + moved, length - moved };
	}
}

/* Asks for all of the piece at once, so that the disk sees it as a whole, and then waits for it by reading it. */
static int page_cache_piece(void *arg, int fd, const struct read_ahead_range *ranges, unsigned count,
			    uint64_t *read_bytes)
{
	struct missing *m = arg;
	int err = 0;

	m->count = 0;
	for (unsigned i = 0; i < count; i++)
		find_missing(fd, m, &ranges[i]);
	for (unsigned i = 0; i < m->count; i++)
		posix_fadvise(fd, (off_t)m->list[i].offset, (off_t)m->list[i].length, POSIX_FADV_WILLNEED);
	for (unsigned i = 0; i < m->count && !err; i++) {
		uint64_t end = m->list[i].offset + m->list[i].length;
		uint64_t moved = 0;

		for (uint64_t at = m->list[i].offset; at < end && !err; at += moved) {
			err = read_into(fd, m, at, min_u64(PROBE_BYTES, end - at), 0, &moved);
			if (!moved)
				break; /* the end of the file */
			*read_bytes += moved;
		}
	}
	return err;
}

/* ---- pacing ---- */

static uint64_t available_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kb = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kb) == 1)
			break;
	if (file)
		fclose(file);
	return (uint64_t)kb << 10;
}

static void let_machines_go_first(const struct read_ahead *how, uint64_t piece_ms)
{
	uint64_t left = min_u64(piece_ms, PAUSE_MAX_MS);

	while (left > 0 && disk_env_reads_waiting(how->env) > 0 && !atomic_load(how->stop)) {
		uint64_t step = min_u64(left, PAUSE_STEP_MS);
		struct timespec pause = { .tv_nsec = (long)step * 1000000 };

		nanosleep(&pause, NULL);
		left -= step;
	}
}

/* Where the next piece begins. */
struct position {
	unsigned range;
	uint64_t into; /* bytes of it that are done */
};

static unsigned next_piece(const struct read_ahead *how, struct position *at,
			   struct read_ahead_range piece[READ_AHEAD_PIECE_RANGES], uint64_t *length)
{
	unsigned count = 0;

	*length = 0;
	while (at->range < how->range_count && count < READ_AHEAD_PIECE_RANGES && *length < READ_AHEAD_PIECE_BYTES) {
		const struct read_ahead_range *range = &how->ranges[at->range];
		uint64_t part = min_u64(range->length - at->into, READ_AHEAD_PIECE_BYTES - *length);

		if (part)
			piece[count++] = (struct read_ahead_range){ range->offset + at->into, part };
		*length += part;
		at->into += part;
		if (at->into == range->length)
			*at = (struct position){ .range = at->range + 1 };
	}
	return count;
}

static int run_pieces(const struct read_ahead *how, int fd, const struct read_ahead_layer *layer,
		      struct read_ahead_result *result)
{
	uint64_t most = how->memory_bytes ? how->memory_bytes : available_memory() / 2;
	struct read_ahead_range piece[READ_AHEAD_PIECE_RANGES];
	struct position at = { 0 };
	uint64_t length;
	unsigned count;
	int err = 0;

	while (!err && !atomic_load(how->stop) && (count = next_piece(how, &at, piece, &length)) > 0) {
		uint64_t began = time_monotonic_ms(), read_bytes = 0;

		if (result->read_bytes + length > most) {
			result->short_of_memory = true;
			break;
		}
		err = layer->piece(layer->arg, fd, piece, count, &read_bytes);
		result->asked_bytes += length;
		result->read_bytes += read_bytes;
		if (how->total)
			atomic_fetch_add(how->total, read_bytes);
		if (read_bytes)
			let_machines_go_first(how, time_monotonic_ms() - began);
	}
	return err;
}

int read_ahead_run(const struct read_ahead *how, struct read_ahead_result *result)
{
	struct missing *missing = malloc(sizeof(*missing));
	struct read_ahead_layer page_cache = { .piece = page_cache_piece, .arg = missing };
	int fd = open(how->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int err = fd < 0 ? -errno : 0;

	*result = (struct read_ahead_result){ 0 };
	if (!err && !missing)
		err = -ENOMEM;
	/* What is to be read is known: the kernel is not to guess more. */
	if (!err)
		posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	if (!err)
		err = run_pieces(how, fd, how->layer ? how->layer : &page_cache, result);
	if (fd >= 0)
		close(fd);
	free(missing);
	return err;
}
