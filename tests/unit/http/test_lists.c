// SPDX-License-Identifier: GPL-2.0-or-later
/* GET /api/v1/machines: filters, pages; and that what was not changed is not sent again. */
#include "cmocka_all.h"
#include "fixture.h"

#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MACHINES "/api/v1/machines"

/* The names, with a comma behind each; and what "next" says. */
static void expect_list(struct fixture *f, const char *query, const char *names, const char *next)
{
	char path[128], got[256] = "";
	json_t *json, *machine;
	size_t i;

	snprintf(path, sizeof(path), MACHINES "%s", query);
	json = api_get(f, path);
	json_array_foreach(json_object_get(json, "machines"), i, machine)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s,", text_of(machine, "name"));
	if (strcmp(got, names) || strcmp(text_of(json, "next"), next))
		fail_msg("%s: %s next %s", query, got, text_of(json, "next"));
	assert_int_equal(json_object_get(json, "next") != NULL, strstr(query, "limit") != NULL);
	json_decref(json);
}

static int make_group(struct inventory_tx *tx, void *arg)
{
	struct machine_group group = { .name = "lab" };
	struct machine machine;
	int err = group_insert(tx, &group);

	(void)arg;
	if (!err)
		err = machine_find(tx, "pc-002", &machine);
	if (err)
		return err;
	machine.group_id = group.id;
	return machine_update(tx, &machine);
}

static void test_filters(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(inventory_do(f, make_group, NULL), 0);
	expect_list(f, "", "pc-001,pc-002,", "");
	expect_list(f, "?state=running", "pc-001,", "");
	expect_list(f, "?state=off", "pc-002,", "");
	expect_list(f, "?state=failed", "", "");
	expect_list(f, "?group=lab", "pc-002,", "");
	expect_list(f, "?group=none", "pc-001,", "");
	expect_list(f, "?group=lab&state=running", "", "");
	expect_list(f, "?image=debian", "pc-001,pc-002,", "");
	expect_list(f, "?image=debian@1&state=off", "pc-002,", "");
	expect_list(f, "?image=debian@2", "", "");
	expect_list(f, "?image=lab", "", "");
}

static void test_pages(void **state)
{
	struct fixture *f = *state;

	expect_list(f, "?limit=1", "pc-001,", "pc-001");
	expect_list(f, "?limit=1&after=pc-001", "pc-002,", "");
	expect_list(f, "?limit=1&after=PC-001", "pc-002,", "");
	expect_list(f, "?limit=2", "pc-001,pc-002,", "");
	expect_list(f, "?limit=1&after=pc-002", "", "");
	expect_list(f, "?limit=1&state=off", "pc-002,", "");
	expect_list(f, "?limit=1&state=running", "pc-001,", "");
	expect_list(f, "?after=pc-0015", "pc-002,", "");
}

static void test_refused(void **state)
{
	static const char *const bad[] = { "?limit=0",	"?limit=x", "?limit=10001",
					   "?state=on", "?image=@", "?colour=red" };
	struct fixture *f = *state;
	struct answer answer;

	for (size_t i = 0; i < array_len(bad); i++) {
		char path[64];

		snprintf(path, sizeof(path), MACHINES "%s", bad[i]);
		answer = ask(f, VIA_CONTROL, "GET", path, "", NULL);
		if (answer.status != 400)
			fail_msg("%s: %u", path, answer.status);
		answer_free(&answer);
	}
	answer = ask(f, VIA_CONTROL, "GET", MACHINES "?group=nowhere", "", NULL);
	assert_int_equal(answer.status, 404);
	assert_non_null(strstr(answer.body, "no group nowhere"));
	answer_free(&answer);
}

static unsigned status_if_none_match(struct fixture *f, const char *tag, size_t *bytes)
{
	char header[128];
	struct answer answer;
	unsigned status;

	snprintf(header, sizeof(header), "If-None-Match: %s\r\n", tag);
	answer = ask(f, VIA_CONTROL, "GET", MACHINES, header, NULL);
	status = answer.status;
	*bytes = answer.body_len;
	answer_free(&answer);
	return status;
}

static int note(struct inventory_tx *tx, void *arg)
{
	struct machine machine;
	int err = machine_find(tx, "pc-002", &machine);

	(void)arg;
	snprintf(machine.note, sizeof(machine.note), "third row");
	return err ? err : machine_update(tx, &machine);
}

static void test_tags(void **state)
{
	struct fixture *f = *state;
	struct answer answer = ask(f, VIA_CONTROL, "GET", MACHINES, "", NULL);
	char *tag = answer_header(&answer, "ETag"), weak[64];
	size_t bytes;

	assert_non_null(tag);
	assert_int_equal(status_if_none_match(f, tag, &bytes), 304);
	assert_int_equal(bytes, 0);
	snprintf(weak, sizeof(weak), "\"other\", W/%s", tag);
	assert_int_equal(status_if_none_match(f, weak, &bytes), 304);
	assert_int_equal(status_if_none_match(f, "\"other\"", &bytes), 200);
	assert_true(bytes > 100);
	assert_int_equal(inventory_do(f, note, NULL), 0);
	assert_int_equal(status_if_none_match(f, tag, &bytes), 200);
	free(tag);
	answer_free(&answer);
	/* What is changed is never left out. */
	answer = ask(f, VIA_CONTROL, "PATCH", MACHINES "/pc-001", "If-None-Match: *\r\n", "{\"note\": \"x\"}");
	assert_int_equal(answer.status, 200);
	answer_free(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_filters, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_pages, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_refused, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_tags, fixture_start_filled, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
