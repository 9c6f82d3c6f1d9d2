// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl machine add, import-csv, export-csv, wake: what is sent, and which line is to blame. */
#include "cmocka_all.h"
#include "server.h"

#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REFUSED(json) "HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n" json

static char path[64];

static const char *import(const char *text)
{
	static char line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/tmp/sanbootctl-csv-%d", (int)getpid());
	file = fopen(path, "we");
	fputs(text, file);
	fclose(file);
	snprintf(line, sizeof(line), "machine import-csv %s", path);
	return line;
}

/* Refused before the server is asked. */
static void refused_here(const char *text, const char *why)
{
	struct server nobody = { .dir = "/nonexistent" };
	int code;
	char *said = server_said(&nobody, import(text), &code);

	assert_int_equal(code, EXIT_REFUSED);
	if (!strstr(said, why))
		fail_msg("\"%s\" does not say \"%s\"", said, why);
	free(said);
	unlink(path);
}

static void test_import(void **state)
{
	struct server server = { .answers = {
					 OK("{\"added\": [{\"name\": \"pc-1\"}, {\"name\": \"pc-001\"}]}"),
					 REFUSED("{\"error\": \"machine 2: no\", \"hint\": \"nothing\", \"index\": 1, "
						 "\"reason\": \"no\"}"),
					 OK("{\"added\": [{\"name\": \"pc-1\"}]}") } };
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(
		&server,
		import("\xef\xbb\xbfName;MAC;Note\r\npc-1;5254.0000.0001 52:54:00:00:00:02;\"a;b\"\r\n\r\n;x;\r\n"),
		&code);
	assert_int_equal(code, EXIT_DONE);
	assert_non_null(strstr(server.asked[0], "POST /api/v1/machines HTTP/1.1"));
	assert_non_null(strstr(server.asked[0],
			       "{\"machines\":[{\"name\":\"pc-1\",\"macs\":[\"5254.0000.0001\",\"52:54:00:00:00:02\"],"
			       "\"note\":\"a;b\"},{\"macs\":[\"x\"]}],\"dry_run\":false}"));
	assert_non_null(strstr(said, "pc-1\npc-001\nadded"));
	free(said);
	/* The second machine stands on the fourth line. */
	said = server_said(&server, import("name,mac\npc-1,a\n\npc-2,b\n"), &code);
	assert_int_equal(code, EXIT_REFUSED);
	assert_string_equal(said, "sanbootctl: line 4: no\n  nothing\n");
	free(said);
	said = server_said(&server, "machine add pc-1 52:54:00:00:00:01 --group lab --address 10.0.0.1 --dry-run",
			   &code);
	assert_int_equal(code, EXIT_DONE);
	assert_non_null(strstr(server.asked[2],
			       "{\"machines\":[{\"name\":\"pc-1\",\"macs\":[\"52:54:00:00:00:01\"],\"group\":\"lab\","
			       "\"address\":\"10.0.0.1\"}],\"dry_run\":true}"));
	assert_string_equal(said, "1 machine could be added; nothing was changed\n");
	free(said);
	server_stop(&server);
	unlink(path);
}

static void test_refusals(void **state)
{
	(void)state;
	refused_here("", "there is no machine in it");
	refused_here("name,mac\n", "there is no machine in it");
	refused_here("name,colour\na,b\n", "line 1: there is no column \"colour\"");
	refused_here("name,note\na,b\n", "line 1: there is no column \"mac\"");
	refused_here("name,mac\npc-1,a\npc-2,b,c\n", "line 3: more fields than the first line has columns");
	refused_here("name,mac\npc-1,a\n\"pc-2,b\n", "line 3: a quote (\") is opened and not closed");
}

static void test_export(void **state)
{
	struct server server = {
		.answers = { OK(
			"{\"machines\": [{\"name\": \"pc-1\", \"macs\": [\"52:54:00:00:00:01\", \"52:54:00:00:00:02\"], \"group\": null, "
			"\"image\": \"debian@1\", \"address\": \"10.0.0.1\", \"note\": \"by the \\\"door\\\", left\"}]}") }
	};
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(&server, "machine export-csv", &code);
	assert_int_equal(code, EXIT_DONE);
	assert_string_equal(
		said, "name,mac,group,image,address,note\r\n"
		      "pc-1,52:54:00:00:00:01 52:54:00:00:00:02,,debian@1,10.0.0.1,\"by the \"\"door\"\", left\"\r\n");
	free(said);
	server_stop(&server);
}

static void test_wake(void **state)
{
	struct server server = { .answers = { OK("{\"woken\": \"pc-1\", \"hint\": \"sent\"}"),
					      OK("{\"name\": \"lab\"}"),
					      OK("{\"machines\": [{\"name\": \"pc-1\", \"group\": \"lab\"}, {\"name\": "
						 "\"pc-2\", \"group\": null}]}"),
					      OK("{\"woken\": \"pc-1\", \"hint\": \"sent\"}"),
					      OK("{\"name\": \"empty\"}"), OK("{\"machines\": []}") } };

	(void)state;
	server_start(&server);
	assert_int_equal(server_run(&server, "machine wake"), EXIT_USAGE);
	assert_int_equal(server_run(&server, "machine wake pc-1"), EXIT_DONE);
	assert_non_null(strstr(server.asked[0], "POST /api/v1/machines/pc-1/wake "));
	assert_int_equal(server_run(&server, "machine wake --group lab"), EXIT_DONE);
	assert_non_null(strstr(server.asked[3], "POST /api/v1/machines/pc-1/wake "));
	assert_int_equal(server_run(&server, "machine wake --group empty"), EXIT_REFUSED);
	server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_import), cmocka_unit_test(test_refusals),
					    cmocka_unit_test(test_export), cmocka_unit_test(test_wake) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
