// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of children: logins and people's work never have a disk at the same time. */
#include "boot/disks.h"
#include "boot/presence.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_life(void **state)
{
	struct disks disks;

	(void)state;
	disks_init(&disks);
	assert_true(disks_is_closed(&disks, 7));
	assert_int_equal(disks_open_begin(&disks, 7), 0);
	assert_false(disks_is_closed(&disks, 7));
	assert_int_equal(disks_open_begin(&disks, 7), -EBUSY);
	disks_open_end(&disks, 7, false);
	assert_true(disks_is_closed(&disks, 7));
	assert_int_equal(disks_open_begin(&disks, 7), 0);
	disks_open_end(&disks, 7, true);
	assert_int_equal(disks_open_begin(&disks, 7), -EBUSY);
	disks_close_begin(&disks, 7);
	assert_false(disks_is_closed(&disks, 7));
	assert_int_equal(disks_open_begin(&disks, 7), -EBUSY);
	assert_int_equal(disks_wait_closed(&disks, 7, 1), -ETIMEDOUT);
	disks_close_end(&disks, 7);
	assert_int_equal(disks_wait_closed(&disks, 7, 1), 0);
	/* Another machine with the same bucket is another machine. */
	assert_int_equal(disks_open_begin(&disks, 7 + ID_TABLE_BUCKETS), 0);
	assert_true(disks_is_closed(&disks, 7));
	disks_fini(&disks);
}

static void test_claim(void **state)
{
	struct disks disks;

	(void)state;
	disks_init(&disks);
	assert_int_equal(disks_claim(&disks, 7), 0);
	assert_int_equal(disks_claim(&disks, 7), -EBUSY);
	assert_true(disks_is_claimed(&disks, 7));
	assert_int_equal(disks_open_begin(&disks, 7), -EBUSY);
	disks_unclaim(&disks, 7);
	assert_int_equal(disks_open_begin(&disks, 7), 0);
	disks_open_end(&disks, 7, true);
	/* A claim while it is open is allowed: the claimer closes it then. */
	assert_int_equal(disks_claim(&disks, 7), 0);
	disks_close_begin(&disks, 7);
	disks_close_end(&disks, 7);
	disks_forget(&disks, 7);
	assert_false(disks_is_claimed(&disks, 7));
	disks_fini(&disks);
}

static void *closer(void *arg)
{
	disks_close_end(arg, 7);
	return NULL;
}

static void test_wait(void **state)
{
	struct disks disks;
	pthread_t thread;

	(void)state;
	disks_init(&disks);
	assert_int_equal(disks_open_begin(&disks, 7), 0);
	disks_open_end(&disks, 7, true);
	disks_close_begin(&disks, 7);
	assert_int_equal(pthread_create(&thread, NULL, closer, &disks), 0);
	assert_int_equal(disks_wait_closed(&disks, 7, 15000), 0);
	pthread_join(thread, NULL);
	disks_fini(&disks);
}

static void test_notes(void **state)
{
	struct presence_table table;
	struct reason why = { "" };

	(void)state;
	presence_init(&table);
	assert_false(presence_begins_closed(&table, 7));
	presence_set_begins_closed(&table, 7, true);
	assert_true(presence_begins_closed(&table, 7));
	presence_set_begins_closed(&table, 7, false);
	presence_set_reopens(&table, 7, true);
	assert_true(presence_begins_closed(&table, 7));
	presence_set_reopens(&table, 7, false);
	assert_false(presence_begins_closed(&table, 7));
	assert_false(presence_take_begun(&table, 7, 0));
	presence_note_begun(&table, 7, 3);
	assert_false(presence_take_begun(&table, 7, 2));
	assert_true(presence_take_begun(&table, 7, 3));
	assert_false(presence_take_begun(&table, 7, 3));
	for (int i = 0; i < 3; i++)
		assert_true(presence_event_due(&table, 7, PRESENCE_REFUSED, 3, 3600000));
	assert_false(presence_event_due(&table, 7, PRESENCE_REFUSED, 3, 3600000));
	assert_true(presence_event_due(&table, 7, PRESENCE_SPACE, 3, 3600000));
	assert_true(presence_event_due(&table, 8, PRESENCE_REFUSED, 3, 3600000));
	assert_true(presence_event_due(&table, 7, PRESENCE_REFUSED, 3, 0));
	assert_false(presence_refused(&table, 7, &why));
	presence_set_refused(&table, 7, "a reason, cut where it is longer than what is kept");
	assert_true(presence_refused(&table, 7, &why));
	assert_string_equal(why.text, "a reason, cut where it is longer than what is kept");
	assert_false(presence_refused(&table, 8, &why));
	presence_count_session(&table, 7, false);
	assert_true(presence_refused(&table, 7, &why));
	presence_count_session(&table, 7, true);
	assert_false(presence_refused(&table, 7, &why));
	presence_fini(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_life), cmocka_unit_test(test_claim),
					    cmocka_unit_test(test_wait), cmocka_unit_test(test_notes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
