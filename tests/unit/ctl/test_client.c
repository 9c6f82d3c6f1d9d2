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

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
	assert_int_equal(server_run(&nobody, "image build debian --name a --initramfs mkinitcpio"), EXIT_USAGE);
	assert_int_equal(server_run(&nobody, "image import /nonexistent/file --name x"), EXIT_REFUSED);
	assert_int_equal(server_run(&nobody, "bogus"), EXIT_USAGE);
}

/* What a build is told, the script is told. */
static void test_a_build_passes_on_what_it_was_told(void **state)
{
	struct server server = { .answers = { OK("{}") } };
	char *before = strdup(getenv("PATH")), path[128], said[1024] = "";
	FILE *file;

	(void)state;
	if (geteuid()) {
		test_skip("an image is built by root only");
		free(before);
		return;
	}
	server_start(&server);
	snprintf(path, sizeof(path), "%s/bash", server.dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\necho \"$@\" >%s/told\nexit 1\n", server.dir);
	fclose(file);
	assert_int_equal(chmod(path, 0755), 0);
	setenv("PATH", server.dir, 1);
	assert_int_equal(server_run(&server, "image build debian --name a --suite trixie --profile demo "
					     "--initramfs dracut --multipath --work /tmp"),
			 EXIT_REFUSED);
	setenv("PATH", before, 1);
	free(before);
	unlink(path);
	snprintf(path, sizeof(path), "%s/told", server.dir);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(said, sizeof(said), file));
	fclose(file);
	unlink(path);
	assert_non_null(strstr(said, " --suite trixie --profile demo --initramfs dracut --work /tmp --multipath\n"));
	server_stop(&server);
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

/* Interrupts us once the import is followed. */
static void *interrupt(void *arg)
{
	struct server *server = arg;

	while (!__atomic_load_n(&server->asked[1][0], __ATOMIC_ACQUIRE))
		usleep(1000);
	kill(getpid(), SIGINT);
	return NULL;
}

static void test_an_interrupt_cancels_the_import(void **state)
{
#define GOES_ON OK("{\"stage\": \"converting\", \"percent\": 10, \"text\": \"converting\"}")
	struct server server = { .answers = { "HTTP/1.1 202 Accepted\r\nConnection: close\r\n\r\n{\"import\": 9}",
					      GOES_ON, GOES_ON, GOES_ON,
					      OK("{\"stage\": \"failed\", \"text\": \"canceled by ctl\"}") } };
	unsigned canceled = 0;
	pthread_t thread;
	int code;
	char *said;

	(void)state;
	server_start(&server);
	assert_int_equal(pthread_create(&thread, NULL, interrupt, &server), 0);
	said = server_said(&server, "image import /etc/hostname --name x", &code);
	pthread_join(thread, NULL);
	assert_int_equal(code, EXIT_REFUSED);
	assert_non_null(strstr(said, "canceled by ctl"));
	for (size_t i = 0; i < SERVER_ANSWERS; i++)
		canceled += !strncmp(server.asked[i], "DELETE /api/v1/imports/9 ", 25);
	assert_int_equal(canceled, 1);
	free(said);
	server_stop(&server);
}

static void test_imports_are_listed_and_canceled(void **state)
{
	struct server server = {
		.answers = { OK("{\"imports\": [{\"import\": 3, \"name\": \"lab\", \"stage\": \"hashing\", \"percent\": 40, "
				"\"source\": \"/srv/lab.vhdx\", \"text\": \"taking its SHA-256\", \"version\": null}]}"),
			     OK("{\"imports\": []}"), OK("{}") }
	};
	int code;
	char *said;

	(void)state;
	server_start(&server);
	said = server_said(&server, "image imports", &code);
	assert_int_equal(code, EXIT_DONE);
	assert_non_null(strstr(said, "3       lab    hashing  40 %  /srv/lab.vhdx  taking its SHA-256"));
	free(said);
	said = server_said(&server, "image imports", &code);
	assert_non_null(strstr(said, "nothing was imported"));
	free(said);
	said = server_said(&server, "image cancel 3", &code);
	assert_int_equal(code, EXIT_DONE);
	assert_memory_equal(server.asked[2], "DELETE /api/v1/jobs/3 ", 22);
	free(said);
	server_stop(&server);
}

static void says(const char *file, const char *part)
{
	struct server nobody = { .dir = "/nonexistent" };
	char line[256];
	int code;
	char *said;

	snprintf(line, sizeof(line), "image import %s --name x", file);
	said = server_said(&nobody, line, &code);
	assert_int_equal(code, EXIT_REFUSED);
	if (!strstr(said, part))
		fail_msg("%s: %s", file, said);
	free(said);
}

static void test_what_is_no_file_is_refused_with_a_way(void **state)
{
	char dir[] = "/tmp/ctl.XXXXXX", pipe_path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(pipe_path, sizeof(pipe_path), "%s/pipe", dir);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	says("https://example.org/debian.qcow2", "curl -L URL | sanbootctl image import -");
	says(pipe_path, "send what comes from it");
	says("/dev/null", "send what comes from it");
	says(dir, "is a folder");
	unlink(pipe_path);
	rmdir(dir);
}

/* "-" is standard input: a file that is there is named, what comes from a pipe is sent. */
static void test_standard_input(void **state)
{
	struct server server = {
		.answers = { "HTTP/1.1 409 Conflict\r\nConnection: close\r\n\r\n{\"error\": \"enough\"}" }
	};
	struct server sent = { .answers = { OK("{\"import\": 9}"), OK("{\"bytes_done\": 10}"), OK("{\"import\": 9}"),
					    OK("{\"stage\": \"done\", \"version\": \"x@1\"}") } };
	int before = dup(STDIN_FILENO), file = open("/etc/hostname", O_RDONLY | O_CLOEXEC), ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "some bytes", 10), 10);
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	server_start(&sent);
	assert_int_equal(server_run(&sent, "image import - --name x"), EXIT_DONE);
	server_stop(&sent);
	assert_non_null(strstr(sent.asked[0], "\"upload\":\"standard input\""));
	assert_memory_equal(sent.asked[1], "PUT /api/v1/imports/9/data?offset=0 ", 36);
	assert_non_null(strstr(sent.asked[1], "some bytes"));
	assert_memory_equal(sent.asked[2], "POST /api/v1/imports/9/end ", 27);
	server_start(&server);
	dup2(file, STDIN_FILENO);
	assert_int_equal(server_run(&server, "image import - --name x"), EXIT_REFUSED);
	assert_non_null(strstr(server.asked[0], "\"path\":\"/etc/hostname\""));
	server_stop(&server);
	dup2(before, STDIN_FILENO);
	close(before);
	close(file);
	close(ends[0]);
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
		cmocka_unit_test(test_a_build_passes_on_what_it_was_told),
		cmocka_unit_test(test_an_import_is_followed_to_its_end),
		cmocka_unit_test(test_an_interrupt_cancels_the_import),
		cmocka_unit_test(test_imports_are_listed_and_canceled),
		cmocka_unit_test(test_what_is_no_file_is_refused_with_a_way),
		cmocka_unit_test(test_standard_input),
		cmocka_unit_test(test_a_token_goes_to_a_url_only),
		cmocka_unit_test(test_sizes_and_times),
		cmocka_unit_test(test_terminals_are_not_driven_by_what_machines_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
