// SPDX-License-Identifier: GPL-2.0-or-later
/* A machine's disk becomes a version of an image: who boots from it has what was on it, and what it stands on stays. */
#include "broken_commit.h"
#include "cmocka_all.h"
#include "world.h"

#include "base/util.h"
#include "boot/operator/flatten.h"
#include "boot/operator/promote.h"
#include "disk/disk.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAC1 "52:54:00:aa:00:01"
#define MAC2 "52:54:00:aa:00:02"

static struct reason reason;
static struct image_version version;
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

static void promote(struct world *w, const char *machine, const char *image, const char *snapshot)
{
	if (boot_promote(w->boot, machine, image, snapshot, "ctl", &version, &reason))
		fail_msg("%s", reason.text);
}

static void expect_refused(struct world *w, const char *image, const char *snapshot, int err, const char *why)
{
	assert_int_equal(boot_promote(w->boot, "pc-001", image, snapshot, "ctl", &version, &reason), err);
	if (!strstr(reason.text, why))
		fail_msg("\"%s\" does not say \"%s\"", reason.text, why);
}

/* A machine of its own, of that version. */
static void add_machine(struct world *w, const char *mac, const char *image)
{
	struct boot_machine_new new = { .macs = { mac }, .mac_count = 1, .image = image };
	struct machine machine;
	unsigned failed;

	if (boot_add_machines(w->boot, &new, 1, false, "ctl", &machine, &failed, &reason))
		fail_msg("%s", reason.text);
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

static int64_t id_of_debian(struct world *w)
{
	return world_machine(w, MAC1).system.version_id;
}

static void test_promoted(void **state)
{
	struct world *w = *state;
	char path[256];
	struct stat st;

	world_boot_and_write(w, MAC1, 'A');
	promote(w, "pc-001", "lab", NULL);
	assert_string_equal(version.image, "lab");
	assert_int_equal(version.number, 1);
	assert_string_equal(version.format, "qcow2");
	assert_int_equal(version.state, VERSION_PUBLISHED);
	snprintf(path, sizeof(path), "%s/images/lab@1.qcow2", w->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0444);
	assert_int_equal(files_in(w, "tmp"), 0);
	assert_int_equal(world_events(w, "image-promoted"), 1);
	/* Others have it; what they write is theirs, and the first one goes on by itself. */
	add_machine(w, MAC2, "lab");
	world_expect_bytes(w, MAC2, "A");
	world_boot_and_write(w, MAC2, 'B');
	world_boot_and_write(w, MAC1, 'C');
	world_expect_bytes(w, MAC1, "AC");
	world_expect_bytes(w, MAC2, "AB");
	/* What it stands on stays, and is not taken from under it. */
	assert_int_equal(boot_remove(w->boot, MAC1, true, "ctl", &reason), 0);
	assert_int_equal(store_remove_version(w->store, version.parent_id, "ctl", &reason), -EBUSY);
	world_restart(w);
	world_expect_bytes(w, MAC2, "AB");
	/* A reset is a new disk of the same; a second one is the next version, which nobody gets yet. */
	assert_int_equal(boot_snapshot_take(w->boot, "pc-002:0", "x", "ctl", &reason), 0);
	assert_int_equal(boot_reset(w->boot, MAC2, "ctl", &reason), 0);
	world_expect_bytes(w, MAC2, "A");
}

static int read_version(struct inventory_tx *tx, void *arg)
{
	return version_by_id(tx, *(int64_t *)arg, &version);
}

static void test_its_identity(void **state)
{
	struct world *w = *state;
	char command[256];
	int64_t id;

	world_boot_and_write(w, MAC1, 'A');
	promote(w, "pc-001", "lab", NULL);
	id = version.id;
	assert_string_equal(version.sha256, "");
	boot_identify_versions(w->boot);
	assert_int_equal(world_write(w, read_version, &id), 0);
	assert_int_equal(strlen(version.sha256), 64);
	/* A file that only looks as if it were new is hashed, and taken; one that was changed is refused. */
	add_machine(w, MAC2, "lab");
	snprintf(command, sizeof(command), "touch %s/images/lab@1.qcow2", w->dir);
	assert_int_equal(system(command), 0);
	world_expect_bytes(w, MAC2, "A");
	/* What it stands on counts as well. */
	snprintf(command, sizeof(command), "printf x | dd of=%s/images/debian@1.raw conv=notrunc 2>/dev/null", w->dir);
	assert_int_equal(system(command), 0);
	world_expect(w, MAC2, "", "", "sanboot", NULL);
	assert_int_equal(world_begin(w, world_machine(w, MAC2).id, 2), 0);
	assert_int_equal(world_open_luns(w, world_machine(w, MAC2).id, 2, luns, &reason), 0);
	assert_non_null(strstr(reason.text, "debian@1 was changed since it was published"));
}

static void test_of_a_snapshot(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	assert_int_equal(boot_snapshot_take(w->boot, "pc-001:0", "one", "ctl", &reason), 0);
	world_boot_and_write(w, MAC1, 'B');
	assert_int_equal(boot_snapshot_take(w->boot, "pc-001:0", "two", "ctl", &reason), 0);
	/* Also while it runs. */
	start(w, MAC1);
	world_policy(w, "reserve", "1M");
	promote(w, "pc-001", "lab", "one");
	assert_int_equal(version.number, 1);
	assert_int_equal(world_write_disk(w, luns[0].disk, 4096ull * 'C', 'C', true), 0);
	/* One that stands on another one becomes a copy without it. */
	promote(w, "pc-001", "lab", "two");
	assert_int_equal(version.number, 2);
	assert_int_equal(version.state, VERSION_TEST);
	assert_non_null(strstr(reason.text, "sanbootctl image publish lab@2"));
	stop(w);
	assert_int_equal(files_in(w, "tmp"), 0);
	assert_int_equal(world_children(w), 3);
	add_machine(w, MAC2, "lab@2");
	world_expect_bytes(w, MAC2, "AB");
	world_expect_bytes(w, MAC1, "ABC");
	/* The version outlives the snapshot that it is. */
	assert_int_equal(boot_remove(w->boot, MAC1, true, "ctl", &reason), 0);
	world_restart(w);
	world_expect_bytes(w, MAC2, "AB");
}

static unsigned depth_of(struct world *w, const char *file)
{
	char command[256];
	FILE *pipe;
	unsigned count = 0;

	snprintf(command, sizeof(command), "qemu-img info --backing-chain %s/images/%s | grep -c '^file format'",
		 w->dir, file);
	pipe = popen(command, "r");
	assert_int_equal(fscanf(pipe, "%u", &count), 1);
	pclose(pipe);
	return count;
}

/* Versions of versions: each one deeper, up to where machines and snapshots need the rest; then one stands on the first again. */
static void test_too_deep(void **state)
{
	static const unsigned depths[] = { 2, 3, 4, 2, 3, 4, 2 };
	struct world *w = *state;
	char image[16], file[32], mac[PARSE_MAC_TEXT], bytes[16] = "A";

	world_policy(w, "reserve", "1M");
	world_boot_and_write(w, MAC1, 'A');
	snprintf(mac, sizeof(mac), "%s", MAC1);
	for (unsigned n = 0; n < array_len(depths); n++) {
		snprintf(image, sizeof(image), "lab%u", n);
		promote(w, mac, image, NULL);
		snprintf(file, sizeof(file), "%s@1.qcow2", image);
		assert_int_equal(depth_of(w, file), depths[n]);
		snprintf(mac, sizeof(mac), "52:54:00:bb:00:%02x", n + 1);
		add_machine(w, mac, image);
		bytes[n + 1] = (char)('B' + n);
		world_boot_and_write(w, mac, (unsigned char)bytes[n + 1]);
		world_expect_bytes(w, mac, bytes);
	}
	assert_int_equal(files_in(w, "tmp"), 0);
	/* What it has been copied from is not needed by it any more; the first one is. */
	world_restart(w);
	world_expect_bytes(w, mac, bytes);
}

/* ---- one file of several ---- */

/* lab0 of debian, lab1 of lab0 and so on; a machine of each. *mac: of the last one. */
static void make_deep(struct world *w, char mac[PARSE_MAC_TEXT], unsigned versions)
{
	char image[16];

	world_boot_and_write(w, MAC1, 'A');
	snprintf(mac, PARSE_MAC_TEXT, "%s", MAC1);
	for (unsigned i = 0; i < versions; i++) {
		snprintf(image, sizeof(image), "lab%u", i);
		if (boot_promote(w->boot, mac, image, NULL, "ctl", &version, &reason))
			fail_msg("%s", reason.text);
		snprintf(mac, PARSE_MAC_TEXT, "52:54:00:bb:00:%02x", (i + 1) & 0xff);
		add_machine(w, mac, image);
		world_boot_and_write(w, mac, (unsigned char)('B' + i));
	}
	boot_identify_versions(w->boot);
}

static void expect_depth(struct world *w, const char *mac, unsigned depth)
{
	int64_t id = world_machine(w, mac).system.version_id;

	assert_int_equal(world_write(w, read_version, &id), 0);
	assert_int_equal(version.depth, depth);
}

static void test_flattened(void **state)
{
	struct world *w = *state;
	char mac[PARSE_MAC_TEXT], command[256];
	struct machine machine;
	int64_t lab0;

	make_deep(w, mac, 2);
	world_policy(w, "reserve", "0%");
	expect_depth(w, mac, 3);
	lab0 = version.parent_id;
	/* While machines use it: who has the old files open reads on in them. */
	start(w, mac);
	boot_flatten_versions(w->boot);
	assert_int_equal(world_events(w, "image-flattened"), 1);
	assert_int_equal(world_read_disk(w, luns[0].disk, 4096ull * 'A'), 'A');
	assert_int_equal(world_read_disk(w, luns[0].disk, 4096ull * 'B'), 'B');
	assert_int_equal(world_write_disk(w, luns[0].disk, 4096ull * 'D', 'D', true), 0);
	stop(w);
	expect_depth(w, mac, 1);
	assert_string_equal(version.parent, "");
	assert_int_equal(strlen(version.sha256), 64);
	assert_int_equal(files_in(w, "tmp"), 0);
	world_expect_bytes(w, mac, "ABCD");
	/* And there is room again for more of them. */
	machine = world_machine(w, mac);
	promote(w, machine.name, "lab2", NULL);
	/* What it stood on may go, with its machines. */
	assert_int_equal(boot_remove(w->boot, "52:54:00:bb:00:01", true, "ctl", &reason), 0);
	assert_int_equal(store_remove_version(w->store, lab0, "ctl", &reason), 0);
	world_restart(w);
	world_expect_bytes(w, mac, "ABCD");
	snprintf(command, sizeof(command), "qemu-img check -q -f qcow2 %s/images/lab1@1.qcow2", w->dir);
	assert_int_equal(system(command), 0);
	/* Once is enough. */
	boot_flatten_versions(w->boot);
	assert_int_equal(world_events(w, "image-flattened"), 1);
}

/* What changed behind the server's back does not become good by that. */
static void test_flatten_changed(void **state)
{
	struct world *w = *state;
	char mac[PARSE_MAC_TEXT], command[256];

	make_deep(w, mac, 2);
	world_policy(w, "reserve", "0%");
	snprintf(command, sizeof(command), "printf x | dd of=%s/images/debian@1.raw conv=notrunc 2>/dev/null", w->dir);
	assert_int_equal(system(command), 0);
	boot_flatten_versions(w->boot);
	expect_depth(w, mac, 3);
	assert_int_equal(world_events(w, "image-flattened"), 0);
	assert_int_equal(files_in(w, "tmp"), 0);
}

/* The change does not commit, though the file is the new one: it is good, and done later. */
static void test_flatten_not_committed(void **state)
{
	struct world *w = *state;
	char mac[PARSE_MAC_TEXT];
	ino_t before, after;
	struct stat st;
	char path[256];

	make_deep(w, mac, 2);
	world_policy(w, "reserve", "0%");
	snprintf(path, sizeof(path), "%s/images/lab1@1.qcow2", w->dir);
	assert_int_equal(stat(path, &st), 0);
	before = st.st_ino;
	break_commit(w->store, "image-flattened");
	boot_flatten_versions(w->boot);
	assert_int_equal(stat(path, &st), 0);
	after = st.st_ino;
	assert_true(before != after);
	expect_depth(w, mac, 3);
	/* Under both identities. */
	world_expect_bytes(w, mac, "ABC");
	inventory_sql(w->store, "DROP TRIGGER no_commit");
	/* As after a kill at this place. */
	world_restart(w);
	expect_depth(w, mac, 1);
	assert_int_equal(world_events(w, "image-flattened"), 1);
	world_expect_bytes(w, mac, "ABC");
}

/* A kill behind the announcement: the old file is there still. */
static void test_flatten_announced(void **state)
{
	struct world *w = *state;
	char mac[PARSE_MAC_TEXT], command[256];

	make_deep(w, mac, 2);
	world_policy(w, "reserve", "0%");
	snprintf(command, sizeof(command), "cp %s/images/lab1@1.qcow2 %s/tmp/lab1@1.qcow2.flat", w->dir, w->dir);
	assert_int_equal(system(command), 0);
	inventory_sql(w->store,
		      "INSERT INTO version_flat SELECT id, 'x', 1, 1 FROM image_version WHERE file = 'lab1@1.qcow2'");
	world_restart(w);
	assert_int_equal(files_in(w, "tmp"), 0);
	expect_depth(w, mac, 3);
	world_expect_bytes(w, mac, "ABC");
	boot_flatten_versions(w->boot);
	expect_depth(w, mac, 1);
	world_expect_bytes(w, mac, "ABC");
}

static void test_refused(void **state)
{
	struct world *w = *state;

	world_boot_and_write(w, MAC1, 'A');
	expect_refused(w, "a b", NULL, -EINVAL, "image: expected letters");
	expect_refused(w, "lab", "nix", -ENOENT, "pc-001 has no snapshot nix");
	assert_int_equal(boot_promote(w->boot, "nobody", "lab", NULL, "ctl", &version, &reason), -ENOENT);
	expect_refused(w, "DEBIAN", NULL, -EEXIST, "upper and lower case");
	w->alive = true;
	w->sessions = 1;
	expect_refused(w, "lab", NULL, -EBUSY, "pc-001 runs");
	w->alive = false;
	w->sessions = 0;
	assert_int_equal(files_in(w, "images"), 1);
	assert_int_equal(files_in(w, "tmp"), 0);
	assert_int_equal(id_of_debian(w) > 0, true);
}

/* What did not commit leaves nothing; nor does a server that dies before it could clean up. */
static void test_not_committed(void **state)
{
	struct world *w = *state;
	char command[512];

	world_boot_and_write(w, MAC1, 'A');
	break_commit(w->store, "image-promoted");
	assert_true(boot_promote(w->boot, "pc-001", "lab", NULL, "ctl", &version, &reason) < 0);
	assert_int_equal(files_in(w, "images"), 1);
	assert_int_equal(files_in(w, "tmp"), 0);
	snprintf(command, sizeof(command),
		 "cd %s && f=$(ls children | head -1) && ln children/$f tmp/lab@1.qcow2 && ln tmp/lab@1.qcow2 images/lab@1.qcow2",
		 w->dir);
	assert_int_equal(system(command), 0);
	world_restart(w);
	assert_int_equal(files_in(w, "images"), 1);
	assert_int_equal(files_in(w, "tmp"), 0);
	world_expect_bytes(w, MAC1, "A");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_promoted, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_its_identity, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_of_a_snapshot, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_too_deep, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_flattened, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_flatten_changed, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_flatten_not_committed, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_flatten_announced, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_refused, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_not_committed, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
