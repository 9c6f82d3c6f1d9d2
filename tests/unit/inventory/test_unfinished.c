// SPDX-License-Identifier: GPL-2.0-or-later
/* What a start has to know of work that the server's end interrupted: it comes back as it was written down, until it is forgotten. */
#include "inventory/fixture.h"

#include "inventory/unfinished.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct found {
	struct unfinished list[8];
	unsigned count;
};

static int take(void *arg, const struct unfinished *what)
{
	struct found *found = arg;

	assert_true(found->count < 8);
	found->list[found->count++] = *what;
	return 0;
}

static int read_all(struct inventory_tx *tx, void *arg)
{
	return unfinished_each(tx, take, arg);
}

static int put(struct inventory_tx *tx, void *arg)
{
	return unfinished_put(tx, arg);
}

static int forget(struct inventory_tx *tx, void *arg)
{
	const struct unfinished *what = arg;

	return unfinished_forget(tx, what->kind, what->id);
}

static const struct unfinished an_export = { .kind = UNFINISHED_EXPORT,
					     .id = 12,
					     .actor = "token:anna",
					     .name = "lab@1",
					     .detail = "abcdefgh 17",
					     .file = "/srv/ex ports/\xc3\xa4\nb.vmdk" };

static void test_it_comes_back_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct unfinished what = an_export, resize = { .kind = UNFINISHED_RESIZE, .id = 3, .name = "pc-001" };
	struct found found = { .count = 0 };

	assert_int_equal(in_write(f, put, &what), 0);
	assert_int_equal(in_write(f, put, &resize), 0);
	fixture_reopen(f);
	assert_int_equal(in_read(f, read_all, &found), 0);
	assert_int_equal(found.count, 2);
	assert_string_equal(found.list[0].kind, UNFINISHED_EXPORT);
	assert_int_equal(found.list[0].id, 12);
	assert_string_equal(found.list[0].actor, what.actor);
	assert_string_equal(found.list[0].name, what.name);
	assert_string_equal(found.list[0].detail, what.detail);
	assert_string_equal(found.list[0].file, what.file);
	assert_string_equal(found.list[1].kind, UNFINISHED_RESIZE);
	assert_string_equal(found.list[1].file, "");
}

static void test_it_is_written_again_and_forgotten(void **state)
{
	struct fixture *f = *state;
	struct unfinished what = an_export;
	struct found found = { .count = 0 };

	assert_int_equal(in_write(f, put, &what), 0);
	snprintf(what.detail, sizeof(what.detail), "abcdefgh 18");
	assert_int_equal(in_write(f, put, &what), 0);
	assert_int_equal(in_read(f, read_all, &found), 0);
	assert_int_equal(found.count, 1);
	assert_string_equal(found.list[0].detail, "abcdefgh 18");
	assert_int_equal(in_write(f, forget, &what), 0);
	assert_int_equal(in_write(f, forget, &what), 0);
	found.count = 0;
	assert_int_equal(in_read(f, read_all, &found), 0);
	assert_int_equal(found.count, 0);
}

static int other_setting(struct inventory_tx *tx, void *arg)
{
	(void)arg;
	return setting_set(tx, "unfinished-business", "ours is KIND-ID");
}

static void test_what_is_not_ours_is_passed_over(void **state)
{
	struct fixture *f = *state;
	struct unfinished what = an_export;
	struct found found = { .count = 0 };

	assert_int_equal(in_write(f, other_setting, NULL), 0);
	snprintf(what.file, sizeof(what.file), "/srv/\xff");
	assert_int_equal(in_write(f, put, &what), -EINVAL);
	assert_int_equal(in_read(f, read_all, &found), 0);
	assert_int_equal(found.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_comes_back_as_it_was, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_it_is_written_again_and_forgotten, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_what_is_not_ours_is_passed_over, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
