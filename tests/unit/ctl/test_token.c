// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl token: what it asks for, what it says. */
#include "cmocka_all.h"
#include "server.h"

#include "ctl/ctl.h"

#include <stdlib.h>
#include <string.h>

static void holds(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in: %s", part, text);
}

static void test_create(void **state)
{
	struct server server = { .answers = {
					 OK("{\"id\": 3, \"name\": \"m\", \"token\": \"abc\", \"scope\": \"viewer\", "
					    "\"expires_ms\": 1798131600000}") } };
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(&server, "token create m --scope viewer --days 7", &code);
	server_stop(&server);
	assert_int_equal(code, EXIT_DONE);
	holds(said, "abc\n");
	holds(said, "token #3, for viewer, valid until 2026-12-24");
	holds(server.asked[0], "\"scope\":\"viewer\"");
	holds(server.asked[0], "\"days\":7");
	free(said);
}

static void test_list(void **state)
{
	struct server server = {
		.answers = { OK("{\"tokens\": [{\"id\": 3, \"name\": \"monitoring\", \"scope\": \"viewer\", \"created_ms\": 1, "
				"\"created_by\": \"ctl\", \"expires_ms\": 1798131600000, \"used_ms\": null}]}"),
			     OK("{\"tokens\": []}") }
	};
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(&server, "token list", &code);
	assert_int_equal(code, EXIT_DONE);
	holds(said, "#3  monitoring  viewer");
	free(said);
	said = server_said(&server, "token list", &code);
	holds(said, "there are no tokens");
	free(said);
	server_stop(&server);
	holds(server.asked[0], "GET /api/v1/tokens ");
}

static void test_remove(void **state)
{
	struct server server = { .answers = { OK("{\"removed\": \"m\"}"), OK("{\"removed\": \"m\"}"),
					      OK("{\"removed\": \"m\"}") } };

	(void)state;
	server_start(&server);
	assert_int_equal(server_run(&server, "token remove #3"), EXIT_DONE);
	assert_int_equal(server_run(&server, "token remove 3"), EXIT_DONE);
	assert_int_equal(server_run(&server, "token remove 3abc"), EXIT_DONE);
	server_stop(&server);
	holds(server.asked[0], "DELETE /api/v1/tokens/%233 ");
	holds(server.asked[1], "DELETE /api/v1/tokens/3 ");
	holds(server.asked[2], "{\"token\":\"3abc\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
