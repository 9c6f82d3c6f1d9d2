// SPDX-License-Identifier: GPL-2.0-or-later
/* disk/flush_turn.h: how many flush at a time, in which order, and without a stack that grows with those who wait. */
#include "disk/flush_turn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"

enum { MANY = 200000 };

struct flusher {
	struct flush_turn turn;
	struct flush_turns *turns;
	unsigned *order, number; /* as which it got its turn, from 1 on */
	bool at_once;		 /* gives it back inside run */
};

static void run(struct flush_turn *turn)
{
	struct flusher *f = container_of(turn, struct flusher, turn);

	f->number = ++*f->order;
	if (f->at_once)
		flush_turn_give(f->turns);
}

static void make(struct flusher *all, unsigned count, struct flush_turns *turns, unsigned *order, bool at_once)
{
	for (unsigned i = 0; i < count; i++)
		all[i] = (struct flusher){ .turn.run = run, .turns = turns, .order = order, .at_once = at_once };
}

static void test_limit(void **state)
{
	struct flusher all[5];
	struct flush_turns turns;
	unsigned order = 0;

	(void)state;
	flush_turns_init(&turns, 2);
	make(all, 5, &turns, &order, false);
	assert_true(flush_turn_take(&turns, &all[0].turn));
	assert_true(flush_turn_take(&turns, &all[1].turn));
	for (unsigned i = 2; i < 5; i++)
		assert_false(flush_turn_take(&turns, &all[i].turn));
	assert_int_equal(order, 0);
	flush_turn_give(&turns);
	assert_int_equal(all[2].number, 1);
	assert_int_equal(order, 1);
	flush_turn_give(&turns);
	flush_turn_give(&turns);
	assert_int_equal(all[3].number, 2);
	assert_int_equal(all[4].number, 3);
	flush_turn_give(&turns);
	flush_turn_give(&turns);
	assert_int_equal(turns.taken, 0);
	assert_true(flush_turn_take(&turns, &all[0].turn));
	flush_turn_give(&turns);
}

/* Who has just had its turn and wants another one comes after those who wait. */
static void test_fair(void **state)
{
	struct flusher all[3];
	struct flush_turns turns;
	unsigned order = 0;

	(void)state;
	flush_turns_init(&turns, 1);
	make(all, 3, &turns, &order, false);
	assert_true(flush_turn_take(&turns, &all[0].turn));
	assert_false(flush_turn_take(&turns, &all[1].turn));
	assert_false(flush_turn_take(&turns, &all[0].turn));
	flush_turn_give(&turns);
	assert_int_equal(all[1].number, 1);
	assert_int_equal(all[0].number, 0);
	flush_turn_give(&turns);
	assert_int_equal(all[0].number, 2);
	flush_turn_give(&turns);
}

/* As many as give theirs back at once. */
static void test_stack(void **state)
{
	static struct flusher all[MANY];
	struct flush_turns turns;
	struct flusher first;
	unsigned order = 0;

	(void)state;
	flush_turns_init(&turns, 1);
	make(&first, 1, &turns, &order, false);
	make(all, MANY, &turns, &order, true);
	assert_true(flush_turn_take(&turns, &first.turn));
	for (unsigned i = 0; i < MANY; i++)
		assert_false(flush_turn_take(&turns, &all[i].turn));
	flush_turn_give(&turns);
	assert_int_equal(order, MANY);
	assert_int_equal(all[MANY - 1].number, MANY);
	assert_int_equal(turns.taken, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_fair),
		cmocka_unit_test(test_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
