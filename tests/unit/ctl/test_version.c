// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl image publish --at, set, note, create, export, jobs: what it asks for, what it says; and times that people type. */
#include "cmocka_all.h"
#include "server.h"

#include "base/util.h"
#include "ctl/ctl.h"
#include "ctl/when.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void holds(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in: %s", part, text);
}

/* In Vienna, where 2026-03-29 02:30 is left out by summer time, and 2026-10-25 02:30 comes twice. */
static void test_when(void **state)
{
	static const struct {
		const char *text;
		int64_t at_s; /* 0: it is no time */
	} table[] = {
		{ "2026-12-24 18:00", 1798131600 },
		{ "2026-12-24T18:00:05", 1798131605 },
		{ "2026-07-01 12:00", 1782900000 },
		{ "12:30", 1767267000 },	 /* today */
		{ "11:30", 1767263400 + 86400 }, /* over: tomorrow */
		{ "+90m", 1767265200 + 5400 },
		{ "+8h", 1767265200 + 8 * 3600 },
		{ "+2d", 1767265200 + 2 * 86400 },
		{ "2026-03-29 02:30", 0 },
		{ "2026-02-30 12:00", 0 },
		{ "2026-13-01 12:00", 0 },
		{ "2026-12-24", 0 },
		{ "2026-12-24 24:00", 0 },
		{ "2026-12-24 18:00 ", 0 },
		{ "26-12-24 18:00", 0 },
		{ "25:00", 0 },
		{ "+", 0 },
		{ "+0m", 0 },
		{ "+9", 0 },
		{ "+1w", 0 },
		{ "+99999999d", 0 },
		{ "soon", 0 },
		{ "", 0 },
	};
	const int64_t now_ms = 1767265200000; /* 2026-01-01 12:00 there */

	(void)state;
	setenv("TZ", "Europe/Vienna", 1);
	tzset();
	for (size_t i = 0; i < array_len(table); i++) {
		int64_t at_ms = 0;
		bool is_time = when_parse(table[i].text, now_ms, &at_ms);

		if (is_time != (table[i].at_s != 0) || (is_time && at_ms != table[i].at_s * 1000))
			fail_msg("\"%s\": %d, %lld", table[i].text, is_time, (long long)at_ms);
	}
	setenv("TZ", "UTC", 1);
	tzset();
}

static void test_publish(void **state)
{
	struct server server = {
		.answers = { OK("{\"planned\": \"lab@2\", \"at_ms\": 1798131600000, \"new_machines_get\": \"lab@1\", \"hint\": \"\"}"),
			     OK("{\"not_planned\": \"lab@2\", \"new_machines_get\": \"lab@1\", \"hint\": \"\"}"),
			     OK("{\"published\": \"lab@2\", \"new_machines_get\": \"lab@2\", \"machines_on_other_versions\": 1}") }
	};
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(&server, "image publish lab@2 --at +3h", &code);
	assert_int_equal(code, EXIT_DONE);
	holds(said, "lab@2 will be published at 2026-12-24 17:00:00");
	holds(said, "--at none");
	free(said);
	said = server_said(&server, "image publish lab@2 --at none", &code);
	holds(said, "new machines get lab@1");
	free(said);
	said = server_said(&server, "image publish lab@2", &code);
	holds(said, "1 machine stays on other versions");
	free(said);
	server_stop(&server);
	holds(server.asked[0], "POST /api/v1/images/lab%402/publish");
	holds(server.asked[0], "{\"at_ms\":1");
	holds(server.asked[1], "{\"at_ms\":0}");
	assert_null(strstr(server.asked[2], "at_ms"));
}

static void test_refused_without_asking(void **state)
{
	struct server nobody = { .dir = "/nonexistent" };

	(void)state;
	assert_int_equal(server_run(&nobody, "image publish lab@2 --at soon"), EXIT_USAGE);
	assert_int_equal(server_run(&nobody, "image create --name x"), EXIT_USAGE);
	assert_int_equal(server_run(&nobody, "image create --size 1G"), EXIT_USAGE);
	assert_int_equal(server_run(&nobody, "image set lab@2 retired"), EXIT_USAGE);
	assert_int_equal(server_run(&nobody, "image export lab@2"), EXIT_USAGE);
}

#define CHANGED OK("{\"versions\": [{\"name\": \"lab@2\", \"state\": \"retired\", \"note\": \"slow\"}]}")

static void test_set_and_create(void **state)
{
	struct server server = { .answers = { CHANGED, CHANGED,
					      OK("{\"name\": \"windows@1\", \"state\": \"test\"}") } };
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(&server, "image set lab@2 state=retired", &code);
	assert_int_equal(code, EXIT_DONE);
	holds(said, "lab@2 is retired: slow");
	free(said);
	free(server_said(&server, "image note lab@2 slow", &code));
	said = server_said(&server, "image create --name windows --size 64G", &code);
	holds(said, "sanbootctl machine set M image=windows@1");
	free(said);
	server_stop(&server);
	holds(server.asked[0], "PATCH /api/v1/images/lab%402 ");
	holds(server.asked[0], "{\"state\":\"retired\"}");
	holds(server.asked[1], "{\"note\":\"slow\"}");
	holds(server.asked[2], "POST /api/v1/images/empty ");
	holds(server.asked[2], "\"size\":\"64G\"");
}

static void test_export(void **state)
{
	struct server server = {
		.answers = { OK("{\"job\": 4}"),
			     OK("{\"job\": 4, \"stage\": \"done\", \"name\": \"lab@2\", \"text\": \"/srv/x.vhdx, as VHDX\"}"),
			     OK("{\"job\": 5}"),
			     OK("{\"job\": 5, \"stage\": \"failed\", \"text\": \"there is no room\"}"),
			     OK("{\"jobs\": [{\"job\": 5, \"kind\": \"export\", \"name\": \"lab@2\", \"stage\": \"converting\", "
				"\"percent\": 50, \"file\": \"/srv/x\", \"text\": \"converting to VHDX\", \"bytes_done\": 1073741824, "
				"\"bytes_total\": 2147483648, \"bytes_per_s\": 104857600, \"seconds_left\": 10}]}") }
	};
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(&server, "image export lab@2 /srv/x.vhdx", &code);
	assert_int_equal(code, EXIT_DONE);
	holds(said, "lab@2 was written to /srv/x.vhdx, as VHDX");
	free(said);
	said = server_said(&server, "machine export pc-001 x --format qcow2 --force", &code);
	assert_int_equal(code, EXIT_REFUSED);
	holds(said, "there is no room");
	free(said);
	said = server_said(&server, "image jobs", &code);
	holds(said, "converting to VHDX: 1.0 GiB of 2.0 GiB, 100 MiB/s, 10 s left");
	free(said);
	server_stop(&server);
	holds(server.asked[0], "\"image\":\"lab@2\"");
	holds(server.asked[0], "\"format\":\"vhdx\"");
	holds(server.asked[1], "GET /api/v1/jobs/4 ");
	holds(server.asked[2], "\"machine\":\"pc-001\"");
	holds(server.asked[2], "\"format\":\"qcow2\"");
	holds(server.asked[2], "\"force\":true");
	holds(server.asked[2], "/x\"");
	assert_null(strstr(server.asked[2], "\"path\":\"x\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when),
		cmocka_unit_test(test_publish),
		cmocka_unit_test(test_refused_without_asking),
		cmocka_unit_test(test_set_and_create),
		cmocka_unit_test(test_export),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
