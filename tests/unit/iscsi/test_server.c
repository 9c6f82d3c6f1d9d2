// SPDX-License-Identifier: GPL-2.0-or-later
/* Start and stop of the server, on loops without threads. What it does with connections: tests/conformance. */
#include "base/log.h"
#include "base/loop.h"
#include "cmocka_all.h"
#include "iscsi/server.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loops[2];
static const struct iscsi_provider provider;

static int setup(void **state)
{
	(void)state;
	log_init(LOG_LEVEL_ERROR, false);
	for (unsigned i = 0; i < 2; i++) {
		loops[i] = loop_new(i);
		loop_set_name(loops[i], "io-0"); /* watched */
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		loop_free(loops[i]);
	return 0;
}

static void on_stopped(void *arg)
{
	*(bool *)arg = true;
}

static void stop(struct iscsi_server *server)
{
	bool stopped = false;

	iscsi_server_stop(server, 1000, on_stopped, &stopped);
	while (!stopped)
		for (unsigned i = 0; i < 2; i++)
			loop_run_once(loops[i], false);
	iscsi_server_free(server);
}

static int start(const char *listen, struct iscsi_server **server, struct reason *reason)
{
	struct endpoint endpoint;
	struct iscsi_server_config config = {
		.loops = loops, .loop_count = 2, .endpoints = &endpoint, .endpoint_count = 1, .provider = &provider
	};

	assert_true(parse_endpoint(listen, &endpoint));
	return iscsi_server_start(&config, server, reason);
}

static void test_start_and_stop(void **state)
{
	struct iscsi_server *server;
	struct endpoint bound;
	struct reason reason;

	(void)state;
	assert_int_equal(start("127.0.0.1:0", &server, &reason), 0);
	assert_int_equal(iscsi_server_endpoints(server, &bound, 1), 1);
	assert_int_not_equal(endpoint_port(&bound), 0);
	for (int i = 0; i < 3; i++)
		loop_run_once(loops[0], false);
	stop(server);
}

static void test_stop_before_the_loops_ran(void **state)
{
	struct iscsi_server *server;
	struct reason reason;

	(void)state;
	assert_int_equal(start("127.0.0.1:0", &server, &reason), 0);
	stop(server);
}

static bool have_ipv6(void)
{
	struct sockaddr_in6 loopback = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool have = fd >= 0 && bind(fd, (struct sockaddr *)&loopback, sizeof(loopback)) == 0;

	if (fd >= 0)
		close(fd);
	return have;
}

static void test_ipv6(void **state)
{
	struct iscsi_server *server;
	struct reason reason;

	(void)state;
	if (!have_ipv6()) {
		test_skip("this machine has no ::1");
		return;
	}
	assert_int_equal(start("[::1]:0", &server, &reason), 0);
	stop(server);
}

static void test_port_taken(void **state)
{
	struct iscsi_server *first, *second;
	char text[PARSE_ENDPOINT_TEXT];
	struct reason reason;
	struct endpoint bound;

	(void)state;
	assert_int_equal(start("127.0.0.1:0", &first, &reason), 0);
	iscsi_server_endpoints(first, &bound, 1);
	endpoint_format(&bound, text);
	assert_true(start(text, &second, &reason) < 0);
	assert_non_null(strstr(reason.text, text));
	assert_non_null(strstr(reason.text, "--iscsi"));
	stop(first);
}

struct seen {
	unsigned probed, released, sessions;
	bool alive;
};

static void on_probed(void *arg, bool alive, const struct iscsi_session_info *session)
{
	struct seen *seen = arg;

	assert_null(session);
	seen->alive = alive;
	seen->probed++;
}

static void on_released(void *arg)
{
	((struct seen *)arg)->released++;
}

static void on_session(void *arg, const struct iscsi_session_info *session, int err)
{
	assert_null(session);
	assert_int_equal(err, 0);
	((struct seen *)arg)->sessions++;
}

static void test_questions_about_nobody(void **state)
{
	struct iscsi_server *server;
	struct seen seen = { .alive = true };
	struct reason reason;

	(void)state;
	assert_int_equal(start("127.0.0.1:0", &server, &reason), 0);
	iscsi_server_check_alive(server, 7, 1000, loops[1], on_probed, &seen);
	iscsi_server_release(server, 8, "test", loops[0], on_released, &seen);
	iscsi_server_sessions(server, 0, loops[1], on_session, &seen);
	iscsi_server_sessions(server, 9, loops[0], on_session, &seen);
	for (int i = 0; i < 8; i++)
		loop_run_once(loops[i % 2], false);
	assert_int_equal(seen.probed, 1);
	assert_false(seen.alive);
	assert_int_equal(seen.released, 1);
	assert_int_equal(seen.sessions, 2);
	stop(server);
}

struct changed {
	unsigned count;
	int err;
	struct reason reason;
};

static void on_changed(void *arg, int err, const char *reason)
{
	struct changed *changed = arg;

	changed->count++;
	changed->err = err;
	strcpy(changed->reason.text, reason);
}

/* Whom nobody has opened nothing can be attached to; what cannot be a LUN is said to be none. */
static void test_changes_of_nobody(void **state)
{
	static const struct {
		unsigned lun;
		int err;
	} luns[] = { { 1, -ENOENT }, { 255, -ENOENT }, { 0, -EINVAL }, { 256, -EINVAL }, { UINT_MAX, -EINVAL } };
	struct iscsi_server *server;
	struct reason reason;

	(void)state;
	assert_int_equal(start("127.0.0.1:0", &server, &reason), 0);
	for (size_t i = 0; i < sizeof(luns) / sizeof(luns[0]); i++) {
		struct changed changed[3] = { 0 };

		iscsi_server_attach(server, 7, luns[i].lun, loops[0], on_changed, &changed[0]);
		iscsi_server_detach(server, 7, luns[i].lun, true, loops[1], on_changed, &changed[1]);
		iscsi_server_resize(server, 8, luns[i].lun ? luns[i].lun : 1, 512, loops[0], on_changed, &changed[2]);
		for (int turn = 0; turn < 8; turn++)
			loop_run_once(loops[turn % 2], false);
		for (int kind = 0; kind < 3; kind++) {
			assert_int_equal(changed[kind].count, 1);
			assert_int_equal(changed[kind].err, luns[i].lun || kind < 2 ? luns[i].err : -ENOENT);
			assert_int_equal(changed[kind].err == -EINVAL, changed[kind].reason.text[0] != '\0');
		}
	}
	stop(server);
}

static void test_is_ipxe(void **state)
{
	(void)state;
	assert_true(iscsi_is_ipxe((const uint8_t[]){ 0x40, 0, 0x27, 0x23, 1, 2 }));
	assert_false(iscsi_is_ipxe((const uint8_t[]){ 0, 2, 0x3d, 0, 0, 1 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start_and_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_before_the_loops_ran, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ipv6, setup, teardown),
		cmocka_unit_test_setup_teardown(test_port_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_questions_about_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes_of_nobody, setup, teardown),
		cmocka_unit_test(test_is_ipxe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
