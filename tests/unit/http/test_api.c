// SPDX-License-Identifier: GPL-2.0-or-later
/* The API over the control socket: what it says, what it passes on, how it refuses; and the event stream. */
#include "cmocka_all.h"
#include "fixture.h"

#include "base/util.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* An image, two machines (the first one runs), three that wait. */
static int fill(struct inventory_tx *tx, void *arg)
{
	struct image_version version = {
		.number = 1, .state = VERSION_PUBLISHED, .size_bytes = 8 << 20, .created_ms = 1
	};
	struct waiting waiting = { .reason = WAIT_APPROVAL, .first_ms = time_unix_ms(), .seen_ms = time_unix_ms() };
	int err;

	(void)arg;
	strcpy(version.image, "debian");
	strcpy(version.file, "debian@1.raw");
	strcpy(version.format, "raw");
	strcpy(version.warnings, "no UEFI default loader");
	err = version_insert(tx, &version);
	for (int i = 1; i <= 2 && !err; i++) {
		struct machine machine = { .version_id = version.id, .created_ms = 1 };
		struct boot_record boot = { .issued_ms = 5 };
		char mac[PARSE_MAC_TEXT];

		snprintf(machine.name, sizeof(machine.name), "pc-%03d", i);
		snprintf(machine.iqn, sizeof(machine.iqn), "iqn.2026-11.test:sanbootd:m%d", i);
		snprintf(machine.child, sizeof(machine.child), "child%d", i);
		snprintf(mac, sizeof(mac), "52:54:00:00:01:%02x", i);
		err = machine_insert(tx, &machine, mac);
		boot.machine_id = machine.id;
		strcpy(boot.mac, mac);
		strcpy(boot.secret, "topsecrettopsecret");
		if (!err)
			err = boot_issue(tx, &boot);
		if (!err)
			err = event_add(tx, "info", "enrolled", "machine", machine.id, machine.name, "%s enrolled",
					machine.name);
	}
	for (int i = 1; i <= 3 && !err; i++) {
		waiting.reason = i == 3 ? WAIT_CONFLICT : WAIT_APPROVAL;
		waiting.machine_id = i == 3 ? 1 : 0;
		snprintf(waiting.mac, sizeof(waiting.mac), "52:54:00:00:02:%02x", i);
		err = waiting_put(tx, &waiting, 64);
	}
	return err;
}

static int start_filled(void **state)
{
	int err = fixture_start(state);

	if (err)
		return err;
	fake_boot.running = 1;
	return inventory_do(*state, fill, NULL);
}

static json_t *get(struct fixture *f, const char *path)
{
	struct answer answer = ask(f, VIA_CONTROL, "GET", path, "", NULL);
	json_t *json = answer_json(&answer);

	assert_int_equal(answer.status, 200);
	assert_non_null(json);
	answer_free(&answer);
	return json;
}

/* A request that changes something: its status. */
static unsigned change(struct fixture *f, const char *method, const char *path, const char *body)
{
	struct answer answer = ask(f, VIA_CONTROL, method, path, "", body);
	json_t *json = answer_json(&answer);
	unsigned status = answer.status;

	assert_non_null(json);
	if (status >= 400)
		assert_non_null(json_string_value(json_object_get(json, "error")));
	json_decref(json);
	answer_free(&answer);
	return status;
}

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

static void test_status(void **state)
{
	json_t *status = get(*state, "/api/v1/status");
	json_t *machines = json_object_get(status, "machines"), *leases;

	assert_string_equal(text(status, "version"), "test");
	assert_int_equal(json_integer_value(json_object_get(machines, "total")), 2);
	assert_int_equal(json_integer_value(json_object_get(machines, "running")), 1);
	assert_int_equal(json_integer_value(json_object_get(status, "waiting")), 3);
	assert_string_equal(text(json_object_get(status, "images"), "default"), "debian");
	leases = json_object_get(json_object_get(status, "dhcp"), "leases");
	assert_string_equal(text(json_array_get(leases, 0), "machine"), "pc-001");
	assert_true(json_is_null(json_object_get(json_array_get(leases, 2), "machine"))); /* nobody that we know */
	json_decref(status);
}

static void test_machines(void **state)
{
	json_t *answer = get(*state, "/api/v1/machines");
	json_t *list = json_object_get(answer, "machines"), *first = json_array_get(list, 0);

	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(text(first, "name"), "pc-001");
	assert_string_equal(text(first, "state"), "running");
	assert_string_equal(text(first, "image"), "debian@1");
	assert_string_equal(json_string_value(json_array_get(json_object_get(first, "macs"), 0)), "52:54:00:00:01:01");
	assert_string_equal(json_string_value(json_array_get(json_object_get(first, "portals"), 0)), "127.0.0.1:3260");
	assert_string_equal(text(json_object_get(first, "disk"), "path"), "/state/children/child1");
	assert_true(json_is_false(json_object_get(json_object_get(first, "disk"), "clean"))); /* it runs */
	assert_true(json_is_true(json_object_get(json_object_get(json_array_get(list, 1), "disk"), "clean")));
	assert_null(strstr(json_string_value(json_object_get(first, "iqn")), "secret"));
	assert_string_equal(text(json_object_get(first, "lease"), "address"), "10.0.0.8"); /* the one that ends later */
	assert_int_equal(json_integer_value(json_object_get(json_object_get(first, "lease"), "expires_ms")), 9000);
	assert_true(json_is_null(json_object_get(json_array_get(list, 1), "lease")));
	json_decref(answer);
}

static int put_stages(struct inventory_tx *tx, void *arg)
{
	struct boot_stage_record record = {
		.machine_id = 1, .number = 1, .stage = STAGE_DHCP, .at_ms = 1000, .detail = "10.0.0.7", .why = "because"
	};
	int err = boot_stage_put(tx, &record, false);

	(void)arg;
	record.stage = STAGE_SCRIPT;
	record.at_ms = 3500;
	record.stuck_ms = 63500;
	if (!err)
		err = boot_stage_put(tx, &record, false);
	return err ? err : boot_stage_set_stuck(tx, &record);
}

static void expect_timeline(struct fixture *f, const char *stages, const char *stuck)
{
	json_t *machine = get(f, "/api/v1/machines/pc-001"), *stage;
	char all[256] = "";
	size_t i;

	json_array_foreach(json_object_get(machine, "timeline"), i, stage)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s %lld %s;", text(stage, "stage"),
			 (long long)json_integer_value(json_object_get(stage, "at_ms")), text(stage, "detail"));
	assert_string_equal(all, stages);
	stage = json_object_get(machine, "stuck");
	snprintf(all, sizeof(all), "%s %s %lld %s %s", text(stage, "stage"), text(stage, "next"),
		 (long long)json_integer_value(json_object_get(stage, "since_ms")), text(stage, "why"),
		 text(stage, "hint"));
	assert_string_equal(json_is_null(stage) ? "" : all, stuck);
	json_decref(machine);
}

static void test_timeline(void **state)
{
	struct fixture *f = *state;
	json_t *machine;

	expect_timeline(f, "", "");
	assert_int_equal(inventory_do(f, put_stages, NULL), 0);
	expect_timeline(f, "dhcp 1000 10.0.0.7;script 3500 10.0.0.7;", "script ipxe-login 3500 because do this");
	machine = get(f, "/api/v1/machines/pc-001");
	assert_int_equal(json_array_size(json_object_get(json_array_get(json_object_get(machine, "boots"), 0), "timeline")), 2);
	json_decref(machine);
	/* Switched on again, and not so far yet; an older sight is none. */
	fake_boot.arriving = (struct boot_stage_record){ .stage = STAGE_BOOT_FILE, .at_ms = 3000, .detail = "x" };
	expect_timeline(f, "dhcp 1000 10.0.0.7;script 3500 10.0.0.7;", "script ipxe-login 3500 because do this");
	fake_boot.arriving.at_ms = 90000;
	expect_timeline(f, "boot-file 90000 x;", "");
	fake_boot.arriving.stuck_ms = 150000;
	strcpy(fake_boot.arriving.why, "nothing came");
	expect_timeline(f, "boot-file 90000 x;", "boot-file script 90000 nothing came ");
	fake_boot.arriving.at_ms = 0;
}

static void test_one_machine(void **state)
{
	struct fixture *f = *state;
	json_t *machine = get(f, "/api/v1/machines/pc-001");
	char *dump = json_dumps(machine, 0);

	assert_int_equal(json_array_size(json_object_get(machine, "boots")), 1);
	assert_int_equal(json_array_size(json_object_get(machine, "events")), 1);
	assert_int_equal(json_array_size(json_object_get(machine, "sessions")), 1);
	assert_int_equal(json_array_size(json_object_get(machine, "luns")), 1);
	assert_null(strstr(dump, "topsecret"));
	assert_true(json_is_null(json_object_get(machine, "stuck")));
	free(dump);
	json_decref(machine);
	machine = get(f, "/api/v1/machines/52-54-00-00-01-01?secrets=1"); /* by MAC, in any notation */
	dump = json_dumps(machine, 0);
	assert_string_equal(text(machine, "name"), "pc-001");
	assert_string_equal(text(machine, "user"), "m1");
	assert_non_null(strstr(dump, "topsecret"));
	free(dump);
	json_decref(machine);
	assert_int_equal(change(f, "GET", "/api/v1/machines/nobody", NULL), 404);
	assert_int_equal(change(f, "GET", "/api/v1/machines/%22%3Cb%3E", NULL), 404);
}

static void test_actions(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *method, *path, *body, *call;
	} cases[] = {
		{ "POST", "/api/v1/machines/approve", "{\"numbers\": [3], \"name\": \"office\", \"image\": \"debian\"}",
		  "approve 3 name=office image=debian by ctl" },
		{ "POST", "/api/v1/machines/approve", "{\"macs\": [\"52:54:00:00:02:01\"]}",
		  "approve 52:54:00:00:02:01 name=- image=- by ctl" },
		{ "POST", "/api/v1/machines/deny", "{\"mac\": \"525400000201\"}", "deny 52:54:00:00:02:01 by ctl" },
		{ "POST", "/api/v1/machines/pc-001/release", "", "release pc-001 by ctl" },
		{ "POST", "/api/v1/machines/pc-001/reset", "", "reset pc-001 by ctl" },
		{ "POST", "/api/v1/machines/pc-001/swap", "{\"mac\": \"52:54:00:00:00:99\"}",
		  "swap 52:54:00:00:00:99 by ctl" },
		{ "POST", "/api/v1/machines/pc-001/macs", "{\"mac\": \"52:54:00:00:00:99\"}",
		  "mac pc-001 add 52:54:00:00:00:99 by ctl" },
		{ "DELETE", "/api/v1/machines/pc-001/macs/52:54:00:00:00:99", "",
		  "mac pc-001 remove 52:54:00:00:00:99 by ctl" },
		{ "PATCH", "/api/v1/machines/pc-001", "{\"note\": \"hello\"}", "set pc-001 note=hello by ctl" },
		{ "DELETE", "/api/v1/machines/pc-002", "", "remove pc-002 by ctl" },
	};

	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(change(f, cases[i].method, cases[i].path, cases[i].body), 200);
		assert_string_equal(fake_boot.last_call, cases[i].call);
	}
	fake_boot.fail = -EBUSY;
	assert_int_equal(change(f, "POST", "/api/v1/machines/pc-001/reset", ""), 409);
	assert_int_equal(change(f, "POST", "/api/v1/machines/approve", "{\"numbers\": [3]}"), 409);
	fake_boot.fail = -ENOSPC;
	assert_int_equal(change(f, "POST", "/api/v1/machines/approve", "{\"numbers\": [3]}"), 507);
	fake_boot.fail = 0;
	assert_int_equal(change(f, "POST", "/api/v1/machines/approve", "{}"), 400);
	assert_int_equal(change(f, "POST", "/api/v1/machines/approve", "{\"numbers\": [1, 2], \"name\": \"x\"}"), 400);
	assert_int_equal(change(f, "POST", "/api/v1/machines/deny", "{\"mac\": \"no\"}"), 400);
	assert_int_equal(change(f, "POST", "/api/v1/machines/deny", "not json"), 400);
	assert_int_equal(change(f, "PATCH", "/api/v1/machines/pc-001", "{\"note\": [1]}"), 400);
	assert_int_equal(change(f, "PATCH", "/api/v1/machines/pc-001", "{}"), 400);
}

static int make_group(struct inventory_tx *tx, void *arg)
{
	struct machine_group lab = { .name = "lab", .priority = 5, .boot = "menu" };
	struct machine machine;
	int err = group_insert(tx, &lab);

	(void)arg;
	if (!err)
		err = machine_by_name(tx, "pc-001", &machine);
	machine.group_id = lab.id;
	snprintf(machine.boot_once, sizeof(machine.boot_once), "rescue");
	return err ? err : machine_update(tx, &machine);
}

static void test_groups(void **state)
{
	struct fixture *f = *state;
	json_t *answer, *group;

	assert_int_equal(inventory_do(f, make_group, NULL), 0);
	answer = get(f, "/api/v1/groups");
	group = json_array_get(json_object_get(answer, "groups"), 0);
	assert_string_equal(json_string_value(json_object_get(group, "name")), "lab");
	assert_int_equal(json_integer_value(json_object_get(group, "priority")), 5);
	assert_int_equal(json_integer_value(json_object_get(group, "machines")), 1);
	json_decref(answer);
	answer = get(f, "/api/v1/machines/pc-001");
	assert_string_equal(json_string_value(json_object_get(answer, "group")), "lab");
	assert_string_equal(json_string_value(json_object_get(answer, "boot")), "menu");
	assert_string_equal(json_string_value(json_object_get(answer, "boot_once")), "rescue");
	assert_true(json_is_null(json_object_get(answer, "boot_own")));
	assert_true(json_is_false(json_object_get(answer, "multipath")));
	json_decref(answer);
	answer = get(f, "/api/v1/machines/pc-002");
	assert_true(json_is_null(json_object_get(answer, "group")));
	assert_string_equal(json_string_value(json_object_get(answer, "boot")), "disk");
	json_decref(answer);
	assert_int_equal(change(f, "PATCH", "/api/v1/groups/lab", "{\"priority\": 7}"), 200);
	assert_string_equal(fake_boot.last_call, "group-set lab priority=7 by ctl");
	assert_int_equal(change(f, "POST", "/api/v1/groups", "{\"name\": \"lab\", \"boot\": \"local\"}"), 200);
	assert_string_equal(fake_boot.last_call, "group-set lab boot=local by ctl");
	assert_int_equal(change(f, "DELETE", "/api/v1/groups/lab", ""), 200);
	assert_string_equal(fake_boot.last_call, "group-remove lab by ctl");
	assert_int_equal(change(f, "GET", "/api/v1/groups/nobody", NULL), 404);
	assert_int_equal(change(f, "PATCH", "/api/v1/groups/lab", "{}"), 400);
	assert_int_equal(change(f, "PATCH", "/api/v1/groups/lab", "{\"note\": [1]}"), 400);
	fake_boot.fail = -EEXIST;
	assert_int_equal(change(f, "POST", "/api/v1/groups", "{\"name\": \"lab\"}"), 409);
	fake_boot.fail = 0;
	answer = get(f, "/api/v1/status");
	group = json_array_get(json_object_get(answer, "problems"), 0);
	assert_int_equal(json_integer_value(json_object_get(group, "line")), 3);
	assert_int_equal(json_array_size(json_object_get(answer, "entries")), 1);
	assert_int_equal(json_array_size(json_object_get(answer, "templates")), 1);
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
	json_t *answer = get(f, "/api/v1/images");
	json_t *image = json_array_get(json_object_get(answer, "images"), 0);
	json_t *version = json_array_get(json_object_get(image, "versions"), 0);

	assert_string_equal(text(image, "name"), "debian");
	assert_true(json_is_true(json_object_get(image, "default")));
	assert_string_equal(text(version, "name"), "debian@1");
	assert_int_equal(json_integer_value(json_object_get(version, "machines")), 2);
	assert_int_equal(json_integer_value(json_object_get(version, "allocated_bytes")), 2 << 20);
	assert_int_equal(json_integer_value(json_object_get(version, "boots_learnt")), 3);
	assert_int_equal(json_integer_value(json_object_get(version, "boot_bytes")), 1 << 20);
	json_decref(answer);
	assert_int_equal(change(f, "GET", "/api/v1/images/debian@1", NULL), 200);
	assert_int_equal(change(f, "GET", "/api/v1/images/debian@9", NULL), 404);
	assert_int_equal(change(f, "GET", "/api/v1/images/debian@x", NULL), 400);
	assert_int_equal(change(f, "GET", "/api/v1/images/none", NULL), 404);
	assert_int_equal(change(f, "POST", "/api/v1/images/debian@1/publish", ""), 200);
	assert_int_equal(change(f, "POST", "/api/v1/images/debian/publish", ""), 400);
	assert_int_equal(change(f, "POST", "/api/v1/images/debian/default", ""), 200);
	assert_int_equal(change(f, "POST", "/api/v1/images/none/default", ""), 404);
	assert_int_equal(change(f, "DELETE", "/api/v1/images/debian", ""), 409); /* machines use it */
	assert_string_equal(fake_boot.last_call, "");
}

static void test_imports(void **state)
{
	struct fixture *f = *state;
	json_t *status;

	assert_int_equal(
		change(f, "POST", "/api/v1/images", "{\"path\": \"/srv/a.qcow2\", \"name\": \"a\", \"default\": true}"),
		202);
	assert_string_equal(fake_boot.last_call, "import /srv/a.qcow2 as a default by ctl");
	status = get(f, "/api/v1/imports/7");
	assert_string_equal(text(status, "stage"), "converting");
	assert_int_equal(json_integer_value(json_object_get(status, "percent")), 42);
	json_decref(status);
	fake_import.stage = IMPORT_DONE;
	fake_import.version_id = 1;
	strcpy(fake_import.warnings, "a\nb");
	status = get(f, "/api/v1/imports/7");
	assert_string_equal(text(status, "version"), "debian@1");
	assert_int_equal(json_array_size(json_object_get(status, "warnings")), 2);
	json_decref(status);
	assert_int_equal(change(f, "GET", "/api/v1/imports/8", NULL), 404);
	assert_int_equal(change(f, "GET", "/api/v1/imports/x", NULL), 404);
	assert_int_equal(change(f, "POST", "/api/v1/images", "{\"path\": \"relative\", \"name\": \"a\"}"), 400);
	assert_int_equal(change(f, "POST", "/api/v1/images", "{\"path\": \"/a\", \"name\": \"../a\"}"), 400);
	assert_int_equal(change(f, "POST", "/api/v1/images", "{\"path\": \"/missing\", \"name\": \"a\"}"), 404);
}

static void test_policy(void **state)
{
	struct fixture *f = *state;
	json_t *policy = get(f, "/api/v1/policy");

	assert_string_equal(text(policy, "enrol"), "auto");
	assert_int_equal(json_integer_value(json_object_get(policy, "max-machines")), 256);
	json_decref(policy);
	assert_int_equal(change(f, "PATCH", "/api/v1/policy", "{\"enrol\": \"approve\", \"max-machines\": 7}"), 200);
	/* All or nothing. */
	assert_int_equal(change(f, "PATCH", "/api/v1/policy", "{\"enrol\": \"deny\", \"max-machines\": \"many\"}"),
			 400);
	assert_int_equal(change(f, "PATCH", "/api/v1/policy", "{\"nonsense\": \"1\"}"), 400);
	policy = get(f, "/api/v1/policy");
	assert_string_equal(text(policy, "enrol"), "approve");
	assert_int_equal(json_integer_value(json_object_get(policy, "max-machines")), 7);
	json_decref(policy);
}

static void test_events(void **state)
{
	struct fixture *f = *state;
	json_t *all = get(f, "/api/v1/events"), *after, *own;
	json_t *list = json_object_get(all, "events");
	char path[64];

	assert_int_equal(json_array_size(list), 2);
	snprintf(path, sizeof(path), "/api/v1/events?after=%lld",
		 (long long)json_integer_value(json_object_get(json_array_get(list, 0), "id")));
	after = get(f, path);
	assert_int_equal(json_array_size(json_object_get(after, "events")), 1);
	own = get(f, "/api/v1/events?machine=pc-002");
	assert_int_equal(json_array_size(json_object_get(own, "events")), 1);
	assert_int_equal(change(f, "GET", "/api/v1/events?machine=nobody", NULL), 404);
	assert_int_equal(change(f, "GET", "/api/v1/events?after=x", NULL), 400);
	assert_int_equal(change(f, "GET", "/api/v1/events?max=100000", NULL), 400);
	json_decref(all);
	json_decref(after);
	json_decref(own);
}

/* ---- the stream ---- */

struct reader {
	int fd;
	char got[65536];
	size_t len;
};

/* Reads until needle is there. */
static void read_until(struct reader *reader, const char *needle)
{
	uint64_t until = time_monotonic_ms() + 20000;

	while (!strstr(reader->got, needle)) {
		struct pollfd p = { .fd = reader->fd, .events = POLLIN };
		ssize_t n;

		if (time_monotonic_ms() > until || poll(&p, 1, 1000) < 0)
			fail_msg("no '%s' in: %s", needle, reader->got);
		if (!p.revents)
			continue;
		n = recv(reader->fd, reader->got + reader->len, sizeof(reader->got) - reader->len - 1, 0);
		if (n <= 0)
			fail_msg("closed before '%s': %s", needle, reader->got);
		reader->len += (size_t)n;
		reader->got[reader->len] = '\0';
	}
}

/* As HTTP/1.0: no chunks that would cut the text. */
static void open_stream(struct fixture *f, struct reader *reader, const char *query, const char *headers)
{
	char request[256];
	int len = snprintf(request, sizeof(request),
			   "GET /api/v1/events%s HTTP/1.0\r\nAccept: text/event-stream\r\n%s\r\n", query, headers);

	memset(reader, 0, sizeof(*reader));
	reader->fd = connect_to(f, VIA_CONTROL);
	assert_int_equal(send(reader->fd, request, (size_t)len, 0), len);
	read_until(reader, "retry:");
	assert_non_null(strstr(reader->got, "text/event-stream"));
}

static void test_stream(void **state)
{
	struct fixture *f = *state;
	static struct reader live, late;

	open_stream(f, &live, "", "");
	assert_null(strstr(live.got, "pc-001 enrolled")); /* only what comes from now on */
	inventory_event(f->inventory, "info", "test", "server", 0, "thing", "something \"happened\"\nin two lines");
	read_until(&live, "something \\\"happened\\\"\\nin two lines");
	read_until(&live, "event: change");
	open_stream(f, &late, "?after=0", "");
	read_until(&late, "pc-001 enrolled");
	read_until(&late, "pc-002 enrolled");
	read_until(&late, "something");
	close(late.fd);
	open_stream(f, &late, "", "Last-Event-ID: 1\r\n");
	read_until(&late, "pc-002 enrolled");
	assert_null(strstr(late.got, "pc-001 enrolled"));
	close(late.fd);
	close(live.fd);
}

static void test_a_long_backlog_arrives_whole(void **state)
{
	struct fixture *f = *state;
	static struct reader reader;
	unsigned long long count = 0;
	uint64_t until = time_monotonic_ms() + 30000;
	struct reader *r = &reader;

	for (int i = 0; i < 3000; i++)
		inventory_event(f->inventory, "info", "test", "server", 0, "thing",
				"number %d of a long list, with some text to make it longer", i);
	open_stream(f, r, "?after=0", "");
	/* Counts messages as they come; the buffer is used again and again. */
	while (!strstr(r->got, "number 2999 of") && time_monotonic_ms() < until) {
		char *line_end = strrchr(r->got, '\n');
		size_t done = line_end ? (size_t)(line_end - r->got) : 0;
		ssize_t n;

		for (char *at = r->got; (at = strstr(at, "\"kind\":\"test\"")) && at < r->got + done; at++)
			count++;
		memmove(r->got, r->got + done, r->len - done + 1);
		r->len -= done;
		n = recv(r->fd, r->got + r->len, sizeof(r->got) - r->len - 1, 0);
		assert_true(n > 0);
		r->len += (size_t)n;
		r->got[r->len] = '\0';
	}
	for (char *at = r->got; (at = strstr(at, "\"kind\":\"test\"")); at++)
		count++;
	assert_int_equal(count, 3000);
	close(r->fd);
}

static void test_streams_end_with_the_server(void **state)
{
	struct fixture *f = *state;
	struct fixture other = *f;
	struct http_config config = { .inventory = f->inventory, .control_path = other.control };
	static struct reader reader;
	char reason[512] = "";
	uint64_t before;

	snprintf(other.control, sizeof(other.control), "%s/second.sock", f->dir);
	assert_int_equal(http_start(&config, &other.http, reason, sizeof(reason)), 0);
	open_stream(&other, &reader, "", "");
	before = time_monotonic_ms();
	http_stop(other.http);
	assert_true(time_monotonic_ms() - before < 5000);
	while (recv(reader.fd, reader.got, sizeof(reader.got), 0) > 0)
		;
	close(reader.fd);
	assert_int_equal(access(other.control, F_OK), -1);
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
		cmocka_unit_test_setup_teardown(test_status, start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_machines, start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_one_machine, start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_timeline, start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_actions, start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_groups, start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_approve_all_leaves_what_needs_a_decision, start_filled,
						fixture_stop),
		cmocka_unit_test_setup_teardown(test_images, start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_imports, start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_policy, start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_events, start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_stream, start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_a_long_backlog_arrives_whole, start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_streams_end_with_the_server, start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_metrics, start_filled, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
