// SPDX-License-Identifier: GPL-2.0-or-later
/* What went on, for a month and no longer. */
#include "inventory/activity.h"
#include "inventory/fixture.h"

#define MINUTE (60 * 1000LL)

struct list {
	unsigned count;
	struct activity first, last;
};

static int add(void *arg, const struct activity *activity)
{
	struct list *list = arg;

	if (!list->count++)
		list->first = *activity;
	list->last = *activity;
	return 0;
}

static int run(struct inventory_tx *tx, void *arg)
{
	const int64_t start = 1700000000000;
	struct list list = { 0 };

	(void)arg;
	for (int64_t i = 0; i <= 31 * 24 * 6 + 10; i++) {
		const struct activity one = { start + i * 10 * MINUTE, 3, 2, 1, 1000, (uint64_t)i, 1ULL << 40 };

		assert_int_equal(activity_add(tx, &one), 0);
	}
	assert_int_equal(activity_each(tx, 0, add, &list), 0);
	assert_int_equal(list.count, 31 * 24 * 6);
	assert_int_equal(list.first.written_bytes, 11);
	assert_int_equal(list.last.written_bytes, 31 * 24 * 6 + 10);
	assert_int_equal(list.last.running, 3);
	assert_int_equal(list.last.booting, 2);
	assert_int_equal(list.last.boots, 1);
	assert_int_equal(list.last.read_bytes, 1000);
	assert_int_equal(list.last.free_bytes, 1ULL << 40);

	/* The clock was set back: of the same time the last one counts. */
	list.last.running = 9;
	assert_int_equal(activity_add(tx, &list.last), 0);
	list.count = 0;
	assert_int_equal(activity_each(tx, list.first.at_ms, add, &list), 0);
	assert_int_equal(list.count, 31 * 24 * 6 - 1);
	assert_int_equal(list.last.running, 9);
	return 0;
}

static void test_a_month(void **state)
{
	assert_int_equal(in_write(*state, run, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_a_month, fixture_setup,
									    fixture_teardown) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
