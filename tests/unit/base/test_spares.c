// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that is used again. */
#include "base/spares.h"
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES = 64, KEEP = 2 };

static void test_last_comes_first(void **state)
{
	struct spares spares = { 0 };
	void *a = spares_get(&spares, BYTES), *b = spares_get(&spares, BYTES);

	(void)state;
	assert_ptr_not_equal(a, b);
	spares_put(&spares, a, KEEP);
	spares_put(&spares, b, KEEP);
	assert_int_equal(spares.count, 2);
	assert_ptr_equal(spares_get(&spares, BYTES), b);
	assert_ptr_equal(spares_get(&spares, BYTES), a);
	assert_int_equal(spares.count, 0);
	memset(a, 1, BYTES);
	free(a);
	free(b);
	spares_fini(&spares);
}

static void test_keeps_a_few(void **state)
{
	struct spares spares = { 0 };
	void *memory[2 * KEEP];

	(void)state;
	for (int i = 0; i < 2 * KEEP; i++)
		memory[i] = spares_get(&spares, BYTES);
	for (int i = 0; i < 2 * KEEP; i++)
		spares_put(&spares, memory[i], KEEP);
	assert_int_equal(spares.count, KEEP);
	spares_fini(&spares);
	assert_int_equal(spares.count, 0);
	assert_null(spares.first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_comes_first),
		cmocka_unit_test(test_keeps_a_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
