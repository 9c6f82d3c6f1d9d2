// SPDX-License-Identifier: GPL-2.0-or-later
/* Where an endpoint listens: what lies in the way of its control socket, one address for two purposes. */
#include "cmocka_all.h"
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int start(struct fixture *f, struct fixture *other, const char *control, struct reason *reason)
{
	struct http_config config = { .inventory = f->inventory, .control_path = control };

	*other = *f;
	snprintf(other->control, sizeof(other->control), "%s", control);
	return http_start(&config, &other->http, reason);
}

static void expect_answer(struct fixture *f, enum via via, const char *path, unsigned status)
{
	struct answer answer = ask(f, via, "GET", path, "", NULL);

	assert_int_equal(answer.status, status);
	answer_free(&answer);
}

static void test_control_socket(void **state)
{
	struct fixture *f = *state;
	struct http_config config = { .inventory = f->inventory, .control_path = f->control };
	struct reason reason = { "" };
	struct http *second;
	struct stat st;

	assert_int_equal(stat(f->control, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(http_start(&config, &second, &reason), -EADDRINUSE);
	assert_non_null(strstr(reason.text, "another sanbootd"));
	expect_answer(f, VIA_CONTROL, "/healthz", 200); /* and it was not removed */
}

/* What a server that was killed left behind is no obstacle. */
static void test_stale_socket(void **state)
{
	struct fixture *f = *state, other;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct reason reason = { "" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/stale.sock", f->dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(start(f, &other, address.sun_path, &reason), 0);
	expect_answer(&other, VIA_CONTROL, "/healthz", 200);
	http_stop(other.http);
	assert_int_equal(access(address.sun_path, F_OK), -1);
}

static void test_a_file_in_the_way(void **state)
{
	struct fixture *f = *state, other;
	char path[96];
	struct reason reason = { "" };
	struct stat st;

	snprintf(path, sizeof(path), "%s/secret.txt", f->dir);
	assert_int_equal(start(f, &other, path, &reason), -EEXIST);
	assert_non_null(strstr(reason.text, "no socket"));
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void test_a_path_too_long(void **state)
{
	struct http_config config = { .inventory = ((struct fixture *)*state)->inventory };
	char path[200];
	struct reason reason = { "" };
	struct http *http;

	snprintf(path, sizeof(path), "/tmp/%0150d", 1);
	config.control_path = path;
	assert_int_equal(http_start(&config, &http, &reason), -ENAMETOOLONG);
	assert_non_null(strstr(reason.text, "107 characters"));
}

/* --http and --web with the same address: one listener. */
static void test_one_address_for_both(void **state)
{
	struct fixture *f = *state, other = *f;
	struct endpoint any;
	struct http_config config = { .inventory = f->inventory, .boot_endpoints = &any, .boot_endpoint_count = 1 };
	struct reason reason = { "" };

	/* A port that is free at this moment; nobody else uses this address of the loopback. */
	assert_true(parse_endpoint("127.41.7.1:0", &any));
	assert_int_equal(http_start(&config, &other.http, &reason), 0);
	snprintf(other.address, sizeof(other.address), "%s", http_address(other.http));
	http_stop(other.http);
	assert_true(parse_endpoint(other.address, &any));
	config.web_endpoints = &any;
	config.web_endpoint_count = 1;
	if (http_start(&config, &other.http, &reason))
		fail_msg("%s", reason.text);
	expect_answer(&other, VIA_TCP, "/boot.ipxe", 200);
	expect_answer(&other, VIA_TCP, "/login", 200);
	http_stop(other.http);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_control_socket, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_stale_socket, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_a_file_in_the_way, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_a_path_too_long, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_one_address_for_both, fixture_start, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
