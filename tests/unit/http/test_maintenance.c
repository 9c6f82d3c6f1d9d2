// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: maintenance of an image on a machine, and clones of machines. */
#include "cmocka_all.h"
#include "fixture.h"

#include "inventory/maintenance.h"

#include <errno.h>
#include <string.h>

static json_t *change(struct fixture *f, const char *method, const char *path, const char *body, unsigned status)
{
	struct answer answer = ask(f, VIA_CONTROL, method, path, "", body);
	json_t *json = answer_json(&answer);

	if (answer.status != status)
		fail_msg("%s %s: %u instead of %u: %s", method, path, answer.status, status, answer.body);
	answer_free(&answer);
	assert_non_null(json);
	return json;
}

static int begin_maintenance(struct inventory_tx *tx, void *arg)
{
	struct machine machine;
	int err = machine_by_name(tx, "pc-001", &machine);
	struct volume work = machine.system;

	(void)arg;
	strcpy(work.object, "work.qcow2");
	return err ? err : maintenance_begin(tx, &machine, &work, "someone");
}

static void test_maintenance(void **state)
{
	static const char path[] = "/api/v1/machines/pc-001/maintenance";
	struct fixture *f = *state;
	json_t *json, *maintenance;

	json_decref(change(f, "POST", path, "{}", 200));
	assert_string_equal(fake_boot.last_call, "maintenance of pc-001 with - by ctl");
	json_decref(change(f, "POST", path, "{\"image\": \"lab@2\"}", 200));
	assert_string_equal(fake_boot.last_call, "maintenance of pc-001 with lab@2 by ctl");
	json_decref(change(f, "POST", path, "{\"image\": 3}", 400));
	json = change(f, "DELETE", path, "{}", 200);
	assert_string_equal(fake_boot.last_call, "end of maintenance of pc-001 as - by ctl");
	assert_string_equal(text_of(json, "version"), "lab@3");
	json_decref(json);
	json = change(f, "DELETE", path, "{\"discard\": true, \"mode\": \"ephemeral\"}", 200);
	assert_string_equal(fake_boot.last_call, "end of maintenance of pc-001, given up, as ephemeral by ctl");
	assert_true(json_is_null(json_object_get(json, "version")));
	json_decref(json);
	fake_boot.fail = -EBUSY;
	json_decref(change(f, "POST", path, "{}", 409));
	json_decref(change(f, "DELETE", path, "{}", 409));
	fake_boot.fail = 0;
	/* A machine says so. */
	json = api_get(f, "/api/v1/machines/pc-001");
	assert_true(json_is_null(json_object_get(json, "maintenance")));
	json_decref(json);
	assert_int_equal(inventory_do(f, begin_maintenance, NULL), 0);
	json = api_get(f, "/api/v1/machines/pc-001");
	assert_string_equal(text_of(json, "mode"), "maintenance");
	maintenance = json_object_get(json, "maintenance");
	assert_string_equal(text_of(maintenance, "by"), "someone");
	assert_string_equal(text_of(maintenance, "own_mode"), "persistent");
	assert_true(json_integer_value(json_object_get(maintenance, "since_ms")) > 0);
	json_decref(json);
}

static void test_clone(void **state)
{
	static const char path[] = "/api/v1/machines/pc-001/clone";
	struct fixture *f = *state;
	json_t *json = change(f, "POST", path, "{\"name\": \"pc-009\", \"macs\": [\"52:54:00:00:00:09\"]}", 201);

	assert_string_equal(fake_boot.last_call, "clone - of pc-001 as pc-009 with 1 MACs, 52:54:00:00:00:09, by ctl");
	assert_string_equal(text_of(json, "name"), "pc-009");
	json_decref(json);
	json_decref(change(f, "POST", path, "{\"name\": \"pc-009\", \"snapshot\": \"one\"}", 201));
	assert_string_equal(fake_boot.last_call, "clone one of pc-001 as pc-009 with 0 MACs, -, by ctl");
	fake_boot.last_call[0] = '\0';
	json_decref(change(f, "POST", path, "{}", 400));
	json_decref(change(f, "POST", path, "{\"name\": \"a\", \"macs\": \"52:54:00:00:00:09\"}", 400));
	json_decref(change(f, "POST", path, "{\"name\": \"a\", \"macs\": [9]}", 400));
	json_decref(change(f, "POST", path,
			   "{\"name\": \"a\", \"macs\": [\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]}", 400));
	assert_string_equal(fake_boot.last_call, "");
	fake_boot.fail = -EEXIST;
	json_decref(change(f, "POST", path, "{\"name\": \"a\"}", 409));
	fake_boot.fail = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_maintenance, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_clone, fixture_start_filled, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
