// SPDX-License-Identifier: GPL-2.0-or-later
/* A machine in maintenance works on the next version of an image, and has its own disk again afterwards. */
#include "broken_commit.h"
#include "cmocka_all.h"
#include "world.h"

#include "disk/disk.h"
#include "inventory/maintenance.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"

static struct reason reason;
static struct image_version version;

static void expect(int err, int want, const char *sentence)
{
	if (err != want || !strstr(reason.text, sentence))
		fail_msg("%d instead of %d with \"%s\": %s", err, want, sentence, reason.text);
}

static void begin(struct world *w, const char *machine, const char *image)
{
	if (boot_maintenance_begin(w->boot, machine, image, "ctl", &reason))
		fail_msg("%s", reason.text);
}

static void end(struct world *w, const char *machine, bool discard)
{
	if (boot_maintenance_end(w->boot, machine, discard, NULL, "ctl", &version, &reason))
		fail_msg("%s", reason.text);
}

static void set(struct world *w, const char *machine, const char *key, const char *value, int want,
		const char *sentence)
{
	expect(boot_set(w->boot, machine, key, value, "ctl", &reason), want, sentence);
}

static void add_machine(struct world *w, const char *mac, const char *image)
{
	struct boot_machine_new new = { .macs = { mac }, .mac_count = 1, .image = image };
	struct machine machine;
	unsigned failed;

	if (boot_add_machines(w->boot, &new, 1, false, "ctl", &machine, &failed, &reason))
		fail_msg("%s", reason.text);
}

static int set_to_test(struct inventory_tx *tx, void *arg)
{
	struct reason why;

	return version_set_state(tx, *(int64_t *)arg, VERSION_TEST, "ctl", &why);
}

/* A draft is nobody's: to look into it, it has to be one to test. */
static void expect_in_version(struct world *w, const char *mac, const char *bytes)
{
	char name[NAME_MAX_TEXT + 16];

	snprintf(name, sizeof(name), "%s@%u", version.image, version.number);
	assert_int_equal(world_write(w, set_to_test, &version.id), 0);
	add_machine(w, mac, name);
	world_expect_bytes(w, mac, bytes);
}

static unsigned files_in(struct world *w, const char *folder)
{
	char command[256];
	FILE *pipe;
	unsigned count = 0;

	snprintf(command, sizeof(command), "ls %s/%s | wc -l", w->dir, folder);
	pipe = popen(command, "r");
	assert_int_equal(fscanf(pipe, "%u", &count), 1);
	pclose(pipe);
	return count;
}

static void test_a_round(void **state)
{
	struct world *w = *state;
	struct machine before, during, after;

	world_boot_and_write(w, MAC1, 'A');
	assert_int_equal(boot_snapshot_take(w->boot, "pc-001:0", "mine", "ctl", &reason), 0);
	world_boot_and_write(w, MAC1, 'B');
	before = world_machine(w, MAC1);
	begin(w, "pc-001", NULL);
	during = world_machine(w, MAC1);
	assert_int_equal(during.mode, MODE_MAINTENANCE);
	assert_true(during.system.id != before.system.id);
	assert_int_equal(during.instance, before.instance + 1);
	/* A disk of the image, which stays over its boots and over restarts of the server. */
	world_expect_bytes(w, MAC1, "");
	world_boot_and_write(w, MAC1, 'C');
	world_restart(w);
	world_boot_and_write(w, MAC1, 'D');
	world_expect_bytes(w, MAC1, "CD");
	/* Its snapshots are its own disk's. */
	expect(boot_snapshot_restore(w->boot, "pc-001:0", "mine", "ctl", &reason), -ENOENT, "has no snapshot mine");
	end(w, "pc-001", false);
	assert_string_equal(version.image, "debian");
	assert_int_equal(version.number, 2);
	assert_non_null(strstr(reason.text, "sanbootctl image set debian@2 state=test"));
	assert_int_equal(world_events(w, "maintenance-began"), 1);
	assert_int_equal(world_events(w, "maintenance-ended"), 1);
	after = world_machine(w, MAC1);
	assert_int_equal(after.mode, MODE_PERSISTENT);
	assert_int_equal(after.system.id, before.system.id);
	assert_string_equal(after.system.object, before.system.object);
	assert_int_equal(after.instance, before.instance);
	assert_int_equal(files_in(w, "tmp"), 0);
	assert_int_equal(world_children(w), 2);
	world_expect_bytes(w, MAC1, "AB");
	assert_int_equal(boot_snapshot_restore(w->boot, "pc-001:0", "mine", "ctl", &reason), 0);
	world_expect_bytes(w, MAC1, "A");
	/* Nobody gets the draft, also who names it. */
	set(w, "pc-001", "image", "debian@2", -ESTALE, "is a draft, which nobody gets");
	expect_in_version(w, MAC2, "CD");
}

/* Also as a key of the machine; with what it had not written there is no version. */
static void test_as_a_mode(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	set(w, "pc-001", "mode", "maintenance", 0, "from its next boot on");
	set(w, "pc-001", "mode", "maintenance", 0, "in maintenance already");
	set(w, "pc-001", "mode", "nonsense", -EINVAL, "mode");
	set(w, "pc-001", "mode", "persistent", 0, "it had written nothing");
	assert_int_equal(files_in(w, "images"), 1);
	/* It was booted, and wrote nothing: the same. */
	set(w, "pc-001", "mode", "maintenance", 0, "");
	world_expect_bytes(w, MAC1, "");
	set(w, "pc-001", "mode", "persistent", 0, "it had written nothing");
	assert_int_equal(files_in(w, "images"), 1);
	world_expect_bytes(w, MAC1, "A");
	/* One that is new at each boot keeps what it writes meanwhile. */
	set(w, "pc-001", "mode", "ephemeral", 0, "");
	set(w, "pc-001", "mode", "maintenance", 0, "");
	world_boot_and_write(w, MAC1, 'B');
	world_expect_bytes(w, MAC1, "B");
	set(w, "pc-001", "mode", "ephemeral", 0, "image set debian@2 state=test");
	world_expect_bytes(w, MAC1, "");
	assert_int_equal(world_children(w), 1);
}

static void test_given_up(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	begin(w, "pc-001", NULL);
	world_boot_and_write(w, MAC1, 'B');
	end(w, "pc-001", true);
	assert_int_equal(version.number, 0);
	assert_int_equal(files_in(w, "images"), 1);
	assert_int_equal(world_children(w), 1);
	world_expect_bytes(w, MAC1, "A");
}

/* Two at a time: each becomes a draft of its own, and the second who begins is told. */
static void test_two(void **state)
{
	struct world *w = *state;

	world_add_image(w, "lab", 'x');
	world_expect(w, MAC1, "", "", "sanboot", NULL);
	world_expect(w, MAC2, "", "", "sanboot", NULL);
	begin(w, "pc-001", NULL);
	begin(w, "pc-002", "debian@1");
	world_boot_and_write(w, MAC1, 'A');
	world_boot_and_write(w, MAC2, 'B');
	end(w, "pc-002", false);
	assert_int_equal(version.number, 2);
	end(w, "pc-001", false);
	assert_int_equal(version.number, 3);
	expect_in_version(w, "52:54:00:aa:00:03", "A");
	/* On another image than its own. */
	begin(w, "pc-001", "lab");
	world_boot_and_write(w, MAC1, 'C');
	end(w, "pc-001", false);
	assert_string_equal(version.image, "lab");
	assert_int_equal(version.number, 2);
}

/* A copy without them; what stands on a draft goes on as with any version. */
static void test_with_snapshots(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	begin(w, "pc-001", NULL);
	world_boot_and_write(w, MAC1, 'B');
	assert_int_equal(boot_snapshot_take(w->boot, "pc-001:0", "half", "ctl", &reason), 0);
	world_boot_and_write(w, MAC1, 'C');
	end(w, "pc-001", false);
	assert_int_equal(version.number, 2);
	assert_int_equal(files_in(w, "tmp"), 0);
	assert_int_equal(world_children(w), 1);
	world_expect_bytes(w, MAC1, "A");
	expect_in_version(w, MAC2, "BC");
}

/* One after the other: each stands on the last, until that is too many. */
static void test_again_and_again(void **state)
{
	struct world *w = *state;
	char name[32], bytes[16] = "";

	world_policy(w, "reserve", "1M");
	world_boot_and_write(w, MAC1, 'Z');
	for (unsigned n = 0; n < 6; n++) {
		snprintf(name, sizeof(name), "debian@%u", n + 1);
		begin(w, "pc-001", name);
		bytes[n] = (char)('A' + n);
		world_boot_and_write(w, MAC1, (unsigned char)bytes[n]);
		world_expect_bytes(w, MAC1, bytes);
		end(w, "pc-001", false);
		assert_int_equal(version.number, n + 2);
		assert_int_equal(world_write(w, set_to_test, &version.id), 0);
	}
	world_expect_bytes(w, MAC1, "Z");
	assert_int_equal(files_in(w, "tmp"), 0);
	assert_int_equal(world_children(w), 1);
	add_machine(w, MAC2, "debian@7");
	world_expect_bytes(w, MAC2, "ABCDEF");
}

static void test_refused(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	expect(boot_maintenance_begin(w->boot, "nobody", NULL, "ctl", &reason), -ENOENT, "there is no machine nobody");
	expect(boot_maintenance_begin(w->boot, "pc-001", "nix", "ctl", &reason), -ENOENT, "there is no nix");
	expect(boot_maintenance_end(w->boot, "pc-001", false, NULL, "ctl", &version, &reason), -EINVAL,
	       "is not in maintenance: sanbootctl machine maintenance pc-001 begin");
	w->alive = true;
	w->sessions = 1;
	expect(boot_maintenance_begin(w->boot, "pc-001", NULL, "ctl", &reason), -EBUSY, "pc-001 runs");
	w->alive = false;
	w->sessions = 0;
	begin(w, "pc-001", NULL);
	expect(boot_maintenance_begin(w->boot, "pc-001", NULL, "ctl", &reason), -EEXIST, "in maintenance already");
	expect(boot_remove(w->boot, "pc-001", false, "ctl", &reason), -EBUSY, "machine maintenance pc-001 end");
	expect(boot_maintenance_end(w->boot, "pc-001", false, "maintenance", "ctl", &version, &reason), -EINVAL,
	       "after its maintenance");
	/* What its own disk was made from stays. */
	assert_int_equal(store_remove_version(w->store, world_machine(w, MAC1).system.version_id, "ctl", &reason),
			 -EBUSY);
	end(w, "pc-001", false);
}

static bool in_maintenance(struct world *w)
{
	return world_machine(w, MAC1).mode == MODE_MAINTENANCE;
}

/* What did not commit has changed nothing, and leaves nothing. */
static void test_begin_not_committed(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	break_commit(w->store, "maintenance-began");
	assert_true(boot_maintenance_begin(w->boot, "pc-001", NULL, "ctl", &reason) < 0);
	assert_false(in_maintenance(w));
	assert_int_equal(world_children(w), 1);
	world_restart(w);
	world_expect_bytes(w, MAC1, "A");
	assert_int_equal(world_children(w), 1);
}

static void test_end_not_committed(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	begin(w, "pc-001", NULL);
	world_boot_and_write(w, MAC1, 'B');
	break_commit(w->store, "maintenance-ended");
	assert_true(boot_maintenance_end(w->boot, "pc-001", false, NULL, "ctl", &version, &reason) < 0);
	assert_true(in_maintenance(w));
	assert_int_equal(files_in(w, "images"), 1);
	assert_int_equal(files_in(w, "tmp"), 0);
	assert_int_equal(world_children(w), 2);
	world_restart(w);
	world_expect_bytes(w, MAC1, "B");
	assert_int_equal(world_children(w), 2);
}

/* A reset begins it again; its settings are those of its own disk. */
static void test_reset_and_size(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	set(w, "pc-001", "size", "64M", 0, "");
	begin(w, "pc-001", NULL);
	end(w, "pc-001", false);
	assert_int_equal(version.number, 0);
	begin(w, "pc-001", NULL);
	assert_int_equal(world_machine(w, MAC1).system.size_bytes, 64 << 20);
	world_boot_and_write(w, MAC1, 'B');
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), 0);
	assert_true(in_maintenance(w));
	world_expect_bytes(w, MAC1, "");
	world_boot_and_write(w, MAC1, 'C');
	end(w, "pc-001", false);
	world_expect_bytes(w, MAC1, "A");
	expect_in_version(w, MAC2, "C");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_round, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_as_a_mode, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_given_up, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_two, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_with_snapshots, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_again_and_again, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_refused, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_begin_not_committed, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_end_not_committed, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_reset_and_size, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
