// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl group ... */
#include "ctl/client.h"
#include "ctl/table.h"

#include <stdio.h>

int run_group_list(const struct ctl *ctl)
{
	json_t *answer, *group;
	const json_t *groups;
	struct table *table;
	size_t i;
	int code = client_do(ctl, "GET", "/api/v1/groups", NULL, &answer);

	groups = json_object_get(answer, "groups");
	if (code != EXIT_DONE || ctl->json)
		goto out;
	if (!json_array_size(groups)) {
		puts("no groups yet: make one with: sanbootctl group add NAME");
		goto out;
	}
	table = table_new("NAME", "MACHINES", "PRIORITY", "BOOT", "NOTE", NULL);
	json_array_foreach(groups, i, group) {
		char number[TABLE_TEXT];

		table_add(table, get_text(group, "name"));
		snprintf(number, sizeof(number), "%lld", (long long)get_number(group, "machines"));
		table_add(table, number);
		snprintf(number, sizeof(number), "%lld", (long long)get_number(group, "priority"));
		table_add(table, number);
		table_add(table, get_text(group, "boot"));
		table_add(table, get_text(group, "note"));
	}
	table_print(table);
out:
	json_decref(answer);
	return code;
}

int run_group_add(const struct ctl *ctl)
{
	json_t *body = client_assignments(ctl, 1), *answer;
	int code;

	if (!body)
		return EXIT_USAGE;
	json_object_set_new(body, "name", json_string(ctl->args[0]));
	code = client_do(ctl, "POST", "/api/v1/groups", body, &answer);
	if (code == EXIT_DONE && !ctl->json)
		printf("added; put machines into it with: sanbootctl machine set M group=%s\n", ctl->args[0]);
	json_decref(answer);
	return code;
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
