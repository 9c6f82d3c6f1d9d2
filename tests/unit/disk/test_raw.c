// SPDX-License-Identifier: GPL-2.0-or-later
/* Raw files as disks, on a real file system. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "disk/fixture.h"

enum { K = 1024, M = 1024 * 1024 };

static bool cold; /* the page cache has nothing: reads go to workers, which look for holes */

/* Stands before libc's. */
ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if (cold && flags & RWF_NOWAIT) {
		errno = EAGAIN;
		return -1;
	}
	return syscall(SYS_preadv2, fd, iov, count, offset, 0, flags);
}

static struct disk *open_raw(struct fixture *fx, const char *name, bool read_only)
{
	struct disk_open how = { .path = fixture_path(fx, name), .read_only = read_only };
	struct disk_opened result;
	struct disk *disk = fixture_open(fx, raw_disk_open, &how, &result);

	assert_int_equal(result.err, 0);
	assert_non_null(disk);
	return disk;
}

static int open_fails(struct fixture *fx, const char *name, const char *word)
{
	struct disk_open how = { .path = fixture_path(fx, name), .read_only = true };
	struct disk_opened result;

	assert_null(fixture_open(fx, raw_disk_open, &how, &result));
	assert_non_null(strstr(result.reason.text, word));
	assert_non_null(strstr(result.reason.text, fx->dir));
	return result.err;
}

static void test_golden(void **state)
{
	struct fixture *fx = *state;
	static char data[256 * K], back[256 * K];
	struct disk_info info;
	struct disk *a, *b;

	fixture_pattern(data, sizeof(data), 0, 1);
	fixture_put(fixture_path(fx, "golden"), 4 * M, data, sizeof(data), 64 * M + 100);
	a = open_raw(fx, "golden", true);
	b = open_raw(fx, "golden", true);
	disk_get_info(a, &info);
	assert_int_equal(info.size_bytes, 64 * M + 512);
	assert_true(info.read_only && !info.failed);
	assert_true(info.allocated_bytes >= sizeof(data) && info.allocated_bytes < 4 * M);
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(fixture_read(fx, a, 4 * M, back, sizeof(back)), 0);
		assert_memory_equal(back, data, sizeof(data));
		assert_int_equal(fixture_read(fx, b, 4 * M - 512, back, 1024), 0);
		assert_int_equal(back[0] | back[511], 0);
		assert_memory_equal(back + 512, data, 512);
		memset(back, 1, sizeof(back));
		assert_int_equal(fixture_read(fx, a, 8 * M, back, sizeof(back)), 0);
		assert_int_equal(back[0] | back[sizeof(back) - 1], 0);
		memset(back, 1, sizeof(back));
		assert_int_equal(fixture_read(fx, a, 64 * M, back, 512), 0);
		assert_int_equal(back[0] | back[511], 0);
	}
	assert_int_equal(fixture_write(fx, a, 0, data, 512, false), -EROFS);
	assert_int_equal(fixture_zero(fx, a, DISK_DISCARD, 0, 512), -EROFS);
	assert_int_equal(fixture_flush(fx, a), 0);
	assert_int_equal(fixture_close(fx, a), 0);
	assert_int_equal(fixture_close(fx, b), 0);
}

/* A known hole is lent as the zero region: no memory for it. */
static void keep_request(struct disk_request *req)
{
	*(bool *)req->user = true;
}

static void test_hole_is_the_zero_region(void **state)
{
	struct fixture *fx = *state;
	char data[512] = "x";
	bool done = false;
	struct disk_request req = { .op = DISK_READ, .offset = M, .length = M, .done = keep_request, .user = &done };
	struct disk *disk;

	fixture_put(fixture_path(fx, "hole"), 0, data, sizeof(data), 16 * M);
	disk = open_raw(fx, "hole", true);
	cold = true;
	assert_int_equal(fixture_read(fx, disk, M, data, sizeof(data)), 0);
	cold = false;
	disk_submit(disk, &req);
	fixture_wait(fx, &done);
	assert_int_equal(req.iov_count, 1);
	assert_ptr_equal(req.iov[0].iov_base, disk_env_zeroes(fx->env));
	disk_release(disk, &req);
	assert_int_equal(fixture_close(fx, disk), 0);
}

static void test_writable(void **state)
{
	struct fixture *fx = *state;
	static char data[2 * M], back[2 * M];
	struct disk_info info;
	struct disk *disk;
	uint64_t before;

	fixture_put(fixture_path(fx, "rw"), 0, "", 1, 32 * M);
	disk = open_raw(fx, "rw", false);
	fixture_pattern(data, sizeof(data), 0, 2);
	assert_int_equal(fixture_write(fx, disk, 512, data, 1536, false), 0);
	assert_int_equal(fixture_write(fx, disk, 4 * M, data, sizeof(data), true), 0);
	assert_int_equal(fixture_read(fx, disk, 512, back, 1536), 0);
	assert_memory_equal(back, data, 1536);
	assert_int_equal(fixture_flush(fx, disk), 0);
	disk_get_info(disk, &info);
	before = info.allocated_bytes;
	assert_int_equal(fixture_zero(fx, disk, DISK_DISCARD, 4 * M + 4 * K, M), 0);
	assert_int_equal(fixture_zero(fx, disk, DISK_WRITE_ZEROES, 4 * M + 512, 512), 0);
	disk_get_info(disk, &info);
	assert_true(info.allocated_bytes <= before - M);
	memset(data + 4 * K, 0, M);
	memset(data + 512, 0, 512);
	assert_int_equal(fixture_read(fx, disk, 4 * M, back, sizeof(back)), 0);
	assert_memory_equal(back, data, sizeof(data));
	/* The whole disk in one. */
	assert_int_equal(fixture_zero(fx, disk, DISK_DISCARD, 0, 32 * M), 0);
	assert_int_equal(fixture_read(fx, disk, 4 * M, back, 4 * K), 0);
	assert_int_equal(back[100], 0);
	assert_int_equal(fixture_close(fx, disk), 0);
}

static void test_status(void **state)
{
	struct fixture *fx = *state;
	struct disk_extent extents[8];
	static char data[64 * K];
	bool done = false;
	struct disk_request req = {
		.op = DISK_STATUS, .extents = extents, .extent_max = 8, .done = keep_request, .user = &done
	};
	struct disk *disk;

	fixture_pattern(data, sizeof(data), 0, 3);
	/* The last byte lies alone in its block. */
	fixture_put(fixture_path(fx, "status"), M, data, sizeof(data), 0);
	fixture_put(fixture_path(fx, "status"), 2 * M + 4 * K, data, 1, 0);
	disk = open_raw(fx, "status", true);
	req.length = disk->size_bytes;
	assert_int_equal(disk->size_bytes, 2 * M + 4 * K + 512);
	disk_submit(disk, &req);
	fixture_wait(fx, &done);
	assert_int_equal(req.result, 0);
	assert_int_equal(req.extent_count, 4);
	for (unsigned i = 0, at = 0; i < 4; i++) {
		assert_int_equal(extents[i].offset, at);
		assert_int_equal(extents[i].offset % 512, 0);
		assert_int_equal(extents[i].mapped, i % 2);
		at += (unsigned)extents[i].length;
	}
	assert_int_equal(extents[1].offset, M);
	assert_int_equal(extents[3].length, 512);
	assert_int_equal(fixture_close(fx, disk), 0);
}

static void test_opening_fails(void **state)
{
	struct fixture *fx = *state;
	struct disk *disk;

	assert_int_equal(open_fails(fx, "missing", "missing"), -ENOENT);
	assert_int_equal(open_fails(fx, ".", "regular"), -EINVAL);
	assert_int_equal(fixture_shell(fx, ": >empty && mkfifo fifo"), 0);
	assert_int_equal(open_fails(fx, "empty", "empty"), -EINVAL);
	assert_int_equal(open_fails(fx, "fifo", "regular"), -EINVAL);
	fixture_put(fixture_path(fx, "busy"), 0, "x", 1, M);
	disk = open_raw(fx, "busy", false);
	assert_int_equal(open_fails(fx, "busy", "another process"), -EBUSY);
	assert_int_equal(fixture_close(fx, disk), 0);
	/* closed means that it is free. */
	disk = open_raw(fx, "busy", false);
	assert_int_equal(fixture_close(fx, disk), 0);
}

/* ---- many requests at once, compared with a model ---- */

enum { STORM_BYTES = 4 * M, STORM_REQUESTS = 48, STORM_ROUNDS = 4000, STORM_MOST = 256 * K };

struct storm {
	struct disk *disk;
	unsigned char *model;
	unsigned seed, submitted, left;
	bool over;
};

struct storm_request {
	struct disk_request req;
	struct storm *storm;
	struct iovec iov;
	unsigned char *bytes; /* WRITE: the data; READ: what it should be */
};

static void storm_submit(struct storm_request *s);

static void storm_done(struct disk_request *req)
{
	struct storm_request *s = container_of(req, struct storm_request, req);
	size_t at = 0;

	assert_int_equal(req->result, 0);
	if (req->op == DISK_READ) {
		for (int i = 0; i < req->iov_count; i++) {
			assert_memory_equal(req->iov[i].iov_base, s->bytes + at, req->iov[i].iov_len);
			at += req->iov[i].iov_len;
		}
		assert_int_equal(at, req->length);
		disk_release(s->storm->disk, req);
	}
	if (s->storm->submitted < STORM_ROUNDS)
		storm_submit(s);
	else
		s->storm->over = --s->storm->left == 0;
}

/* The order of submission is the order that counts: the model changes, and is copied, here. */
static void storm_submit(struct storm_request *s)
{
	struct storm *storm = s->storm;
	unsigned kind = (unsigned)rand_r(&storm->seed) % 10;
	bool pages = rand_r(&storm->seed) % 2;
	unsigned unit = pages ? 4 * K : 512;
	uint64_t length = ((uint64_t)rand_r(&storm->seed) % (STORM_MOST / unit) + 1) * unit;
	uint64_t offset = ((uint64_t)rand_r(&storm->seed) % ((STORM_BYTES - length) / unit + 1)) * unit;

	s->req = (struct disk_request){ .done = storm_done, .offset = offset, .length = length };
	s->req.op = kind < 4 ? DISK_READ : kind < 8 ? DISK_WRITE : kind < 9 ? DISK_DISCARD : DISK_FLUSH;
	s->req.fua = kind == 7;
	if (s->req.op == DISK_FLUSH)
		s->req.offset = s->req.length = 0;
	if (s->req.op == DISK_WRITE) {
		fixture_pattern(s->bytes, length, offset, storm->submitted + 1);
		memcpy(storm->model + offset, s->bytes, length);
		s->iov = (struct iovec){ s->bytes, length };
		s->req.iov = &s->iov;
		s->req.iov_count = 1;
	} else if (s->req.op == DISK_DISCARD) {
		memset(storm->model + offset, 0, length);
	} else if (s->req.op == DISK_READ) {
		memcpy(s->bytes, storm->model + offset, length);
	}
	storm->submitted++;
	disk_submit(storm->disk, &s->req);
}

static void test_storm(void **state)
{
	struct fixture *fx = *state;
	struct storm storm = { .seed = 4711, .left = STORM_REQUESTS };
	static struct storm_request requests[STORM_REQUESTS];

	storm.model = calloc(1, STORM_BYTES);
	assert_non_null(storm.model);
	fixture_put(fixture_path(fx, "storm"), 0, "", 1, STORM_BYTES);
	storm.disk = open_raw(fx, "storm", false);
	for (unsigned i = 0; i < STORM_REQUESTS; i++) {
		requests[i] = (struct storm_request){ .storm = &storm, .bytes = malloc(STORM_MOST) };
		assert_non_null(requests[i].bytes);
		storm_submit(&requests[i]);
	}
	fixture_wait(fx, &storm.over);
	assert_int_equal(fixture_close(fx, storm.disk), 0);
	for (unsigned i = 0; i < STORM_REQUESTS; i++)
		free(requests[i].bytes);
	free(storm.model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),	      cmocka_unit_test(test_hole_is_the_zero_region),
		cmocka_unit_test(test_writable),      cmocka_unit_test(test_status),
		cmocka_unit_test(test_opening_fails), cmocka_unit_test(test_storm),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
