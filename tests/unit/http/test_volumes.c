// SPDX-License-Identifier: GPL-2.0-or-later
/* The API of volumes over the control socket: what it says of them, what it passes on, how it counts them. */
#include "cmocka_all.h"
#include "fixture.h"

#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the fakes say that a golden version of 8 MiB and each volume with an object take. */
enum { GOLDEN_BYTES = 2 << 20, OWN_BYTES = 5 << 20 };

static int add(struct inventory_tx *tx, enum volume_kind kind, const char *name, const char *object, int64_t version_id,
	       unsigned machines, unsigned lun)
{
	struct volume volume = { .kind = kind, .backend = "files", .version_id = version_id, .size_bytes = 1 << 30 };
	int err;

	snprintf(volume.name, sizeof(volume.name), "%s", name);
	snprintf(volume.object, sizeof(volume.object), "%s", object);
	err = volume_insert(tx, &volume);
	for (unsigned machine = 1; machine <= machines && !err; machine++)
		err = attachment_add(tx, machine, lun, volume.id);
	return err;
}

/* #3 to #7; #1 and #2 are the system volumes of the two machines. */
static int fill_volumes(struct inventory_tx *tx, void *arg)
{
	int err = add(tx, VOLUME_DATA, "scratch", "d1", 0, 1, 1);

	(void)arg;
	if (!err)
		err = add(tx, VOLUME_SHARED, "tools", "", 1, 2, 7);
	if (!err)
		err = add(tx, VOLUME_CD, "setup", "", 1, 1, 255);
	if (!err)
		err = add(tx, VOLUME_DATA, "spare", "d2", 0, 0, 0);
	return err ? err : add(tx, VOLUME_DATA, "lost", "missing", 0, 0, 0);
}

static int start_with_volumes(void **state)
{
	int err = fixture_start_filled(state);

	return err ? err : inventory_do(*state, fill_volumes, NULL);
}

static long long number_of(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static json_t *find(const json_t *volumes, const char *label)
{
	json_t *volume;
	size_t i;

	json_array_foreach(json_object_get(volumes, "volumes"), i, volume)
		if (!strcmp(text_of(volume, "label"), label))
			return volume;
	fail_msg("there is no %s", label);
	return NULL;
}

static void test_list(void **state)
{
	json_t *answer = api_get(*state, "/api/v1/volumes");
	json_t *volume = find(answer, "pc-001:0"), *holder;

	assert_int_equal(json_array_size(json_object_get(answer, "volumes")), 7);
	assert_string_equal(text_of(volume, "kind"), "system");
	assert_true(json_is_null(json_object_get(volume, "name")));
	assert_string_equal(text_of(volume, "image"), "debian@1");
	assert_true(json_is_false(json_object_get(volume, "clean"))); /* its machine runs */
	volume = find(answer, "scratch");
	assert_string_equal(text_of(volume, "kind"), "data");
	assert_string_equal(text_of(volume, "name"), "scratch");
	assert_string_equal(text_of(volume, "state"), "ready");
	assert_string_equal(text_of(volume, "quota"), "policy");
	assert_string_equal(text_of(volume, "format"), "qcow2");
	assert_string_equal(text_of(volume, "path"), "/state/children/d1");
	assert_true(json_is_null(json_object_get(volume, "image")));
	assert_true(json_is_false(json_object_get(volume, "read_only")));
	assert_int_equal(number_of(volume, "virtual_bytes"), 2LL << 30);
	assert_int_equal(number_of(volume, "allocated_bytes"), OWN_BYTES);
	assert_int_equal(number_of(volume, "physical_block"), 4096);
	volume = find(answer, "tools");
	assert_true(json_is_true(json_object_get(volume, "read_only")));
	assert_true(json_is_true(json_object_get(volume, "clean")));
	assert_string_equal(text_of(volume, "path"), "/state/images/debian@1.raw");
	assert_int_equal(json_array_size(json_object_get(volume, "machines")), 2);
	holder = json_array_get(json_object_get(volume, "machines"), 1);
	assert_string_equal(text_of(holder, "machine"), "pc-002");
	assert_int_equal(number_of(holder, "machine_id"), 2);
	assert_int_equal(number_of(holder, "lun"), 7);
	assert_int_equal(json_array_size(json_object_get(find(answer, "spare"), "machines")), 0);
	volume = find(answer, "lost");
	assert_string_equal(text_of(volume, "error"), "the file is missing");
	assert_true(json_is_false(json_object_get(volume, "clean")));
	json_decref(answer);
}

static void test_one(void **state)
{
	static const struct {
		const char *path, *label;
	} cases[] = { { "scratch", "scratch" },	 { "SCRATCH", "scratch" },   { "%233", "scratch" },
		      { "pc-001:1", "scratch" }, { "pc-001:0", "pc-001:0" }, { "pc-002%3A7", "tools" },
		      { "%232", "pc-002:0" } };
	static const char *const none[] = {
		"nothing", "%2399", "%23x", "pc-001:9", "nobody:0", "pc-001:256", ":", "%22"
	};
	char path[128];

	for (size_t i = 0; i < array_len(cases); i++) {
		json_t *volume;

		snprintf(path, sizeof(path), "/api/v1/volumes/%s", cases[i].path);
		volume = api_get(*state, path);
		assert_string_equal(text_of(volume, "label"), cases[i].label);
		assert_null(json_object_get(volume, "hint"));
		json_decref(volume);
	}
	for (size_t i = 0; i < array_len(none); i++) {
		snprintf(path, sizeof(path), "/api/v1/volumes/%s", none[i]);
		assert_int_equal(api_change(*state, "GET", path, NULL), 404);
	}
}

static void test_luns_of_a_machine(void **state)
{
	json_t *machine = api_get(*state, "/api/v1/machines/pc-001"), *luns = json_object_get(machine, "luns"), *lun,
	       *list;

	assert_int_equal(json_array_size(luns), 4);
	lun = json_array_get(luns, 0);
	assert_int_equal(number_of(lun, "lun"), 0);
	assert_string_equal(text_of(lun, "kind"), "disk");
	assert_int_equal(number_of(lun, "bytes"), 2LL << 30);
	assert_int_equal(number_of(lun, "block_bytes"), 512);
	assert_int_equal(number_of(lun, "physical_block_bytes"), 4096);
	assert_true(json_is_null(json_object_get(lun, "volume")));
	assert_string_equal(text_of(lun, "volume_kind"), "system");
	assert_int_equal(number_of(lun, "volume_id"), 1);
	assert_true(json_is_false(json_object_get(lun, "read_only")));
	lun = json_array_get(luns, 1);
	assert_int_equal(number_of(lun, "lun"), 1);
	assert_string_equal(text_of(lun, "kind"), "disk");
	assert_string_equal(text_of(lun, "volume"), "scratch");
	assert_int_equal(number_of(lun, "allocated_bytes"), OWN_BYTES);
	lun = json_array_get(luns, 2);
	assert_int_equal(number_of(lun, "lun"), 7);
	assert_string_equal(text_of(lun, "kind"), "disk");
	assert_int_equal(number_of(lun, "bytes"), 8 << 20);
	assert_true(json_is_true(json_object_get(lun, "read_only")));
	lun = json_array_get(luns, 3);
	assert_int_equal(number_of(lun, "lun"), 255);
	assert_string_equal(text_of(lun, "kind"), "cd-rom");
	assert_string_equal(text_of(lun, "volume_kind"), "cd");
	assert_int_equal(number_of(lun, "block_bytes"), 2048);
	json_decref(machine);
	/* In the list of all without a look at the files of data volumes. */
	list = api_get(*state, "/api/v1/machines");
	luns = json_object_get(json_array_get(json_object_get(list, "machines"), 0), "luns");
	assert_int_equal(json_array_size(luns), 4);
	assert_int_equal(number_of(json_array_get(luns, 0), "bytes"), 2LL << 30);
	assert_int_equal(number_of(json_array_get(luns, 1), "bytes"), 1 << 30);
	assert_null(json_object_get(json_array_get(luns, 1), "allocated_bytes"));
	json_decref(list);
}

/* A request that changes something: its status and its answer. */
static json_t *change(void **state, const char *method, const char *path, const char *body, unsigned status)
{
	struct answer answer = ask(*state, VIA_CONTROL, method, path, "", body);
	json_t *json = answer_json(&answer);

	if (answer.status != status)
		fail_msg("%s %s %s: %u instead of %u", method, path, body, answer.status, status);
	assert_non_null(json);
	answer_free(&answer);
	return json;
}

static void test_create(void **state)
{
	static const struct {
		const char *body, *call;
	} cases[] = {
		{ "{\"machine\": \"pc-001\", \"size\": \"20G\"}",
		  "create data - on pc-001 lun=-1 size=21474836480 from - by ctl" },
		{ "{\"machine\": \"pc-001\", \"size\": 1048576, \"lun\": 9, \"name\": \"d\", \"kind\": \"data\"}",
		  "create data d on pc-001 lun=9 size=1048576 from - by ctl" },
		{ "{\"name\": \"t\", \"kind\": \"shared\", \"image\": \"tools@2\", \"lun\": null, \"size\": null}",
		  "create shared t on - lun=-1 size=0 from tools@2 by ctl" },
		{ "{\"machine\": \"pc-001\", \"kind\": \"cd\", \"image\": \"iso\"}",
		  "create cd - on pc-001 lun=-1 size=0 from iso by ctl" },
		/* boot/ says what is wrong with these. */
		{ "{\"machine\": \"pc-001\", \"size\": \"1G\", \"lun\": 256}",
		  "create data - on pc-001 lun=256 size=1073741824 from - by ctl" },
		{ "{\"machine\": \"pc-001\"}", "create data - on pc-001 lun=-1 size=0 from - by ctl" },
	};
	static const char *const bad[] = {
		"{}",
		"[]",
		"{\"machine\": 7, \"size\": \"1G\"}",
		"{\"machine\": \"pc-001\", \"size\": 0}",
		"{\"machine\": \"pc-001\", \"size\": \"0\"}",
		"{\"machine\": \"pc-001\", \"size\": \"big\"}",
		"{\"machine\": \"pc-001\", \"size\": -4096}",
		"{\"machine\": \"pc-001\", \"size\": true}",
		"{\"machine\": \"pc-001\", \"size\": \"1G\", \"lun\": \"1\"}",
		"{\"machine\": \"pc-001\", \"size\": \"1G\", \"lun\": -1}",
		"{\"machine\": \"pc-001\", \"size\": \"1G\", \"lun\": 4294967297}",
		"{\"machine\": \"pc-001\", \"size\": \"1G\", \"kind\": \"system\"}",
		"{\"machine\": \"pc-001\", \"size\": \"1G\", \"kind\": \"who-am-i\"}",
		"{\"machine\": \"pc-001\", \"size\": \"1G\", \"kind\": \"\"}",
		"{\"machine\": \"pc-001\", \"size\": \"1G\", \"name\": [1]}",
	};
	static const struct {
		int err;
		unsigned status;
	} refusals[] = { { -EEXIST, 409 }, { -ENOENT, 404 }, { -EINVAL, 400 }, { -ENOSPC, 507 }, { -EBUSY, 409 } };

	fake_boot.volume_id = 3;
	for (size_t i = 0; i < array_len(cases); i++) {
		json_t *volume = change(state, "POST", "/api/v1/volumes", cases[i].body, 201);

		assert_string_equal(fake_boot.last_call, cases[i].call);
		assert_string_equal(text_of(volume, "label"), "scratch");
		assert_string_equal(text_of(volume, "hint"), "rescan");
		json_decref(volume);
	}
	fake_boot.last_call[0] = '\0';
	for (size_t i = 0; i < array_len(bad); i++) {
		json_decref(change(state, "POST", "/api/v1/volumes", bad[i], 400));
		assert_string_equal(fake_boot.last_call, "");
	}
	for (size_t i = 0; i < array_len(refusals); i++) {
		json_t *error;

		fake_boot.fail = refusals[i].err;
		error = change(state, "POST", "/api/v1/volumes", cases[0].body, refusals[i].status);
		assert_string_equal(text_of(error, "error"), "the fake refuses");
		json_decref(error);
	}
}

static void test_changes(void **state)
{
	static const struct {
		const char *method, *path, *body, *call, *hint;
	} cases[] = {
		{ "POST", "/api/v1/volumes/spare/attach", "{\"machine\": \"pc-002\", \"lun\": 3}",
		  "attach spare to pc-002 lun=3 by ctl", "rescan" },
		{ "POST", "/api/v1/volumes/%236/attach", "{\"machine\": \"pc-002\"}",
		  "attach #6 to pc-002 lun=-1 by ctl", "rescan" },
		{ "POST", "/api/v1/volumes/tools/detach", "{\"machine\": \"pc-002\", \"force\": true}",
		  "detach tools from pc-002 by force by ctl", "" },
		{ "POST", "/api/v1/volumes/scratch/detach", NULL, "detach scratch from - by ctl", "" },
		{ "POST", "/api/v1/volumes/pc-001:7/detach", "", "detach pc-001:7 from pc-001 by ctl", "" },
		{ "POST", "/api/v1/volumes/52:54:00:00:01:01:7/detach", "",
		  "detach 52:54:00:00:01:01:7 from 52:54:00:00:01:01 by ctl", "" },
		{ "PATCH", "/api/v1/volumes/scratch", "{\"size\": \"40G\", \"note\": \"x\"}",
		  "set-volume scratch note=x by ctl", "grow the file system" },
		{ "PATCH", "/api/v1/volumes/scratch", "{\"physical_block\": 512}",
		  "set-volume scratch physical-block=512 by ctl", "" },
		{ "PATCH", "/api/v1/volumes/scratch", "{\"physical-block\": \"512\"}",
		  "set-volume scratch physical-block=512 by ctl", "" },
		/* The new name is what the next key goes to (the fake has renamed nothing, but there is such a volume). */
		{ "PATCH", "/api/v1/volumes/scratch", "{\"name\": \"spare\", \"note\": \"x\"}",
		  "set-volume spare note=x by ctl", "" },
		{ "PATCH", "/api/v1/volumes/pc-001:1", "{\"name\": \"spare\", \"note\": \"x\"}",
		  "set-volume pc-001:1 note=x by ctl", "" },
	};
	json_t *answer;

	for (size_t i = 0; i < array_len(cases); i++) {
		answer = change(state, cases[i].method, cases[i].path, cases[i].body, 200);
		assert_string_equal(fake_boot.last_call, cases[i].call);
		assert_string_equal(text_of(answer, "hint"), cases[i].hint);
		assert_true(text_of(answer, "label")[0] != '\0');
		json_decref(answer);
	}
	answer = change(state, "DELETE", "/api/v1/volumes/spare", NULL, 200);
	assert_string_equal(fake_boot.last_call, "remove-volume spare by ctl");
	assert_string_equal(text_of(answer, "removed"), "spare");
	json_decref(answer);
	json_decref(change(state, "POST", "/api/v1/volumes/spare/attach", "{}", 400));
	json_decref(change(state, "POST", "/api/v1/volumes/spare/attach", "{\"machine\": \"pc-001\", \"lun\": \"x\"}",
			   400));
	json_decref(change(state, "POST", "/api/v1/volumes/nothing/detach", "{}", 404));
	json_decref(change(state, "POST", "/api/v1/volumes/spare/detach", "{\"machine\": 1}", 400));
	json_decref(change(state, "PATCH", "/api/v1/volumes/spare", "{}", 400));
	json_decref(change(state, "PATCH", "/api/v1/volumes/spare", "{\"note\": []}", 400));
	json_decref(change(state, "PUT", "/api/v1/volumes/spare", "{}", 405));
	fake_boot.fail = -EBUSY;
	json_decref(change(state, "DELETE", "/api/v1/volumes/spare", NULL, 409));
	json_decref(change(state, "POST", "/api/v1/volumes/scratch/detach", "{}", 409));
	json_decref(change(state, "POST", "/api/v1/volumes/scratch/attach", "{\"machine\": \"pc-002\"}", 409));
	json_decref(change(state, "PATCH", "/api/v1/volumes/scratch", "{\"size\": \"40G\"}", 409));
}

/* The golden image is read by two system volumes, two machines with the shared volume, and one with the CD. */
static void test_status_counts_by_kind(void **state)
{
	json_t *status = api_get(*state, "/api/v1/status"), *volumes = json_object_get(status, "volumes"),
	       *sharing = json_object_get(status, "sharing");
	const long long own = 2 * OWN_BYTES + 2 * OWN_BYTES, stored = GOLDEN_BYTES + own, full = 5 * GOLDEN_BYTES + own;

	assert_int_equal(number_of(json_object_get(volumes, "system"), "count"), 2);
	assert_int_equal(number_of(json_object_get(volumes, "system"), "bytes"), 2 * OWN_BYTES);
	assert_int_equal(number_of(json_object_get(volumes, "data"), "count"), 3);
	assert_int_equal(number_of(json_object_get(volumes, "data"), "bytes"), 2 * OWN_BYTES); /* one is lost */
	assert_int_equal(number_of(json_object_get(volumes, "shared"), "count"), 1);
	assert_int_equal(number_of(json_object_get(volumes, "shared"), "bytes"), 0);
	assert_int_equal(number_of(json_object_get(volumes, "cd"), "count"), 1);
	assert_null(json_object_get(volumes, "who-am-i"));
	assert_int_equal(number_of(sharing, "stored_bytes"), stored);
	assert_int_equal(number_of(sharing, "full_copies_bytes"), full);
	assert_int_equal(number_of(sharing, "saved_bytes"), 4 * GOLDEN_BYTES);
	assert_int_equal(number_of(sharing, "saved_percent"), 100 * (full - stored) / full);
	json_decref(status);
}

static void test_metrics_count_by_kind(void **state)
{
	static const char *const lines[] = { "sanbootd_volumes{kind=\"system\"} 2\n",
					     "sanbootd_volumes{kind=\"data\"} 3\n",
					     "sanbootd_volumes{kind=\"cd\"} 1\n",
					     "sanbootd_volume_bytes{kind=\"data\"} 10485760\n",
					     "sanbootd_volume_bytes{kind=\"shared\"} 0\n",
					     "sanbootd_saved_bytes 8388608\n",
					     "sanbootd_image_versions 1\n" };
	struct answer answer = ask(*state, VIA_TCP, "GET", "/metrics", "", NULL);

	assert_int_equal(answer.status, 200);
	for (size_t i = 0; i < array_len(lines); i++)
		if (!strstr(answer.body, lines[i]))
			fail_msg("no %s in %s", lines[i], answer.body);
	assert_null(strstr(answer.body, "scratch"));
	answer_free(&answer);
}

static int drop_machines(struct inventory_tx *tx, void *arg)
{
	int err = machine_delete(tx, 1);

	(void)arg;
	return err ? err : machine_delete(tx, 2);
}

/* An image on which only volumes stand does not go either; with no machine, nothing is saved. */
static void test_volumes_without_machines(void **state)
{
	json_t *answer;

	assert_int_equal(inventory_do(*state, drop_machines, NULL), 0);
	answer = change(state, "DELETE", "/api/v1/images/debian", NULL, 409);
	assert_string_equal(text_of(answer, "error"), "2 volumes stand on debian@1");
	assert_string_equal(fake_boot.last_call, "");
	json_decref(answer);
	answer = api_get(*state, "/api/v1/status");
	assert_int_equal(number_of(json_object_get(answer, "sharing"), "saved_bytes"), 0);
	json_decref(answer);
	answer = api_get(*state, "/api/v1/images/debian@1");
	assert_int_equal(number_of(json_array_get(json_object_get(answer, "versions"), 0), "volumes"), 2);
	json_decref(answer);
}

static int give_templates(struct inventory_tx *tx, void *arg)
{
	struct machine_group lab = { .name = "room", .templates = "windows" };
	struct machine m;
	int err = machine_by_id(tx, 1, &m);

	(void)arg;
	snprintf(m.templates, sizeof(m.templates), "cloud-init");
	if (!err)
		err = machine_update(tx, &m);
	if (!err)
		err = group_insert(tx, &lab);
	if (!err)
		err = machine_by_id(tx, 2, &m);
	m.group_id = lab.id;
	return err ? err : machine_update(tx, &m);
}

/* What a machine's templates are and where they come from; its volume, which goes by the machine and its LUN. */
static void test_who_am_i(void **state)
{
	static const struct {
		const char *path, *templates, *own, *kind;
		int block;
	} cases[] = {
		{ "/api/v1/machines/pc-001", "cloud-init", "cloud-init", "disk", 512 },
		{ "/api/v1/machines/pc-002", "windows", "", "cd-rom", 2048 },
	};
	json_t *answer = api_get(*state, "/api/v1/machines/pc-001"), *lun;

	assert_string_equal(text_of(answer, "templates"), "none");
	json_decref(answer);
	assert_int_equal(inventory_do(*state, give_templates, NULL), 0);
	for (size_t i = 0; i < array_len(cases); i++) {
		answer = api_get(*state, cases[i].path);
		assert_string_equal(text_of(answer, "templates"), cases[i].templates);
		assert_string_equal(text_of(answer, "templates_own"), cases[i].own);
		lun = json_array_get(json_object_get(answer, "luns"),
				     json_array_size(json_object_get(answer, "luns")) - 1);
		if (!strcmp(text_of(lun, "volume_kind"), "cd")) /* LUN 255 of pc-001 */
			lun = json_array_get(json_object_get(answer, "luns"), 3);
		assert_int_equal(number_of(lun, "lun"), 254);
		assert_string_equal(text_of(lun, "volume_kind"), "who-am-i");
		assert_string_equal(text_of(lun, "kind"), cases[i].kind);
		assert_int_equal(number_of(lun, "block_bytes"), cases[i].block);
		assert_true(json_is_true(json_object_get(lun, "read_only")));
		json_decref(answer);
	}
	answer = api_get(*state, "/api/v1/volumes/pc-002:254");
	assert_string_equal(text_of(answer, "label"), "pc-002:254");
	assert_string_equal(text_of(answer, "kind"), "who-am-i");
	assert_true(json_is_true(json_object_get(answer, "read_only")));
	assert_true(json_is_true(json_object_get(answer, "clean"))); /* its machine runs, and does not write to it */
	json_decref(answer);
	answer = api_get(*state, "/api/v1/groups/room");
	assert_string_equal(text_of(answer, "templates"), "windows");
	json_decref(answer);
}

static void test_without_a_login_there_is_nothing(void **state)
{
	static const char *const methods[] = { "GET", "PATCH", "DELETE" };
	struct answer answer;

	for (size_t i = 0; i < array_len(methods); i++) {
		answer = ask(*state, VIA_TCP, methods[i], "/api/v1/volumes/scratch", "X-Sanbootd: 1\r\n", NULL);
		assert_int_equal(answer.status, 401);
		answer_free(&answer);
	}
	answer = ask(*state, VIA_TCP, "POST", "/api/v1/volumes", "X-Sanbootd: 1\r\n", "{}");
	assert_int_equal(answer.status, 401);
	answer_free(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_list, start_with_volumes, fixture_stop),
		cmocka_unit_test_setup_teardown(test_one, start_with_volumes, fixture_stop),
		cmocka_unit_test_setup_teardown(test_luns_of_a_machine, start_with_volumes, fixture_stop),
		cmocka_unit_test_setup_teardown(test_create, start_with_volumes, fixture_stop),
		cmocka_unit_test_setup_teardown(test_changes, start_with_volumes, fixture_stop),
		cmocka_unit_test_setup_teardown(test_status_counts_by_kind, start_with_volumes, fixture_stop),
		cmocka_unit_test_setup_teardown(test_metrics_count_by_kind, start_with_volumes, fixture_stop),
		cmocka_unit_test_setup_teardown(test_volumes_without_machines, start_with_volumes, fixture_stop),
		cmocka_unit_test_setup_teardown(test_who_am_i, start_with_volumes, fixture_stop),
		cmocka_unit_test_setup_teardown(test_without_a_login_there_is_nothing, start_with_volumes,
						fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
