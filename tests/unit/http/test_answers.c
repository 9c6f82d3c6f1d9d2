// SPDX-License-Identifier: GPL-2.0-or-later
/* What comes with an answer: its headers, when to ask again, what boot/ is told of files that were fetched. */
#include "cmocka_all.h"
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* want NULL: the header is not there. */
static void expect_header(const struct answer *answer, const char *name, const char *want)
{
	char *value = answer_header(answer, name);

	if (want ? !value || strcmp(value, want) : value != NULL)
		fail_msg("%s: %s instead of %s", name, value ? value : "nothing", want ? want : "nothing");
	free(value);
}

static void test_headers(void **state)
{
	struct answer answer = ask(*state, VIA_TCP, "GET", "/api/v1/status", "", NULL);

	assert_int_equal(answer.status, 401);
	expect_header(&answer, "Content-Type", "application/json");
	expect_header(&answer, "X-Content-Type-Options", "nosniff");
	expect_header(&answer, "Cache-Control", "no-store");
	expect_header(&answer, "WWW-Authenticate", "Bearer realm=\"sanbootd\"");
	expect_header(&answer, "Retry-After", NULL);
	answer_free(&answer);
	answer = ask(*state, VIA_TCP, "GET", "/login", "", NULL);
	expect_header(&answer, "Content-Type", "text/html; charset=utf-8");
	expect_header(&answer, "X-Content-Type-Options", "nosniff");
	expect_header(&answer, "Cache-Control", "no-store");
	answer_free(&answer);
	answer = ask(*state, VIA_TCP, "GET", "/app.js", "", NULL);
	expect_header(&answer, "Content-Type", "text/javascript; charset=utf-8");
	expect_header(&answer, "Cache-Control", "no-cache");
	answer_free(&answer);
	answer = ask(*state, VIA_TCP, "PUT", "/api/v1/machines/pc-001", "", NULL);
	assert_int_equal(answer.status, 405);
	expect_header(&answer, "Allow", "GET, PATCH, DELETE");
	answer_free(&answer);
}

static void test_when_to_ask_again(void **state)
{
	struct answer answer = ask(*state, VIA_TCP, "GET", "/boot?mac=52:54:00:00:00:04", "", NULL);

	assert_int_equal(answer.status, 503);
	expect_header(&answer, "Retry-After", "5");
	answer_free(&answer);
	answer = ask(*state, VIA_TCP, "GET", "/boot?mac=52:54:00:00:00:01", "", NULL);
	assert_int_equal(answer.status, 200);
	expect_header(&answer, "Retry-After", NULL);
	answer_free(&answer);
	fake_boot.fail = -EAGAIN;
	answer = ask(*state, VIA_CONTROL, "POST", "/api/v1/machines/pc-001/reset", "", "{}");
	assert_int_equal(answer.status, 503);
	expect_header(&answer, "Retry-After", "5");
	answer_free(&answer);
	fake_boot.fail = -EBUSY;
	answer = ask(*state, VIA_CONTROL, "POST", "/api/v1/machines/pc-001/reset", "", "{}");
	assert_int_equal(answer.status, 409);
	expect_header(&answer, "Retry-After", NULL);
	answer_free(&answer);
}

/* Body and status of a GET, and what boot/ then knows of it. */
static void expect_file(struct fixture *f, const char *path, const char *body, const char *fetch)
{
	struct answer answer;

	fake_boot.last_fetch[0] = '\0';
	answer = ask(f, VIA_TCP, "GET", path, "", NULL);
	assert_int_equal(answer.status, 200);
	if (!strstr(answer.body, body))
		fail_msg("%s: no %s in %s", path, body, answer.body);
	assert_string_equal(fake_boot.last_fetch, fetch);
	answer_free(&answer);
}

static void test_files_that_boots_begin_with(void **state)
{
	struct fixture *f = *state;
	char chain[128], path[128];
	FILE *file;

	expect_file(f, "/boot.ipxe", "#!ipxe", "boot.ipxe by 127.0.0.1");
	expect_file(f, "/ipxe/undionly.kpxe", "BOOTFILE", "undionly.kpxe by 127.0.0.1");
	/* A newer iPXE looks for it beside itself: ours, until the site has one. */
	snprintf(chain, sizeof(chain), "--replace --autofree http://%s/boot.ipxe", f->address);
	expect_file(f, "/ipxe/autoexec.ipxe", chain, "");
	expect_file(f, "/ipxe/efi/autoexec.ipxe", chain, "");
	snprintf(path, sizeof(path), "%s/autoexec.ipxe", f->ipxe_dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("THEIRS", file);
	fclose(file);
	expect_file(f, "/ipxe/autoexec.ipxe", "THEIRS", "autoexec.ipxe by 127.0.0.1");
	expect_file(f, "/ipxe/efi/autoexec.ipxe", "THEIRS", "autoexec.ipxe by 127.0.0.1");
}

/* A shim and what it loads beside itself, as iPXE's release has them: the shim's name is a link. */
static void test_shim_in_a_folder(void **state)
{
	struct fixture *f = *state;
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/x86_64-sb", f->ipxe_dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/x86_64-sb/shimx64.efi", f->ipxe_dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("SHIM", file);
	fclose(file);
	snprintf(path, sizeof(path), "%s/x86_64-sb/snponly-shim.efi", f->ipxe_dir);
	assert_int_equal(symlink("shimx64.efi", path), 0);
	snprintf(path, sizeof(path), "%s/x86_64-sb/snponly.efi", f->ipxe_dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("LOADER", file);
	fclose(file);
	expect_file(f, "/ipxe/x86_64-sb/snponly-shim.efi", "SHIM", "snponly-shim.efi by 127.0.0.1");
	expect_file(f, "/ipxe/x86_64-sb/snponly.efi", "LOADER", "snponly.efi by 127.0.0.1");
	expect_file(f, "/ipxe/x86_64-sb/autoexec.ipxe", "--replace", "");
}

/* Four times of what a body may have, without end: nobody listens any longer. */
static void test_a_body_without_end(void **state)
{
	struct answer answer;
	struct buf text;

	buf_init(&text, 16 << 20);
	buf_add_string(
		&text,
		"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 100; i++) {
		buf_add_string(&text, "10000\r\n");
		for (int j = 0; j < 0x10000; j += 16)
			buf_add_string(&text, "aaaaaaaaaaaaaaaa");
		buf_add_string(&text, "\r\n");
	}
	buf_add_string(&text, "0\r\n\r\n");
	answer = send_raw(*state, VIA_TCP, text.data, text.len);
	assert_int_equal(answer.status, 0);
	answer_free(&answer);
	buf_fini(&text);
}

/* One address may hold many connections, not all of them. */
static void test_one_address_leaves_room(void **state)
{
	static const char request[] = "GET /healthz HTTP/1.0\r\n\r\n";
	int fds[600];
	char byte;

	for (size_t i = 0; i < 600; i++) {
		fds[i] = connect_to(*state, VIA_TCP);
		assert_true(fds[i] >= 0);
	}
	send(fds[599], request, sizeof(request) - 1, MSG_NOSIGNAL);
	assert_true(recv(fds[599], &byte, 1, 0) <= 0); /* closed, and not answered */
	for (size_t i = 0; i < 600; i++)
		close(fds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_headers, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_when_to_ask_again, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_files_that_boots_begin_with, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_shim_in_a_folder, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_a_body_without_end, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_one_address_leaves_room, fixture_start, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
