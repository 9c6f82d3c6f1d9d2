// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl group ..., and what machine show says of where a setting comes from. */
#include "cmocka_all.h"
#include "server.h"

#include "ctl/ctl.h"

#include <stdlib.h>
#include <string.h>

#define LAB                                                                                                       \
	"{\"name\": \"lab\", \"machines\": 12, \"priority\": 0, \"image\": \"debian\", \"mode\": \"ephemeral\", " \
	"\"name_pattern\": \"lab-{n:02}\", \"quota\": null, \"boot\": null, \"boot_file_set\": null, "            \
	"\"templates\": \"none\", \"restore_points\": \"3\", \"note\": null, \"volumes\": [\"office\", \"tools\"]"
#define MACHINE                                                                                                          \
	"{\"name\": \"pc-1\", \"state\": \"off\", \"image\": \"debian@1\", \"image_name\": \"debian\", \"group\": "      \
	"\"lab\", \"quota\": \"policy\", \"effective\": {\"mode\": {\"value\": \"persistent\", \"from\": \"machine\"}, " \
	"\"quota\": {\"value\": \"20G\", \"from\": \"group\", \"group\": \"lab\"}, \"restore-points\": {\"value\": "     \
	"\"2\", \"from\": \"policy\"}, \"boot\": {\"value\": \"disk\", \"from\": \"default\"}, \"image\": {\"value\": "  \
	"\"win\", \"from\": \"group\", \"group\": \"lab\"}}, \"luns\": [{\"lun\": 0}, {\"lun\": 1, \"volume\": "         \
	"\"tools\", \"volume_kind\": \"shared\", \"bytes\": 4194304, \"by_group\": true}]}"

static void holds(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in: %s", part, text);
}

/* What it says, with runs of spaces as one. */
static char *said(struct server *server, const char *line)
{
	int code;
	char *text = server_said(server, line, &code), *to = text;

	assert_int_equal(code, EXIT_DONE);
	for (const char *from = text; *from; from++)
		if (*from != ' ' || to == text || to[-1] != ' ')
			*to++ = *from;
	*to = '\0';
	return text;
}

static void test_group(void **state)
{
	struct server server = { .answers = { OK(LAB "}"), OK("{\"groups\": [" LAB "}]}"),
					      OK(LAB ", \"hint\": \"from the next boot on\"}"),
					      OK("{\"removed\": \"lab\", \"hint\": \"12 machines were in it\"}") } };
	char *text;

	(void)state;
	server_start(&server);
	text = said(&server, "group show lab");
	holds(server.asked[0], "GET /api/v1/groups/lab HTTP");
	holds(text, "machines 12\n");
	holds(text, "name-pattern lab-{n:02}\n");
	holds(text, "restore-points 3\n");
	holds(text, "volumes office, tools\n");
	assert_null(strstr(text, "quota"));
	free(text);
	text = said(&server, "group list");
	holds(text, "lab 12 0 debian ephemeral");
	holds(text, "office, tools");
	free(text);
	text = said(&server, "group set lab mode=ephemeral volumes=tools,office");
	holds(server.asked[2], "PATCH /api/v1/groups/lab HTTP");
	holds(server.asked[2], "{\"mode\":\"ephemeral\",\"volumes\":\"tools,office\"}");
	holds(text, "from the next boot on\n");
	free(text);
	text = said(&server, "group remove lab");
	holds(text, "12 machines were in it\n");
	free(text);
	server_stop(&server);
}

static void test_machine_show(void **state)
{
	struct server server = { .answers = { OK(MACHINE) } };
	char *text;

	(void)state;
	server_start(&server);
	text = said(&server, "machine show pc-1");
	server_stop(&server);
	holds(text, "mode persistent\n");
	holds(text, "quota 20G (group lab)\n");
	holds(text, "restore-points 2 (policy)\n");
	holds(text, "boot disk (default)\n");
	holds(text, "next image win (group lab)");
	holds(text, "read-only, of its group\n");
	free(text);
}

static void test_approve(void **state)
{
	struct server server = {
		.answers = { OK("{\"approved\": [{\"which\": \"3\", \"name\": \"lab-01\"}], \"failed\": []}") }
	};
	char *text;

	(void)state;
	server_start(&server);
	text = said(&server, "machine approve 3 --group lab");
	server_stop(&server);
	holds(server.asked[0], "\"numbers\":[3]");
	holds(server.asked[0], "\"group\":\"lab\"");
	holds(text, "3 is lab-01\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_machine_show),
		cmocka_unit_test(test_approve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
