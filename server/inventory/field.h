/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A record's fields as data: one row says what a field is called in the database, in JSON and on the command line, what
 * it holds, and who may change it. From a table of such rows come the record's SELECT, INSERT and UPDATE (record.h), its
 * JSON, and what people may set. A new field is one row, one member, and a migration.
 */
#ifndef INVENTORY_FIELD_H
#define INVENTORY_FIELD_H

#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_kind {
	FIELD_TEXT,	 /* char[size]; "" is "nothing" */
	FIELD_NUMBER,	 /* int64_t or uint64_t */
	FIELD_TIME,	 /* int64_t, Unix milliseconds; 0: not yet */
	FIELD_REFERENCE, /* int64_t, another record's id; 0: none, NULL in the database */
	FIELD_BOOL,	 /* bool */
	FIELD_WORD,	 /* an enum, or a bool with two names: an index into words */
	FIELD_BYTES_OF,	 /* likewise, but the words are numbers, and are numbers in JSON */
};

enum field_right {
	FIELD_FIXED,		  /* nobody changes it once the record is there */
	FIELD_BY_SERVER,	  /* people cannot set it */
	FIELD_BY_PEOPLE,	  /* at any time */
	FIELD_BY_PEOPLE_WHEN_OFF, /* not while somebody has the disk */
};

struct field {
	const char *column;
	enum field_kind kind;
	size_t offset, size; /* of the member */
	const char *json;    /* NULL: not shown */
	const char *key;     /* what people set it by; NULL: they cannot */
	enum field_right right;
	/* TEXT: the word that takes it away, and that JSON shows instead of ""; NULL: null. WORD: the one of them that says nothing */
	const char *nothing;
	const char *const *words; /* ends in NULL; "": a value that has no word yet */
};

/* The value of a FIELD_BOOL, FIELD_WORD, FIELD_BYTES_OF, FIELD_NUMBER, FIELD_TIME or FIELD_REFERENCE. */
int64_t field_get(const struct field *field, const void *record);
void field_put(const struct field *field, void *record, int64_t value);
/* The word of a FIELD_WORD or FIELD_BYTES_OF; "unknown" where it has none. */
const char *field_word(const struct field *field, const void *record);
/*
 * Takes a value as people write it, by the field's kind alone; rules of a field's own are the caller's. -EINVAL with a
 * sentence that begins with the key.
 */
int field_parse(const struct field *field, void *record, const char *value, struct reason *reason);
/* NULL: no field of the table has this key. The table ends in a row without a column. */
const struct field *field_by_key(const struct field *table, const char *key);

/* In the order of their columns; each ends in a row without a column. */
extern const struct field machine_fields[]; /* of struct machine */
extern const struct field volume_fields[];  /* of struct volume */
extern const struct field group_fields[];   /* of struct machine_group */

#endif
