// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * file.c on real files. The system calls below stand before libc's: they can be told to be short, to be
 * interrupted, to fail from an offset on.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "disk/fixture.h"
#include "disk/sync.h"
#include "skip.h"

/* ---- faults ---- */

static struct {
	atomic_int interrupts;	 /* so many calls fail with EINTR */
	atomic_ulong most_bytes; /* of one call; 0: no bound */
	atomic_long bad_offset;	 /* reads that touch this byte fail with EIO; -1: none */
	atomic_int write_error;	 /* of every write; 0: none */
	atomic_int sync_error;	 /* of the next sync; 0: none */
	atomic_int syncs;	 /* how many ran */
	atomic_int blocked;	 /* syncs wait while it is not 0 */
	atomic_int syncing, writing; /* calls that are in the kernel */
	atomic_int overlaps;	 /* of a sync and a write */
	atomic_ulong wide_writes; /* that reach from one 16 KiB of the file into the next */
} faults = { .bad_offset = -1 };

static int faults_reset(void **state)
{
	(void)state;
	faults.interrupts = faults.write_error = faults.sync_error = faults.syncs = faults.blocked = 0;
	faults.most_bytes = 0;
	faults.bad_offset = -1;
	return 0;
}

static bool interrupted(void)
{
	if (faults.interrupts <= 0)
		return false;
	faults.interrupts--;
	errno = EINTR;
	return true;
}

/* At most so many bytes of iov, in one piece: short on purpose. */
static int shorten(const struct iovec *iov, int count, struct iovec *piece)
{
	if (faults.most_bytes == 0 || count == 0)
		return 0;
	*piece = iov[0];
	piece->iov_len = min_u64(piece->iov_len, faults.most_bytes);
	return 1;
}

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	long bad = faults.bad_offset;
	struct iovec piece;

	if (interrupted())
		return -1;
	if (shorten(iov, count, &piece)) {
		iov = &piece;
		count = 1;
	}
	if (bad >= 0) {
		size_t total = 0;

		for (int i = 0; i < count; i++)
			total += iov[i].iov_len;
		/* As the page cache does: what comes before the bad page is had. */
		if (offset <= bad && (size_t)(bad - offset) < total) {
			long page = bad / 4096 * 4096;

			if (offset >= page || flags & RWF_NOWAIT) {
				errno = flags & RWF_NOWAIT ? EAGAIN : EIO;
				return -1;
			}
			piece = iov[0];
			piece.iov_len = min_u64(piece.iov_len, (uint64_t)(page - offset));
			iov = &piece;
			count = 1;
		}
	}
	return syscall(SYS_preadv2, fd, iov, count, offset, 0, flags);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
	long bad = faults.bad_offset;

	if (bad >= 0 && offset <= bad && (size_t)(bad - offset) < size) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, data, size, offset);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	struct iovec piece;
	ssize_t n;

	if (interrupted())
		return -1;
	if (faults.write_error) {
		errno = faults.write_error;
		return -1;
	}
	if (shorten(iov, count, &piece)) {
		iov = &piece;
		count = 1;
	}
	faults.writing++;
	faults.overlaps += faults.syncing != 0;
	n = syscall(SYS_pwritev2, fd, iov, count, offset, 0, flags);
	faults.writing--;
	faults.wide_writes += n > 0 && offset / 16384 != (offset + n - 1) / 16384;
	return n;
}

int fdatasync(int fd)
{
	int error = atomic_exchange(&faults.sync_error, 0);
	int result;

	faults.syncing++;
	while (faults.blocked)
		usleep(100);
	faults.syncs++;
	faults.overlaps += faults.writing != 0;
	result = error ? -1 : (int)syscall(SYS_fdatasync, fd);
	faults.syncing--;
	if (error)
		errno = error;
	return result;
}

/* ---- helpers ---- */

static void on_done(struct file_request *req)
{
	*(bool *)req->user = true;
}

static int run_range(struct fixture *fx, struct file *file, enum file_op op, uint64_t offset, uint64_t length)
{
	struct file_request req = { .op = op, .offset = offset, .length = length };

	return fixture_file_run(fx, file, &req);
}

static int run_data(struct fixture *fx, struct file *file, enum file_op op, uint64_t offset, void *data, size_t length,
		    uint64_t *error_offset)
{
	/* Three pieces, so that the iovec is walked. */
	struct iovec iov[3] = { { data, 100 }, { (char *)data + 100, 0 }, { (char *)data + 100, length - 100 } };
	struct file_request req = { .op = op, .offset = offset, .length = length, .iov = iov, .iov_count = 3 };
	int err = fixture_file_run(fx, file, &req);

	if (error_offset)
		*error_offset = req.error_offset;
	return err;
}

static void drop_cache(struct fixture *fx, const char *name)
{
	int fd = open(fixture_path(fx, name), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	fsync(fd);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
}

enum { K = 1024, M = 1024 * 1024 };

/* ---- reading and writing ---- */

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
	struct file_request punch = { .op = FILE_PUNCH, .offset = M / 2, .length = M / 2, .done = on_done, .user = &done };

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

/* ---- what may be written inline, and syncs ---- */

struct sync {
	struct file_request req;
	bool done;
};

static void sync_submit(struct file *file, struct sync *sync)
{
	*sync = (struct sync){ .req = { .op = FILE_SYNC, .done = on_done, .user = &sync->done } };
	file->ops->submit(file, &sync->req);
}

/* Written to a moment ago, and nothing is dirty. */
static void warm(struct fixture *fx, struct file *file)
{
	static char data[4 * K];

	assert_int_equal(run_data(fx, file, FILE_WRITE, 0, data, sizeof(data), NULL), 0);
	assert_int_equal(run_range(fx, file, FILE_SYNC, 0, 0), 0);
}

static void test_write_now_rules(void **state)
{
	struct fixture *fx = *state;
	struct file *file = fixture_open_file(fx, "now", DISK_ENV_CREATE);
	static char data[M];
	struct iovec iov = { data, sizeof(data) };
	struct sync sync;
	unsigned inline_writes = 0;
	bool again = false;

	fixture_pattern(data, sizeof(data), 0, 7);
	assert_false(file->ops->write_now(file, 512, &iov, 1, sizeof(data)));
	iov.iov_len = 512;
	assert_false(file->ops->write_now(file, 0, &iov, 1, 512));
	iov.iov_len = M;
	/* The first one may need what the file system has not in memory. */
	assert_false(file->ops->write_now(file, 0, &iov, 1, M));
	warm(fx, file);
	assert_true(file->ops->write_now(file, 0, &iov, 1, M));
	faults.blocked = 1;
	sync_submit(file, &sync);
	while (!faults.syncing)
		usleep(100);
	assert_false(file->ops->write_now(file, 0, &iov, 1, M));
	faults.blocked = 0;
	fixture_wait(fx, &sync.done);
	/* The budget: after so much, which may all be dirty in a file so long, it starts writing back, and then takes more. */
	assert_int_equal(run_data(fx, file, FILE_WRITE, 1024LL * M, data, sizeof(data), NULL), 0);
	while (inline_writes < 1000 && file->ops->write_now(file, M, &iov, 1, M))
		inline_writes++;
	assert_in_range(inline_writes, 16, 256);
	while (!again) {
		again = file->ops->write_now(file, M, &iov, 1, M);
		if (!again)
			loop_run_once(fx->loop, true);
	}
	faults.write_error = ENOSPC;
	assert_false(file->ops->write_now(file, 0, &iov, 1, M));
	assert_int_equal(run_data(fx, file, FILE_WRITE, 0, data, sizeof(data), NULL), -ENOSPC);
	file->ops->close(file);
}

/* The loop's writes and a worker's syncs are never in the kernel at the same time, and many of either get there. */
static void test_write_now_beside_sync(void **state)
{
	struct fixture *fx = *state;
	struct file *file = fixture_open_file(fx, "beside", DISK_ENV_CREATE);
	static char data[4 * K];
	struct iovec iov = { data, sizeof(data) };
	struct sync sync = { .done = true };
	unsigned written = 0;

	warm(fx, file);
	faults.overlaps = 0;
	while (faults.syncs < 200 || written < 2000) {
		if (sync.done)
			sync_submit(file, &sync);
		written += file->ops->write_now(file, 0, &iov, 1, sizeof(data));
		loop_run_once(fx->loop, false);
	}
	fixture_wait(fx, &sync.done);
	assert_int_equal(faults.overlaps, 0);
	file->ops->close(file);
}

static void submit_shared(struct syncs *one_at_a_time, struct sync *syncs, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		syncs[i] = (struct sync){ .req = { .done = on_done, .user = &syncs[i].done } };
		syncs_submit(one_at_a_time, &syncs[i].req);
	}
}

static void test_syncs_are_shared(void **state)
{
	struct fixture *fx = *state;
	struct file *file = fixture_open_file(fx, "shared", DISK_ENV_CREATE);
	struct syncs one_at_a_time;
	struct sync syncs[10];

	syncs_init(&one_at_a_time, file);
	faults.blocked = 1;
	submit_shared(&one_at_a_time, syncs, array_len(syncs));
	assert_true(syncs_running(&one_at_a_time));
	faults.blocked = 0;
	for (unsigned i = 0; i < array_len(syncs); i++) {
		fixture_wait(fx, &syncs[i].done);
		assert_int_equal(syncs[i].req.result, 0);
	}
	/* The first began before the others came; one more serves those. */
	assert_int_equal(faults.syncs, 2);
	assert_false(syncs_running(&one_at_a_time));
	file->ops->close(file);
}

/* Also those fail that came while the failing one ran, and no second one is tried: it would succeed. */
static void test_failed_sync_fails_all(void **state)
{
	struct fixture *fx = *state;
	struct file *file = fixture_open_file(fx, "fails", DISK_ENV_CREATE);
	struct syncs one_at_a_time;
	struct sync syncs[10], late;

	syncs_init(&one_at_a_time, file);
	faults.blocked = 1;
	faults.sync_error = EIO;
	submit_shared(&one_at_a_time, syncs, array_len(syncs));
	faults.blocked = 0;
	for (unsigned i = 0; i < array_len(syncs); i++) {
		fixture_wait(fx, &syncs[i].done);
		assert_int_equal(syncs[i].req.result, -EIO);
	}
	submit_shared(&one_at_a_time, &late, 1);
	assert_false(late.done);
	fixture_wait(fx, &late.done);
	assert_int_equal(late.req.result, -EIO);
	assert_int_equal(faults.syncs, 1);
	file->ops->close(file);
}

static void test_failed_sync_sticks(void **state)
{
	struct fixture *fx = *state;
	struct file *file = fixture_open_file(fx, "sticks", DISK_ENV_CREATE);

	faults.sync_error = EIO;
	assert_int_equal(run_range(fx, file, FILE_SYNC, 0, 0), -EIO);
	assert_int_equal(run_range(fx, file, FILE_SYNC, 0, 0), -EIO);
	assert_int_equal(faults.syncs, 1);
	file->ops->close(file);
	/* In opening, too. */
	file = fixture_open_file(fx, "sticks", 0);
	faults.sync_error = EIO;
	assert_int_equal(disk_file_sync(file), -EIO);
	assert_int_equal(run_range(fx, file, FILE_SYNC, 0, 0), -EIO);
	file->ops->close(file);
}

static void test_ephemeral_never_syncs(void **state)
{
	struct fixture *fx = *state;
	struct file *file = fixture_open_file(fx, "ephemeral", DISK_ENV_CREATE | DISK_ENV_NO_SYNC);

	assert_int_equal(run_range(fx, file, FILE_SYNC, 0, 0), 0);
	assert_int_equal(disk_file_sync(file), 0);
	assert_int_equal(faults.syncs, 0);
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
		cmocka_unit_test_setup(test_write_now_rules, faults_reset),
		cmocka_unit_test_setup(test_write_now_beside_sync, faults_reset),
		cmocka_unit_test_setup(test_syncs_are_shared, faults_reset),
		cmocka_unit_test_setup(test_failed_sync_fails_all, faults_reset),
		cmocka_unit_test_setup(test_failed_sync_sticks, faults_reset),
		cmocka_unit_test_setup(test_ephemeral_never_syncs, faults_reset),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
