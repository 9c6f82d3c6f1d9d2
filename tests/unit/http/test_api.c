// SPDX-License-Identifier: GPL-2.0-or-later
/* The API over the control socket: what it says, what it passes on, how it refuses. */
#include "cmocka_all.h"
#include "fixture.h"

#include "base/util.h"
#include "inventory/trash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_status(void **state)
{
	json_t *status = api_get(*state, "/api/v1/status");
	json_t *machines = json_object_get(status, "machines"), *leases, *dhcp = json_object_get(status, "dhcp"), *shim;

	assert_string_equal(text_of(status, "version"), "test");
	assert_int_equal(json_integer_value(json_object_get(machines, "total")), 2);
	assert_int_equal(json_integer_value(json_object_get(machines, "running")), 1);
	assert_int_equal(json_integer_value(json_object_get(status, "waiting")), 3);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(status, "images"), "names")), 1);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(status, "images"), "versions")), 1);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(status, "space"), "free_bytes")),
			 60LL << 30);
	assert_string_equal(text_of(json_object_get(status, "images"), "default"), "debian");
	assert_string_equal(text_of(dhcp, "mode"), "full");
	assert_string_equal(text_of(dhcp, "state"), "up");
	assert_string_equal(text_of(dhcp, "message"), "it said \"so\"");
	assert_int_equal(json_integer_value(json_object_get(dhcp, "pid")), 7);
	assert_int_equal(json_integer_value(json_object_get(dhcp, "restarts")), 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(dhcp, "interfaces"), 0)), "br0");
	assert_true(json_is_true(json_object_get(dhcp, "tftp")));
	assert_string_equal(text_of(json_array_get(json_object_get(dhcp, "boot_files"), 0), "machines"), "BIOS");
	assert_string_equal(text_of(json_array_get(json_object_get(dhcp, "boot_files"), 0), "file"), "undionly.kpxe");
	assert_true(json_is_null(json_object_get(json_array_get(json_object_get(dhcp, "boot_files"), 0), "set")));
	assert_string_equal(text_of(json_array_get(json_object_get(dhcp, "boot_files"), 1), "set"), "old");
	assert_true(
		json_is_null(json_object_get(json_array_get(json_object_get(dhcp, "boot_files"), 0), "secure_boot")));
	assert_int_equal(json_array_size(json_object_get(dhcp, "boot_files")), 3);
	shim = json_array_get(json_object_get(dhcp, "boot_files"), 2);
	assert_string_equal(text_of(shim, "file"), "arm64-sb/snponly-shim.efi");
	assert_string_equal(text_of(shim, "starts"), "arm64-sb/snponly.efi");
	assert_string_equal(text_of(shim, "secure_boot"), "may be on where the firmware trusts Microsoft UEFI CA 2023");
	assert_string_equal(text_of(json_array_get(json_object_get(dhcp, "missing_boot_files"), 1), "file"),
			    "snponly.efi");
	assert_string_equal(text_of(json_array_get(json_object_get(dhcp, "missing_boot_files"), 1), "source"),
			    "apt install ipxe");
	leases = json_object_get(dhcp, "leases");
	assert_int_equal(json_array_size(leases), 3);
	assert_string_equal(text_of(json_array_get(leases, 1), "address"), "10.0.0.8");
	assert_string_equal(text_of(json_array_get(leases, 1), "name"), "pc-001");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(leases, 1), "expires_ms")), 9000);
	assert_string_equal(text_of(json_array_get(leases, 0), "machine"), "pc-001");
	assert_true(json_is_null(json_object_get(json_array_get(leases, 2), "machine"))); /* nobody that we know */
	json_decref(status);
}

static void test_machines(void **state)
{
	json_t *answer = api_get(*state, "/api/v1/machines");
	json_t *list = json_object_get(answer, "machines"), *first = json_array_get(list, 0);

	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(text_of(first, "name"), "pc-001");
	assert_string_equal(text_of(first, "state"), "running");
	assert_string_equal(text_of(first, "image"), "debian@1");
	assert_string_equal(json_string_value(json_array_get(json_object_get(first, "macs"), 0)), "52:54:00:00:01:01");
	assert_string_equal(json_string_value(json_array_get(json_object_get(first, "portals"), 0)), "127.0.0.1:3260");
	assert_string_equal(text_of(json_object_get(first, "disk"), "path"), "/state/children/child1");
	assert_true(json_is_false(json_object_get(json_object_get(first, "disk"), "clean"))); /* it runs */
	assert_true(json_is_true(json_object_get(json_object_get(json_array_get(list, 1), "disk"), "clean")));
	assert_null(strstr(json_string_value(json_object_get(first, "iqn")), "secret"));
	assert_string_equal(text_of(json_object_get(first, "lease"), "address"),
			    "10.0.0.8"); /* the one that ends later */
	assert_int_equal(json_integer_value(json_object_get(json_object_get(first, "lease"), "expires_ms")), 9000);
	assert_true(json_is_null(json_object_get(json_array_get(list, 1), "lease")));
	json_decref(answer);
}

static int put_stages(struct inventory_tx *tx, void *arg)
{
	struct stage_record record = {
		.machine_id = 1, .number = 1, .stage = STAGE_DHCP, .at_ms = 1000, .detail = "10.0.0.7", .why = "because"
	};
	int err = stage_put(tx, &record, false);

	(void)arg;
	record.stage = STAGE_SCRIPT;
	record.at_ms = 3500;
	record.stuck_ms = 63500;
	if (!err)
		err = stage_put(tx, &record, false);
	return err ? err : stage_set_stuck(tx, &record);
}

static int end_boots(struct inventory_tx *tx, void *arg)
{
	int err = machine_boot_begin(tx, 1, 1);

	(void)arg;
	return err ? err : machine_boot_end_all(tx, 1);
}

static void expect_timeline(struct fixture *f, const char *stages, const char *stuck)
{
	json_t *machine = api_get(f, "/api/v1/machines/pc-001"), *stage;
	char all[256] = "";
	size_t i;

	json_array_foreach(json_object_get(machine, "timeline"), i, stage)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s %lld %s;", text_of(stage, "stage"),
			 (long long)json_integer_value(json_object_get(stage, "at_ms")), text_of(stage, "detail"));
	assert_string_equal(all, stages);
	stage = json_object_get(machine, "stuck");
	snprintf(all, sizeof(all), "%s %s %lld %s %s", text_of(stage, "stage"), text_of(stage, "next"),
		 (long long)json_integer_value(json_object_get(stage, "since_ms")), text_of(stage, "why"),
		 text_of(stage, "hint"));
	assert_string_equal(json_is_null(stage) ? "" : all, stuck);
	json_decref(machine);
}

static unsigned status_of(struct fixture *f, const char *path)
{
	struct answer answer = ask(f, VIA_CONTROL, "GET", path, "", NULL);
	unsigned status = answer.status;

	answer_free(&answer);
	return status;
}

/* What cannot be known is not made up: no machine is "off" because nobody could list the sessions. */
static void test_what_is_not_known(void **state)
{
	static const char *const paths[] = { "/api/v1/machines", "/api/v1/machines/pc-001", "/api/v1/status" };
	struct fixture *f = *state;
	json_t *machine, *disk;

	for (size_t i = 0; i < array_len(paths); i++) {
		fake_boot.sessions_err = -ENOMEM;
		assert_int_equal(status_of(f, paths[i]), 503);
		fake_boot.sessions_err = 0;
		assert_int_equal(status_of(f, paths[i]), 200);
	}
	fake_boot.space_err = -EIO;
	assert_int_equal(status_of(f, "/api/v1/status"), 500);
	fake_boot.child_err = -ENOENT;
	machine = api_get(f, "/api/v1/machines/pc-001");
	disk = json_object_get(machine, "disk");
	assert_string_equal(text_of(disk, "error"), "the file is missing");
	assert_string_equal(text_of(disk, "format"), "qcow2"); /* what its backend would keep there */
	assert_false(json_is_true(json_object_get(disk, "clean")));
	/* It has a LUN, of a size that nobody knows. */
	assert_int_equal(json_array_size(json_object_get(machine, "luns")), 1);
	assert_true(json_is_null(json_object_get(json_array_get(json_object_get(machine, "luns"), 0), "bytes")));
	json_decref(machine);
}

static void test_timeline(void **state)
{
	struct fixture *f = *state;
	json_t *machine;

	expect_timeline(f, "", "");
	assert_int_equal(inventory_do(f, put_stages, NULL), 0);
	expect_timeline(f, "dhcp 1000 10.0.0.7;script 3500 10.0.0.7;", "script ipxe-login 3500 because do this");
	machine = api_get(f, "/api/v1/machines/pc-001");
	assert_int_equal(json_array_size(
				 json_object_get(json_array_get(json_object_get(machine, "boots"), 0), "timeline")),
			 2);
	json_decref(machine);
	/* Switched on again, and not so far yet; an older sight is none. */
	fake_boot.arriving = (struct stage_record){ .stage = STAGE_BOOT_FILE, .at_ms = 3000, .detail = "x" };
	expect_timeline(f, "dhcp 1000 10.0.0.7;script 3500 10.0.0.7;", "script ipxe-login 3500 because do this");
	fake_boot.arriving.at_ms = 90000;
	expect_timeline(f, "boot-file 90000 x;", "");
	fake_boot.arriving.stuck_ms = 150000;
	strcpy(fake_boot.arriving.why, "nothing came");
	expect_timeline(f, "boot-file 90000 x;", "boot-file script 90000 nothing came ");
	/* Who runs and only asked for its script was not switched on. */
	fake_boot.arriving.stage = STAGE_WAITED;
	expect_timeline(f, "dhcp 1000 10.0.0.7;script 3500 10.0.0.7;", "script ipxe-login 3500 because do this");
	fake_boot.arriving.at_ms = 0;
	/* What has ended is stuck no more. */
	assert_int_equal(inventory_do(f, end_boots, NULL), 0);
	expect_timeline(f, "dhcp 1000 10.0.0.7;script 3500 10.0.0.7;", "");
}

static void test_one_machine(void **state)
{
	struct fixture *f = *state;
	json_t *machine = api_get(f, "/api/v1/machines/pc-001");
	char *dump = json_dumps(machine, 0);

	assert_int_equal(json_array_size(json_object_get(machine, "boots")), 1);
	assert_int_equal(json_array_size(json_object_get(machine, "events")), 1);
	assert_int_equal(json_array_size(json_object_get(machine, "sessions")), 1);
	assert_int_equal(json_array_size(json_object_get(machine, "luns")), 1);
	assert_string_equal(text_of(json_object_get(machine, "disk"), "format"), "qcow2");
	assert_null(strstr(dump, "topsecret"));
	assert_true(json_is_null(json_object_get(machine, "stuck")));
	free(dump);
	json_decref(machine);
	machine = api_get(f, "/api/v1/machines/52-54-00-00-01-01?secrets=1"); /* by MAC, in any notation */
	dump = json_dumps(machine, 0);
	assert_string_equal(text_of(machine, "name"), "pc-001");
	assert_string_equal(text_of(machine, "user"), "m1");
	assert_non_null(strstr(dump, "topsecret"));
	free(dump);
	json_decref(machine);
	assert_int_equal(api_change(f, "GET", "/api/v1/machines/nobody", NULL), 404);
	assert_int_equal(api_change(f, "GET", "/api/v1/machines/%22%3Cb%3E", NULL), 404);
}

static int put_into_trash(struct inventory_tx *tx, void *arg)
{
	struct machine machine;
	int err = machine_by_name(tx, "pc-002", &machine);

	(void)arg;
	return err ? err : trash_put(tx, machine.id, "web:admin");
}

static void test_trash(void **state)
{
	json_t *answer, *entry;
	long long removed_ms;

	answer = api_get(*state, "/api/v1/trash");
	assert_int_equal(json_array_size(json_object_get(answer, "trash")), 0);
	json_decref(answer);
	assert_int_equal(inventory_do(*state, put_into_trash, NULL), 0);
	answer = api_get(*state, "/api/v1/trash");
	assert_int_equal(json_array_size(json_object_get(answer, "trash")), 1);
	entry = json_array_get(json_object_get(answer, "trash"), 0);
	assert_string_equal(text_of(entry, "name"), "pc-002");
	assert_string_equal(text_of(entry, "removed_by"), "web:admin");
	assert_true(json_array_size(json_object_get(entry, "macs")) > 0);
	removed_ms = json_integer_value(json_object_get(entry, "removed_ms"));
	assert_int_equal(json_integer_value(json_object_get(entry, "expires_ms")), removed_ms + 7 * 86400000LL);
	json_decref(answer);
	/* It is no machine any more, and keeps its image. */
	assert_int_equal(api_change(*state, "GET", "/api/v1/machines/pc-002", NULL), 404);
	answer = api_get(*state, "/api/v1/status");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(answer, "machines"), "total")), 1);
	json_decref(answer);
}

static void test_actions(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *method, *path, *body, *call;
	} cases[] = {
		{ "POST", "/api/v1/machines/approve", "{\"numbers\": [3], \"name\": \"office\", \"image\": \"debian\"}",
		  "approve 3 name=office image=debian group=- by ctl" },
		{ "POST", "/api/v1/machines/approve", "{\"macs\": [\"52:54:00:00:02:01\"]}",
		  "approve 52:54:00:00:02:01 name=- image=- group=- by ctl" },
		{ "POST", "/api/v1/machines/approve", "{\"numbers\": [3], \"group\": \"lab\"}",
		  "approve 3 name=- image=- group=lab by ctl" },
		{ "POST", "/api/v1/machines/deny", "{\"mac\": \"525400000201\"}", "deny 52:54:00:00:02:01 by ctl" },
		{ "DELETE", "/api/v1/waiting/52:54:00:00:02:01", "", "forget 52:54:00:00:02:01 by ctl" },
		{ "POST", "/api/v1/machines/pc-001/release", "", "release pc-001 by ctl" },
		{ "POST", "/api/v1/machines/pc-001/reset", "", "reset pc-001 by ctl" },
		{ "POST", "/api/v1/machines/pc-001/swap", "{\"mac\": \"52:54:00:00:00:99\"}",
		  "swap pc-001 52:54:00:00:00:99 by ctl" },
		{ "POST", "/api/v1/machines/pc-001/macs", "{\"mac\": \"52:54:00:00:00:99\"}",
		  "mac pc-001 add 52:54:00:00:00:99 by ctl" },
		{ "DELETE", "/api/v1/machines/pc-001/macs/52:54:00:00:00:99", "",
		  "mac pc-001 remove 52:54:00:00:00:99 by ctl" },
		{ "PATCH", "/api/v1/machines/pc-001/macs/525400000099", "{\"shared\": true}",
		  "mac pc-001 share 52:54:00:00:00:99 by ctl" },
		{ "PATCH", "/api/v1/machines/pc-001/macs/52:54:00:00:00:99", "{\"shared\": false}",
		  "mac pc-001 unshare 52:54:00:00:00:99 by ctl" },
		{ "POST", "/api/v1/machines/approve", "{\"numbers\": [3], \"shared\": true}",
		  "approve-shared 3 name=- image=- group=- by ctl" },
		{ "PATCH", "/api/v1/machines/pc-001", "{\"note\": \"hello\"}", "set pc-001 note=hello by ctl" },
		{ "DELETE", "/api/v1/machines/pc-002", "", "remove pc-002 by ctl" },
		{ "DELETE", "/api/v1/machines/pc-002", "{\"for_good\": true}", "remove pc-002 for good by ctl" },
		{ "POST", "/api/v1/trash/pc-002/restore", "", "restore pc-002 as  by ctl" },
		{ "POST", "/api/v1/trash/%231/restore", "{\"name\": \"office\"}", "restore #1 as office by ctl" },
		{ "DELETE", "/api/v1/trash/pc-002", "", "delete pc-002 by ctl" },
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(api_change(f, cases[i].method, cases[i].path, cases[i].body), 200);
		assert_string_equal(fake_boot.last_call, cases[i].call);
	}
	fake_boot.fail = -EBUSY;
	assert_int_equal(api_change(f, "POST", "/api/v1/machines/pc-001/reset", ""), 409);
	assert_int_equal(api_change(f, "POST", "/api/v1/machines/approve", "{\"numbers\": [3]}"), 409);
	fake_boot.fail = -ENOSPC;
	assert_int_equal(api_change(f, "POST", "/api/v1/machines/approve", "{\"numbers\": [3]}"), 507);
	fake_boot.fail = 0;
	assert_int_equal(api_change(f, "POST", "/api/v1/machines/approve", "{}"), 400);
	assert_int_equal(api_change(f, "POST", "/api/v1/machines/approve", "{\"numbers\": [1, 2], \"name\": \"x\"}"),
			 400);
	assert_int_equal(api_change(f, "POST", "/api/v1/machines/deny", "{\"mac\": \"no\"}"), 400);
	assert_int_equal(api_change(f, "POST", "/api/v1/machines/deny", "not json"), 400);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/machines/pc-001", "{\"note\": [1]}"), 400);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/machines/pc-001", "{}"), 400);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/machines/pc-001/macs/x", "{\"shared\": true}"), 400);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/machines/pc-001/macs/525400000099", "{\"shared\": 1}"), 400);
}

static int make_group(struct inventory_tx *tx, void *arg)
{
	struct machine_group lab = {
		.name = "lab", .priority = 5, .boot = "menu", .mode = "ephemeral", .quota = "20G", .image = "debian"
	};
	struct volume tools = { .kind = VOLUME_SHARED, .name = "tools", .backend = "files" };
	struct machine machine;
	int err = group_insert(tx, &lab);

	(void)arg;
	if (!err)
		err = machine_by_name(tx, "pc-001", &machine);
	machine.group_id = lab.id;
	machine.mode = MODE_GROUP;
	snprintf(machine.boot_once, sizeof(machine.boot_once), "rescue");
	snprintf(machine.restore_points, sizeof(machine.restore_points), "2");
	tools.version_id = machine.system.version_id;
	if (!err)
		err = volume_insert(tx, &tools);
	if (!err)
		err = group_volume_set(tx, lab.id, &tools.id, 1);
	return err ? err : machine_update(tx, &machine);
}

/* What holds and who says so: "ephemeral group lab". */
static void expect_effective(const json_t *machine, const char *key, const char *text)
{
	const json_t *one = json_object_get(json_object_get(machine, "effective"), key);
	char said[128];

	snprintf(said, sizeof(said), "%s %s %s", text_of(one, "value"), text_of(one, "from"),
		 json_object_get(one, "group") ? text_of(one, "group") : "-");
	assert_string_equal(said, text);
}

static void test_groups(void **state)
{
	struct fixture *f = *state;
	json_t *answer, *group;

	assert_int_equal(inventory_do(f, make_group, NULL), 0);
	answer = api_get(f, "/api/v1/groups");
	group = json_array_get(json_object_get(answer, "groups"), 0);
	assert_string_equal(json_string_value(json_object_get(group, "name")), "lab");
	assert_int_equal(json_integer_value(json_object_get(group, "priority")), 5);
	assert_int_equal(json_integer_value(json_object_get(group, "machines")), 1);
	assert_string_equal(text_of(group, "quota"), "20G");
	assert_true(json_is_null(json_object_get(group, "name_pattern")));
	assert_string_equal(json_string_value(json_array_get(json_object_get(group, "volumes"), 0)), "tools");
	json_decref(answer);
	answer = api_get(f, "/api/v1/machines/pc-001");
	assert_string_equal(json_string_value(json_object_get(answer, "group")), "lab");
	assert_string_equal(json_string_value(json_object_get(answer, "boot")), "menu");
	assert_string_equal(json_string_value(json_object_get(answer, "boot_once")), "rescue");
	assert_true(json_is_null(json_object_get(answer, "boot_own")));
	assert_true(json_is_false(json_object_get(answer, "multipath")));
	assert_string_equal(text_of(answer, "mode"), "ephemeral");
	assert_true(json_is_null(json_object_get(answer, "mode_own")));
	expect_effective(answer, "mode", "ephemeral group lab");
	expect_effective(answer, "quota", "20G group lab");
	expect_effective(answer, "restore-points", "2 machine -");
	expect_effective(answer, "templates", "none default -");
	expect_effective(answer, "image", "debian machine -");
	assert_true(json_is_false(json_object_get(json_array_get(json_object_get(answer, "luns"), 0), "by_group")));
	assert_true(json_is_true(json_object_get(json_array_get(json_object_get(answer, "luns"), 1), "by_group")));
	json_decref(answer);
	answer = api_get(f, "/api/v1/machines/pc-002");
	assert_true(json_is_null(json_object_get(answer, "group")));
	assert_string_equal(json_string_value(json_object_get(answer, "boot")), "disk");
	assert_string_equal(text_of(answer, "mode"), "persistent");
	assert_string_equal(text_of(answer, "mode_own"), "persistent");
	json_decref(answer);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/groups/lab", "{\"priority\": 7}"), 200);
	assert_string_equal(fake_boot.last_call, "group-set lab priority=7 by ctl");
	assert_int_equal(api_change(f, "POST", "/api/v1/groups", "{\"name\": \"lab\", \"boot\": \"local\"}"), 200);
	assert_string_equal(fake_boot.last_call, "group-set lab boot=local by ctl");
	assert_int_equal(api_change(f, "DELETE", "/api/v1/groups/lab", ""), 200);
	assert_string_equal(fake_boot.last_call, "group-remove lab by ctl");
	assert_int_equal(api_change(f, "GET", "/api/v1/groups/nobody", NULL), 404);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/groups/lab", "{}"), 400);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/groups/lab", "{\"note\": [1]}"), 400);
	fake_boot.fail = -EEXIST;
	assert_int_equal(api_change(f, "POST", "/api/v1/groups", "{\"name\": \"lab\"}"), 409);
	fake_boot.fail = 0;
	answer = api_get(f, "/api/v1/status");
	group = json_array_get(json_object_get(answer, "problems"), 0);
	assert_int_equal(json_integer_value(json_object_get(group, "line")), 3);
	assert_int_equal(json_array_size(json_object_get(answer, "entries")), 1);
	assert_int_equal(json_array_size(json_object_get(answer, "templates")), 1);
	group = json_array_get(json_object_get(answer, "warnings"), 0);
	assert_string_equal(json_string_value(group), "/state is on a file system of the kind NFS");
	json_decref(answer);
}

static void test_approve_all_leaves_what_needs_a_decision(void **state)
{
	struct answer answer = ask(*state, VIA_CONTROL, "POST", "/api/v1/machines/approve", "", "{\"all\": true}");
	json_t *json = answer_json(&answer);

	assert_int_equal(answer.status, 200);
	assert_int_equal(json_array_size(json_object_get(json, "approved")), 2); /* not the conflict */
	assert_int_equal(json_array_size(json_object_get(json, "failed")), 0);
	json_decref(json);
	answer_free(&answer);
}

static void test_images(void **state)
{
	struct fixture *f = *state;
	json_t *answer = api_get(f, "/api/v1/images");
	json_t *image = json_array_get(json_object_get(answer, "images"), 0);
	json_t *version = json_array_get(json_object_get(image, "versions"), 0);

	assert_string_equal(text_of(image, "name"), "debian");
	assert_true(json_is_true(json_object_get(image, "default")));
	assert_string_equal(text_of(version, "name"), "debian@1");
	assert_int_equal(json_integer_value(json_object_get(version, "machines")), 2);
	assert_int_equal(json_integer_value(json_object_get(version, "allocated_bytes")), 2 << 20);
	assert_int_equal(json_integer_value(json_object_get(version, "boots_learnt")), 3);
	assert_int_equal(json_integer_value(json_object_get(version, "boot_bytes")), 1 << 20);
	json_decref(answer);
	assert_int_equal(api_change(f, "GET", "/api/v1/images/debian@1", NULL), 200);
	assert_int_equal(api_change(f, "GET", "/api/v1/images/debian@9", NULL), 404);
	assert_int_equal(api_change(f, "GET", "/api/v1/images/debian@x", NULL), 400);
	assert_int_equal(api_change(f, "GET", "/api/v1/images/none", NULL), 404);
	assert_int_equal(api_change(f, "POST", "/api/v1/images/debian@1/publish", ""), 200);
	assert_int_equal(api_change(f, "POST", "/api/v1/images/debian/publish", ""), 400);
	assert_int_equal(api_change(f, "POST", "/api/v1/images/debian/default", ""), 200);
	assert_int_equal(api_change(f, "POST", "/api/v1/images/none/default", ""), 404);
	assert_int_equal(api_change(f, "DELETE", "/api/v1/images/debian", ""), 409); /* machines use it */
	assert_string_equal(fake_boot.last_call, "");
}

static void test_imports(void **state)
{
	struct fixture *f = *state;
	json_t *status;

	assert_int_equal(api_change(f, "POST", "/api/v1/images",
				    "{\"path\": \"/srv/a.qcow2\", \"name\": \"a\", \"default\": true}"),
			 202);
	assert_string_equal(fake_boot.last_call, "import /srv/a.qcow2 as a default by ctl");
	status = api_get(f, "/api/v1/imports/7");
	assert_string_equal(text_of(status, "stage"), "converting");
	assert_int_equal(json_integer_value(json_object_get(status, "percent")), 42);
	json_decref(status);
	status = api_get(f, "/api/v1/imports");
	assert_int_equal(json_array_size(json_object_get(status, "imports")), 1);
	json_decref(status);
	assert_int_equal(api_change(f, "DELETE", "/api/v1/imports/7", ""), 200);
	assert_string_equal(fake_boot.last_call, "cancel import 7 by ctl");
	status = api_get(f, "/api/v1/imports/7");
	assert_string_equal(text_of(status, "stage"), "failed");
	assert_true(json_is_true(json_object_get(status, "canceled")));
	json_decref(status);
	assert_int_equal(api_change(f, "DELETE", "/api/v1/imports/8", ""), 404);
	assert_int_equal(api_change(f, "DELETE", "/api/v1/imports/x", ""), 404);
	fake_import.stage = JOB_DONE;
	assert_int_equal(api_change(f, "DELETE", "/api/v1/imports/7", ""), 409);
	fake_import.version_id = 1;
	strcpy(fake_import.warnings, "a\nb");
	status = api_get(f, "/api/v1/imports/7");
	assert_string_equal(text_of(status, "version"), "debian@1");
	assert_int_equal(json_array_size(json_object_get(status, "warnings")), 2);
	json_decref(status);
	assert_int_equal(api_change(f, "GET", "/api/v1/imports/8", NULL), 404);
	assert_int_equal(api_change(f, "GET", "/api/v1/imports/x", NULL), 404);
	assert_int_equal(api_change(f, "POST", "/api/v1/images", "{\"path\": \"relative\", \"name\": \"a\"}"), 400);
	assert_int_equal(api_change(f, "POST", "/api/v1/images", "{\"path\": \"/a\", \"name\": \"../a\"}"), 400);
	assert_int_equal(api_change(f, "POST", "/api/v1/images", "{\"path\": \"/missing\", \"name\": \"a\"}"), 404);
}

static void test_check(void **state)
{
	struct fixture *f = *state;
	json_t *report = api_get(f, "/api/v1/images/debian/check"), *finding;

	assert_string_equal(text_of(report, "image"), "debian@1");
	assert_true(json_is_true(json_object_get(report, "boots")));
	finding = json_array_get(json_object_get(report, "findings"), 0);
	assert_string_equal(text_of(finding, "code"), "machine-id");
	assert_string_equal(text_of(finding, "severity"), "clones-clash");
	assert_true(json_is_true(json_object_get(finding, "sealable")));
	assert_true(json_is_null(json_object_get(json_array_get(json_object_get(report, "parts"), 1), "bytes")));
	json_decref(report);
	report = api_get(f, "/api/v1/file-check?path=/srv/stops%20a.raw");
	assert_string_equal(text_of(report, "image"), "/srv/stops a.raw");
	assert_true(json_is_false(json_object_get(report, "boots")));
	json_decref(report);
	assert_int_equal(api_change(f, "GET", "/api/v1/file-check?path=/srv/missing", NULL), 404);
	assert_int_equal(api_change(f, "GET", "/api/v1/file-check?path=a.raw", NULL), 400);
	assert_int_equal(api_change(f, "GET", "/api/v1/file-check", NULL), 400);
	assert_int_equal(api_change(f, "GET", "/api/v1/images/none/check", NULL), 404);
	assert_int_equal(api_change(f, "GET", "/api/v1/images/debian@x/check", NULL), 400);
	assert_int_equal(api_change(f, "POST", "/api/v1/images/debian@1/seal", ""), 202);
	assert_string_equal(fake_boot.last_call, "seal debian@1 by ctl");
	assert_int_equal(api_change(f, "POST", "/api/v1/images/none/seal", ""), 404);
}

/* What goes by itself, now, and what is said to whoever sets a rule. */
static void test_retention(void **state)
{
	struct fixture *f = *state;
	json_t *plan = api_get(f, "/api/v1/retention"), *items = json_object_get(plan, "items"), *policy;
	struct answer answer;

	assert_int_equal(json_array_size(items), 2);
	assert_int_equal(json_integer_value(json_object_get(plan, "due")), 1);
	assert_int_equal(json_integer_value(json_object_get(plan, "not_before_ms")), 2000);
	assert_string_equal(text_of(json_array_get(items, 0), "name"), "pc-007");
	assert_string_equal(text_of(json_array_get(items, 0), "outcome"), "waits");
	assert_string_equal(text_of(json_array_get(items, 1), "name"), "debian@2");
	assert_true(json_is_null(json_object_get(json_array_get(items, 1), "due_ms")));
	json_decref(plan);
	answer = ask(f, VIA_CONTROL, "POST", "/api/v1/retention", "Content-Length: 0\r\n", NULL);
	assert_int_equal(answer.status, 200);
	assert_string_equal(fake_boot.last_call, "retention for 20 s by ctl");
	plan = answer_json(&answer);
	assert_int_equal(json_integer_value(json_object_get(plan, "gone")), 1);
	assert_true(json_is_false(json_object_get(plan, "unfinished")));
	assert_string_equal(text_of(json_array_get(json_object_get(plan, "items"), 0), "outcome"), "gone");
	json_decref(plan);
	answer_free(&answer);
	answer = ask(f, VIA_CONTROL, "PATCH", "/api/v1/policy", "", "{\"keep-snapshots\": \"30d\"}");
	assert_int_equal(answer.status, 200);
	policy = answer_json(&answer);
	assert_string_equal(text_of(policy, "keep-snapshots"), "30d");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(policy, "retention"), "due")), 1);
	json_decref(policy);
	answer_free(&answer);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/policy", "{\"keep-versions\": 3}"), 200);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/policy", "{\"keep-versions\": \"few\"}"), 400);
	fake_boot.fail = -EIO;
	assert_int_equal(api_change(f, "GET", "/api/v1/retention", NULL), 500);
	assert_int_equal(api_change(f, "POST", "/api/v1/retention", ""), 500);
	/* The rule is set all the same. */
	assert_int_equal(api_change(f, "PATCH", "/api/v1/policy", "{\"trash\": \"1d\"}"), 200);
	fake_boot.fail = 0;
}

static void test_policy(void **state)
{
	struct fixture *f = *state;
	json_t *policy = api_get(f, "/api/v1/policy");

	assert_string_equal(text_of(policy, "enrol"), "auto");
	assert_int_equal(json_integer_value(json_object_get(policy, "max-machines")), 256);
	json_decref(policy);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/policy", "{\"enrol\": \"approve\", \"max-machines\": 7}"),
			 200);
	/* All or nothing. */
	assert_int_equal(api_change(f, "PATCH", "/api/v1/policy", "{\"enrol\": \"deny\", \"max-machines\": \"many\"}"),
			 400);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/policy", "{\"nonsense\": \"1\"}"), 400);
	policy = api_get(f, "/api/v1/policy");
	assert_string_equal(text_of(policy, "enrol"), "approve");
	assert_int_equal(json_integer_value(json_object_get(policy, "max-machines")), 7);
	assert_null(json_object_get(policy, "retention"));
	json_decref(policy);
}

static void test_metrics(void **state)
{
	struct fixture *f = *state;
	struct answer answer;
	static const char *const lines[] = { "sanbootd_machines{state=\"running\"} 1\n",
					     "sanbootd_machines{state=\"off\"} 1\n",
					     "sanbootd_sessions 1\n",
					     "sanbootd_waiting{reason=\"conflict\"} 1\n",
					     "sanbootd_images_bytes 1073741824\n",
					     "sanbootd_boot_answers_total{outcome=\"sanboot\"} 1\n",
					     "sanbootd_http_requests_total{code=\"200\"} 1\n",
					     "sanbootd_state_free_bytes 64424509440\n",
					     "sanbootd_http_event_streams 0\n",
					     "sanbootd_readahead_bytes_total 68000000\n",
					     "# TYPE sanbootd_http_requests_total counter\n" };

	answer = ask(f, VIA_TCP, "GET", "/boot?mac=52:54:00:00:00:01", "", NULL);
	answer_free(&answer);
	answer = ask(f, VIA_TCP, "GET", "/metrics", "", NULL);
	assert_int_equal(answer.status, 200);
	for (size_t i = 0; i < array_len(lines); i++)
		if (!strstr(answer.body, lines[i]))
			fail_msg("no %s in %s", lines[i], answer.body);
	assert_null(strstr(answer.body, "pc-001"));
	answer_free(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_status, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_machines, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_one_machine, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_what_is_not_known, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_timeline, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_trash, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_actions, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_groups, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_approve_all_leaves_what_needs_a_decision, fixture_start_filled,
						fixture_stop),
		cmocka_unit_test_setup_teardown(test_images, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_imports, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_check, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_policy, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_retention, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_metrics, fixture_start_filled, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
