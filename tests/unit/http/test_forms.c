// SPDX-License-Identifier: GPL-2.0-or-later
/* The login and the first login where no script runs; and how often a password may be tried, by whom. */
#include "cmocka_all.h"
#include "entering.h"

#include "base/util.h"
#include "http/device.h"
#include "http/limiter.h"
#include "http/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A form as a browser sends it. */
static struct answer send_form(struct fixture *f, const char *path, const char *headers, const char *body)
{
	struct buf text;
	struct answer answer;

	buf_init(&text, 1 << 16);
	buf_printf(&text,
		   "POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s"
		   "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n\r\n%s",
		   path, f->address, headers, strlen(body), body);
	answer = send_raw(f, VIA_TCP, text.data, text.len);
	buf_fini(&text);
	return answer;
}

static void own_origin(struct fixture *f, char out[128])
{
	snprintf(out, 128, "Origin: http://%s\r\n", f->address);
}

/* The form again, with a sentence. */
static void expect_refused(struct answer answer, unsigned status, const char *sentence)
{
	char *type = answer_header(&answer, "Content-Type"),
	     *policy = answer_header(&answer, "Content-Security-Policy");

	assert_int_equal(answer.status, status);
	assert_string_equal(type, "text/html; charset=utf-8");
	assert_non_null(policy);
	assert_non_null(strstr(answer.body, "<form"));
	if (!strstr(answer.body, sentence))
		fail_msg("no \"%s\" in %s", sentence, answer.body);
	assert_null(strstr(answer.head, "Set-Cookie"));
	free(type);
	free(policy);
	answer_free(&answer);
}

static void test_first_login(void **state)
{
	struct fixture *f = *state;
	const char *path = strstr(http_setup_url(f->http), "/setup?");
	char address[128], origin[128], cookie[256];
	struct answer answer;

	snprintf(address, sizeof(address), "%s", path);
	own_origin(f, origin);
	expect_refused(send_form(f, address, "", "password=correct+horse&again=correct+horse"), 403, "another site");
	expect_refused(send_form(f, address, origin, "password=correct+horse&again=correct+hare"), 400, "not the same");
	expect_refused(send_form(f, address, origin, "password=short&again=short"), 400, "8 to 256");
	answer = send_form(f, address, origin, "username=admin&password=correct+horse%21&again=correct%20horse!");
	assert_int_equal(answer.status, 303);
	cookie_named(&answer, "sanbootd_session", cookie);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/", cookie, NULL), 200);
	answer_free(&answer);
	answer = send_form(f, address, origin, "password=another+one&again=another+one");
	assert_int_equal(answer.status, 410);
	answer_free(&answer);
	assert_int_equal(status_of(f, VIA_TCP, "POST", "/api/v1/login", "", "{\"password\": \"correct horse!\"}"), 200);
}

static void test_login(void **state)
{
	struct fixture *f = *state;
	char origin[128], cookie[256], *location;
	struct answer answer;

	set_first_password(f);
	own_origin(f, origin);
	expect_refused(send_form(f, "/login", origin, "password=wrong"), 401, "wrong password");
	expect_refused(send_form(f, "/login", origin, ""), 401, "wrong password");
	expect_refused(send_form(f, "/login", origin, "password=a%00b"), 401, "wrong password");
	expect_refused(send_form(f, "/login", "Origin: null\r\n", "password=correct+horse"), 403, "another site");
	expect_refused(send_form(f, "/login", "Origin: http://evil.example\r\n", "password=correct+horse"), 403,
		       "another");
	answer = send_form(f, "/login", "Sec-Fetch-Site: same-origin\r\n", "password=correct+horse");
	location = answer_header(&answer, "Location");
	assert_int_equal(answer.status, 303);
	assert_string_equal(location, "./");
	cookie_named(&answer, "sanbootd_session", cookie);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/", cookie, NULL), 200);
	free(location);
	answer_free(&answer);
	/* Without a script, and without method=post, the password would be in the address. */
	answer = ask(f, VIA_TCP, "GET", "/login", "", NULL);
	assert_non_null(strstr(answer.body, "method=\"post\""));
	answer_free(&answer);
}

static void test_form_is_limited(void **state)
{
	struct fixture *f = *state;
	char origin[128];

	set_first_password(f);
	own_origin(f, origin);
	for (int i = 0; i < LIMITER_BURST; i++)
		expect_refused(send_form(f, "/login", origin, "password=wrong"), 401, "wrong password");
	expect_refused(send_form(f, "/login", origin, "password=correct+horse"), 429, "try again in ");
}

/* Somebody guesses at the administrator's address: the administrator, who was here before, comes in. */
static void test_the_administrator_is_not_locked_out(void **state)
{
	struct fixture *f = *state;
	static const char path[] = "/api/v1/login", right[] = "{\"password\": \"correct horse\"}",
			  wrong[] = "{\"password\": \"wrong\"}";
	struct answer answer;
	char device[256];

	set_first_password(f);
	answer = ask(f, VIA_TCP, "POST", path, "", right);
	cookie_named(&answer, "sanbootd_device", device);
	answer_free(&answer);
	for (int i = 0; i < LIMITER_BURST; i++)
		assert_int_equal(status_of(f, VIA_TCP, "POST", path, "", wrong), 401);
	answer = ask(f, VIA_TCP, "POST", path, "", right);
	assert_int_equal(answer.status, 429);
	assert_non_null(strstr(answer.body, "try again in "));
	answer_free(&answer);
	assert_int_equal(status_of(f, VIA_TCP, "POST", path, device, right), 200);
	/* It is no pass to guess with, */
	for (int i = 0; i < LIMITER_BURST; i++)
		assert_int_equal(status_of(f, VIA_TCP, "POST", path, device, wrong), 401);
	assert_int_equal(status_of(f, VIA_TCP, "POST", path, device, right), 429);
	/* cannot be made up, and opens nothing. */
	device[strlen(device) - 3] ^= 1;
	assert_int_equal(status_of(f, VIA_TCP, "POST", path, device, right), 429);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", device, NULL), 401);
}

static void test_devices(void **state)
{
	char device[DEVICE_TEXT], other[DEVICE_TEXT], who[DEVICE_KEY_TEXT];

	(void)state;
	device_make("$y$hash", device);
	device_make("$y$hash", other);
	assert_string_not_equal(device, other);
	assert_true(device_is_ours(device, "$y$hash", who));
	assert_memory_equal(who + strlen("device:"), device, DEVICE_CHARS);
	assert_false(device_is_ours(device, "$y$new", who));
	assert_false(device_is_ours(device, "", who));
	assert_false(device_is_ours("", "$y$hash", who));
	memcpy(device, other, DEVICE_CHARS);
	assert_false(device_is_ours(device, "$y$hash", who));
}

static void test_errors_are_text(void **state)
{
	struct request request = { .http = NULL };

	(void)state;
	buf_init(&request.reply.body, 1 << 20);
	reply_page_with_error(&request, "login.html", 400, "<b>&\"");
	assert_non_null(strstr(buf_text(&request.reply.body), "role=\"alert\">&lt;b&gt;&amp;&quot;</p>"));
	buf_fini(&request.reply.body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first_login, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_login, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_form_is_limited, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_the_administrator_is_not_locked_out, fixture_start, fixture_stop),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_errors_are_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
