// SPDX-License-Identifier: GPL-2.0-or-later
/* Rows of CSV texts as spreadsheets write them, what is refused with its line, and what is written read again. */
#include "cmocka_all.h"

#include "base/csv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* All rows as "line:a|b|c;", then how it ended. */
static const char *rows_of(const char *text, size_t len, struct reason *reason)
{
	static char out[1024];
	struct csv csv;
	struct csv_row row;
	size_t at = 0;
	int got;

	out[0] = '\0';
	csv_begin(&csv, text, len);
	csv_row_init(&row);
	while ((got = csv_next(&csv, &row, reason)) == 1) {
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%u:", row.line);
		for (unsigned i = 0; i < row.count; i++)
			at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s", i ? "|" : "", row.fields[i]);
		at += (size_t)snprintf(out + at, sizeof(out) - at, ";");
	}
	if (got)
		snprintf(out + at, sizeof(out) - at, "%d", got);
	csv_row_fini(&row);
	return out;
}

static void expect(const char *text, const char *rows)
{
	struct reason reason = { "" };

	assert_string_equal(rows_of(text, strlen(text), &reason), rows);
	assert_string_equal(reason.text, "");
}

static void expect_refused(const char *text, size_t len, const char *why)
{
	struct reason reason = { "" };
	const char *rows = rows_of(text, len, &reason);

	assert_non_null(strstr(rows, "-22"));
	assert_string_equal(reason.text, why);
}

static void test_rows(void **state)
{
	(void)state;
	expect("", "");
	expect("\n\r\n,\n", "");
	expect("a,b\nc,d", "1:a|b;2:c|d;");
	expect("a,b\r\nc,d\r\n", "1:a|b;2:c|d;");
	expect("a,b\rc,d\r", "1:a|b;2:c|d;");
	expect("a;b\n\n c ; d e \n", "1:a|b;3:c|d e;");
	expect("a\tb\n\tc\n", "1:a|b;2:|c;");
	expect("\xef\xbb\xbfname,mac\n", "1:name|mac;");
	/* The first line decides what separates. */
	expect("a;b\nc,d\n", "1:a|b;2:c,d;");
	expect("a,b,\n", "1:a|b|;");
}

static void test_quotes(void **state)
{
	(void)state;
	expect("\"a,b\",c\n", "1:a,b|c;");
	expect("\"a \"\"b\"\" c\" , d\n", "1:a \"b\" c|d;");
	expect("\" a \"\n", "1: a ;");
	/* A field of two lines: the next row begins on the third. */
	expect("\"a\nb\",c\nd,e\n", "1:a\nb|c;3:d|e;");
	expect("\"a;b;c\",d\ne,f\n", "1:a;b;c|d;2:e|f;");
	expect("a\"b,c\n", "1:a\"b|c;");
}

static void test_refusals(void **state)
{
	char wide[CSV_FIELDS_MAX + 2], *tall;

	(void)state;
	expect_refused("a,b\nc,\"d\n", 8, "line 2: a quote (\") is opened and not closed");
	expect_refused("\"a\"b\n", 5,
		       "line 1: text follows a closing quote (\"); a quote inside of a field is written twice");
	expect_refused("a\n\0b\n", 5, "line 2: a byte 0: this is no text");
	expect_refused("a\n\"\0\"\n", 6, "line 2: a byte 0: this is no text");
	memset(wide, ',', sizeof(wide));
	expect_refused(wide, sizeof(wide), "line 1: too many columns");
	tall = test_malloc(CSV_ROW_MAX + 1);
	memset(tall, 'x', CSV_ROW_MAX + 1);
	expect_refused(tall, CSV_ROW_MAX + 1, "line 1: too long");
	test_free(tall);
}

static void test_written_and_read(void **state)
{
	static const char *const fields[] = { "pc-1", "", "a,b", "say \"no\"", " x", "x ", "two\nlines", "a;b" };
	struct reason reason = { "" };
	struct csv csv;
	struct csv_row row;
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	for (unsigned i = 0; i < 8; i++)
		csv_add(&out, !i, fields[i]);
	csv_begin(&csv, out.data, out.len);
	csv_row_init(&row);
	assert_int_equal(csv_next(&csv, &row, &reason), 1);
	assert_int_equal(row.count, 8);
	for (unsigned i = 0; i < 8; i++)
		assert_string_equal(row.fields[i], fields[i]);
	assert_int_equal(csv_next(&csv, &row, &reason), 0);
	csv_row_fini(&row);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_quotes),
					    cmocka_unit_test(test_refusals), cmocka_unit_test(test_written_and_read) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
