// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl machine ... */
#include "base/util.h"
#include "ctl/client.h"
#include "ctl/table.h"

#include <stdlib.h>
#include <string.h>

/* ---- lists ---- */

static const char *first_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_array_get(json_object_get(object, key), 0));

	return text ? text : "";
}

/* "debian@1, outdated": a reset would give it another one. "debian@1, gets debian@2": its next boot does. */
static const char *image_text(const json_t *machine, char *out, size_t out_size)
{
	const char *next = get_text(machine, "next_image");

	snprintf(out, out_size, "%s%s%s", get_text(machine, "image"),
		 next[0]					    ? ", gets " :
		 json_is_true(json_object_get(machine, "outdated")) ? ", outdated" :
								      "",
		 next);
	return out;
}

static void print_machines(const json_t *machines)
{
	struct table *table = table_new("NAME", "STATE", "MAC", "ADDRESS", "IMAGE", "DISK", "LAST BOOT", NULL);
	const int64_t now = time_unix_ms();
	json_t *machine;
	size_t i;

	json_array_foreach(machines, i, machine) {
		char bytes[TABLE_TEXT], age[TABLE_TEXT], image[128];

		table_add(table, get_text(machine, "name"));
		table_add(table, get_text(machine, "state"));
		table_add(table, first_text(machine, "macs"));
		table_add(table, get_text(machine, "address"));
		table_add(table, image_text(machine, image, sizeof(image)));
		table_add(table, table_bytes(bytes, get_number(json_object_get(machine, "disk"), "allocated_bytes")));
		table_add(table, table_age(age, get_number(machine, "last_boot_ms"), now));
	}
	table_print(table);
}

/* Why a machine waits, for people. */
static const char *waiting_text(const json_t *waiting, char *out, size_t out_size)
{
	const char *reason = get_text(waiting, "reason"), *machine = get_text(waiting, "machine");

	if (!strcmp(reason, "conflict"))
		snprintf(out, out_size, "conflict: the MAC of %s, but another board", machine);
	else if (!strcmp(reason, "swap"))
		snprintf(out, out_size, "swap: the board of %s, but another network card", machine);
	else
		snprintf(out, out_size, "%s", reason);
	return out;
}

static void print_waiting(const json_t *list)
{
	struct table *table = table_new("NUMBER", "MAC", "ADDRESS", "WAITS FOR", "PRODUCT", "SEEN", NULL);
	const int64_t now = time_unix_ms();
	json_t *waiting;
	size_t i;

	json_array_foreach(list, i, waiting) {
		char age[TABLE_TEXT], text[256];

		table_add_number(table, get_number(waiting, "number"));
		table_add(table, get_text(waiting, "mac"));
		table_add(table, get_text(waiting, "address"));
		table_add(table, waiting_text(waiting, text, sizeof(text)));
		table_add(table, get_text(waiting, "product"));
		table_add(table, table_age(age, get_number(waiting, "seen_ms"), now));
	}
	table_print(table);
}

int run_machine_list(const struct ctl *ctl)
{
	json_t *machines = NULL, *waiting = NULL;
	const json_t *list;
	int code = EXIT_DONE;

	if (!ctl->options[OPTION_WAITING])
		code = client_do(ctl, "GET", "/api/v1/machines", NULL, &machines);
	/* For programs, one list: the waiting ones have an option of their own. */
	if (code == EXIT_DONE && (ctl->options[OPTION_WAITING] || !ctl->json))
		code = client_do(ctl, "GET", "/api/v1/waiting", NULL, &waiting);
	if (code != EXIT_DONE || ctl->json)
		goto out;
	list = json_object_get(machines, "machines");
	if (json_array_size(list))
		print_machines(list);
	else if (machines)
		puts("no machines yet: switch one on that boots from the network");
	list = json_object_get(waiting, "waiting");
	if (json_array_size(list)) {
		if (machines)
			putchar('\n');
		print_waiting(list);
		puts("\nlet one in with: sanbootctl machine approve NUMBER");
	} else if (!machines) {
		puts("nobody waits");
	}
out:
	json_decref(machines);
	json_decref(waiting);
	return code;
}

/* ---- one machine ---- */

static void print_disk(const json_t *machine)
{
	const json_t *disk = json_object_get(machine, "disk");
	char size[TABLE_TEXT], cost[TABLE_TEXT];

	print_field("disk", "%s of %s, %s", table_bytes(cost, get_number(disk, "allocated_bytes")),
		    table_bytes(size, get_number(disk, "virtual_bytes")),
		    json_is_true(json_object_get(disk, "clean")) ? "closed" : "in use, or not closed cleanly");
	print_field("", "%s", get_text(disk, "path"));
	if (get_number(disk, "depth"))
		print_field("", "%lld files lie one over the other, of 8 at most",
			    (long long)get_number(disk, "depth"));
	if (get_text(disk, "error")[0])
		print_field("", "%s", get_text(disk, "error"));
}

/* What it has besides the disk that it boots from. */
static void print_volumes(const json_t *machine)
{
	const char *name = "volumes";
	json_t *lun;
	size_t i;

	json_array_foreach(json_object_get(machine, "luns"), i, lun) {
		char size[TABLE_TEXT], used[TABLE_TEXT];
		const bool own = json_is_integer(json_object_get(lun, "allocated_bytes"));

		if (!get_number(lun, "lun"))
			continue;
		print_field(name, "LUN %lld %s: %s, %s%s%s%s", (long long)get_number(lun, "lun"),
			    get_text(lun, "volume"), get_text(lun, "volume_kind"),
			    table_bytes(size, get_number(lun, "bytes")), own ? ", " : "",
			    own ? table_bytes(used, get_number(lun, "allocated_bytes")) :
			    json_is_true(json_object_get(lun, "by_group")) ? ", read-only, of its group" :
									     ", read-only",
			    own ? " used" : "");
		if (!strcmp(get_text(lun, "state"), "failed"))
			print_field("", "failed: see sanbootctl volume show %s", get_text(lun, "volume"));
		name = "";
	}
}

static void print_snapshots(const json_t *machine)
{
	const char *name = "snapshots";
	json_t *snapshot;
	size_t i;

	json_array_foreach(json_object_get(machine, "snapshots"), i, snapshot) {
		char taken[TABLE_TEXT], used[TABLE_TEXT];

		if (json_is_true(json_object_get(snapshot, "removed")))
			continue;
		print_field(name, "%s, %s, %s used", get_text(snapshot, "label"),
			    table_time(taken, get_number(snapshot, "created_ms")),
			    table_bytes(used, get_number(snapshot, "allocated_bytes")));
		name = "";
	}
}

static void print_list(const char *name, const json_t *list)
{
	json_t *value;
	size_t i;

	json_array_foreach(list, i, value)
		print_field(i ? "" : name, "%s", json_string_value(value) ? json_string_value(value) : "");
}

static void print_sessions(const json_t *machine)
{
	json_t *session;
	size_t i;

	json_array_foreach(json_object_get(machine, "sessions"), i, session) {
		char read[TABLE_TEXT], written[TABLE_TEXT], since[TABLE_TEXT];

		print_field(i ? "" : "sessions", "%s%s at %s since %s, %s read, %s written",
			    get_text(session, "address"),
			    json_is_true(json_object_get(session, "ipxe")) ? " (iPXE)" : "",
			    get_text(session, "portal"), table_time(since, get_number(session, "since_ms")),
			    table_bytes(read, get_number(session, "bytes_read")),
			    table_bytes(written, get_number(session, "bytes_written")));
	}
}

static void print_boots(const json_t *machine)
{
	json_t *boot;
	size_t i;

	json_array_foreach(json_object_get(machine, "boots"), i, boot) {
		char issued[TABLE_TEXT];
		const char *secret = get_text(boot, "secret"), *reverse = get_text(boot, "reverse_secret");

		print_field(i ? "" : "boots", "%lld %s%s%s, %s %s, asked %s%s%s%s%s",
			    (long long)get_number(boot, "number"), get_text(boot, "state"),
			    get_text(boot, "image")[0] ? " on " : "", get_text(boot, "image"), get_text(boot, "mac"),
			    get_text(boot, "address"), table_time(issued, get_number(boot, "issued_ms")),
			    secret[0] ? ", secret " : "", secret, reverse[0] ? ", the target's " : "", reverse);
	}
}

/* Seconds since the first stage; then what the boot waits for. */
static void print_timeline(const json_t *machine)
{
	const json_t *timeline = json_object_get(machine, "timeline"), *stuck = json_object_get(machine, "stuck");
	const int64_t begin = get_number(json_array_get(timeline, 0), "at_ms");
	const char *hint = get_text(stuck, "hint");
	char since[TABLE_TEXT];
	json_t *stage;
	size_t i;

	if (!json_array_size(timeline))
		return;
	print_field("timeline", "of the last boot, from %s", table_time(since, begin));
	json_array_foreach(timeline, i, stage)
		print_field("", "%8.1f s  %-12s  %s", (double)(get_number(stage, "at_ms") - begin) / 1000.0,
			    get_text(stage, "stage"), get_text(stage, "detail"));
	if (!get_text(stuck, "stage")[0])
		return;
	print_field("stuck", "at %s since %s, usually because", get_text(stuck, "stage"),
		    table_time(since, get_number(stuck, "since_ms")));
	print_field("", "%s", get_text(stuck, "why"));
	if (hint[0])
		print_field("", "%s", hint);
}

static void print_events(const json_t *machine)
{
	json_t *event;
	size_t i;

	json_array_foreach(json_object_get(machine, "events"), i, event) {
		char at[TABLE_TEXT];

		print_field(i ? "" : "events", "%s %s: %s", table_time(at, get_number(event, "at_ms")),
			    get_text(event, "kind"), get_text(event, "text"));
	}
}

static void print_lease(const json_t *lease)
{
	char until[TABLE_TEXT];
	int64_t expires_ms = get_number(lease, "expires_ms");

	if (json_is_object(lease))
		print_field("lease", "%s%s%s", get_text(lease, "address"), expires_ms ? " until " : " for ever",
			    expires_ms ? table_time(until, expires_ms) : "");
}

/* What it said of itself, where it said anything. */
static void print_firmware(const json_t *machine)
{
	const char *secure = get_text(machine, "secure_boot");

	if (get_text(machine, "board_serial")[0])
		print_field("board", "serial number %s", get_text(machine, "board_serial"));
	if (secure[0] && strcmp(secure, "unknown"))
		print_field("secure boot", "%s%s", secure,
			    strcmp(get_text(machine, "setup_mode"), "on") ? "" : ", in setup mode: it has no keys yet");
}

/* "20G (group lab)"; what is its own stands alone. */
static void print_effective(const json_t *machine)
{
	const char *key;
	json_t *one;

	json_object_foreach(json_object_get(machine, "effective"), key, one) {
		const char *value = get_text(one, "value"), *from = get_text(one, "from"),
			   *group = get_text(one, "group");

		if (!strcmp(key, "image")) {
			if (group[0] && strcmp(value, get_text(machine, "image_name")))
				print_field("next image", "%s (group %s): where its disk begins anew", value, group);
		} else if (!strcmp(from, "machine")) {
			print_field(key, "%s", value);
		} else {
			print_field(key, "%s (%s%s%s)", value, from, group[0] ? " " : "", group);
		}
	}
}

static void print_maintenance(const json_t *machine)
{
	const json_t *maintenance = json_object_get(machine, "maintenance");
	char since[TABLE_TEXT];

	if (json_is_object(maintenance))
		print_field("maintenance", "since %s, by %s; its own disk is put aside",
			    table_time(since, get_number(maintenance, "since_ms")), get_text(maintenance, "by"));
}

static void print_machine(const json_t *machine)
{
	static const char *const fields[] = { "image", "auth",	 "access",  "group", "boot_once", "address",
					      "uuid",  "serial", "product", "note",  "iqn",	  "user" };
	char created[TABLE_TEXT], booted[TABLE_TEXT];
	const char *why = get_text(machine, "state_reason");

	print_field("name", "%s", get_text(machine, "name"));
	print_field("state", "%s%s%s", get_text(machine, "state"), why[0] ? ": " : "", why);
	print_list("macs", json_object_get(machine, "macs"));
	print_list("shared", json_object_get(machine, "shared_macs"));
	print_list("other cards", json_object_get(machine, "other_macs"));
	for (size_t i = 0; i < array_len(fields); i++)
		if (get_text(machine, fields[i])[0])
			print_field(fields[i], "%s", get_text(machine, fields[i]));
	print_maintenance(machine);
	if (get_text(machine, "next_image")[0])
		print_field("outdated", "it gets %s at its next boot (sanbootctl image rings %s)",
			    get_text(machine, "next_image"), get_text(machine, "image_name"));
	else if (json_is_true(json_object_get(machine, "outdated")))
		print_field("outdated", "%s@%lld is published; it gets that with: sanbootctl machine reset %s",
			    get_text(machine, "image_name"), (long long)get_number(machine, "image_published"),
			    get_text(machine, "name"));
	print_firmware(machine);
	print_effective(machine);
	print_lease(json_object_get(machine, "lease"));
	print_list("portals", json_object_get(machine, "portals"));
	if (get_text(machine, "lost_portals")[0])
		print_field("left out",
			    "%s: its system waited for it in vain; machine set %s multipath=yes offers it again",
			    get_text(machine, "lost_portals"), get_text(machine, "name"));
	print_disk(machine);
	print_snapshots(machine);
	print_volumes(machine);
	if (get_number(machine, "physical_block") == 512)
		print_field("physical-block", "512: for systems that know no other");
	print_field("enrolled", "%s", table_time(created, get_number(machine, "created_ms")));
	print_field("last boot", "%s", table_time(booted, get_number(machine, "last_boot_ms")));
	print_sessions(machine);
	print_timeline(machine);
	print_boots(machine);
	print_events(machine);
}

int run_machine_show(const struct ctl *ctl)
{
	char *path = client_path("machines", ctl->args[0], NULL);
	char with_secrets[1024];
	json_t *machine;
	int code;

	snprintf(with_secrets, sizeof(with_secrets), "%s%s", path ? path : "",
		 ctl->options[OPTION_SECRETS] ? "?secrets=1" : "");
	code = client_do(ctl, "GET", with_secrets, NULL, &machine);
	if (code == EXIT_DONE && !ctl->json)
		print_machine(machine);
	json_decref(machine);
	free(path);
	return code;
}

/* ---- those who wait ---- */

static json_t *approval(const struct ctl *ctl)
{
	json_t *macs = json_array(), *numbers = json_array(), *body = json_object();

	for (unsigned i = 0; i < ctl->arg_count; i++) {
		const char *text = ctl->args[i];
		size_t digits = strspn(text, "0123456789");

		/* Twelve digits are a MAC without separators. */
		if (digits && !text[digits] && digits < 12)
			json_array_append_new(numbers, json_integer(atoll(text)));
		else
			json_array_append_new(macs, json_string(text));
	}
	json_object_set_new(body, "macs", macs);
	json_object_set_new(body, "numbers", numbers);
	if (ctl->options[OPTION_ALL])
		json_object_set_new(body, "all", json_true());
	if (ctl->options[OPTION_DOCK])
		json_object_set_new(body, "shared", json_true());
	if (ctl->options[OPTION_NAME])
		json_object_set_new(body, "name", json_string(ctl->options[OPTION_NAME]));
	if (ctl->options[OPTION_IMAGE])
		json_object_set_new(body, "image", json_string(ctl->options[OPTION_IMAGE]));
	if (ctl->options[OPTION_GROUP])
		json_object_set_new(body, "group", json_string(ctl->options[OPTION_GROUP]));
	return body;
}

int run_machine_approve(const struct ctl *ctl)
{
	json_t *answer, *one, *failed;
	size_t i;
	int code;

	if (!ctl->arg_count == !ctl->options[OPTION_ALL]) {
		ctl_fail("for example: sanbootctl machine approve 3, or: sanbootctl machine approve --all",
			 "say which machines: MACs, numbers, or --all");
		return EXIT_USAGE;
	}
	code = client_do(ctl, "POST", "/api/v1/machines/approve", approval(ctl), &answer);
	if (code != EXIT_DONE)
		return code;
	failed = json_object_get(answer, "failed");
	if (!ctl->json) {
		json_array_foreach(json_object_get(answer, "approved"), i, one)
			printf("%s is %s\n", get_text(one, "which"), get_text(one, "name"));
		if (!json_array_size(json_object_get(answer, "approved")) && !json_array_size(failed))
			puts("nobody waits for approval");
	}
	json_array_foreach(failed, i, one)
		code = ctl_fail("", "%s: %s", get_text(one, "which"), get_text(one, "error"));
	json_decref(answer);
	return code;
}

/* ---- one request each ---- */

/* METHOD on machines/M/verb; says what was done. */
static int act(const struct ctl *ctl, const char *method, const char *verb, json_t *body, const char *done)
{
	return client_act(ctl, method, client_path("machines", ctl->args[0], verb, NULL), body, done);
}

int run_machine_deny(const struct ctl *ctl)
{
	return client_act(ctl, "POST", client_path("machines", "deny", NULL), json_pack("{s:s}", "mac", ctl->args[0]),
			  "denied; it boots locally from now on (approve it to change that)");
}

int run_machine_forget(const struct ctl *ctl)
{
	return client_act(ctl, "DELETE", client_path("waiting", ctl->args[0], NULL), NULL,
			  "forgotten: when it asks again it is a stranger");
}

int run_machine_release(const struct ctl *ctl)
{
	return act(ctl, "POST", "release", NULL, "released: its sessions are ended, the next boot is served");
}

int run_machine_reset(const struct ctl *ctl)
{
	if (!ctl_confirm(ctl, "Everything that %s wrote to its disk is deleted. Go on?", ctl->args[0]))
		return EXIT_REFUSED;
	return act(ctl, "POST", "reset", NULL,
		   "reset: its next boot starts from the newest published version of its image");
}

int run_machine_remove(const struct ctl *ctl)
{
	bool for_good = ctl->options[OPTION_FOR_GOOD] != NULL;

	if (!ctl_confirm(
		    ctl,
		    "The machine %s is forgotten, and the disk that it boots from %s; its other volumes stay. Go on?",
		    ctl->args[0], for_good ? "deleted" : "goes to the trash"))
		return EXIT_REFUSED;
	return act(ctl, "DELETE", NULL, json_pack("{s:b}", "for_good", for_good), "removed");
}

int run_machine_swap(const struct ctl *ctl)
{
	return act(ctl, "POST", "swap", json_pack("{s:s}", "mac", ctl->args[1]),
		   "swapped: the disk belongs to the new network card now");
}

int run_machine_mac_add(const struct ctl *ctl)
{
	return act(ctl, "POST", "macs", json_pack("{s:s}", "mac", ctl->args[1]), "added");
}

int run_machine_mac_remove(const struct ctl *ctl)
{
	return client_act(ctl, "DELETE", client_path("machines", ctl->args[0], "macs", ctl->args[1], NULL), NULL,
			  "removed");
}

static int set_shared(const struct ctl *ctl, bool shared, const char *done)
{
	return client_act(ctl, "PATCH", client_path("machines", ctl->args[0], "macs", ctl->args[1], NULL),
			  json_pack("{s:b}", "shared", shared), done);
}

int run_machine_mac_share(const struct ctl *ctl)
{
	return set_shared(ctl, true, "shared: others with it are machines of their own, by their UUIDs");
}

int run_machine_mac_unshare(const struct ctl *ctl)
{
	return set_shared(ctl, false, "it is this machine's alone");
}

int run_machine_set(const struct ctl *ctl)
{
	json_t *body = client_assignments(ctl, 1);

	return body ? act(ctl, "PATCH", NULL, body, "done") : EXIT_USAGE;
}
