// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz harness: CSV rows. What was read, written and read again is the same, and no line number goes back. */
#include "base/csv.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct csv_row *row)
{
	struct reason reason = { "" };
	struct csv_row again;
	struct csv csv;
	struct buf out;

	buf_init(&out, 4 * CSV_ROW_MAX);
	csv_row_init(&again);
	for (unsigned i = 0; i < row->count; i++)
		csv_add(&out, !i, row->fields[i]);
	csv_begin(&csv, out.data, out.len);
	csv.separator = ',';
	/* A byte order mark in the first field is taken for the text's own. */
	if (strncmp(row->fields[0], "\xef\xbb\xbf", 3)) {
		if (csv_next(&csv, &again, &reason) != 1 || again.count != row->count)
			abort();
		for (unsigned i = 0; i < row->count; i++)
			if (strcmp(again.fields[i], row->fields[i]))
				abort();
	}
	csv_row_fini(&again);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reason reason = { "" };
	unsigned line = 0;
	struct csv_row row;
	struct csv csv;
	int got;

	csv_begin(&csv, (const char *)data, size);
	csv_row_init(&row);
	while ((got = csv_next(&csv, &row, &reason)) == 1) {
		if (row.line <= line && csv.at != csv.end)
			abort();
		line = row.line;
		check_again(&row);
	}
	if (got && strncmp(reason.text, "line ", 5))
		abort();
	csv_row_fini(&row);
	return 0;
}
