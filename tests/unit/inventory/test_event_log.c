// SPDX-License-Identifier: GPL-2.0-or-later
/* Events in the log: what is committed, in order, one line each. */
#include "inventory/fixture.h"

#include "base/log.h"
#include "inventory/db.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What run's job writes to the log. */
static void log_of(struct fixture *f, int (*run)(struct inventory_tx *tx, void *arg), int err, char *out, size_t size)
{
	int stderr_was = dup(STDERR_FILENO);
	FILE *file = tmpfile();
	size_t len;

	assert_non_null(file);
	log_init(LOG_LEVEL_INFO, false);
	fflush(stderr);
	assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(in_write(f, run, NULL), err);
	assert_int_equal(dup2(stderr_was, STDERR_FILENO), STDERR_FILENO);
	close(stderr_was);
	rewind(file);
	len = fread(out, 1, size - 1, file);
	out[len] = '\0';
	fclose(file);
}

static int two_events(struct inventory_tx *tx, void *arg)
{
	(void)arg;
	assert_int_equal(event_add(tx, "info", "enrolled", "machine", 0, "pc-001", "the first"), 0);
	return event_add(tx, "warning", "login-refused", "machine", 0, "pc-001", "the second");
}

static void test_in_order(void **state)
{
	char text[4096];
	const char *first, *second;

	log_of(*state, two_events, 0, text, sizeof(text));
	first = strstr(text, "pc-001: enrolled: the first (machine)\n");
	second = strstr(text, "pc-001: login-refused: the second (machine)\n");
	assert_non_null(first);
	assert_non_null(second);
	assert_true(first < second);
}

static int event_and_fail(struct inventory_tx *tx, void *arg)
{
	assert_int_equal(two_events(tx, arg), 0);
	return -ECANCELED;
}

static int event_and_lose(struct inventory_tx *tx, void *arg)
{
	assert_int_equal(two_events(tx, arg), 0);
	return db_run(tx->db, "ROLLBACK");
}

/* What did not happen is not told. */
static void test_undone(void **state)
{
	char text[4096];

	log_of(*state, event_and_fail, -ECANCELED, text, sizeof(text));
	assert_null(strstr(text, "the first"));
	log_of(*state, event_and_lose, -EIO, text, sizeof(text));
	assert_null(strstr(text, "the first"));
	log_of(*state, two_events, 0, text, sizeof(text));
	assert_non_null(strstr(text, "the first"));
}

static int two_lines(struct inventory_tx *tx, void *arg)
{
	(void)arg;
	return event_add(tx, "info", "note", "ctl", 0, "pc\nerror: x", "a text\nerror: of two lines");
}

/* Nobody writes a line of the log but us. */
static void test_one_line(void **state)
{
	char text[4096];

	log_of(*state, two_lines, 0, text, sizeof(text));
	assert_non_null(strstr(text, "pc\\x0aerror: x: note: a text\\x0aerror: of two lines (ctl)\n"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_undone, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_one_line, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
