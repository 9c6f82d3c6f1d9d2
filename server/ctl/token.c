// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl token create, list, remove: who may use the API over the network. */
#include "ctl/client.h"
#include "ctl/table.h"

#include "base/parse.h"

#include <stdio.h>
#include <string.h>

static void print_token(const struct ctl *ctl, const json_t *token)
{
	char until[TABLE_TEXT];

	(void)ctl;
	printf("%s\n", get_text(token, "token"));
	fprintf(stderr, "token #%lld, for %s, valid until %s; it is not shown again\n",
		(long long)get_number(token, "id"), get_text(token, "scope"),
		table_time(until, get_number(token, "expires_ms")));
}

int run_token_create(const struct ctl *ctl)
{
	const unsigned days = ctl->numbers[OPTION_DAYS];
	json_t *body = json_pack("{s:s, s:I}", "name", ctl->args[0], "days", (json_int_t)(days ? days : 365));

	if (ctl->options[OPTION_SCOPE])
		json_object_set_new(body, "scope", json_string(ctl->options[OPTION_SCOPE]));
	return client_show(ctl, "POST", client_path("tokens", NULL), body, print_token);
}

static void print_tokens(const struct ctl *ctl, const json_t *answer)
{
	const json_t *list = json_object_get(answer, "tokens");
	struct table *table;
	json_t *token;
	size_t i;

	(void)ctl;
	if (!json_array_size(list)) {
		puts("there are no tokens; make one with: sanbootctl token create NAME");
		return;
	}
	table = table_new("ID", "NAME", "SCOPE", "MADE", "BY", "VALID UNTIL", "LAST USED", NULL);
	json_array_foreach(list, i, token) {
		char id[TABLE_TEXT], made[TABLE_TEXT], until[TABLE_TEXT], used[TABLE_TEXT];

		snprintf(id, sizeof(id), "#%lld", (long long)get_number(token, "id"));
		table_add(table, id);
		table_add(table, get_text(token, "name"));
		table_add(table, get_text(token, "scope"));
		table_add(table, table_time(made, get_number(token, "created_ms")));
		table_add(table, get_text(token, "created_by"));
		table_add(table, table_time(until, get_number(token, "expires_ms")));
		table_add(table, table_time(used, get_number(token, "used_ms")));
	}
	table_print(table);
}

int run_token_list(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("tokens", NULL), NULL, print_tokens);
}

/* Its number, as the list shows it, or itself. */
int run_token_remove(const struct ctl *ctl)
{
	const char *which = ctl->args[0];
	uint64_t id;

	if (parse_u64(which + (which[0] == '#'), 1, INT64_MAX, &id))
		return client_act(ctl, "DELETE", client_path("tokens", which, NULL), NULL, "removed");
	return client_act(ctl, "DELETE", client_path("tokens", NULL), json_pack("{s:s}", "token", which), "removed");
}
