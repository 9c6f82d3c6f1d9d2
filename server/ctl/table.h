/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables, sizes and times for people. Private to the folder. */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum { TABLE_COLUMNS_MAX = 10, TABLE_TEXT = 32 };

struct table;

/* Headings, ended by NULL. Ends the process without memory. */
struct table *table_new(const char *heading, ...) __attribute__((sentinel));
/*
 * One cell; the row is complete when all columns have one. Text is copied; control characters become '?', "" becomes
 * "-".
 */
void table_add(struct table *table, const char *text);
void table_add_number(struct table *table, int64_t number);
/* Aligned, two spaces between columns; frees. */
void table_print(struct table *table);

/* "1.5 GiB". Returns out. */
const char *table_bytes(char out[TABLE_TEXT], int64_t bytes);
/* "3 min ago", "yesterday" is "1 day ago"; "-" for 0. */
const char *table_age(char out[TABLE_TEXT], int64_t unix_ms, int64_t now_ms);
/* "2026-11-22 14:03:05", local time; "-" for 0. */
const char *table_time(char out[TABLE_TEXT], int64_t unix_ms);

/* Members of JSON objects, "" or 0 where they are missing or null. */
const char *get_text(const json_t *object, const char *key);
int64_t get_number(const json_t *object, const char *key);

/* "key   value" lines. */
void print_field(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The line "hint" of an answer, where it has one: what to do next. */
void print_hint(const json_t *answer);
/* Copies text with control characters made harmless for a terminal. Returns out. */
const char *printable(char *out, size_t out_size, const char *text);

#endif
