// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl retention show, run, and what policy set says of it. */
#include "cmocka_all.h"
#include "server.h"

#include "base/util.h"
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS                                                                                                            \
	"{\"kind\": \"trash\", \"id\": 7, \"name\": \"pc-007\", \"label\": null, \"bytes\": 4096, \"stood_on\": false, " \
	"\"due_ms\": 1798131600000, \"rule\": \"trash=7d\", \"why\": \"its time is over\", \"outcome\": \"gone\"}, "     \
	"{\"kind\": \"snapshot\", \"name\": \"pc-001\", \"label\": \"one\", \"bytes\": 0, \"stood_on\": true, "          \
	"\"due_ms\": 1798131700000, \"rule\": \"keep-snapshots=1d\", \"why\": \"old\", \"outcome\": \"waits\"}, "        \
	"{\"kind\": \"version\", \"name\": \"lab@1\", \"label\": null, \"bytes\": 9, \"stood_on\": false, \"due_ms\": "  \
	"null, \"rule\": \"keep-versions=1\", \"why\": \"machines have it\", \"outcome\": \"waits\"}, "                  \
	"{\"kind\": \"version\", \"name\": \"lab@2\", \"label\": null, \"bytes\": 9, \"stood_on\": false, \"due_ms\": "  \
	"null, \"rule\": \"keep-versions=1\", \"why\": \"machines have it\", \"outcome\": \"waits\"}"
#define PLAN                                                                                                          \
	"{\"now_ms\": 1798131500000, \"not_before_ms\": 1798131600000, \"total_bytes\": 1073741824, \"free_bytes\": " \
	"1048576, \"low_bytes\": 2097152, \"due\": 1, \"due_bytes\": 4096, \"items\": [" ITEMS "]"
#define NOTHING \
	"{\"now_ms\": 1, \"total_bytes\": 1024, \"free_bytes\": 512, \"low_bytes\": 0, \"due\": 0, \"items\": []}"

static void holds(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in: %s", part, text);
}

static char *say(struct server *server, const char *line, int want_code)
{
	char *said;
	int code;

	server_start(server);
	said = server_said(server, line, &code);
	server_stop(server);
	if (code != want_code)
		fail_msg("%s ended with %d: %s", line, code, said);
	return said;
}

static void test_show(void **state)
{
	struct server server = { .answers = { OK(PLAN "}") } };
	char *said;

	(void)state;
	setenv("TZ", "UTC", 1);
	said = say(&server, "retention show", EXIT_DONE);
	holds(server.asked[0], "GET /api/v1/retention HTTP");
	holds(said, "trash     pc-007      2026-12-24 17:00:00  4.0 KiB  trash=7d");
	holds(said, "pc-001 one  2026-12-24 17:01:40  later");
	assert_null(strstr(said, "lab@1"));
	holds(said, "2 versions stay: machines have it (keep-versions=1)\n");
	holds(said, "1.0 MiB of 1.0 GiB are free; below 2.0 MiB some go early\n");
	holds(said, "nothing goes by itself before 2026-12-24 17:00:00\n");
	free(said);
	said = say(&server, "retention show --all", EXIT_DONE);
	holds(said, "lab@1       stays");
	free(said);
	server = (struct server){ .answers = { OK(NOTHING) } };
	said = say(&server, "retention show", EXIT_DONE);
	holds(said, "nothing goes by itself\n");
	free(said);
}

static void test_run(void **state)
{
	struct server server = {
		.answers = { OK(PLAN "}"),
			     OK(PLAN ", \"gone\": 1, \"gone_bytes\": 4096, \"refused\": 0, \"unfinished\": true}"),
			     OK(PLAN ", \"gone\": 1, \"gone_bytes\": 4096, \"refused\": 0, \"unfinished\": false}") }
	};
	char *said = say(&server, "retention run --yes", EXIT_DONE);

	(void)state;
	holds(server.asked[1], "POST /api/v1/retention HTTP");
	holds(server.asked[2], "POST /api/v1/retention HTTP");
	holds(said, "2 gone, 8.0 KiB\n");
	free(said);
	/* Nobody said yes. */
	server = (struct server){ .answers = { OK(PLAN "}") } };
	said = say(&server, "retention run", EXIT_REFUSED);
	holds(said, "1 thing (4.0 KiB) goes now");
	free(said);
	server = (struct server){ .answers = { OK(NOTHING) } };
	said = say(&server, "retention run --yes", EXIT_DONE);
	holds(said, "nothing is due");
	free(said);
	/* One that somebody needs after all. */
	server = (struct server){
		.answers = { OK(PLAN "}"),
			     OK("{\"gone\": 0, \"refused\": 1, \"items\": [{\"kind\": \"version\", \"name\": \"lab@1\", "
				"\"why\": \"x stands on it\", \"outcome\": \"refused\"}]}") }
	};
	said = say(&server, "retention run --yes", EXIT_REFUSED);
	holds(said, "version lab@1 stays: x stands on it\n");
	holds(said, "0 gone, ");
	free(said);
}

static void test_policy_set(void **state)
{
	struct server server = {
		.answers = { OK(
			"{\"trash\": \"1d\", \"max-machines\": 7, \"retention\": {\"due\": 2, \"due_bytes\": 4096, "
			"\"not_before_ms\": 1798131600000}}") }
	};
	char *said = say(&server, "policy set trash=1d", EXIT_DONE);

	(void)state;
	holds(said, "trash=1d\nmax-machines=7\n");
	holds(said, "2 things (4.0 KiB) go by these rules after 2026-12-24 17:00:00");
	assert_null(strstr(said, "retention="));
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_show),
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_policy_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
