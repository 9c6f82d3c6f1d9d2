// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl machine add, import-csv, export-csv, wake: machines before they are switched on, one or a list of them. */
#include "ctl/client.h"
#include "ctl/table.h"

#include "base/csv.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CSV_FILE_MAX = 4 << 20, MACHINES_MAX = 4096 };

static const char *const columns[] = { "name", "mac", "group", "image", "address", "note" };

enum { COLUMN_MAC = 1 };

/* ---- what the server says to it ---- */

/* lines: where in its file each stands; NULL: it is the only one. */
static int add_machines(const struct ctl *ctl, json_t *list, const unsigned *lines)
{
	json_t *answer, *refused, *one;
	json_t *body = json_pack("{s:o, s:b}", "machines", list, "dry_run", ctl->options[OPTION_DRY_RUN] != NULL);
	size_t i;

	if (!client_call_list(ctl, "POST", "/api/v1/machines", body, &answer, &refused)) {
		if (refused && lines)
			ctl_fail(get_text(refused, "hint"), "line %u: %s", lines[get_number(refused, "index")],
				 get_text(refused, "reason"));
		else if (refused)
			ctl_fail("", "%s", get_text(refused, "reason"));
		json_decref(refused);
		return EXIT_REFUSED;
	}
	if (ctl->json) {
		client_print(answer);
	} else if (ctl->options[OPTION_DRY_RUN]) {
		printf("%zu machine%s could be added; nothing was changed\n",
		       json_array_size(json_object_get(answer, "added")),
		       json_array_size(json_object_get(answer, "added")) == 1 ? "" : "s");
	} else {
		json_array_foreach(json_object_get(answer, "added"), i, one)
			printf("%s\n", get_text(one, "name"));
		puts("added: each is served when it is switched on");
	}
	json_decref(answer);
	return EXIT_DONE;
}

/* A cell may name several network cards. */
static json_t *macs_of(const char *text)
{
	static const char between[] = " ,;\t\r\n";
	json_t *macs = json_array();

	for (text += strspn(text, between); *text; text += strspn(text, between)) {
		size_t len = strcspn(text, between);

		json_array_append_new(macs, json_stringn(text, len));
		text += len;
	}
	return macs;
}

static void set_text(json_t *machine, const char *key, const char *text)
{
	if (text && text[0])
		json_object_set_new(machine, key, json_string(text));
}

int run_machine_add(const struct ctl *ctl)
{
	json_t *macs = json_array(), *machine = json_pack("{s:s, s:o}", "name", ctl->args[0], "macs", macs);

	for (unsigned i = 1; i < ctl->arg_count; i++)
		json_array_append_new(macs, json_string(ctl->args[i]));
	set_text(machine, "group", ctl->options[OPTION_GROUP]);
	set_text(machine, "image", ctl->options[OPTION_IMAGE]);
	set_text(machine, "address", ctl->options[OPTION_ADDRESS]);
	set_text(machine, "note", ctl->options[OPTION_NOTE]);
	return add_machines(ctl, json_pack("[o]", machine), NULL);
}

/* ---- a list ---- */

struct list {
	json_t *machines;
	unsigned lines[MACHINES_MAX]; /* of each */
	unsigned count;
	unsigned order[CSV_FIELDS_MAX]; /* which column a field belongs to */
	unsigned fields;
};

static bool read_file(const char *path, struct buf *text)
{
	FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char piece[65536];
	size_t got;
	bool ok;

	if (!file) {
		ctl_fail("", "%s: %s", path, strerror(errno));
		return false;
	}
	while ((got = fread(piece, 1, sizeof(piece), file)))
		buf_add(text, piece, got);
	ok = !ferror(file) && !text->failed;
	if (!ok)
		ctl_fail("", "%s: %s", path, ferror(file) ? strerror(errno) : "too large for a list of machines");
	if (file != stdin)
		fclose(file);
	return ok;
}

/* The first line. "macs" is as good as "mac". */
static bool take_columns(struct list *list, const struct csv_row *row)
{
	bool mac = false;

	list->fields = row->count;
	for (unsigned i = 0; i < row->count; i++) {
		unsigned column = 0;

		while (column < array_len(columns) && strcasecmp(row->fields[i], columns[column]))
			column++;
		if (!strcasecmp(row->fields[i], "macs"))
			column = COLUMN_MAC;
		if (column == array_len(columns)) {
			ctl_fail("the first line names the columns, for example: name,mac,group,image,address,note",
				 "line %u: there is no column \"%s\"", row->line, row->fields[i]);
			return false;
		}
		list->order[i] = column;
		mac = mac || column == COLUMN_MAC;
	}
	if (!mac)
		ctl_fail("the first line names the columns, for example: name,mac,group,image,address,note",
			 "line %u: there is no column \"mac\"", row->line);
	return mac;
}

static bool take_machine(struct list *list, const struct csv_row *row)
{
	json_t *machine = json_object();

	if (row->count > list->fields || list->count == MACHINES_MAX) {
		ctl_fail("nothing was changed", "line %u: %s", row->line,
			 list->count == MACHINES_MAX ? "too many machines: at most 4096 at once" :
						       "more fields than the first line has columns");
		json_decref(machine);
		return false;
	}
	for (unsigned i = 0; i < row->count; i++) {
		if (list->order[i] == COLUMN_MAC)
			json_object_set_new(machine, "macs", macs_of(row->fields[i]));
		else
			set_text(machine, columns[list->order[i]], row->fields[i]);
	}
	if (!json_object_get(machine, "macs"))
		json_object_set_new(machine, "macs", json_array());
	list->lines[list->count++] = row->line;
	json_array_append_new(list->machines, machine);
	return true;
}

static bool read_list(struct list *list, const struct buf *text)
{
	struct reason reason;
	struct csv_row row;
	struct csv csv;
	bool ok = true;
	int got = 1;

	csv_begin(&csv, buf_text(text), text->len);
	csv_row_init(&row);
	while (ok && (got = csv_next(&csv, &row, &reason)) == 1)
		ok = list->fields ? take_machine(list, &row) : take_columns(list, &row);
	csv_row_fini(&row);
	if (got < 0)
		ctl_fail("nothing was changed", "%s", reason.text);
	else if (ok && !list->count)
		ctl_fail("the first line names the columns, each other line is a machine", "there is no machine in it");
	return ok && got == 0 && list->count;
}

int run_machine_import_csv(const struct ctl *ctl)
{
	struct list *list = calloc(1, sizeof(*list));
	struct buf text;
	int code = EXIT_REFUSED;

	if (!list)
		return ctl_fail("", "out of memory");
	buf_init(&text, CSV_FILE_MAX);
	list->machines = json_array();
	if (read_file(ctl->args[0], &text) && read_list(list, &text))
		code = add_machines(ctl, json_incref(list->machines), list->lines);
	json_decref(list->machines);
	buf_fini(&text);
	free(list);
	return code;
}

static void add_macs(struct buf *out, const json_t *machine)
{
	struct buf cell;
	json_t *mac;
	size_t i;

	buf_init(&cell, 4096);
	json_array_foreach(json_object_get(machine, "macs"), i, mac)
		buf_printf(&cell, "%s%s", i ? " " : "", json_string_value(mac));
	csv_add(out, false, buf_text(&cell));
	buf_fini(&cell);
}

static void print_csv(const struct ctl *ctl, const json_t *answer)
{
	struct buf out;
	json_t *machine;
	size_t i;

	(void)ctl;
	buf_init(&out, 256 << 20);
	buf_add_string(&out, "name,mac,group,image,address,note\r\n");
	json_array_foreach(json_object_get(answer, "machines"), i, machine) {
		csv_add(&out, true, get_text(machine, "name"));
		add_macs(&out, machine);
		csv_add(&out, false, get_text(machine, "group"));
		csv_add(&out, false, get_text(machine, "image"));
		csv_add(&out, false, get_text(machine, "address"));
		csv_add(&out, false, get_text(machine, "note"));
		buf_add_string(&out, "\r\n");
	}
	fwrite(buf_text(&out), 1, out.len, stdout);
	buf_fini(&out);
}

int run_machine_export_csv(const struct ctl *ctl)
{
	return client_show(ctl, "GET", client_path("machines", NULL), NULL, print_csv);
}

/* ---- switched on ---- */

static int wake(const struct ctl *ctl, const char *machine)
{
	return client_act(ctl, "POST", client_path("machines", machine, "wake", NULL), NULL, machine);
}

static int wake_group(const struct ctl *ctl)
{
	const char *group = ctl->options[OPTION_GROUP];
	char *path = client_path("groups", group, NULL);
	json_t *answer, *machine;
	int code = EXIT_DONE, woken = 0;
	size_t i;

	/* That there is no such group is the server's to say. */
	if (!client_call(ctl, "GET", path ? path : "", NULL, &answer)) {
		free(path);
		return EXIT_REFUSED;
	}
	free(path);
	json_decref(answer);
	if (!client_call(ctl, "GET", "/api/v1/machines", NULL, &answer))
		return EXIT_REFUSED;
	json_array_foreach(json_object_get(answer, "machines"), i, machine) {
		if (strcmp(get_text(machine, "group"), group))
			continue;
		woken++;
		if (wake(ctl, get_text(machine, "name")) != EXIT_DONE)
			code = EXIT_REFUSED;
	}
	json_decref(answer);
	if (!woken)
		code = ctl_fail("put machines into it with: sanbootctl machine set M group=GROUP",
				"no machine is in %s", group);
	return code;
}

int run_machine_wake(const struct ctl *ctl)
{
	int code = EXIT_DONE;

	if (!ctl->arg_count == !ctl->options[OPTION_GROUP]) {
		ctl_fail("for example: sanbootctl machine wake pc-101, or: sanbootctl machine wake --group lab",
			 "say which: machines, or --group");
		return EXIT_USAGE;
	}
	if (ctl->options[OPTION_GROUP])
		return wake_group(ctl);
	for (unsigned i = 0; i < ctl->arg_count; i++)
		if (wake(ctl, ctl->args[i]) != EXIT_DONE)
			code = EXIT_REFUSED;
	return code;
}
