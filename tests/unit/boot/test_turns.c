// SPDX-License-Identifier: GPL-2.0-or-later
/* Turns, with a clock that the test moves. */
#include "boot/progress/turns.h"

#include "cmocka_all.h"

static struct turns *turns;

static int setup(void **state)
{
	(void)state;
	turns = turns_new();
	assert_non_null(turns);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	turns_free(turns);
	return 0;
}

/* 0: it boots; else its place. */
static unsigned ask(int64_t machine, int priority, unsigned limit, unsigned seconds)
{
	struct turn turn = turns_ask(turns, machine, priority, limit, 1000ull * seconds);

	assert_true(turn.now || (turn.place >= 1 && turn.waiting >= turn.place));
	return turn.now ? 0 : turn.place;
}

static void test_without_a_limit(void **state)
{
	(void)state;
	for (int64_t m = 1; m <= 2 * TURNS_TICKETS; m++)
		assert_int_equal(ask(m, 0, 0, 1), 0);
}

static void test_order(void **state)
{
	unsigned booting, waiting;

	(void)state;
	assert_int_equal(ask(1, 0, 2, 0), 0);
	assert_int_equal(ask(2, 0, 2, 0), 0);
	assert_int_equal(ask(3, 0, 2, 0), 1);
	assert_int_equal(ask(4, 0, 2, 0), 2);
	assert_int_equal(ask(5, 0, 2, 0), 3);
	assert_int_equal(ask(1, 0, 2, 1), 0); /* its script again */
	turns_count(turns, 1000, &booting, &waiting);
	assert_int_equal(booting, 2);
	assert_int_equal(waiting, 3);
	/* The permit is kept for number 3, whoever comes first. */
	turns_leave(turns, 1);
	assert_int_equal(ask(5, 0, 2, 5), 3);
	assert_int_equal(ask(4, 0, 2, 5), 2);
	assert_int_equal(ask(6, 0, 2, 5), 4);
	assert_int_equal(ask(3, 0, 2, 5), 0);
	assert_int_equal(ask(4, 0, 2, 6), 1);
	/* Two are free, and the second in the queue comes first. */
	turns_leave(turns, 2);
	turns_leave(turns, 3);
	assert_int_equal(ask(5, 0, 2, 7), 0);
	assert_int_equal(ask(6, 0, 2, 7), 2);
	assert_int_equal(ask(4, 0, 2, 7), 0);
}

static void test_priority(void **state)
{
	(void)state;
	assert_int_equal(ask(1, 0, 1, 0), 0);
	assert_int_equal(ask(2, 0, 1, 0), 1);
	assert_int_equal(ask(3, 5, 1, 0), 1);
	assert_int_equal(ask(4, -1, 1, 0), 3);
	assert_int_equal(ask(5, 5, 1, 0), 2);
	assert_int_equal(ask(2, 0, 1, 1), 3);
	turns_leave(turns, 1);
	assert_int_equal(ask(2, 0, 1, 2), 3);
	assert_int_equal(ask(3, 5, 1, 2), 0);
}

/* An endless line of more important machines: whoever has waited for long enough goes first all the same. */
static void test_nobody_starves(void **state)
{
	int64_t next = 100;
	unsigned seconds;

	(void)state;
	assert_int_equal(ask(next, 9, 1, 0), 0);
	for (seconds = 1; seconds < 1000; seconds += 5) {
		assert_true(ask(next + 1, 9, 1, seconds) > 0);
		if (ask(1, 0, 1, seconds) == 0)
			break;
		turns_leave(turns, next);
		if (ask(next + 1, 9, 1, seconds) == 0)
			next++;
	}
	assert_int_equal(seconds, 1 + TURNS_AGE_MS / 1000 + 5); /* the permit that is free next */
}

static void test_who_stops_asking_loses_his_place(void **state)
{
	(void)state;
	assert_int_equal(ask(1, 0, 1, 0), 0);
	turns_session(turns, 1, true, 0);
	assert_int_equal(ask(2, 0, 1, 0), 1);
	assert_int_equal(ask(3, 0, 1, 0), 2);
	assert_int_equal(ask(3, 0, 1, 15), 2);
	assert_int_equal(ask(3, 0, 1, 21), 1);
	assert_int_equal(ask(2, 0, 1, 22), 2); /* back: at the end */
}

static void test_slots_are_freed(void **state)
{
	(void)state;
	/* No login. */
	assert_int_equal(ask(1, 0, 1, 0), 0);
	assert_int_equal(ask(2, 0, 1, 50), 1);
	assert_int_equal(ask(2, 0, 1, 59), 1);
	assert_int_equal(ask(2, 0, 1, 60), 0);
	/* A session, then none. */
	turns_session(turns, 2, true, 70000);
	turns_session(turns, 2, true, 75000);
	turns_session(turns, 2, false, 80000);
	assert_int_equal(ask(3, 0, 1, 140), 1);
	turns_session(turns, 2, false, 150000);
	for (unsigned seconds = 150; seconds < 180; seconds += 10)
		assert_int_equal(ask(3, 0, 1, seconds), 1);
	assert_int_equal(ask(3, 0, 1, 180), 0);
	/* A boot that never ends. */
	turns_session(turns, 3, true, 181000);
	for (unsigned seconds = 350; seconds < 360; seconds++)
		assert_int_equal(ask(4, 0, 1, seconds), 1);
	assert_int_equal(ask(4, 0, 1, 360), 0);
	/* It has had its time: in the queue like all others. */
	assert_int_equal(ask(3, 0, 1, 361), 1);
}

static void test_bounded(void **state)
{
	struct turn turn;

	(void)state;
	for (int64_t m = 1; m <= TURNS_TICKETS; m++)
		ask(m, 0, 1, 0);
	turn = turns_ask(turns, 99999, 0, 1, 0);
	assert_false(turn.now);
	assert_int_equal(turn.place, TURNS_TICKETS);
	assert_int_equal(ask(99999, 0, 1, 30), 1); /* nobody came back */
	assert_int_equal(ask(99999, 0, 1, 45), 1);
	assert_int_equal(ask(99999, 0, 1, 60), 0);
}

/* 256 at once, eight at a time, each of which takes ten seconds: all get in, in the order of their tickets. */
static void test_storm(void **state)
{
	enum { MACHINES = 256, LIMIT = 8, TAKES = 10 };
	unsigned ends[MACHINES + 1] = { 0 }, left = MACHINES, last_started = 0;

	(void)state;
	for (unsigned seconds = 0; left; seconds++) {
		unsigned booting = 0;

		assert_true(seconds < 1000);
		for (unsigned m = 1; m <= MACHINES; m++) {
			if (ends[m] && ends[m] == seconds)
				turns_leave(turns, m);
			if (!ends[m] && (seconds + m) % 5 == 0 && !ask(m, 0, LIMIT, seconds)) {
				ends[m] = seconds + TAKES;
				left--;
				/* Asking five seconds apart, nobody can be early by more than the permits. */
				assert_true(m + MACHINES > last_started);
				last_started = m;
			}
			booting += ends[m] > seconds;
		}
		assert_true(booting <= LIMIT);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_without_a_limit),
		TEST(test_order),
		TEST(test_priority),
		TEST(test_nobody_starves),
		TEST(test_who_stops_asking_loses_his_place),
		TEST(test_slots_are_freed),
		TEST(test_bounded),
		TEST(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
