// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading ahead: see read_ahead.h. Workers; no state but the caller's. */
#include "disk/read_ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "disk/engine.h"
#include "disk/file_io.h"

enum {
	PAUSE_MAX_MS = 200,
	PAUSE_STEP_MS = 10, /* how soon a pause sees that it is to stop */
	STEP_BYTES = 512 << 10,
};

/* ---- the page cache ---- */

struct page_cache {
	uint8_t scratch[STEP_BYTES];
};

/*
 * Bytes of a range that are not in memory. For the count only: to who neither owns nor may write the file, the kernel
 * says that all is there. (RWF_NOWAIT would say it, too, but begins to read what it does not find.)
 */
static uint64_t missing_bytes(int fd, uint64_t offset, uint64_t length)
{
	uint64_t start = align_down(offset, DISK_PHYSICAL_BYTES), missing = 0;
	unsigned char pages[STEP_BYTES / DISK_PHYSICAL_BYTES + 1];
	size_t size = offset + length - start;
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, (off_t)start);

	if (map == MAP_FAILED)
		return 0;
	if (!mincore(map, size, pages))
		for (size_t i = 0; i < (size + DISK_PHYSICAL_BYTES - 1) / DISK_PHYSICAL_BYTES; i++)
			missing += pages[i] & 1 ? 0 : DISK_PHYSICAL_BYTES;
	munmap(map, size);
	return min_u64(missing, length);
}

/*
 * The next part of a range that holds data, STEP_BYTES at the most, from *at on. Holes are never read: the zero page
 * stands for them.
 */
static uint64_t next_step(int fd, const struct read_ahead_range *range, uint64_t *at)
{
	uint64_t end = range->offset + range->length;
	off_t data = *at < end ? lseek(fd, (off_t)*at, SEEK_DATA) : -1;

	if (data >= 0)
		*at = max_u64(*at, (uint64_t)data);
	else if (*at >= end || errno == ENXIO)
		return 0;
	return *at < end ? min_u64(STEP_BYTES, end - *at) : 0;
}

/* Asks for all of the piece at once, so that the disk sees it as a whole, and then waits for it by reading it. */
static int page_cache_piece(void *arg, int fd, const struct read_ahead_range *ranges, unsigned count,
			    uint64_t *read_bytes)
{
	struct page_cache *cache = arg;
	uint64_t at, length, moved;
	int err = 0;

	for (unsigned i = 0; i < count; i++) {
		for (at = ranges[i].offset; (length = next_step(fd, &ranges[i], &at)) > 0; at += length) {
			*read_bytes += missing_bytes(fd, at, length);
			posix_fadvise(fd, (off_t)at, (off_t)length, POSIX_FADV_WILLNEED);
		}
	}
	for (unsigned i = 0; i < count && !err; i++) {
		for (at = ranges[i].offset; !err && (length = next_step(fd, &ranges[i], &at)) > 0; at += length) {
			struct iovec iov = { cache->scratch, length };

			err = file_io_move(fd, FILE_IO_READ, at, &iov, 1, length, 0, &moved);
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

static unsigned next_piece(const struct read_ahead *how, struct position *at, uint64_t most,
			   struct read_ahead_range piece[READ_AHEAD_PIECE_RANGES], uint64_t *length)
{
	unsigned count = 0;

	*length = 0;
	while (at->range < how->range_count && count < READ_AHEAD_PIECE_RANGES && *length < most) {
		const struct read_ahead_range *range = &how->ranges[at->range];
		uint64_t part = min_u64(range->length - at->into, most - *length);

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

	while (!err && !atomic_load(how->stop) && at.range < how->range_count) {
		uint64_t began = time_monotonic_ms(), read_bytes = 0;
		uint64_t room = min_u64(READ_AHEAD_PIECE_BYTES, most - result->read_bytes);

		count = next_piece(how, &at, room, piece, &length);
		if (!count) {
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
	struct page_cache *cache = malloc(sizeof(*cache));
	struct stat st;
	struct read_ahead_layer page_cache = { .piece = page_cache_piece, .arg = cache };
	int fd = open(how->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int err = fd < 0 ? -errno : 0;

	*result = (struct read_ahead_result){ 0 };
	if (!err && !cache)
		err = -ENOMEM;
	if (!err && fstat(fd, &st))
		err = -errno;
	if (!err) {
		/* What is to be read is known: the kernel is not to guess more. */
		posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
		disk_env_set_read_ahead(how->env, st.st_ino);
		err = run_pieces(how, fd, how->layer ? how->layer : &page_cache, result);
		disk_env_set_read_ahead(how->env, 0);
	}
	if (fd >= 0)
		close(fd);
	free(cache);
	return err;
}
