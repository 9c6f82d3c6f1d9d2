// SPDX-License-Identifier: GPL-2.0-or-later
/* sanbootctl volume ...: what it asks for, what it says, and what it refuses without asking. */
#include "cmocka_all.h"
#include "server.h"

#include "base/util.h"
#include "ctl/ctl.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_VOLUMES OK("{\"volumes\": []}")
#define MADE                                                                                                      \
	"HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n{\"label\": \"scratch\", \"machines\": [{\"machine\": " \
	"\"pc-001\", \"lun\": 1}], \"hint\": \"rescan it\"}"
#define LIST                                                                                                           \
	"{\"volumes\": [{\"id\": 1, \"kind\": \"system\", \"label\": \"pc-001:0\", \"name\": null}, {\"id\": 4, "      \
	"\"kind\": \"shared\", \"label\": \"tools\", \"name\": \"tools\", \"state\": \"ready\", \"read_only\": true, " \
	"\"virtual_bytes\": 1048576, \"image\": \"tools@1\", \"machines\": [{\"machine\": \"a\", \"lun\": 1}, "        \
	"{\"machine\": \"b\", \"lun\": 2}, {\"machine\": \"c\", \"lun\": 3}, {\"machine\": \"d\", \"lun\": 4}]}]}"

static void begins(const char *asked, const char *with)
{
	if (strncmp(asked, with, strlen(with)))
		fail_msg("not \"%s\" but: %s", with, asked);
}

static void holds(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in: %s", part, text);
}

static void test_create_data(void **state)
{
	struct server server = { .answers = { MADE } };
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(&server, "volume create --machine pc-001 --size 20G --lun 1 --name scratch", &code);
	server_stop(&server);
	assert_int_equal(code, EXIT_DONE);
	begins(server.asked[0], "POST /api/v1/volumes HTTP");
	holds(server.asked[0], "\"kind\":\"data\"");
	holds(server.asked[0], "\"machine\":\"pc-001\"");
	holds(server.asked[0], "\"size\":\"20G\"");
	holds(server.asked[0], "\"lun\":1");
	holds(server.asked[0], "\"name\":\"scratch\"");
	holds(said, "volume scratch is made\n");
	holds(said, "rescan it\n");
	assert_null(strstr(said, "volume attach"));
	free(said);
}

/* A file is imported first, for volumes only; what would matter for booting is not said. */
static void test_create_from_a_file(void **state)
{
	struct server server = { .answers = { NO_VOLUMES,
					      "HTTP/1.1 202 Accepted\r\nConnection: close\r\n\r\n{\"import\": 9}",
					      OK("{\"stage\": \"done\", \"version\": \"tools@3\", \"warnings\": [\"it "
						 "cannot boot\"], \"published\": false}"),
					      OK("{\"label\": \"tools\", \"machines\": [], \"hint\": \"\"}") } };
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(&server, "volume create --shared tools --from /etc/hostname", &code);
	server_stop(&server);
	assert_int_equal(code, EXIT_DONE);
	begins(server.asked[0], "GET /api/v1/volumes HTTP");
	begins(server.asked[1], "POST /api/v1/images HTTP");
	holds(server.asked[1], "\"path\":\"/etc/hostname\"");
	holds(server.asked[1], "\"name\":\"tools\"");
	holds(server.asked[1], "\"volume\":true");
	begins(server.asked[2], "GET /api/v1/imports/9 HTTP");
	begins(server.asked[3], "POST /api/v1/volumes HTTP");
	holds(server.asked[3], "\"kind\":\"shared\"");
	holds(server.asked[3], "\"image\":\"tools@3\"");
	holds(said, "volume tools is made, from image tools@3\n");
	holds(said, "sanbootctl volume attach tools M");
	assert_null(strstr(said, "warning"));
	assert_null(strstr(said, "publish"));
	free(said);
}

/* A CD without a name: its image is called as the file. */
static void test_create_a_cd(void **state)
{
	struct server server = { .answers = {
					 OK("{\"name\": \"pc-001\", \"luns\": [{\"lun\": 0}]}"),
					 "HTTP/1.1 202 Accepted\r\nConnection: close\r\n\r\n{\"import\": 9}",
					 OK("{\"stage\": \"done\", \"version\": \"host.conf@1\"}"),
					 "HTTP/1.1 409 Conflict\r\nConnection: close\r\n\r\n{\"error\": \"no\"}" } };
	struct server by_image = { .answers = { MADE } };
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(&server, "volume create --machine pc-001 --kind cd --from /etc/host.conf --lun 2", &code);
	server_stop(&server);
	assert_int_equal(code, EXIT_REFUSED);
	begins(server.asked[0], "GET /api/v1/machines/pc-001 HTTP");
	holds(server.asked[1], "\"name\":\"host.conf\"");
	holds(server.asked[3], "\"kind\":\"cd\"");
	holds(server.asked[3], "\"image\":\"host.conf@1\"");
	assert_null(strstr(server.asked[3], "\"name\""));
	holds(said, "host.conf@1 was imported and stays");
	free(said);
	server_start(&by_image);
	assert_int_equal(server_run(&by_image, "volume create --machine pc-001 --kind cd --from debian@2"), EXIT_DONE);
	server_stop(&by_image);
	holds(by_image.asked[0], "\"image\":\"debian@2\"");
}

/* Before minutes go into an import. */
static void test_what_cannot_work_imports_nothing(void **state)
{
	static const struct {
		const char *line, *answer, *says;
	} cases[] = {
		{ "volume create --shared Tools --from /etc/hostname", OK(LIST), "there is a volume tools already" },
		{ "volume create --machine pc-001 --lun 7 --kind cd --from /etc/hostname",
		  OK("{\"name\": \"pc-001\", \"luns\": [{\"lun\": 7, \"volume\": \"x\"}]}"),
		  "LUN 7 of pc-001 is taken by volume x" },
		{ "volume create --machine nobody --kind cd --from /etc/hostname",
		  "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n{\"error\": \"there is no machine nobody\"}",
		  "there is no machine nobody" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct server server = { .answers = { cases[i].answer } };
		char *said;
		int code;

		server_start(&server);
		said = server_said(&server, cases[i].line, &code);
		server_stop(&server);
		assert_int_equal(code, EXIT_REFUSED);
		holds(said, cases[i].says);
		free(said);
	}
}

static void test_usage(void **state)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "volume create", "--size" },
		{ "volume create --machine pc-001", "--size" },
		{ "volume create --size 1G", "--machine" },
		{ "volume create --machine pc-001 --size 1G --from x", "begins empty" },
		{ "volume create --machine pc-001 --size 1G --kind floppy", "data or cd" },
		{ "volume create --machine pc-001 --kind shared --from x", "--shared NAME" },
		{ "volume create --machine pc-001 --kind cd", "--from" },
		{ "volume create --machine pc-001 --kind cd --from x --size 1G", "leave --size out" },
		{ "volume create --kind cd --from x --name y", "--machine M" },
		{ "volume create --shared x", "--from" },
		{ "volume create --shared x --from y --name z", "leave --name out" },
		{ "volume create --shared x --from y --kind data", "read-only" },
		{ "volume create --shared x --from y --lun 3", "--machine M" },
		{ "volume create --machine pc-001 --size 1G --lun 256", "1 to 255" },
		{ "volume create --machine pc-001 --size 1G --lun 0", "LUN 0 is the disk that the machine boots from" },
		{ "volume create --machine pc-001 --size 1G --lun one", "1 to 255" },
		{ "volume attach a b --lun 1x", "1 to 255" },
		{ "volume attach a", "V M" },
		{ "volume attach a b --force", "does not take --force" },
		{ "volume resize a", "V SIZE" },
		{ "volume set a b", "KEY=VALUE" },
	};
	struct server nobody = { .dir = "/nonexistent" };

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		int code;
		char *said = server_said(&nobody, cases[i].line, &code);

		if (code != EXIT_USAGE)
			fail_msg("%s: %d: %s", cases[i].line, code, said);
		holds(said, cases[i].says);
		free(said);
	}
	assert_int_equal(server_run(&nobody, "volume create --shared x --from /nonexistent/file"), EXIT_REFUSED);
	assert_int_equal(server_run(&nobody, "volume create --shared x --from /etc/hostname --url http://127.0.0.1:1"),
			 EXIT_REFUSED);
}

static void test_requests(void **state)
{
	static const struct {
		const char *line, *asked, *body, *says;
	} cases[] = {
		{ "volume attach tools pc-001 --lun 7", "POST /api/v1/volumes/tools/attach HTTP",
		  "{\"machine\":\"pc-001\",\"lun\":7}", "attached\nrescan it\n" },
		{ "volume attach #4 pc-001", "POST /api/v1/volumes/%234/attach HTTP", "{\"machine\":\"pc-001\"}",
		  "attached" },
		{ "volume detach tools pc-001 --force", "POST /api/v1/volumes/tools/detach HTTP",
		  "{\"force\":true,\"machine\":\"pc-001\"}", "detached" },
		{ "volume detach pc-001:1", "POST /api/v1/volumes/pc-001%3A1/detach HTTP", "{\"force\":false}",
		  "detached" },
		{ "volume resize tools 40G", "PATCH /api/v1/volumes/tools HTTP", "{\"size\":\"40G\"}",
		  "resized\nrescan it\n" },
		{ "volume set tools note=x quota=none", "PATCH /api/v1/volumes/tools HTTP",
		  "{\"note\":\"x\",\"quota\":\"none\"}", "done" },
		{ "volume remove tools --yes", "DELETE /api/v1/volumes/tools HTTP", "", "removed" },
		{ "volume show tools", "GET /api/v1/volumes/tools HTTP", "", "scratch" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct server server = { .answers = { OK("{\"label\": \"scratch\", \"hint\": \"rescan it\"}") } };
		char *said;
		int code;

		server_start(&server);
		said = server_said(&server, cases[i].line, &code);
		server_stop(&server);
		assert_int_equal(code, EXIT_DONE);
		begins(server.asked[0], cases[i].asked);
		holds(server.asked[0], cases[i].body);
		holds(said, cases[i].says);
		free(said);
	}
}

/* Nothing is asked of the server; standard input is no terminal here. */
static void test_removing_needs_yes(void **state)
{
	struct server nobody = { .dir = "/nonexistent" };
	int in = dup(STDIN_FILENO), none = open("/dev/null", O_RDONLY), code;
	char *said;

	(void)state;
	dup2(none, STDIN_FILENO);
	said = server_said(&nobody, "volume remove tools", &code);
	dup2(in, STDIN_FILENO);
	close(in);
	close(none);
	assert_int_equal(code, EXIT_REFUSED);
	holds(said, "add --yes");
	free(said);
}

static void test_list(void **state)
{
	struct server server = { .answers = { OK(LIST), OK(LIST), NO_VOLUMES } };
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(&server, "volume list", &code);
	holds(said, "a LUN 1, b LUN 2, c LUN 3 and 1 more\n");
	holds(said, "#4");
	holds(said, "1.0 MiB");
	holds(said, "and the disk that each of 1 machine boots from: sanbootctl volume list --all");
	assert_null(strstr(said, "pc-001:0"));
	free(said);
	said = server_said(&server, "volume list --all", &code);
	holds(said, "pc-001:0");
	free(said);
	said = server_said(&server, "volume list", &code);
	holds(said, "no volumes yet");
	free(said);
	server_stop(&server);
}

static void test_where_volumes_are_counted(void **state)
{
	struct server server = {
		.answers = { OK("{\"volumes\": {\"system\": {\"count\": 12, \"bytes\": 1024}, \"data\": {\"count\": 0, "
				"\"bytes\": 0}, \"cd\": {\"count\": 1, \"bytes\": 0}}, \"sharing\": {\"saved_bytes\": 2048, "
				"\"full_copies_bytes\": 4096, \"saved_percent\": 50}}"),
			     OK("{\"name\": \"pc-001\", \"luns\": [{\"lun\": 0, \"volume\": null}, {\"lun\": 1, \"volume\": "
				"\"scratch\", \"volume_kind\": \"data\", \"bytes\": 4096, \"allocated_bytes\": 1024, \"state\": "
				"\"failed\"}, {\"lun\": 9, \"volume\": \"tools\", \"volume_kind\": \"shared\", \"bytes\": "
				"4096}]}") }
	};
	char *said;
	int code;

	(void)state;
	server_start(&server);
	said = server_said(&server, "status", &code);
	holds(said, "12 system (1.0 KiB), 1 cd\n");
	holds(said, "2.0 KiB of the 4.0 KiB that a full copy for each would take (50 %)");
	free(said);
	said = server_said(&server, "machine show pc-001", &code);
	server_stop(&server);
	holds(said, "LUN 1 scratch: data, 4.0 KiB, 1.0 KiB used\n");
	holds(said, "failed: see sanbootctl volume show scratch\n");
	holds(said, "LUN 9 tools: shared, 4.0 KiB, read-only\n");
	assert_null(strstr(said, "LUN 0"));
	free(said);
}

/* Options that mean something else elsewhere are explained in the words of the command. */
static void test_help(void **state)
{
	struct server nobody = { .dir = "/nonexistent" };
	int code;
	char *said = server_said(&nobody, "volume create --help", &code);

	(void)state;
	assert_int_equal(code, EXIT_DONE);
	holds(said, "--size SIZE");
	assert_null(strstr(said, "--size MIB"));
	assert_null(strstr(said, "only of this machine"));
	free(said);
	said = server_said(&nobody, "image build debian --help", &code);
	holds(said, "--size MIB");
	assert_null(strstr(said, "--size SIZE"));
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_data),
		cmocka_unit_test(test_create_from_a_file),
		cmocka_unit_test(test_create_a_cd),
		cmocka_unit_test(test_what_cannot_work_imports_nothing),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_removing_needs_yes),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_where_volumes_are_counted),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
