// SPDX-License-Identifier: GPL-2.0-or-later
/* Which machines have a who-am-i volume, whatever changed it: their own templates, their group's, or what else they have. */
#include "inventory/fixture.h"

#include "inventory/effective.h"

#include "base/util.h"
#include "inventory/db.h"
#include "inventory/trash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct found {
	unsigned lun;
	int64_t id;
	char object[NAME_MAX_TEXT];
};

static int take(void *arg, unsigned lun, const struct volume *volume)
{
	struct found *found = arg;

	if (volume->kind != VOLUME_WHO_AM_I)
		return 0;
	assert_int_equal(found->lun, 0); /* one at most */
	assert_string_equal(volume->backend, "generated");
	*found = (struct found){ .lun = lun, .id = volume->id };
	memcpy(found->object, volume->object, sizeof(found->object));
	return 0;
}

/* lun 0: it has none. */
static struct found find(struct inventory_tx *tx, int64_t machine_id)
{
	struct found found = { .lun = 0 };

	assert_int_equal(attachment_each(tx, machine_id, take, &found), 0);
	return found;
}

static int64_t insert(struct inventory_tx *tx, unsigned n, int64_t version, const char *templates, int64_t group_id)
{
	struct machine m = make_machine(n, version);
	char mac[PARSE_MAC_TEXT];

	make_mac(mac, n);
	snprintf(m.templates, sizeof(m.templates), "%s", templates);
	m.group_id = group_id;
	assert_int_equal(machine_insert(tx, &m, mac), 0);
	assert_int_equal(m.instance, 1);
	return m.id;
}

static void set(struct inventory_tx *tx, int64_t id, const char *templates, int64_t group_id)
{
	struct machine m;

	assert_int_equal(machine_by_id(tx, id, &m), 0);
	snprintf(m.templates, sizeof(m.templates), "%s", templates);
	m.group_id = group_id;
	assert_int_equal(machine_update(tx, &m), 0);
}

static void is_of(struct inventory_tx *tx, int64_t id, const char *templates)
{
	struct machine m;

	assert_int_equal(machine_by_id(tx, id, &m), 0);
	assert_string_equal(effective_templates(&m), templates);
	assert_int_equal(find(tx, id).lun, templates[0] ? LUN_HIGHEST : 0);
}

static int follow(struct inventory_tx *tx, void *arg)
{
	struct machine_group lab = { .name = "lab", .templates = "a" };
	int64_t version = make_version(tx, 1), own, of_group, none;
	struct found before;

	(void)arg;
	assert_int_equal(group_insert(tx, &lab), 0);
	own = insert(tx, 1, version, "b", lab.id);
	of_group = insert(tx, 2, version, "", lab.id);
	none = insert(tx, 3, version, "none", lab.id);
	is_of(tx, own, "b");
	is_of(tx, of_group, "a");
	is_of(tx, none, "");
	/* Other templates, the same volume. */
	before = find(tx, own);
	set(tx, own, "c", lab.id);
	assert_int_equal(find(tx, own).id, before.id);
	set(tx, own, "", 0);
	is_of(tx, own, "");
	set(tx, own, "b", 0);
	is_of(tx, own, "b");
	assert_string_not_equal(find(tx, own).object, before.object);
	/* The group's change. */
	lab.templates[0] = '\0';
	assert_int_equal(group_update(tx, &lab), 0);
	is_of(tx, of_group, "");
	strcpy(lab.templates, "x");
	assert_int_equal(group_update(tx, &lab), 0);
	is_of(tx, of_group, "x");
	is_of(tx, none, "");
	assert_int_equal(group_delete(tx, lab.id), 0);
	is_of(tx, of_group, "");
	is_of(tx, own, "b");
	return 0;
}

static int count(void *arg, const struct volume *volume)
{
	*(unsigned *)arg += volume->kind == VOLUME_WHO_AM_I;
	return 0;
}

static int given_up(void *arg, const char *object)
{
	strcat(arg, object);
	return 0;
}

static int remove_machine(struct inventory_tx *tx, void *arg)
{
	int64_t id = insert(tx, 1, make_version(tx, 1), "a", 0);
	char object[NAME_MAX_TEXT], list[256] = "";
	unsigned left = 0;

	(void)arg;
	memcpy(object, find(tx, id).object, sizeof(object));
	assert_int_equal(machine_delete(tx, id), 0);
	assert_int_equal(volume_each(tx, count, &left), 0);
	assert_int_equal(left, 0);
	assert_int_equal(discarded_each(tx, "generated", false, given_up, list), 0);
	assert_string_equal(list, object);
	return 0;
}

/* In the trash it has none; back again it has another one, and is the instance that it was. */
static int trash_machine(struct inventory_tx *tx, void *arg)
{
	int64_t id = insert(tx, 1, make_version(tx, 1), "a", 0);
	struct trash_restored restored;
	struct found before;
	struct machine m;
	unsigned left = 0;

	(void)arg;
	assert_int_equal(machine_by_id(tx, id, &m), 0);
	m.instance = 7;
	assert_int_equal(machine_update(tx, &m), 0);
	before = find(tx, id);
	assert_int_equal(trash_put(tx, id, "ctl"), 0);
	assert_int_equal(volume_each(tx, count, &left), 0);
	assert_int_equal(left, 0);
	assert_int_equal(trash_restore(tx, id, "", &restored), 0);
	assert_int_equal(restored.volumes_lost, 0);
	assert_int_equal(restored.machine.instance, 7);
	is_of(tx, id, "a");
	assert_string_not_equal(find(tx, id).object, before.object);
	return 0;
}

/* Every LUN that it might have is taken: it goes without, and the next one gets its own. */
static int all_taken(struct inventory_tx *tx, void *arg)
{
	int64_t version = make_version(tx, 1), full = insert(tx, 1, version, "", 0),
		other = insert(tx, 2, version, "", 0);
	struct machine_group lab = { .name = "lab", .templates = "a" };
	struct query q;
	unsigned lun;

	(void)arg;
	for (unsigned i = 1; i <= LUN_HIGHEST; i++) {
		struct volume data = { .kind = VOLUME_DATA, .backend = "files" };

		snprintf(data.name, sizeof(data.name), "d%u", i);
		snprintf(data.object, sizeof(data.object), "d%u", i);
		assert_int_equal(volume_insert(tx, &data), 0);
		assert_int_equal(attachment_add(tx, full, i, data.id), 0);
	}
	assert_int_equal(attachment_high_lun(tx, full, &lun), -ENOSPC);
	assert_int_equal(group_insert(tx, &lab), 0);
	set(tx, full, "", lab.id);
	set(tx, other, "", lab.id);
	assert_int_equal(find(tx, full).lun, 0);
	assert_int_equal(find(tx, other).lun, LUN_HIGHEST);
	/* The highest that is free, also between others. */
	query_begin(&q, tx, "DELETE FROM attachment WHERE machine_id = ? AND lun IN (3, 77)");
	query_bind(&q, full);
	assert_int_equal(query_run(&q), 0);
	assert_int_equal(attachment_high_lun(tx, full, &lun), 0);
	assert_int_equal(lun, 77);
	return 0;
}

static void test_follow(void **state)
{
	assert_int_equal(in_write(*state, follow, NULL), 0);
}

static void test_remove(void **state)
{
	assert_int_equal(in_write(*state, remove_machine, NULL), 0);
}

static void test_trash(void **state)
{
	assert_int_equal(in_write(*state, trash_machine, NULL), 0);
}

static void test_all_taken(void **state)
{
	assert_int_equal(in_write(*state, all_taken, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_follow, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_remove, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_trash, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_all_taken, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
