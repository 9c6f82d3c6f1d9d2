// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl machine clone, rescue, maintenance: what they ask for, and what they say. */
#include "cmocka_all.h"
#include "server.h"

#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(const char *words, const char *answer, int want_code, const char *asked, const char *body,
		  const char *want)
{
	struct server server = { .answers = { answer } };
	char *said;
	int code;

	server_start(&server);
	said = server_said(&server, words, &code);
	server_stop(&server);
	if (code != want_code)
		fail_msg("%s: exit %d: %s", words, code, said);
	if (strncmp(server.asked[0], asked, strlen(asked)) || (body && !strstr(server.asked[0], body)))
		fail_msg("%s asked: %s", words, server.asked[0]);
	if (!strstr(said, want))
		fail_msg("no \"%s\" in: %s", want, said);
	free(said);
}

/* Without a server: it must not be asked. */
static void refused(const char *words, int want_code, const char *want)
{
	struct server nobody = { .dir = "/nonexistent" };
	int code;
	char *said = server_said(&nobody, words, &code);

	assert_int_equal(code, want_code);
	if (!strstr(said, want))
		fail_msg("no \"%s\" in: %s", want, said);
	free(said);
}

static void test_clone(void **state)
{
	static const char path[] = "POST /api/v1/machines/pc-001/clone HTTP";

	(void)state;
	check("machine clone pc-001 pc-009 52:54:00:00:00:09", OK("{\"name\": \"pc-009\", \"hint\": \"\"}"), EXIT_DONE,
	      path, "{\"name\":\"pc-009\",\"macs\":[\"52:54:00:00:00:09\"]}",
	      "pc-009 is there, with what is on the disk of pc-001\n");
	check("machine clone pc-001 pc-009 --snapshot one",
	      OK("{\"name\": \"pc-009\", \"hint\": \"it has no hardware yet\"}"), EXIT_DONE, path,
	      "{\"name\":\"pc-009\",\"macs\":[],\"snapshot\":\"one\"}",
	      "with what was on the disk of pc-001\nit has no hardware");
	refused("machine clone pc-001", EXIT_USAGE, "machine clone");
}

#define MACHINE(clean, sessions)                                                                                  \
	"{\"name\": \"pc-001\", \"sessions\": [" sessions                                                         \
	"], \"disk\": {\"path\": \"/var/lib/it's/m1.qcow2\", \"clean\": " clean                                   \
	"}, \"snapshots\": [{\"label\": \"one\", \"path\": \"/srv/one.qcow2\"}, {\"label\": \"gone\", \"path\": " \
	"\"/srv/gone.qcow2\", \"removed\": true}]}"

static void test_rescue(void **state)
{
	static const char path[] = "GET /api/v1/machines/pc-001 HTTP";

	(void)state;
	check("machine rescue pc-001", OK(MACHINE("true", "")), EXIT_DONE, path, NULL,
	      "\nqemu-nbd --connect=/dev/nbd0 --format=qcow2 --read-only '/var/lib/it'\\''s/m1.qcow2'\nmount -o ro /dev/nbd0p1");
	check("machine rescue pc-001 --write", OK(MACHINE("true", "")), EXIT_DONE, path, NULL,
	      "--format=qcow2 '/var/lib/it'\\''s/m1.qcow2'\nmount /dev/nbd0p1 /mnt ");
	check("machine rescue pc-001", OK(MACHINE("false", "{}")), EXIT_REFUSED, path, NULL, "it runs: shut it down");
	check("machine rescue pc-001", OK(MACHINE("false", "")), EXIT_REFUSED, path, NULL, "was not closed in order");
	check("machine rescue pc-001 --snapshot ONE", OK(MACHINE("false", "{}")), EXIT_DONE, path, NULL,
	      "--read-only '/srv/one.qcow2'\n");
	check("machine rescue pc-001 --snapshot gone", OK(MACHINE("true", "")), EXIT_REFUSED, path, NULL,
	      "has no snapshot gone");
	check("machine rescue pc-001 --snapshot one --json", OK(MACHINE("true", "")), EXIT_DONE, path, NULL,
	      "\"path\": \"/srv/one.qcow2\"");
	refused("machine rescue pc-001 --snapshot one --write", EXIT_USAGE, "a snapshot never changes");
}

static void test_maintenance(void **state)
{
	static const char begin[] = "POST /api/v1/machines/pc-001/maintenance HTTP";
	static const char end[] = "DELETE /api/v1/machines/pc-001/maintenance HTTP";

	(void)state;
	check("machine maintenance pc-001 begin", OK("{\"hint\": \"boot it\"}"), EXIT_DONE, begin, "{}",
	      "in maintenance\nboot it\n");
	check("machine maintenance pc-001 begin --image lab@2", OK("{}"), EXIT_DONE, begin, "{\"image\":\"lab@2\"}",
	      "in maintenance\n");
	check("machine maintenance pc-001 end", OK("{\"version\": \"lab@3\", \"hint\": \"try it\"}"), EXIT_DONE, end,
	      "{\"discard\":false}", "pc-001 has its own disk again\ntry it\n");
	check("machine maintenance pc-001 end --discard --yes", OK("{\"version\": null, \"hint\": \"\"}"), EXIT_DONE,
	      end, "{\"discard\":true}", "pc-001 has its own disk again\n");
	refused("machine maintenance pc-001 end --discard", EXIT_REFUSED, "--yes");
	refused("machine maintenance pc-001 stop", EXIT_USAGE, "say begin or end");
	refused("machine maintenance pc-001 begin --discard", EXIT_USAGE, "--discard goes with end");
	refused("machine maintenance pc-001 end --image lab", EXIT_USAGE, "--image goes with begin");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clone),
		cmocka_unit_test(test_rescue),
		cmocka_unit_test(test_maintenance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
