// SPDX-License-Identifier: GPL-2.0-or-later
/* Restore points: what a disk was before a boot is kept, the oldest go, and what they leave behind is joined. */
#include "broken_commit.h"
#include "cmocka_all.h"
#include "world.h"

#include "base/util.h"
#include "boot/operator/layers.h"
#include "disk/disk.h"
#include "inventory/snapshot.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAC1 "52:54:00:aa:00:01"

static struct reason reason;
static struct boot_lun luns[8];
static unsigned lun_count;

static int setup(void **state)
{
	struct world *w = world_new(true);

	world_policy(w, "restore-points", "2");
	reason.text[0] = '\0';
	*state = w;
	return 0;
}

/* It boots and logs in; the number of the boot. */
static uint64_t start(struct world *w)
{
	struct machine_boot current, pending = { .number = 0 };
	struct machine machine;

	world_expect(w, MAC1, "", "", "sanboot", NULL);
	machine = world_machine(w, MAC1);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(world_begin(w, machine.id, pending.number), 0);
	lun_count = world_open_luns(w, machine.id, pending.number, luns, &reason);
	if (!lun_count)
		fail_msg("%s", reason.text);
	return pending.number;
}

static void stop(struct world *w)
{
	world_close_luns(w, luns, lun_count);
}

/* At a place of its own for each, so that what is missing is seen. */
static void boot_and_write(struct world *w, unsigned char byte)
{
	start(w);
	assert_int_equal(world_write_disk(w, luns[0].disk, 4096ull * byte, byte, true), 0);
	stop(w);
}

struct labels {
	char text[512];
	int64_t volume_id;
};

static int add_label(void *arg, const struct snapshot *snapshot)
{
	struct labels *labels = arg;
	size_t len = strlen(labels->text);

	snprintf(labels->text + len, sizeof(labels->text) - len, "%s%s%s", len ? " " : "", snapshot->removed ? "!" : "",
		 snapshot->label);
	return 0;
}

static int read_labels(struct inventory_tx *tx, void *arg)
{
	struct labels *labels = arg;

	return snapshot_each(tx, labels->volume_id, add_label, labels);
}

/* "!": removed, and there still. */
static void expect_points(struct world *w, const char *text)
{
	struct labels labels = { .volume_id = world_machine(w, MAC1).system.id };

	assert_int_equal(world_write(w, read_labels, &labels), 0);
	assert_string_equal(labels.text, text);
}

/* Which of the bytes are on the disk, and no others. (The golden image is full of small letters.) */
static void expect_bytes(struct world *w, const char *bytes)
{
	start(w);
	for (unsigned char byte = 'A'; byte <= 'Z'; byte++) {
		int found = world_read_disk(w, luns[0].disk, 4096ull * byte);

		if ((found == byte) != (strchr(bytes, byte) != NULL))
			fail_msg("%c is %d, and \"%s\" should be there", byte, found, bytes);
	}
	stop(w);
}

static void back_to(struct world *w, const char *label)
{
	if (boot_snapshot_restore(w->boot, "pc-001:0", label, "ctl", &reason))
		fail_msg("%s", reason.text);
}

static void test_taken_and_gone_back_to(void **state)
{
	struct world *w = *state;

	boot_and_write(w, 'A'); /* nothing was there before */
	expect_points(w, "");
	boot_and_write(w, 'B');
	expect_points(w, "boot-2");
	boot_and_write(w, 'C');
	expect_points(w, "boot-2 boot-3");
	boot_and_write(w, 'D');
	expect_points(w, "!boot-2 boot-3 boot-4");
	assert_int_equal(world_children(w), 4);
	assert_int_equal(world_events(w, "restore-point-skipped"), 0);
	/* What nobody asks for any more becomes part of what stands on it. */
	boot_join_layers(w->boot);
	expect_points(w, "boot-3 boot-4");
	assert_int_equal(world_children(w), 3);
	world_policy(w, "restore-points", "0");
	expect_bytes(w, "ABCD");
	back_to(w, "boot-3");
	expect_bytes(w, "AB");
	back_to(w, "boot-4");
	expect_bytes(w, "ABC");
	/* And what was there before that can be had again. */
	back_to(w, "before-boot-3");
	expect_bytes(w, "ABCD");
	world_restart(w);
	expect_bytes(w, "ABCD");
}

/* Layers are joined under a disk that is in use: it reads on, and so does the next one that opens it. */
static void test_joined_in_use(void **state)
{
	struct world *w = *state;

	boot_and_write(w, 'A');
	boot_and_write(w, 'B');
	boot_and_write(w, 'C');
	start(w);
	expect_points(w, "!boot-2 boot-3 boot-4");
	boot_join_layers(w->boot);
	expect_points(w, "boot-3 boot-4");
	for (unsigned char byte = 'A'; byte <= 'C'; byte++)
		assert_int_equal(world_read_disk(w, luns[0].disk, 4096ull * byte), byte);
	assert_int_equal(world_write_disk(w, luns[0].disk, 4096ull * 'D', 'D', true), 0);
	stop(w);
	world_policy(w, "restore-points", "0");
	expect_bytes(w, "ABCD");
	back_to(w, "boot-3");
	expect_bytes(w, "AB");
}

/* A boot that writes nothing leaves nothing to keep; so does one that was never begun. */
static void test_nothing_new(void **state)
{
	struct world *w = *state;

	world_expect(w, MAC1, "", "", "sanboot", NULL);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	expect_points(w, "");
	boot_and_write(w, 'A');
	assert_int_equal(boot_set(w->boot, MAC1, "restore-points", "0", "ctl", &reason), 0);
	boot_and_write(w, 'B');
	expect_points(w, "");
	assert_int_equal(boot_set(w->boot, MAC1, "restore-points", "6", "ctl", &reason), -EINVAL);
	assert_int_equal(boot_set(w->boot, MAC1, "restore-points", "policy", "ctl", &reason), 0);
	boot_and_write(w, 'C');
	expect_points(w, "boot-3");
	assert_int_equal(boot_set(w->boot, MAC1, "mode", "ephemeral", "ctl", &reason), 0);
	boot_and_write(w, 'D');
	expect_points(w, "boot-3");
}

/* Layers too deep, as nobody has joined them yet: the machine boots without a new point, and an event says so. */
static void test_too_deep(void **state)
{
	struct world *w = *state;

	for (unsigned char byte = 'A'; byte <= 'J'; byte++)
		boot_and_write(w, byte);
	assert_true(world_events(w, "restore-point-skipped") > 0);
	expect_bytes(w, "ABCDEFGHIJ");
	boot_join_layers(w->boot);
	assert_true(world_children(w) <= 4);
	boot_and_write(w, 'K');
	expect_bytes(w, "ABCDEFGHIJK");
	world_policy(w, "restore-points", "0");
}

/* Whoever opens the disk just then finds all of its files: it is left for the next round. */
static void test_not_while_it_is_opened(void **state)
{
	struct world *w = *state;
	int64_t id;

	for (unsigned char byte = 'A'; byte <= 'D'; byte++)
		boot_and_write(w, byte);
	id = world_machine(w, MAC1).system.id;
	assert_int_equal(disks_open_begin(&w->boot->disks, id), 0);
	boot_join_layers(w->boot);
	expect_points(w, "!boot-2 boot-3 boot-4");
	assert_int_equal(world_children(w), 4);
	disks_open_end(&w->boot->disks, id, false);
	/* Nor while a person changes it. */
	assert_int_equal(disks_claim(&w->boot->disks, id), 0);
	boot_join_layers(w->boot);
	expect_points(w, "!boot-2 boot-3 boot-4");
	disks_unclaim(&w->boot->disks, id);
	boot_join_layers(w->boot);
	expect_points(w, "boot-3 boot-4");
	assert_int_equal(world_children(w), 3);
}

/* The file is joined, and the rows are not: both say the same, also after a start, and the next round makes it right. */
static void test_join_is_not_committed(void **state)
{
	struct world *w = *state;

	for (unsigned char byte = 'A'; byte <= 'D'; byte++)
		boot_and_write(w, byte);
	inventory_sql(
		w->store,
		"CREATE TABLE never (id INTEGER REFERENCES event (id) DEFERRABLE INITIALLY DEFERRED);"
		"CREATE TRIGGER no_commit AFTER UPDATE OF parent_id ON snapshot BEGIN INSERT INTO never VALUES (-1); END");
	boot_join_layers(w->boot);
	expect_points(w, "!boot-2 boot-3 boot-4");
	world_policy(w, "restore-points", "0");
	expect_bytes(w, "ABCD");
	inventory_sql(w->store, "DROP TRIGGER no_commit; DROP TABLE never");
	world_restart(w);
	assert_int_equal(world_children(w), 4);
	assert_int_equal(world_events(w, "disk-rebased"), 0);
	expect_bytes(w, "ABCD");
	boot_join_layers(w->boot);
	expect_points(w, "boot-3 boot-4");
	assert_int_equal(world_children(w), 3);
	expect_bytes(w, "ABCD");
	back_to(w, "boot-3");
	expect_bytes(w, "AB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_taken_and_gone_back_to, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_joined_in_use, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_nothing_new, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_too_deep, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_not_while_it_is_opened, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_join_is_not_committed, setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
