// SPDX-License-Identifier: GPL-2.0-or-later
/* qcow2 files that are not ours to open, or corrupt: refused with a sentence, by open and by check, never a crash. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/be.h"
#include "base/util.h"
#include "disk/qcow2_fixture.h"
#include "disk/qcow2_format.h"
#include "skip.h"

enum { CLUSTER = QCOW2_CLUSTER_BYTES };

static void put32(struct fixture *fx, const char *name, uint64_t offset, uint32_t value)
{
	struct be32 be = be32_put(value);

	fixture_put(fixture_path(fx, name), offset, &be, sizeof(be), 0);
}

static void put64(struct fixture *fx, const char *name, uint64_t offset, uint64_t value)
{
	struct be64 be = be64_put(value);

	fixture_put(fixture_path(fx, name), offset, &be, sizeof(be), 0);
}

static uint64_t get64(struct fixture *fx, const char *name, uint64_t offset)
{
	struct be64 be;
	int fd = open(fixture_path(fx, name), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &be, sizeof(be), (off_t)offset), sizeof(be));
	close(fd);
	return be64_get(be);
}

/* What QEMU makes with other options, by name. */
static void test_other_geometry(void **state)
{
	static const struct {
		const char *options, *word;
	} other[] = {
		{ "cluster_size=64k,extended_l2=on", "clusters of 65536 bytes" },
		{ "cluster_size=16k,extended_l2=on", "clusters of 16384 bytes" },
		{ "cluster_size=2M,extended_l2=on", "clusters of 2097152 bytes" },
		{ "cluster_size=512", "extended L2" },
		{ "cluster_size=64k", "extended L2" },
		{ "cluster_size=128k", "extended L2" },
		{ "cluster_size=128k,extended_l2=on,refcount_bits=64", "64-bit refcounts" },
		{ "cluster_size=128k,extended_l2=on,refcount_bits=1", "1-bit refcounts" },
		{ "compat=0.10", "version 2" },
		{ "cluster_size=128k,extended_l2=on,data_file=data,data_file_raw=on", "external data file" },
		{ "cluster_size=128k,extended_l2=on,compression_type=zstd", "compression type" },
	};
	struct fixture *fx = *state;
	struct qcow2_check check;
	struct reason reason;

	for (size_t i = 0; i < array_len(other); i++) {
		shell_works(fx, "rm -f child && qemu-img create -q -f qcow2 -o %s child 64M", other[i].options);
		open_is_refused(fx, "child", -ENOTSUP, other[i].word);
		open_is_refused(fx, "child", -ENOTSUP, "import");
	}
	shell_works(fx, "rm -f child && qemu-img create -q -f qcow2 -o cluster_size=128k,extended_l2=on child 64M");
	shell_works(fx, "qemu-img snapshot -c one child");
	open_is_refused(fx, "child", -ENOTSUP, "snapshots");
	shell_works(fx, "qemu-img snapshot -d one child && qemu-img bitmap --add child b");
	open_is_refused(fx, "child", -ENOTSUP, "bitmaps");
	shell_works(fx, "rm child && head -c 1M /dev/zero | tr '\\0' a >raw && "
			"qemu-img convert -c -f raw -O qcow2 -o cluster_size=128k,extended_l2=on raw child");
	open_is_refused(fx, "child", -ENOTSUP, "compressed clusters");
	open_is_refused(fx, "child", -ENOTSUP, "import");
	assert_int_equal(qcow2_check(fixture_path(fx, "child"), false, &check, &reason), -ENOTSUP);
	assert_non_null(strstr(reason.text, "import"));
	make_child(fx, "crypt", MIB, NULL, NULL);
	put32(fx, "crypt", 32, 2);
	open_is_refused(fx, "crypt", -ENOTSUP, "encrypted");
	open_is_refused(fx, "crypt", -ENOTSUP, "import");
	/* An unknown feature has its number. */
	make_child(fx, "new", MIB, NULL, NULL);
	put64(fx, "new", 72, QCOW2_INCOMPAT_EXTENDED_L2 | 1ull << 33);
	open_is_refused(fx, "new", -ENOTSUP, "bit 33");
}

static void test_backing(void **state)
{
	struct fixture *fx = *state;

	make_child(fx, "child", MIB, "golden", "raw");
	open_is_refused(fx, "child", -ENOENT, "golden is missing");
	make_golden(fx, "golden", MIB);
	make_child(fx, "liar", MIB, "golden", "qcow2");
	open_is_refused(fx, "liar", -EUCLEAN, "golden is not a qcow2 file");
	make_child(fx, "self", MIB, "self", "qcow2");
	open_is_refused(fx, "self", -EUCLEAN, "circle");
	/* Under another name, too: before its own lock stands in the way, and before eight files are opened. */
	make_child(fx, "linked", MIB, "link", "qcow2");
	assert_int_equal(fixture_shell(fx, "ln -s linked link"), 0);
	open_is_refused(fx, "linked", -EUCLEAN, "circle");
	make_child(fx, "one", MIB, "two", "qcow2");
	make_child(fx, "two", MIB, "three", "qcow2");
	make_child(fx, "three", MIB, "hard", "qcow2");
	assert_int_equal(fixture_shell(fx, "ln two hard"), 0);
	open_is_refused(fx, "one", -EUCLEAN, "in a circle");
	make_child(fx, "nbd", MIB, "nbd://host/x", "raw");
	open_is_refused(fx, "nbd", -ENOTSUP, "not a plain path");
	assert_int_equal(mkdir(fixture_path(fx, "dir"), 0700), 0);
	make_child(fx, "over_dir", MIB, "dir", "raw");
	open_is_refused(fx, "over_dir", -EINVAL, "not a regular file");
}

static void test_no_file(void **state)
{
	struct fixture *fx = *state;

	open_is_refused(fx, "child", -ENOENT, "missing");
	fixture_put(fixture_path(fx, "child"), 0, "", 0, 0);
	open_is_refused(fx, "child", -EUCLEAN, "not a qcow2 file");
	fixture_put(fixture_path(fx, "child"), 0, "QFI\xfb\0\0\0\3", 8, 0);
	open_is_refused(fx, "child", -EUCLEAN, "cut off");
}

/* One field of a good file each. */
static void test_header(void **state)
{
	static const struct {
		unsigned offset, bytes;
		uint64_t value;
		int err;
		const char *word;
	} wrong[] = {
		{ 0, 4, 0x12345678, -EUCLEAN, "not a qcow2 file" },
		{ 4, 4, 4, -ENOTSUP, "version 4" },
		{ 8, 8, CLUSTER - 2, -EUCLEAN, "backing file name" },
		{ 8, 8, UINT64_MAX, -EUCLEAN, "backing file name" },
		{ 16, 4, 5000, -EUCLEAN, "backing file name" },
		{ 16, 4, 100, -EUCLEAN, "NUL" },
		{ 20, 4, 40, -EUCLEAN, "cluster_bits" },
		{ 24, 8, 0, -EUCLEAN, "0 bytes" },
		{ 24, 8, MIB + 1, -EUCLEAN, "512-byte blocks" },
		{ 24, 8, UINT64_MAX - 511, -ENOTSUP, "16 TiB" },
		{ 24, 8, 1ull << 40, -EUCLEAN, "L1 table has 1 entries" },
		{ 36, 4, 0, -EUCLEAN, "L1 table has 0 entries" },
		{ 36, 4, UINT32_MAX, -ENOTSUP, "L1 table of 4294967295 entries" },
		{ 40, 8, 0, -EUCLEAN, "L1 table" },
		{ 40, 8, CLUSTER + 512, -EUCLEAN, "L1 table" },
		{ 40, 8, 1ull << 62, -EUCLEAN, "L1 table" },
		{ 40, 8, 2 * CLUSTER, -EUCLEAN, "overlap" },
		{ 48, 8, 1ull << 63, -EUCLEAN, "refcount table" },
		{ 56, 4, 0, -EUCLEAN, "refcount table has 0" },
		{ 56, 4, UINT32_MAX, -EUCLEAN, "refcount table has" },
		{ 72, 8, QCOW2_INCOMPAT_EXTENDED_L2 | QCOW2_INCOMPAT_CORRUPT, -EUCLEAN, "marked corrupt" },
		{ 96, 4, 7, -EUCLEAN, "refcount_order" },
		{ 100, 4, 72, -EUCLEAN, "72 bytes long" },
		{ 100, 4, 1u << 30, -EUCLEAN, "bytes long" },
		{ 116, 4, UINT32_MAX, -EUCLEAN, "header extension" },
		{ 112, 4, QCOW2_EXT_CRYPTO, -EUCLEAN, "header extension" },
	};
	struct fixture *fx = *state;

	make_golden(fx, "golden", MIB);
	for (size_t i = 0; i < array_len(wrong); i++) {
		struct qcow2_check check;
		struct reason reason;

		unlink(fixture_path(fx, "child"));
		make_child(fx, "child", MIB, "golden", "raw");
		if (wrong[i].bytes == 4)
			put32(fx, "child", wrong[i].offset, (uint32_t)wrong[i].value);
		else
			put64(fx, "child", wrong[i].offset, wrong[i].value);
		open_is_refused(fx, "child", wrong[i].err, wrong[i].word);
		assert_int_equal(qcow2_check(fixture_path(fx, "child"), false, &check, &reason), wrong[i].err);
		assert_non_null(strstr(reason.text, wrong[i].word));
	}
}

/* A child with one cluster of data, in an L2 table. Where they are. */
static void make_used(struct fixture *fx, uint64_t *table, uint64_t *data)
{
	unsigned char bytes[8192];
	struct disk *disk;

	unlink(fixture_path(fx, "child"));
	make_child(fx, "child", 64 * MIB, "golden", "raw");
	disk = open_child(fx, "child");
	fixture_pattern(bytes, sizeof(bytes), 0, 1);
	assert_int_equal(fixture_write(fx, disk, 0, bytes, sizeof(bytes), false), 0);
	assert_int_equal(fixture_close(fx, disk), 0);
	*table = get64(fx, "child", CLUSTER) & QCOW2_OFFSET_MASK;
	*data = get64(fx, "child", *table) & QCOW2_OFFSET_MASK;
	assert_true(*table && *data && *table != *data);
}

/* As if QEMU had written last: then everything is walked. */
static void forget_marks(struct fixture *fx)
{
	put64(fx, "child", 88, 0);
}

static void is_corrupt(struct fixture *fx, const char *word)
{
	struct qcow2_check check = { 0 };
	struct reason reason = { "" };
	int err;

	forget_marks(fx);
	open_is_refused(fx, "child", -EUCLEAN, word);
	err = qcow2_check(fixture_path(fx, "child"), true, &check, &reason);
	if (err ? err != -EUCLEAN : !check.corruptions)
		fail_msg("check finds nothing wrong (%d)", err);
	assert_non_null(strstr(reason.text, word));
}

static void test_tables(void **state)
{
	struct fixture *fx = *state;
	uint64_t table, data;

	make_golden(fx, "golden", 64 * MIB);
	make_used(fx, &table, &data);
	put64(fx, "child", CLUSTER, (table + 512) | QCOW2_COPIED);
	is_corrupt(fx, "L1 table");
	make_used(fx, &table, &data);
	put64(fx, "child", CLUSTER, 1ull << 50 | QCOW2_COPIED);
	is_corrupt(fx, "not within the file");
	make_used(fx, &table, &data);
	put64(fx, "child", 2 * CLUSTER, 1ull << 50);
	is_corrupt(fx, "refcount table");
	make_used(fx, &table, &data);
	put64(fx, "child", 2 * CLUSTER, CLUSTER);
	is_corrupt(fx, "used twice");
	make_used(fx, &table, &data);
	put64(fx, "child", CLUSTER, 0 | CLUSTER | QCOW2_COPIED);
	is_corrupt(fx, "used twice");
	make_used(fx, &table, &data);
	put64(fx, "child", table + 16, data | QCOW2_COPIED);
	is_corrupt(fx, "used twice");
	make_used(fx, &table, &data);
	put64(fx, "child", table + 16, table | QCOW2_COPIED);
	is_corrupt(fx, "used twice");
	make_used(fx, &table, &data);
	put64(fx, "child", table, (data + 4096) | QCOW2_COPIED);
	is_corrupt(fx, "not aligned");
	make_used(fx, &table, &data);
	put64(fx, "child", table, 1ull << 50 | QCOW2_COPIED);
	is_corrupt(fx, "beyond the end");
	make_used(fx, &table, &data);
	put64(fx, "child", table + 8, 1ull << 32 | 1);
	is_corrupt(fx, "contradicts");
	make_used(fx, &table, &data);
	put64(fx, "child", table + 24, 1);
	is_corrupt(fx, "contradicts");
}

/* What opening and checking may take, whatever the file claims: a bit for each cluster of a file of 33 TiB at most. */
static void test_oversized(void **state)
{
	struct fixture *fx = *state;
	struct disk_open how = { .path = fixture_path(fx, "child") };
	const char *longer = "/dev/shm/sanbootd-oversized"; /* there a file may be longer than on most disks */
	struct disk_opened result;
	struct qcow2_check check;
	struct rusage before, after;
	struct disk *disk;
	struct reason reason;

	make_child(fx, "child", 16ull << 40, NULL, NULL);
	getrusage(RUSAGE_SELF, &before);
	/* As long as most file systems have files, all of it a hole. */
	if (truncate(how.path, (15ll << 40))) {
		test_skip("%s takes no file of 15 TiB: %s", how.path, strerror(errno));
		return;
	}
	forget_marks(fx);
	disk = fixture_open(fx, qcow2_disk_open, &how, &result);
	if (!disk)
		fail_msg("%s", result.reason);
	assert_int_equal(fixture_close(fx, disk), 0);
	assert_int_equal(qcow2_check(how.path, true, &check, &reason), 0);
	/* Longer than any child: refused before memory is taken for it. */
	if (fixture_shell(fx, "cp --sparse=always child %s && truncate -s 4E %s", longer, longer)) {
		unlink(longer);
		test_skip("%s cannot be made: no memory file system there", longer);
		return;
	}
	how.path = longer;
	assert_null(fixture_open(fx, qcow2_disk_open, &how, &result));
	unlink(longer);
	assert_int_equal(result.err, -ENOTSUP);
	assert_non_null(strstr(result.reason.text, "longer than a disk of 16 TiB can be"));
	getrusage(RUSAGE_SELF, &after);
	printf("# opening and checking the longest files took %ld KiB\n", after.ru_maxrss - before.ru_maxrss);
#ifndef __SANITIZE_ADDRESS__
	assert_true(after.ru_maxrss - before.ru_maxrss < 64 * 1024);
#endif
}

/* Cut off anywhere before its last cluster begins: refused, and said where. */
static void test_truncated(void **state)
{
	struct fixture *fx = *state;
	uint64_t table, data, last;

	make_golden(fx, "golden", 64 * MIB);
	make_used(fx, &table, &data);
	last = table > data ? table : data;
	for (uint64_t end = 0; end <= last; end += CLUSTER / 2) {
		struct disk_open how = { .path = fixture_path(fx, "child") };
		struct disk_opened result;

		make_used(fx, &table, &data);
		forget_marks(fx);
		assert_int_equal(truncate(how.path, (off_t)end), 0);
		assert_null(fixture_open(fx, qcow2_disk_open, &how, &result));
		assert_int_equal(result.err, -EUCLEAN);
		assert_non_null(strstr(result.reason.text, "child"));
	}
}

/* A corruption behind good marks is met when it is read: an error for that request, and the rest goes on. */
static void test_met_later(void **state)
{
	struct fixture *fx = *state;
	unsigned char bytes[4096];
	uint64_t table, data;
	struct disk *disk;

	make_golden(fx, "golden", 64 * MIB);
	make_used(fx, &table, &data);
	put64(fx, "child", table, 1ull << 50 | QCOW2_COPIED);
	disk = open_child(fx, "child");
	assert_int_equal(fixture_read(fx, disk, 0, bytes, sizeof(bytes)), -EIO);
	assert_int_equal(fixture_write(fx, disk, 0, bytes, sizeof(bytes), false), -EIO);
	assert_int_equal(fixture_write(fx, disk, MIB, bytes, sizeof(bytes), false), 0);
	assert_int_equal(fixture_read(fx, disk, MIB, bytes, sizeof(bytes)), 0);
	assert_int_equal(fixture_close(fx, disk), 0);
}

/* Refcounts that are too low are raised, those that are too high are leaks, and both are mended at the next open. */
static void test_refcounts(void **state)
{
	struct fixture *fx = *state;
	struct qcow2_check check;
	struct be16 count = be16_put(0), leak = be16_put(1);
	uint64_t table, data;
	struct disk *disk;
	struct reason reason;

	make_golden(fx, "golden", 64 * MIB);
	make_used(fx, &table, &data);
	fixture_put(fixture_path(fx, "child"), 3 * CLUSTER + data / CLUSTER * 2, &count, 2, 0);
	fixture_put(fixture_path(fx, "child"), 3 * CLUSTER + (data / CLUSTER + 5) * 2, &leak, 2, 0);
	assert_int_equal(qcow2_check(fixture_path(fx, "child"), false, &check, &reason), 0);
	assert_int_equal(check.corruptions, 1);
	assert_int_equal(check.leaks, 1);
	assert_int_equal(qcow2_check(fixture_path(fx, "child"), true, &check, &reason), 0);
	assert_int_equal(qcow2_check(fixture_path(fx, "child"), false, &check, &reason), 0);
	assert_int_equal(check.leaks, 0);
	forget_marks(fx);
	disk = open_child(fx, "child");
	assert_int_equal(fixture_close(fx, disk), 0);
	assert_int_equal(qcow2_check(fixture_path(fx, "child"), false, &check, &reason), 0);
	assert_int_equal(check.corruptions | check.leaks, 0);
	qemu_is_content(fx, "child");
}

/* Random bytes over the metadata, each time others: whatever comes of it, the process lives. */
static void test_garbage(void **state)
{
	struct fixture *fx = *state;
	unsigned char bytes[4096];
	uint64_t table, data;
	unsigned seed = 3;

	make_golden(fx, "golden", 64 * MIB);
	for (int round = 0; round < 300; round++) {
		struct disk_open how = { .path = fixture_path(fx, "child"), .read_only = round % 2 };
		struct disk_opened result;
		struct qcow2_check check;
		struct reason reason;
		struct disk *disk;

		make_used(fx, &table, &data);
		for (int i = 0; i < 1 + round % 8; i++) {
			const uint64_t places[] = { 0, CLUSTER, 2 * CLUSTER, 3 * CLUSTER, table };
			unsigned char byte = (unsigned char)rand_r(&seed);

			fixture_put(fixture_path(fx, "child"),
				    places[(unsigned)rand_r(&seed) % array_len(places)] +
					    (unsigned)rand_r(&seed) % 64 * (1 + i % 4),
				    &byte, 1, 0);
		}
		if (round % 3)
			forget_marks(fx);
		qcow2_check(fixture_path(fx, "child"), round % 5 == 0, &check, &reason);
		disk = fixture_open(fx, qcow2_disk_open, &how, &result);
		if (!disk) {
			assert_non_null(strstr(result.reason.text, fx->dir));
			continue;
		}
		if (disk->size_bytes >= 3 * CLUSTER) {
			fixture_read(fx, disk, 0, bytes, sizeof(bytes));
			fixture_read(fx, disk, CLUSTER, bytes, sizeof(bytes));
			fixture_write(fx, disk, 512, bytes, 1024, false);
			fixture_zero(fx, disk, DISK_DISCARD, 0, 2 * CLUSTER);
		}
		fixture_close(fx, disk);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_other_geometry, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_backing, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_no_file, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_header, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_tables, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_truncated, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_oversized, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_met_later, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refcounts, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_garbage, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests_name("qcow2 refused", tests, NULL, NULL);
}
