// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the last daemon of schema 6 left behind when it was killed (../inventory/schema-6.sql), with its golden images and
 * children beside it: this one takes it over, and its machines go on where they were.
 */
#include "world.h"

#include "base/util.h"
#include "disk/disk.h"
#include "store/store.h"

#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DUMP "tests/unit/inventory/schema-6.sql"

enum { DUMP_BYTES = 1 << 20 };

static struct reason why, reason;

static void run(const char *format, const char *a, const char *b)
{
	char command[1024];

	snprintf(command, sizeof(command), format, a, b);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static void load_inventory(struct world *w)
{
	char *sql = calloc(1, DUMP_BYTES), path[128];
	FILE *file = fopen(DUMP, "r");
	sqlite3 *db;

	assert_non_null(sql);
	if (!file)
		fail_msg("%s: run this in the project's folder", DUMP);
	assert_true(fread(sql, 1, DUMP_BYTES - 1, file) > 1000);
	fclose(file);
	run("rm -f '%s'/inventory.db*%s", w->dir, "");
	snprintf(path, sizeof(path), "%s/inventory.db", w->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	free(sql);
}

/* A megabyte of one letter, and seven of zeroes: what the sums in the inventory are of. */
static void make_golden(struct world *w, const char *file, const char *letter)
{
	char rest[64];

	snprintf(rest, sizeof(rest), "images/%s", file);
	run("cd '%s' && head -c 1048576 /dev/zero | tr '\\0' %s > golden && truncate -s 8M golden", w->dir, letter);
	run("cd '%s' && mv golden '%s'", w->dir, rest);
}

/* A machine's child that has been written to, as its name stands in the inventory. */
static void make_child(struct world *w, const char *file)
{
	char path[96];

	snprintf(path, sizeof(path), "children/%s", file);
	run("cd '%s' && qemu-img create -q -f qcow2 -o extended_l2=on,cluster_size=128k -b ../images/debian@1.raw -F raw '%s'",
	    w->dir, path);
	run("cd '%s' && qemu-io -f qcow2 -c 'write -q -P 107 32k 4k' '%s'", w->dir, path);
}

static int setup(void **state)
{
	struct world *w = world_new(false);

	world_stop(w);
	load_inventory(w);
	make_golden(w, "debian@1.raw", "d");
	make_golden(w, "debian@2.raw", "e");
	make_golden(w, "alpine@1.raw", "a");
	make_child(w, "m-nmyfqsum3l43.qcow2");	/* pc-001 */
	make_child(w, "m3-nprx5fgyydsr.qcow2"); /* pc-003, for one boot only */
	make_child(w, "m-5wesly5jnqkc.qcow2");	/* pc-007, whose boot was interrupted */
	make_child(w, "m-njh2ihssv2je.qcow2");	/* given up */
	world_start(w);
	*state = w;
	return 0;
}

static void test_goes_on(void **state)
{
	struct world *w = *state;
	struct boot_access access;
	struct machine_boot current, pending;
	struct machine machine = world_machine(w, "pc-001"), other;
	struct boot_volume_new what = { .machine = "pc-001", .kind = VOLUME_DATA, .lun = -1, .size_bytes = 1 << 20 };
	uint16_t status;
	int64_t id;

	/* Each machine's child: three that were used, four that were made again; what was given up has gone. */
	assert_int_equal(world_machine_count(w), 7);
	assert_int_equal(world_children(w), 7);
	assert_int_equal(world_events(w, "disk-missing"), 0);
	/* Who ran comes back under its boot, with its secret, and finds what it wrote. */
	access = world_find(w, "iqn.2026-11.org.example:sanbootd:mbyho266xl", "");
	assert_int_equal(access.machine_id, 1);
	assert_int_equal(access.current.boot, 1);
	assert_int_equal(boot_reset(w->boot, "pc-001", "ctl", &reason), -EBUSY);
	assert_non_null(strstr(reason.text, "ran when the server was stopped"));
	if (!world_open(w, 1, 1, &status, &why))
		fail_msg("%s", why.text);
	assert_int_equal(w->lun_count, 1);
	assert_int_equal(world_read_disk(w, w->disk, 32768), 'k');
	assert_int_equal(world_read_disk(w, w->disk, 0), 'd');
	assert_int_equal(world_read_disk(w, w->disk, 4 << 20), 0);
	assert_int_equal(world_write_block(w, 0, 'n', true), 0);
	/* And can have what there was not before. */
	assert_int_equal(boot_volume_create(w->boot, &what, "ctl", &id, &reason), 0);
	assert_non_null(world_lun(w, 1));
	world_close(w);
	assert_string_equal(world_machine(w, "pc-001").system.object, machine.system.object);
	if (!world_open(w, 3, 1, &status, &why))
		fail_msg("%s", why.text);
	assert_int_equal(world_read_disk(w, w->disk, 32768), 'k');
	world_close(w);
	/* Whose boot was interrupted boots again, and keeps its disk. */
	assert_null(world_open(w, 7, 1, &status, &why));
	assert_non_null(strstr(why.text, "interrupted"));
	world_policy(w, "enrol", "auto");
	world_expect(w, "52:54:00:aa:00:07", "5a4b0075-0000-4000-8000-000000000007", "vm7", "sanboot",
		     "boots debian@1");
	assert_int_equal(world_begin(w, 7, 2), 0);
	assert_non_null(world_open(w, 7, 2, &status, &why));
	assert_int_equal(world_read_disk(w, w->disk, 32768), 'k');
	world_close(w);
	/* Its next boot is of the image that was chosen. */
	world_boots(w, 5, &current, &pending);
	assert_int_equal(pending.version_id, 2);
	assert_int_equal(world_begin(w, 5, 1), 0);
	assert_non_null(world_open(w, 5, 1, &status, &why));
	assert_int_equal(world_read_disk(w, w->disk, 0), 'e');
	world_close(w);
	/* Who failed stays so until a person has looked; who was made larger is. */
	assert_null(world_open(w, 6, 1, &status, &why));
	assert_non_null(strstr(why.text, "its disk failed: Input/output error"));
	assert_int_equal(world_begin(w, 2, 1), 0);
	assert_non_null(world_open(w, 2, 1, &status, &why));
	assert_int_equal(w->disk->size_bytes, 16 << 20);
	assert_true(w->luns[0].physical_512);
	world_close(w);
	/* A new machine gets a number that nobody has had. */
	world_expect(w, "52:54:00:aa:00:30", "", "", "sanboot", NULL);
	other = world_machine(w, "52:54:00:aa:00:30");
	assert_int_equal(other.id, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_goes_on, setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
