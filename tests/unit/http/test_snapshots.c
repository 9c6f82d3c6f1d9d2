// SPDX-License-Identifier: GPL-2.0-or-later
/* The API of snapshots over the control socket: what it says of them, what it passes on, how it counts them. */
#include "cmocka_all.h"
#include "fixture.h"

#include "inventory/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the fakes say that each volume with an object takes. */
enum { OWN_BYTES = 5 << 20 };

static int add(struct inventory_tx *tx, struct volume *volume, const char *label, const char *object, bool automatic)
{
	struct snapshot snapshot = {
		.volume_id = volume->id, .parent_id = volume->snapshot_id, .size_bytes = 8 << 20, .automatic = automatic
	};
	int err;

	snprintf(snapshot.label, sizeof(snapshot.label), "%s", label);
	snprintf(snapshot.object, sizeof(snapshot.object), "%s", object);
	err = snapshot_insert(tx, &snapshot);
	volume->snapshot_id = snapshot.id;
	return err ? err : volume_update(tx, volume);
}

/* Of pc-001's disk: one, then before-one, which is lost, then gone, which is removed and stays; the disk stands on it.
 */
static int fill(struct inventory_tx *tx, void *arg)
{
	struct volume volume;
	struct snapshot gone;
	bool stays;
	int err = volume_find(tx, "pc-001:0", &volume);

	(void)arg;
	if (!err)
		err = add(tx, &volume, "one", "l1", false);
	if (!err)
		err = add(tx, &volume, "before-one", "missing", true);
	if (!err)
		err = add(tx, &volume, "gone", "l3", false);
	if (!err)
		err = snapshot_find(tx, volume.id, "gone", &gone);
	return err ? err : snapshot_remove(tx, gone.id, &stays);
}

static int start(void **state)
{
	int err = fixture_start_filled(state);

	return err ? err : inventory_do(*state, fill, NULL);
}

static void check_list(const json_t *list)
{
	const json_t *one = json_array_get(list, 0), *lost = json_array_get(list, 1), *gone = json_array_get(list, 2);

	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(text_of(one, "label"), "one");
	assert_int_equal(json_integer_value(json_object_get(one, "size_bytes")), 8 << 20);
	assert_int_equal(json_integer_value(json_object_get(one, "allocated_bytes")), OWN_BYTES);
	assert_true(json_integer_value(json_object_get(one, "created_ms")) > 0);
	assert_true(json_is_false(json_object_get(one, "automatic")) && json_is_false(json_object_get(one, "removed")));
	assert_true(json_is_false(json_object_get(one, "current")));
	assert_null(json_object_get(one, "error"));
	assert_true(json_is_true(json_object_get(lost, "automatic")));
	assert_string_equal(text_of(lost, "error"), "the file is missing");
	assert_true(json_is_true(json_object_get(gone, "removed")) && json_is_true(json_object_get(gone, "current")));
}

static void test_list(void **state)
{
	static const char *const paths[] = { "/api/v1/machines/pc-001/snapshots", "/api/v1/volumes/pc-001:0/snapshots",
					     "/api/v1/machines/pc-001", "/api/v1/volumes/pc-001:0" };
	json_t *answer;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		answer = api_get(*state, paths[i]);
		check_list(json_object_get(answer, "snapshots"));
		json_decref(answer);
	}
	answer = api_get(*state, "/api/v1/machines/pc-002/snapshots");
	assert_int_equal(json_array_size(json_object_get(answer, "snapshots")), 0);
	json_decref(answer);
	assert_int_equal(api_change(*state, "GET", "/api/v1/machines/nobody/snapshots", NULL), 404);
	assert_int_equal(api_change(*state, "GET", "/api/v1/volumes/nothing/snapshots", NULL), 404);
}

static void test_counted(void **state)
{
	json_t *status = api_get(*state, "/api/v1/status"), *snapshots = json_object_get(status, "snapshots");

	assert_int_equal(json_integer_value(json_object_get(snapshots, "count")), 3);
	assert_int_equal(json_integer_value(json_object_get(snapshots, "bytes")), 2 * OWN_BYTES); /* one is lost */
	json_decref(status);
}

static void passes(struct fixture *f, const char *method, const char *path, const char *body, unsigned want,
		   const char *call)
{
	fake_boot.last_call[0] = '\0';
	assert_int_equal(api_change(f, method, path, body), want);
	assert_string_equal(fake_boot.last_call, call);
}

static void test_change(void **state)
{
	static const char label[] = "{\"label\": \"two\"}";

	passes(*state, "POST", "/api/v1/machines/pc-001/snapshots", label, 201, "snapshot pc-001:0 two by ctl");
	passes(*state, "POST", "/api/v1/volumes/data/snapshots", label, 201, "snapshot data two by ctl");
	passes(*state, "POST", "/api/v1/machines/pc-001/restore", label, 200, "restore pc-001:0 two by ctl");
	passes(*state, "POST", "/api/v1/volumes/data/restore", label, 200, "restore data two by ctl");
	passes(*state, "DELETE", "/api/v1/machines/pc-001/snapshots/two", NULL, 200,
	       "remove-snapshot pc-001:0 two by ctl");
	passes(*state, "DELETE", "/api/v1/volumes/data/snapshots/two", NULL, 200, "remove-snapshot data two by ctl");
	fake_boot.volume_id = 1;
	passes(*state, "POST", "/api/v1/volumes/data/copy", "{\"name\": \"copy\"}", 201, "copy data copy by ctl");
	/* Without what it needs nothing is asked. */
	passes(*state, "POST", "/api/v1/machines/pc-001/snapshots", "{}", 400, "");
	passes(*state, "POST", "/api/v1/volumes/data/restore", "{\"label\": 1}", 400, "");
	passes(*state, "POST", "/api/v1/volumes/data/copy", "{}", 400, "");
	fake_boot.fail = -EBUSY;
	passes(*state, "POST", "/api/v1/machines/pc-001/snapshots", label, 409, "snapshot pc-001:0 two by ctl");
	fake_boot.fail = -EEXIST;
	passes(*state, "POST", "/api/v1/volumes/data/copy", "{\"name\": \"copy\"}", 409, "copy data copy by ctl");
	fake_boot.fail = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_list, start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_counted, start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_change, start, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
