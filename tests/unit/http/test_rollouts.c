// SPDX-License-Identifier: GPL-2.0-or-later
/* The API of rollouts: what a dry run says and leaves alone, what begins, is shown, stopped and undone, and what is refused. */
#include "cmocka_all.h"
#include "fixture.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>

#define PUBLISH "/api/v1/images/debian@2/publish"
#define ROLLOUT "/api/v1/images/debian/rollout"

static int add_second(struct inventory_tx *tx, void *arg)
{
	struct image_version v = {
		.image = "debian", .number = 2, .state = VERSION_TEST, .format = "raw", .size_bytes = 1
	};

	(void)arg;
	snprintf(v.file, sizeof(v.file), "debian@2.raw");
	return version_insert(tx, &v);
}

static int start(void **state)
{
	int err = fixture_start_filled(state);

	return err ? err : inventory_do(*state, add_second, NULL);
}

/* A change there, and its answer. */
static json_t *change(struct fixture *f, const char *path, const char *body, unsigned status)
{
	struct answer answer = ask(f, VIA_CONTROL, "POST", path, "Content-Type: application/json\r\n", body);
	json_t *json = answer_json(&answer);

	if (answer.status != status)
		fail_msg("%s %s: %u %s", path, body, answer.status, answer.body);
	answer_free(&answer);
	return json;
}

static void refused(struct fixture *f, const char *path, const char *body, unsigned status, const char *part)
{
	json_t *json = change(f, path, body, status);

	if (!strstr(text_of(json, "error"), part))
		fail_msg("%s: \"%s\" without \"%s\"", body, text_of(json, "error"), part);
	json_decref(json);
}

/* What it says of a machine. */
static const json_t *machine_of(const json_t *answer, const char *name)
{
	json_t *machine;
	size_t i;

	json_array_foreach(json_object_get(answer, "machines"), i, machine)
		if (!strcmp(text_of(machine, "name"), name))
			return machine;
	fail_msg("nothing of %s", name);
	return NULL;
}

static int persist_ring(struct inventory_tx *tx, void *arg)
{
	struct machine machine;

	(void)arg;
	assert_int_equal(machine_by_name(tx, "pc-001", &machine), 0);
	strcpy(machine.ring, "canary");
	machine.system.fresh = false;
	assert_int_equal(machine_update(tx, &machine), 0);
	assert_int_equal(machine_by_name(tx, "pc-002", &machine), 0);
	machine.mode = MODE_EPHEMERAL;
	return machine_update(tx, &machine);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;

	refused(f, PUBLISH, "{\"steps\": []}", 400, "1 to 16 steps");
	refused(f, PUBLISH, "{\"steps\": [{}]}", 400, "step 1: expected");
	refused(f, PUBLISH, "{\"steps\": [{\"ring\": \"a\", \"percent\": 1}]}", 400, "step 1: expected");
	refused(f, PUBLISH, "{\"steps\": [{\"percent\": \"1\"}]}", 400, "step 1: expected");
	refused(f, PUBLISH, "{\"steps\": [{\"percent\": 0}]}", 400, "1 to 100 percent");
	refused(f, PUBLISH, "{\"steps\": [{\"percent\": 4294967297}]}", 400, "1 to 100 percent");
	refused(f, PUBLISH, "{\"steps\": [{\"percent\": 50, \"at_ms\": 1000}]}", 400, "that time is over");
	refused(f, PUBLISH, "{\"steps\": [{\"percent\": 50, \"at_ms\": -1}]}", 400, "that time is over");
	refused(f, PUBLISH, "{\"steps\": [{\"ring\": \"\"}]}", 400, "which ring");
	refused(f, PUBLISH, "{\"steps\": [{\"ring\": \"nowhere\"}]}", 400, "no machine of debian is in ring nowhere");
	refused(f, PUBLISH, "{\"steps\": [{\"percent\": 50}], \"at_ms\": 1}", 400, "times of their own");
	refused(f, PUBLISH, "{\"steps\": 1}", 400, "steps");
	refused(f, "/api/v1/images/debian/publish", "{\"steps\": [{\"percent\": 50}]}", 400, "NAME@VERSION");
	refused(f, "/api/v1/images/debian@9/publish", "{\"steps\": [{\"percent\": 50}]}", 404, "debian@9");
	refused(f, ROLLOUT "/stop", "", 404, "nothing of debian is or was rolled out");
	refused(f, "/api/v1/images/none/rollout/undo", "", 404, "nothing of none is or was rolled out");
	assert_int_equal(fake_boot.looked_at_plans, 0);
}

static void test_dry_run(void **state)
{
	struct fixture *f = *state;
	struct answer answer;
	json_t *said;

	assert_int_equal(inventory_do(f, persist_ring, NULL), 0);
	fake_boot.running = 1;
	said = change(
		f, PUBLISH,
		"{\"steps\": [{\"ring\": \"canary\"}, {\"percent\": 100}], \"persistent\": true, \"dry_run\": true}",
		200);
	assert_true(json_is_true(json_object_get(said, "dry_run")));
	assert_string_equal(text_of(said, "rollout"), "debian@2");
	assert_string_equal(text_of(said, "from"), "debian@1");
	assert_string_equal(text_of(machine_of(said, "pc-001"), "standing"), "gets");
	assert_true(json_is_true(json_object_get(machine_of(said, "pc-001"), "running")));
	assert_string_equal(text_of(machine_of(said, "pc-002"), "standing"), "later");
	assert_int_equal(json_integer_value(json_object_get(machine_of(said, "pc-002"), "step")), 2);
	assert_int_equal(json_array_size(json_object_get(said, "steps")), 2);
	json_decref(said);
	/* Nothing of it has happened. */
	answer = ask(f, VIA_CONTROL, "GET", ROLLOUT, "", NULL);
	assert_int_equal(answer.status, 404);
	answer_free(&answer);
	/* Those who keep their disk, and publishing without rings. */
	said = change(f, PUBLISH, "{\"steps\": [{\"percent\": 100}], \"dry_run\": true}", 200);
	assert_string_equal(text_of(machine_of(said, "pc-001"), "standing"), "keeps-disk");
	assert_string_equal(text_of(machine_of(said, "pc-002"), "standing"), "gets");
	json_decref(said);
	said = change(f, PUBLISH, "{\"dry_run\": true}", 200);
	assert_string_equal(text_of(said, "new_machines_get"), "debian@2");
	assert_string_equal(text_of(machine_of(said, "pc-001"), "standing"), "outside");
	json_decref(said);
	refused(f, PUBLISH, "{\"dry_run\": true, \"at_ms\": 1000}", 400, "that time is over");
	said = api_get(f, "/api/v1/images/debian");
	assert_int_equal(json_integer_value(json_object_get(said, "published")), 1);
	json_decref(said);
	assert_int_equal(fake_boot.looked_at_plans, 0);
}

static void test_begin_stop_undo(void **state)
{
	struct fixture *f = *state;
	json_t *said;

	assert_int_equal(inventory_do(f, persist_ring, NULL), 0);
	refused(f, PUBLISH, "{\"steps\": [{\"ring\": \"canary\"}]}", 400, "--persistent");
	said = change(f, PUBLISH, "{\"steps\": [{\"ring\": \"canary\"}, {\"percent\": 100}], \"persistent\": true}",
		      200);
	assert_string_equal(text_of(said, "state"), "running");
	json_decref(said);
	assert_int_equal(fake_boot.looked_at_plans, 1);
	said = api_get(f, "/api/v1/machines/pc-001");
	assert_string_equal(text_of(said, "next_image"), "debian@2");
	assert_string_equal(text_of(said, "ring"), "canary");
	assert_true(json_is_true(json_object_get(said, "outdated")));
	json_decref(said);
	said = api_get(f, "/api/v1/machines/pc-002");
	assert_true(json_is_null(json_object_get(said, "next_image")));
	assert_false(json_is_true(json_object_get(said, "outdated")));
	json_decref(said);
	refused(f, PUBLISH, "{\"steps\": [{\"percent\": 100}]}", 409, "being rolled out already");
	assert_int_equal(api_change(f, "DELETE", "/api/v1/images/debian@2", ""), 409);
	refused(f, ROLLOUT "/resume", "", 404, "is running: it cannot be resumed");
	refused(f, "/api/v1/images/debian@1/rollout/stop", "", 404, "what is rolled out of debian is debian@2");
	said = change(f, ROLLOUT "/stop", "", 200);
	assert_string_equal(text_of(said, "state"), "stopped");
	assert_string_equal(text_of(said, "why"), "a person stopped it");
	json_decref(said);
	json_decref(change(f, "/api/v1/images/debian@2/rollout/resume", "", 200));
	said = change(f, ROLLOUT "/undo", "", 200);
	assert_string_equal(text_of(said, "state"), "undone");
	assert_true(json_is_true(json_object_get(said, "back")));
	json_decref(said);
	said = api_get(f, ROLLOUT);
	assert_string_equal(text_of(said, "state"), "undone");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(said, "rule"), "min_boots")), 4);
	json_decref(said);
	assert_int_equal(fake_boot.looked_at_plans, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refused, start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_dry_run, start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_begin_stop_undo, start, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
