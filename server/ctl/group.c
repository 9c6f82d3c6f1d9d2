// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl group ... */
#include "ctl/client.h"
#include "ctl/table.h"

#include "base/util.h"

#include <stdio.h>

enum { NAMES_TEXT = 1024 };

/* "tools, office"; returns out. */
static const char *volume_names(const json_t *group, char out[NAMES_TEXT])
{
	json_t *name;
	size_t i, len = 0;

	out[0] = '\0';
	json_array_foreach(json_object_get(group, "volumes"), i, name)
		if (len < NAMES_TEXT)
			len += (size_t)snprintf(out + len, NAMES_TEXT - len, "%s%s", i ? ", " : "",
						json_string_value(name));
	return out;
}

static void print_groups(const struct ctl *ctl, const json_t *answer)
{
	const json_t *groups = json_object_get(answer, "groups");
	char names[NAMES_TEXT];
	struct table *table;
	json_t *group;
	size_t i;

	(void)ctl;
	if (!json_array_size(groups)) {
		puts("no groups yet: make one with: sanbootctl group add NAME");
		return;
	}
	table = table_new("NAME", "MACHINES", "PRIORITY", "IMAGE", "MODE", "BOOT", "TEMPLATES", "RING", "VOLUMES",
			  "NOTE", NULL);
	json_array_foreach(groups, i, group) {
		table_add(table, get_text(group, "name"));
		table_add_number(table, get_number(group, "machines"));
		table_add_number(table, get_number(group, "priority"));
		table_add(table, get_text(group, "image"));
		table_add(table, get_text(group, "mode"));
		table_add(table, get_text(group, "boot"));
		table_add(table, get_text(group, "templates"));
		table_add(table, get_text(group, "ring"));
		table_add(table, volume_names(group, names));
		table_add(table, get_text(group, "note"));
	}
	table_print(table);
}

int run_group_list(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("groups", NULL), NULL, print_groups);
}

/* What the group says; the rest is as policy says. */
static void print_group(const struct ctl *ctl, const json_t *group)
{
	static const struct {
		const char *member, *shown;
	} defaults[] = {
		{ "image", "image" },
		{ "mode", "mode" },
		{ "name_pattern", "name-pattern" },
		{ "quota", "quota" },
		{ "boot", "boot" },
		{ "boot_file_set", "boot-file-set" },
		{ "restore_points", "restore-points" },
		{ "ring", "ring" },
		{ "templates", "templates" },
	};
	char names[NAMES_TEXT];

	(void)ctl;
	print_field("name", "%s", get_text(group, "name"));
	print_field("machines", "%lld", (long long)get_number(group, "machines"));
	print_field("priority", "%lld", (long long)get_number(group, "priority"));
	for (size_t i = 0; i < array_len(defaults); i++)
		if (get_text(group, defaults[i].member)[0])
			print_field(defaults[i].shown, "%s", get_text(group, defaults[i].member));
	if (volume_names(group, names)[0])
		print_field("volumes", "%s", names);
	if (get_text(group, "note")[0])
		print_field("note", "%s", get_text(group, "note"));
}

int run_group_show(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("groups", ctl->args[0], NULL), NULL, print_group);
}

static void print_added(const struct ctl *ctl, const json_t *answer)
{
	(void)answer;
	printf("added; put machines into it with: sanbootctl machine set M group=%s\n", ctl->args[0]);
}

int run_group_add(const struct ctl *ctl)
{
	json_t *body = client_assignments(ctl, 1);

	if (!body)
		return EXIT_USAGE;
	json_object_set_new(body, "name", json_string(ctl->args[0]));
	return client_show(ctl, "POST", client_path("groups", NULL), body, print_added);
}

static int act(const struct ctl *ctl, const char *method, json_t *body, const char *done)
{
	return client_act(ctl, method, client_path("groups", ctl->args[0], NULL), body, done);
}

int run_group_set(const struct ctl *ctl)
{
	json_t *body = client_assignments(ctl, 1);

	return body ? act(ctl, "PATCH", body, "done") : EXIT_USAGE;
}

int run_group_remove(const struct ctl *ctl)
{
	return act(ctl, "DELETE", NULL, "removed; its machines are in no group now");
}
