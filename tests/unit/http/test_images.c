// SPDX-License-Identifier: GPL-2.0-or-later
/* The API of images: what may be named from afar, what is sent, empty ones, exports, versions and when they are published. */
#include "cmocka_all.h"
#include "fixture.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>

/* Over TCP, with a token: what this status is. */
static unsigned from_afar(struct fixture *f, const char *token, const char *method, const char *path, const char *body)
{
	char headers[256];
	struct answer answer;
	unsigned status;

	snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\nContent-Type: application/json\r\n", token);
	answer = ask(f, VIA_TCP, method, path, headers, body);
	status = answer.status;
	answer_free(&answer);
	return status;
}

static void test_files_that_may_be_named(void **state)
{
	struct fixture *f = *state;
	struct answer answer = ask(f, VIA_CONTROL, "POST", "/api/v1/tokens", "Content-Type: application/json\r\n",
				   "{\"name\": \"x\"}");
	json_t *made = answer_json(&answer);
	const char *token = text_of(made, "token");

	assert_int_equal(from_afar(f, token, "POST", "/api/v1/images", "{\"path\": \"/srv/a.qcow2\", \"name\": \"a\"}"),
			 403);
	assert_int_equal(from_afar(f, token, "POST", "/api/v1/exports",
				   "{\"image\": \"debian\", \"path\": \"/srv/a.vhdx\", \"format\": \"vhdx\"}"),
			 403);
	assert_int_equal(from_afar(f, token, "GET", "/api/v1/file-check?path=/srv/a.raw", NULL), 403);
	assert_string_equal(fake_boot.last_call, "");
	assert_int_equal(from_afar(f, token, "POST", "/api/v1/images", "{\"upload\": \"a.qcow2\", \"name\": \"a\"}"),
			 202);
	assert_string_equal(fake_boot.last_call, "upload a.qcow2 of 0 as a by token:x");
	json_decref(made);
	answer_free(&answer);
}

static void test_sent_in_pieces(void **state)
{
	struct fixture *f = *state;
	json_t *status;

	assert_int_equal(api_change(f, "POST", "/api/v1/images",
				    "{\"upload\": \"a\", \"path\": \"/a\", \"name\": \"a\"}"),
			 400);
	assert_int_equal(api_change(f, "POST", "/api/v1/images",
				    "{\"upload\": \"a\", \"name\": \"a\", \"size_bytes\": 10}"),
			 202);
	assert_int_equal(api_change(f, "PUT", "/api/v1/imports/7/data?offset=0", "12345"), 200);
	assert_int_equal(api_change(f, "PUT", "/api/v1/imports/7/data?offset=0", "12345"), 409);
	assert_int_equal(api_change(f, "PUT", "/api/v1/imports/7/data", "12345"), 400);
	assert_int_equal(api_change(f, "PUT", "/api/v1/imports/7/data?offset=x", "12345"), 400);
	assert_int_equal(api_change(f, "PUT", "/api/v1/imports/8/data?offset=0", "12345"), 404);
	status = api_get(f, "/api/v1/imports/7");
	assert_string_equal(text_of(status, "stage"), "receiving");
	assert_int_equal(json_integer_value(json_object_get(status, "bytes_done")), 5);
	json_decref(status);
	assert_int_equal(api_change(f, "POST", "/api/v1/imports/7/end", ""), 200);
	assert_int_equal(api_change(f, "POST", "/api/v1/imports/8/end", ""), 404);
}

static void test_empty_images(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(api_change(f, "POST", "/api/v1/images/empty", "{\"name\": \"windows\", \"size\": \"64G\"}"),
			 201);
	assert_string_equal(fake_boot.last_call, "create windows of 68719476736 by ctl");
	assert_int_equal(api_change(f, "POST", "/api/v1/images/empty", "{\"name\": \"windows\", \"size\": \"large\"}"),
			 400);
	assert_int_equal(api_change(f, "POST", "/api/v1/images/empty", "{\"name\": \"windows\"}"), 400);
}

static void test_exports(void **state)
{
	struct fixture *f = *state;
	json_t *job;

	assert_int_equal(
		api_change(f, "POST", "/api/v1/exports",
			   "{\"image\": \"debian@1\", \"path\": \"/srv/a.vhdx\", \"format\": \"vhdx\", \"force\": true}"),
		202);
	assert_string_equal(fake_boot.last_call, "export debian to /srv/a.vhdx as vhdx by force by ctl");
	job = api_get(f, "/api/v1/jobs/7");
	assert_string_equal(text_of(job, "kind"), "export");
	assert_int_equal(json_integer_value(json_object_get(job, "bytes_per_s")), 10);
	assert_int_equal(json_integer_value(json_object_get(job, "seconds_left")), 5);
	json_decref(job);
	/* It is no import. */
	job = api_get(f, "/api/v1/imports");
	assert_int_equal(json_array_size(json_object_get(job, "imports")), 0);
	json_decref(job);
	job = api_get(f, "/api/v1/jobs");
	assert_int_equal(json_array_size(json_object_get(job, "jobs")), 1);
	json_decref(job);
	assert_int_equal(api_change(f, "POST", "/api/v1/exports",
				    "{\"machine\": \"pc-001\", \"path\": \"/a\", \"format\": \"vhdx\"}"),
			 202);
	assert_string_equal(fake_boot.last_call, "export pc-001 to /a as vhdx by ctl");
	assert_int_equal(api_change(f, "POST", "/api/v1/exports",
				    "{\"image\": \"debian\", \"path\": \"/a\", \"format\": \"qed\"}"),
			 400);
	assert_int_equal(api_change(f, "POST", "/api/v1/exports", "{\"path\": \"/a\", \"format\": \"vhdx\"}"), 400);
	assert_int_equal(
		api_change(f, "POST", "/api/v1/exports",
			   "{\"image\": \"debian\", \"machine\": \"pc-001\", \"path\": \"/a\", \"format\": \"vhdx\"}"),
		400);
	assert_int_equal(api_change(f, "POST", "/api/v1/exports",
				    "{\"image\": \"none\", \"path\": \"/a\", \"format\": \"vhdx\"}"),
			 404);
	assert_int_equal(api_change(f, "POST", "/api/v1/exports",
				    "{\"image\": \"debian\", \"path\": \"a\", \"format\": \"vhdx\"}"),
			 400);
}

/* A version beside debian@1, which is published. */
static int add_second(struct inventory_tx *tx, void *arg)
{
	struct image_version version = { .number = 2, .state = VERSION_TEST, .size_bytes = 8 << 20 };

	(void)arg;
	strcpy(version.image, "debian");
	strcpy(version.file, "debian@2.raw");
	strcpy(version.format, "raw");
	return version_insert(tx, &version);
}

static json_int_t published(struct fixture *f)
{
	json_t *image = api_get(f, "/api/v1/images/debian");
	json_int_t number = json_integer_value(json_object_get(image, "published"));

	json_decref(image);
	return number;
}

static void test_versions(void **state)
{
	struct fixture *f = *state;
	json_t *image, *machine;

	assert_int_equal(inventory_do(f, add_second, NULL), 0);
	assert_int_equal(api_change(f, "POST", "/api/v1/images/debian@2/publish", ""), 200);
	machine = api_get(f, "/api/v1/machines/pc-001");
	assert_true(json_is_true(json_object_get(machine, "outdated")));
	assert_int_equal(json_integer_value(json_object_get(machine, "image_published")), 2);
	json_decref(machine);
	/* Back to the older one: it is not the highest number that counts. */
	assert_int_equal(api_change(f, "POST", "/api/v1/images/debian@1/publish", ""), 200);
	assert_int_equal(published(f), 1);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/images/debian@2",
				    "{\"state\": \"retired\", \"note\": \"slow\"}"),
			 200);
	image = api_get(f, "/api/v1/images/debian@2");
	assert_int_equal(json_integer_value(json_object_get(image, "published")), 1);
	assert_string_equal(text_of(json_array_get(json_object_get(image, "versions"), 0), "state"), "retired");
	assert_string_equal(text_of(json_array_get(json_object_get(image, "versions"), 0), "note"), "slow");
	json_decref(image);
	assert_int_equal(api_change(f, "POST", "/api/v1/images/debian@2/publish", ""), 409);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/images/debian@1", "{\"state\": \"retired\"}"), 400);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/images/debian@2", "{\"state\": \"published\"}"), 400);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/images/debian@2", "{\"state\": \"nice\"}"), 400);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/images/debian", "{\"note\": \"x\"}"), 400);
	assert_int_equal(api_change(f, "PATCH", "/api/v1/images/debian@9", "{\"note\": \"x\"}"), 404);
}

static void test_plans(void **state)
{
	struct fixture *f = *state;
	char body[64];
	json_t *image;

	assert_int_equal(inventory_do(f, add_second, NULL), 0);
	snprintf(body, sizeof(body), "{\"at_ms\": %lld}", (long long)time_unix_ms() + 3600000);
	assert_int_equal(api_change(f, "POST", "/api/v1/images/debian@2/publish", "{\"at_ms\": 1000}"), 400);
	assert_int_equal(api_change(f, "POST", "/api/v1/images/debian@2/publish", "{\"at_ms\": -1}"), 400);
	assert_int_equal(api_change(f, "POST", "/api/v1/images/debian@2/publish", "{\"at_ms\": 0}"), 404);
	assert_int_equal(fake_boot.looked_at_plans, 0);
	assert_int_equal(api_change(f, "POST", "/api/v1/images/debian@2/publish", body), 200);
	assert_int_equal(fake_boot.looked_at_plans, 1);
	image = api_get(f, "/api/v1/images/debian@2");
	assert_true(json_is_integer(
		json_object_get(json_array_get(json_object_get(image, "versions"), 0), "publish_at_ms")));
	json_decref(image);
	assert_int_equal(published(f), 1);
	assert_int_equal(api_change(f, "POST", "/api/v1/images/debian@2/publish", "{\"at_ms\": 0}"), 200);
	assert_int_equal(fake_boot.looked_at_plans, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files_that_may_be_named, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_sent_in_pieces, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_empty_images, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_exports, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_versions, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_plans, fixture_start_filled, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
