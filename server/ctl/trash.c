// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl machine trash list, restore, empty: machines that were removed. */
#include "ctl/client.h"
#include "ctl/table.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>

static void print_trash(const struct ctl *ctl, const json_t *answer)
{
	const json_t *list = json_object_get(answer, "trash");
	struct table *table;
	json_t *entry;
	size_t i;

	(void)ctl;
	if (!json_array_size(list)) {
		puts("the trash is empty");
		return;
	}
	table = table_new("NAME", "ID", "MAC", "IMAGE", "DISK", "REMOVED", "BY", "GOES", NULL);
	json_array_foreach(list, i, entry) {
		char id[TABLE_TEXT], used[TABLE_TEXT], removed[TABLE_TEXT], goes[TABLE_TEXT];
		const char *mac = json_string_value(json_array_get(json_object_get(entry, "macs"), 0));

		snprintf(id, sizeof(id), "#%lld", (long long)get_number(entry, "id"));
		table_add(table, get_text(entry, "name"));
		table_add(table, id);
		table_add(table, mac ? mac : "");
		table_add(table, get_text(entry, "image"));
		table_add(table, table_bytes(used, get_number(entry, "allocated_bytes")));
		table_add(table, table_time(removed, get_number(entry, "removed_ms")));
		table_add(table, get_text(entry, "removed_by"));
		table_add(table, table_time(goes, get_number(entry, "expires_ms")));
	}
	table_print(table);
}

int run_trash_list(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("trash", NULL), NULL, print_trash);
}

static void print_restored(const struct ctl *ctl, const json_t *answer)
{
	(void)ctl;
	printf("%s is back, with its disk\n", get_text(answer, "restored"));
	print_hint(answer);
}

int run_trash_restore(const struct ctl *ctl)
{
	json_t *body = json_object();

	if (ctl->options[OPTION_NAME])
		json_object_set_new(body, "name", json_string(ctl->options[OPTION_NAME]));
	return client_show(ctl, "POST", client_path("trash", ctl->args[0], "restore", NULL), body, print_restored);
}

static int delete_one(const struct ctl *ctl, const char *which)
{
	return client_act(ctl, "DELETE", client_path("trash", which, NULL), NULL, which);
}

static int delete_all(const struct ctl *ctl)
{
	json_t *answer, *entry;
	int code = EXIT_DONE;
	size_t i;

	if (!client_call(ctl, "GET", "/api/v1/trash", NULL, &answer))
		return EXIT_REFUSED;
	if (!json_array_size(json_object_get(answer, "trash")))
		puts("the trash is empty");
	json_array_foreach(json_object_get(answer, "trash"), i, entry) {
		char id[TABLE_TEXT];

		snprintf(id, sizeof(id), "#%lld", (long long)get_number(entry, "id"));
		if (delete_one(ctl, id) != EXIT_DONE)
			code = EXIT_REFUSED;
	}
	json_decref(answer);
	return code;
}

int run_trash_empty(const struct ctl *ctl)
{
	int code = EXIT_DONE;

	if (!ctl_confirm(ctl, "The disks of %s are deleted for good. Go on?",
			 ctl->arg_count ? "these machines" : "all machines in the trash"))
		return EXIT_REFUSED;
	if (!ctl->arg_count)
		return delete_all(ctl);
	for (unsigned i = 0; i < ctl->arg_count; i++)
		if (delete_one(ctl, ctl->args[i]) != EXIT_DONE)
			code = EXIT_REFUSED;
	return code;
}
