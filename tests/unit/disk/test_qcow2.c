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
	char reason[256], name[32];

	make_golden(fx, "golden", 4096);
	for (size_t i = 0; i < array_len(sizes); i++) {
		snprintf(name, sizeof(name), "child%zu", i);
		make_child(fx, name, sizes[i], sizes[i] > 4096 ? "golden" : NULL, "raw");
		assert_true(allocated_of(fx, name) <= 64 * KIB);
		assert_int_equal(qcow2_read_info(fixture_path(fx, name), &info, reason, sizeof(reason)), 0);
		assert_int_equal(info.size_bytes, sizes[i]);
		assert_string_equal(info.backing, sizes[i] > 4096 ? "golden" : "");
		assert_true(info.clean);
		assert_int_equal(qcow2_check(fixture_path(fx, name), false, &check, reason, sizeof(reason)), 0);
		assert_int_equal(check.corruptions | check.leaks, 0);
		qemu_is_content(fx, name);
		assert_int_equal(fixture_shell(fx, "qemu-img info --backing-chain %s | grep '(%llu bytes)'", name,
					       (unsigned long long)sizes[i]),
				 0);
		assert_int_equal(fixture_shell(fx, "qemu-img info %s | grep 'backing file format: raw'", name),
				 sizes[i] > 4096 ? 0 : 1);
	}
}

static void create_fails(struct fixture *fx, struct qcow2_create how, int err, const char *word)
{
	char reason[256] = "";

	how.path = fixture_path(fx, "refused");
	assert_int_equal(qcow2_create(&how, reason, sizeof(reason)), err);
	assert_non_null(strstr(reason, word));
	assert_false(exists(fx, "refused"));
}

static void test_create_refused(void **state)
{
	struct fixture *fx = *state;
	char reason[256], long_name[1100];
	struct qcow2_create again = { .path = fixture_path(fx, "once"), .size_bytes = MIB };

	create_fails(fx, (struct qcow2_create){ .size_bytes = 0 }, -EINVAL, "multiple of 512");
	create_fails(fx, (struct qcow2_create){ .size_bytes = 1000 }, -EINVAL, "multiple of 512");
	create_fails(fx, (struct qcow2_create){ .size_bytes = (16ull << 40) + 512 }, -EINVAL, "16 TiB");
	create_fails(fx, (struct qcow2_create){ .size_bytes = MIB, .backing = "g", .backing_format = "vmdk" }, -EINVAL, "raw or qcow2");
	create_fails(fx, (struct qcow2_create){ .size_bytes = MIB, .backing = "/g", .backing_format = "raw" }, -EINVAL, "relative");
	memset(long_name, 'x', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	create_fails(fx, (struct qcow2_create){ .size_bytes = MIB, .backing = long_name, .backing_format = "raw" }, -EINVAL, "relative");
	make_child(fx, "once", MIB, NULL, NULL);
	assert_int_equal(qcow2_create(&again, reason, sizeof(reason)), -EEXIST);
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
	assert_int_equal(fixture_shell(fx, "qemu-io -f qcow2 -c 'write -P 7 8k 4k' child"), 0);
	disk = open_child(fx, "child");
	assert_int_equal(fixture_write(fx, disk, 4096, data, sizeof(data), false), 0);
	assert_int_equal(fixture_close(fx, disk), 0);
	qemu_is_content(fx, "child");
	assert_int_equal(fixture_shell(fx, "qemu-io -f qcow2 -r -c 'read -P 7 8k 4k' child | grep -v failed"), 0);
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
	fixture_pattern(data, sizeof(data), 0, 3);
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

/* And we read what QEMU wrote into our child, and go on. */
static void test_qemu_writes(void **state)
{
	static unsigned char data[2 * MIB];
	struct fixture *fx = *state;
	struct model_disk model;
	unsigned seed = 5;
	struct disk *disk;

	make_golden(fx, "golden", 12 * MIB);
	make_child(fx, "child", 16 * MIB, "golden", "raw");
	model_disk_init(fx, &model, 16 * MIB, "golden");
	for (int round = 0; round < 6; round++) {
		for (int i = 0; i < 12; i++) {
			uint64_t length = ((unsigned)rand_r(&seed) % 200 + 1) * 512 * (i % 3 ? 1 : 16);
			uint64_t offset = ((unsigned)rand_r(&seed) % (model.size_bytes / 512)) * 512;
			int fill = i % 4 == 0 ? 0 : rand_r(&seed) % 255 + 1;

			length = min_u64(length, model.size_bytes - offset);
			memset(model.bytes + offset, fill, length);
			assert_int_equal(fixture_shell(fx, "qemu-io -f qcow2 -d unmap -c '%s%d%s %llu %llu' child | grep ops",
						       fill ? "write -P " : i ? "write -z -u -n -P " : "discard #",
						       fill, "", (unsigned long long)offset, (unsigned long long)length) ||
						 (!fill && i && 0),
					 0);
		}
		disk = open_child(fx, "child");
		model_disk_compare(fx, disk, &model);
		for (int i = 0; i < 30; i++)
			model_disk_change(fx, disk, &model, &seed);
		assert_int_equal(fixture_close(fx, disk), 0);
		qemu_is_content(fx, "child");
		model_disk_compare_qemu(fx, "child", &model);
	}
	(void)data;
	model_disk_fini(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_create, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_create_refused, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_long_backing_name, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_costs, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_random, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_qemu_writes, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests_name("qcow2", tests, NULL, NULL);
}
