// SPDX-License-Identifier: GPL-2.0-or-later
/* Tables, sizes and times: see table.h. */
#include "ctl/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct table {
	unsigned columns;
	size_t count, capacity; /* cells, headings included */
	char **cells;
};

/* Characters, not bytes: what continues a UTF-8 character takes no room. */
static size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

const char *printable(char *out, size_t out_size, const char *text)
{
	size_t o = 0;

	for (; *text && o + 1 < out_size; text++) {
		unsigned char c = (unsigned char)*text;
		/* U+0080 to U+009F control a terminal too; in UTF-8 they are 0xc2 and this byte. */
		bool control =
			c < 0x20 || c == 0x7f || (c < 0xa0 && c >= 0x80 && o && (unsigned char)out[o - 1] == 0xc2);

		out[o++] = control ? '?' : (char)c;
	}
	out[o] = '\0';
	return out;
}

void table_add(struct table *table, const char *text)
{
	char *copy = malloc(strlen(text) + 2);

	if (copy && table->count == table->capacity) {
		char **cells = realloc(table->cells, (table->capacity + 64) * sizeof(*cells));

		if (cells) {
			table->cells = cells;
			table->capacity += 64;
		}
	}
	if (!copy || table->count == table->capacity) {
		fputs("sanbootctl: out of memory\n", stderr);
		exit(1);
	}
	printable(copy, strlen(text) + 1, text);
	if (!copy[0])
		strcpy(copy, "-");
	table->cells[table->count++] = copy;
}

void table_add_number(struct table *table, int64_t number)
{
	char text[TABLE_TEXT];

	snprintf(text, sizeof(text), "%lld", (long long)number);
	table_add(table, text);
}

struct table *table_new(const char *heading, ...)
{
	struct table *table = calloc(1, sizeof(*table));
	va_list args;

	if (!table) {
		fputs("sanbootctl: out of memory\n", stderr);
		exit(1);
	}
	va_start(args, heading);
	for (const char *text = heading; text; text = va_arg(args, const char *)) {
		table_add(table, text);
		table->columns++;
	}
	va_end(args);
	return table;
}

void table_print(struct table *table)
{
	size_t widths[TABLE_COLUMNS_MAX] = { 0 };

	for (size_t i = 0; i < table->count; i++) {
		size_t width = text_width(table->cells[i]), column = i % table->columns;

		if (column < TABLE_COLUMNS_MAX && width > widths[column])
			widths[column] = width;
	}
	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;

		fputs(table->cells[i], stdout);
		if (column + 1 == table->columns)
			putchar('\n');
		else
			printf("%*s", (int)(widths[column] - text_width(table->cells[i]) + 2), "");
		free(table->cells[i]);
	}
	free(table->cells);
	free(table);
}

const char *table_bytes(char out[TABLE_TEXT], int64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	snprintf(out, TABLE_TEXT, unit && value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return out;
}

const char *table_age(char out[TABLE_TEXT], int64_t unix_ms, int64_t now_ms)
{
	int64_t seconds = (now_ms - unix_ms) / 1000;

	if (!unix_ms)
		return "-";
	if (seconds < 5)
		snprintf(out, TABLE_TEXT, "now");
	else if (seconds < 120)
		snprintf(out, TABLE_TEXT, "%d s ago", (int)seconds);
	else if (seconds < 7200)
		snprintf(out, TABLE_TEXT, "%d min ago", (int)(seconds / 60));
	else if (seconds < 2 * 86400)
		snprintf(out, TABLE_TEXT, "%d h ago", (int)(seconds / 3600));
	else
		snprintf(out, TABLE_TEXT, "%lld days ago", (long long)(seconds / 86400));
	return out;
}

const char *table_time(char out[TABLE_TEXT], int64_t unix_ms)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm tm;

	if (!unix_ms || !localtime_r(&seconds, &tm) || !strftime(out, TABLE_TEXT, "%Y-%m-%d %H:%M:%S", &tm))
		return "-";
	return out;
}

const char *get_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int64_t get_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

void print_field(const char *name, const char *format, ...)
{
	char text[2048], safe[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("%-14s %s\n", name, text[0] ? printable(safe, sizeof(safe), text) : "-");
}

void print_hint(const json_t *answer)
{
	char safe[1024];

	if (get_text(answer, "hint")[0])
		puts(printable(safe, sizeof(safe), get_text(answer, "hint")));
}
