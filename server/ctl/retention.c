// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl retention show, run: what goes by itself, and now. */
#include "ctl/client.h"
#include "ctl/table.h"

#include <stdio.h>
#include <string.h>

/* What stays, counted by its kind and why. */
struct reason_count {
	const char *kind, *rule, *why;
	unsigned count;
};
enum { REASONS_SHOWN = 32 };

static bool goes(const json_t *item)
{
	return get_number(item, "due_ms") != 0;
}

static void add_row(struct table *table, const json_t *item)
{
	char name[256], when[TABLE_TEXT], bytes[TABLE_TEXT];
	const char *label = get_text(item, "label");

	snprintf(name, sizeof(name), "%s%s%s", get_text(item, "name"), label[0] ? " " : "", label);
	table_add(table, get_text(item, "kind"));
	table_add(table, name);
	table_add(table, goes(item) ? table_time(when, get_number(item, "due_ms")) : "stays");
	table_add(table, json_is_true(json_object_get(item, "stood_on")) ?
				 "later" :
				 table_bytes(bytes, get_number(item, "bytes")));
	table_add(table, get_text(item, "rule"));
	table_add(table, get_text(item, "why"));
}

static void print_items(const json_t *items, bool all)
{
	struct table *table = table_new("WHAT", "OF", "GOES", "FREES", "RULE", "WHY", NULL);
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
		if (all || goes(item))
			add_row(table, item);
	table_print(table);
}

static void count_reason(struct reason_count *counts, unsigned *used, const json_t *item)
{
	const struct reason_count is = { get_text(item, "kind"), get_text(item, "rule"), get_text(item, "why"), 1 };

	for (unsigned i = 0; i < *used; i++) {
		if (!strcmp(counts[i].kind, is.kind) && !strcmp(counts[i].why, is.why)) {
			counts[i].count++;
			return;
		}
	}
	if (*used < REASONS_SHOWN)
		counts[(*used)++] = is;
}

static void print_stays(const json_t *items)
{
	struct reason_count counts[REASONS_SHOWN] = { 0 };
	unsigned used = 0;
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
		if (!goes(item))
			count_reason(counts, &used, item);
	for (unsigned r = 0; r < used; r++) {
		char why[256];

		printf("%s%u %s%s stay%s: %s (%s)\n", r ? "" : "\n", counts[r].count, counts[r].kind,
		       counts[r].count == 1 ? "" : "s", counts[r].count == 1 ? "s" : "",
		       printable(why, sizeof(why), counts[r].why), counts[r].rule);
	}
}

static void print_room(const json_t *plan)
{
	char free_text[TABLE_TEXT], total[TABLE_TEXT], low[TABLE_TEXT], at[TABLE_TEXT];
	int64_t low_bytes = get_number(plan, "low_bytes");

	printf("%s of %s are free", table_bytes(free_text, get_number(plan, "free_bytes")),
	       table_bytes(total, get_number(plan, "total_bytes")));
	if (low_bytes)
		printf("; below %s some go early", table_bytes(low, low_bytes));
	printf("\n");
	if (get_number(plan, "not_before_ms"))
		printf("a rule was changed: nothing goes by itself before %s\n",
		       table_time(at, get_number(plan, "not_before_ms")));
}

static void print_plan(const struct ctl *ctl, const json_t *plan)
{
	const json_t *items = json_object_get(plan, "items");
	bool all = ctl->options[OPTION_ALL], any = all && json_array_size(items);
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
		any = any || goes(item);
	if (any)
		print_items(items, all);
	else
		puts("nothing goes by itself");
	if (!all)
		print_stays(items);
	printf("\n");
	print_room(plan);
}

int run_retention_show(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("retention", NULL), NULL, print_plan);
}

/* ---- now ---- */

static void print_refused(const json_t *answer)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(answer, "items"), i, item) {
		char name[256], why[512];

		if (strcmp(get_text(item, "outcome"), "refused"))
			continue;
		fprintf(stderr, "%s %s stays: %s\n", get_text(item, "kind"),
			printable(name, sizeof(name), get_text(item, "name")),
			printable(why, sizeof(why), get_text(item, "why")));
	}
}

/* As long as there is more to do, and some of it is done. */
static int run_all(const struct ctl *ctl)
{
	int64_t gone = 0, gone_bytes = 0, refused = 0;
	bool more = true;
	char bytes[TABLE_TEXT];

	while (more) {
		json_t *answer;
		int code = client_do(ctl, "POST", "/api/v1/retention", NULL, &answer);

		if (code != EXIT_DONE)
			return code;
		gone += get_number(answer, "gone");
		gone_bytes += get_number(answer, "gone_bytes");
		refused = get_number(answer, "refused");
		more = json_is_true(json_object_get(answer, "unfinished")) && get_number(answer, "gone");
		if (!more)
			print_refused(answer);
		json_decref(answer);
	}
	if (!ctl->json)
		printf("%lld gone, %s\n", (long long)gone, table_bytes(bytes, gone_bytes));
	return refused ? EXIT_REFUSED : EXIT_DONE;
}

int run_retention_run(const struct ctl *ctl)
{
	char bytes[TABLE_TEXT];
	json_t *plan;
	long long due;
	bool go_on;

	if (!client_call(ctl, "GET", "/api/v1/retention", NULL, &plan))
		return EXIT_REFUSED;
	due = get_number(plan, "due");
	table_bytes(bytes, get_number(plan, "due_bytes"));
	json_decref(plan);
	if (!due && !ctl->json) {
		puts("nothing is due: sanbootctl retention show says what goes when");
		return EXIT_DONE;
	}
	go_on = !due ||
		ctl_confirm(ctl,
			    "%lld thing%s (%s) go%s now, for good but for machines that go to the trash: sanbootctl "
			    "retention show lists %s. Go on?",
			    due, due == 1 ? "" : "s", bytes, due == 1 ? "es" : "", due == 1 ? "it" : "them");
	return go_on ? run_all(ctl) : EXIT_REFUSED;
}
