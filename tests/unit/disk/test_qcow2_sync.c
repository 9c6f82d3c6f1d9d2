// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a child asks of the kernel: how many syncs, what follows when one fails, when there is no space, what it gives
 * back, and how large its writes are. fdatasync and pwritev2 of this program stand before libc's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "base/util.h"
#include "disk/qcow2_fixture.h"
#include "disk/qcow2_format.h"
#include "disk/qcow2_header.h"

static unsigned syncs, full_syncs; /* calls of fdatasync and of fsync so far */
static unsigned wide_writes;	   /* of more than 16 KiB */
static bool sync_fails;
static bool disk_full; /* writes that make a file take more fail */
enum { MARKS_WORK, MARKS_STOP, MARKS_STOPPED, MARKS_FAIL };
static int marks; /* the write of a child's marks: stops, has stopped, may go on to fail */

int fdatasync(int fd)
{
	__atomic_add_fetch(&syncs, 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&sync_fails, __ATOMIC_RELAXED)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	__atomic_add_fetch(&full_syncs, 1, __ATOMIC_RELAXED);
	return (int)syscall(SYS_fsync, fd);
}

static size_t bytes_of(const struct iovec *iov, int count)
{
	size_t bytes = 0;

	for (int i = 0; i < count; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

/* In a hole or beyond the end: there is nothing there yet. */
static bool takes_space(int fd, off_t offset)
{
	return lseek(fd, offset, SEEK_DATA) != offset;
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if (!offset && count == 1 && iov->iov_len == QCOW2_HEADER_SECTOR &&
	    __atomic_load_n(&marks, __ATOMIC_ACQUIRE) == MARKS_STOP) {
		__atomic_store_n(&marks, MARKS_STOPPED, __ATOMIC_RELEASE);
		while (__atomic_load_n(&marks, __ATOMIC_ACQUIRE) != MARKS_FAIL)
			usleep(1000);
		errno = EIO;
		return -1;
	}
	if (__atomic_load_n(&disk_full, __ATOMIC_RELAXED) && takes_space(fd, offset)) {
		errno = ENOSPC;
		return -1;
	}
	if (bytes_of(iov, count) > 16 * KIB)
		__atomic_add_fetch(&wide_writes, 1, __ATOMIC_RELAXED);
	return syscall(SYS_pwritev2, fd, iov, count, offset, 0, flags);
}

static unsigned syncs_since(unsigned *before)
{
	unsigned now = __atomic_load_n(&syncs, __ATOMIC_RELAXED), count = now - *before;

	*before = now;
	return count;
}

struct events {
	unsigned failed, no_space;
};

static void on_event(void *arg, enum disk_event event, const char *text)
{
	struct events *events = arg;

	assert_non_null(strstr(text, "child"));
	events->failed += event == DISK_FAILED;
	events->no_space += event == DISK_NO_SPACE;
}

static struct disk *open_with(struct fixture *fx, struct events *events, bool ephemeral, uint64_t quota_bytes)
{
	struct disk_open how = {
		.path = fixture_path(fx, "child"),
		.on_event = on_event,
		.event_arg = events,
		.ephemeral = ephemeral,
		.quota_bytes = quota_bytes,
	};

	return open_child_how(fx, &how, NULL);
}

static void prepare(struct fixture *fx)
{
	make_golden(fx, "golden", 64 * MIB);
	make_child(fx, "child", 64 * MIB, "golden", "raw");
}

/* ---- how many ---- */

/* To enrol a machine is to make a child: a small file, of which nobody waits for the disk. */
static void test_create(void **state)
{
	struct fixture *fx = *state;
	unsigned count;

	syncs_since(&count);
	full_syncs = 0;
	make_child(fx, "child", 100ull << 30, "golden", "raw");
	assert_int_equal(syncs_since(&count) + full_syncs, 0);
	assert_true(allocated_of(fx, "child") <= 64 * KIB);
}

static void test_syncs(void **state)
{
	struct fixture *fx = *state;
	struct events events = { 0 };
	unsigned char data[4096] = { 1 };
	unsigned count;
	struct disk *disk;

	prepare(fx);
	syncs_since(&count);
	disk = open_with(fx, &events, false, 0);
	assert_int_equal(fixture_flush(fx, disk), 0);
	assert_int_equal(syncs_since(&count), 0);
	/* The first change: the marks. */
	assert_int_equal(fixture_write(fx, disk, 0, data, sizeof(data), false), 0);
	assert_int_equal(syncs_since(&count), 1);
	/* Maps changed: data and refcounts, then maps. */
	assert_int_equal(fixture_flush(fx, disk), 0);
	assert_int_equal(syncs_since(&count), 2);
	assert_int_equal(fixture_flush(fx, disk), 0);
	assert_int_equal(syncs_since(&count), 0);
	/* Only data. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(fixture_write(fx, disk, 0, data, sizeof(data), false), 0);
	assert_int_equal(syncs_since(&count), 0);
	assert_int_equal(fixture_flush(fx, disk), 0);
	assert_int_equal(syncs_since(&count), 1);
	assert_int_equal(fixture_write(fx, disk, 512, data, 512, true), 0);
	assert_int_equal(syncs_since(&count), 1);
	/* New blocks with FUA. */
	assert_int_equal(fixture_write(fx, disk, MIB, data, sizeof(data), true), 0);
	assert_int_equal(syncs_since(&count), 2);
	assert_int_equal(fixture_close(fx, disk), 0);
	assert_int_equal(events.failed + events.no_space, 0);
}

enum { STORM = 32 };

static void count_down(struct disk_request *req)
{
	assert_int_equal(req->result, 0);
	--*(unsigned *)req->user;
}

/* Flushes that come together share. */
static void test_shared(void **state)
{
	struct fixture *fx = *state;
	struct disk_request reqs[STORM];
	unsigned char data[4096] = { 1 };
	unsigned count, left = STORM;
	struct disk *disk;

	prepare(fx);
	disk = open_child(fx, "child");
	assert_int_equal(fixture_write(fx, disk, 0, data, sizeof(data), true), 0);
	assert_int_equal(fixture_write(fx, disk, 0, data, sizeof(data), false), 0);
	syncs_since(&count);
	for (unsigned i = 0; i < STORM; i++) {
		reqs[i] = (struct disk_request){ .op = DISK_FLUSH, .done = count_down, .user = &left };
		disk_submit(disk, &reqs[i]);
	}
	while (left)
		loop_run_once(fx->loop, true);
	assert_true(syncs_since(&count) <= 2);
	assert_int_equal(fixture_close(fx, disk), 0);
}

/* An ephemeral child never syncs, not even to close. */
static void test_ephemeral(void **state)
{
	struct fixture *fx = *state;
	struct events events = { 0 };
	unsigned char data[4096] = { 1 }, back[4096];
	unsigned count;
	struct disk *disk;

	prepare(fx);
	syncs_since(&count);
	for (uint64_t i = 0; i < 3; i++) {
		disk = open_with(fx, &events, true, 0);
		assert_int_equal(fixture_write(fx, disk, i * MIB, data, sizeof(data), true), 0);
		assert_int_equal(fixture_flush(fx, disk), 0);
		assert_int_equal(fixture_read(fx, disk, 0, back, sizeof(back)), 0);
		assert_memory_equal(back, data, sizeof(data));
		assert_int_equal(fixture_close(fx, disk), 0);
		qemu_is_content(fx, "child");
	}
	assert_int_equal(syncs_since(&count), 0);
}

/* ---- invariant 5 ---- */

static void test_sync_fails(void **state)
{
	struct fixture *fx = *state;
	struct events events = { 0 };
	unsigned char data[4096], back[4096];
	struct disk_open how = { .path = fixture_path(fx, "child") };
	struct qcow2_check check;
	struct disk_info info;
	struct disk *disk;
	struct reason reason;
	bool interrupted;

	prepare(fx);
	disk = open_with(fx, &events, false, 0);
	fixture_pattern(data, sizeof(data), 0, 1);
	assert_int_equal(fixture_write(fx, disk, 0, data, sizeof(data), true), 0);
	assert_int_equal(fixture_write(fx, disk, MIB, data, sizeof(data), false), 0);
	__atomic_store_n(&sync_fails, true, __ATOMIC_RELAXED);
	assert_int_equal(fixture_flush(fx, disk), -EIO);
	__atomic_store_n(&sync_fails, false, __ATOMIC_RELAXED);
	assert_int_equal(events.failed, 1);
	/* For good: it is not tried again into success. */
	for (int i = 0; i < 2; i++) {
		disk_get_info(disk, &info);
		assert_true(info.failed);
		assert_int_equal(fixture_flush(fx, disk), -EIO);
		assert_int_equal(fixture_write(fx, disk, 2 * MIB, data, sizeof(data), false), -EIO);
		assert_int_equal(fixture_zero(fx, disk, DISK_DISCARD, 0, MIB), -EIO);
		assert_int_equal(fixture_read(fx, disk, MIB, back, sizeof(back)), 0);
		assert_memory_equal(back, data, sizeof(data));
		assert_int_not_equal(fixture_close(fx, disk), 0);
		/* Opened again by the same host it still knows. */
		disk = open_with(fx, &events, false, 0);
		assert_int_equal(events.failed, 2 + i);
	}
	assert_int_not_equal(fixture_close(fx, disk), 0);
	/* No map entry was written since: at most leaks. */
	assert_int_equal(qcow2_check(fixture_path(fx, "child"), false, &check, &reason), 0);
	assert_int_equal(check.corruptions, 0);
	/* A person lifts it: on from what was durable, told to whoever opens it next. */
	for (int i = 0; i < 2; i++)
		assert_int_equal(qcow2_give_up_journal(fixture_path(fx, "child"), &reason), 0);
	disk = open_child_how(fx, &how, &interrupted);
	assert_true(interrupted);
	assert_int_equal(fixture_read(fx, disk, 0, back, sizeof(back)), 0);
	assert_memory_equal(back, data, sizeof(data));
	assert_int_equal(fixture_write(fx, disk, 2 * MIB, data, sizeof(data), true), 0);
	assert_int_equal(qcow2_give_up_journal(fixture_path(fx, "child"), &reason), -EBUSY);
	assert_int_equal(fixture_close(fx, disk), 0);
	qemu_is_content(fx, "child");
}

static void count_done(struct disk_request *req)
{
	++*(unsigned *)req->user;
}

/* Runs the loop until it is so. */
static void run_until(struct fixture *fx, bool (*is_so)(const void *arg), const void *arg)
{
	while (!is_so(arg)) {
		loop_run_once(fx->loop, false);
		usleep(1000);
	}
}

static bool marks_stopped(const void *arg)
{
	(void)arg;
	return __atomic_load_n(&marks, __ATOMIC_ACQUIRE) == MARKS_STOPPED;
}

static bool both_done(const void *arg)
{
	return *(const unsigned *)arg == 2;
}

/* The journal goes when the marks cannot be written; a write that changes nothing came just before. */
static void test_begin_fails(void **state)
{
	static unsigned char data[4096], zeroes[4096];
	struct fixture *fx = *state;
	struct events events = { 0 };
	unsigned done = 0;
	struct iovec iov[2] = { { data, sizeof(data) }, { zeroes, sizeof(zeroes) } };
	struct disk_request change = { .op = DISK_WRITE,
				       .length = sizeof(data),
				       .iov = &iov[0],
				       .iov_count = 1,
				       .done = count_done,
				       .user = &done };
	struct disk_request same = {
		.op = DISK_WRITE,
		.offset = 70 * MIB,
		.length = sizeof(zeroes),
		.iov = &iov[1],
		.iov_count = 1,
		.done = count_done,
		.user = &done,
	};
	struct pollfd told = { .fd = uv_backend_fd(loop_uv(fx->loop)), .events = POLLIN };
	struct disk *disk;

	make_golden(fx, "golden", 64 * MIB);
	make_child(fx, "child", 80 * MIB, "golden", "raw");
	fixture_pattern(data, sizeof(data), 0, 1);
	disk = open_with(fx, &events, false, 0);
	marks = MARKS_STOP;
	disk_submit(disk, &change);
	run_until(fx, marks_stopped, NULL);
	__atomic_store_n(&marks, MARKS_FAIL, __ATOMIC_RELEASE);
	/* The worker has told the loop, which has not run yet. */
	assert_int_equal(poll(&told, 1, -1), 1);
	disk_submit(disk, &same);
	run_until(fx, both_done, &done);
	assert_int_equal(change.result, -EIO);
	assert_int_equal(same.result, 0);
	/* The next try works. */
	assert_int_equal(fixture_write(fx, disk, 0, data, sizeof(data), true), 0);
	assert_int_equal(fixture_close(fx, disk), 0);
	qemu_is_content(fx, "child");
}

/* ---- invariant 6 ---- */

static void test_full(void **state)
{
	struct fixture *fx = *state;
	struct events events = { 0 };
	unsigned char data[4096], back[4096];
	struct disk *disk;

	prepare(fx);
	disk = open_with(fx, &events, false, 0);
	fixture_pattern(data, sizeof(data), 0, 1);
	assert_int_equal(fixture_write(fx, disk, 0, data, sizeof(data), false), 0);
	__atomic_store_n(&disk_full, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fixture_write(fx, disk, 40 * MIB, data, sizeof(data), false), -ENOSPC);
		assert_int_equal(fixture_write(fx, disk, 8192, data, sizeof(data), false), -ENOSPC);
	}
	assert_int_equal(events.no_space, 1);
	/* What was acknowledged stays, becomes durable, and is still written in place. */
	assert_int_equal(fixture_flush(fx, disk), 0);
	assert_int_equal(fixture_write(fx, disk, 512, data + 512, 512, true), 0);
	assert_int_equal(fixture_read(fx, disk, 0, back, sizeof(back)), 0);
	assert_memory_equal(back, data, sizeof(data));
	__atomic_store_n(&disk_full, false, __ATOMIC_RELAXED);
	assert_int_equal(fixture_write(fx, disk, 40 * MIB, data, sizeof(data), false), 0);
	assert_int_equal(fixture_close(fx, disk), 0);
	qemu_is_content(fx, "child");
}

static void test_quota(void **state)
{
	struct fixture *fx = *state;
	struct events events = { 0 };
	unsigned char data[4096] = { 1 };
	uint64_t at;
	struct disk *disk;
	int err = 0;

	prepare(fx);
	disk = open_with(fx, &events, false, MIB);
	for (at = 0; !err && at < 8 * MIB; at += sizeof(data))
		err = fixture_write(fx, disk, at, data, sizeof(data), false);
	assert_int_equal(err, -ENOSPC);
	assert_int_equal(events.no_space, 1);
	assert_in_range(at, 3 * MIB / 4, MIB);
	assert_int_equal(fixture_write(fx, disk, 0, data, sizeof(data), false), 0);
	/* What is given back may be used again, after a flush at the latest. */
	assert_int_equal(fixture_zero(fx, disk, DISK_DISCARD, 0, 512 * KIB), 0);
	assert_int_equal(fixture_flush(fx, disk), 0);
	while ((err = fixture_write(fx, disk, 4 * MIB, data, sizeof(data), false)) == -ENOSPC)
		usleep(1000); /* a worker punches */
	assert_int_equal(err, 0);
	assert_int_equal(fixture_close(fx, disk), 0);
	assert_true(allocated_of(fx, "child") <= MIB);
	qemu_is_content(fx, "child");
}

/* ---- what it gives back, and keeps ---- */

/* Single blocks are given back, too, but never those that are written again meanwhile. */
static void test_small_trims(void **state)
{
	struct fixture *fx = *state;
	static unsigned char data[MIB];
	struct model_disk model;
	uint64_t full;
	struct disk *disk;

	prepare(fx);
	model_disk_init(fx, &model, 64 * MIB, "golden");
	disk = open_child(fx, "child");
	fixture_pattern(data, sizeof(data), 0, 1);
	memcpy(model.bytes, data, sizeof(data));
	assert_int_equal(fixture_write(fx, disk, 0, data, sizeof(data), true), 0);
	full = allocated_of(fx, "child");
	for (uint64_t at = 0; at < MIB; at += 8192) {
		memset(model.bytes + at, 0, 4096);
		assert_int_equal(fixture_zero(fx, disk, DISK_DISCARD, at, 4096), 0);
	}
	for (uint64_t at = 0; at < MIB; at += 65536) {
		memcpy(model.bytes + at, data, 4096);
		assert_int_equal(fixture_write(fx, disk, at, data, 4096, false), 0);
	}
	assert_int_equal(fixture_flush(fx, disk), 0);
	for (uint64_t at = 16384; at < MIB; at += 65536) {
		memcpy(model.bytes + at, data, 4096);
		assert_int_equal(fixture_write(fx, disk, at, data, 4096, false), 0);
	}
	model_disk_compare(fx, disk, &model);
	assert_int_equal(fixture_close(fx, disk), 0);
	assert_true(allocated_of(fx, "child") <= full - MIB / 4);
	qemu_is_content(fx, "child");
	model_disk_compare_qemu(fx, "child", &model);
	model_disk_fini(&model);
}

/* ---- all of a big disk ---- */

static void put_at(int fd, const void *data, size_t size, uint64_t offset)
{
	assert_int_equal(pwrite(fd, data, size, (off_t)offset), (ssize_t)size);
}

/* A child that was written to from its first to its last byte; its data are holes, which costs this test less. */
static void make_full(struct fixture *fx, const char *name, uint64_t size_bytes)
{
	uint64_t tables = size_bytes / QCOW2_TABLE_SPAN, first = 3 + qcow2_refcount_blocks(size_bytes);
	uint64_t count = first + tables * (1 + QCOW2_L2_ENTRIES), used = 0;
	struct qcow2_wire_l2 *table = malloc(QCOW2_CLUSTER_BYTES);
	struct be16 *ones = malloc(QCOW2_CLUSTER_BYTES);
	int fd;

	make_child(fx, name, size_bytes, NULL, NULL);
	fd = open(fixture_path(fx, name), O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0 && table && ones);
	assert_int_equal(ftruncate(fd, (off_t)(count * QCOW2_CLUSTER_BYTES)), 0);
	for (uint64_t t = 0; t < tables; t++) {
		struct be64 entry = be64_put(((first + t) * QCOW2_CLUSTER_BYTES) | QCOW2_COPIED);

		put_at(fd, &entry, sizeof(entry), QCOW2_CLUSTER_BYTES + t * sizeof(entry));
		for (uint64_t i = 0; i < QCOW2_L2_ENTRIES; i++)
			table[i] = qcow2_entry_put((struct qcow2_entry){
				(first + tables + t * QCOW2_L2_ENTRIES + i) * QCOW2_CLUSTER_BYTES, UINT32_MAX, 0 });
		put_at(fd, table, QCOW2_CLUSTER_BYTES, (first + t) * QCOW2_CLUSTER_BYTES);
	}
	for (unsigned i = 0; i < QCOW2_REFCOUNTS; i++)
		ones[i] = be16_put(1);
	/* The refcount blocks of a new child lie behind its refcount table, one after the other. */
	for (uint64_t block = 3; used < count; block++, used += QCOW2_REFCOUNTS)
		put_at(fd, ones, min_u64(count - used, QCOW2_REFCOUNTS) * sizeof(*ones), block * QCOW2_CLUSTER_BYTES);
	close(fd);
	free(table);
	free(ones);
}

/* A whole disk of 1 TiB, full: its discard ends, takes syncs by the 16 GiB, and gives everything back. */
static void test_discard_all(void **state)
{
	const uint64_t size_bytes = 1ull << 40;
	struct fixture *fx = *state;
	struct qcow2_check check;
	unsigned char back[4096];
	struct reason reason;
	unsigned count;
	struct disk *disk;

	make_full(fx, "child", size_bytes);
	assert_int_equal(qcow2_check(fixture_path(fx, "child"), false, &check, &reason), 0);
	assert_int_equal(check.corruptions | check.leaks, 0);
	assert_true(check.allocated_clusters >= size_bytes / QCOW2_CLUSTER_BYTES);
	disk = open_child(fx, "child");
	syncs_since(&count);
	assert_int_equal(fixture_zero(fx, disk, DISK_DISCARD, 0, size_bytes), 0);
	assert_in_range(syncs_since(&count), 1, 4 * (size_bytes >> 34));
	assert_int_equal(fixture_read(fx, disk, size_bytes - sizeof(back), back, sizeof(back)), 0);
	assert_int_equal(fixture_write(fx, disk, size_bytes / 2, back, 512, false), 0);
	assert_int_equal(fixture_close(fx, disk), 0);
	/* A close leaves to the next open what would hold it up. */
	assert_int_equal(qcow2_check(fixture_path(fx, "child"), true, &check, &reason), 0);
	assert_int_equal(check.corruptions, 0);
	assert_int_equal(qcow2_check(fixture_path(fx, "child"), false, &check, &reason), 0);
	/* What a close has no time for is the next one's; it gets on. */
	for (uint64_t left = check.leaks; left; left = check.leaks) {
		assert_int_equal(check.corruptions, 0);
		assert_int_equal(fixture_close(fx, open_child(fx, "child")), 0);
		assert_int_equal(qcow2_check(fixture_path(fx, "child"), false, &check, &reason), 0);
		assert_true(check.leaks < left);
	}
	assert_int_equal(check.corruptions | check.leaks, 0);
	assert_true(check.allocated_clusters <= 3 + qcow2_refcount_blocks(size_bytes) + 1024 + 1);
}

/* ---- how large ---- */

/* What is new goes 16 KiB at a time, by the loop and by workers; what overwrites goes at once. */
static void test_width(void **state)
{
	struct fixture *fx = *state;
	struct events events = { 0 };
	static unsigned char data[64 * KIB];
	struct disk *disk;

	prepare(fx);
	memset(data, 1, sizeof(data));
	wide_writes = 0;
	disk = open_with(fx, &events, false, 0);
	assert_int_equal(fixture_write(fx, disk, 0, data, 32 * KIB, false), 0);
	assert_int_equal(fixture_write(fx, disk, MIB, data, sizeof(data), false), 0);
	/* Half of it is new. */
	memset(data, 2, sizeof(data));
	assert_int_equal(fixture_write(fx, disk, 0, data, sizeof(data), false), 0);
	assert_int_equal(wide_writes, 0);
	for (unsigned i = 1; i <= 3; i++) {
		memset(data, (int)i + 2, sizeof(data));
		assert_int_equal(fixture_write(fx, disk, 0, data, sizeof(data), false), 0);
		assert_int_equal(wide_writes, i);
	}
	assert_int_equal(fixture_close(fx, disk), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_create, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_syncs, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_shared, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_ephemeral, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_sync_fails, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_begin_fails, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_full, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_quota, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_small_trims, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_discard_all, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_width, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests_name("qcow2 syncs", tests, NULL, NULL);
}
