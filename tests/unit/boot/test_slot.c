// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of children: logins and people's work never have a disk at the same time. */
#include "boot/slot.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_life(void **state)
{
	struct slots slots;

	(void)state;
	slots_init(&slots);
	assert_true(slots_is_closed(&slots, 7));
	assert_int_equal(slots_open_begin(&slots, 7), 0);
	assert_false(slots_is_closed(&slots, 7));
	assert_int_equal(slots_open_begin(&slots, 7), -EBUSY);
	slots_open_end(&slots, 7, false);
	assert_true(slots_is_closed(&slots, 7));
	assert_int_equal(slots_open_begin(&slots, 7), 0);
	slots_open_end(&slots, 7, true);
	assert_int_equal(slots_open_begin(&slots, 7), -EBUSY);
	slots_close_begin(&slots, 7);
	assert_int_equal(slots_open_begin(&slots, 7), -EBUSY);
	assert_int_equal(slots_wait_closed(&slots, 7, 1), -ETIMEDOUT);
	slots_close_end(&slots, 7);
	assert_int_equal(slots_wait_closed(&slots, 7, 1), 0);
	/* Another machine with the same bucket is another machine. */
	assert_int_equal(slots_open_begin(&slots, 7 + SLOT_BUCKETS), 0);
	assert_true(slots_is_closed(&slots, 7));
	slots_fini(&slots);
}

static void test_claim(void **state)
{
	struct slots slots;

	(void)state;
	slots_init(&slots);
	assert_int_equal(slots_claim(&slots, 7), 0);
	assert_int_equal(slots_claim(&slots, 7), -EBUSY);
	assert_true(slots_is_claimed(&slots, 7));
	assert_int_equal(slots_open_begin(&slots, 7), -EBUSY);
	slots_unclaim(&slots, 7);
	assert_int_equal(slots_open_begin(&slots, 7), 0);
	slots_open_end(&slots, 7, true);
	/* A claim while it is open is allowed: the claimer closes it then. */
	assert_int_equal(slots_claim(&slots, 7), 0);
	slots_close_begin(&slots, 7);
	slots_close_end(&slots, 7);
	slots_forget(&slots, 7);
	assert_false(slots_is_claimed(&slots, 7));
	slots_fini(&slots);
}

static void *closer(void *arg)
{
	slots_close_end(arg, 7);
	return NULL;
}

static void test_wait(void **state)
{
	struct slots slots;
	pthread_t thread;

	(void)state;
	slots_init(&slots);
	assert_int_equal(slots_open_begin(&slots, 7), 0);
	slots_open_end(&slots, 7, true);
	slots_close_begin(&slots, 7);
	assert_int_equal(pthread_create(&thread, NULL, closer, &slots), 0);
	assert_int_equal(slots_wait_closed(&slots, 7, 60000), 0);
	pthread_join(thread, NULL);
	slots_fini(&slots);
}

static void test_notes(void **state)
{
	struct slots slots;

	(void)state;
	slots_init(&slots);
	assert_false(slots_ephemeral(&slots, 7));
	slots_set_ephemeral(&slots, 7, true);
	assert_true(slots_ephemeral(&slots, 7));
	assert_false(slots_take_begun(&slots, 7, 0));
	slots_note_begun(&slots, 7, 3);
	assert_false(slots_take_begun(&slots, 7, 2));
	assert_true(slots_take_begun(&slots, 7, 3));
	assert_false(slots_take_begun(&slots, 7, 3));
	for (int i = 0; i < 3; i++)
		assert_true(slots_event_due(&slots, 7, SLOT_REFUSED, 3, 3600000));
	assert_false(slots_event_due(&slots, 7, SLOT_REFUSED, 3, 3600000));
	assert_true(slots_event_due(&slots, 7, SLOT_SPACE, 3, 3600000));
	assert_true(slots_event_due(&slots, 8, SLOT_REFUSED, 3, 3600000));
	assert_true(slots_event_due(&slots, 7, SLOT_REFUSED, 3, 0));
	char why[16] = "";

	assert_false(slots_refused(&slots, 7, why, sizeof(why)));
	slots_set_refused(&slots, 7, "a reason that is longer than what takes it");
	assert_true(slots_refused(&slots, 7, why, sizeof(why)));
	assert_string_equal(why, "a reason that i");
	assert_false(slots_refused(&slots, 8, why, sizeof(why)));
	slots_count_session(&slots, 7, false);
	assert_true(slots_refused(&slots, 7, why, sizeof(why)));
	slots_count_session(&slots, 7, true);
	assert_false(slots_refused(&slots, 7, why, sizeof(why)));
	slots_fini(&slots);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_life), cmocka_unit_test(test_claim),
					    cmocka_unit_test(test_wait), cmocka_unit_test(test_notes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
