// SPDX-License-Identifier: GPL-2.0-or-later
/* Files that are not what the inventory says: rebased, deleted, replaced; at the start, at an open, and while they are open. */
#include "world.h"

#include "skip.h"
#include "store/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAC1 "52:54:00:aa:00:01"
#define UUID1 "5a4b0075-0000-4000-8000-000000000001"

static void run(const char *format, ...)
{
	char command[9000];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	assert_int_equal(system(command), 0);
}

/* A machine whose disk has been opened and closed, and the file of it. */
static struct machine booted(struct world *w, struct volume_info *info)
{
	struct machine machine;
	struct reason reason;
	uint16_t status;

	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	machine = world_machine(w, MAC1);
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	assert_non_null(world_open(w, machine.id, 1, &status, &reason));
	assert_int_equal(store_volume_info(w->store, &machine.system, NULL, info), 0);
	return machine;
}

static void expect_refused(struct world *w, int64_t machine_id, const char *first, const char *second)
{
	struct reason reason;
	uint16_t status;

	assert_null(world_open(w, machine_id, 1, &status, &reason));
	assert_non_null(strstr(reason.text, first));
	assert_non_null(strstr(reason.text, second));
}

static void wait_events(struct world *w, const char *kind, unsigned count)
{
	uint64_t seen = 0;

	while (world_events(w, kind) < count)
		inventory_wait_change(w->inventory, &seen, 10000);
	assert_int_equal(world_events(w, kind), count);
}

static void test_rebased(void **state)
{
	struct world *w = *state;
	struct volume_info info;
	struct reason reason;
	uint16_t status;
	struct machine machine;

	if (access("/usr/bin/qemu-img", X_OK)) {
		test_skip("qemu-img is not installed");
		return;
	}
	machine = booted(w, &info);
	world_close(w);
	world_add_image(w, "other", 'o');
	run("qemu-img rebase -u -F raw -b ../images/other@1.raw %s", info.path);
	expect_refused(w, machine.id, "stands on ../images/other@1.raw, and the inventory says ../images/debian@1.raw",
		       "qemu-img rebase -F raw -b ../images/debian@1.raw");
	wait_events(w, "disk-rebased", 1);
	/* The same at a start; and what it says puts it right. */
	world_restart(w);
	wait_events(w, "disk-rebased", 2);
	expect_refused(w, machine.id, "stands on ../images/other@1.raw", "or reset the machine");
	run("qemu-img rebase -u -F raw -b ../images/debian@1.raw %s", info.path);
	assert_non_null(world_open(w, machine.id, 1, &status, &reason));
	world_close(w);
	/* Onto nothing; and under another name of the same file. */
	run("qemu-img rebase -u -b '' %s", info.path);
	expect_refused(w, machine.id, "stands on nothing, and the inventory says", "../images/debian@1.raw");
	run("qemu-img rebase -u -F raw -b $(dirname %s)/../images/debian@1.raw %s", info.path, info.path);
	assert_non_null(world_open(w, machine.id, 1, &status, &reason));
	world_close(w);
}

static void test_deleted(void **state)
{
	struct world *w = *state;
	struct volume_info info;
	struct machine machine = booted(w, &info);

	assert_int_equal(unlink(info.path), 0);
	wait_events(w, "disk-deleted", 1);
	world_close(w);
	expect_refused(w, machine.id, "is missing", "put it back (a backup), or reset the machine");
}

/* Other files that come and go say nothing; said once while it is open. */
static void test_replaced(void **state)
{
	struct world *w = *state;
	struct volume_info info;

	booted(w, &info);
	run("cp %s %s.copy && mv %s.copy %s", info.path, info.path, info.path, info.path);
	wait_events(w, "disk-replaced", 1);
	run("cp %s %s.copy && rm %s.copy", info.path, info.path, info.path);
	assert_int_equal(unlink(info.path), 0);
	/* What comes afterwards is looked at afterwards: the second machine's image. */
	world_close(w);
	assert_int_equal(world_events(w, "disk-replaced"), 1);
	assert_int_equal(world_events(w, "disk-deleted"), 0);
}

static void test_golden(void **state)
{
	struct world *w = *state;
	struct volume_info info;
	struct machine machine = booted(w, &info);

	run("cd $(dirname %s)/../images && cp debian@1.raw /dev/shm/x.$$ && printf changed | dd of=/dev/shm/x.$$ conv=notrunc 2>/dev/null &&"
	    " mv /dev/shm/x.$$ new && mv -f new debian@1.raw",
	    info.path);
	wait_events(w, "golden-changed", 1);
	world_close(w);
	expect_refused(w, machine.id, "was changed since it was published", "put the original back");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

/* The same file, edited where it lies. */
static void test_golden_edited(void **state)
{
	struct world *w = *state;
	struct volume_info info;
	struct machine machine = booted(w, &info);

	run("printf changed | dd of=$(dirname %s)/../images/debian@1.raw conv=notrunc 2>/dev/null", info.path);
	wait_events(w, "golden-changed", 1);
	world_close(w);
	expect_refused(w, machine.id, "was changed since it was published", "put the original back");
}

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_rebased), TEST(test_deleted), TEST(test_replaced),
					    TEST(test_golden), TEST(test_golden_edited) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
