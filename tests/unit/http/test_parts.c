// SPDX-License-Identifier: GPL-2.0-or-later
/* The parts that need no socket: text of peers, routes, the limiter, requests, what a machine asks. */
#include "cmocka_all.h"

#include "base/util.h"
#include "http/script_paths.h"
#include "http/core.h"
#include "http/json.h"
#include "http/limiter.h"
#include "http/routes.h"
#include "http/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void test_text_clean(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain", "plain" },
		{ "a\tb\nc\x7f", "a?b?c?" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\xff\xfe", "?"
			      "?" },
		{ "\xc0\x80", "??" },		/* overlong */
		{ "\xed\xa0\x80", "???" },	/* surrogate */
		{ "\xf4\x90\x80\x80", "????" }, /* beyond U+10FFFF */
		{ "x\xe2\x82", "x??" },		/* cut off */
		{ "\xc3", "?" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		char text[32];

		strcpy(text, cases[i].in);
		assert_string_equal(http_text_clean(text), cases[i].out);
	}
}

static void test_text_json_never_fails(void **state)
{
	char bytes[3] = "";

	(void)state;
	for (int a = 1; a < 256; a++) {
		for (int b = 1; b < 256; b++) {
			json_t *value;

			bytes[0] = (char)a;
			bytes[1] = (char)b;
			value = http_text_json(bytes);
			assert_non_null(value);
			json_decref(value);
		}
	}
}

static void test_text_copy_cuts_between_characters(void **state)
{
	char out[4];

	(void)state;
	http_text_copy(out, sizeof(out), "abcdef");
	assert_string_equal(out, "abc");
	http_text_copy(out, sizeof(out), "ab\xc3\xa4");
	assert_string_equal(out, "ab");
	http_text_copy(out, sizeof(out), "a\xc3\xa4");
	assert_string_equal(out, "a\xc3\xa4");
}

static void test_hosts(void **state)
{
	static const char *const good[] = { "a",     "pc.example.org", "10.0.0.1", "10.0.0.1:8080",
					    "[::1]", "[fe80::1]:80",   "x:0",	   "under_score" };
	static const char *const bad[] = { "",	 "\"\"\"\"", "a b", "a/b",   "a:",  "a:65536", "a:1x",	 "[::1",
					   "[]", "[::1]x",   "a@b", "a:1:2", "<b>", "a\\",     "[g::1]", "'" };

	(void)state;
	for (size_t i = 0; i < array_len(good); i++)
		assert_true(http_text_is_host(good[i]));
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(http_text_is_host(bad[i]));
	assert_true(http_text_same_origin("http://pc:8080", "PC:8080"));
	assert_false(http_text_same_origin("http://pc:8081", "pc:8080"));
	assert_true(http_text_same_origin("https://pc:8080", "pc:8080")); /* a proxy before us ends TLS */
	assert_false(http_text_same_origin("https://pc", "pc:8080"));
	assert_false(http_text_same_origin("ftp://pc:8080", "pc:8080"));
	assert_false(http_text_same_origin("null", "pc:8080"));
}

static void test_cookies(void **state)
{
	char out[8];

	(void)state;
	assert_true(http_text_cookie("s=abc", "s", out, sizeof(out)));
	assert_string_equal(out, "abc");
	assert_true(http_text_cookie("x=1; ss=2; s=3; y=4", "s", out, sizeof(out)));
	assert_string_equal(out, "3");
	assert_false(http_text_cookie("x=1; ss=2", "s", out, sizeof(out)));
	assert_false(http_text_cookie("s=", "s", out, sizeof(out)));
	assert_false(http_text_cookie("s=12345678", "s", out, sizeof(out)));
	assert_false(http_text_cookie(";;; ;", "s", out, sizeof(out)));
	assert_false(http_text_cookie("", "s", out, sizeof(out)));
}

static void test_paths_that_climb(void **state)
{
	static const char *const bad[] = { "..", "../a", "a/..", "a/../b", "a//..", "/.." };
	static const char *const good[] = {
		"", ".", "...", "..a", "a..", "a/..b", "a/.", "a b", "a\\..\\b", ".treeinfo"
	};

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++)
		assert_true(http_text_path_climbs(bad[i]));
	for (size_t i = 0; i < array_len(good); i++)
		assert_false(http_text_path_climbs(good[i]));
}

static void test_limiter(void **state)
{
	struct limiter *limiter = limiter_new();
	uint64_t now = 1000000;

	(void)state;
	for (int i = 0; i < LIMITER_BURST; i++)
		assert_int_equal(limiter_try(limiter, "10.0.0.1", now), 0);
	assert_int_equal(limiter_try(limiter, "10.0.0.1", now), LIMITER_REFILL_MS / 1000);
	assert_int_equal(limiter_try(limiter, "10.0.0.2", now), 0); /* another one is not concerned */
	assert_int_equal(limiter_try(limiter, "10.0.0.1", now + LIMITER_REFILL_MS - 1), 1);
	assert_int_equal(limiter_try(limiter, "10.0.0.1", now + LIMITER_REFILL_MS), 0);
	assert_int_not_equal(limiter_try(limiter, "10.0.0.1", now + LIMITER_REFILL_MS), 0);
	limiter_forget(limiter, "10.0.0.1");
	assert_int_equal(limiter_try(limiter, "10.0.0.1", now + LIMITER_REFILL_MS), 0);
	/* A /64 is one address. */
	for (int i = 0; i < LIMITER_BURST; i++)
		assert_int_equal(limiter_try(limiter, i % 2 ? "2001:db8::1" : "2001:db8::2:2", now), 0);
	assert_int_not_equal(limiter_try(limiter, "2001:db8::3", now), 0);
	assert_int_equal(limiter_try(limiter, "2001:db8:0:1::3", now), 0);
	/* Many addresses do not make it grow or forget how to refuse. */
	for (int i = 0; i < 5000; i++) {
		char address[32];

		snprintf(address, sizeof(address), "10.1.%d.%d", i / 250, i % 250);
		assert_int_equal(limiter_try(limiter, address, now + 2 * LIMITER_REFILL_MS + (uint64_t)i), 0);
	}
	limiter_free(limiter);
}

/* ---- requests without a connection ---- */

static struct request *make_request(struct http *http, unsigned serves)
{
	pthread_mutex_init(&http->lock, NULL);
	http->refs = 2; /* never freed by a request */
	http->routes = routes;
	return request_new(http, serves);
}

static unsigned find_status(unsigned serves, const char *method, const char *path)
{
	struct http http = { 0 };
	struct request *request = make_request(&http, serves);
	const struct route *route = route_find(request, method, path);
	unsigned status = route ? 200 : request->reply.status;

	request_unref(request);
	return status;
}

static void test_routes(void **state)
{
	struct http http = { 0 };
	struct request *request = make_request(&http, SERVES_CONTROL);
	const struct route *route;
	char path[400] = "/api/v1/machines/";

	(void)state;
	route = route_find(request, "DELETE", "/api/v1/machines/pc-001/macs/52:54:00:00:00:01");
	assert_non_null(route);
	assert_ptr_equal(route->handle, handle_machine_mac_remove);
	assert_string_equal(request->params[0], "pc-001");
	assert_string_equal(request->params[1], "52:54:00:00:00:01");
	route = route_find(request, "POST", "/api/v1/machines/approve");
	assert_ptr_equal(route->handle, handle_approve);
	route = route_find(request, "GET", "/api/v1/machines/approve"); /* a machine may be called so */
	assert_ptr_equal(route->handle, handle_machine);
	assert_null(route_find(request, "PUT", "/api/v1/machines"));
	assert_int_equal(request->reply.status, 405);
	assert_string_equal(request->reply.allow, "GET, POST");
	request_unref(request);

	assert_int_equal(find_status(SERVES_BOOT, "GET", "/boot"), 200);
	assert_int_equal(find_status(SERVES_BOOT, "HEAD", "/boot"), 405);
	assert_int_equal(find_status(SERVES_BOOT, "GET", "/api/v1/status"), 404);
	assert_int_equal(find_status(SERVES_WEB, "GET", "/boot"), 404);
	assert_int_equal(find_status(SERVES_WEB, "GET", "/api/v1/machines/"), 404);
	assert_int_equal(find_status(SERVES_WEB, "GET", "/api/v1/machines/a/b"), 404);
	assert_int_equal(find_status(SERVES_WEB, "GET", "//"), 404);
	assert_int_equal(find_status(SERVES_WEB, "GET", ""), 404);
	assert_int_equal(find_status(SERVES_WEB, "BREW", "/"), 405);
	memset(path + strlen(path), 'a', 300);
	path[399] = '\0';
	assert_int_equal(find_status(SERVES_WEB, "GET", path), 414);
}

static void test_arguments(void **state)
{
	struct http http = { 0 };
	struct request *request = make_request(&http, SERVES_BOOT);
	char large[REQUEST_ARG_BYTES + 2];
	int64_t number;

	(void)state;
	memset(large, 'x', sizeof(large));
	assert_int_equal(request_add_arg(request, "a", large, REQUEST_ARG_BYTES + 1), -E2BIG);
	assert_int_equal(request_add_arg(request, "a", "b\0c", 3), -EINVAL);
	assert_int_equal(request_add_arg(request, "a", "1", 1), 0);
	assert_int_equal(request_add_arg(request, "a", "2", 1), 0);
	assert_int_equal(request_add_arg(request, "n", "-5", 2), 0);
	assert_int_equal(request_add_arg(request, "bad", "5x", 2), 0);
	assert_string_equal(request_arg(request, "a"), "1");
	assert_null(request_arg(request, "b"));
	assert_true(request_arg_number(request, "n", 0, -10, 10, &number));
	assert_int_equal(number, -5);
	assert_true(request_arg_number(request, "missing", 7, 0, 10, &number));
	assert_int_equal(number, 7);
	assert_false(request_arg_number(request, "n", 0, 0, 10, &number));
	assert_int_equal(request->reply.status, 400);
	assert_false(request_arg_number(request, "bad", 0, 0, 10, &number));
	for (int i = 0; i < REQUEST_ARGS_MAX - 4; i++)
		assert_int_equal(request_add_arg(request, "x", "", 0), 0);
	assert_int_equal(request_add_arg(request, "x", "", 0), -E2BIG);
	request_unref(request);
}

/* What %FFFFFFxx is by now: a byte FF, then FFFFxx. */
static void test_bytes_of_old_ipxe(void **state)
{
	static const struct {
		const char *given, *wanted;
	} cases[] = {
		{ "\xff"
		  "FFFFC3"
		  "\xff"
		  "FFFFBC",
		  "\xc3\xbc" },
		{ "a\xff"
		  "ffffe4b",
		  "a\xe4"
		  "b" },
		{ "\xff"
		  "FFFF80",
		  "\x80" },
		{ "\xff"
		  "FFFF7F",
		  "\xff"
		  "FFFF7F" }, /* no byte that would be written so */
		{ "\xff"
		  "FFFFC",
		  "\xff"
		  "FFFFC" },
		{ "\xff"
		  "FFFF",
		  "\xff"
		  "FFFF" },
		{ "\xff"
		  "FFFG80",
		  "\xff"
		  "FFFG80" },
		{ "\xff"
		  "FFFFFF"
		  "FFFFC3",
		  "\xc3" }, /* twice: as chain sends it. Not more often: */
		{ "\xff"
		  "FFFFFF"
		  "FFFFFF"
		  "FFFFC3",
		  "\xff"
		  "FFFFC3" },
		{ "FFFFC3", "FFFFC3" },
		{ "", "" },
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		snprintf(text, sizeof(text), "%s", cases[i].given);
		http_text_join_ipxe_bytes(text);
		assert_string_equal(text, cases[i].wanted);
	}
}

static void test_bodies(void **state)
{
	static const char *const bad[] = { "{", "[]", "1", "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}", "{} x", "null" };
	struct http http = { 0 };

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++) {
		struct request *request = make_request(&http, SERVES_WEB);

		buf_add_string(&request->body, bad[i]);
		assert_null(request_json(request));
		assert_int_equal(request->reply.status, 400);
		request_unref(request);
	}
}

static void test_errors_are_json_whatever_they_say(void **state)
{
	struct http http = { 0 };
	struct request *request = make_request(&http, SERVES_WEB);
	json_t *json;

	(void)state;
	reply_error(request, 409, "a \"hint\"", "bad %s", "\xff\"\\\x01");
	json = json_loads(buf_text(&request->reply.body), 0, NULL);
	assert_string_equal(json_string_value(json_object_get(json, "error")), "bad ?\"\\?");
	assert_string_equal(json_string_value(json_object_get(json, "hint")), "a \"hint\"");
	json_decref(json);
	assert_int_equal(reply_status_of(-ENOENT), 404);
	assert_int_equal(reply_status_of(-EBUSY), 409);
	assert_int_equal(reply_status_of(-ENOSPC), 507);
	assert_int_equal(reply_status_of(-EIO), 500);
	request_unref(request);
}

static void test_what_a_machine_asks(void **state)
{
	struct http http = { 0 };
	struct request *request = make_request(&http, SERVES_BOOT);
	static const char *const others[] = { "manufacturer", "product", "asset",   "platform",
					      "buildarch",    "version", "attempt", "choose" };
	struct boot_ask ask;
	char long_serial[500];

	(void)state;
	memset(long_serial, 'S', sizeof(long_serial));
	request_add_arg(request, "mac", "52-54-00-12-34-56", 17);
	request_add_arg(request, "serial", long_serial, sizeof(long_serial));
	request_add_arg(request, "error", "", 0);
	request_add_arg(request, "errno", "2d0c613b", 8);
	for (size_t i = 0; i < array_len(others); i++)
		request_add_arg(request, others[i], others[i], strlen(others[i]));
	http_make_ask(request, &ask);
	assert_string_equal(ask.manufacturer, "manufacturer");
	assert_string_equal(ask.product, "product");
	assert_string_equal(ask.asset, "asset");
	assert_string_equal(ask.platform, "platform");
	assert_string_equal(ask.buildarch, "buildarch");
	assert_string_equal(ask.version, "version");
	assert_string_equal(ask.attempt, "attempt");
	assert_string_equal(ask.choose, "choose");
	assert_string_equal(ask.mac, "52-54-00-12-34-56");
	assert_int_equal(strlen(ask.serial), SERIAL_TEXT - 1);
	assert_string_equal(ask.error, "2d0c613b");
	assert_string_equal(ask.uuid, "");
	request_unref(request);
}

static void test_sessions(void **state)
{
	struct boot_session session = { .boot = 4, .bytes_read = 1, .bytes_written = 2, .commands = 3, .since_ms = 5 };
	json_t *json = api_session_json(&session);

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(json, "boot")), 4);
	assert_int_equal(json_integer_value(json_object_get(json, "bytes_read")), 1);
	assert_int_equal(json_integer_value(json_object_get(json, "bytes_written")), 2);
	assert_int_equal(json_integer_value(json_object_get(json, "commands")), 3);
	assert_int_equal(json_integer_value(json_object_get(json, "since_ms")), 5);
	json_decref(json);
}

static void test_records_with_strange_text(void **state)
{
	struct machine machine = { .id = 1 };
	struct event event = { .id = 3 };
	struct waiting waiting = { .number = 2 };
	struct image_version version = { .number = 1 };
	json_t *json;

	(void)state;
	strcpy(machine.name, "pc");
	strcpy(machine.product, "\xff\xfe<script>");
	strcpy(machine.note, "line\nbreak");
	json = api_machine_json(&machine);
	assert_string_equal(json_string_value(json_object_get(json, "product")), "?"
										 "?<script>");
	assert_string_equal(json_string_value(json_object_get(json, "access")), "one");
	assert_int_equal(json_integer_value(json_object_get(json, "physical_block")), 4096);
	assert_string_equal(json_string_value(json_object_get(json, "quota")), "policy");
	json_decref(json);
	machine.access_many = machine.system.physical_512 = machine.multipath = machine.no_gateway = true;
	json = api_machine_json(&machine);
	assert_string_equal(json_string_value(json_object_get(json, "access")), "many");
	assert_int_equal(json_integer_value(json_object_get(json, "physical_block")), 512);
	assert_true(json_is_true(json_object_get(json, "multipath")));
	assert_true(json_is_true(json_object_get(json, "no_gateway")));
	json_decref(json);
	strcpy(event.text, "\x80");
	json = api_event_json(&event);
	assert_non_null(json);
	json_decref(json);
	strcpy(waiting.serial, "\xc3");
	json = api_waiting_json(&waiting);
	assert_non_null(json);
	json_decref(json);
	strcpy(version.image, "debian");
	strcpy(version.warnings, "one\ntwo\n");
	json = api_version_json(&version, 5);
	assert_int_equal(json_array_size(json_object_get(json, "warnings")), 2);
	assert_string_equal(json_string_value(json_object_get(json, "name")), "debian@1");
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_clean),
		cmocka_unit_test(test_text_json_never_fails),
		cmocka_unit_test(test_text_copy_cuts_between_characters),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_paths_that_climb),
		cmocka_unit_test(test_limiter),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_bytes_of_old_ipxe),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_errors_are_json_whatever_they_say),
		cmocka_unit_test(test_what_a_machine_asks),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_records_with_strange_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
