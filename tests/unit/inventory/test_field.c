// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fields as data: each kind read, written and taken from text, each refusal with its sentence; and the tables
 * themselves.
 */
#include "cmocka_all.h"

#include "base/util.h"
#include "inventory/field.h"
#include "inventory/inventory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum colour { RED, GREEN, BLUE };

struct thing {
	int64_t id;
	char text[8], word_text[16];
	uint64_t number;
	int64_t time_ms, reference;
	bool flag, block_512;
	enum colour colour;
};

static const char *const colours[] = { "red", "green", "blue", NULL }, *const blocks[] = { "4096", "512", NULL };

#define ROW(column_, kind_, ...)                                                              \
	{                                                                                     \
		.column = #column_, .kind = kind_, .offset = offsetof(struct thing, column_), \
		.size = sizeof(((struct thing *)0)->column_), __VA_ARGS__                     \
	}

static const struct field things[] = {
	ROW(id, FIELD_NUMBER, .json = "id"),
	ROW(text, FIELD_TEXT, .key = "text"),
	ROW(word_text, FIELD_TEXT, .key = "boot", .nothing = "disk"),
	ROW(number, FIELD_NUMBER, .key = "number"),
	ROW(time_ms, FIELD_TIME, .key = "time"),
	ROW(reference, FIELD_REFERENCE, .key = "group"),
	ROW(flag, FIELD_BOOL, .key = "flag"),
	ROW(block_512, FIELD_BYTES_OF, .key = "block", .words = blocks),
	ROW(colour, FIELD_WORD, .key = "colour", .words = colours),
	{ 0 },
};

static const struct field *of(const char *key)
{
	const struct field *field = field_by_key(things, key);

	assert_non_null(field);
	return field;
}

static void test_numbers(void **state)
{
	static const struct {
		const char *key;
		int64_t value;
	} values[] = { { "number", INT64_MAX }, { "time", 1796042178039 }, { "group", -3 }, { "flag", 1 },
		       { "block", 1 },		{ "colour", BLUE } };
	struct thing thing, zero = { 0 };

	(void)state;
	/* Neighbours stay: a bool is no enum, and neither is a number. */
	for (size_t i = 0; i < array_len(values); i++) {
		memset(&thing, 0, sizeof(thing));
		field_put(of(values[i].key), &thing, values[i].value);
		assert_int_equal(field_get(of(values[i].key), &thing), values[i].value);
		field_put(of(values[i].key), &thing, 0);
		assert_memory_equal(&thing, &zero, sizeof(thing));
	}
	field_put(of("flag"), &thing, 7);
	assert_int_equal(field_get(of("flag"), &thing), 1);
	field_put(of("colour"), &thing, GREEN);
	assert_string_equal(field_word(of("colour"), &thing), "green");
	field_put(of("block"), &thing, true);
	assert_string_equal(field_word(of("block"), &thing), "512");
	field_put(of("colour"), &thing, 3);
	assert_string_equal(field_word(of("colour"), &thing), "unknown");
}

static void test_parse(void **state)
{
	static const struct {
		const char *key, *value;
		int64_t want;
	} good[] = { { "flag", "yes", 1 },
		     { "flag", "no", 0 },
		     { "block", "512", 1 },
		     { "block", "4096", 0 },
		     { "colour", "blue", 2 } };
	struct thing thing = { .flag = false };
	struct reason reason = { "untouched" };

	(void)state;
	for (size_t i = 0; i < array_len(good); i++) {
		assert_int_equal(field_parse(of(good[i].key), &thing, good[i].value, &reason), 0);
		assert_int_equal(field_get(of(good[i].key), &thing), good[i].want);
	}
	assert_int_equal(field_parse(of("text"), &thing, "seven b", &reason), 0);
	assert_string_equal(thing.text, "seven b");
	assert_int_equal(field_parse(of("text"), &thing, "disk", &reason), 0);
	assert_string_equal(thing.text, "disk"); /* a word of another field's */
	assert_int_equal(field_parse(of("text"), &thing, "", &reason), 0);
	assert_string_equal(thing.text, "");
	assert_int_equal(field_parse(of("boot"), &thing, "menu", &reason), 0);
	assert_string_equal(thing.word_text, "menu");
	assert_int_equal(field_parse(of("boot"), &thing, "disk", &reason), 0);
	assert_string_equal(thing.word_text, "");
	assert_string_equal(reason.text, "untouched");
}

static void test_refuse(void **state)
{
	static const struct {
		const char *key, *value, *why;
	} bad[] = {
		{ "text", "eight by", "text: at most 7 bytes" },
		{ "flag", "maybe", "flag: expected no or yes" },
		{ "flag", "", "flag: expected no or yes" },
		{ "flag", "1", "flag: expected no or yes" },
		{ "block", "1024", "block: expected 4096 or 512" },
		{ "colour", "Red", "colour: expected red, green or blue" },
		{ "number", "7", "number: cannot be set" },
		{ "time", "7", "time: cannot be set" },
		{ "group", "lab", "group: cannot be set" },
	};
	struct thing thing = { .text = "before", .flag = true, .colour = BLUE }, before = thing;
	struct reason reason;

	(void)state;
	memcpy(&thing, &before, sizeof(thing));
	for (size_t i = 0; i < array_len(bad); i++) {
		assert_int_equal(field_parse(of(bad[i].key), &thing, bad[i].value, &reason), -EINVAL);
		assert_string_equal(reason.text, bad[i].why);
	}
	assert_memory_equal(&thing, &before, sizeof(thing));
	assert_null(field_by_key(things, "id")); /* shown, but not set */
	assert_null(field_by_key(things, ""));
	assert_null(field_by_key(things, "Colour"));
}

/* What every table has to be, so that JSON and PATCH can rely on it. */
static void check_table(const struct field *table)
{
	assert_string_equal(table[0].column, "id");
	for (const struct field *field = table; field->column; field++) {
		for (const struct field *other = table; other != field; other++) {
			assert_string_not_equal(other->column, field->column);
			assert_true(other->offset + other->size <= field->offset ||
				    field->offset + field->size <= other->offset);
			if (other->key && field->key)
				assert_string_not_equal(other->key, field->key);
			if (other->json && field->json)
				assert_string_not_equal(other->json, field->json);
		}
		if (field->kind == FIELD_WORD || field->kind == FIELD_BYTES_OF)
			assert_non_null(field->words);
		if (field->kind == FIELD_BOOL)
			assert_int_equal(field->size, sizeof(bool));
		if (field->kind == FIELD_NUMBER || field->kind == FIELD_TIME || field->kind == FIELD_REFERENCE)
			assert_int_equal(field->size, sizeof(int64_t));
		/* Who may change it, and what they set it by, go together. */
		assert_int_equal(field->key != NULL,
				 field->right == FIELD_BY_PEOPLE || field->right == FIELD_BY_PEOPLE_WHEN_OFF);
	}
}

static void test_tables(void **state)
{
	const struct field *field;

	(void)state;
	check_table(machine_fields);
	check_table(volume_fields);
	field = field_by_key(volume_fields, "physical-block");
	assert_int_equal(field->kind, FIELD_BYTES_OF);
	assert_int_equal(field->right, FIELD_BY_PEOPLE_WHEN_OFF);
	assert_string_equal(field_by_key(volume_fields, "quota")->nothing, "policy");
	assert_int_equal(field_by_key(machine_fields, "mode")->right, FIELD_BY_PEOPLE_WHEN_OFF);
	/* A machine's disk is its volume's matter. */
	assert_null(field_by_key(machine_fields, "quota"));
	assert_null(field_by_key(machine_fields, "size"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refuse),
		cmocka_unit_test(test_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
