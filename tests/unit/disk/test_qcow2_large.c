// SPDX-License-Identifier: GPL-2.0-or-later
/* What many children and the largest one cost: memory and space. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "disk/qcow2_fixture.h"

/* Many children, open and idle after some use. */
static void test_memory(void **state)
{
	enum { CHILDREN = 64 };
	struct fixture *fx = *state;
	struct disk *disks[CHILDREN];
	static unsigned char data[64 * KIB];
	struct mallinfo2 before, after;
	char name[24];

	make_golden(fx, "golden", 4 * MIB);
	for (unsigned i = 0; i < CHILDREN; i++) {
		snprintf(name, sizeof(name), "child%u", i);
		make_child(fx, name, 20ull << 30, "golden", "raw");
	}
	before = mallinfo2();
	for (unsigned i = 0; i < CHILDREN; i++) {
		snprintf(name, sizeof(name), "child%u", i);
		disks[i] = open_child(fx, name);
		for (uint64_t at = 0; at < 20; at++) {
			assert_int_equal(fixture_write(fx, disks[i], (at << 30) + at * MIB, data, 4096, false), 0);
			assert_int_equal(fixture_read(fx, disks[i], at << 29, data, sizeof(data)), 0);
		}
		for (unsigned k = 0; k < 8; k++) {
			assert_int_equal(fixture_write(fx, disks[i], k * 8192, data, 4096, false), 0);
			assert_int_equal(fixture_flush(fx, disks[i]), 0);
		}
	}
	after = mallinfo2();
	print_message("%zu KiB for each idle child\n", (after.uordblks - before.uordblks) / CHILDREN / 1024);
	/* ASan's malloc does not count. */
#ifndef __SANITIZE_ADDRESS__
	assert_true((after.uordblks - before.uordblks) / CHILDREN < 100 * KIB);
#endif
	for (unsigned i = 0; i < CHILDREN; i++)
		assert_int_equal(fixture_close(fx, disks[i]), 0);
}

/* The largest disk: used from end to end, discarded whole, found again; in little memory and little space. */
static void test_largest(void **state)
{
	enum { PLACES = 256 };
	const uint64_t size = 16ull << 40, apart = size / PLACES;
	struct fixture *fx = *state;
	static unsigned char data[4 * KIB], seen[4 * KIB];
	struct mallinfo2 before, after;
	struct disk *disk;

	make_golden(fx, "golden", 4 * MIB);
	make_child(fx, "child", size, "golden", "raw");
	assert_true(allocated_of(fx, "child") < MIB);
	before = mallinfo2();
	disk = open_child(fx, "child");
	fixture_pattern(data, sizeof(data), 0, 16);
	for (uint64_t i = 0; i < PLACES; i++)
		assert_int_equal(fixture_write(fx, disk, (i + 1) * apart - sizeof(data), data, sizeof(data), false), 0);
	assert_int_equal(fixture_flush(fx, disk), 0);
	after = mallinfo2();
	print_message("%zu KiB for 16 TiB in use at %d places\n", (after.uordblks - before.uordblks) / 1024, PLACES);
#ifndef __SANITIZE_ADDRESS__
	assert_true(after.uordblks - before.uordblks < 8 * MIB);
#endif
	/* A block, its L2 entry, its part of the refcounts. */
	assert_true(allocated_of(fx, "child") < (uint64_t)PLACES * 16 * KIB);
	assert_int_equal(fixture_close(fx, disk), 0);
	disk = open_child(fx, "child");
	for (uint64_t i = 0; i < PLACES; i++) {
		assert_int_equal(fixture_read(fx, disk, (i + 1) * apart - sizeof(data), seen, sizeof(seen)), 0);
		assert_memory_equal(seen, data, sizeof(data));
	}
	assert_int_equal(fixture_zero(fx, disk, DISK_DISCARD, 0, size), 0);
	assert_int_equal(fixture_flush(fx, disk), 0);
	memset(data, 0, sizeof(data));
	for (uint64_t i = 0; i < PLACES; i++) {
		assert_int_equal(fixture_read(fx, disk, (i + 1) * apart - sizeof(data), seen, sizeof(seen)), 0);
		assert_memory_equal(seen, data, sizeof(data));
	}
	assert_int_equal(fixture_read(fx, disk, 0, seen, sizeof(seen)), 0);
	assert_memory_equal(seen, data, sizeof(data));
	assert_int_equal(fixture_close(fx, disk), 0);
	qemu_is_content(fx, "child");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_memory, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_largest, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests_name("qcow2 large", tests, NULL, NULL);
}
