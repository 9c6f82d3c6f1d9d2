// SPDX-License-Identifier: GPL-2.0-or-later
/* What a boot reads is noted, and read ahead: traces, a disk that has one, and the page cache. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"
#include "cmocka_all.h"
#include "disk/read_trace.h"
#include "disk/fixture.h"
#include "disk/qcow2.h"
#include "disk/read_ahead.h"

enum { K = 1024, M = 1024 * 1024, PAGE = 4096 };

/* ---- traces ---- */

static void expect_run(const struct read_trace *trace, uint32_t from, uint32_t first, uint32_t count)
{
	uint32_t got_first = 0, got_count = 0;

	assert_true(read_trace_next(trace, from, &got_first, &got_count));
	assert_int_equal(got_first, first);
	assert_int_equal(got_count, count);
}

static void test_trace(void **state)
{
	/* Not a whole number of blocks, nor of words. */
	struct read_trace *trace = read_trace_new(1001 * (uint64_t)BOOT_BLOCK_BYTES + 512);
	uint32_t first, count;

	(void)state;
	assert_non_null(trace);
	assert_false(read_trace_next(trace, 0, &first, &count));
	read_trace_note(trace, 0, 0);
	assert_int_equal(read_trace_count(trace), 0);
	read_trace_note(trace, BOOT_BLOCK_BYTES - 1, 2);
	expect_run(trace, 0, 0, 2);
	read_trace_note(trace, 60 * BOOT_BLOCK_BYTES, 100 * BOOT_BLOCK_BYTES);
	expect_run(trace, 2, 60, 100);
	expect_run(trace, 100, 100, 60);
	read_trace_note(trace, 1001 * (uint64_t)BOOT_BLOCK_BYTES, 512);
	expect_run(trace, 160, 1001, 1);
	assert_false(read_trace_next(trace, 1002, &first, &count));
	/* Beyond the image nothing is. */
	read_trace_note(trace, 1001 * (uint64_t)BOOT_BLOCK_BYTES, 64 * M);
	read_trace_note(trace, (uint64_t)1 << 50, 512);
	assert_int_equal(read_trace_count(trace), 103);
	read_trace_unref(read_trace_ref(trace));
	read_trace_unref(trace);
	read_trace_unref(NULL);
	assert_null(read_trace_new((uint64_t)BOOT_BLOCK_BYTES << 32));
}

static void test_trace_of_a_disk(void **state)
{
	struct fixture *fx = *state;
	static char data[256 * K], back[256 * K];
	char golden[96], child[96];
	struct reason reason;
	struct qcow2_create create = {
		.path = child, .size_bytes = 8 * M, .backing = "golden", .backing_format = "raw"
	};
	struct disk_open how = { .path = child };
	struct disk_opened result;
	struct disk *disk;

	snprintf(golden, sizeof(golden), "%s", fixture_path(fx, "golden"));
	snprintf(child, sizeof(child), "%s", fixture_path(fx, "child"));
	fixture_pattern(data, sizeof(data), 0, 1);
	fixture_put(golden, 1 * M, data, sizeof(data), 8 * M);
	assert_int_equal(qcow2_create(&create, &reason), 0);
	how.trace = read_trace_new(8 * M);
	assert_non_null(how.trace);
	disk = fixture_open(fx, qcow2_disk_open, &how, &result);
	assert_non_null(disk);
	/* What the machine wrote is not the image's. */
	assert_int_equal(fixture_write(fx, disk, 4 * M, data, 64 * K, false), 0);
	assert_int_equal(fixture_read(fx, disk, 4 * M, back, 64 * K), 0);
	assert_int_equal(read_trace_count(how.trace), 0);
	assert_int_equal(fixture_read(fx, disk, 1 * M + 8 * K, back, 20 * K), 0);
	assert_memory_equal(back, data + 8 * K, 20 * K);
	expect_run(how.trace, 0, (1 * M + 8 * K) / BOOT_BLOCK_BYTES, 3);
	assert_int_equal(read_trace_count(how.trace), 3);
	read_trace_stop(how.trace);
	assert_int_equal(fixture_read(fx, disk, 1 * M + 64 * K, back, 64 * K), 0);
	assert_int_equal(read_trace_count(how.trace), 3);
	assert_int_equal(atomic_load(&how.trace->references), 1);
	assert_int_equal(fixture_close(fx, disk), 0);
	/* A disk that is closed with its trace gives it back, too. */
	atomic_store(&how.trace->stopped, false);
	disk = fixture_open(fx, qcow2_disk_open, &how, &result);
	assert_non_null(disk);
	assert_int_equal(atomic_load(&how.trace->references), 2);
	assert_int_equal(fixture_close(fx, disk), 0);
	assert_int_equal(atomic_load(&how.trace->references), 1);
	read_trace_unref(how.trace);
}

/* ---- reading ahead ---- */

/* Out of the page cache. False: this file system keeps it. A page that the kernel is busy with stays, the first time. */
static bool drop(const char *path)
{
	int fd = open(path, O_RDONLY);
	char byte;
	struct iovec iov = { &byte, 1 };
	bool gone = false;

	assert_true(fd >= 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (int i = 0; i < 100 && !gone; i++) {
		assert_int_equal(fdatasync(fd), 0);
		assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
		gone = preadv2(fd, &iov, 1, 0, RWF_NOWAIT) < 0 && errno == EAGAIN;
	}
	/* That may have begun to read the page, which cannot be dropped before it is there. */
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	return gone;
}

/* Bytes of a range that are in memory. */
static uint64_t resident(const char *path, uint64_t offset, uint64_t length)
{
	int fd = open(path, O_RDONLY);
	void *map = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	unsigned char *pages = malloc(length / PAGE);
	uint64_t sum = 0;

	assert_true(map != MAP_FAILED && pages);
	assert_int_equal(mincore(map, length, pages), 0);
	for (uint64_t i = 0; i < length / PAGE; i++)
		sum += pages[i] & 1 ? PAGE : 0;
	munmap(map, length);
	free(pages);
	close(fd);
	return sum;
}

static const struct read_ahead_range some[] = {
	{ 0, 64 * K },
	{ 128 * K, 8 * K },
	{ 1 * M, 2 * M + 24 * K },
	{ 6 * M, 64 * K },
};
enum { SOME_BYTES = 2 * M + 160 * K };

static const char *make_golden(struct fixture *fx)
{
	const char *path = fixture_path(fx, "golden");
	char *data = malloc(4 * M);

	assert_non_null(data);
	fixture_pattern(data, 4 * M, 0, 3);
	fixture_put(path, 0, data, 4 * M, 8 * M); /* the rest is a hole */
	free(data);
	return path;
}

static void test_page_cache(void **state)
{
	struct fixture *fx = *state;
	atomic_bool stop = false;
	atomic_ullong total = 0;
	struct read_ahead how = {
		.env = fx->env, .path = make_golden(fx), .ranges = some, .stop = &stop, .total = &total
	};
	struct read_ahead_result result;

	how.range_count = array_len(some);
	if (!drop(how.path)) {
		test_skip("the file system of %s keeps its pages in memory", fx->dir);
		return;
	}
	assert_int_equal(read_ahead_run(&how, &result), 0);
	assert_int_equal(result.asked_bytes, SOME_BYTES);
	assert_int_equal(result.read_bytes, SOME_BYTES - 64 * K); /* without the hole */
	assert_int_equal(atomic_load(&total), result.read_bytes);
	assert_false(result.short_of_memory);
	/* What was asked for, and nothing else. */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(resident(how.path, some[i].offset, some[i].length), some[i].length);
	assert_int_equal(resident(how.path, 0, 8 * M), SOME_BYTES - 64 * K);
	/* Now it is there: nothing is read. */
	assert_int_equal(read_ahead_run(&how, &result), 0);
	assert_int_equal(result.read_bytes, 0);
	assert_int_equal(result.asked_bytes, SOME_BYTES);
	assert_int_equal(resident(how.path, 6 * M, 64 * K), 0);
}

static void test_bounds(void **state)
{
	struct fixture *fx = *state;
	atomic_bool stop = false;
	struct read_ahead how = { .env = fx->env, .path = make_golden(fx), .ranges = some, .stop = &stop };
	struct read_ahead_result result;

	how.range_count = array_len(some);
	if (!drop(how.path)) {
		test_skip("the file system of %s keeps its pages in memory", fx->dir);
		return;
	}
	how.memory_bytes = 1 * M;
	assert_int_equal(read_ahead_run(&how, &result), 0);
	assert_true(result.short_of_memory);
	assert_int_equal(result.read_bytes, 1 * M);
	atomic_store(&stop, true);
	assert_int_equal(read_ahead_run(&how, &result), 0);
	assert_int_equal(result.asked_bytes, 0);
	atomic_store(&stop, false);
	how.path = fixture_path(fx, "nothing");
	assert_int_equal(read_ahead_run(&how, &result), -ENOENT);
}

struct pieces {
	unsigned count;
	uint64_t bytes, end;
	int fails_at; /* -1: never */
};

static int piece(void *arg, int fd, const struct read_ahead_range *ranges, unsigned count, uint64_t *read_bytes)
{
	struct pieces *p = arg;
	uint64_t length = 0;

	assert_true(fd >= 0 && count > 0 && count <= READ_AHEAD_PIECE_RANGES);
	if ((int)p->count++ == p->fails_at)
		return -EIO;
	for (unsigned i = 0; i < count; i++) {
		assert_true(ranges[i].length > 0 && ranges[i].offset >= p->end);
		p->end = ranges[i].offset + ranges[i].length;
		length += ranges[i].length;
	}
	assert_true(length <= READ_AHEAD_PIECE_BYTES);
	p->bytes += length;
	*read_bytes = length;
	return 0;
}

static void test_layer(void **state)
{
	struct fixture *fx = *state;
	atomic_bool stop = false;
	struct read_ahead_range many[1000];
	struct pieces pieces = { .fails_at = -1 };
	struct read_ahead_layer layer = { piece, &pieces };
	struct read_ahead how = {
		.env = fx->env, .path = make_golden(fx), .ranges = some, .layer = &layer, .stop = &stop
	};
	struct read_ahead_result result;

	how.range_count = array_len(some);
	assert_int_equal(read_ahead_run(&how, &result), 0);
	assert_int_equal(pieces.bytes, SOME_BYTES);
	assert_int_equal(pieces.count, 1);
	/* In one run: cut where a piece is full. */
	how.ranges = &(struct read_ahead_range){ 4 * K, 2 * (uint64_t)READ_AHEAD_PIECE_BYTES + 8 * K };
	how.range_count = 1;
	pieces = (struct pieces){ .fails_at = -1 };
	assert_int_equal(read_ahead_run(&how, &result), 0);
	assert_int_equal(pieces.bytes, 2 * READ_AHEAD_PIECE_BYTES + 8 * K);
	assert_int_equal(pieces.count, 3);
	for (unsigned i = 0; i < array_len(many); i++)
		many[i] = (struct read_ahead_range){ (uint64_t)i * 8 * K, 4 * K };
	how.ranges = many;
	how.range_count = array_len(many);
	pieces = (struct pieces){ .fails_at = -1 };
	assert_int_equal(read_ahead_run(&how, &result), 0);
	assert_int_equal(pieces.bytes, array_len(many) * 4 * K);
	assert_int_equal(pieces.count, (array_len(many) + READ_AHEAD_PIECE_RANGES - 1) / READ_AHEAD_PIECE_RANGES);
	pieces = (struct pieces){ .fails_at = 1 };
	assert_int_equal(read_ahead_run(&how, &result), -EIO);
	assert_int_equal(result.read_bytes, READ_AHEAD_PIECE_RANGES * 4 * K);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace),
		TEST(test_trace_of_a_disk),
		TEST(test_page_cache),
		TEST(test_bounds),
		TEST(test_layer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
