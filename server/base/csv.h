/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows of a CSV text (RFC 4180), as spreadsheets write it: separated by commas, semicolons or tabs, whichever the first
 * line has most of; with or without a byte order mark; quotes around what holds separators, quotes or ends of lines.
 * Lines without anything in them are no rows. Any thread.
 */
#ifndef BASE_CSV_H
#define BASE_CSV_H

#include "base/buf.h"
#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>

enum { CSV_FIELDS_MAX = 32, CSV_ROW_MAX = 16384 }; /* bytes of a row */

struct csv {
	const char *at, *end;
	char separator;
	unsigned line; /* of at, from 1 */
};

struct csv_row {
	unsigned line; /* where it begins */
	unsigned count;
	const char *fields[CSV_FIELDS_MAX]; /* without spaces around them, unless they were quoted */
	struct buf text;
};

/* text is borrowed. */
void csv_begin(struct csv *csv, const char *text, size_t len);
void csv_row_init(struct csv_row *row);
void csv_row_fini(struct csv_row *row);
/* 1: a row; 0: the end; -EINVAL with a sentence that names the line: then nothing more is read; -ENOMEM. */
int csv_next(struct csv *csv, struct csv_row *row, struct reason *reason);
/* Adds a field of a row; first: it is the row's first one. Ends of lines are the caller's. */
void csv_add(struct buf *out, bool first, const char *field);

#endif
