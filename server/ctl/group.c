// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl group ... */
#include "ctl/client.h"
#include "ctl/table.h"

#include <stdio.h>

static void print_groups(const struct ctl *ctl, const json_t *answer)
{
	const json_t *groups = json_object_get(answer, "groups");
	struct table *table;
	json_t *group;
	size_t i;

	(void)ctl;
	if (!json_array_size(groups)) {
		puts("no groups yet: make one with: sanbootctl group add NAME");
		return;
	}
	table = table_new("NAME", "MACHINES", "PRIORITY", "BOOT", "BOOT FILES", "TEMPLATES", "RING", "NOTE", NULL);
	json_array_foreach(groups, i, group) {
		table_add(table, get_text(group, "name"));
		table_add_number(table, get_number(group, "machines"));
		table_add_number(table, get_number(group, "priority"));
		table_add(table, get_text(group, "boot"));
		table_add(table, get_text(group, "boot_file_set"));
		table_add(table, get_text(group, "templates"));
		table_add(table, get_text(group, "ring"));
		table_add(table, get_text(group, "note"));
	}
	table_print(table);
}

int run_group_list(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("groups", NULL), NULL, print_groups);
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
