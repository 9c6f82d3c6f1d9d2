// SPDX-License-Identifier: GPL-2.0-or-later
/* Bodies checked against their schema: see schema.h. */
#include "http/schema.h"

#include "base/buf.h"
#include "base/util.h"
#include "http/request.h"
#include "http/routes.h"

#include <string.h>

enum { MESSAGE_MAX = 900 };

/* What a field of a record is in JSON; json.c makes it. */
static unsigned kinds_of_field(const struct field *field)
{
	switch (field->kind) {
	case FIELD_TEXT:
		return field->nothing ? TEXT : TEXT | NOTHING;
	case FIELD_TIME:
		return NUMBER | NOTHING;
	case FIELD_BOOL:
		return BOOL;
	case FIELD_WORD:
		return TEXT;
	default:
		return NUMBER;
	}
}

void schema_each(const struct schema *schema, void (*each)(void *arg, const struct schema_member *member), void *arg)
{
	for (const struct field *field = schema->fields; field && field->column; field++) {
		struct schema_member member = { .name = field->json, .kinds = kinds_of_field(field) };

		/* What answers have may be sent back; people write texts, "no" for false. */
		if (schema->set)
			member = (struct schema_member){
				.name = field->key ? field->json ? field->json : field->key : NULL,
				.kinds = member.kinds | TEXT | OPTIONAL | (field->kind == FIELD_TEXT ? NUMBER : 0)
			};
		if (member.name)
			each(arg, &member);
	}
	for (const struct schema_member *member = schema->members; member && member->name; member++)
		each(arg, member);
}

struct check {
	struct request *request;
	const struct schema *schema;
	const char *key; /* that is looked for */
	bool found, fits;
	struct buf known;
};

static unsigned kind_of(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		return TEXT;
	case JSON_INTEGER:
		return NUMBER;
	case JSON_TRUE:
	case JSON_FALSE:
		return BOOL;
	case JSON_NULL:
		return NOTHING;
	case JSON_ARRAY:
		return LIST;
	case JSON_OBJECT:
		return OBJECT;
	default:
		return 0;
	}
}

/* "a text or a number". */
static const char *kinds_text(unsigned kinds, char *out, size_t out_size)
{
	static const struct {
		unsigned kind;
		const char *words;
	} names[] = { { TEXT, "a text" }, { NUMBER, "a whole number" }, { BOOL, "true or false" }, { LIST, "a list" } };
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < array_len(names); i++)
		if ((kinds & names[i].kind) && len < out_size)
			len += (size_t)snprintf(out + len, out_size - len, "%s%s", len ? " or " : "", names[i].words);
	return out;
}

static const char *example_of(const struct schema *schema, char *out, size_t out_size)
{
	snprintf(out, out_size, "%s%s", schema->example ? "for example " : "", schema->example ? schema->example : "");
	return out;
}

/* "boot_once" and, as people write it, "boot-once" are the same key. */
static bool same_key(const char *a, const char *b)
{
	while (*a && (*a == *b || (*a == '_' && *b == '-') || (*a == '-' && *b == '_'))) {
		a++;
		b++;
	}
	return *a == *b;
}

static const json_t *find_value(const json_t *object, const char *name)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
		if (same_key(key, name))
			return value;
	return NULL;
}

/* Null is as good as missing. */
static void check_member(void *arg, const struct schema_member *member)
{
	struct check *check = arg;
	const json_t *value = find_value(check->request->json, member->name);
	unsigned kinds = member->kinds | (member->kinds & OPTIONAL ? NOTHING : 0);
	char words[128], example[512];

	if (check->fits && value && !(kind_of(value) & kinds)) {
		reply_error(check->request, 400, example_of(check->schema, example, sizeof(example)), "%s: expected %s",
			    member->name, kinds_text(kinds, words, sizeof(words)));
		check->fits = false;
	} else if (check->fits && !value && !(kinds & OPTIONAL)) {
		reply_error(check->request, 400, example_of(check->schema, example, sizeof(example)),
			    "\"%s\" is missing", member->name);
		check->fits = false;
	}
}

static void look_for_key(void *arg, const struct schema_member *member)
{
	struct check *check = arg;

	check->found = check->found || same_key(member->name, check->key);
	buf_printf(&check->known, "%s%s", check->known.len ? ", " : "", member->name);
}

static bool keys_are_known(struct check *check)
{
	const char *key;
	json_t *value;

	json_object_foreach(check->request->json, key, value) {
		check->key = key;
		check->found = false;
		buf_init(&check->known, MESSAGE_MAX);
		schema_each(check->schema, look_for_key, check);
		if (!check->found)
			reply_error(check->request, 400, "", "there is no key \"%.64s\" here, only: %s", key,
				    buf_text(&check->known));
		buf_fini(&check->known);
		if (!check->found)
			return false;
	}
	return true;
}

bool schema_take_body(struct request *request)
{
	const struct schema *schema = request->route->takes;
	struct check check = { .request = request, .schema = schema, .fits = true };

	if (!schema || !schema->name || !strcmp(request->method, "GET") || !strcmp(request->method, "HEAD"))
		return true;
	request->json = request_json(request);
	if (!request->json)
		return false;
	if (!schema->open && !keys_are_known(&check))
		return false;
	schema_each(schema, check_member, &check);
	return check.fits;
}
