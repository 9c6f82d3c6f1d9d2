// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that is used again. */
#include "base/free_list.h"
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES = 64, KEEP = 2 };

static void test_last_comes_first(void **state)
{
	struct free_list free_list = { 0 };
	void *a = free_list_get(&free_list, BYTES), *b = free_list_get(&free_list, BYTES);

	(void)state;
	assert_ptr_not_equal(a, b);
	free_list_put(&free_list, a, KEEP);
	free_list_put(&free_list, b, KEEP);
	assert_int_equal(free_list.count, 2);
	assert_ptr_equal(free_list_get(&free_list, BYTES), b);
	assert_ptr_equal(free_list_get(&free_list, BYTES), a);
	assert_int_equal(free_list.count, 0);
	memset(a, 1, BYTES);
	free(a);
	free(b);
	free_list_fini(&free_list);
}

static void test_keeps_a_few(void **state)
{
	struct free_list free_list = { 0 };
	void *memory[2 * KEEP];

	(void)state;
	for (int i = 0; i < 2 * KEEP; i++)
		memory[i] = free_list_get(&free_list, BYTES);
	for (int i = 0; i < 2 * KEEP; i++)
		free_list_put(&free_list, memory[i], KEEP);
	assert_int_equal(free_list.count, KEEP);
	free_list_fini(&free_list);
	assert_int_equal(free_list.count, 0);
	assert_null(free_list.first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_comes_first),
		cmocka_unit_test(test_keeps_a_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
