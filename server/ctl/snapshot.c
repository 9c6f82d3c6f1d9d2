// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl machine|volume snapshot, snapshots, restore, snapshot-remove; volume copy. */
#include "ctl/client.h"
#include "ctl/table.h"

#include <string.h>

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

int run_snapshot_restore(const struct ctl *ctl)
{
	if (!ctl_confirm(ctl,
			 "%s becomes what it was at snapshot %s; what it is now is kept as a snapshot of its own. Go on?",
			 ctl->args[0], ctl->args[1]))
		return EXIT_REFUSED;
	return client_act(ctl, "POST", client_path(kind(ctl), ctl->args[0], "restore", NULL),
			  json_pack("{s:s}", "label", ctl->args[1]), "restored");
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
