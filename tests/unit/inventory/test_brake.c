// SPDX-License-Identifier: GPL-2.0-or-later
/* The brake's tables: how a boot ended, and what two versions' boots say of a rollout. */
#include "cmocka_all.h"

#include "inventory/brake.h"

#include "base/util.h"

#include <string.h>

enum { MIN = 60000 };

static void test_outcomes(void **state)
{
	static const struct {
		const char *what;
		struct brake_boot boot;
		int64_t now_ms;
		enum brake_outcome outcome;
	} table[] = {
		{ "just begun", { .started_ms = 1000 }, 2000, BRAKE_OPEN },
		{ "steady", { .started_ms = 1000, .steady_ms = 30000 }, MIN, BRAKE_STEADY },
		{ "steady, and asks again later",
		  { .started_ms = 1000, .steady_ms = 30000, .asked_ms = MIN },
		  MIN,
		  BRAKE_STEADY },
		{ "steady after it was stuck",
		  { .started_ms = 1000, .steady_ms = 30000, .stuck_ms = 20000 },
		  MIN,
		  BRAKE_STEADY },
		{ "stuck", { .started_ms = 1000, .stuck_ms = 20000, .running = true }, 21000, BRAKE_FAILED },
		{ "asks again without having got there", { .started_ms = 1000, .asked_ms = 50000 }, MIN, BRAKE_FAILED },
		{ "ended by the next boot", { .started_ms = 1000, .ended_ms = 50000 }, MIN, BRAKE_FAILED },
		{ "nobody there after ten minutes", { .started_ms = 1000 }, 11 * MIN, BRAKE_FAILED },
		{ "somebody there after ten minutes", { .started_ms = 1000, .running = true }, 11 * MIN, BRAKE_OPEN },
		{ "ran for hours, unseen", { .started_ms = 1000, .ended_ms = 300 * MIN }, 301 * MIN, BRAKE_OPEN },
		{ "the server lost its power",
		  { .started_ms = 1000, .ended_ms = 50000, .interrupted = true },
		  MIN,
		  BRAKE_OPEN },
		{ "stuck, for the server lost its power", { .stuck_ms = 1, .interrupted = true }, MIN, BRAKE_OPEN },
	};

	(void)state;
	for (size_t i = 0; i < array_len(table); i++) {
		if (brake_outcome(&table[i].boot, table[i].now_ms) != table[i].outcome)
			fail_msg("%s: %d", table[i].what, brake_outcome(&table[i].boot, table[i].now_ms));
	}
}

static void test_durations(void **state)
{
	const struct brake_boot scripted = { .started_ms = 5000, .script_ms = 1000, .steady_ms = 31000 };
	const struct brake_boot bare = { .started_ms = 5000, .steady_ms = 31000 };
	const struct brake_boot back = { .started_ms = 5000, .steady_ms = 4000 };
	int64_t odd[] = { 30, 10, 20 }, even[] = { 40, 10, 30, 20 };

	(void)state;
	assert_int_equal(brake_duration_ms(&scripted), 30000);
	assert_int_equal(brake_duration_ms(&bare), 26000);
	assert_int_equal(brake_duration_ms(&back), 0);
	assert_int_equal(brake_median(NULL, 0), 0);
	assert_int_equal(brake_median(odd, 3), 20);
	assert_int_equal(brake_median(even, 4), 25);
}

static void test_verdicts(void **state)
{
	static const struct {
		const char *what;
		struct brake_side old, new;
		struct brake_rule rule;
		enum brake_verdict verdict;
		const char *why;
	} table[] = {
		{ "nothing", { 0, 0, 0 }, { 0, 0, 0 }, { 4, 25 }, BRAKE_TOO_FEW, "" },
		{ "nothing, with a rule of nothing", { 0, 0, 0 }, { 0, 0, 0 }, { 0, 0 }, BRAKE_TOO_FEW, "" },
		{ "three that fail are too few of four", { 100, 0, 40 }, { 0, 3, 0 }, { 4, 25 }, BRAKE_TOO_FEW, "" },
		{ "four that fail", { 100, 0, 40 }, { 0, 4, 0 }, { 4, 25 }, BRAKE_SHARE, "0 of 4 boots" },
		{ "one of four fails: by 25, not more", { 100, 0, 40 }, { 3, 1, 40 }, { 4, 25 }, BRAKE_FINE, "" },
		{ "one of four fails: by more than 24",
		  { 100, 0, 40 },
		  { 3, 1, 40 },
		  { 4, 24 },
		  BRAKE_SHARE,
		  "3 of 4 boots" },
		{ "the old one is no better", { 50, 50, 40 }, { 2, 2, 40 }, { 4, 0 }, BRAKE_FINE, "" },
		{ "the old one is better",
		  { 51, 49, 40 },
		  { 2, 2, 40 },
		  { 4, 0 },
		  BRAKE_SHARE,
		  "of the old version 51 of 100" },
		{ "better than the old one", { 50, 50, 40 }, { 4, 0, 40 }, { 4, 0 }, BRAKE_FINE, "" },
		{ "the old one is not known", { 1, 2, 40 }, { 2, 2, 40 }, { 4, 25 }, BRAKE_SHARE, "only 2 of 4 boots" },
		{ "not known, and all is well", { 0, 0, 0 }, { 4, 0, 400 }, { 4, 25 }, BRAKE_FINE, "" },
		{ "just under twice as long", { 10, 0, 40000 }, { 4, 0, 79999 }, { 4, 25 }, BRAKE_FINE, "" },
		{ "twice as long", { 10, 0, 40000 }, { 4, 0, 80000 }, { 4, 25 }, BRAKE_SLOW, "80.0 s" },
		{ "twice as long, and few", { 10, 0, 40000 }, { 3, 0, 80000 }, { 4, 25 }, BRAKE_TOO_FEW, "" },
		{ "twice as long as few", { 3, 1, 40000 }, { 4, 0, 80000 }, { 4, 25 }, BRAKE_FINE, "" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(table); i++) {
		const struct brake_facts facts = { .old = table[i].old, .new = table[i].new };
		struct reason why = { "" };
		enum brake_verdict verdict = brake_judge(&facts, &table[i].rule, &why);

		if (verdict != table[i].verdict || !strstr(why.text, table[i].why) || !why.text[0] != !table[i].why[0])
			fail_msg("%s: %d, \"%s\"", table[i].what, verdict, why.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
