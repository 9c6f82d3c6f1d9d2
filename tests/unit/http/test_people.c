// SPDX-License-Identifier: GPL-2.0-or-later
/* The API where a person decides: who waits, names that change, images and their versions. */
#include "cmocka_all.h"
#include "fixture.h"

#include "base/buf.h"
#include "inventory/db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The answer of a request that changes something. */
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

static long long number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* ---- who is added ---- */

static void refused_entry(struct fixture *f, const char *machines, int index, const char *reason)
{
	char body[512];
	json_t *json;

	snprintf(body, sizeof(body), "{\"machines\": %s}", machines);
	json = change(f, "POST", "/api/v1/machines", body, 400);
	assert_int_equal(number_of(json, "index"), index);
	assert_non_null(strstr(text_of(json, "reason"), reason));
	assert_non_null(strstr(text_of(json, "error"), reason));
	json_decref(json);
}

static void test_adding(void **state)
{
	struct fixture *f = *state;
	json_t *json;

	json = change(f, "POST", "/api/v1/machines",
		      "{\"machines\": [{\"name\": \"a\", \"macs\": [\"52:54:00:00:00:01\"]}, {\"macs\": []}]}", 201);
	assert_string_equal(fake_boot.last_call, "add 2 by ctl");
	assert_string_equal(text_of(json_array_get(json_object_get(json, "added"), 1), "name"), "pc-001");
	json_decref(json);
	json = change(f, "POST", "/api/v1/machines", "{\"machines\": [{\"macs\": []}], \"dry_run\": true}", 200);
	assert_string_equal(fake_boot.last_call, "add 1 dry by ctl");
	json_decref(json);
	/* What is no machine is refused before anything is asked; the one that is refused is named. */
	fake_boot.last_call[0] = '\0';
	refused_entry(f, "[{\"macs\": []}, 3]", 1, "expected an object");
	refused_entry(f, "[{\"macs\": [], \"colour\": \"red\"}]", 0, "no other keys");
	refused_entry(f, "[{\"macs\": \"52:54:00:00:00:01\"}]", 0, "must be a list");
	refused_entry(f, "[{\"macs\": [1]}]", 0, "must be a list");
	refused_entry(f, "[{\"macs\": [\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]}]", 0, "too many");
	refused_entry(f, "[{\"macs\": [], \"note\": 3}]", 0, "must be texts");
	json_decref(change(f, "POST", "/api/v1/machines", "{\"machines\": []}", 400));
	assert_string_equal(fake_boot.last_call, "");
	fake_boot.fail = -EINVAL;
	fake_boot.fail_at = "b";
	refused_entry(f, "[{\"name\": \"a\", \"macs\": []}, {\"name\": \"b\", \"macs\": []}]", 1, "the fake refuses");
	fake_boot.fail_at = NULL;
	json_decref(change(f, "POST", "/api/v1/machines/pc-001/promote", "{\"image\": \"lab\"}", 400));
	json_decref(change(f, "POST", "/api/v1/machines/pc-001/wake", "{}", 400));
	fake_boot.fail = 0;
	json_decref(change(f, "POST", "/api/v1/machines/pc-001/wake", "{}", 200));
	assert_string_equal(fake_boot.last_call, "wake pc-001 by ctl");
	json = change(f, "POST", "/api/v1/machines/pc-001/promote", "{\"image\": \"lab\", \"snapshot\": \"one\"}", 201);
	assert_string_equal(fake_boot.last_call, "promote one of pc-001 as lab by ctl");
	assert_string_equal(text_of(json, "version"), "lab@2");
	json_decref(json);
	json_decref(change(f, "POST", "/api/v1/machines/pc-001/promote", "{\"image\": \"lab\"}", 201));
	assert_string_equal(fake_boot.last_call, "promote - of pc-001 as lab by ctl");
}

/* ---- who waits ---- */

static int more_wait(struct inventory_tx *tx, void *arg)
{
	struct waiting swap = { .mac = "52:54:00:00:02:04", .reason = WAIT_SWAP, .machine_id = 2 };
	struct waiting denied = { .mac = "52:54:00:00:02:05", .reason = WAIT_DENIED };
	int err = waiting_put(tx, &swap, 64);

	(void)arg;
	return err ? err : waiting_put(tx, &denied, 64);
}

static void test_who_waits(void **state)
{
	struct fixture *f = *state;
	json_t *json, *list;

	assert_int_equal(inventory_do(f, more_wait, NULL), 0);
	json = api_get(f, "/api/v1/waiting");
	list = json_object_get(json, "waiting");
	assert_int_equal(json_array_size(list), 5);
	assert_string_equal(text_of(json_array_get(list, 0), "reason"), "approval");
	assert_null(json_object_get(json_array_get(list, 0), "machine"));
	assert_string_equal(text_of(json_array_get(list, 2), "reason"), "conflict");
	assert_string_equal(text_of(json_array_get(list, 2), "machine"), "pc-001");
	assert_string_equal(text_of(json_array_get(list, 3), "machine"), "pc-002");
	json_decref(json);
	json = api_get(f, "/api/v1/status");
	assert_int_equal(number_of(json, "waiting"), 4); /* the one that was refused does not */
	json_decref(json);
	json = change(f, "POST", "/api/v1/machines/approve", "{\"all\": true}", 200);
	assert_int_equal(json_array_size(json_object_get(json, "approved")), 2); /* those that need no decision */
	json_decref(json);
}

/* Several at once: who could not be approved is named, the others are. */
static void test_some_are_approved(void **state)
{
	struct fixture *f = *state;
	json_t *json, *failed;
	struct buf body;

	fake_boot.fail = -EBUSY;
	fake_boot.fail_at = "2";
	json = change(f, "POST", "/api/v1/machines/approve", "{\"numbers\": [1, 2]}", 200);
	assert_int_equal(json_array_size(json_object_get(json, "approved")), 1);
	failed = json_object_get(json, "failed");
	assert_int_equal(json_array_size(failed), 1);
	assert_string_equal(text_of(json_array_get(failed, 0), "which"), "2");
	assert_string_equal(text_of(json_array_get(failed, 0), "error"), "the fake refuses");
	json_decref(json);
	fake_boot.last_call[0] = '\0';
	buf_init(&body, 65536);
	buf_add_string(&body, "{\"numbers\": [1");
	for (int i = 2; i <= 1025; i++)
		buf_printf(&body, ", %d", i);
	buf_add_string(&body, "]}");
	json_decref(change(f, "POST", "/api/v1/machines/approve", buf_text(&body), 400));
	assert_string_equal(fake_boot.last_call, "");
	buf_fini(&body);
}

/* ---- names, keys ---- */

static int lab(struct inventory_tx *tx, void *arg)
{
	struct machine_group group = { .name = "lab" };

	(void)arg;
	return group_insert(tx, &group);
}

static void test_new_names(void **state)
{
	struct fixture *f = *state;
	json_t *json = change(f, "PATCH", "/api/v1/machines/pc-001", "{\"name\": \"office\", \"note\": \"x\"}", 200);

	assert_string_equal(text_of(json, "name"), "office");
	assert_string_equal(fake_boot.last_call, "set office note=x by ctl");
	json_decref(json);
	assert_int_equal(inventory_do(f, lab, NULL), 0);
	json = change(f, "PATCH", "/api/v1/groups/lab", "{\"name\": \"class\", \"note\": \"x\"}", 200);
	assert_string_equal(text_of(json, "name"), "class");
	assert_string_equal(fake_boot.last_call, "group-set class note=x by ctl");
	json_decref(json);
	/* One that is made has its name already. */
	json_decref(change(f, "POST", "/api/v1/groups", "{\"name\": \"class\"}", 200));
	assert_string_equal(fake_boot.last_call, "group-add class by ctl");
}

static void test_refused_values(void **state)
{
	struct fixture *f = *state;
	char body[1024];

	/* What is too long is refused, not cut. */
	snprintf(body, sizeof(body), "{\"note\": \"%0511d\"}", 1);
	json_decref(change(f, "PATCH", "/api/v1/machines/pc-001", body, 200));
	fake_boot.last_call[0] = '\0';
	snprintf(body, sizeof(body), "{\"note\": \"%0512d\"}", 1);
	json_decref(change(f, "PATCH", "/api/v1/machines/pc-001", body, 400));
	json_decref(change(f, "DELETE", "/api/v1/machines/pc-001/macs/not-a-mac", "{}", 400));
	json_decref(change(f, "POST", "/api/v1/machines/pc-001/swap", "{\"mac\": \"not-a-mac\"}", 400));
	assert_string_equal(fake_boot.last_call, "");
}

static int list_event(void *arg, const struct event *event)
{
	size_t len = strlen(arg);

	snprintf((char *)arg + len, 1024 - len, "%s: %s by %s;", event->kind, event->text, event->actor);
	return 0;
}

/* Those after what the fixture recorded. */
static int list_events(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, 2, 0, 100, list_event, arg);
}

static void expect_events(struct fixture *f, const char *want)
{
	char all[1024] = "";

	assert_int_equal(inventory_do(f, list_events, all), 0);
	assert_string_equal(all, want);
}

static void test_policy_is_recorded(void **state)
{
	struct fixture *f = *state;

	json_decref(change(f, "PATCH", "/api/v1/policy", "{\"enrol\": \"deny\", \"max-machines\": \"no\"}", 400));
	json_decref(change(f, "PATCH", "/api/v1/policy", "{\"enrol\": \"approve\"}", 200));
	expect_events(f, "policy-changed: enrol=approve by ctl;");
}

/* ---- machines ---- */

static int change_machines(struct inventory_tx *tx, void *arg)
{
	struct machine_boot boot = { .machine_id = 1 };
	struct machine_group group = { .name = "lab", .boot = "menu" };
	struct machine machine;

	(void)arg;
	assert_int_equal(group_insert(tx, &group), 0);
	assert_int_equal(machine_by_name(tx, "pc-001", &machine), 0);
	machine.system.state = VOLUME_FAILED;
	machine.group_id = group.id;
	strcpy(machine.boot, "rescue");
	assert_int_equal(machine_update(tx, &machine), 0);
	tx->now_ms = 7000;
	assert_int_equal(machine_boot_begin(tx, 1, 1), 0);
	assert_int_equal(machine_boot_issue(tx, &boot), 0);
	tx->now_ms = 9000;
	return machine_boot_begin(tx, 1, 2);
}

static void test_what_a_machine_is(void **state)
{
	struct fixture *f = *state;
	json_t *machine;

	assert_int_equal(inventory_do(f, change_machines, NULL), 0);
	machine = api_get(f, "/api/v1/machines/pc-001");
	assert_int_equal(json_array_size(json_object_get(machine, "sessions")), 1);
	assert_string_equal(text_of(machine, "state"), "failed"); /* also while it hangs on to its session */
	assert_string_equal(text_of(machine, "boot"), "rescue");  /* its own goes before its group's */
	assert_int_equal(number_of(machine, "last_boot_ms"), 9000);
	json_decref(machine);
	machine = api_get(f, "/api/v1/machines/pc-002");
	assert_int_equal(json_array_size(json_object_get(machine, "sessions")), 0);
	json_decref(machine);
}

/* ---- images ---- */

static int second_version(struct inventory_tx *tx, void *arg)
{
	struct image_version version = {
		.number = 2, .size_bytes = 8 << 20, .image = "debian", .file = "debian@2.raw", .format = "raw"
	};

	(void)arg;
	return version_insert(tx, &version);
}

static void expect_published(struct fixture *f, unsigned number)
{
	json_t *json = api_get(f, "/api/v1/images/debian");

	assert_int_equal(number_of(json, "published"), number);
	json_decref(json);
}

static void test_publishing(void **state)
{
	struct fixture *f = *state;
	json_t *json;

	assert_int_equal(inventory_do(f, second_version, NULL), 0);
	expect_published(f, 1);
	json = change(f, "POST", "/api/v1/images/debian@2/publish", "{}", 200);
	assert_string_equal(text_of(json, "new_machines_get"), "debian@2");
	assert_int_equal(number_of(json, "machines_on_other_versions"), 2);
	json_decref(json);
	expect_published(f, 2);
	/* Back to the first. */
	json = change(f, "POST", "/api/v1/images/debian@1/publish", "{}", 200);
	assert_string_equal(text_of(json, "new_machines_get"), "debian@1");
	assert_int_equal(number_of(json, "machines_on_other_versions"), 0);
	json_decref(json);
	expect_published(f, 1);
	json_decref(change(f, "POST", "/api/v1/images/debian@2/default", "{}", 400));
	json_decref(change(f, "POST", "/api/v1/images/debian/default", "{}", 200));
	expect_events(f, "image-published: debian@2 is published; new machines get debian@2; 2 machines stay on other "
			 "versions by ctl;"
			 "image-published: debian@1 is published; new machines get debian@1; 0 machines stay on other "
			 "versions by ctl;"
			 "image-default: new machines get debian by ctl;");
}

static void test_removing_images(void **state)
{
	struct fixture *f = *state;
	json_t *json;

	assert_int_equal(inventory_do(f, second_version, NULL), 0);
	/* All or nothing: machines are made from the first. */
	json_decref(change(f, "DELETE", "/api/v1/images/debian", "{}", 409));
	assert_string_equal(fake_boot.last_call, "");
	json = change(f, "DELETE", "/api/v1/images/debian@2", "{}", 200);
	assert_int_equal(number_of(json, "versions"), 1);
	assert_string_equal(fake_boot.last_call, "remove version 2 by ctl");
	json_decref(json);
}

static void test_imports(void **state)
{
	struct fixture *f = *state;
	json_t *json;

	assert_int_equal(inventory_do(f, second_version, NULL), 0);
	json_decref(change(f, "POST", "/api/v1/images", "{\"path\": \"/a\", \"name\": \"debian\"}", 202));
	assert_string_equal(fake_boot.last_call, "import /a as debian by ctl");
	fake_import.stage = JOB_DONE;
	fake_import.version_id = 2;
	json = api_get(f, "/api/v1/imports/7");
	assert_string_equal(text_of(json, "version"), "debian@2");
	assert_true(json_is_false(json_object_get(json, "published")));
	json_decref(json);
	fake_import.version_id = 1;
	json = api_get(f, "/api/v1/imports/7");
	assert_true(json_is_true(json_object_get(json, "published")));
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_adding, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_who_waits, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_some_are_approved, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_new_names, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_refused_values, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_policy_is_recorded, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_what_a_machine_is, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_publishing, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_removing_images, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_imports, fixture_start_filled, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
