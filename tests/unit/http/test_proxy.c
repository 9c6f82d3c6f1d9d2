// SPDX-License-Identifier: GPL-2.0-or-later
/* Behind a proxy that ends TLS: whose word counts, cookies, sub-paths, and that events are not kept back. */
#include "cmocka_all.h"
#include "entering.h"

#include "base/network.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOGIN "/api/v1/login"
static const char right[] = "{\"password\": \"correct horse\"}", wrong[] = "{\"password\": \"wrong\"}";

static bool has(const struct answer *answer, const char *text)
{
	return answer->head && strstr(answer->head, text);
}

static void test_networks(void **state)
{
	static const char *const bad[] = { "",		"10.0.0.1/24", "10.0.0.0/33", "fd00::/129", "10.0.0.0/",
					   "10.0.0/24", "host",	       "10.0.0.0/-1", "fd00::1/8",  "10.0.0.0/8 " };
	struct network n;

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(network_parse(bad[i], &n));
	assert_true(network_parse("10.0.0.0/23", &n));
	assert_true(network_has(&n, "10.0.1.255"));
	assert_false(network_has(&n, "10.0.2.0"));
	assert_true(network_has(&n, "::ffff:10.0.1.1"));
	assert_false(network_has(&n, "fd00::1"));
	assert_false(network_has(&n, "nobody"));
	assert_true(network_parse("fd00::1", &n));
	assert_true(network_has(&n, "fd00::1"));
	assert_false(network_has(&n, "fd00::2"));
}

static void expect_cookie(struct fixture *f, enum via via, const char *headers, bool secure, const char *path)
{
	struct answer answer = ask(f, via, "POST", LOGIN, headers, right);
	char wanted[64];

	assert_int_equal(answer.status, 200);
	snprintf(wanted, sizeof(wanted), "Path=%s;", path);
	if (!has(&answer, wanted) || has(&answer, "; Secure") != secure)
		fail_msg("%s: %s", headers, answer.head);
	answer_free(&answer);
}

static void test_cookies(void **state)
{
	struct fixture *f = *state;

	set_first_password(f);
	expect_cookie(f, VIA_TCP, "", false, "/");
	expect_cookie(f, VIA_PROXY, "X-Forwarded-Proto: https\r\n", true, "/");
	expect_cookie(f, VIA_PROXY, "X-Forwarded-Proto: https\r\nX-Forwarded-Prefix: /console\r\n", true, "/console/");
	/* The page that sends it knows, too: nothing has to be configured. */
	expect_cookie(f, VIA_TCP, "Origin: https://pc\r\nSec-Fetch-Site: same-origin\r\n", true, "/");
	/* Of somebody else none of this counts. */
	expect_cookie(f, VIA_TCP, "X-Forwarded-Proto: https\r\nX-Forwarded-Prefix: /console\r\n", false, "/");
	/* What could end the header, or lead elsewhere, is no prefix. */
	expect_cookie(f, VIA_PROXY, "X-Forwarded-Prefix: /a;b\r\n", false, "/");
	expect_cookie(f, VIA_PROXY, "X-Forwarded-Prefix: //evil.example\r\n", false, "/");
	expect_cookie(f, VIA_PROXY, "X-Forwarded-Prefix: /a/../b\r\n", false, "/");
}

static void expect_change(struct fixture *f, enum via via, const char *cookie, const char *more, unsigned status)
{
	char headers[512];
	unsigned got;

	snprintf(headers, sizeof(headers), "%sX-Sanbootd: 1\r\n%s", cookie, more);
	got = status_of(f, via, "POST", "/api/v1/machines/pc-001/release", headers, "{}");
	if (got != status)
		fail_msg("%s: %u", more, got);
}

static void test_same_origin(void **state)
{
	struct fixture *f = *state;
	struct answer answer;
	char cookie[256], own[128];

	set_first_password(f);
	answer = ask(f, VIA_TCP, "POST", LOGIN, "", right);
	cookie_named(&answer, "sanbootd_session", cookie);
	answer_free(&answer);
	snprintf(own, sizeof(own), "Origin: https://%s\r\n", f->address);
	expect_change(f, VIA_TCP, cookie, own, 200);
	/* A proxy with nginx's defaults changes Host; the browser's word is enough. */
	expect_change(f, VIA_TCP, cookie, "Origin: https://console.example\r\nSec-Fetch-Site: same-origin\r\n", 200);
	expect_change(f, VIA_TCP, cookie, "Origin: https://console.example\r\n", 403);
	expect_change(f, VIA_TCP, cookie, "Origin: https://console.example\r\nX-Forwarded-Host: console.example\r\n",
		      403);
	expect_change(f, VIA_PROXY, cookie, "Origin: https://console.example\r\nX-Forwarded-Host: console.example\r\n",
		      200);
	expect_change(f, VIA_PROXY, cookie, "Origin: https://console.example\r\nX-Forwarded-Host: other.example\r\n",
		      403);
	expect_change(f, VIA_TCP, cookie, "Origin: https://console.example\r\nSec-Fetch-Site: same-site\r\n", 403);
}

/* Attempts count for whom a trusted proxy names last, and whoever writes the header himself gains nothing. */
static void test_who_asks(void **state)
{
	struct fixture *f = *state;

	set_first_password(f);
	for (int i = 0; i < 8; i++)
		assert_int_equal(status_of(f, VIA_PROXY, "POST", LOGIN, "X-Forwarded-For: 9.9.9.9, 10.1.1.1\r\n",
					   wrong),
				 401);
	assert_int_equal(status_of(f, VIA_PROXY, "POST", LOGIN, "X-Forwarded-For: 8.8.8.8, 10.1.1.1\r\n", right), 429);
	assert_int_equal(status_of(f, VIA_PROXY, "POST", LOGIN, "X-Forwarded-For: 10.1.1.1, 127.0.0.2\r\n", right),
			 429);
	assert_int_equal(status_of(f, VIA_PROXY, "POST", LOGIN,
				   "X-Forwarded-For: 10.1.1.2\r\nX-Forwarded-For: 10.1.1.1\r\n", right),
			 429);
	assert_int_equal(status_of(f, VIA_PROXY, "POST", LOGIN, "X-Forwarded-For: 10.1.1.2\r\n", right), 200);
	for (int i = 0; i < 8; i++)
		assert_int_equal(status_of(f, VIA_TCP, "POST", LOGIN, "X-Forwarded-For: 10.1.1.3\r\n", wrong), 401);
	assert_int_equal(status_of(f, VIA_TCP, "POST", LOGIN, "X-Forwarded-For: 10.1.1.4\r\n", right), 429);
	assert_int_equal(status_of(f, VIA_PROXY, "POST", LOGIN, "X-Forwarded-For: nonsense\r\n", right), 200);
}

static void expect_location(struct fixture *f, const char *path, const char *headers, const char *location)
{
	struct answer answer = ask(f, VIA_PROXY, "GET", path, headers, NULL);
	char *got = answer_header(&answer, "Location");

	assert_int_equal(answer.status, 303);
	assert_string_equal(got, location);
	free(got);
	answer_free(&answer);
}

static void test_sub_path(void **state)
{
	struct fixture *f = *state;
	static const char prefix[] = "X-Forwarded-Prefix: /site/console/\r\n";

	set_first_password(f);
	expect_location(f, "/", "", "login");
	expect_location(f, "/site/console/", prefix, "login");
	assert_int_equal(status_of(f, VIA_PROXY, "GET", "/site/console/login", prefix, NULL), 200);
	assert_int_equal(status_of(f, VIA_PROXY, "GET", "/site/console/app.css", prefix, NULL), 200);
	assert_int_equal(status_of(f, VIA_PROXY, "GET", "/login", prefix, NULL),
			 200); /* it takes the prefix off itself */
	assert_int_equal(status_of(f, VIA_PROXY, "GET", "/site/consolelogin", prefix, NULL), 404);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/site/console/login", prefix, NULL), 404);
}

static void test_events_are_not_kept_back(void **state)
{
	struct fixture *f = *state;
	static const char request[] = "GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n";
	int fd = connect_to(f, VIA_CONTROL);
	char got[4096] = "";
	size_t len = 0;

	assert_int_equal(send(fd, request, sizeof(request) - 1, 0), (ssize_t)sizeof(request) - 1);
	while (!strstr(got, "\r\n\r\n")) {
		ssize_t n = recv(fd, got + len, sizeof(got) - 1 - len, 0);

		assert_true(n > 0);
		len += (size_t)n;
		got[len] = '\0';
	}
	close(fd);
	assert_non_null(strstr(got, "X-Accel-Buffering: no\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_networks),
		cmocka_unit_test_setup_teardown(test_cookies, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_same_origin, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_who_asks, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_sub_path, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_events_are_not_kept_back, fixture_start, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
