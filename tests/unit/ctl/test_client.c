// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sanbootctl against a server that answers what the test says: exit codes, what is sent, what is said; and how things
 * are shown.
 */
#include "cmocka_all.h"
#include "server.h"

#include "base/util.h"
#include "ctl/client.h"
#include "ctl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_it_asks_and_prints(void **state)
{
	struct server server = { .answers = { OK("{\"swapped\": \"52:54:00:00:00:09\"}"),
					      OK("{\"approved\": [], \"failed\": []}") } };

	(void)state;
	server_start(&server);
	assert_int_equal(server_run(&server, "machine swap pc/1 52:54:00:00:00:09"), EXIT_DONE);
	assert_memory_equal(server.asked[0], "POST /api/v1/machines/pc%2F1/swap HTTP/1.1\r\n", 44);
	assert_non_null(strstr(server.asked[0], "{\"mac\":\"52:54:00:00:00:09\"}"));
	assert_int_equal(server_run(&server, "machine approve 3 525400000001 --image debian"), EXIT_DONE);
	assert_non_null(strstr(server.asked[1], "\"numbers\":[3]"));
	assert_non_null(strstr(server.asked[1], "\"macs\":[\"525400000001\"]"));
	assert_non_null(strstr(server.asked[1], "\"image\":\"debian\""));
	server_stop(&server);
}

static void test_refusals_are_1(void **state)
{
	struct server server = { .answers = {
					 "HTTP/1.1 409 Conflict\r\nConnection: close\r\n\r\n{\"error\": \"pc-001 "
					 "runs\", \"hint\": \"switch it off\"}",
					 OK("not json"),
					 OK("{\"approved\": [], \"failed\": [{\"which\": \"3\", \"error\": \"no\"}]}"),
					 "HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\n<html>" } };

	(void)state;
	server_start(&server);
	assert_int_equal(server_run(&server, "machine reset pc-001 --yes"), EXIT_REFUSED);
	assert_int_equal(server_run(&server, "status"), EXIT_REFUSED);
	assert_int_equal(server_run(&server, "machine approve 3"), EXIT_REFUSED);
	assert_int_equal(server_run(&server, "status"), EXIT_REFUSED);
	server_stop(&server);
}

static void test_without_asking_the_server(void **state)
{
	struct server nobody = { .dir = "/nonexistent" };

	(void)state;
	assert_int_equal(server_run(&nobody, "status"), EXIT_REFUSED);
	assert_int_equal(server_run(&nobody, "machine approve"), EXIT_USAGE);
	assert_int_equal(server_run(&nobody, "machine approve 1 --all"), EXIT_USAGE);
	assert_int_equal(server_run(&nobody, "machine set pc nonsense"), EXIT_USAGE);
	assert_int_equal(server_run(&nobody, "image import /etc/hostname"), EXIT_USAGE);
	assert_int_equal(server_run(&nobody, "image import /etc/hostname --name x --url http://127.0.0.1:1"),
			 EXIT_REFUSED);
	assert_int_equal(server_run(&nobody, "image build debian"), EXIT_USAGE);
	assert_int_equal(server_run(&nobody, "image build debian --name a/b"), EXIT_USAGE);
	assert_int_equal(server_run(&nobody, "image build debian --name a --size 10"), EXIT_USAGE);
	assert_int_equal(server_run(&nobody, "image import /nonexistent/file --name x"), EXIT_REFUSED);
	assert_int_equal(server_run(&nobody, "bogus"), EXIT_USAGE);
}

static void test_an_import_is_followed_to_its_end(void **state)
{
	struct server server = { .answers = {
					 "HTTP/1.1 202 Accepted\r\nConnection: close\r\n\r\n{\"import\": 9}",
					 OK("{\"stage\": \"converting\", \"percent\": 10, \"text\": \"converting\"}"),
					 OK("{\"stage\": \"failed\", \"percent\": 10, \"text\": \"it is no disk\", "
					    "\"warnings\": []}") } };

	(void)state;
	server_start(&server);
	assert_int_equal(server_run(&server, "image import /etc/hostname --name x --default"), EXIT_REFUSED);
	assert_non_null(strstr(server.asked[0], "\"path\":\"/etc/hostname\""));
	assert_non_null(strstr(server.asked[0], "\"default\":true"));
	assert_memory_equal(server.asked[2], "GET /api/v1/imports/9 ", 22);
	server_stop(&server);
}

static void test_a_token_goes_to_a_url_only(void **state)
{
	struct server server = { .answers = { OK("{}") } };

	(void)state;
	server_start(&server);
	assert_int_equal(server_run(&server, "policy show --token abc"), EXIT_DONE);
	assert_null(strstr(server.asked[0], "Authorization"));
	server_stop(&server);
}

static void test_sizes_and_times(void **state)
{
	char out[TABLE_TEXT];

	(void)state;
	assert_string_equal(table_bytes(out, 0), "0 B");
	assert_string_equal(table_bytes(out, 1023), "1023 B");
	assert_string_equal(table_bytes(out, 1536), "1.5 KiB");
	assert_string_equal(table_bytes(out, 5LL << 30), "5.0 GiB");
	assert_string_equal(table_bytes(out, 100LL << 40), "100 TiB");
	assert_string_equal(table_age(out, 0, 1000), "-");
	assert_string_equal(table_age(out, 1, 60001), "60 s ago");
	assert_string_equal(table_age(out, 1, 600001), "10 min ago");
	assert_string_equal(table_time(out, 0), "-");
}

static void test_terminals_are_not_driven_by_what_machines_say(void **state)
{
	char out[64];

	(void)state;
	assert_string_equal(printable(out, sizeof(out), "a\033[2Jb\r\n"), "a?[2Jb?"
									  "?");
	assert_string_equal(printable(out, sizeof(out),
				      "\xc2\x9b"
				      "2J"),
			    "\xc2?2J");
	assert_string_equal(printable(out, sizeof(out), "\xc3\xa4"), "\xc3\xa4");
	assert_string_equal(printable(out, 3, "abcdef"), "ab");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_asks_and_prints),
		cmocka_unit_test(test_refusals_are_1),
		cmocka_unit_test(test_without_asking_the_server),
		cmocka_unit_test(test_an_import_is_followed_to_its_end),
		cmocka_unit_test(test_a_token_goes_to_a_url_only),
		cmocka_unit_test(test_sizes_and_times),
		cmocka_unit_test(test_terminals_are_not_driven_by_what_machines_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
