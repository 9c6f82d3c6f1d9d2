// SPDX-License-Identifier: GPL-2.0-or-later
/* Who may what: the one-time address, logins, cookies and other sites, tokens, the control socket. */
#include "cmocka_all.h"
#include "fixture.h"

#include "base/secret.h"
#include "base/util.h"
#include "http/auth.h"
#include "http/limiter.h"
#include "inventory/db.h"
#include "inventory/token.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned status_of(struct fixture *f, enum via via, const char *method, const char *path, const char *headers,
			  const char *body)
{
	struct answer answer = ask(f, via, method, path, headers, body);
	unsigned status = answer.status;

	answer_free(&answer);
	return status;
}

/* The body of a request with the token of the one-time address. */
static void setup_body(struct fixture *f, const char *password, char out[256])
{
	const char *token = strstr(http_setup_url(f->http), "token=");

	assert_non_null(token);
	snprintf(out, 256, "{\"token\": \"%s\", \"password\": \"%s\"}", token + 6, password);
}

/* "Cookie: ...\r\n" of an answer. */
static void cookie_of(const struct answer *answer, char out[256])
{
	char *set = answer_header(answer, "Set-Cookie");

	assert_non_null(set);
	assert_non_null(strstr(set, "HttpOnly"));
	assert_non_null(strstr(set, "SameSite=Strict"));
	snprintf(out, 256, "Cookie: other=1; %.*s\r\n", (int)strcspn(set, ";"), set);
	free(set);
}

static void set_up(struct fixture *f, char cookie[256])
{
	struct answer answer;
	char body[256];

	setup_body(f, "correct horse", body);
	answer = ask(f, VIA_TCP, "POST", "/api/v1/setup", "", body);
	assert_int_equal(answer.status, 200);
	cookie_of(&answer, cookie);
	answer_free(&answer);
}

static void test_the_one_time_address_works_once(void **state)
{
	struct fixture *f = *state;
	char body[256], path[128], cookie[256], large[512];

	snprintf(path, sizeof(path), "/setup?token=%s", strstr(http_setup_url(f->http), "token=") + 6);
	assert_int_equal(status_of(f, VIA_TCP, "GET", path, "", NULL), 200);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/setup?token=wrong", "", NULL), 410);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/setup", "",
				   "{\"token\": \"\", \"password\": \"correct horse\"}"),
			 403);
	setup_body(f, "short", body);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/setup", "", body), 400);
	snprintf(large, sizeof(large), "{\"token\": \"%s\", \"password\": \"%0257d\"}",
		 strstr(http_setup_url(f->http), "token=") + 6, 1);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/setup", "", large), 400);
	setup_body(f, "another one", body);
	set_up(f, cookie);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/setup", "", body), 403);
	assert_int_equal(status_of(f, VIA_TCP, "GET", path, "", NULL), 410);
	assert_string_equal(http_setup_url(f->http), "");
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", cookie, NULL), 200);
}

/* One that was printed before somebody else set the password, and one that would be printed after it. */
static void test_the_password_is_set_once(void **state)
{
	struct fixture *f = *state, before = *f, after = *f;
	struct endpoint any;
	struct http_config config = { .inventory = f->inventory, .boot_endpoints = &any, .boot_endpoint_count = 1 };
	char body[256], cookie[256];
	struct reason reason = { "" };

	parse_endpoint("127.0.0.1:0", &any);
	assert_int_equal(http_start(&config, &before.http, &reason), 0);
	snprintf(before.address, sizeof(before.address), "%s", http_address(before.http));
	setup_body(&before, "another one", body);
	set_up(f, cookie);
	assert_int_equal(status_of(&before, VIA_TCP, "POST", "/api/v1/setup", "", body), 409);
	http_stop(before.http);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/login", "", "{\"password\": \"correct horse\"}"), 200);
	assert_int_equal(http_start(&config, &after.http, &reason), 0);
	assert_string_equal(http_setup_url(after.http), "");
	http_stop(after.http);
}

/* The title of GET /login. */
static void expect_page(struct fixture *f, const char *headers, unsigned status, const char *title)
{
	struct answer answer = ask(f, VIA_TCP, "GET", "/login", headers, NULL);

	assert_int_equal(answer.status, status);
	if (!strstr(answer.body, title))
		fail_msg("no %s in %s", title, answer.body);
	answer_free(&answer);
}

static void test_login_page(void **state)
{
	struct fixture *f = *state;
	char cookie[256];

	expect_page(f, "", 200, "<title>No password yet");
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/", "", NULL), 303);
	set_up(f, cookie);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/", "", NULL), 303);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/", cookie, NULL), 200);
	expect_page(f, "", 200, "<title>Log in");
	expect_page(f, cookie, 303, "");
}

/* Whatever path it is: nobody who is not logged in gets an answer. */
static void test_the_api_is_closed(void **state)
{
	static const char *const requests[][2] = {
		{ "POST", "logout" },
		{ "POST", "password" },
		{ "POST", "tokens" },
		{ "DELETE", "tokens" },
		{ "GET", "tokens" },
		{ "DELETE", "tokens/1" },
		{ "GET", "status" },
		{ "GET", "policy" },
		{ "PATCH", "policy" },
		{ "GET", "retention" },
		{ "POST", "retention" },
		{ "GET", "events" },
		{ "GET", "waiting" },
		{ "GET", "groups" },
		{ "POST", "groups" },
		{ "GET", "groups/x" },
		{ "PATCH", "groups/x" },
		{ "DELETE", "groups/x" },
		{ "GET", "images" },
		{ "POST", "images" },
		{ "GET", "imports" },
		{ "GET", "imports/7" },
		{ "DELETE", "imports/7" },
		{ "PUT", "imports/7/data?offset=0" },
		{ "POST", "imports/7/end" },
		{ "POST", "images/empty" },
		{ "GET", "jobs" },
		{ "GET", "jobs/7" },
		{ "DELETE", "jobs/7" },
		{ "POST", "exports" },
		{ "GET", "images/x" },
		{ "DELETE", "images/x" },
		{ "PATCH", "images/x" },
		{ "POST", "images/x/publish" },
		{ "POST", "images/x/default" },
		{ "GET", "machines" },
		{ "POST", "machines/approve" },
		{ "POST", "machines/deny" },
		{ "GET", "machines/x" },
		{ "PATCH", "machines/x" },
		{ "DELETE", "machines/x" },
		{ "POST", "machines/x/release" },
		{ "POST", "machines/x/reset" },
		{ "POST", "machines/x/swap" },
		{ "POST", "machines/x/macs" },
		{ "DELETE", "machines/x/macs/52:54:00:00:00:01" },
		{ "HEAD", "machines/x" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < array_len(requests); i++) {
		char path[128];
		unsigned status;

		snprintf(path, sizeof(path), "/api/v1/%s", requests[i][1]);
		status = status_of(f, VIA_TCP, requests[i][0], path, "X-Sanbootd: 1\r\n", NULL);
		if (status != 401)
			fail_msg("%s %s: %u", requests[i][0], path, status);
	}
	assert_string_equal(fake_boot.last_call, "");
}

struct kept {
	char hash[AUTH_HASH_TEXT];
	int64_t hours; /* from now */
};

static int check_later(struct inventory_tx *tx, void *arg)
{
	struct kept *kept = arg;
	struct token token;

	tx->now_ms += kept->hours * 3600 * 1000;
	return token_find(tx, kept->hash, &token);
}

static void test_logins_end(void **state)
{
	struct fixture *f = *state;
	struct kept kept = { .hours = 11 };
	char cookie[256], session[AUTH_TOKEN_CHARS + 1];
	unsigned char digest[32];

	set_up(f, cookie);
	snprintf(session, sizeof(session), "%s", strstr(cookie, "session=") + 8);
	assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, session, strlen(session), digest), 0);
	secret_hex(kept.hash, digest, sizeof(digest));
	assert_int_equal(inventory_do(f, check_later, &kept), 0);
	kept.hours = 13;
	assert_int_equal(inventory_do(f, check_later, &kept), -ENOENT);
}

static void test_no_default_password(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/login", "", "{\"password\": \"\"}"), 403);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/login", "", "{\"password\": \"admin\"}"), 403);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/login", "", "{}"), 400);
}

static void test_login_and_logout(void **state)
{
	struct fixture *f = *state;
	char cookie[256], second[256];
	struct answer answer;

	set_up(f, cookie);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/login", "", "{\"password\": \"wrong\"}"), 401);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/login", "", "{\"password\": 5}"), 400);
	answer = ask(f, VIA_TCP, "POST", "/api/v1/login", "", "{\"password\": \"correct horse\"}");
	assert_int_equal(answer.status, 200);
	cookie_of(&answer, second);
	answer_free(&answer);
	assert_string_not_equal(cookie, second);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/", second, NULL), 200);
	strcat(second, "X-Sanbootd: 1\r\n");
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/logout", second, "{}"), 200);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", second, NULL), 401);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", cookie, NULL), 200);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", "Cookie: sanbootd_session=aaaa\r\n", NULL),
			 401);
}

static void test_other_sites_change_nothing(void **state)
{
	struct fixture *f = *state;
	static const char path[] = "/api/v1/machines/pc-001/release";
	char cookie[256], headers[512];

	set_up(f, cookie);
	assert_int_equal(status_of(f, VIA_TCP, "POST", path, cookie, "{}"), 403);
	snprintf(headers, sizeof(headers), "%sX-Sanbootd: 0\r\n", cookie);
	assert_int_equal(status_of(f, VIA_TCP, "POST", path, headers, "{}"), 403);
	/* The cookie's value as a token would need none of this. */
	snprintf(headers, sizeof(headers), "Authorization: Bearer %.40s\r\n", strstr(cookie, "session=") + 8);
	assert_int_equal(status_of(f, VIA_TCP, "POST", path, headers, "{}"), 401);
	snprintf(headers, sizeof(headers), "%sX-Sanbootd: 1\r\nOrigin: http://evil.example\r\n", cookie);
	assert_int_equal(status_of(f, VIA_TCP, "POST", path, headers, "{}"), 403);
	snprintf(headers, sizeof(headers), "%sX-Sanbootd: 1\r\nOrigin: null\r\n", cookie);
	assert_int_equal(status_of(f, VIA_TCP, "POST", path, headers, "{}"), 403);
	snprintf(headers, sizeof(headers), "%sX-Sanbootd: 1\r\nSec-Fetch-Site: cross-site\r\n", cookie);
	assert_int_equal(status_of(f, VIA_TCP, "POST", path, headers, "{}"), 403);
	assert_string_equal(fake_boot.last_call, "");
	snprintf(headers, sizeof(headers), "%sX-Sanbootd: 1\r\nOrigin: http://%s\r\nSec-Fetch-Site: same-origin\r\n",
		 cookie, f->address);
	assert_int_equal(status_of(f, VIA_TCP, "POST", path, headers, "{}"), 200);
	assert_string_equal(fake_boot.last_call, "release pc-001 by web:admin");
	/* A form of another site could log somebody in, or set up, with text/plain: not here. */
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/login",
				   "Content-Type: text/plain\r\nContent-Length: 0\r\n", NULL),
			 415);
}

static void test_attempts_are_limited(void **state)
{
	struct fixture *f = *state;
	char cookie[256], *retry;
	struct answer answer;

	set_up(f, cookie);
	for (int i = 0; i < LIMITER_BURST; i++)
		assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/login", "", "{\"password\": \"wrong\"}"), 401);
	answer = ask(f, VIA_TCP, "POST", "/api/v1/login", "", "{\"password\": \"correct horse\"}");
	assert_int_equal(answer.status, 429);
	retry = answer_header(&answer, "Retry-After");
	assert_non_null(retry);
	free(retry);
	answer_free(&answer);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", cookie, NULL), 200); /* who is in stays in */
}

static void test_a_new_password_ends_logins(void **state)
{
	struct fixture *f = *state;
	char cookie[256];

	set_up(f, cookie);
	assert_int_equal(status_of(f, VIA_CONTROL, "POST", "/api/v1/password", "",
				   "{\"password\": \"battery staple\"}"),
			 200);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", cookie, NULL), 401);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/login", "", "{\"password\": \"correct horse\"}"), 401);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/login", "", "{\"password\": \"battery staple\"}"), 200);
}

static void test_whoever_sets_the_password_stays(void **state)
{
	struct fixture *f = *state;
	struct answer answer;
	char cookie[256], headers[300], fresh[256];

	set_up(f, cookie);
	snprintf(headers, sizeof(headers), "%sX-Sanbootd: 1\r\n", cookie);
	answer = ask(f, VIA_TCP, "POST", "/api/v1/password", headers, "{\"password\": \"battery staple\"}");
	assert_int_equal(answer.status, 200);
	cookie_of(&answer, fresh);
	answer_free(&answer);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", cookie, NULL), 401);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", fresh, NULL), 200);
}

static int list_event(void *arg, const struct event *event)
{
	size_t len = strlen(arg);

	snprintf((char *)arg + len, 512 - len, "%s by %s;", event->kind, event->actor);
	return 0;
}

static int list_events(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, 0, 0, 100, list_event, arg);
}

/* Who came in, who tried, and what opens from now on. */
static void test_what_is_recorded(void **state)
{
	struct fixture *f = *state;
	struct answer answer;
	char cookie[256], body[256], events[512] = "";
	json_t *json;

	set_up(f, cookie);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/login", "", "{\"password\": \"wrong\"}"), 401);
	answer = ask(f, VIA_CONTROL, "POST", "/api/v1/tokens", "", "{\"name\": \"monitoring\"}");
	json = answer_json(&answer);
	snprintf(body, sizeof(body), "{\"token\": \"%s\"}", text_of(json, "token"));
	json_decref(json);
	answer_free(&answer);
	assert_int_equal(status_of(f, VIA_CONTROL, "DELETE", "/api/v1/tokens", "", body), 200);
	assert_int_equal(status_of(f, VIA_CONTROL, "DELETE", "/api/v1/tokens", "", body), 404);
	assert_int_equal(inventory_do(f, list_events, events), 0);
	assert_string_equal(
		events,
		"password-set by web:setup;login by web:admin;login-refused by web;token-created by ctl;token-removed by ctl;");
}

static void expect_days(struct fixture *f, const char *body, int days)
{
	const int64_t day_ms = 86400 * 1000;
	struct answer answer = ask(f, VIA_CONTROL, "POST", "/api/v1/tokens", "", body);
	json_t *json = answer_json(&answer);
	int64_t left_ms = json_integer_value(json_object_get(json, "expires_ms")) - time_unix_ms();

	assert_int_equal(answer.status, days ? 201 : 400);
	assert_true(!days || (left_ms > (days - 1) * day_ms && left_ms <= days * day_ms));
	json_decref(json);
	answer_free(&answer);
}

static void test_tokens_end(void **state)
{
	expect_days(*state, "{\"name\": \"x\"}", 365);
	expect_days(*state, "{\"name\": \"x\", \"days\": 2}", 2);
	expect_days(*state, "{\"name\": \"x\", \"days\": 0}", 0);
	expect_days(*state, "{\"name\": \"x\", \"days\": 3651}", 0);
}

static void test_tokens(void **state)
{
	struct fixture *f = *state;
	struct answer answer = ask(f, VIA_CONTROL, "POST", "/api/v1/tokens", "", "{\"name\": \"monitoring\"}");
	json_t *json = answer_json(&answer);
	const char *token = json_string_value(json_object_get(json, "token"));
	char headers[256], body[256];

	assert_int_equal(answer.status, 201);
	assert_non_null(token);
	snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\n", token);
	snprintf(body, sizeof(body), "{\"token\": \"%s\"}", token);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", headers, NULL), 200);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/machines/pc-001/release", headers, "{}"), 200);
	assert_string_equal(fake_boot.last_call, "release pc-001 by token:monitoring");
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", "Authorization: Bearer x\r\n", NULL), 401);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", "Authorization: Basic YTpi\r\n", NULL), 401);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", "Authorization: Bearer\r\n", NULL), 401);
	/* A token is no login: it does not open the pages. */
	snprintf(headers, sizeof(headers), "Cookie: sanbootd_session=%s\r\n", token);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", headers, NULL), 401);
	assert_int_equal(status_of(f, VIA_CONTROL, "DELETE", "/api/v1/tokens", "", body), 200);
	snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\n", token);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", headers, NULL), 401);
	assert_int_equal(status_of(f, VIA_CONTROL, "POST", "/api/v1/tokens", "", "{\"name\": \"a b\"}"), 400);
	json_decref(json);
	answer_free(&answer);
}

static void test_pages_say_what_they_may_load(void **state)
{
	struct fixture *f = *state;
	struct answer answer = ask(f, VIA_TCP, "GET", "/login", "", NULL);
	char *policy = answer_header(&answer, "Content-Security-Policy"),
	     *referrer = answer_header(&answer, "Referrer-Policy");

	assert_int_equal(answer.status, 200);
	assert_non_null(policy);
	assert_non_null(strstr(policy, "script-src 'self'"));
	assert_non_null(strstr(policy, "frame-ancestors 'none'"));
	assert_null(strstr(policy, "unsafe"));
	assert_string_equal(referrer, "same-origin"); /* a form of it says where it comes from */
	free(policy);
	free(referrer);
	answer_free(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_one_time_address_works_once, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_the_password_is_set_once, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_login_page, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_the_api_is_closed, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_logins_end, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_no_default_password, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_login_and_logout, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_other_sites_change_nothing, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_attempts_are_limited, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_a_new_password_ends_logins, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_whoever_sets_the_password_stays, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_what_is_recorded, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_tokens_end, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_tokens, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_pages_say_what_they_may_load, fixture_start, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
