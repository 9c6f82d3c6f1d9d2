// SPDX-License-Identifier: GPL-2.0-or-later
/* The head of a request, function by function and over raw sockets: targets, hosts, framing (RFC 9112); ranges (RFC 9110). */
#include "cmocka_all.h"
#include "fixture.h"

#include "base/util.h"
#include "http/head.h"
#include "http/range.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- targets ---- */

static void test_targets(void **state)
{
	static const struct {
		const char *target, *path, *host; /* path NULL: refused */
	} cases[] = {
		{ "/", "/", NULL },
		{ "/boot?mac=1", "/boot", NULL },
		{ "//ipxe//x", "/ipxe/x", NULL },
		{ "/a%2F%2fb/", "/a/b/", NULL },
		{ "/a%3fb?c", "/a?b", NULL },
		{ "/a+b", "/a+b", NULL },
		{ "/%C3%a4%25", "/\xc3\xa4%", NULL },
		{ "/%zz%4", "/%zz%4", NULL },
		{ "/%%41", "/%A", NULL },
		{ "/a#b", "/a#b", NULL },
		{ "/..", "/..", NULL },
		{ "*", "*", NULL },
		{ "http://pc/boot?x=//", "/boot", "pc" },
		{ "HTTP://10.0.0.1:8080//boot", "/boot", "10.0.0.1:8080" },
		{ "http://[::1]:80/", "/", "[::1]:80" },
		{ "http://a", "/", "a" },
		{ "http://a?mac=1", "/", "a" },
		{ "http://a/%", "/%", "a" },
		{ "/http://a/b", "/http:/a/b", NULL },
		{ "/a%00b", NULL, NULL },
		{ "http://a/%00", NULL, NULL },
		{ "http:///boot", NULL, NULL },
		{ "http://user@a/boot", NULL, NULL },
		{ "http://a:b/boot", NULL, NULL },
		{ "http://a b/boot", NULL, NULL },
		{ "https://a/boot", NULL, NULL },
		{ "http:/a/boot", NULL, NULL },
		{ "boot", NULL, NULL },
		{ "a:80", NULL, NULL },
		{ "**", NULL, NULL },
		{ "?x", NULL, NULL },
		{ "", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		char *text = strdup(cases[i].target), *path = NULL, *host = NULL;
		struct reason reason = { "" };
		unsigned status = head_cut_target(text, &path, &host, &reason);

		if (status != (cases[i].path ? 0 : 400) || (status && !reason.text[0]))
			fail_msg("%s: %u %s", cases[i].target, status, reason.text);
		if (!status) {
			assert_string_equal(path, cases[i].path);
			assert_true(!host == !cases[i].host);
			assert_true(!host || !strcmp(host, cases[i].host));
		}
		free(text);
	}
}

/* ---- ranges ---- */

static void test_ranges(void **state)
{
	static const struct {
		const char *range;
		uint64_t bytes;
		enum range_answer answer;
		uint64_t first, len;
	} cases[] = {
		{ "bytes=0-511", 1000, RANGE_PART, 0, 512 },
		{ "bytes=0-0", 1, RANGE_PART, 0, 1 },
		{ "bytes=999-", 1000, RANGE_PART, 999, 1 },
		{ "bytes=500-99999", 1000, RANGE_PART, 500, 500 },
		{ "bytes=500-99999999999999999999999999999999999999", 1000, RANGE_PART, 500, 500 },
		{ "bytes=-1", 1000, RANGE_PART, 999, 1 },
		{ "bytes=-5000", 1000, RANGE_PART, 0, 1000 },
		{ "bytes=-99999999999999999999999999999999999999", 1000, RANGE_PART, 0, 1000 },
		{ "BYTES=1-2", 1000, RANGE_PART, 1, 2 },
		{ "bytes= 1-2 ", 1000, RANGE_PART, 1, 2 },
		{ "bytes=,\t1-2 , ,", 1000, RANGE_PART, 1, 2 },
		{ "bytes=00000000000000000000000000000000000000001-2", 1000, RANGE_PART, 1, 2 },
		{ "bytes=0-18446744073709551615", 1000, RANGE_PART, 0, 1000 },
		{ "bytes=0-", UINT64_MAX, RANGE_PART, 0, UINT64_MAX },
		{ "bytes=4294967296-4294967300", 5ull << 30, RANGE_PART, 1ull << 32, 5 },
		{ "bytes=1000-", 1000, RANGE_OUTSIDE, 0, 0 },
		{ "bytes=1000-1000", 1000, RANGE_OUTSIDE, 0, 0 },
		{ "bytes=99999999999999999999999999999999999999-", 1000, RANGE_OUTSIDE, 0, 0 },
		{ "bytes=-0", 1000, RANGE_OUTSIDE, 0, 0 },
		{ "bytes=0-", 0, RANGE_OUTSIDE, 0, 0 },
		{ "bytes=-5", 0, RANGE_WHOLE, 0, 0 },
		{ "bytes=0-1,5-6", 1000, RANGE_WHOLE, 0, 0 },
		{ "bytes=0-1, 2000-", 1000, RANGE_WHOLE, 0, 0 },
		{ "bytes=2-1", 1000, RANGE_WHOLE, 0, 0 },
		{ "bytes=", 1000, RANGE_WHOLE, 0, 0 },
		{ "bytes=-", 1000, RANGE_WHOLE, 0, 0 },
		{ "bytes=1", 1000, RANGE_WHOLE, 0, 0 },
		{ "bytes=a-b", 1000, RANGE_WHOLE, 0, 0 },
		{ "bytes=1-2x", 1000, RANGE_WHOLE, 0, 0 },
		{ "bytes=1 -2", 1000, RANGE_WHOLE, 0, 0 },
		{ "bytes=+1-2", 1000, RANGE_WHOLE, 0, 0 },
		{ "bytes=0x1-2", 1000, RANGE_WHOLE, 0, 0 },
		{ "bytes =1-2", 1000, RANGE_WHOLE, 0, 0 },
		{ "lines=1-2", 1000, RANGE_WHOLE, 0, 0 },
		{ "1-2", 1000, RANGE_WHOLE, 0, 0 },
		{ "", 1000, RANGE_WHOLE, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		char text[80];
		struct range_ask ask = { .range = text };
		struct range_file file = { .bytes = cases[i].bytes, .etag = "\"x\"" };
		uint64_t first = 0, len = 0;
		enum range_answer answer;

		strcpy(text, cases[i].range);
		answer = range_choose(&ask, &file, true, &first, &len);
		if (answer != cases[i].answer || first != cases[i].first || len != cases[i].len)
			fail_msg("%s of %llu: %d %llu %llu", text, (unsigned long long)cases[i].bytes, answer,
				 (unsigned long long)first, (unsigned long long)len);
		assert_int_equal(range_choose(&ask, &file, false, &first, &len), RANGE_WHOLE);
	}
}

static void test_conditions(void **state)
{
	static char before[] = "Sun, 06 Nov 1994 08:49:36 GMT", then[] = "Sun, 06 Nov 1994 08:49:37 GMT",
		    after[] = "Sun, 06 Nov 1994 08:49:38 GMT", then_850[] = "Sunday, 06-Nov-94 08:49:37 GMT",
		    then_asctime[] = "Sun Nov  6 08:49:37 1994", no_date[] = "yesterday", range[] = "bytes=1-";
	static char tag[] = "\"x\"", weak[] = "W/\"x\"", other[] = "\"y\"", list[] = "\"a,b\", W/\"c\" ,,\"x\"",
		    any[] = "*", bare[] = "x", open[] = "\"x", none[] = "";
	static const struct {
		struct range_ask ask;
		enum range_answer answer;
	} cases[] = {
		{ { .range = range, .if_range = tag }, RANGE_PART },
		{ { .range = range, .if_range = weak }, RANGE_WHOLE },
		{ { .range = range, .if_range = other }, RANGE_WHOLE },
		{ { .range = range, .if_range = bare }, RANGE_WHOLE },
		{ { .range = range, .if_range = then }, RANGE_PART },
		{ { .range = range, .if_range = before }, RANGE_WHOLE },
		{ { .range = range, .if_range = after }, RANGE_WHOLE },
		{ { .range = range, .if_match = tag }, RANGE_PART },
		{ { .range = range, .if_match = list }, RANGE_PART },
		{ { .range = range, .if_match = any }, RANGE_PART },
		{ { .range = range, .if_match = weak }, RANGE_CHANGED },
		{ { .range = range, .if_match = other }, RANGE_CHANGED },
		{ { .range = range, .if_match = bare }, RANGE_CHANGED },
		{ { .range = range, .if_match = open }, RANGE_CHANGED },
		{ { .range = range, .if_match = none }, RANGE_CHANGED },
		{ { .if_match = tag, .if_unmodified_since = before }, RANGE_WHOLE },
		{ { .range = range, .if_unmodified_since = then }, RANGE_PART },
		{ { .range = range, .if_unmodified_since = then_850 }, RANGE_PART },
		{ { .range = range, .if_unmodified_since = then_asctime }, RANGE_PART },
		{ { .range = range, .if_unmodified_since = after }, RANGE_PART },
		{ { .range = range, .if_unmodified_since = no_date }, RANGE_PART },
		{ { .range = range, .if_unmodified_since = before }, RANGE_CHANGED },
		{ { .if_none_match = tag }, RANGE_NOT_MODIFIED },
		{ { .if_none_match = weak }, RANGE_NOT_MODIFIED },
		{ { .if_none_match = list }, RANGE_NOT_MODIFIED },
		{ { .if_none_match = any }, RANGE_NOT_MODIFIED },
		{ { .if_none_match = other }, RANGE_WHOLE },
		{ { .if_none_match = other, .if_modified_since = then }, RANGE_WHOLE },
		{ { .if_modified_since = then }, RANGE_NOT_MODIFIED },
		{ { .if_modified_since = after }, RANGE_NOT_MODIFIED },
		{ { .if_modified_since = before }, RANGE_WHOLE },
		{ { .if_modified_since = no_date }, RANGE_WHOLE },
		{ { .range = range, .if_none_match = tag }, RANGE_NOT_MODIFIED },
		{ { .range = range, .if_match = other, .if_none_match = tag }, RANGE_CHANGED },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct range_file file = { .bytes = 10, .modified_s = 784111777, .etag = "\"x\"" };
		uint64_t first, len;
		enum range_answer answer = range_choose(&cases[i].ask, &file, true, &first, &len);

		if (answer != cases[i].answer)
			fail_msg("case %zu: %d instead of %d", i, answer, cases[i].answer);
		/* Where seconds cannot tell, dates prove nothing. */
		file.modified_s = RANGE_DATE_UNKNOWN;
		answer = range_choose(&cases[i].ask, &file, true, &first, &len);
		if (cases[i].ask.if_range == then)
			assert_int_equal(answer, RANGE_WHOLE);
		if (cases[i].ask.if_unmodified_since == after)
			assert_int_equal(answer, RANGE_CHANGED);
		if (cases[i].ask.if_modified_since == after)
			assert_int_equal(answer, RANGE_WHOLE);
	}
}

/* ---- over sockets ---- */

/* What is sent after a head: nothing of it may be taken for a second request where the first one is refused. */
#define NEXT "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
#define GOOD "Host: x\r\nConnection: close\r\n\r\n"
#define LOGIN "POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
#define CLOSE "Connection: close\r\n"

struct raw_case {
	const char *text;
	unsigned status; /* of the first answer */
	bool next;	 /* is NEXT behind it answered, too? */
};

static void expect_raw(struct fixture *f, const struct raw_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char text[1024];
		struct answer answer;
		bool next;

		snprintf(text, sizeof(text), "%s%s", cases[i].text, NEXT);
		answer = send_raw(f, VIA_TCP, text, strlen(text));
		next = answer.body && strstr(answer.body, "\r\n\r\nok\n");
		if (answer.status != cases[i].status || next != cases[i].next)
			fail_msg("%s: %u%s: %s", cases[i].text, answer.status, next ? " and another" : "", answer.body);
		answer_free(&answer);
	}
}

static void test_targets_over_sockets(void **state)
{
	static const struct raw_case cases[] = {
		{ "GET /boot.ipxe HTTP/1.1\r\nHost: x\r\n\r\n", 200, true },
		{ "GET http://host/boot.ipxe HTTP/1.1\r\n" GOOD, 200, false },
		{ "GET HTTP://host:8080//boot.ipxe HTTP/1.1\r\n" GOOD, 200, false },
		{ "GET http://10.0.0.1:8080/boot?mac=52:54:00:00:00:01 HTTP/1.1\r\n" GOOD, 200, false },
		{ "GET http://host/boot.ipxe HTTP/1.0\r\n\r\n", 200, false },
		{ "GET http://host HTTP/1.1\r\n" GOOD, 303, false },
		{ "GET http://us:er@host/boot.ipxe HTTP/1.1\r\n" GOOD, 400, false },
		{ "GET https://host/boot.ipxe HTTP/1.1\r\n" GOOD, 400, false },
		{ "GET http://host/boot.ipxe HTTP/1.1\r\n" CLOSE "\r\n", 400,
		  false }, /* Host is missing all the same */
		{ "GET //boot.ipxe HTTP/1.1\r\n" GOOD, 200, false },
		{ "GET //healthz HTTP/1.1\r\n" GOOD, 200, false },
		{ "GET //api//v1/status HTTP/1.1\r\n" GOOD, 401, false },
		{ "GET //login HTTP/1.1\r\n" GOOD, 200, false },
		{ "GET /boot.ipxe%00 HTTP/1.1\r\n" GOOD, 400, false },
		{ "GET /login%00x HTTP/1.1\r\n" GOOD, 400, false },
		{ "GET /api/v1/status%00 HTTP/1.1\r\n" GOOD, 400, false },
		{ "GET /boot?mac=52:54:00:00:00:01%00 HTTP/1.1\r\n" GOOD, 400, false },
		{ "GET boot.ipxe HTTP/1.1\r\n" GOOD, 400, false },
		{ "CONNECT host:80 HTTP/1.1\r\n" GOOD, 400, false },
		{ "OPTIONS * HTTP/1.1\r\n" GOOD, 404, false },
		{ "GET /boot.ipxe HTTP/1.0\r\n\r\n", 200, false },
		{ "GET /boot.ipxe HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, true },
		{ "GET /boot.ipxe HTTP/1.2\r\n" GOOD, 200, false },
		{ "GET /boot.ipxe HTTP/2.0\r\n" GOOD, 505, false },
	};

	expect_raw(*state, cases, array_len(cases));
}

static void test_framing_over_sockets(void **state)
{
	static const struct raw_case cases[] = {
		{ LOGIN "Content-Length: 2\r\n\r\n{}", 400, true },
		{ LOGIN "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400, true },
		{ LOGIN "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400, true },
		{ LOGIN "Transfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400, true },
		{ LOGIN "Content-Length: 2\r\nContent-Length: 4\r\n\r\n{}", 400, false },
		{ LOGIN "Content-Length: 4\r\nContent-Length: 2\r\n\r\n{}", 400, false },
		{ LOGIN "Content-Length: 2, 2\r\n\r\n{}", 400, false },
		{ LOGIN "Content-Length: +2\r\n\r\n{}", 400, false },
		{ LOGIN "Content-Length: -2\r\n\r\n{}", 400, false },
		{ LOGIN "Content-Length: 2x\r\n\r\n{}", 400, false },
		{ LOGIN "Content-Length:\r\n\r\n{}", 400, false },
		{ LOGIN "Content-Length : 2\r\n\r\n{}", 400, false },
		{ LOGIN "Content-Length: 99999999999999999999999\r\n\r\n{}", 413, false },
		{ LOGIN "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400, false },
		{ LOGIN "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400, false },
		{ LOGIN "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 501,
		  false },
		{ LOGIN "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 501, false },
		{ LOGIN "Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 501, false },
		{ LOGIN "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}", 400, false },
		{ "GET /boot.ipxe HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, false },
		{ "GET /boot.ipxe HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
		  false },
		{ "GET /boot.ipxe HTTP/1.1\r\n Content-Length: 2\r\nHost: x\r\n\r\n", 400, false },
		{ "POST /api/v1/login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400, false },
		{ LOGIN "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400, false },
	};

	expect_raw(*state, cases, array_len(cases));
}

/* The host in the address counts, not the Host header: what a browser may do is decided by it. */
static void test_host_of_the_target(void **state)
{
	static const char request[] =
		"PATCH %s HTTP/1.1\r\nHost: %s\r\nOrigin: http://%s\r\nX-Sanbootd: 1\r\n"
		"Cookie: %.*s\r\nContent-Length: 16\r\nConnection: close\r\n\r\n{\"enrol\":\"auto\"}";
	static const struct {
		const char *target, *host, *origin;
		bool same;
	} cases[] = {
		{ "/api/v1/policy", "a", "a", true },
		{ "/api/v1/policy", "a", "b", false },
		{ "http://a/api/v1/policy", "b", "a", true },
		{ "http://a/api/v1/policy", "b", "b", false },
	};
	struct fixture *f = *state;
	char body[256], *cookie;
	struct answer answer;

	snprintf(body, sizeof(body), "{\"token\": \"%s\", \"password\": \"correct horse\"}",
		 strstr(http_setup_url(f->http), "token=") + 6);
	answer = ask(f, VIA_TCP, "POST", "/api/v1/setup", "", body);
	cookie = answer_header(&answer, "Set-Cookie");
	assert_non_null(cookie);
	answer_free(&answer);
	for (size_t i = 0; i < array_len(cases); i++) {
		char text[1024];

		snprintf(text, sizeof(text), request, cases[i].target, cases[i].host, cases[i].origin,
			 (int)strcspn(cookie, ";"), cookie);
		answer = send_raw(f, VIA_TCP, text, strlen(text));
		if (answer.status != (cases[i].same ? 200 : 403))
			fail_msg("case %zu: %u %s", i, answer.status, answer.body);
		answer_free(&answer);
	}
	free(cookie);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test_setup_teardown(test_targets_over_sockets, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_framing_over_sockets, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_host_of_the_target, fixture_start, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
