// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl machine|volume snapshot, snapshots, restore, snapshot-remove, copy: what they ask for, and what they say.
 */
#include "cmocka_all.h"
#include "server.h"

#include "base/util.h"
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST                                                                                                       \
	"{\"snapshots\": [{\"label\": \"one\", \"created_ms\": 1700000000000, \"size_bytes\": 1073741824, "        \
	"\"allocated_bytes\": 1048576, \"current\": true, \"automatic\": false, \"removed\": false}, {\"label\": " \
	"\"before-one\", \"automatic\": true, \"removed\": false}, {\"label\": \"gone\", \"removed\": true}, "     \
	"{\"label\": \"lost\", \"error\": \"the file is missing\"}]}"

static void check(const char *words, const char *answer, const char *asked, const char *body, const char *want)
{
	struct server server = { .answers = { answer } };
	char *said;
	int code;

	server_start(&server);
	said = server_said(&server, words, &code);
	server_stop(&server);
	assert_int_equal(code, EXIT_DONE);
	if (strncmp(server.asked[0], asked, strlen(asked)) || (body && !strstr(server.asked[0], body)))
		fail_msg("%s asked: %s", words, server.asked[0]);
	if (!strstr(said, want))
		fail_msg("no \"%s\" in: %s", want, said);
	free(said);
}

static void test_requests(void **state)
{
	static const char label[] = "{\"label\":\"one\"}";

	(void)state;
	check("machine snapshot pc-001 one", OK("{\"snapshot\": \"one\", \"hint\": \"\"}"),
	      "POST /api/v1/machines/pc-001/snapshots HTTP", label, "taken\n");
	check("volume snapshot data one", OK("{}"), "POST /api/v1/volumes/data/snapshots HTTP", label, "taken\n");
	check("machine restore pc-001 one --yes", OK("{}"), "POST /api/v1/machines/pc-001/restore HTTP", label,
	      "restored\n");
	check("volume restore data one --yes", OK("{}"), "POST /api/v1/volumes/data/restore HTTP", label, "restored\n");
	check("machine snapshot-remove pc-001 one --yes",
	      OK("{\"removed\": \"one\", \"hint\": \"it stays for a while\"}"),
	      "DELETE /api/v1/machines/pc-001/snapshots/one HTTP", NULL, "removed\nit stays for a while\n");
	check("volume snapshot-remove data one --yes", OK("{}"), "DELETE /api/v1/volumes/data/snapshots/one HTTP", NULL,
	      "removed\n");
	check("volume copy data copy", OK("{}"), "POST /api/v1/volumes/data/copy HTTP", "{\"name\":\"copy\"}",
	      "copied; give it");
}

/* Of 2026-11-29 12:00, 2026-11-30 08:00 and 09:00, and 2026-12-01 08:00 UTC. */
#define POINTS                                                                                                            \
	"{\"snapshots\": [{\"label\": \"old\", \"created_ms\": 1795953600000}, {\"label\": \"morning\", \"created_ms\": " \
	"1796025600000}, {\"label\": \"gone\", \"created_ms\": 1796029200000, \"removed\": true}, {\"label\": \"late\", " \
	"\"created_ms\": 1796112000000}]}"

static void to_a_time(const char *when, const char *label)
{
	struct server server = { .answers = { OK(POINTS), label ? OK("{}") : NULL } };
	char line[128], body[64], *said;
	int code;

	server_start(&server);
	snprintf(line, sizeof(line), "machine restore pc-001 --yes --to=%s", when);
	said = server_said(&server, line, &code);
	server_stop(&server);
	assert_memory_equal(server.asked[0], "GET /api/v1/machines/pc-001/snapshots ", 38);
	if (code != (label ? EXIT_DONE : EXIT_REFUSED))
		fail_msg("%s: exit %d: %s", when, code, said);
	snprintf(body, sizeof(body), "{\"label\":\"%s\"}", label ? label : "");
	if (label && !strstr(server.asked[1], body))
		fail_msg("%s: %s", when, server.asked[1]);
	free(said);
}

static void test_to_a_time(void **state)
{
	struct server nobody = { .dir = "/nonexistent" };

	(void)state;
	setenv("TZ", "UTC", 1);
	to_a_time("2026-11-30", "morning");
	to_a_time("2026-11-29", "old");
	to_a_time("2026-12-01", "late");
	to_a_time("2026-11-28", NULL);
	unsetenv("TZ");
	assert_int_equal(server_run(&nobody, "machine restore pc-001 --yes --to=2026-11-30T"), EXIT_REFUSED);
	assert_int_equal(server_run(&nobody, "machine restore pc-001 --yes --to=someday"), EXIT_REFUSED);
	assert_int_equal(server_run(&nobody, "machine restore pc-001 --yes"), EXIT_USAGE);
	assert_int_equal(server_run(&nobody, "machine restore pc-001 one --to monday --yes"), EXIT_USAGE);
}

static void test_lists(void **state)
{
	(void)state;
	check("machine snapshots pc-001", OK(LIST), "GET /api/v1/machines/pc-001/snapshots HTTP", NULL,
	      "the disk goes on from it");
	check("machine snapshots pc-001", OK(LIST), "GET ", NULL, "what was there before a restore");
	check("volume snapshots data", OK(LIST), "GET /api/v1/volumes/data/snapshots HTTP", NULL,
	      "removed; goes once nothing stands on it");
	check("volume snapshots data", OK(LIST), "GET ", NULL, "the file is missing");
	check("machine snapshots pc-001", OK("{\"snapshots\": []}"), "GET ", NULL,
	      "sanbootctl machine snapshot pc-001 LABEL");
	check("volume snapshots data", OK("{\"snapshots\": []}"), "GET ", NULL,
	      "sanbootctl volume snapshot data LABEL");
}

/* What would be lost is asked for, and without a terminal refused. */
static void test_confirmed(void **state)
{
	static const char *const words[] = { "machine restore pc-001 one", "volume restore data one",
					     "machine snapshot-remove pc-001 one", "volume snapshot-remove data one" };

	(void)state;
	for (size_t i = 0; i < array_len(words); i++) {
		struct server nobody = { .dir = "/nonexistent" };
		int code;
		char *said = server_said(&nobody, words[i], &code);

		assert_int_equal(code, EXIT_REFUSED);
		if (!strstr(said, "--yes"))
			fail_msg("%s: %s", words[i], said);
		free(said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_to_a_time),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_confirmed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
