// SPDX-License-Identifier: GPL-2.0-or-later
/* A rollout at machines: who gets the version at the next boot and who does not, what becomes of their disks, and how they go back. */
#include "broken_commit.h"
#include "cmocka_all.h"
#include "world.h"

#include "base/util.h"
#include "disk/disk.h"
#include "inventory/rollout.h"
#include "inventory/snapshot.h"
#include "inventory/stage.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"

static struct reason reason;
static struct boot_lun luns[8];
static unsigned lun_count;

/* ---- versions and rollouts ---- */

/* debian@2 is to be tested, and debian@1 is what new machines get. */
static int step_back_run(struct inventory_tx *tx, void *arg)
{
	struct image_version v;

	(void)arg;
	assert_int_equal(version_find(tx, "debian", 1, &v), 0);
	assert_int_equal(version_publish(tx, v.id), 0);
	assert_int_equal(version_find(tx, "debian", 2, &v), 0);
	return version_set_state(tx, v.id, VERSION_TEST, "test", &reason);
}

static int setup(void **state)
{
	struct world *w = world_new(true);

	world_add_image(w, "debian", 'e');
	assert_int_equal(world_write(w, step_back_run, NULL), 0);
	world_policy(w, "rollout-wait", "none");
	reason.text[0] = '\0';
	*state = w;
	return 0;
}

struct begin_arg {
	const char *ring; /* NULL: all */
	bool persistent;
};

static int begin_run(struct inventory_tx *tx, void *arg)
{
	const struct begin_arg *a = arg;
	struct rollout r = { .persistent = a->persistent, .step_count = 1, .steps = { { .percent = 100 } } };
	struct image_version v;

	assert_int_equal(version_find(tx, "debian", 2, &v), 0);
	r.version_id = v.id;
	if (a->ring) {
		r.steps[0].percent = 0;
		snprintf(r.steps[0].ring, sizeof(r.steps[0].ring), "%s", a->ring);
	}
	return rollout_begin(tx, &r, "test", &reason);
}

static void begin(struct world *w, const char *ring, bool persistent)
{
	struct begin_arg arg = { ring, persistent };

	if (world_write(w, begin_run, &arg))
		fail_msg("%s", reason.text);
}

static int undo_run(struct inventory_tx *tx, void *arg)
{
	(void)arg;
	return rollout_undo(tx, "debian", "test", &reason);
}

static void undo(struct world *w)
{
	if (world_write(w, undo_run, NULL))
		fail_msg("%s", reason.text);
}

static int read_rollout(struct inventory_tx *tx, void *arg)
{
	int64_t next_ms;
	int err = rollout_look(tx, &next_ms);

	return err ? err : rollout_of(tx, "debian", arg);
}

/* It is looked at, as the timer does; and how it is then. */
static struct rollout look(struct world *w)
{
	struct rollout r;

	assert_int_equal(world_write(w, read_rollout, &r), 0);
	return r;
}

/* ---- machines ---- */

static uint64_t pending_of(struct world *w, const char *mac)
{
	struct machine_boot current, pending = { .number = 0 };

	world_boots(w, world_machine(w, mac).id, &current, &pending);
	return pending.number;
}

static uint64_t start_by(struct world *w, const char *mac, const char *in_script)
{
	struct machine machine;
	uint64_t number;

	world_expect(w, mac, "", "", "sanboot", in_script);
	machine = world_machine(w, mac);
	number = pending_of(w, mac);
	/* What a login asks first: iSCSI closes what has to be closed. */
	world_find(w, machine.iqn, "");
	assert_int_equal(world_begin(w, machine.id, number), 0);
	lun_count = world_open_luns(w, machine.id, number, luns, &reason);
	if (!lun_count)
		fail_msg("%s", reason.text);
	return number;
}

static uint64_t start(struct world *w, const char *mac)
{
	return start_by(w, mac, NULL);
}

static void stop(struct world *w)
{
	world_close_luns(w, luns, lun_count);
}

/* It boots, on a disk of that golden image (its letter), with that byte at its own place; 0: with nothing. */
static void boots_on(struct world *w, const char *mac, unsigned char image, unsigned char own)
{
	start(w, mac);
	assert_int_equal(world_read_disk(w, luns[0].disk, 0), image);
	assert_int_equal(world_read_disk(w, luns[0].disk, 8192), own ? own : image);
	stop(w);
}

static void writes(struct world *w, const char *mac, unsigned char byte)
{
	start(w, mac);
	assert_int_equal(world_write_disk(w, luns[0].disk, 8192, byte, true), 0);
	stop(w);
}

static void set(struct world *w, const char *mac, const char *key, const char *value)
{
	if (boot_set(w->boot, mac, key, value, "test", &reason))
		fail_msg("%s=%s: %s", key, value, reason.text);
}

struct labels {
	char text[256];
	int64_t volume_id;
};

static int add_label(void *arg, const struct snapshot *snapshot)
{
	struct labels *labels = arg;
	size_t len = strlen(labels->text);

	if (!snapshot->removed)
		snprintf(labels->text + len, sizeof(labels->text) - len, "%s%s", len ? " " : "", snapshot->label);
	return 0;
}

static int read_labels(struct inventory_tx *tx, void *arg)
{
	return snapshot_each(tx, ((struct labels *)arg)->volume_id, add_label, arg);
}

static void expect_snapshots(struct world *w, const char *mac, const char *text)
{
	struct labels labels = { .volume_id = world_machine(w, mac).system.id };

	assert_int_equal(world_write(w, read_labels, &labels), 0);
	assert_string_equal(labels.text, text);
}

/* Two machines that have booted once. */
static void two(struct world *w, const char *mode)
{
	world_policy(w, "mode", mode);
	boots_on(w, MAC1, 'd', 0);
	boots_on(w, MAC2, 'd', 0);
}

/* ---- tests ---- */

static void test_ring(void **state)
{
	struct world *w = *state;
	int64_t instance;

	two(w, "ephemeral");
	set(w, MAC1, "ring", "canary");
	/* It runs when that begins: nothing happens to it. */
	start(w, MAC1);
	begin(w, "canary", false);
	assert_int_equal(world_read_disk(w, luns[0].disk, 0), 'd');
	assert_int_equal(world_write_disk(w, luns[0].disk, 8192, 'A', true), 0);
	assert_int_equal(world_read_disk(w, luns[0].disk, 8192), 'A');
	stop(w);
	instance = world_machine(w, MAC1).instance;
	start_by(w, MAC1, "debian@2");
	assert_int_equal(world_read_disk(w, luns[0].disk, 0), 'e');
	stop(w);
	assert_true(world_machine(w, MAC1).instance > instance);
	assert_int_equal(world_events(w, "version-given"), 1);
	boots_on(w, MAC1, 'e', 0);
	boots_on(w, MAC2, 'd', 0);
	assert_int_equal(world_events(w, "version-given"), 1);
	/* A new one gets what is published, in its ring and out of it by its next boot. */
	boots_on(w, "52:54:00:aa:00:03", 'd', 0);
	set(w, "52:54:00:aa:00:03", "ring", "canary");
	boots_on(w, "52:54:00:aa:00:03", 'e', 0);
	/* The same after a restart in the middle of it; and all go back. */
	world_restart(w);
	set(w, MAC2, "ring", "CANARY");
	boots_on(w, MAC2, 'e', 0);
	undo(w);
	world_restart(w);
	boots_on(w, MAC1, 'd', 0);
	boots_on(w, MAC2, 'd', 0);
	boots_on(w, "52:54:00:aa:00:03", 'd', 0);
	boots_on(w, MAC1, 'd', 0);
	assert_int_equal(world_children(w), 3);
}

/* Whoever asks only gets nothing, and nothing is lost by asking: the boot has to begin. */
static void test_asking_changes_nothing(void **state)
{
	struct world *w = *state;

	two(w, "ephemeral");
	begin(w, NULL, false);
	world_expect(w, MAC1, "", "", "sanboot", "debian@2");
	world_expect(w, MAC1, "", "", "sanboot", "debian@2");
	assert_int_equal(world_events(w, "version-given"), 0);
	undo(w);
	world_expect(w, MAC1, "", "", "sanboot", "debian@1");
	boots_on(w, MAC1, 'd', 0);
	/* Undone before its boot began: it never had it. */
	assert_int_equal(world_events(w, "version-given"), 0);
}

static void test_persistent(void **state)
{
	struct world *w = *state;
	int64_t instance;

	two(w, "persistent");
	writes(w, MAC1, 'A');
	instance = world_machine(w, MAC1).instance;
	begin(w, NULL, true);
	boots_on(w, MAC1, 'e', 0);
	expect_snapshots(w, MAC1, "before-debian-2");
	assert_true(world_machine(w, MAC1).instance > instance);
	writes(w, MAC1, 'B');
	boots_on(w, MAC1, 'e', 'B');
	undo(w);
	boots_on(w, MAC1, 'd', 'A');
	expect_snapshots(w, MAC1, "before-debian-2 before-debian-1");
	assert_int_equal(world_machine(w, MAC1).instance, instance);
	boots_on(w, MAC1, 'd', 'A');
	/* What was written meanwhile can be had again. */
	if (boot_snapshot_restore(w->boot, "pc-001:0", "before-debian-1", "test", &reason))
		fail_msg("%s", reason.text);
	boots_on(w, MAC1, 'e', 'B');
	/* What a person did stays. */
	boots_on(w, MAC1, 'e', 'B');
	world_restart(w);
	boots_on(w, MAC1, 'e', 'B');
}

/* Its disk holds data, and the rollout is for others. */
static void test_keeps_its_disk(void **state)
{
	struct world *w = *state;

	two(w, "persistent");
	writes(w, MAC1, 'A');
	set(w, MAC2, "mode", "ephemeral");
	begin(w, NULL, false);
	boots_on(w, MAC1, 'd', 'A');
	boots_on(w, MAC2, 'e', 0);
	/* Once it is reset there is nothing to lose. */
	assert_int_equal(boot_reset(w->boot, MAC1, "test", &reason), 0);
	boots_on(w, MAC1, 'e', 0);
	writes(w, MAC1, 'B');
	undo(w);
	/* What it wrote since is kept, though it had nothing before. */
	boots_on(w, MAC1, 'd', 0);
	expect_snapshots(w, MAC1, "before-debian-1");
	boots_on(w, MAC2, 'd', 0);
}

/* The snapshot to go back to was removed by a person: it stays, once and for all. */
static void test_nothing_to_go_back_to(void **state)
{
	struct world *w = *state;

	two(w, "persistent");
	writes(w, MAC1, 'A');
	begin(w, NULL, true);
	writes(w, MAC1, 'B');
	assert_int_equal(boot_snapshot_remove(w->boot, "pc-001:0", "before-debian-2", "test", &reason), 0);
	undo(w);
	boots_on(w, MAC1, 'e', 'B');
	assert_int_equal(world_events(w, "version-skipped"), 1);
	boots_on(w, MAC1, 'e', 'B');
	assert_int_equal(world_events(w, "version-skipped"), 1);
	expect_snapshots(w, MAC1, "");
}

/* Its disk is open just then: this boot is on what is there, the next one is not. */
static void test_still_open(void **state)
{
	struct world *w = *state;
	struct machine machine;

	two(w, "persistent");
	begin(w, NULL, true);
	machine = world_machine(w, MAC1);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	assert_int_equal(disks_open_begin(&w->boot->disks, machine.system.id), 0);
	assert_int_equal(world_begin(w, machine.id, pending_of(w, MAC1)), 0);
	disks_open_end(&w->boot->disks, machine.system.id, false);
	assert_int_equal(world_machine(w, MAC1).system.version_id, machine.system.version_id);
	boots_on(w, MAC1, 'e', 0);
}

/* The server died while it was in use: what is on it cannot be kept before it was closed in order once. */
static void test_not_closed_in_order(void **state)
{
	struct world *w = *state;
	struct machine machine;
	struct reason why;
	uint16_t status;

	two(w, "persistent");
	machine = world_machine(w, MAC1);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	assert_int_equal(world_begin(w, machine.id, pending_of(w, MAC1)), 0);
	assert_non_null(world_open(w, machine.id, 2, &status, &why));
	world_die(w, machine.system.object, w->disk);
	begin(w, NULL, true);
	boots_on(w, MAC1, 'd', 'x');
	assert_int_equal(world_events(w, "version-skipped"), 1);
	boots_on(w, MAC1, 'e', 0);
	undo(w);
	boots_on(w, MAC1, 'd', 'x');
}

/* ---- time ---- */

static int at_run(struct inventory_tx *tx, void *arg)
{
	struct rollout r = { .step_count = 1, .steps = { { .percent = 100, .at_ms = *(int64_t *)arg } } };
	struct image_version v;

	assert_int_equal(version_find(tx, "debian", 2, &v), 0);
	r.version_id = v.id;
	return rollout_begin(tx, &r, "test", &reason);
}

/* A step has a time, and the server is restarted before: it begins by itself, and not sooner. */
static void test_time_over_a_restart(void **state)
{
	const struct timespec moment = { .tv_nsec = 50000000 };
	struct world *w = *state;
	int64_t at_ms = time_unix_ms() + 2000;

	two(w, "ephemeral");
	if (world_write(w, at_run, &at_ms))
		fail_msg("%s", reason.text);
	assert_int_equal(world_events(w, "rollout-step"), 0);
	if (time_unix_ms() < at_ms - 500)
		boots_on(w, MAC1, 'd', 0);
	world_restart(w);
	while (!world_events(w, "rollout-step"))
		nanosleep(&moment, NULL);
	assert_true(time_unix_ms() >= at_ms);
	boots_on(w, MAC1, 'e', 0);
}

/* ---- the brake ---- */

struct outcome {
	int64_t machine_id;
	bool steady;
};

static int outcome_run(struct inventory_tx *tx, void *arg)
{
	const struct outcome *o = arg;
	struct stage_record record = { .machine_id = o->machine_id };
	struct machine_boot current;
	int err = machine_boot_current(tx, o->machine_id, &current);

	if (err)
		return err;
	record.number = current.number;
	record.stage = o->steady ? STAGE_STEADY : STAGE_LOADER_DONE;
	record.at_ms = current.started_ms + 30000;
	err = stage_put(tx, &record, false);
	record.stuck_ms = record.at_ms;
	return err || o->steady ? err : stage_set_stuck(tx, &record);
}

/* It boots on that image, and gets to a steady system or not. */
static void boots_well(struct world *w, const char *mac, unsigned char image, bool well)
{
	struct outcome outcome = { world_machine(w, mac).id, well };

	boots_on(w, mac, image, 0);
	/* What was seen of it is written then, and does not come behind what follows. */
	world_restart(w);
	assert_int_equal(world_write(w, outcome_run, &outcome), 0);
}

static void old_ones(struct world *w)
{
	two(w, "ephemeral");
	world_policy(w, "rollout-min-boots", "2");
	for (unsigned i = 0; i < 2; i++) {
		boots_well(w, MAC1, 'd', true);
		boots_well(w, MAC2, 'd', true);
	}
}

static void test_brake(void **state)
{
	struct world *w = *state;
	struct rollout r;

	old_ones(w);
	world_policy(w, "rollout-brake", "back");
	set(w, MAC1, "ring", "canary");
	begin(w, "canary", false);
	boots_well(w, MAC1, 'e', false);
	assert_int_equal(look(w).state, ROLLOUT_RUNNING);
	world_restart(w);
	boots_well(w, MAC1, 'e', false);
	r = look(w);
	assert_int_equal(r.state, ROLLOUT_STOPPED);
	assert_non_null(strstr(r.why, "only 0 of 2 boots got to a steady system, and of the old version 4 of 6 did"));
	assert_int_equal(world_events(w, "rollout-stopped"), 1);
	boots_well(w, MAC1, 'd', true);
	boots_well(w, MAC2, 'd', true);
	assert_int_equal(look(w).state, ROLLOUT_STOPPED);
	assert_int_equal(world_events(w, "rollout-stopped"), 1);
}

/* A boot that gets nowhere: the machine asks again. */
static void test_asks_again(void **state)
{
	struct world *w = *state;

	old_ones(w);
	begin(w, NULL, false);
	boots_on(w, MAC1, 'e', 0);
	boots_on(w, MAC2, 'e', 0);
	assert_int_equal(look(w).state, ROLLOUT_RUNNING);
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	assert_int_equal(look(w).state, ROLLOUT_RUNNING);
	world_expect(w, MAC2, "", "", "sanboot", NULL);
	assert_int_equal(look(w).state, ROLLOUT_STOPPED);
}

/* ---- what cannot be committed ---- */

static void test_not_committed(void **state)
{
	struct world *w = *state;
	struct machine before, after;
	unsigned children;

	two(w, "persistent");
	writes(w, MAC1, 'A');
	begin(w, NULL, true);
	before = world_machine(w, MAC1);
	children = world_children(w);
	inventory_sql(
		w->store,
		"CREATE TABLE never (id INTEGER REFERENCES event (id) DEFERRABLE INITIALLY DEFERRED);"
		"CREATE TRIGGER no_commit AFTER INSERT ON rollout_machine BEGIN INSERT INTO never VALUES (-1); END");
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	assert_int_not_equal(world_begin(w, before.id, pending_of(w, MAC1)), 0);
	inventory_sql(w->store, "DROP TRIGGER no_commit; DROP TABLE never");
	world_restart(w);
	after = world_machine(w, MAC1);
	assert_string_equal(after.system.object, before.system.object);
	assert_int_equal(after.system.version_id, before.system.version_id);
	assert_int_equal(world_children(w), children);
	expect_snapshots(w, MAC1, "");
	boots_on(w, MAC1, 'e', 0);
	undo(w);
	boots_on(w, MAC1, 'd', 'A');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ring, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_asking_changes_nothing, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_persistent, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_keeps_its_disk, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_nothing_to_go_back_to, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_still_open, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_not_closed_in_order, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_time_over_a_restart, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_brake, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_asks_again, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_not_committed, setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
