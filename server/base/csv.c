// SPDX-License-Identifier: GPL-2.0-or-later
/* Rows of a CSV text: see csv.h. */
#include "base/csv.h"

#include <errno.h>
#include <string.h>

/* The separator that the first line has most of, outside quotes. */
static char csv_find_separator(const char *at, const char *end)
{
	static const char candidates[] = ",;\t";
	unsigned counts[sizeof(candidates)] = { 0 };
	const char *which;
	size_t best = 0;
	bool quoted = false;

	for (; at < end && (quoted || (*at != '\n' && *at != '\r')); at++) {
		if (*at == '"')
			quoted = !quoted;
		else if (!quoted && *at && (which = strchr(candidates, *at)))
			counts[which - candidates]++;
	}
	for (size_t i = 1; candidates[i]; i++)
		if (counts[i] > counts[best])
			best = i;
	return candidates[best];
}

void csv_begin(struct csv *csv, const char *text, size_t len)
{
	static const char mark[] = "\xef\xbb\xbf";

	csv->at = text;
	csv->end = text + len;
	csv->line = 1;
	if (len >= 3 && !memcmp(text, mark, 3))
		csv->at += 3;
	csv->separator = csv_find_separator(csv->at, csv->end);
}

void csv_row_init(struct csv_row *row)
{
	row->count = 0;
	row->line = 0;
	buf_init(&row->text, CSV_ROW_MAX);
}

void csv_row_fini(struct csv_row *row)
{
	buf_fini(&row->text);
}

/* Over "\n", "\r\n" or "\r". */
static void csv_end_line(struct csv *csv)
{
	bool both = *csv->at == '\r' && csv->at + 1 < csv->end && csv->at[1] == '\n';

	csv->at += both ? 2 : 1;
	csv->line++;
}

static bool csv_is_end(const struct csv *csv)
{
	return csv->at == csv->end || *csv->at == '\n' || *csv->at == '\r';
}

static void csv_skip_blanks(struct csv *csv)
{
	while (csv->at < csv->end && (*csv->at == ' ' || (*csv->at == '\t' && csv->separator != '\t')))
		csv->at++;
}

static int csv_refuse(const struct csv_row *row, struct reason *reason, const char *what)
{
	return reason_refuse(reason, -EINVAL, "line %u: %s", row->line, what);
}

static int csv_quoted(struct csv *csv, struct csv_row *row, struct reason *reason)
{
	csv->at++;
	for (;;) {
		if (csv->at == csv->end)
			return csv_refuse(row, reason, "a quote (\") is opened and not closed");
		if (*csv->at == '"' && (csv->at + 1 == csv->end || csv->at[1] != '"'))
			break;
		if (*csv->at == '"')
			csv->at++;
		if (*csv->at == '\n')
			csv->line++;
		if (!*csv->at)
			return csv_refuse(row, reason, "a byte 0: this is no text");
		buf_add(&row->text, csv->at++, 1);
	}
	csv->at++;
	csv_skip_blanks(csv);
	if (!csv_is_end(csv) && *csv->at != csv->separator)
		return csv_refuse(row, reason,
				  "text follows a closing quote (\"); a quote inside of a field is written twice");
	return 0;
}

static int csv_plain(struct csv *csv, struct csv_row *row, struct reason *reason)
{
	const char *begin = csv->at, *end;

	while (!csv_is_end(csv) && *csv->at != csv->separator) {
		if (!*csv->at)
			return csv_refuse(row, reason, "a byte 0: this is no text");
		csv->at++;
	}
	end = csv->at;
	while (end > begin && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	buf_add(&row->text, begin, (size_t)(end - begin));
	return 0;
}

/* Fields are put into the buffer one after the other, with where each begins; pointers only once it moves no more. */
static int csv_read(struct csv *csv, struct csv_row *row, size_t starts[CSV_FIELDS_MAX], struct reason *reason)
{
	for (;;) {
		int err;

		if (row->count == CSV_FIELDS_MAX)
			return csv_refuse(row, reason, "too many columns");
		starts[row->count++] = row->text.len;
		csv_skip_blanks(csv);
		err = !csv_is_end(csv) && *csv->at == '"' ? csv_quoted(csv, row, reason) : csv_plain(csv, row, reason);
		if (err)
			return err;
		buf_add(&row->text, "", 1);
		if (row->text.failed)
			return csv_refuse(row, reason, "too long");
		if (csv_is_end(csv))
			return 0;
		csv->at++; /* the separator */
	}
}

int csv_next(struct csv *csv, struct csv_row *row, struct reason *reason)
{
	size_t starts[CSV_FIELDS_MAX];
	bool empty = true;

	while (empty) {
		int err;

		if (csv->at == csv->end)
			return 0;
		buf_reset(&row->text);
		row->count = 0;
		row->line = csv->line;
		err = csv_read(csv, row, starts, reason);
		if (err)
			return err;
		if (csv->at < csv->end)
			csv_end_line(csv);
		for (unsigned i = 0; i < row->count; i++) {
			row->fields[i] = row->text.data + starts[i];
			empty = empty && !row->fields[i][0];
		}
	}
	return 1;
}

void csv_add(struct buf *out, bool first, const char *field)
{
	if (!first)
		buf_add_string(out, ",");
	if (!strpbrk(field, ",;\t\"\r\n") && field[0] != ' ' && (!field[0] || field[strlen(field) - 1] != ' ')) {
		buf_add_string(out, field);
		return;
	}
	buf_add_string(out, "\"");
	for (; *field; field++) {
		if (*field == '"')
			buf_add_string(out, "\"");
		buf_add(out, field, 1);
	}
	buf_add_string(out, "\"");
}
