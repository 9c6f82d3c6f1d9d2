// SPDX-License-Identifier: GPL-2.0-or-later
/* file.c on real files: what is read and written, and holes. */
#include "disk/file_faults.h"

static void test_read_write(void **state)
{
	struct fixture *fx = *state;
	struct file *file = fixture_open_file(fx, "a", DISK_ENV_CREATE);
	static char data[300 * K], back[310 * K];
	bool zero = true;

	fixture_pattern(data, sizeof(data), 0, 1);
	assert_int_equal(file->size_bytes, 0);
	assert_int_equal(run_data(fx, file, FILE_WRITE, 512, data, sizeof(data), NULL), 0);
	/* The page cache has no large folios of it: a small write into one, later, would cost the more. */
	assert_int_equal(faults.wide_writes, 0);
	/* Beyond the end there are zeroes. */
	memset(back, 1, sizeof(back));
	assert_int_equal(run_data(fx, file, FILE_READ, 512, back, sizeof(back), NULL), 0);
	assert_memory_equal(back, data, sizeof(data));
	for (size_t i = sizeof(data); i < sizeof(back); i++)
		zero = zero && back[i] == 0;
	assert_true(zero);
	assert_int_equal(run_data(fx, file, FILE_READ, 5 * M, back, 4 * K, NULL), 0);
	assert_int_equal(back[17], 0);
	assert_true(file->ops->allocated_bytes(file) >= sizeof(data));
	file->ops->close(file);
}

static void test_short_and_interrupted(void **state)
{
	struct fixture *fx = *state;
	struct file *file = fixture_open_file(fx, "short", DISK_ENV_CREATE);
	static char data[64 * K], back[64 * K];
	struct iovec iov = { back, sizeof(back) };

	fixture_pattern(data, sizeof(data), 0, 2);
	faults.most_bytes = 1000;
	faults.interrupts = 3;
	assert_int_equal(run_data(fx, file, FILE_WRITE, 0, data, sizeof(data), NULL), 0);
	assert_int_equal(faults.interrupts, 0);
	faults.interrupts = 3;
	assert_int_equal(run_data(fx, file, FILE_READ, 0, back, sizeof(back), NULL), 0);
	assert_memory_equal(back, data, sizeof(data));
	if (fixture_reads_now(fx)) {
		memset(back, 0, sizeof(back));
		faults.interrupts = 2;
		assert_true(file->ops->read_now(file, 0, &iov, 1, sizeof(back)));
		assert_memory_equal(back, data, sizeof(data));
	}
	file->ops->close(file);
}

/* Where inline reads are not possible they are refused, so that a worker reads. */
static bool skip_without_read_now(struct fixture *fx)
{
	struct file *file;
	char data[4 * K] = "x", back[4 * K];
	struct iovec iov = { back, sizeof(back) };

	if (fixture_reads_now(fx))
		return false;
	fixture_put(fixture_path(fx, "worker"), 0, data, sizeof(data), 0);
	file = fixture_open_file(fx, "worker", DISK_ENV_READ_ONLY);
	assert_false(file->ops->read_now(file, 0, &iov, 1, sizeof(back)));
	assert_int_equal(run_data(fx, file, FILE_READ, 0, back, sizeof(back), NULL), 0);
	assert_memory_equal(back, data, sizeof(data));
	file->ops->close(file);
	test_skip("the file system of %s has no RWF_NOWAIT", fx->dir);
	return true;
}

static void test_read_now_only_from_cache(void **state)
{
	struct fixture *fx = *state;
	static char data[M], back[M];
	struct iovec iov = { back, sizeof(back) };
	struct file *file;

	if (skip_without_read_now(fx))
		return;
	fixture_pattern(data, sizeof(data), 0, 3);
	fixture_put(fixture_path(fx, "cold"), 0, data, sizeof(data), 0);
	drop_cache(fx, "cold");
	file = fixture_open_file(fx, "cold", DISK_ENV_READ_ONLY);
	assert_false(file->ops->read_now(file, 0, &iov, 1, sizeof(back)));
	assert_int_equal(run_data(fx, file, FILE_READ, 0, back, sizeof(back), NULL), 0);
	assert_memory_equal(back, data, sizeof(data));
	memset(back, 0, sizeof(back));
	assert_true(file->ops->read_now(file, 0, &iov, 1, sizeof(back)));
	assert_memory_equal(back, data, sizeof(data));
	/* Across the end: zeroes behind what there is. */
	assert_true(file->ops->read_now(file, M - 4 * K, &iov, 1, sizeof(back)));
	assert_memory_equal(back, data + M - 4 * K, 4 * K);
	assert_int_equal(back[4 * K], 0);
	file->ops->close(file);
}

/* A punch holds the lock that beginning to read needs; the loop would wait for the disk below it. */
static void test_read_now_not_beside_a_punch(void **state)
{
	struct fixture *fx = *state;
	struct file *file;
	static char data[M], back[64 * K];
	struct iovec iov = { back, sizeof(back) };
	bool done = false;
	struct file_request punch = {
		.op = FILE_PUNCH, .offset = M / 2, .length = M / 2, .done = on_done, .user = &done
	};

	if (skip_without_read_now(fx))
		return;
	file = fixture_open_file(fx, "punched", DISK_ENV_CREATE);
	fixture_pattern(data, sizeof(data), 0, 4);
	assert_int_equal(run_data(fx, file, FILE_WRITE, 0, data, sizeof(data), NULL), 0);
	assert_true(file->ops->read_now(file, 0, &iov, 1, sizeof(back)));
	file->ops->submit(file, &punch);
	assert_false(file->ops->read_now(file, 0, &iov, 1, sizeof(back)));
	fixture_wait(fx, &done);
	assert_int_equal(punch.result, 0);
	assert_true(file->ops->read_now(file, 0, &iov, 1, sizeof(back)));
	assert_memory_equal(back, data, sizeof(back));
	file->ops->close(file);
}

static void test_bad_block(void **state)
{
	struct fixture *fx = *state;
	static char data[256 * K], back[256 * K];
	uint64_t bad = 0;
	struct file *file;

	fixture_pattern(data, sizeof(data), 0, 4);
	fixture_put(fixture_path(fx, "bad"), 0, data, sizeof(data), 0);
	file = fixture_open_file(fx, "bad", DISK_ENV_READ_ONLY);
	faults.bad_offset = 40 * K + 1536 + 7;
	assert_int_equal(run_data(fx, file, FILE_READ, 8 * K, back, 128 * K, &bad), -EIO);
	assert_int_equal(bad, 40 * K + 1536);
	faults.bad_offset = -1;
	assert_int_equal(run_data(fx, file, FILE_READ, 8 * K, back, 128 * K, NULL), 0);
	/* Cut behind our back: an error, not zeroes. */
	assert_int_equal(truncate(fixture_path(fx, "bad"), 100 * K), 0);
	assert_int_equal(run_data(fx, file, FILE_READ, 64 * K, back, 64 * K, &bad), -EIO);
	assert_int_equal(bad, 100 * K);
	assert_int_equal(run_data(fx, file, FILE_READ, 128 * K, back, 64 * K, &bad), -EIO);
	assert_int_equal(bad, 128 * K);
	file->ops->close(file);
}

static void test_read_only(void **state)
{
	struct fixture *fx = *state;
	char data[4 * K] = "x";
	struct iovec iov = { data, sizeof(data) };
	struct file *file;

	fixture_put(fixture_path(fx, "ro"), 0, data, sizeof(data), 0);
	file = fixture_open_file(fx, "ro", DISK_ENV_READ_ONLY);
	assert_int_equal(run_data(fx, file, FILE_WRITE, 0, data, sizeof(data), NULL), -EROFS);
	assert_int_equal(run_range(fx, file, FILE_PUNCH, 0, 4 * K), -EROFS);
	assert_int_equal(disk_file_write(file, 0, data, sizeof(data)), -EROFS);
	assert_false(file->ops->write_now(file, 0, &iov, 1, sizeof(data)));
	assert_int_equal(run_range(fx, file, FILE_SYNC, 0, 0), 0);
	assert_int_equal(faults.syncs, 0);
	file->ops->close(file);
}

/* ---- holes ---- */

static void test_holes(void **state)
{
	struct fixture *fx = *state;
	static char data[64 * K], back[64 * K];
	struct file *file;

	fixture_pattern(data, sizeof(data), 0, 5);
	/* Data at 1 MiB and 8 MiB of 16 MiB. */
	fixture_put(fixture_path(fx, "sparse"), M, data, sizeof(data), 16 * M);
	fixture_put(fixture_path(fx, "sparse"), 8 * M, data, sizeof(data), 0);
	file = fixture_open_file(fx, "sparse", DISK_ENV_READ_ONLY);
	assert_true(file->ops->is_hole(file, 2 * M, 6 * M));
	assert_false(file->ops->is_hole(file, 2 * M, 6 * M + 512));
	assert_false(file->ops->is_hole(file, M + 64 * K - 512, 64 * K));
	assert_false(file->ops->is_hole(file, 8 * M, 512));
	/* Who asks nevertheless gets zeroes. */
	memset(back, 1, sizeof(back));
	assert_int_equal(run_data(fx, file, FILE_READ, 2 * M, back, 64 * K, NULL), 0);
	assert_int_equal(back[0] | back[63 * K], 0);
	/* What begins in a hole and ends in data is read. */
	assert_int_equal(run_data(fx, file, FILE_READ, 8 * M - 32 * K, back, 64 * K, NULL), 0);
	assert_memory_equal(back + 32 * K, data, 32 * K);
	/* The last hole goes on for ever. */
	assert_true(file->ops->is_hole(file, 9 * M, 100 * (uint64_t)M));
	file->ops->close(file);
	/* A file that changes has no known holes. */
	file = fixture_open_file(fx, "sparse", 0);
	assert_int_equal(run_data(fx, file, FILE_READ, 2 * M, back, 64 * K, NULL), 0);
	assert_false(file->ops->is_hole(file, 2 * M, 512));
	file->ops->close(file);
}

static void test_punch_allocate_status(void **state)
{
	struct fixture *fx = *state;
	struct disk_extent extents[8];
	struct file_request status = { .op = FILE_STATUS, .length = 4 * M, .extents = extents, .extent_max = 8 };
	struct file *file = fixture_open_file(fx, "status", DISK_ENV_CREATE);
	static char data[M], back[64 * K];
	uint64_t before;

	fixture_pattern(data, sizeof(data), 0, 6);
	assert_int_equal(run_data(fx, file, FILE_WRITE, M, data, sizeof(data), NULL), 0);
	assert_int_equal(run_range(fx, file, FILE_SYNC, 0, 0), 0);
	before = file->ops->allocated_bytes(file);
	assert_int_equal(run_range(fx, file, FILE_PUNCH, M + 256 * K, 256 * K), 0);
	assert_true(file->ops->allocated_bytes(file) + 256 * K <= before);
	assert_int_equal(run_data(fx, file, FILE_READ, M + 256 * K, back, sizeof(back), NULL), 0);
	assert_int_equal(back[5], 0);
	assert_int_equal(fixture_file_run(fx, file, &status), 0);
	assert_int_equal(status.extent_count, 5);
	assert_false(extents[0].mapped);
	assert_int_equal(extents[0].length, M);
	assert_true(extents[1].mapped);
	assert_int_equal(extents[1].offset, M);
	assert_int_equal(extents[1].length, 256 * K);
	assert_false(extents[2].mapped);
	assert_int_equal(extents[2].length, 256 * K);
	assert_int_equal(extents[3].length, 512 * K);
	assert_int_equal(extents[4].offset + extents[4].length, 4 * M);
	/* It stops where the array is full. */
	status.extent_max = 2;
	assert_int_equal(fixture_file_run(fx, file, &status), 0);
	assert_int_equal(status.extent_count, 2);
	before = file->ops->allocated_bytes(file);
	assert_int_equal(run_range(fx, file, FILE_ALLOCATE, 8 * M, M), 0);
	assert_true(file->ops->allocated_bytes(file) >= before + M);
	file->ops->close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_read_write, faults_reset),
		cmocka_unit_test_setup(test_short_and_interrupted, faults_reset),
		cmocka_unit_test_setup(test_read_now_only_from_cache, faults_reset),
		cmocka_unit_test_setup(test_read_now_not_beside_a_punch, faults_reset),
		cmocka_unit_test_setup(test_bad_block, faults_reset),
		cmocka_unit_test_setup(test_read_only, faults_reset),
		cmocka_unit_test_setup(test_holes, faults_reset),
		cmocka_unit_test_setup(test_punch_allocate_status, faults_reset),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
