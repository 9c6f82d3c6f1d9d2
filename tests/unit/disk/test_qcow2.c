// SPDX-License-Identifier: GPL-2.0-or-later
/* qcow2 children on a real file system: made, written, given back, grown, and looked at by QEMU. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "disk/qcow2_fixture.h"
#include "skip.h"

static bool exists(struct fixture *fx, const char *name)
{
	return access(fixture_path(fx, name), F_OK) == 0;
}

static void test_create(void **state)
{
	static const uint64_t sizes[] = { 512, 4096, 100 * MIB + 512, 20ull << 30, 2ull << 40, 16ull << 40 };
	struct fixture *fx = *state;
	struct qcow2_check check;
	struct qcow2_info info;
	char name[32];
	struct reason reason;

	make_golden(fx, "golden", 4096);
	for (size_t i = 0; i < array_len(sizes); i++) {
		snprintf(name, sizeof(name), "child%zu", i);
		make_child(fx, name, sizes[i], sizes[i] > 4096 ? "golden" : NULL, "raw");
		assert_true(allocated_of(fx, name) <= 64 * KIB);
		assert_int_equal(qcow2_read_info(fixture_path(fx, name), &info, &reason), 0);
		assert_int_equal(info.size_bytes, sizes[i]);
		assert_string_equal(info.backing, sizes[i] > 4096 ? "golden" : "");
		assert_true(info.clean);
		assert_int_equal(qcow2_check(fixture_path(fx, name), false, &check, &reason), 0);
		assert_int_equal(check.corruptions | check.leaks, 0);
		qemu_is_content(fx, name);
		shell_works(fx, "qemu-img info --backing-chain %s | grep '(%llu bytes)'", name,
			    (unsigned long long)sizes[i]);
		assert_int_equal(fixture_shell(fx, "qemu-img info %s | grep 'backing file format: raw'", name),
				 sizes[i] > 4096 ? 0 : 1);
	}
}

static void create_fails(struct fixture *fx, struct qcow2_create how, int err, const char *word)
{
	struct reason reason = { "" };

	how.path = fixture_path(fx, "refused");
	assert_int_equal(qcow2_create(&how, &reason), err);
	assert_non_null(strstr(reason.text, word));
	assert_false(exists(fx, "refused"));
}

static void test_create_refused(void **state)
{
	struct fixture *fx = *state;
	char long_name[1100];
	struct reason reason;
	struct qcow2_create again = { .size_bytes = MIB };

	create_fails(fx, (struct qcow2_create){ .size_bytes = 0 }, -EINVAL, "multiple of 512");
	create_fails(fx, (struct qcow2_create){ .size_bytes = 1000 }, -EINVAL, "multiple of 512");
	create_fails(fx, (struct qcow2_create){ .size_bytes = (16ull << 40) + 512 }, -EINVAL, "16 TiB");
	create_fails(fx, (struct qcow2_create){ .size_bytes = MIB, .backing = "g", .backing_format = "vmdk" }, -EINVAL,
		     "raw or qcow2");
	create_fails(fx, (struct qcow2_create){ .size_bytes = MIB, .backing = "/g", .backing_format = "raw" }, -EINVAL,
		     "relative");
	memset(long_name, 'x', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	create_fails(fx, (struct qcow2_create){ .size_bytes = MIB, .backing = long_name, .backing_format = "raw" },
		     -EINVAL, "relative");
	make_child(fx, "once", MIB, NULL, NULL);
	again.path = fixture_path(fx, "once");
	assert_int_equal(qcow2_create(&again, &reason), -EEXIST);
}

/* The longest name that there can be, which does not fit into the first sector. */
static void test_long_backing_name(void **state)
{
	struct fixture *fx = *state;
	char name[1000] = "";
	struct disk *disk;
	char data[4096];

	make_golden(fx, "golden", MIB);
	while (strlen(name) < 900)
		strcat(name, "./././././");
	strcat(name, "golden");
	make_child(fx, "child", MIB, name, "raw");
	disk = open_child(fx, "child");
	fixture_pattern(data, sizeof(data), 0, 1);
	assert_int_equal(fixture_write(fx, disk, 0, data, sizeof(data), false), 0);
	assert_int_equal(fixture_close(fx, disk), 0);
	qemu_is_content(fx, "child");
	/* QEMU rewrites the header in its own layout; we put ours in its place again. */
	shell_works(fx, "qemu-io -f qcow2 -c 'write -P 7 8k 4k' child");
	disk = open_child(fx, "child");
	assert_int_equal(fixture_write(fx, disk, 4096, data, sizeof(data), false), 0);
	assert_int_equal(fixture_close(fx, disk), 0);
	qemu_is_content(fx, "child");
	shell_works(fx, "qemu-io -f qcow2 -r -c 'read -P 7 8k 4k' child | grep -v failed");
}

/* A fresh child costs what is written to it, rounded to 4 KiB; nobody copies a cluster. */
static void test_costs(void **state)
{
	struct fixture *fx = *state;
	uint64_t before;
	struct disk *disk;
	char data[4096];

	make_golden(fx, "golden", 16 * MIB);
	make_child(fx, "child", 16 * MIB, "golden", "raw");
	disk = open_child(fx, "child");
	fixture_pattern(data, sizeof(data), 0, 4);
	assert_int_equal(fixture_write(fx, disk, 0, data, 512, false), 0);
	assert_int_equal(fixture_flush(fx, disk), 0);
	before = allocated_of(fx, "child");
	for (unsigned i = 1; i <= 32; i++)
		assert_int_equal(fixture_write(fx, disk, i * 256 * KIB + 512, data, 512, false), 0);
	assert_int_equal(fixture_flush(fx, disk), 0);
	assert_true(allocated_of(fx, "child") <= before + 33 * 4096);
	assert_true(exists(fx, "child.journal"));
	assert_int_equal(fixture_close(fx, disk), 0);
	assert_false(exists(fx, "child.journal"));
	qemu_is_content(fx, "child");
}

/* ---- writing what is there already ---- */

/* The golden image's own bytes, which the page cache has, across data and holes, at odd offsets: nothing is written. */
static void test_same_as_golden(void **state)
{
	static unsigned char data[MIB];
	struct fixture *fx = *state;
	struct model_disk model;
	uint64_t fresh;
	struct disk *disk;

	if (!fixture_reads_now(fx)) {
		test_skip("the file system of %s has no RWF_NOWAIT", fx->dir);
		return;
	}
	make_golden(fx, "golden", 64 * MIB);
	make_child(fx, "child", 80 * MIB, "golden", "raw");
	fresh = allocated_of(fx, "child");
	model_disk_init(fx, &model, 80 * MIB, "golden");
	disk = open_child(fx, "child");
	for (uint64_t at = 512; at < 60 * MIB; at += 5 * MIB / 2) {
		assert_int_equal(fixture_read(fx, disk, at, data, sizeof(data)), 0);
		assert_int_equal(fixture_write(fx, disk, at, data, sizeof(data), false), 0);
		assert_int_equal(fixture_write(fx, disk, at + 4096, data + 4096, 1536, true), 0);
	}
	assert_int_equal(fixture_flush(fx, disk), 0);
	model_disk_compare(fx, disk, &model);
	assert_int_equal(allocated_of(fx, "child"), fresh);
	assert_false(exists(fx, "child.journal"));
	assert_int_equal(fixture_close(fx, disk), 0);
	model_disk_fini(&model);
}

/* A machine that formats, partitions or installs what its golden image has: none of it takes space. */
static void test_same(void **state)
{
	static unsigned char data[MIB], zeroes[MIB];
	struct fixture *fx = *state;
	struct model_disk model;
	uint64_t fresh;
	struct disk *disk;

	make_golden(fx, "golden", 64 * MIB);
	make_child(fx, "child", 80 * MIB, "golden", "raw");
	fresh = allocated_of(fx, "child");
	model_disk_init(fx, &model, 80 * MIB, "golden");
	disk = open_child(fx, "child");
	/*
	 * Zeroes where there is nothing, whole and in part: in a hole that nobody has read, and beyond the golden file.
	 */
	for (uint64_t at = 64 * KIB; at < 64 * MIB; at += 3 * 64 * KIB) {
		assert_int_equal(fixture_write(fx, disk, at, zeroes, 128 * KIB, false), 0);
		assert_int_equal(fixture_write(fx, disk, at + 512, zeroes, 1024, true), 0);
	}
	for (uint64_t at = 65 * MIB; at < 80 * MIB; at += MIB)
		assert_int_equal(fixture_write(fx, disk, at, zeroes, MIB, false), 0);
	assert_int_equal(fixture_flush(fx, disk), 0);
	model_disk_compare(fx, disk, &model);
	assert_int_equal(allocated_of(fx, "child"), fresh);
	assert_false(exists(fx, "child.journal"));
	/* One byte that differs, at the very end: written. */
	assert_int_equal(fixture_read(fx, disk, 0, data, sizeof(data)), 0);
	data[sizeof(data) - 1] ^= 1;
	memcpy(model.bytes, data, sizeof(data));
	assert_int_equal(fixture_write(fx, disk, 0, data, sizeof(data), false), 0);
	memset(zeroes + 128 * KIB - 1, 1, 1);
	memcpy(model.bytes + 40 * MIB, zeroes, 128 * KIB);
	assert_int_equal(fixture_write(fx, disk, 40 * MIB, zeroes, 128 * KIB, false), 0);
	/*
	 * What was discarded reads as zeroes, and zeroes written there stay so; the golden bytes are something else
	 * again.
	 */
	assert_int_equal(fixture_zero(fx, disk, DISK_DISCARD, 3 * MIB, MIB), 0);
	memset(model.bytes + 3 * MIB, 0, MIB);
	assert_int_equal(fixture_flush(fx, disk), 0);
	fresh = allocated_of(fx, "child");
	assert_int_equal(fixture_write(fx, disk, 3 * MIB + 4096, zeroes, 64 * KIB, true), 0);
	assert_int_equal(allocated_of(fx, "child"), fresh);
	fixture_pattern(data, 64 * KIB, 3 * MIB / (192 * KIB) * (192 * KIB), 99);
	memcpy(model.bytes + 3 * MIB, data, 64 * KIB);
	assert_int_equal(fixture_write(fx, disk, 3 * MIB, data, 64 * KIB, false), 0);
	model_disk_compare(fx, disk, &model);
	assert_int_equal(fixture_close(fx, disk), 0);
	qemu_is_content(fx, "child");
	model_disk_compare_qemu(fx, "child", &model);
	model_disk_fini(&model);
}

/* A write that is to have its space takes it, whatever is there: SCSI's anchored blocks. */
static void test_allocate(void **state)
{
	static char zeroes[MIB];
	struct fixture *fx = *state;
	struct iovec iov = { zeroes, sizeof(zeroes) };
	struct disk_request req = {
		.op = DISK_WRITE, .offset = 3 * MIB, .length = MIB, .iov = &iov, .iov_count = 1, .allocate = true
	};
	struct disk *disk;
	uint64_t fresh;

	make_child(fx, "child", 16 * MIB, NULL, NULL);
	disk = open_child(fx, "child");
	assert_int_equal(fixture_write(fx, disk, 3 * MIB, zeroes, MIB, false), 0);
	assert_int_equal(fixture_flush(fx, disk), 0);
	fresh = allocated_of(fx, "child");
	assert_int_equal(fixture_run(fx, disk, &req), 0);
	assert_int_equal(fixture_flush(fx, disk), 0);
	assert_true(allocated_of(fx, "child") >= fresh + MIB);
	/* and what follows is written in place */
	fresh = allocated_of(fx, "child");
	memset(zeroes, 1, sizeof(zeroes));
	assert_int_equal(fixture_write(fx, disk, 3 * MIB, zeroes, MIB, true), 0);
	assert_int_equal(allocated_of(fx, "child"), fresh);
	memset(zeroes, 0, sizeof(zeroes));
	assert_int_equal(fixture_close(fx, disk), 0);
	qemu_is_content(fx, "child");
}

static void differential(struct fixture *fx, uint64_t size_bytes, const char *golden, const char *format, unsigned seed)
{
	struct model_disk model;
	struct disk *disk;

	make_child(fx, "child", size_bytes, golden, format);
	model_disk_init(fx, &model, size_bytes, golden && !strcmp(format, "raw") ? golden : NULL);
	for (int round = 0; round < 4; round++) {
		disk = open_child(fx, "child");
		model_disk_compare(fx, disk, &model);
		for (int i = 0; i < 150; i++) {
			model_disk_change(fx, disk, &model, &seed);
			if (i % 40 == 39)
				assert_int_equal(fixture_flush(fx, disk), 0);
		}
		model_disk_compare(fx, disk, &model);
		assert_int_equal(fixture_close(fx, disk), 0);
		qemu_is_content(fx, "child");
		model_disk_compare_qemu(fx, "child", &model);
	}
	unlink(fixture_path(fx, "child"));
	model_disk_fini(&model);
}

/* QEMU reads what we wrote. */
static void test_random(void **state)
{
	struct fixture *fx = *state;

	make_golden(fx, "golden", 24 * MIB);
	make_golden(fx, "small", 5 * MIB + 512);
	differential(fx, 24 * MIB, "golden", "raw", 1);
	differential(fx, 9 * MIB + 512, "small", "raw", 2);
	differential(fx, 7 * MIB, NULL, NULL, 3);
	/* The child is smaller than what is below it. */
	differential(fx, 6 * MIB + 1536, "golden", "raw", 4);
}

/* One random change by qemu-io, and of the model. */
static void change_by_qemu(struct fixture *fx, const char *name, struct model_disk *model, unsigned *seed)
{
	uint64_t length = ((unsigned)rand_r(seed) % 200 + 1) * 512 * (rand_r(seed) % 3 ? 1 : 20);
	uint64_t offset = ((unsigned)rand_r(seed) % (model->size_bytes / 512)) * 512;
	unsigned fill = rand_r(seed) % 3 ? (unsigned)rand_r(seed) % 255 + 1 : 0;
	char what[32];

	length = min_u64(length, model->size_bytes - offset);
	memset(model->bytes + offset, (int)fill, length);
	snprintf(what, sizeof(what), fill ? "write -P %u" : "write -z -u", fill);
	shell_works(fx, "qemu-io -f qcow2 -d unmap -c '%s %llu %llu' %s", what, (unsigned long long)offset,
		    (unsigned long long)length, name);
}

/* And we read what QEMU wrote into our child, and go on. */
static void test_qemu_writes(void **state)
{
	struct fixture *fx = *state;
	struct model_disk model;
	unsigned seed = 5;
	struct disk *disk;
	bool interrupted;

	make_golden(fx, "golden", 12 * MIB);
	make_child(fx, "child", 16 * MIB, "golden", "raw");
	model_disk_init(fx, &model, 16 * MIB, "golden");
	for (int round = 0; round < 6; round++) {
		struct disk_open how = { .path = fixture_path(fx, "child") };

		for (int i = 0; i < 10; i++)
			change_by_qemu(fx, "child", &model, &seed);
		disk = open_child_how(fx, &how, &interrupted);
		assert_false(interrupted);
		model_disk_compare(fx, disk, &model);
		for (int i = 0; i < 30; i++)
			model_disk_change(fx, disk, &model, &seed);
		assert_int_equal(fixture_close(fx, disk), 0);
		qemu_is_content(fx, "child");
		model_disk_compare_qemu(fx, "child", &model);
	}
	model_disk_fini(&model);
}

/*
 * A file of our geometry that QEMU made: its refcount blocks do not cover the disk, its header is laid out otherwise.
 */
static void test_made_by_qemu(void **state)
{
	struct fixture *fx = *state;
	struct model_disk model;
	unsigned seed = 6;
	struct disk *disk;

	make_golden(fx, "golden", 8 * MIB);
	shell_works(fx, "qemu-img create -q -f qcow2 -o cluster_size=128k,extended_l2=on,backing_file=golden,"
			"backing_fmt=raw,lazy_refcounts=on child 40G");
	model_disk_init(fx, &model, 8 * MIB, "golden");
	change_by_qemu(fx, "child", &model, &seed);
	disk = open_child(fx, "child");
	assert_int_equal(disk->size_bytes, 40ull << 30);
	for (int i = 0; i < 50; i++)
		model_disk_change(fx, disk, &model, &seed);
	assert_int_equal(fixture_zero(fx, disk, DISK_DISCARD, 8 * MIB, (40ull << 30) - 8 * MIB), 0);
	model_disk_compare(fx, disk, &model);
	assert_int_equal(fixture_close(fx, disk), 0);
	qemu_is_content(fx, "child");
	disk = open_child(fx, "child");
	model_disk_compare(fx, disk, &model);
	assert_int_equal(fixture_close(fx, disk), 0);
	model_disk_fini(&model);
}

/* A chain of qcow2 files: a promoted child below a child, 8 deep and no more. */
static void test_chain(void **state)
{
	struct fixture *fx = *state;
	struct model_disk model;
	char name[24], below[24];
	unsigned seed = 7;
	struct disk *disk;

	make_golden(fx, "golden", 8 * MIB);
	model_disk_init(fx, &model, 10 * MIB, "golden");
	for (int depth = 1; depth < DISK_CHAIN_MAX; depth++) {
		snprintf(name, sizeof(name), "child%d", depth);
		snprintf(below, sizeof(below), "child%d", depth - 1);
		make_child(fx, name, 10 * MIB, depth == 1 ? "golden" : below, depth == 1 ? "raw" : "qcow2");
		disk = open_child(fx, name);
		for (int i = 0; i < 20; i++)
			model_disk_change(fx, disk, &model, &seed);
		model_disk_compare(fx, disk, &model);
		assert_int_equal(fixture_close(fx, disk), 0);
	}
	model_disk_compare_qemu(fx, name, &model);
	make_child(fx, "child8", 10 * MIB, name, "qcow2");
	open_is_refused(fx, "child8", -ENOTSUP, "more than 8 files");
	/* The lowest one below itself. */
	shell_works(fx, "qemu-img rebase -u -b child3 -F qcow2 child1");
	open_is_refused(fx, "child3", -EUCLEAN, "circle");
	model_disk_fini(&model);
}

/* What was filled and trimmed is given back, and reads as zeroes although the golden image has data there. */
static void test_trim(void **state)
{
	static unsigned char data[4 * MIB];
	struct fixture *fx = *state;
	struct model_disk model;
	struct disk_info info;
	struct disk *disk;

	make_golden(fx, "golden", 64 * MIB);
	make_child(fx, "child", 64 * MIB, "golden", "raw");
	model_disk_init(fx, &model, 64 * MIB, NULL);
	disk = open_child(fx, "child");
	fixture_pattern(data, sizeof(data), 0, 8);
	for (uint64_t at = 0; at < 64 * MIB; at += sizeof(data))
		assert_int_equal(fixture_write(fx, disk, at, data, sizeof(data), false), 0);
	disk_get_info(disk, &info);
	assert_true(info.allocated_bytes >= 64 * MIB);
	assert_int_equal(fixture_zero(fx, disk, DISK_DISCARD, 0, 64 * MIB), 0);
	model_disk_compare(fx, disk, &model);
	assert_int_equal(fixture_close(fx, disk), 0);
	assert_true(allocated_of(fx, "child") < MIB);
	qemu_is_content(fx, "child");
	model_disk_compare_qemu(fx, "child", &model);
	disk = open_child(fx, "child");
	model_disk_compare(fx, disk, &model);
	assert_int_equal(fixture_close(fx, disk), 0);
	model_disk_fini(&model);
}

static void test_grow(void **state)
{
	struct fixture *fx = *state;
	struct model_disk model;
	unsigned seed = 9;
	struct disk *disk;
	struct reason reason;

	make_golden(fx, "golden", 4 * MIB + 512);
	make_child(fx, "child", 5 * MIB + 512, "golden", "raw");
	model_disk_init(fx, &model, 12 * MIB, "golden");
	model.size_bytes = 5 * MIB + 512;
	disk = open_child(fx, "child");
	for (int i = 0; i < 60; i++)
		model_disk_change(fx, disk, &model, &seed);
	assert_int_equal(qcow2_grow(fixture_path(fx, "child"), 12 * MIB, &reason), -EBUSY);
	assert_int_equal(fixture_close(fx, disk), 0);
	assert_int_equal(qcow2_grow(fixture_path(fx, "child"), 4 * MIB, &reason), -EINVAL);
	assert_int_equal(qcow2_grow(fixture_path(fx, "child"), 12 * MIB, &reason), 0);
	model.size_bytes = 12 * MIB;
	qemu_is_content(fx, "child");
	disk = open_child(fx, "child");
	assert_int_equal(disk->size_bytes, 12 * MIB);
	model_disk_compare(fx, disk, &model);
	assert_int_equal(fixture_close(fx, disk), 0);
	/* To the last byte that we do. */
	assert_int_equal(qcow2_grow(fixture_path(fx, "child"), 16ull << 40, &reason), 0);
	qemu_is_content(fx, "child");
	disk = open_child(fx, "child");
	assert_int_equal(fixture_write(fx, disk, (16ull << 40) - 4096, model.bytes, 4096, true), 0);
	model_disk_compare(fx, disk, &model);
	assert_int_equal(fixture_close(fx, disk), 0);
	qemu_is_content(fx, "child");
	model_disk_fini(&model);
}

/* One writer (invariant 8), in both directions. */
static void test_locks(void **state)
{
	struct fixture *fx = *state;
	struct disk *disk;
	char command[256], line[256];
	FILE *qemu, *output;

	make_golden(fx, "golden", MIB);
	make_child(fx, "child", MIB, "golden", "raw");
	disk = open_child(fx, "child");
	assert_int_not_equal(fixture_shell(fx, "qemu-io -f qcow2 -r -c 'read 0 512' child"), 0);
	assert_int_not_equal(fixture_shell(fx, "qemu-io -f raw -c 'write 0 512' golden"), 0);
	shell_works(fx, "qemu-io -f raw -r -c 'read 0 512' golden");
	open_is_refused(fx, "child", -EBUSY, "another process");
	assert_int_equal(fixture_close(fx, disk), 0);
	/* QEMU has it; that it has, QEMU tells. */
	assert_int_equal(mkfifo(fixture_path(fx, "fifo"), 0600), 0);
	snprintf(command, sizeof(command), "cd %s && qemu-io -f qcow2 child <fifo 2>&1", fx->dir);
	output = popen(command, "r");
	qemu = fopen(fixture_path(fx, "fifo"), "w");
	assert_true(output && qemu);
	fputs("read 0 512\n", qemu);
	fflush(qemu);
	while (fgets(line, sizeof(line), output) && !strstr(line, "read 512/512"))
		;
	open_is_refused(fx, "child", -EBUSY, "another process");
	fclose(qemu);
	while (fgets(line, sizeof(line), output))
		;
	assert_int_equal(pclose(output), 0);
	disk = open_child(fx, "child");
	assert_int_equal(fixture_close(fx, disk), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_create, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_create_refused, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_long_backing_name, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_costs, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_allocate, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_same, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_same_as_golden, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_random, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_qemu_writes, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_made_by_qemu, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_chain, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_trim, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_grow, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_locks, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests_name("qcow2", tests, NULL, NULL);
}
