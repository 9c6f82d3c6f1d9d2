// SPDX-License-Identifier: GPL-2.0-or-later
/* What holds for a machine and who says so: each inherited key with each who may say it. */
#include "inventory/fixture.h"

#include "base/util.h"
#include "inventory/effective.h"

#include <errno.h>
#include <string.h>

/* Words that are no other's default; NULL: who does not say it. */
static const struct row {
	enum effective_key key;
	const char *own, *group, *policy, *built_in;
} rows[] = {
	{ EFFECTIVE_BOOT, "local", "menu", NULL, "disk" },
	{ EFFECTIVE_BOOT_FILE_SET, "old", "new", NULL, "default" },
	{ EFFECTIVE_IMAGE, NULL, "debian", NULL, "" },
	{ EFFECTIVE_MODE, "persistent", "ephemeral", "ephemeral", "persistent" },
	{ EFFECTIVE_NAME_PATTERN, NULL, "lab-{n:02}", "room-{n}", "pc-{n:03}" },
	{ EFFECTIVE_QUOTA, "1G", "2G", "3G", "none" },
	{ EFFECTIVE_RESTORE_POINTS, "1", "2", "3", "0" },
	{ EFFECTIVE_RING, "canary", "early", NULL, "none" },
	{ EFFECTIVE_TEMPLATES, "windows", "cloud-init", NULL, "none" },
};

static void expect(const struct machine *machine, const struct policy *policy, const struct row *row, const char *value,
		   enum effective_from from)
{
	struct effective found = effective_of(machine, policy, row->key);

	if (strcmp(found.value, value) || found.from != from)
		fail_msg("%s: %s from %s, not %s from %s", effective_key_name(row->key), found.value,
			 effective_from_name(found.from), value, effective_from_name(from));
}

static void say(const struct field *table, const char *key, void *record, const char *value)
{
	struct reason reason;

	assert_int_equal(field_parse(field_by_key(table, key), record, value, &reason), 0);
}

static int each_origin(struct inventory_tx *tx, void *arg)
{
	struct reason reason;

	(void)arg;
	for (size_t i = 0; i < array_len(rows); i++) {
		const struct row *row = &rows[i];
		const char *key = effective_key_name(row->key);
		struct machine machine = { .mode = MODE_GROUP, .image_inherited = true };
		bool of_system = field_by_key(machine_fields, key) == NULL;
		struct policy policy;

		assert_int_equal(policy_get(tx, &policy), 0);
		expect(&machine, &policy, row, row->built_in,
		       row->key == EFFECTIVE_IMAGE ? FROM_MACHINE : FROM_DEFAULT);
		if (row->policy) {
			assert_int_equal(policy_set(tx, key, row->policy, &reason), 0);
			assert_int_equal(policy_get(tx, &policy), 0);
			expect(&machine, &policy, row, row->policy, FROM_POLICY);
		}
		say(group_fields, key, &machine.group, row->group);
		expect(&machine, &policy, row, row->group, FROM_GROUP);
		if (row->own) {
			say(of_system ? volume_fields : machine_fields, key,
			    of_system ? (void *)&machine.system : &machine, row->own);
			expect(&machine, &policy, row, row->own, FROM_MACHINE);
		}
	}
	return 0;
}

static void test_each_origin(void **state)
{
	_Static_assert(array_len(rows) == EFFECTIVE_KEYS, "each key has its row");
	assert_int_equal(in_write(*state, each_origin, NULL), 0);
}

/* An image of its own is a version, whatever its group has. */
static void test_own_image(void **state)
{
	struct machine machine = { .group.image = "debian" };

	(void)state;
	assert_int_equal(effective_of(&machine, NULL, EFFECTIVE_IMAGE).from, FROM_MACHINE);
}

static void test_values(void **state)
{
	struct policy policy = { .mode = "ephemeral", .quota = "20M", .restore_points = "2" };
	struct machine machine = { .mode = MODE_GROUP };
	struct volume data = { .kind = VOLUME_DATA };

	(void)state;
	assert_int_equal(effective_mode(&machine, &policy), MODE_EPHEMERAL);
	assert_int_equal(effective_restore_points(&machine, &policy), 0); /* nothing to go back to */
	strcpy(machine.group.mode, "persistent");
	assert_int_equal(effective_mode(&machine, &policy), MODE_PERSISTENT);
	assert_int_equal(effective_restore_points(&machine, &policy), 2);
	strcpy(machine.group.restore_points, "4");
	assert_int_equal(effective_restore_points(&machine, &policy), 4);
	strcpy(machine.restore_points, "0");
	assert_int_equal(effective_restore_points(&machine, &policy), 0);
	strcpy(machine.restore_points, "many"); /* changed by others */
	assert_int_equal(effective_restore_points(&machine, &policy), 2);
	strcpy(machine.group.mode, "sometimes");
	assert_int_equal(effective_mode(&machine, &policy), MODE_EPHEMERAL);
	machine.mode = MODE_PERSISTENT;
	assert_int_equal(effective_mode(&machine, &policy), MODE_PERSISTENT);

	assert_int_equal(effective_quota(&machine, &machine.system, &policy), 20 << 20);
	strcpy(machine.group.quota, "5M");
	assert_int_equal(effective_quota(&machine, &machine.system, &policy), 5 << 20);
	strcpy(machine.system.quota, "none");
	assert_int_equal(effective_quota(&machine, &machine.system, &policy), 0);
	strcpy(machine.system.quota, "much");
	assert_int_equal(effective_quota(&machine, &machine.system, &policy), 20 << 20);
	/* The group's is for the disk that a machine boots from. */
	assert_int_equal(effective_quota(&machine, &data, &policy), 20 << 20);
	strcpy(data.quota, "3M");
	assert_int_equal(effective_quota(&machine, &data, &policy), 3 << 20);

	assert_string_equal(effective_templates(&machine), "");
	strcpy(machine.group.templates, "cloud-init");
	assert_string_equal(effective_templates(&machine), "cloud-init");
	strcpy(machine.templates, "none");
	assert_string_equal(effective_templates(&machine), "");
}

/* "group" is the word; the old one, "policy", stays good where policy says something. */
static void test_words(void **state)
{
	enum effective_key key;

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		const char *name = effective_key_name(rows[i].key);

		assert_true(effective_find(name, &key));
		assert_int_equal(key, rows[i].key);
		assert_true(effective_takes_away(name, "group"));
		assert_int_equal(effective_takes_away(name, "policy"), rows[i].policy != NULL);
		assert_false(effective_takes_away(name, "Group"));
	}
	assert_false(effective_find("note", &key));
	assert_false(effective_takes_away("note", "group"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_origin, fixture_setup, fixture_teardown),
		cmocka_unit_test(test_own_image),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
