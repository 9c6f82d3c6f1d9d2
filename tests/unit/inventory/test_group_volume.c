// SPDX-License-Identifier: GPL-2.0-or-later
/* Volumes of groups: who has them follows who is in which group. And what else hangs on a group: policy, images; old files. */
#include "inventory/fixture.h"
#include "inventory/old_file.h"

#include "inventory/effective.h"
#include "inventory/trash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OLD_VERSION = 16 };

static struct machine_group lab = { .name = "lab" }, office = { .name = "office" };
static struct volume tools, cd;
static int64_t version;

static struct machine add(struct inventory_tx *tx, unsigned n, int64_t group_id)
{
	struct machine m = make_machine(n, version);
	char mac[PARSE_MAC_TEXT];

	make_mac(mac, n);
	m.group_id = group_id;
	assert_int_equal(machine_insert(tx, &m, mac), 0);
	return m;
}

static void move(struct inventory_tx *tx, int64_t id, int64_t group_id)
{
	struct machine m;

	assert_int_equal(machine_by_id(tx, id, &m), 0);
	m.group_id = group_id;
	assert_int_equal(machine_update(tx, &m), 0);
}

static int list_lun(void *arg, unsigned lun, const struct volume *volume)
{
	size_t len = strlen(arg);

	if (lun)
		snprintf((char *)arg + len, 128 - len, "%u=%s ", lun, volume->name);
	return 0;
}

static int list_by_group(void *arg, const struct group_lun *lun)
{
	size_t len = strlen(arg);

	snprintf((char *)arg + len, 128 - len, "%u ", lun->lun);
	return 0;
}

/* What it has, and which of it by its group. */
static void has(struct inventory_tx *tx, int64_t id, const char *luns, const char *by_group)
{
	char list[128] = "", its[128] = "";

	assert_int_equal(attachment_each(tx, id, list_lun, list), 0);
	assert_string_equal(list, luns);
	assert_int_equal(group_lun_each(tx, id, 0, list_by_group, its), 0);
	assert_string_equal(its, by_group);
}

static int begin(struct inventory_tx *tx)
{
	version = make_version(tx, 1);
	tools = (struct volume){ .kind = VOLUME_SHARED, .name = "tools", .backend = "files", .version_id = version };
	cd = (struct volume){ .kind = VOLUME_CD, .name = "cd", .backend = "files", .version_id = version };
	assert_int_equal(volume_insert(tx, &tools), 0);
	assert_int_equal(volume_insert(tx, &cd), 0);
	assert_int_equal(group_insert(tx, &lab), 0);
	return group_insert(tx, &office);
}

static int follow(struct inventory_tx *tx, void *arg)
{
	struct machine before, after, own;
	int64_t ids[2], found;

	(void)arg;
	assert_int_equal(begin(tx), 0);
	ids[0] = tools.id;
	ids[1] = cd.id;
	before = add(tx, 1, lab.id);
	own = add(tx, 2, lab.id);
	assert_int_equal(attachment_add(tx, own.id, 7, tools.id), 0);
	has(tx, before.id, "", "");
	assert_int_equal(group_volume_set(tx, lab.id, ids, 2), 0);
	/* Who is in it now and who comes later; what a machine has by itself is its own. */
	after = add(tx, 3, lab.id);
	has(tx, before.id, "1=tools 2=cd ", "1 2 ");
	has(tx, after.id, "1=tools 2=cd ", "1 2 ");
	has(tx, own.id, "1=cd 7=tools ", "1 ");
	assert_int_equal(group_volume_find(tx, tools.id, 0, &found), 0);
	assert_int_equal(found, lab.id);
	assert_int_equal(group_volume_find(tx, tools.id, office.id, &found), -ENOENT);
	assert_int_equal(volume_delete(tx, tools.id), -EBUSY);
	/* Leaving. */
	move(tx, own.id, office.id);
	has(tx, own.id, "7=tools ", "");
	move(tx, after.id, 0);
	has(tx, after.id, "", "");
	move(tx, after.id, lab.id);
	has(tx, after.id, "1=tools 2=cd ", "1 2 ");
	/* What the group gives cannot be taken away one by one. */
	assert_int_equal(attachment_remove(tx, after.id, tools.id), -EBUSY);
	has(tx, after.id, "1=tools 2=cd ", "1 2 ");
	/* Another list. */
	assert_int_equal(group_volume_set(tx, lab.id, &cd.id, 1), 0);
	has(tx, before.id, "2=cd ", "2 ");
	assert_int_equal(group_volume_set(tx, lab.id, ids, 2), 0);
	has(tx, before.id, "1=tools 2=cd ", "1 2 ");
	/* No group, no volumes. */
	assert_int_equal(group_delete(tx, lab.id), 0);
	has(tx, before.id, "", "");
	assert_int_equal(group_volume_find(tx, tools.id, 0, &found), -ENOENT);
	return 0;
}

static void test_follow(void **state)
{
	assert_int_equal(in_write(*state, follow, NULL), 0);
}

static int not_shared(struct inventory_tx *tx, void *arg)
{
	struct volume data = { .kind = VOLUME_DATA, .name = "data", .backend = "files", .object = "d.qcow2" };

	(void)arg;
	assert_int_equal(begin(tx), 0);
	assert_int_equal(volume_insert(tx, &data), 0);
	return group_volume_set(tx, lab.id, &data.id, 1);
}

static void test_not_shared(void **state)
{
	assert_int_equal(in_write(*state, not_shared, NULL), -EINVAL);
}

/* What a machine has by its group does not go into the trash with it. */
static int trash(struct inventory_tx *tx, void *arg)
{
	struct trash_restored restored;
	struct machine m;

	(void)arg;
	assert_int_equal(begin(tx), 0);
	m = add(tx, 1, lab.id);
	assert_int_equal(attachment_add(tx, m.id, 3, cd.id), 0);
	assert_int_equal(group_volume_set(tx, lab.id, &tools.id, 1), 0);
	has(tx, m.id, "1=tools 3=cd ", "1 ");
	assert_int_equal(trash_put(tx, m.id, "ctl"), 0);
	assert_int_equal(trash_restore(tx, m.id, "", &restored), 0);
	has(tx, m.id, "1=tools 3=cd ", "1 ");
	assert_int_equal(trash_put(tx, m.id, "ctl"), 0);
	assert_int_equal(group_volume_set(tx, lab.id, NULL, 0), 0);
	assert_int_equal(trash_restore(tx, m.id, "", &restored), 0);
	has(tx, m.id, "3=cd ", "");
	return 0;
}

static void test_trash(void **state)
{
	assert_int_equal(in_write(*state, trash, NULL), 0);
}

/* A machine whose LUNs are all taken goes without, and others do not. */
static int full(struct inventory_tx *tx, void *arg)
{
	struct machine m, other;
	unsigned lun;

	(void)arg;
	assert_int_equal(begin(tx), 0);
	m = add(tx, 1, lab.id);
	other = add(tx, 2, lab.id);
	for (lun = 1; lun <= LUN_MAX; lun++) {
		struct volume volume = { .kind = VOLUME_SHARED, .backend = "files", .version_id = version };

		snprintf(volume.name, sizeof(volume.name), "v%u", lun);
		assert_int_equal(volume_insert(tx, &volume), 0);
		assert_int_equal(attachment_add(tx, m.id, lun, volume.id), 0);
	}
	assert_int_equal(group_volume_set(tx, lab.id, &tools.id, 1), 0);
	assert_int_equal(attachment_lun(tx, m.id, tools.id, &lun), -ENOENT);
	has(tx, other.id, "1=tools ", "1 ");
	return 0;
}

static void test_full(void **state)
{
	assert_int_equal(in_write(*state, full, NULL), 0);
}

/* Policy sends new machines into a group: it keeps to the group's name, and forgets one that goes. */
static int policy_follows(struct inventory_tx *tx, void *arg)
{
	struct reason reason;
	struct policy policy;

	(void)arg;
	assert_int_equal(begin(tx), 0);
	assert_int_equal(policy_set(tx, "group", "lobby", &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "sanbootctl group add lobby"));
	assert_int_equal(policy_set(tx, "group", "LAB", &reason), 0);
	strcpy(lab.name, "class");
	assert_int_equal(group_update(tx, &lab), 0);
	strcpy(lab.name, "lab");
	assert_int_equal(policy_get(tx, &policy), 0);
	assert_string_equal(policy.group, "class");
	assert_int_equal(group_delete(tx, office.id), 0);
	assert_int_equal(policy_get(tx, &policy), 0);
	assert_string_equal(policy.group, "class");
	assert_int_equal(group_delete(tx, lab.id), 0);
	assert_int_equal(policy_get(tx, &policy), 0);
	assert_string_equal(policy.group, "none");
	return 0;
}

static void test_policy(void **state)
{
	assert_int_equal(in_write(*state, policy_follows, NULL), 0);
}

/* The last version of an image that a group has stays. */
static int image(struct inventory_tx *tx, void *arg)
{
	struct image_version found;
	int64_t second;

	(void)arg;
	assert_int_equal(begin(tx), 0);
	assert_int_equal(volume_delete(tx, tools.id), 0);
	assert_int_equal(volume_delete(tx, cd.id), 0);
	second = make_version(tx, 2);
	strcpy(lab.image, "golden");
	assert_int_equal(group_update(tx, &lab), 0);
	lab.image[0] = '\0';
	assert_int_equal(version_of_group(tx, &lab, &found), 0);
	assert_int_equal(version_delete(tx, version), 0);
	assert_int_equal(version_delete(tx, second), -EBUSY);
	assert_int_equal(group_update(tx, &lab), 0);
	assert_int_equal(version_delete(tx, second), 0);
	assert_int_equal(version_of_group(tx, &lab, &found), -ENOENT);
	return 0;
}

static void test_image(void **state)
{
	assert_int_equal(in_write(*state, image, NULL), 0);
}

static int old_one(struct inventory_tx *tx, void *arg)
{
	struct machine_group group;
	struct machine machine;

	(void)arg;
	assert_int_equal(machine_by_name(tx, "pc-001", &machine), 0);
	assert_int_equal(machine.mode, MODE_EPHEMERAL); /* its own, as it was */
	assert_false(machine.image_inherited);
	assert_string_equal(machine.group.name, "lab");
	assert_string_equal(machine.group.boot, "menu");
	assert_string_equal(effective_of(&machine, NULL, EFFECTIVE_BOOT).value, "menu");
	assert_string_equal(machine.group.image, "");
	assert_string_equal(machine.group.mode, "");
	has(tx, machine.id, "4=tools ", "");
	assert_int_equal(group_by_name(tx, "lab", &group), 0);
	assert_int_equal(group.priority, -3);
	assert_int_equal(group.machines, 1);
	return 0;
}

/* From schema 16, whose groups gave boot, boot files and templates: nothing changes for anybody. */
static void test_old_file(void **state)
{
	struct fixture *f = *state;
	struct reason reason;

	inventory_close(f->inventory);
	f->inventory = NULL;
	assert_int_equal(unlink(f->path), 0);
	old_file(f, OLD_VERSION);
	old_file_sql(
		f,
		"INSERT INTO image (id, name, is_default, last_number) VALUES (1, 'debian', 1, 1);"
		"INSERT INTO image_version (id, image_id, number, published, file, format, size_bytes, sha256, inode, "
		"mtime_ns, created_ms, source, warnings) VALUES (1, 1, 1, 1, 'debian@1.raw', 'raw', 4194304, 'aa', 1, 2, 3, "
		"'', '');"
		"INSERT INTO machine_group (id, name, priority, boot) VALUES (5, 'lab', -3, 'menu');"
		"INSERT INTO machine (id, name, iqn, uuid, serial, product, mode, auth, access_many, note, address, "
		"created_ms, seen_ms, no_gateway, boot, boot_once, boot_once_token, multipath, group_id) VALUES (1, 'pc-001', "
		"'iqn.2026-11.test:1', '', '', '', 1, 0, 0, '', '', 1, 2, 0, '', '', '', 0, 5);"
		"INSERT INTO volume (id, name, kind, backend, object, serial, version_id, size_bytes, quota, physical_512, "
		"state, state_reason, fresh, note, created_ms) VALUES (1, '', 0, 'files', 'm1.qcow2', '', 1, 0, '', 0, 0, "
		"'', 0, '', 1), (2, 'tools', 2, 'files', '', '', 1, 0, '', 0, 0, '', 0, '', 1);"
		"INSERT INTO attachment (machine_id, lun, volume_id) VALUES (1, 0, 1), (1, 4, 2);");
	if (inventory_open(f->path, &f->inventory, &reason))
		fail_msg("%s", reason.text);
	assert_int_equal(in_read(f, old_one, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_follow, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_not_shared, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_trash, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_full, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_policy, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_image, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_old_file, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
