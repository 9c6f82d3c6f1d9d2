// SPDX-License-Identifier: GPL-2.0-or-later
/* Groups of machines, what a machine boots, and what a pending boot's menu chose. */
#include "inventory/fixture.h"

#include "base/assets.h"
#include "base/util.h"
#include "inventory/private.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int names_of(void *arg, const struct machine_group *group)
{
	size_t len = strlen(arg);

	snprintf((char *)arg + len, 128 - len, "%s=%u;", group->name, group->machines);
	return 0;
}

static int groups(struct inventory_tx *tx, void *arg)
{
	int64_t version = make_version(tx, 1);
	struct machine m = make_machine(1, version), other = make_machine(2, version);
	struct machine_group lab = { .name = "Lab", .priority = 7, .boot = "menu", .note = "room 3" };
	struct machine_group office = { .name = "office" }, found;
	char list[128] = "";

	(void)arg;
	assert_int_equal(group_insert(tx, &office), 0);
	assert_int_equal(group_insert(tx, &lab), 0);
	assert_true(lab.id && office.id && lab.id != office.id);
	m.group_id = lab.id;
	strcpy(m.boot, "http://10.0.0.1/x.ipxe");
	strcpy(m.boot_once, "installer");
	strcpy(m.boot_once_token, "token");
	m.multipath = true;
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:01"), 0);
	assert_int_equal(machine_insert(tx, &other, "52:54:00:00:00:02"), 0);
	assert_int_equal(group_each(tx, names_of, list), 0);
	assert_string_equal(list, "Lab=1;office=0;");
	assert_int_equal(group_by_name(tx, "LAB", &found), 0);
	assert_int_equal(found.id, lab.id);
	assert_int_equal(found.priority, 7);
	assert_string_equal(found.boot, "menu");
	assert_string_equal(found.note, "room 3");
	assert_int_equal(group_by_name(tx, "none", &found), -ENOENT);
	assert_int_equal(group_by_name(tx, "\xff", &found), -ENOENT);
	assert_int_equal(group_by_id(tx, 99, &found), -ENOENT);

	found.priority = -GROUP_PRIORITY_MAX;
	strcpy(found.name, "class");
	assert_int_equal(group_update(tx, &found), 0);
	found.priority--;
	assert_int_equal(group_update(tx, &found), -EINVAL);
	found.priority = GROUP_PRIORITY_MAX + 1;
	assert_int_equal(group_update(tx, &found), -EINVAL);
	found.priority = 0;
	found.id = 99;
	strcpy(found.name, "nobody");
	assert_int_equal(group_update(tx, &found), -ENOENT);
	assert_int_equal(group_by_id(tx, lab.id, &found), 0);
	assert_int_equal(found.priority, -GROUP_PRIORITY_MAX);
	assert_string_equal(found.name, "class");

	assert_int_equal(machine_by_id(tx, m.id, &m), 0);
	assert_int_equal(m.group_id, lab.id);
	assert_string_equal(m.boot, "http://10.0.0.1/x.ipxe");
	assert_string_equal(m.boot_once, "installer");
	assert_string_equal(m.boot_once_token, "token");
	assert_true(m.multipath);
	assert_int_equal(machine_by_id(tx, other.id, &other), 0);
	assert_int_equal(other.group_id, 0);
	assert_string_equal(other.boot, "");
	assert_false(other.multipath);

	assert_int_equal(group_delete(tx, lab.id), 0);
	assert_int_equal(group_delete(tx, lab.id), -ENOENT);
	assert_int_equal(machine_by_id(tx, m.id, &m), 0);
	assert_int_equal(m.group_id, 0);
	m.group_id = lab.id;
	assert_int_equal(machine_update(tx, &m), -ENOENT);
	return 0;
}

static void test_groups(void **state)
{
	assert_int_equal(in_write(*state, groups, NULL), 0);
}

static int refused_names(struct inventory_tx *tx, void *arg)
{
	static const char *const bad[] = { "", "none", "None", "a b", "-x", ".x", "a/b", "\xc3\xa4" };

	(void)arg;
	for (size_t i = 0; i < array_len(bad); i++) {
		struct machine_group g = { 0 };

		snprintf(g.name, sizeof(g.name), "%s", bad[i]);
		assert_int_equal(group_insert(tx, &g), -EINVAL);
	}
	return 0;
}

static int taken_name(struct inventory_tx *tx, void *arg)
{
	struct machine_group one = { .name = "lab" }, two = { .name = "LAB" };

	(void)arg;
	assert_int_equal(group_insert(tx, &one), 0);
	return group_insert(tx, &two);
}

static void test_refused(void **state)
{
	assert_int_equal(in_write(*state, refused_names, NULL), 0);
	assert_int_equal(in_write(*state, taken_name, NULL), -EEXIST);
}

static int choices(struct inventory_tx *tx, void *arg)
{
	int64_t version = make_version(tx, 1), chosen = make_version(tx, 2);
	struct machine m = make_machine(1, version);
	struct machine_boot boot = { .mac = "52:54:00:00:00:01" };

	(void)arg;
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:01"), 0);
	boot.machine_id = m.id;
	assert_int_equal(machine_boot_choose(tx, m.id, 1, chosen), -ESTALE);
	assert_int_equal(machine_boot_issue(tx, &boot), 0);
	assert_int_equal(machine_boot_pending(tx, m.id, &boot), 0);
	assert_int_equal(boot.version_id, 0);
	assert_int_equal(machine_boot_choose(tx, m.id, boot.number, chosen), 0);
	assert_int_equal(machine_boot_choose(tx, m.id, boot.number + 1, chosen), -ESTALE);
	assert_int_equal(machine_boot_pending(tx, m.id, &boot), 0);
	assert_int_equal(boot.version_id, chosen);
	/* No boot holds a version: whoever removes it takes the choice back. */
	assert_int_equal(version_delete(tx, chosen), 0);
	assert_int_equal(machine_boot_pending(tx, m.id, &boot), 0);
	assert_int_equal(boot.version_id, 0);
	assert_int_equal(machine_boot_choose(tx, m.id, boot.number, version), 0);
	assert_int_equal(machine_boot_choose(tx, m.id, boot.number, 0), 0);
	assert_int_equal(machine_boot_begin(tx, m.id, boot.number), 0);
	assert_int_equal(machine_boot_choose(tx, m.id, boot.number, version), -ESTALE);
	return 0;
}

static void test_choices(void **state)
{
	assert_int_equal(in_write(*state, choices, NULL), 0);
}

static int old_machine(struct inventory_tx *tx, void *arg)
{
	struct machine m;

	(void)arg;
	assert_int_equal(machine_by_name(tx, "local-one", &m), 0);
	assert_string_equal(m.boot, "local");
	assert_int_equal(machine_by_name(tx, "disk-one", &m), 0);
	assert_string_equal(m.boot, "");
	assert_int_equal(m.group_id, 0);
	return 0;
}

/* A file of the first release keeps what its machines boot. */
static void test_migration(void **state)
{
	static const char rows[] =
		"INSERT INTO image VALUES (1, 'a', 1, 1);"
		"INSERT INTO image_version VALUES (1, 1, 1, 1, 'a@1.raw', 'raw', 512, 'x', 1, 1, 1, '', '');"
		"INSERT INTO machine VALUES (1, 'local-one', 'iqn.1', '', '', '', 1, 0, 0, '', 0, 0, 1, '', 'c1', 1, '', 1, 1, 0, 0);"
		"INSERT INTO machine VALUES (2, 'disk-one', 'iqn.2', '', '', '', 1, 0, 0, '', 0, 0, 0, '', 'c2', 1, '', 1, 1, 0, 0);";
	struct asset first[2] = { *asset_find(assets_db, "schema.sql"), { 0 } };
	struct fixture *f = *state;
	struct reason reason;
	sqlite3 *db;

	inventory_close(f->inventory);
	f->inventory = NULL;
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(inventory_open_table(f->path, first, &f->inventory, &reason), 0);
	inventory_close(f->inventory);
	f->inventory = NULL;
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, rows, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(inventory_open(f->path, &f->inventory, &reason), 0);
	assert_int_equal(in_read(f, old_machine, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_groups, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refused, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_choices, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_migration, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
