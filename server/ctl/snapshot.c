// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl machine|volume snapshot, snapshots, restore, snapshot-remove; volume copy. */
#include "ctl/client.h"
#include "ctl/table.h"
#include "ctl/when.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* "machines" or "volumes". */
static const char *kind(const struct ctl *ctl)
{
	return strncmp(ctl->command->words, "machine", 7) ? "volumes" : "machines";
}

int run_snapshot_take(const struct ctl *ctl)
{
	return client_act(ctl, "POST", client_path(kind(ctl), ctl->args[0], "snapshots", NULL),
			  json_pack("{s:s}", "label", ctl->args[1]), "taken");
}

/* The label of the last one that was taken until then; free(3). NULL, and it is said, where there is none. */
static char *label_at(const struct ctl *ctl, const char *when)
{
	char *path = client_path(kind(ctl), ctl->args[0], "snapshots", NULL), *label = NULL;
	json_t *answer = NULL, *snapshot;
	const json_t *best = NULL;
	int64_t until_ms;
	size_t i;

	if (!when_parse_end(when, time_unix_ms(), &until_ms)) {
		ctl_fail("for example: --to 2026-12-24, --to \"2026-12-24 08:00\", --to monday, --to yesterday",
			 "--to %s: this is no time", when);
	} else if (client_call(ctl, "GET", path ? path : "", NULL, &answer)) {
		json_array_foreach(json_object_get(answer, "snapshots"), i, snapshot)
			if (!json_is_true(json_object_get(snapshot, "removed")) &&
			    get_number(snapshot, "created_ms") <= until_ms &&
			    (!best || get_number(snapshot, "created_ms") >= get_number(best, "created_ms")))
				best = snapshot;
		if (best)
			label = strdup(get_text(best, "label"));
		else
			ctl_fail("", "%s has no snapshot that old: sanbootctl %s snapshots %s shows all", ctl->args[0],
				 strcmp(kind(ctl), "volumes") ? "machine" : "volume", ctl->args[0]);
	}
	json_decref(answer);
	free(path);
	return label;
}

static int restore(const struct ctl *ctl, const char *label)
{
	char done[96];

	if (!ctl_confirm(ctl,
			 "%s becomes what it was at snapshot %s; what it is now is kept as a snapshot of its own. Go on?",
			 ctl->args[0], label))
		return EXIT_REFUSED;
	snprintf(done, sizeof(done), "restored%s%.64s", ctl->options[OPTION_TO] ? ": snapshot " : "",
		 ctl->options[OPTION_TO] ? label : "");
	return client_act(ctl, "POST", client_path(kind(ctl), ctl->args[0], "restore", NULL),
			  json_pack("{s:s}", "label", label), done);
}

int run_snapshot_restore(const struct ctl *ctl)
{
	const char *when = ctl->options[OPTION_TO];
	char *label;
	int code;

	if ((ctl->arg_count == 2) == (when != NULL)) {
		ctl_fail("for example: sanbootctl machine restore pc-001 before-update, or: sanbootctl machine restore pc-001 "
			 "--to monday",
			 "say to what: a snapshot, or --to a time");
		return EXIT_USAGE;
	}
	if (!when)
		return restore(ctl, ctl->args[1]);
	label = label_at(ctl, when);
	code = label ? restore(ctl, label) : EXIT_REFUSED;
	free(label);
	return code;
}

int run_snapshot_remove(const struct ctl *ctl)
{
	if (!ctl_confirm(ctl, "Snapshot %s of %s is deleted. Go on?", ctl->args[1], ctl->args[0]))
		return EXIT_REFUSED;
	return client_act(ctl, "DELETE", client_path(kind(ctl), ctl->args[0], "snapshots", ctl->args[1], NULL), NULL,
			  "removed");
}

static const char *what_it_is(const json_t *snapshot)
{
	if (json_is_true(json_object_get(snapshot, "removed")))
		return "removed; goes once nothing stands on it";
	if (json_is_true(json_object_get(snapshot, "automatic")))
		return "what was there before a restore";
	if (get_number(snapshot, "left_by"))
		return "the disk of an ephemeral boot";
	if (get_number(snapshot, "boot"))
		return "taken before a boot";
	return json_is_true(json_object_get(snapshot, "current")) ? "the disk goes on from it" : "";
}

static void print_snapshots(const struct ctl *ctl, const json_t *answer)
{
	const json_t *list = json_object_get(answer, "snapshots");
	struct table *table;
	json_t *snapshot;
	size_t i;

	if (!json_array_size(list)) {
		printf("no snapshots yet; take one while it is off: sanbootctl %s snapshot %s LABEL\n",
		       strcmp(kind(ctl), "volumes") ? "machine" : "volume", ctl->args[0]);
		return;
	}
	table = table_new("SNAPSHOT", "TAKEN", "SIZE", "USED", "", NULL);
	json_array_foreach(list, i, snapshot) {
		char taken[TABLE_TEXT], size[TABLE_TEXT], used[TABLE_TEXT];
		const char *error = get_text(snapshot, "error");

		table_add(table, get_text(snapshot, "label"));
		table_add(table, table_time(taken, get_number(snapshot, "created_ms")));
		table_add(table, table_bytes(size, get_number(snapshot, "size_bytes")));
		table_add(table, table_bytes(used, get_number(snapshot, "allocated_bytes")));
		table_add(table, error[0] ? error : what_it_is(snapshot));
	}
	table_print(table);
}

int run_snapshot_list(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path(kind(ctl), ctl->args[0], "snapshots", NULL), NULL, print_snapshots);
}

int run_volume_copy(const struct ctl *ctl)
{
	return client_act(ctl, "POST", client_path("volumes", ctl->args[0], "copy", NULL),
			  json_pack("{s:s}", "name", ctl->args[1]),
			  "copied; give it to a machine with: sanbootctl volume attach NAME M");
}

static void print_promoted(const struct ctl *ctl, const json_t *answer)
{
	(void)ctl;
	printf("%s is there\n", get_text(answer, "version"));
	print_hint(answer);
}

int run_machine_promote(const struct ctl *ctl)
{
	json_t *body = json_object();

	if (!ctl->options[OPTION_AS]) {
		json_decref(body);
		ctl_fail("for example: sanbootctl machine promote pc-001 --as lab", "say which image: --as IMAGE");
		return EXIT_USAGE;
	}
	json_object_set_new(body, "image", json_string(ctl->options[OPTION_AS]));
	if (ctl->options[OPTION_SNAPSHOT])
		json_object_set_new(body, "snapshot", json_string(ctl->options[OPTION_SNAPSHOT]));
	return client_show(ctl, "POST", client_path("machines", ctl->args[0], "promote", NULL), body, print_promoted);
}
