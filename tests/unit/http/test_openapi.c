// SPDX-License-Identifier: GPL-2.0-or-later
/* What openapi.json says of the API, against what the API does: every path, every answer of a GET, every body. */
#include "cmocka_all.h"
#include "fixture.h"

#include "base/util.h"
#include "http/routes.h"
#include "inventory/rollout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *document; /* read by each test of its server */

/* debian@2 comes to all machines, those that keep their disk too. */
static int add_rollout(struct inventory_tx *tx)
{
	struct image_version v = { .image = "debian",
				   .number = 2,
				   .state = VERSION_TEST,
				   .format = "raw",
				   .file = "debian@2.raw",
				   .size_bytes = 1 << 20 };
	struct rollout r = { .persistent = true, .step_count = 1, .steps = { { .percent = 100 } } };
	struct reason reason;
	int err = version_insert(tx, &v);

	r.version_id = v.id;
	return err ? err : rollout_begin(tx, &r, "test", &reason);
}

static int fill_more(struct inventory_tx *tx, void *arg)
{
	struct machine_group lab = { .name = "lab", .boot = "menu" };
	struct volume volume = { .kind = VOLUME_SHARED, .name = "tools", .backend = "files", .version_id = 1 };
	struct stage_record stage = {
		.machine_id = 1, .number = 1, .stage = STAGE_SCRIPT, .at_ms = 1000, .stuck_ms = 2000, .why = "because"
	};
	int err = group_insert(tx, &lab);

	(void)arg;
	if (!err)
		err = volume_insert(tx, &volume);
	if (!err)
		err = attachment_add(tx, 1, 7, volume.id);
	if (!err)
		err = stage_put(tx, &stage, false);
	if (!err)
		err = add_rollout(tx);
	return err ? err : stage_set_stuck(tx, &stage);
}

static int start(void **state)
{
	int err = fixture_start_filled(state);

	if (!err)
		err = inventory_do(*state, fill_more, NULL);
	if (!err)
		document = api_get(*state, "/api/v1/openapi.json");
	return err;
}

static int stop(void **state)
{
	json_decref(document);
	return fixture_stop(state);
}

/* "#/a/b" in the document. */
static const json_t *follow(const char *ref)
{
	const json_t *at = document;
	char path[256], *rest = path, *step;

	snprintf(path, sizeof(path), "%s", ref + 2);
	while (at && (step = strsep(&rest, "/")))
		at = json_object_get(at, step);
	if (!at)
		fail_msg("%s leads nowhere", ref);
	return at;
}

static bool type_fits(const json_t *type, const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "object", [JSON_ARRAY] = "array",  [JSON_STRING] = "string", [JSON_INTEGER] = "integer",
		[JSON_REAL] = "number",	  [JSON_TRUE] = "boolean", [JSON_FALSE] = "boolean", [JSON_NULL] = "null",
	};
	const char *is = names[json_typeof(value)];
	json_t *one;
	size_t i;

	if (json_is_string(type))
		return !strcmp(json_string_value(type), is);
	json_array_foreach(type, i, one)
		if (!strcmp(json_string_value(one), is))
			return true;
	return false;
}

static void expect_fit(const char *where, const json_t *schema, const json_t *value);

static void expect_object(const char *where, const json_t *schema, const json_t *value)
{
	const json_t *properties = json_object_get(schema, "properties"),
		     *more = json_object_get(schema, "additionalProperties");
	json_t *one;
	const char *key;
	size_t i;

	json_array_foreach(json_object_get(schema, "required"), i, one)
		if (!json_object_get(value, json_string_value(one)))
			fail_msg("%s: %s is missing", where, json_string_value(one));
	json_object_foreach((json_t *)(uintptr_t)value, key, one) {
		const json_t *property = json_object_get(properties, key);
		char deeper[256];

		snprintf(deeper, sizeof(deeper), "%s.%.32s", where, key);
		if (!property && json_is_false(more))
			fail_msg("%s is not described", deeper);
		if (property || more)
			expect_fit(deeper, property ? property : more, one);
	}
}

/* As much of JSON Schema as the document uses. */
static void expect_fit(const char *where, const json_t *schema, const json_t *value)
{
	const char *ref = json_string_value(json_object_get(schema, "$ref"));
	const json_t *any = json_object_get(schema, "anyOf");
	json_t *item;
	size_t i;

	if (ref) {
		expect_fit(where, follow(ref), value);
		return;
	}
	if (any) { /* what we have of it: X, or null */
		if (!json_is_null(value))
			expect_fit(where, json_array_get(any, 0), value);
		return;
	}
	if (!type_fits(json_object_get(schema, "type"), value))
		fail_msg("%s is of another kind than described", where);
	if (json_is_object(value))
		expect_object(where, schema, value);
	json_array_foreach(value, i, item)
		expect_fit(where, json_object_get(schema, "items"), item);
}

/* A path with what there is in the fixture. */
static void fill_in(const char *pattern, char *path, size_t size)
{
	static const char *const values[][2] = { { "{machine}", "pc-001" },
						 { "{group}", "lab" },
						 { "{image}", "debian@1" },
						 { "{import}", "7" },
						 { "{job}", "7" },
						 { "{volume}", "tools" },
						 { "{mac}", "52:54:00:00:01:01" },
						 { "/file-check", "/file-check?path=/srv/a.raw" } };
	size_t len = 0;

	while (*pattern && len + 1 < size) {
		bool filled = false;

		for (size_t i = 0; i < array_len(values) && !filled; i++)
			if (!strncmp(pattern, values[i][0], strlen(values[i][0]))) {
				len += (size_t)snprintf(path + len, size - len, "%s", values[i][1]);
				pattern += strlen(values[i][0]);
				filled = true;
			}
		if (!filled)
			path[len++] = *pattern++;
	}
	path[len] = '\0';
}

static const json_t *schema_in(const json_t *content)
{
	return json_object_get(json_object_get(json_object_get(content, "content"), "application/json"), "schema");
}

static void test_every_route_is_described(void **state)
{
	unsigned count = 0;

	(void)state;
	assert_string_equal(text_of(document, "openapi"), "3.1.0");
	for (const struct route *route = routes; route->pattern; route++) {
		char method[8] = "";
		const json_t *operation;

		if (strncmp(route->pattern, API_PATH "/", strlen(API_PATH "/")))
			continue;
		for (size_t i = 0; route->method[i]; i++)
			method[i] = (char)(route->method[i] | 0x20);
		operation =
			json_object_get(json_object_get(json_object_get(document, "paths"), route->pattern), method);
		if (!operation)
			fail_msg("%s %s is not described", route->method, route->pattern);
		assert_non_null(
			schema_in(json_object_iter_value(json_object_iter(json_object_get(operation, "responses")))));
		/* Who needs no login is said to. */
		assert_int_equal(json_is_array(json_object_get(operation, "security")), route->access == ACCESS_PUBLIC);
		count++;
	}
	assert_in_range(count, 40, 200);
}

/* Every GET is asked, and holds what is described: no more, no less. */
static void test_every_answer_is_as_described(void **state)
{
	struct fixture *f = *state;
	const struct route *route;
	unsigned asked = 0;
	const char *pattern;
	json_t *path;

	fake_boot.running = 1;
	assert_int_equal(api_change(f, "POST", "/api/v1/images", "{\"path\": \"/srv/a.qcow2\", \"name\": \"a\"}"), 202);
	json_object_foreach(json_object_get(document, "paths"), pattern, path) {
		const json_t *get = json_object_get(path, "get");
		char address[256];
		json_t *answer;

		if (!get)
			continue;
		fill_in(pattern, address, sizeof(address));
		answer = api_get(f, address);
		expect_fit(address, schema_in(json_object_get(json_object_get(get, "responses"), "200")), answer);
		json_decref(answer);
		asked++;
	}
	for (route = routes; route->pattern; route++)
		asked -= route->answer && !strcmp(route->method, "GET");
	assert_int_equal(asked, 0);
	json_decref(document);
	document = api_get(f, "/api/v1/openapi.json"); /* borrowed above */
	path = api_get(f, "/api/v1/machines/pc-001?secrets=1");
	expect_fit("secrets", follow("#/components/schemas/Machine"), path);
	json_decref(path);
}

static void expect_refused(struct fixture *f, const char *method, const char *path, const char *body, const char *words)
{
	struct answer answer = ask(f, VIA_CONTROL, method, path, "", body);

	if (answer.status != 400 || !strstr(answer.body, words))
		fail_msg("%s %s %s: %u %s", method, path, body, answer.status, answer.body);
	answer_free(&answer);
}

/* A key that is not described, or is of another kind, and one that is missing: each body of each route. */
static void test_bodies_are_held_to_what_is_described(void **state)
{
	static const char *const methods[] = { "post", "patch", "delete" };
	struct fixture *f = *state;
	unsigned bodies = 0;
	const char *pattern;
	json_t *path;

	json_object_foreach(json_object_get(document, "paths"), pattern, path) {
		for (size_t i = 0; i < array_len(methods); i++) {
			const json_t *content = json_object_get(json_object_get(path, methods[i]), "requestBody"),
				     *schema;
			const char *method = i == 0 ? "POST" : i == 1 ? "PATCH" : "DELETE", *first;
			char address[256], body[256];

			if (!content)
				continue;
			schema = follow(text_of(schema_in(content), "$ref"));
			fill_in(pattern, address, sizeof(address));
			if (json_is_false(json_object_get(schema, "additionalProperties")))
				expect_refused(f, method, address, "{\"no-such-key\": 1}", "no-such-key");
			first = json_string_value(json_array_get(json_object_get(schema, "required"), 0));
			if (first) {
				expect_refused(f, method, address, "{}", first);
				snprintf(body, sizeof(body), "{\"%s\": {}}", first);
				expect_refused(f, method, address, body, first);
				expect_refused(f, method, address, "{}", "missing");
			}
			bodies++;
		}
	}
	assert_in_range(bodies, 12, 100);
	assert_string_equal(fake_boot.last_call, "");
	/* What may be missing may be null; a kind that is one of several is taken. */
	assert_int_equal(api_change(f, "POST", "/api/v1/volumes",
				    "{\"machine\": \"pc-001\", \"size\": 1073741824, \"name\": null}"),
			 404); /* the fake makes none; it was asked */
	assert_non_null(strstr(fake_boot.last_call, "pc-001"));
	expect_refused(f, "POST", "/api/v1/volumes", "{\"size\": true}", "size: expected a text or a whole number");
	expect_refused(f, "POST", "/api/v1/machines/approve", "{\"all\": \"yes\"}", "all: expected true or false");
	expect_refused(f, "POST", "/api/v1/machines/approve", "{\"macs\": \"x\"}", "macs: expected a list");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_route_is_described, start, stop),
		cmocka_unit_test_setup_teardown(test_every_answer_is_as_described, start, stop),
		cmocka_unit_test_setup_teardown(test_bodies_are_held_to_what_is_described, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
