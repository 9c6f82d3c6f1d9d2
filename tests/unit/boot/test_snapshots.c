// SPDX-License-Identifier: GPL-2.0-or-later
/* Snapshots as people take them, go back to them and remove them: each refusal with its sentence, and what is kept of
 * what was there. */
#include "world.h"

#include "base/util.h"
#include "disk/disk.h"
#include "inventory/snapshot.h"
#include "store/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAC1 "52:54:00:aa:00:01"
#define UUID1 "5a4b0075-0000-4000-8000-000000000001"

static struct reason reason;

static int setup(void **state)
{
	struct world *w = world_new(true);

	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	reason.text[0] = '\0';
	*state = w;
	return 0;
}

static void expect(int err, int want, const char *sentence)
{
	if (err != want || (sentence ? !strstr(reason.text, sentence) : reason.text[0] != '\0'))
		fail_msg("%d instead of %d with \"%s\": %s", err, want, sentence ? sentence : "", reason.text);
}

static void take(struct world *w, const char *volume, const char *label, int want, const char *sentence)
{
	expect(boot_snapshot_take(w->boot, volume, label, "ctl", &reason), want, sentence);
}

static void restore(struct world *w, const char *volume, const char *label, int want, const char *sentence)
{
	expect(boot_snapshot_restore(w->boot, volume, label, "ctl", &reason), want, sentence);
}

static void take_away(struct world *w, const char *volume, const char *label, int want, const char *sentence)
{
	expect(boot_snapshot_remove(w->boot, volume, label, "ctl", &reason), want, sentence);
}

static void copy(struct world *w, const char *volume, const char *name, int want, const char *sentence)
{
	int64_t id = 0;

	expect(boot_volume_copy(w->boot, volume, name, "ctl", &id, &reason), want, sentence);
	assert_int_equal(want == 0, id > 0);
}

static void make(struct world *w, const char *machine, const char *name, enum volume_kind kind)
{
	struct boot_volume_new what = { .machine = machine,
					.name = name,
					.kind = kind,
					.lun = -1,
					.size_bytes = kind == VOLUME_DATA ? 16 << 20 : 0,
					.from = kind == VOLUME_DATA ? NULL : "debian" };
	int64_t id;

	if (boot_volume_create(w->boot, &what, "ctl", &id, &reason))
		fail_msg("%s", reason.text);
	reason.text[0] = '\0';
}

/* ---- a boot of pc-001 ---- */

static struct boot_lun luns[8];
static unsigned lun_count;

/* It boots and logs in. */
static void start(struct world *w)
{
	struct machine machine = world_machine(w, MAC1);
	struct machine_boot current, pending = { .number = 0 };
	struct reason why;

	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(world_begin(w, machine.id, pending.number), 0);
	lun_count = world_open_luns(w, machine.id, pending.number, luns, &why);
	if (!lun_count)
		fail_msg("%s", why.text);
}

static void stop(struct world *w)
{
	world_close_luns(w, luns, lun_count);
	lun_count = 0;
}

static void boot_and_write(struct world *w, unsigned lun, unsigned char byte)
{
	start(w);
	assert_int_equal(world_write_disk(w, luns[lun].disk, 8192, byte, true), 0);
	stop(w);
}

static void boot_and_read(struct world *w, unsigned lun, int want)
{
	start(w);
	assert_int_equal(world_read_disk(w, luns[lun].disk, 8192), want);
	stop(w);
}

/* ---- what there is ---- */

struct labels {
	const char *volume;
	char text[512];
};

static int add_label(void *arg, const struct snapshot *snapshot)
{
	struct labels *labels = arg;
	size_t len = strlen(labels->text);

	snprintf(labels->text + len, sizeof(labels->text) - len, "%s%s%s ", snapshot->label,
		 snapshot->automatic ? "*" : "", snapshot->removed ? "!" : "");
	return 0;
}

static int read_labels(struct inventory_tx *tx, void *arg)
{
	struct labels *labels = arg;
	struct volume volume;
	int err = volume_find(tx, labels->volume, &volume);

	return err ? err : snapshot_each(tx, volume.id, add_label, labels);
}

static void has(struct world *w, const char *volume, const char *want, unsigned children)
{
	struct labels labels = { .volume = volume };

	assert_int_equal(world_write(w, read_labels, &labels), 0);
	assert_string_equal(labels.text, want);
	assert_int_equal(world_children(w), children);
}

/* ---- the disk that a machine boots from ---- */

static void test_machine(void **state)
{
	struct world *w = *state;

	boot_and_write(w, 0, '1');
	take(w, "pc-001:0", "one", 0, NULL);
	has(w, "pc-001:0", "one ", 2);
	boot_and_read(w, 0, '1');
	boot_and_write(w, 0, '2');
	take(w, "pc-001:0", "two", 0, NULL);
	boot_and_write(w, 0, '3');
	/* Back to the first; what was there is kept, and can be had again. */
	restore(w, MAC1 ":0", "ONE", 0, NULL);
	has(w, "pc-001:0", "one two before-one* ", 4);
	boot_and_read(w, 0, '1');
	restore(w, "pc-001:0", "before-one", 0, NULL);
	boot_and_read(w, 0, '3');
	restore(w, "pc-001:0", "two", 0, NULL);
	boot_and_read(w, 0, '2');
	boot_and_write(w, 0, '4');
	/* They survive a reset; with its disk the machine has lost nothing that has a name. */
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	boot_and_read(w, 0, 'd');
	restore(w, "pc-001:0", "two", 0, NULL);
	boot_and_read(w, 0, '2');
	assert_true(world_events(w, "snapshot-taken") == 2 && world_events(w, "snapshot-restored") == 4);
	/* With the machine all of them go. */
	assert_int_equal(boot_remove(w->boot, "pc-001", true, "ctl", &reason), 0);
	assert_int_equal(world_children(w), 0);
}

/* A snapshot brings its image with it, which cannot go as long as it is there. */
static void test_image(void **state)
{
	struct world *w = *state;
	int64_t first = world_machine(w, MAC1).system.version_id;
	bool gone;

	boot_and_write(w, 0, '1');
	take(w, "pc-001:0", "old", 0, NULL);
	/* What stands on a snapshot holds what that holds: another image would hide it. */
	expect(boot_set(w->boot, "pc-001", "image", "debian", "ctl", &reason), 0, NULL);
	world_add_image(w, "debian", 'B');
	expect(boot_set(w->boot, "pc-001", "image", "debian@2", "ctl", &reason), -EEXIST, "holds data of its own");
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	assert_true(world_machine(w, MAC1).system.version_id != first);
	gone = !store_remove_version(w->store, first, "ctl", &reason);
	assert_false(gone);
	assert_non_null(strstr(reason.text, "and 1 snapshots; 0 machines in the trash"));
	reason.text[0] = '\0';
	boot_and_read(w, 0, 'B');
	restore(w, "pc-001:0", "old", 0, NULL);
	assert_int_equal(world_machine(w, MAC1).system.version_id, first);
	boot_and_read(w, 0, '1');
}

/* What people go back to again and again does not fill the disk. */
static void test_automatic(void **state)
{
	struct world *w = *state;

	boot_and_write(w, 0, '1');
	take(w, "pc-001:0", "class", 0, NULL);
	for (unsigned i = 0; i < 6; i++) {
		boot_and_write(w, 0, (unsigned char)('a' + i));
		restore(w, "pc-001:0", "class", 0, NULL);
	}
	has(w, "pc-001:0", "class before-class-4* before-class-5* before-class-6* ", 5);
	/* Nothing was written since: there is nothing to be kept. */
	restore(w, "pc-001:0", "class", 0, NULL);
	has(w, "pc-001:0", "class before-class-4* before-class-5* before-class-6* ", 5);
	restore(w, "pc-001:0", "before-class-6", 0, NULL);
	boot_and_read(w, 0, 'f');
}

static void test_remove(void **state)
{
	struct world *w = *state;

	boot_and_write(w, 0, '1');
	take(w, "pc-001:0", "one", 0, NULL);
	boot_and_write(w, 0, '2');
	take(w, "pc-001:0", "two", 0, NULL);
	/* Something stands on it: said, and it goes with that. */
	take_away(w, "pc-001:0", "one", 0, "the disk of pc-001 or another snapshot stands on it");
	has(w, "pc-001:0", "one! two ", 3);
	restore(w, "pc-001:0", "one", -ENOENT,
		"the disk of pc-001 has no snapshot one: sanbootctl machine snapshots pc-001 shows all");
	boot_and_read(w, 0, '2');
	/* Also while it runs. */
	start(w);
	take_away(w, "pc-001:0", "two", 0, "stands on it");
	assert_int_equal(world_read_disk(w, luns[0].disk, 8192), '2');
	stop(w);
	has(w, "pc-001:0", "one! two! ", 3);
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	has(w, "pc-001:0", "", 1);
	/* One on which nothing stands goes at once. */
	boot_and_write(w, 0, '3');
	take(w, "pc-001:0", "three", 0, NULL);
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	has(w, "pc-001:0", "three ", 2);
	take_away(w, "pc-001:0", "three", 0, NULL);
	has(w, "pc-001:0", "", 1);
	take_away(w, "pc-001:0", "three", -ENOENT, "has no snapshot three");
}

/* Eight files at most lie one over the other: then it goes on in a copy. */
static void test_deep(void **state)
{
	struct world *w = *state;
	struct volume volume;
	char label[16];

	for (unsigned i = 0; i < 8; i++) {
		boot_and_write(w, 0, (unsigned char)('a' + i));
		snprintf(label, sizeof(label), "s%u", i);
		take(w, "pc-001:0", label, 0, NULL);
		volume = world_volume(w, "pc-001:0");
		assert_int_equal(volume.snapshot_id == 0, i == 6);
	}
	boot_and_read(w, 0, 'h');
	for (unsigned i = 0; i < 8; i++) {
		snprintf(label, sizeof(label), "s%u", i);
		restore(w, "pc-001:0", label, 0, NULL);
		boot_and_read(w, 0, 'a' + (int)i);
	}
	world_restart(w);
	boot_and_read(w, 0, 'h');
	restore(w, "pc-001:0", "s6", 0, NULL);
	boot_and_read(w, 0, 'g');
}

static void test_refused(void **state)
{
	struct world *w = *state;

	make(w, NULL, "tools", VOLUME_SHARED);
	take(w, "pc-001:0", "a b", -EINVAL, "label: expected letters");
	take(w, "pc-001:0", "", -EINVAL, "label: expected letters");
	take(w, "nobody:0", "one", -ENOENT, "there is no machine nobody: sanbootctl machine list");
	take(w, "nothing", "one", -ENOENT, "there is no volume nothing");
	take(w, "tools", "one", -EINVAL,
	     "volume tools is a golden version as it is, which never changes: it needs no snapshots");
	restore(w, "tools", "one", -EINVAL, "needs no snapshots");
	copy(w, "tools", "copy", -EINVAL, "needs no snapshots");
	restore(w, "pc-001:0", "one", -ENOENT, "has no snapshot one");
	restore(w, "pc-001:0", "\xff", -ENOENT, "has no snapshot");
	take(w, "pc-001:0", "one", 0, NULL);
	take(w, "pc-001:0", "ONE", -EEXIST, "there is a snapshot ONE already");
	has(w, "pc-001:0", "one ", 2);
	/* A machine that runs is told what to do, and not disturbed. */
	w->alive = true;
	w->session = (struct boot_session){ .address = "10.0.0.9:1", .since_ms = 1700000000000 };
	take(w, "pc-001:0", "two", -EBUSY, "pc-001 runs: ");
	restore(w, "pc-001:0", "one", -EBUSY,
		"shut it down or, if it is gone, release it: sanbootctl machine release pc-001");
	w->alive = false;
	assert_int_equal(disks_claim(&w->boot->disks, world_machine(w, MAC1).system.id), 0);
	take(w, "pc-001:0", "two", -EBUSY, "somebody else is changing the disk of pc-001 just now");
	disks_unclaim(&w->boot->disks, world_machine(w, MAC1).system.id);
	expect(boot_set(w->boot, "pc-001", "mode", "ephemeral", "ctl", &reason), 0, NULL);
	take(w, "pc-001:0", "two", -EINVAL,
	     "pc-001 begins each boot with a new disk: first sanbootctl machine set pc-001 mode=persistent");
	has(w, "pc-001:0", "one ", 2);
}

/* The server died while it was in use: what its journal holds is not in the file. */
static void test_not_closed(void **state)
{
	struct world *w = *state;
	struct machine_boot current, pending = { .number = 0 };
	struct machine machine;
	struct disk *disk;
	uint16_t status;
	struct reason why;

	boot_and_write(w, 0, '1');
	take(w, "pc-001:0", "one", 0, NULL);
	machine = world_machine(w, MAC1);
	world_expect(w, MAC1, UUID1, "vm1", "sanboot", NULL);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(world_begin(w, machine.id, pending.number), 0);
	disk = world_open(w, machine.id, pending.number, &status, &why);
	assert_non_null(disk);
	assert_int_equal(world_write_block(w, 8192, '2', false), 0);
	world_die(w, machine.system.object, disk);
	presence_set_resume(&w->boot->presence, machine.id, 0);
	take(w, "pc-001:0", "two", -EBUSY, "was not closed in order");
	restore(w, "pc-001:0", "one", -EBUSY, "start the machine once more, shut it down, and try again");
	has(w, "pc-001:0", "one ", world_children(w));
}

/* ---- data volumes ---- */

static void test_data(void **state)
{
	struct world *w = *state;
	char serial[NAME_MAX_TEXT];

	make(w, "pc-001", "data", VOLUME_DATA);
	memcpy(serial, world_volume(w, "data").serial, sizeof(serial));
	boot_and_write(w, 1, '1');
	take(w, "data", "one", 0, NULL);
	boot_and_write(w, 1, '2');
	restore(w, "pc-001:1", "one", 0, NULL);
	start(w);
	/* The same disk to whoever knew it. */
	assert_string_equal(luns[1].serial, serial);
	assert_true(serial[0] && !strncmp(serial, "d1-", 3));
	assert_int_equal(world_read_disk(w, luns[1].disk, 8192), '1');
	stop(w);
	has(w, "data", "one before-one* ", 4);
	expect(boot_volume_set(w->boot, "data", "size", "32M", "ctl", &reason), 0, NULL);
	restore(w, "data", "one", 0, NULL);
	start(w);
	assert_int_equal(luns[1].disk->size_bytes, 32 << 20);
	assert_int_equal(world_read_disk(w, luns[1].disk, 8192), '1');
	stop(w);
	/* A copy is a volume of its own. */
	copy(w, "data", "copy", 0, NULL);
	copy(w, "data", "copy", -EEXIST, "there is a volume copy already");
	copy(w, "data", "a b", -EINVAL, "name: expected letters");
	copy(w, "pc-001:0", "disk", -EINVAL, "is the system volume of a machine");
	boot_and_write(w, 1, '3');
	expect(boot_volume_detach(w->boot, "data", NULL, false, "ctl", &reason), 0, NULL);
	expect(boot_volume_attach(w->boot, "copy", "pc-001", 1, "ctl", &reason), 0, "from its next boot on");
	reason.text[0] = '\0';
	boot_and_read(w, 1, '1');
	assert_string_not_equal(world_volume(w, "copy").serial, serial);
	/* Nobody has it: nothing to be asked. */
	take(w, "data", "two", 0, NULL);
	expect(boot_volume_remove(w->boot, "data", "ctl", &reason), 0, NULL);
	assert_int_equal(world_children(w), 2);
	world_restart(w);
	assert_int_equal(world_children(w), 2);
	boot_and_read(w, 1, '1');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_machine, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_image, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_automatic, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_remove, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_deep, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_not_closed, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_data, setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
