// SPDX-License-Identifier: GPL-2.0-or-later
/* Who gets a version, what is noted about it, and when it is to be published. */
#include "inventory/fixture.h"

#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int64_t add(struct inventory_tx *tx, const char *image, unsigned number, enum version_state state)
{
	struct image_version v = { .number = number, .state = state, .size_bytes = 1 << 20 };

	snprintf(v.image, sizeof(v.image), "%s", image);
	snprintf(v.file, sizeof(v.file), "%s@%u.raw", image, number);
	snprintf(v.format, sizeof(v.format), "raw");
	assert_int_equal(version_insert(tx, &v), 0);
	return v.id;
}

static enum version_state state_of(struct inventory_tx *tx, int64_t id)
{
	struct image_version v;

	assert_int_equal(version_by_id(tx, id, &v), 0);
	return v.state;
}

/* debian@1 is published and the default, @2 is to be tested, @3 a draft. */
struct three {
	int64_t one, two, three;
};

static struct three make_three(struct inventory_tx *tx)
{
	struct three three = { add(tx, "debian", 1, VERSION_PUBLISHED), add(tx, "debian", 2, VERSION_TEST),
			       add(tx, "debian", 3, VERSION_DRAFT) };

	return three;
}

static void expect(int err, int wanted, const struct reason *reason, const char *part)
{
	if (err != wanted || !strstr(reason->text, part))
		fail_msg("%d and \"%s\", not %d and \"%s\"", wanted, part, err, reason->text);
}

static int states_run(struct inventory_tx *tx, void *arg)
{
	struct three v = make_three(tx);
	struct image_version version;
	struct published published;
	struct reason reason = { "" };

	(void)arg;
	assert_int_equal(state_of(tx, v.one), VERSION_PUBLISHED);
	assert_int_equal(state_of(tx, v.two), VERSION_TEST);
	assert_int_equal(state_of(tx, v.three), VERSION_DRAFT);
	/* Who names it gets what is to be tested, and nobody a draft. */
	assert_int_equal(version_find(tx, "debian", 2, &version), 0);
	assert_int_equal(version_check_given(&version, &reason), 0);
	assert_int_equal(version_find(tx, "debian", 3, &version), 0);
	expect(version_check_given(&version, &reason), -ESTALE, &reason, "state=test");
	assert_int_equal(version_newest_given(tx, "debian", &version), 0);
	assert_int_equal(version.number, 2);
	/* The only one that is published stays so while new machines need it. */
	expect(version_set_state(tx, v.one, VERSION_RETIRED, "test", &reason), -EINVAL, &reason,
	       "new machines get debian@1");
	expect(version_set_state(tx, v.two, VERSION_PUBLISHED, "test", &reason), -EINVAL, &reason,
	       "image publish debian@2");
	assert_int_equal(version_publish_by(tx, v.two, "test", &published, &reason), 0);
	assert_int_equal(published.newest.number, 2);
	assert_int_equal(version_set_state(tx, v.one, VERSION_RETIRED, "test", &reason), 0);
	assert_int_equal(state_of(tx, v.one), VERSION_RETIRED);
	assert_int_equal(version_find(tx, "debian", 1, &version), 0);
	expect(version_check_given(&version, &reason), -ESTALE, &reason, "retired");
	expect(version_publish_by(tx, v.one, "test", &published, &reason), -ESTALE, &reason, "take it back first");
	assert_int_equal(version_set_state(tx, v.one, VERSION_TEST, "test", &reason), 0);
	/* Back to an older one: the newest is the one that was published last, not the highest number. */
	assert_int_equal(version_publish_by(tx, v.one, "test", &published, &reason), 0);
	assert_int_equal(published.newest.number, 1);
	assert_int_equal(version_by_id(tx, v.two, &version), 0);
	assert_int_equal(version.newest, 1);
	assert_int_equal(version_set_state(tx, 99, VERSION_TEST, "test", &reason), -ENOENT);
	return 0;
}

static void test_states(void **state)
{
	assert_int_equal(inventory_write_call(((struct fixture *)*state)->inventory, states_run, NULL), 0);
}

static void test_outdated(void **state)
{
	static const struct {
		unsigned number, newest;
		enum version_state state;
		bool outdated;
	} table[] = {
		{ 1, 2, VERSION_PUBLISHED, true }, { 2, 2, VERSION_PUBLISHED, false },
		{ 2, 1, VERSION_PUBLISHED, true }, { 3, 2, VERSION_TEST, false },
		{ 1, 2, VERSION_TEST, true },	   { 1, 0, VERSION_TEST, false },
		{ 3, 2, VERSION_RETIRED, true },   { 1, 2, VERSION_RETIRED, true },
		{ 1, 0, VERSION_RETIRED, false },
	};

	(void)state;
	for (size_t i = 0; i < array_len(table); i++) {
		struct image_version v = { .number = table[i].number,
					   .newest = table[i].newest,
					   .state = table[i].state };

		if (version_is_outdated(&v) != table[i].outdated)
			fail_msg("row %zu", i);
	}
}

static int plans_run(struct inventory_tx *tx, void *arg)
{
	struct three v = make_three(tx);
	int64_t now = time_unix_ms();
	struct image_version version;
	struct published published;
	struct reason reason = { "" };

	(void)arg;
	assert_int_equal(version_planned(tx, &version), -ENOENT);
	expect(version_plan(tx, v.two, now - 1000, "anna", &reason), -EINVAL, &reason, "that time is over");
	expect(version_plan(tx, v.two, now + 20LL * 366 * 86400 * 1000, "anna", &reason), -EINVAL, &reason,
	       "ten years");
	expect(version_plan(tx, v.two, 0, "anna", &reason), -ENOENT, &reason, "nothing is planned");
	assert_int_equal(version_plan(tx, v.three, now + 7200000, "anna", &reason), 0);
	assert_int_equal(version_plan(tx, v.two, now + 3600000, "bert", &reason), 0);
	assert_int_equal(version_planned(tx, &version), 0);
	assert_int_equal(version.number, 2);
	assert_string_equal(version.publish_by, "bert");
	/* Published by hand meanwhile: the plan is done with. */
	assert_int_equal(version_publish_by(tx, v.two, "carl", &published, &reason), 0);
	assert_int_equal(version_planned(tx, &version), 0);
	assert_int_equal(version.number, 3);
	/* Retired meanwhile, likewise; and who is retired is not planned. */
	assert_int_equal(version_set_state(tx, v.three, VERSION_RETIRED, "carl", &reason), 0);
	assert_int_equal(version_planned(tx, &version), -ENOENT);
	expect(version_plan(tx, v.three, now + 3600000, "anna", &reason), -ESTALE, &reason, "retired");
	return 0;
}

static void test_plans(void **state)
{
	assert_int_equal(inventory_write_call(((struct fixture *)*state)->inventory, plans_run, NULL), 0);
}

static int notes_run(struct inventory_tx *tx, void *arg)
{
	struct three v = make_three(tx);
	char text[NOTE_TEXT + 1];
	struct image_version version;
	struct reason reason = { "" };

	(void)arg;
	memset(text, 'x', NOTE_TEXT);
	text[NOTE_TEXT] = '\0';
	expect(version_set_note(tx, v.two, text, "anna", &reason), -EINVAL, &reason, "at most");
	assert_int_equal(version_set_note(tx, v.two, "it's \"new\"", "anna", &reason), 0);
	assert_int_equal(version_by_id(tx, v.two, &version), 0);
	assert_string_equal(version.note, "it's \"new\"");
	assert_int_equal(version_set_note(tx, v.two, "", "anna", &reason), 0);
	return 0;
}

static void test_notes(void **state)
{
	assert_int_equal(inventory_write_call(((struct fixture *)*state)->inventory, notes_run, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_states, fixture_setup, fixture_teardown),
		cmocka_unit_test(test_outdated),
		cmocka_unit_test_setup_teardown(test_plans, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_notes, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
