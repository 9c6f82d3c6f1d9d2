// SPDX-License-Identifier: GPL-2.0-or-later
/* What goes by itself really goes, and nothing that somebody needs; and the last disks of ephemeral machines. */
#include "broken_commit.h"
#include "cmocka_all.h"
#include "world.h"

#include "base/util.h"
#include "boot/login/left_disk.h"
#include "boot/retention.h"
#include "inventory/snapshot.h"
#include "store/store.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"

static struct reason reason;
static struct retention plan;
static struct boot_lun luns[8];
static unsigned lun_count;

static int setup(void **state)
{
	reason.text[0] = '\0';
	return world_setup(state);
}

static int teardown(void **state)
{
	retention_fini(&plan);
	return world_teardown(state);
}

static void start(struct world *w, const char *mac)
{
	lun_count = world_boot_luns(w, mac, luns);
}

static void stop(struct world *w)
{
	world_close_luns(w, luns, lun_count);
}

static void expect_byte(struct world *w, const char *mac, unsigned char byte, bool there)
{
	start(w, mac);
	assert_int_equal(world_read_disk(w, luns[0].disk, 4096ull * byte) == byte, there);
	stop(w);
}

static void snapshot(struct world *w, const char *label)
{
	if (boot_snapshot_take(w->boot, "pc-001:0", label, "ctl", &reason))
		fail_msg("%s", reason.text);
}

struct labels {
	char text[512];
	int64_t volume_id;
};

static int add_label(void *arg, const struct snapshot *s)
{
	struct labels *labels = arg;
	size_t len = strlen(labels->text);

	snprintf(labels->text + len, sizeof(labels->text) - len, "%s%s%s%s", len ? " " : "", s->removed ? "!" : "",
		 s->label, s->unsynced ? "~" : "");
	return 0;
}

static int read_labels(struct inventory_tx *tx, void *arg)
{
	struct labels *labels = arg;

	return snapshot_each(tx, labels->volume_id, add_label, labels);
}

/* "!": removed, and there still; "~": not synced yet. */
static void expect_snapshots(struct world *w, const char *text)
{
	struct labels labels = { .volume_id = world_machine(w, MAC1).system.id };

	assert_int_equal(world_write(w, read_labels, &labels), 0);
	assert_string_equal(labels.text, text);
}

/* As a person does it, without waiting for the grace. */
static void run(struct world *w, unsigned gone, unsigned refused)
{
	retention_fini(&plan);
	if (boot_run_retention(w->boot, "ctl", 0, &plan, &reason))
		fail_msg("%s", reason.text);
	assert_int_equal(plan.gone, gone);
	assert_int_equal(plan.refused, refused);
}

static void look(struct world *w, unsigned due)
{
	retention_fini(&plan);
	if (boot_plan_retention(w->boot, &plan, &reason))
		fail_msg("%s", reason.text);
	assert_int_equal(plan.due, due);
}

static const struct retention_item *item(enum retention_kind kind, const char *owner)
{
	for (unsigned i = 0; i < plan.count; i++) {
		if (plan.list[i].kind == kind && !strcmp(plan.list[i].owner, owner))
			return &plan.list[i];
	}
	return NULL;
}

/* ---- rules ---- */

static void test_snapshots(void **state)
{
	struct world *w = *state;
	unsigned children;

	world_boot_and_write(w, MAC1, 'A');
	snapshot(w, "one");
	world_boot_and_write(w, MAC1, 'B');
	snapshot(w, "two");
	/* By default they stay for ever. */
	inventory_sql(w->store, "UPDATE snapshot SET created_ms = 1000");
	run(w, 0, 0);
	world_policy(w, "keep-snapshots", "90d");
	inventory_sql(w->store, "UPDATE snapshot SET created_ms = %lld WHERE label = 'two'",
		      (long long)time_unix_ms() - 89 * 86400000LL);
	look(w, 1);
	assert_string_equal(plan.list[0].label, "one");
	assert_true(plan.list[0].stood_on);
	assert_int_equal(plan.list[0].bytes, 0);
	/* While it runs: what it stands on goes when it can. */
	start(w, MAC1);
	run(w, 1, 0);
	stop(w);
	expect_snapshots(w, "!one two");
	expect_byte(w, MAC1, 'A', true);
	expect_byte(w, MAC1, 'B', true);
	assert_int_equal(world_events(w, "snapshot-removed"), 1);
	/* One that nothing stands on goes at once, and gives room back. */
	assert_int_equal(boot_snapshot_restore(w->boot, "pc-001:0", "two", "ctl", &reason), 0);
	world_policy(w, "keep-restore-points", "1h");
	inventory_sql(w->store, "UPDATE snapshot SET created_ms = 1000 WHERE automatic = 1");
	look(w, 1);
	assert_int_equal(plan.list[0].kind, RETENTION_POINT);
	assert_false(plan.list[0].stood_on);
	assert_true(plan.list[0].bytes > 0);
	children = world_children(w);
	run(w, 1, 0);
	expect_snapshots(w, "!one two");
	assert_int_equal(world_children(w), children - 1);
}

static void test_grace(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	snapshot(w, "one");
	inventory_sql(w->store, "UPDATE snapshot SET created_ms = 1000");
	world_policy(w, "keep-snapshots", "1d");
	look(w, 1);
	assert_true(plan.grace_ms > time_unix_ms());
	boot_retention_chore(w->boot);
	expect_snapshots(w, "one");
	/* Taken back in time. */
	world_policy(w, "keep-snapshots", "forever");
	look(w, 0);
	world_policy(w, "keep-snapshots", "1d");
	inventory_sql(w->store, "UPDATE setting SET value = '%lld' WHERE name = 'retention-changed'",
		      (long long)time_unix_ms() - RETENTION_GRACE_MS);
	boot_retention_chore(w->boot);
	expect_snapshots(w, "!one");
}

struct last_event {
	struct event event;
	const char *kind;
};

static int take_event(void *arg, const struct event *event)
{
	struct last_event *last = arg;

	if (!strcmp(event->kind, last->kind))
		last->event = *event;
	return 0;
}

static int read_event(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, 0, 0, 1000, take_event, arg);
}

static struct event last_event(struct world *w, const char *kind)
{
	struct last_event last = { .kind = kind };

	assert_int_equal(inventory_read_call(w->inventory, read_event, &last), 0);
	return last.event;
}

static void test_idle_machines(void **state)
{
	struct world *w = *state;
	struct machine machine;
	struct event event;

	world_boot_and_write(w, MAC1, 'A');
	world_boot_and_write(w, MAC2, 'B');
	inventory_sql(w->store, "UPDATE machine SET seen_ms = 1000, created_ms = 1000");
	run(w, 0, 0);
	/* Not with a trash that keeps nothing. */
	world_policy(w, "trash", "none");
	world_policy(w, "keep-idle", "180d");
	run(w, 0, 0);
	assert_int_equal(world_machine_count(w), 2);
	world_policy(w, "trash", "7d");
	/* Nor one that runs, however long ago it asked for a script. */
	start(w, MAC2);
	inventory_sql(w->store, "UPDATE machine SET seen_ms = 1000");
	inventory_sql(w->store, "UPDATE setting SET value = '1' WHERE name = 'retention-changed'");
	look(w, 1);
	assert_non_null(item(RETENTION_IDLE, "pc-002"));
	assert_string_equal(item(RETENTION_IDLE, "pc-002")->why, "it runs");
	boot_retention_chore(w->boot);
	stop(w);
	assert_int_equal(world_machine_count(w), 1);
	event = last_event(w, "removed");
	assert_string_equal(event.actor, "retention");
	assert_string_equal(event.object, "pc-001");
	assert_non_null(strstr(event.text, "keep-idle=180d"));
	/* With its disk, into the trash. */
	assert_int_equal(boot_trash_restore(w->boot, "pc-001", NULL, "ctl", &machine, &reason), 0);
	expect_byte(w, MAC1, 'A', true);
	/* It was seen. */
	assert_true(world_machine(w, MAC1).seen_ms > 1000);
	look(w, 1);
	assert_string_equal(plan.list[0].owner, "pc-002");
}

static bool image_file(struct world *w, const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/images/%s", w->dir, file);
	return !access(path, F_OK);
}

static void test_versions(void **state)
{
	struct world *w = *state;

	start(w, MAC1); /* of debian@1 */
	stop(w);
	for (unsigned char byte = 'b'; byte <= 'e'; byte++)
		world_add_image(w, "debian", byte);
	run(w, 0, 0);
	world_policy(w, "keep-versions", "1");
	/* @5 is what new machines get, @4 is kept, @1 has a machine. */
	look(w, 2);
	run(w, 2, 0);
	assert_true(image_file(w, "debian@1.raw"));
	assert_false(image_file(w, "debian@2.raw"));
	assert_false(image_file(w, "debian@3.raw"));
	assert_true(image_file(w, "debian@4.raw"));
	assert_true(image_file(w, "debian@5.raw"));
	assert_non_null(strstr(last_event(w, "image-removed").text, "keep-versions=1"));
	run(w, 0, 0);
	/* It moves on, and nobody needs the first one any more. */
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	run(w, 1, 0);
	assert_false(image_file(w, "debian@1.raw"));
}

/* A child that somebody has rebased by hand stands on it, though the inventory knows nothing of that. */
static void test_rebased(void **state)
{
	struct world *w = *state;
	char command[PATH_MAX * 2];

	world_add_image(w, "debian", 'b');
	start(w, MAC1);
	stop(w);
	world_policy(w, "keep-versions", "1");
	world_add_image(w, "debian", 'c');
	world_add_image(w, "debian", 'd');
	assert_int_equal(world_machine(w, MAC1).system.version_id, 2);
	snprintf(command, sizeof(command),
		 "qemu-img rebase -u -f qcow2 -F raw -b ../images/debian@1.raw %s/children/%s", w->dir,
		 world_machine(w, MAC1).system.object);
	assert_int_equal(system(command), 0);
	run(w, 0, 1);
	assert_true(image_file(w, "debian@1.raw"));
	assert_non_null(strstr(plan.list[0].why, "by its own header"));
}

/* The rules change while it runs: what has not gone yet stays. And what does not commit does not go. */
static void test_changed_meanwhile(void **state)
{
	struct world *w = *state;
	unsigned children;

	world_boot_and_write(w, MAC1, 'A');
	world_boot_and_write(w, MAC2, 'B');
	assert_int_equal(boot_remove(w->boot, "pc-001", false, "ctl", &reason), 0);
	assert_int_equal(boot_remove(w->boot, "pc-002", false, "ctl", &reason), 0);
	world_policy(w, "trash", "none");
	children = world_children(w);
	break_commit(w->store, "removed");
	run(w, 0, 2);
	assert_int_equal(world_children(w), children);
	inventory_sql(w->store, "DROP TRIGGER no_commit");
	inventory_sql(w->store,
		      "CREATE TRIGGER meanwhile AFTER INSERT ON event WHEN NEW.kind = 'removed' BEGIN UPDATE setting SET "
		      "value = '5' WHERE name = 'retention-changed'; END");
	run(w, 1, 0);
	assert_true(plan.unfinished);
	assert_int_equal(world_children(w), children - 1);
	inventory_sql(w->store, "DROP TRIGGER meanwhile");
	run(w, 1, 0);
	assert_int_equal(world_children(w), 0);
}

/* ---- what ephemeral boots leave ---- */

static void wait_for(struct world *w, const char *snapshots)
{
	/* The worker that syncs them is a thread of its own. */
	world_stop(w);
	world_start(w);
	expect_snapshots(w, snapshots);
}

static void test_ephemeral(void **state)
{
	struct world *w = *state;

	world_policy(w, "mode", "ephemeral");
	world_boot_and_write(w, MAC1, 'A');
	expect_byte(w, MAC1, 'A', false);
	expect_snapshots(w, "");
	world_policy(w, "keep-ephemeral", "2");
	world_boot_and_write(w, MAC1, 'B'); /* the disk of boot 2 is kept, with nothing on it */
	world_boot_and_write(w, MAC1, 'C');
	expect_byte(w, MAC1, 'C', false);
	wait_for(w, "of-boot-3 of-boot-4");
	assert_int_equal(world_children(w), 3);
	/* Too many of them. */
	world_policy(w, "keep-ephemeral", "1");
	look(w, 1);
	assert_string_equal(plan.list[0].label, "of-boot-3");
	assert_true(plan.list[0].bytes > 0);
	run(w, 1, 0);
	expect_snapshots(w, "of-boot-4");
	assert_int_equal(world_children(w), 2);
	/* One that is to stay becomes an image, or is gone back to by a machine that is ephemeral no longer. */
	assert_int_equal(boot_set(w->boot, "pc-001", "mode", "persistent", "ctl", &reason), 0);
	if (boot_snapshot_restore(w->boot, "pc-001:0", "of-boot-4", "ctl", &reason))
		fail_msg("%s", reason.text);
	expect_byte(w, MAC1, 'C', true);
	expect_byte(w, MAC1, 'B', false);
	/* None are to stay: the rest goes when the machine does not stand on it any more. */
	world_policy(w, "keep-ephemeral", "none");
	run(w, 1, 0);
	expect_byte(w, MAC1, 'C', true);
}

/* One that was in use when the server died is as without the rule: nobody could open it. */
static void test_ephemeral_died(void **state)
{
	struct world *w = *state;
	struct machine machine;
	uint16_t status;

	world_policy(w, "mode", "ephemeral");
	world_policy(w, "keep-ephemeral", "2h");
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	machine = world_machine(w, MAC1);
	assert_int_equal(world_begin(w, machine.id, 1), 0);
	assert_non_null(world_open(w, machine.id, 1, &status, &reason));
	world_die(w, world_machine(w, MAC1).system.object, w->disk);
	start(w, MAC1);
	stop(w);
	expect_snapshots(w, "");
	assert_int_equal(world_children(w), 1);
	/* In time, each has its own. */
	start(w, MAC1);
	stop(w);
	look(w, 0);
	assert_string_equal(item(RETENTION_EPHEMERAL, "pc-001")->rule, "keep-ephemeral=2h");
	assert_true(item(RETENTION_EPHEMERAL, "pc-001")->due_ms > time_unix_ms() + 3600000);
}

/* The host starts again before they were synced. */
static void test_ephemeral_power(void **state)
{
	struct world *w = *state;

	world_policy(w, "mode", "ephemeral");
	world_policy(w, "keep-ephemeral", "4");
	world_boot_and_write(w, MAC1, 'A');
	world_boot_and_write(w, MAC1, 'B');
	world_boot_and_write(w, MAC1, 'C');
	wait_for(w, "of-boot-1 of-boot-2");
	inventory_sql(w->store, "UPDATE snapshot SET unsynced = 1 WHERE label = 'of-boot-2'");
	world_restart(w);
	expect_snapshots(w, "of-boot-1 of-boot-2~");
	/* The server alone: it is done later. */
	boot_settle_left_disks(w->boot);
	expect_snapshots(w, "of-boot-1 of-boot-2");
	inventory_sql(w->store, "UPDATE snapshot SET unsynced = 1 WHERE label = 'of-boot-2'");
	inventory_sql(w->store, "UPDATE setting SET value = 'another' WHERE name = 'host-boot-id'");
	world_restart(w);
	expect_snapshots(w, "of-boot-1");
	assert_int_equal(world_events(w, "snapshots-lost"), 1);
	assert_int_equal(world_children(w), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_snapshots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_grace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle_machines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_versions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rebased, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ephemeral, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ephemeral_died, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ephemeral_power, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
