// SPDX-License-Identifier: GPL-2.0-or-later
/* Fields of records: see field.h. */
#include "inventory/field.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* bool has another size than an enum, and both than a number. */
int64_t field_get(const struct field *field, const void *record)
{
	const char *at = (const char *)record + field->offset;
	unsigned word;
	int64_t number;

	if (field->size == sizeof(bool))
		return *(const bool *)at;
	if (field->size == sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		return word;
	}
	assert(field->size == sizeof(number));
	memcpy(&number, at, sizeof(number));
	return number;
}

void field_put(const struct field *field, void *record, int64_t value)
{
	char *at = (char *)record + field->offset;
	unsigned word = (unsigned)value;

	if (field->size == sizeof(bool)) {
		*(bool *)at = value != 0;
	} else if (field->size == sizeof(word)) {
		memcpy(at, &word, sizeof(word));
	} else {
		assert(field->size == sizeof(value));
		memcpy(at, &value, sizeof(value));
	}
}

const char *field_word(const struct field *field, const void *record)
{
	int64_t value = field_get(field, record);

	for (int64_t i = 0; field->words[i]; i++) {
		if (i == value)
			return field->words[i];
	}
	return "unknown";
}

static int parse_word(const struct field *field, const char *const *words, void *record, const char *value,
		      struct reason *reason)
{
	char list[160] = "";
	size_t len = 0;

	for (int i = 0; words[i]; i++) {
		if (!words[i][0])
			continue;
		if (!strcmp(words[i], value)) {
			field_put(field, record, i);
			return 0;
		}
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
					!i	     ? "" :
					words[i + 1] ? ", " :
						       " or ",
					words[i]);
		assert(len < sizeof(list));
	}
	return reason_refuse(reason, -EINVAL, "%s: expected %s", field->key, list);
}

static int parse_text(const struct field *field, void *record, const char *value, struct reason *reason)
{
	if (strlen(value) >= field->size)
		return reason_refuse(reason, -EINVAL, "%s: at most %zu bytes", field->key, field->size - 1);
	if (field->nothing && !strcmp(value, field->nothing))
		value = "";
	snprintf((char *)record + field->offset, field->size, "%s", value);
	return 0;
}

int field_parse(const struct field *field, void *record, const char *value, struct reason *reason)
{
	static const char *const no_yes[] = { "no", "yes", NULL };

	switch (field->kind) {
	case FIELD_TEXT:
		return parse_text(field, record, value, reason);
	case FIELD_BOOL:
		return parse_word(field, no_yes, record, value, reason);
	case FIELD_WORD:
	case FIELD_BYTES_OF:
		return parse_word(field, field->words, record, value, reason);
	default:
		return reason_refuse(reason, -EINVAL, "%s: cannot be set", field->key);
	}
}

const struct field *field_by_key(const struct field *table, const char *key)
{
	for (; table->column; table++) {
		if (table->key && !strcmp(table->key, key))
			return table;
	}
	return NULL;
}
