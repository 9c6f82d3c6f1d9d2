// SPDX-License-Identifier: GPL-2.0-or-later
/* Several keys in one body: all of them or none, under the names and of the kinds that answers have. */
#include "cmocka_all.h"
#include "fixture.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>

#define MACHINE "/api/v1/machines/pc-001"

static void expect_error(struct fixture *f, const char *method, const char *path, const char *body, const char *error)
{
	struct answer answer = ask(f, VIA_CONTROL, method, path, "", body);

	if (answer.status != 400 || !strstr(answer.body, error))
		fail_msg("%s: %u %s", body, answer.status, answer.body);
	answer_free(&answer);
}

static void expect_call(struct fixture *f, const char *method, const char *path, const char *body, const char *call)
{
	struct answer answer = ask(f, VIA_CONTROL, method, path, "", body);

	if (answer.status != 200)
		fail_msg("%s: %u %s", body, answer.status, answer.body);
	assert_string_equal(fake_boot.last_call, call);
	answer_free(&answer);
}

static void test_one_refused_refuses_all(void **state)
{
	struct fixture *f = *state;

	fake_boot.refused = "colour";
	expect_error(f, "PATCH", MACHINE, "{\"note\": \"x\", \"colour\": \"red\"}", "there is no key colour");
	expect_error(f, "POST", "/api/v1/groups", "{\"name\": \"lab\", \"colour\": \"red\"}", "there is no key colour");
	expect_error(f, "PATCH", "/api/v1/volumes/scratch", "{\"size\": \"2G\", \"colour\": \"red\"}", "no key colour");
	assert_string_equal(fake_boot.last_call, "");
	fake_boot.refused = "priority";
	expect_error(f, "POST", "/api/v1/groups", "{\"name\": \"lab\", \"priority\": \"high\"}", "no key priority");
	assert_string_equal(fake_boot.last_call, "");
}

static void test_names_and_kinds_of_answers(void **state)
{
	struct fixture *f = *state;

	expect_call(f, "PATCH", MACHINE, "{\"boot_once\": \"menu\"}", "set pc-001 boot-once=menu by ctl");
	expect_call(f, "PATCH", MACHINE, "{\"boot-once\": \"menu\"}", "set pc-001 boot-once=menu by ctl");
	expect_call(f, "PATCH", MACHINE, "{\"no_gateway\": true}", "set pc-001 no-gateway=yes by ctl");
	expect_call(f, "PATCH", MACHINE, "{\"no_gateway\": false}", "set pc-001 no-gateway=no by ctl");
	expect_call(f, "PATCH", MACHINE, "{\"no-gateway\": \"yes\"}", "set pc-001 no-gateway=yes by ctl");
	expect_call(f, "PATCH", MACHINE, "{\"physical_block\": 512}", "set pc-001 physical-block=512 by ctl");
	expect_call(f, "PATCH", MACHINE, "{\"note\": null}", "set pc-001 note= by ctl");
	expect_call(f, "PATCH", MACHINE, "{\"boot\": null}", "set pc-001 boot=disk by ctl");
	/* size cannot be rehearsed, so it comes first, wherever it stands */
	expect_call(f, "PATCH", MACHINE, "{\"note\": \"x\", \"size\": \"64G\"}", "set pc-001 note=x by ctl");
}

static void test_other_kinds(void **state)
{
	static const char *const bad[][2] = {
		{ "{\"note\": {}}", "note: expected" },
		{ "{\"note\": [\"a\"]}", "note: expected" },
		{ "{\"note\": true}", "note: expected a text or a whole number" },
		{ "{\"no_gateway\": 1}", "no_gateway: expected a text or true or false" },
		{ "{\"no_gateway\": 0.5}", "no_gateway: expected" },
		{ "{\"mode\": 1}", "mode: expected a text" },
		{ "{\"physical_block\": true}", "physical_block: expected" },
		{ "{\"group\": 3}", "group: expected a text" },
		{ "{\"boot_once\": \"menu\", \"boot-once\": \"disk\"}", "boot-once is given twice" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < array_len(bad); i++)
		expect_error(f, "PATCH", MACHINE, bad[i][0], bad[i][1]);
	expect_error(f, "POST", "/api/v1/groups", "{\"name\": \"lab\", \"priority\": true}", "priority: expected");
	expect_error(f, "PATCH", "/api/v1/policy", "{\"max-machines\": \"many\"}", "max-machines");
	expect_error(f, "PATCH", "/api/v1/policy", "{\"colour\": \"red\"}", "colour");
	assert_string_equal(fake_boot.last_call, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_refused_refuses_all, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_names_and_kinds_of_answers, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_other_kinds, fixture_start_filled, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
