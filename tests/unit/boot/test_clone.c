// SPDX-License-Identifier: GPL-2.0-or-later
/* A machine with what is on another one's disk: both stand on the same layers, and neither takes them from the other. */
#include "broken_commit.h"
#include "cmocka_all.h"
#include "world.h"

#include "boot/operator/layers.h"
#include "disk/disk.h"
#include "inventory/snapshot.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"
#define MAC3 "52:54:00:aa:00:03"

static struct reason reason;
static struct boot_lun luns[8];
static unsigned lun_count;

static void start(struct world *w, const char *mac)
{
	lun_count = world_boot_luns(w, mac, luns);
}

static void stop(struct world *w)
{
	world_close_luns(w, luns, lun_count);
}

static int try_clone(struct world *w, const char *machine, const char *name, const char *mac, const char *snapshot)
{
	struct boot_machine_new new = { .name = name, .macs = { mac }, .mac_count = mac ? 1 : 0 };
	struct machine made;

	return boot_clone(w->boot, machine, &new, snapshot, "ctl", &made, &reason);
}

static void make_clone(struct world *w, const char *machine, const char *name, const char *mac, const char *snapshot)
{
	if (try_clone(w, machine, name, mac, snapshot))
		fail_msg("%s", reason.text);
}

static void expect_refused(int err, int want, const char *sentence)
{
	if (err != want || !strstr(reason.text, sentence))
		fail_msg("%d instead of %d with \"%s\": %s", err, want, sentence, reason.text);
}

static void take(struct world *w, const char *volume, const char *label)
{
	if (boot_snapshot_take(w->boot, volume, label, "ctl", &reason))
		fail_msg("%s", reason.text);
}

static void remove_for_good(struct world *w, const char *machine)
{
	if (boot_remove(w->boot, machine, true, "ctl", &reason))
		fail_msg("%s", reason.text);
}

struct layer_count {
	const char *volume;
	unsigned all, shown;
};

static int count_layer(void *arg, const struct snapshot *snapshot)
{
	struct layer_count *count = arg;

	count->all++;
	count->shown += !snapshot->removed;
	return 0;
}

static int count_layers(struct inventory_tx *tx, void *arg)
{
	struct layer_count *count = arg;
	struct volume volume;
	int err = volume_find(tx, count->volume, &volume);

	return err ? err : snapshot_each(tx, volume.id, count_layer, count);
}

static void expect_layers(struct world *w, const char *volume, unsigned all, unsigned shown)
{
	struct layer_count count = { .volume = volume };

	assert_int_equal(world_write(w, count_layers, &count), 0);
	if (count.all != all || count.shown != shown)
		fail_msg("%s has %u layers, %u of them shown", volume, count.all, count.shown);
}

static void test_cloned(void **state)
{
	struct world *w = *state;
	struct machine one, two;

	world_boot_and_write(w, MAC1, 'A');
	assert_int_equal(boot_set(w->boot, "pc-001", "note", "the first", "ctl", &reason), 0);
	assert_int_equal(boot_set(w->boot, "pc-001", "multipath", "yes", "ctl", &reason), 0);
	make_clone(w, "pc-001", "copy", MAC2, NULL);
	one = world_machine(w, MAC1);
	two = world_machine(w, MAC2);
	/* Its settings, and nothing that makes it the same machine. */
	assert_true(two.multipath);
	assert_string_equal(two.note, "");
	assert_true(strcmp(one.iqn, two.iqn));
	assert_int_equal(two.system.version_id, one.system.version_id);
	assert_int_equal(two.instance, 1);
	assert_int_equal(world_children(w), 3);
	assert_int_equal(world_events(w, "cloned"), 2);
	expect_layers(w, "pc-001:0", 1, 0);
	/* What each writes is its own, also over a restart of the server. */
	world_boot_and_write(w, MAC1, 'B');
	world_boot_and_write(w, MAC2, 'C');
	world_restart(w);
	world_expect_bytes(w, MAC1, "AB");
	world_expect_bytes(w, MAC2, "AC");
}

/* Whoever goes first, the layer stays for the other; with the last one it goes. */
static void test_one_goes(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	make_clone(w, "pc-001", "copy", MAC2, NULL);
	make_clone(w, "copy", "second", MAC3, NULL);
	/* Nobody had used copy: both stand on the one layer. */
	assert_int_equal(world_children(w), 4);
	world_boot_and_write(w, MAC2, 'B');
	remove_for_good(w, "pc-001");
	assert_int_equal(world_children(w), 3);
	world_restart(w);
	world_expect_bytes(w, MAC2, "AB");
	world_expect_bytes(w, MAC3, "A");
	assert_int_equal(boot_reset(w->boot, "copy", "ctl", &reason), 0);
	world_expect_bytes(w, MAC2, "");
	world_expect_bytes(w, MAC3, "A");
	assert_int_equal(boot_reset(w->boot, "second", "ctl", &reason), 0);
	assert_int_equal(world_children(w), 2);
	expect_layers(w, "second:0", 0, 0);
}

/* A chain of layers of one machine, that another one stands on: all of it passes on. */
static void test_chain_passes_on(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	take(w, "pc-001:0", "one");
	world_boot_and_write(w, MAC1, 'B');
	take(w, "pc-001:0", "two");
	world_boot_and_write(w, MAC1, 'C');
	make_clone(w, "pc-001", "copy", MAC2, "two");
	world_expect_bytes(w, MAC2, "AB");
	remove_for_good(w, "pc-001");
	assert_int_equal(world_children(w), 3);
	expect_layers(w, "copy:0", 2, 0);
	world_restart(w);
	world_expect_bytes(w, MAC2, "AB");
	remove_for_good(w, "copy");
	assert_int_equal(world_children(w), 0);
}

static void test_of_a_snapshot(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	take(w, "pc-001:0", "one");
	start(w, MAC1);
	/* Also while it runs. */
	make_clone(w, "pc-001", "copy", MAC2, "ONE");
	assert_int_equal(world_write_disk(w, luns[0].disk, 4096ull * 'B', 'B', true), 0);
	stop(w);
	world_expect_bytes(w, MAC2, "A");
	world_expect_bytes(w, MAC1, "AB");
	assert_int_equal(boot_snapshot_remove(w->boot, "pc-001:0", "one", "ctl", &reason), 0);
	assert_non_null(strstr(reason.text, "stands on it"));
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	world_expect_bytes(w, MAC2, "A");
}

/* Layers are joined only where nobody else's disk lies above them. */
static void test_joined(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	take(w, "pc-001:0", "one");
	world_boot_and_write(w, MAC1, 'B');
	take(w, "pc-001:0", "two");
	world_boot_and_write(w, MAC1, 'C');
	make_clone(w, "pc-001", "copy", MAC2, "two");
	assert_int_equal(boot_snapshot_remove(w->boot, "pc-001:0", "one", "ctl", &reason), 0);
	assert_int_equal(world_children(w), 4);
	boot_join_layers(w->boot);
	assert_int_equal(world_children(w), 4);
	world_expect_bytes(w, MAC2, "AB");
	remove_for_good(w, "copy");
	boot_join_layers(w->boot);
	assert_int_equal(world_children(w), 2);
	world_expect_bytes(w, MAC1, "ABC");
	/* Once the first one has gone from them, they are the clone's alone, and become one. */
	make_clone(w, "pc-001", "copy", MAC2, NULL);
	world_boot_and_write(w, MAC2, 'D');
	take(w, "copy:0", "mine");
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	assert_int_equal(boot_snapshot_remove(w->boot, "pc-001:0", "two", "ctl", &reason), 0);
	boot_join_layers(w->boot);
	assert_int_equal(world_children(w), 3);
	world_expect_bytes(w, MAC2, "ABCD");
}

/* A copy for the clone alone. */
static void test_too_deep(void **state)
{
	struct world *w = *state;
	char label[16];

	world_boot_and_write(w, MAC1, 'A');
	for (unsigned i = 1; i <= 6; i++) {
		snprintf(label, sizeof(label), "s%u", i);
		take(w, "pc-001:0", label);
		world_boot_and_write(w, MAC1, (unsigned char)('A' + i));
	}
	assert_int_equal(world_children(w), 7);
	make_clone(w, "pc-001", "copy", MAC2, NULL);
	assert_int_equal(world_children(w), 8);
	assert_int_equal(world_machine(w, MAC2).system.snapshot_id, 0);
	world_expect_bytes(w, MAC2, "ABCDEFG");
	world_expect_bytes(w, MAC1, "ABCDEFG");
	remove_for_good(w, "pc-001");
	world_restart(w);
	assert_int_equal(world_children(w), 1);
	world_expect_bytes(w, MAC2, "ABCDEFG");
}

/* Its hardware comes later; a machine without any goes to the trash and comes back. */
static void test_without_hardware(void **state)
{
	struct world *w = *state;
	struct machine machine;

	world_boot_and_write(w, MAC1, 'A');
	make_clone(w, "pc-001", "copy", NULL, NULL);
	assert_non_null(strstr(reason.text, "sanbootctl machine mac add copy MAC"));
	expect_refused(boot_wake(w->boot, "copy", "ctl", &reason), -EINVAL, "has no network card yet");
	assert_int_equal(boot_remove(w->boot, "copy", false, "ctl", &reason), 0);
	assert_int_equal(boot_trash_restore(w->boot, "copy", NULL, "ctl", &machine, &reason), 0);
	world_restart(w);
	assert_int_equal(boot_mac(w->boot, "copy", true, MAC2, "ctl", &reason), 0);
	world_expect_bytes(w, MAC2, "A");
	/* The same as a swap. */
	make_clone(w, "pc-001", "third", NULL, NULL);
	assert_int_equal(boot_swap(w->boot, "third", MAC3, "ctl", &reason), 0);
	world_expect_bytes(w, MAC3, "A");
}

static void test_refused(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	expect_refused(try_clone(w, "nobody", "copy", MAC2, NULL), -ENOENT, "there is no machine nobody");
	expect_refused(try_clone(w, "pc-001", "a b", MAC2, NULL), -EINVAL, "name: expected letters");
	expect_refused(try_clone(w, "pc-001", "PC-001", MAC2, NULL), -EEXIST, "there is a machine pc-001 already");
	expect_refused(try_clone(w, "pc-001", "copy", MAC1, NULL), -EEXIST, "is machine pc-001 already");
	expect_refused(try_clone(w, "pc-001", "copy", "nonsense", NULL), -EINVAL, "is no MAC address");
	expect_refused(try_clone(w, "pc-001", "copy", MAC2, "nix"), -ENOENT, "pc-001 has no snapshot nix");
	world_policy(w, "max-machines", "1");
	expect_refused(try_clone(w, "pc-001", "copy", MAC2, NULL), -ENOSPC, "max-machines=2");
	world_policy(w, "max-machines", "10");
	w->alive = true;
	w->sessions = 1;
	expect_refused(try_clone(w, "pc-001", "copy", MAC2, NULL), -EBUSY, "pc-001 runs");
	w->alive = false;
	w->sessions = 0;
	assert_int_equal(world_children(w), 1);
	assert_int_equal(boot_set(w->boot, "pc-001", "mode", "ephemeral", "ctl", &reason), 0);
	expect_refused(try_clone(w, "pc-001", "copy", MAC2, NULL), -EINVAL, "sanbootctl machine add copy MAC");
	assert_int_equal(world_children(w), 1);
	assert_int_equal(world_machine_count(w), 1);
}

static void test_not_committed(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	break_commit(w->store, "cloned");
	assert_true(try_clone(w, "pc-001", "copy", MAC2, NULL) < 0);
	assert_int_equal(world_children(w), 1);
	assert_int_equal(world_machine_count(w), 1);
	world_restart(w);
	world_expect_bytes(w, MAC1, "A");
	expect_layers(w, "pc-001:0", 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cloned, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_one_goes, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_chain_passes_on, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_of_a_snapshot, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_joined, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_too_deep, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_without_hardware, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_refused, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_not_committed, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
