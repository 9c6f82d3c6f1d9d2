// SPDX-License-Identifier: GPL-2.0-or-later
/* The endpoint over real sockets: what it serves where, and what it does with bad input. */
#include "cmocka_all.h"
#include "fixture.h"

#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void expect_status(struct fixture *f, enum via via, const char *method, const char *path, unsigned status)
{
	struct answer answer = ask(f, via, method, path, "", NULL);

	if (answer.status != status)
		fail_msg("%s %s: %u instead of %u: %s", method, path, answer.status, status,
			 answer.body ? answer.body : "");
	answer_free(&answer);
}

static void test_where_what_is_served(void **state)
{
	struct fixture *f = *state;

	expect_status(f, VIA_TCP, "GET", "/healthz", 200);
	expect_status(f, VIA_TCP, "GET", "/boot.ipxe", 200);
	expect_status(f, VIA_TCP, "HEAD", "/boot.ipxe", 200);
	expect_status(f, VIA_TCP, "GET", "/metrics", 200);
	expect_status(f, VIA_TCP, "GET", "/", 303);
	expect_status(f, VIA_TCP, "GET", "/login", 200);
	expect_status(f, VIA_TCP, "GET", "/nothing", 404);
	expect_status(f, VIA_TCP, "POST", "/boot", 405);
	expect_status(f, VIA_TCP, "HEAD", "/boot?mac=52:54:00:00:00:01", 405);
	expect_status(f, VIA_TCP, "GET", "/api/v1/status", 401);
	expect_status(f, VIA_TCP, "DELETE", "/api/v1/machines/pc-001", 401);
	expect_status(f, VIA_CONTROL, "GET", "/api/v1/status", 200);
	expect_status(f, VIA_CONTROL, "GET", "/boot?mac=52:54:00:00:00:01", 404);
}

static void test_boot_once_taken(void **state)
{
	struct fixture *f = *state;

	expect_status(f, VIA_TCP, "GET", "/boot/taken?mac=52-54-00-00-00-01&token=good", 200);
	assert_string_equal(fake_boot.last_call, "taken 52-54-00-00-00-01 good from 127.0.0.1");
	expect_status(f, VIA_TCP, "GET", "/boot/taken?mac=52-54-00-00-00-01&token=bad", 404);
	expect_status(f, VIA_TCP, "GET", "/boot/taken?mac=52-54-00-00-00-01&token=busy", 503);
	expect_status(f, VIA_TCP, "GET", "/boot/taken", 404);
	expect_status(f, VIA_TCP, "HEAD", "/boot/taken?mac=52-54-00-00-00-01&token=good", 405);
}

static void test_boot_asks_with_what_the_socket_says(void **state)
{
	struct fixture *f = *state;
	char url[128];
	struct answer answer = ask(f, VIA_TCP, "GET",
				   "/boot?mac=52-54-00-00-00-02&uuid=4c4c4544-0000-2010-8020-80c04f202020&serial=A%20B%"
				   "ff%0a&errno=7f048283",
				   "", NULL);

	assert_int_equal(answer.status, 200);
	assert_non_null(strstr(answer.body, "#!ipxe"));
	answer_free(&answer);
	assert_string_equal(fake_boot.last_ask.mac, "52-54-00-00-00-02");
	assert_string_equal(fake_boot.last_ask.serial, "A B??");
	assert_string_equal(fake_boot.last_ask.error, "7f048283");
	assert_string_equal(fake_boot.last_ask.client, "127.0.0.1");
	assert_string_equal(fake_boot.last_ask.server, "127.0.0.1");
	snprintf(url, sizeof(url), "http://%s", f->address);
	assert_string_equal(fake_boot.last_ask.base_url, url);
	/* As iPXE of 2019 escapes the bytes of "Müller", and as later ones do. */
	answer = ask(f, VIA_TCP, "GET",
		     "/boot?mac=52-54-00-00-00-02&serial=M%FFFFFFC3%FFFFFFBCller&product=M%C3%BCller", "", NULL);
	assert_int_equal(answer.status, 200);
	answer_free(&answer);
	assert_string_equal(fake_boot.last_ask.serial, "M\xc3\xbcller");
	assert_string_equal(fake_boot.last_ask.product, "M\xc3\xbcller");
}

static void test_a_machine_that_gets_no_answer_is_told_to_come_back(void **state)
{
	struct fixture *f = *state;
	struct answer answer = ask(f, VIA_TCP, "GET", "/boot?mac=52:54:00:00:00:03", "", NULL);
	char *retry = answer_header(&answer, "Retry-After");

	assert_int_equal(answer.status, 503);
	assert_non_null(retry);
	assert_int_equal(fake_boot_waiting(), 1);
	fake_boot_answer_all(); /* too late: nobody is there any more */
	free(retry);
	answer_free(&answer);
	expect_status(f, VIA_TCP, "GET", "/boot?mac=52:54:00:00:00:01", 200);
}

/* ---- bad input ---- */

static void test_bad_macs(void **state)
{
	struct fixture *f = *state;

	expect_status(f, VIA_TCP, "GET", "/boot?mac=not-a-mac", 400);
	expect_status(f, VIA_TCP, "GET", "/boot", 400);
	expect_status(f, VIA_TCP, "GET", "/boot?mac=52:54:00:00:00:01%00", 400);
}

static unsigned status_of_raw(struct fixture *f, const char *text)
{
	struct answer answer = send_raw(f, VIA_TCP, text, strlen(text));
	unsigned status = answer.status;

	answer_free(&answer);
	return status;
}

static void test_bad_hosts(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(status_of_raw(f, "GET /boot.ipxe HTTP/1.1\r\nHost: \"\"\"\"\r\nConnection: close\r\n\r\n"),
			 400);
	assert_int_equal(
		status_of_raw(f, "GET /boot?mac=52:54:00:00:00:01 HTTP/1.1\r\nHost: '\"\r\nConnection: close\r\n\r\n"),
		400);
	assert_int_equal(status_of_raw(f, "GET /boot.ipxe HTTP/1.1\r\nConnection: close\r\n\r\n"), 400);
	assert_int_equal(status_of_raw(f, "GET /boot.ipxe HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n"),
			 400);
	assert_int_equal(status_of_raw(f, "GET /boot.ipxe HTTP/1.1\r\nHost: a:99999\r\nConnection: close\r\n\r\n"),
			 400);
	assert_int_equal(status_of_raw(f, "GET /boot.ipxe HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n"),
			 200);
	assert_int_equal(status_of_raw(f, "GET /boot.ipxe HTTP/1.0\r\n\r\n"), 200);
}

/* A query of so many bytes. */
static unsigned status_of_query(struct fixture *f, size_t bytes)
{
	struct answer answer;
	unsigned status;
	struct buf text;

	buf_init(&text, 4 << 20);
	buf_add_string(&text, "GET /boot?mac=");
	for (size_t i = 0; i < bytes; i += 16)
		buf_add_string(&text, "aaaaaaaaaaaaaaaa");
	buf_printf(&text, " HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", f->address);
	answer = send_raw(f, VIA_TCP, text.data, text.len);
	status = answer.status;
	answer_free(&answer);
	buf_fini(&text);
	return status;
}

static void test_long_queries(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(status_of_query(f, 2000), 400);
	assert_int_equal(status_of_query(f, 20000), 414);
	for (int i = 0; i < 5; i++)
		assert_int_equal(status_of_query(f, 1 << 20), 414);
}

static void test_many_arguments(void **state)
{
	struct fixture *f = *state;
	char path[1024] = "/boot?mac=52:54:00:00:00:01";

	for (int i = 0; i < 40; i++)
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "&a%d=1", i);
	expect_status(f, VIA_TCP, "GET", path, 400);
}

static void test_large_bodies(void **state)
{
	struct fixture *f = *state;
	struct answer answer;
	struct buf text;
	size_t head;

	buf_init(&text, 16 << 20);
	buf_printf(&text, "POST /api/v1/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
		   3 << 20);
	head = text.len;
	while (text.len < head + (3 << 20))
		buf_add_string(&text, "{\"password\": \"xxxxxxxxxxxxxxxxxx");
	answer = send_raw(f, VIA_TCP, text.data, head + (3 << 20));
	assert_int_equal(answer.status, 413);
	answer_free(&answer);

	buf_reset(&text);
	buf_add_string(
		&text,
		"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 20; i++) {
		buf_add_string(&text, "10000\r\n");
		for (int j = 0; j < 0x10000; j += 16)
			buf_add_string(&text, "aaaaaaaaaaaaaaaa");
		buf_add_string(&text, "\r\n");
	}
	buf_add_string(&text, "0\r\n\r\n");
	answer = send_raw(f, VIA_TCP, text.data, text.len);
	assert_int_equal(answer.status, 413);
	answer_free(&answer);
	buf_fini(&text);
}

static void test_noise(void **state)
{
	struct fixture *f = *state;
	unsigned seed = 1;
	char noise[4096];

	for (int round = 0; round < 50; round++) {
		struct answer answer;

		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (char)rand_r(&seed);
		memcpy(noise + sizeof(noise) - 4, "\r\n\r\n", 4);
		answer = send_raw(f, VIA_TCP, noise, sizeof(noise));
		assert_int_not_equal(answer.status, 200);
		answer_free(&answer);
	}
	expect_status(f, VIA_TCP, "GET", "/healthz", 200);
}

static void test_many_connections_of_one_address(void **state)
{
	struct fixture *f = *state;
	int fds[700];
	unsigned open = 0;

	for (size_t i = 0; i < array_len(fds); i++) {
		fds[i] = connect_to(f, VIA_TCP);
		open += fds[i] >= 0;
	}
	assert_true(open > 500);
	expect_status(f, VIA_CONTROL, "GET", "/healthz", 200);
	for (size_t i = 0; i < array_len(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (int i = 0; i < 3000; i++) {
		struct answer answer = ask(f, VIA_TCP, "GET", "/healthz", "", NULL);
		unsigned status = answer.status;

		answer_free(&answer);
		if (status == 200)
			return;
		usleep(20000);
	}
	fail_msg("the endpoint did not come back");
}

/* ---- start and end ---- */

static void test_port_taken(void **state)
{
	struct fixture *f = *state;
	struct endpoint taken;
	struct http_config config = { .inventory = f->inventory, .boot_endpoints = &taken, .boot_endpoint_count = 1 };
	struct reason reason = { "" };
	struct http *second;

	assert_true(parse_endpoint(f->address, &taken));
	assert_int_equal(http_start(&config, &second, &reason), -EADDRINUSE);
	assert_non_null(strstr(reason.text, "--http"));
	assert_non_null(strstr(reason.text, "ss -ltnp"));
}

static void test_pages_elsewhere(void **state)
{
	struct fixture *f = *state;
	struct fixture other = *f;
	struct endpoint any;
	struct http_config config = { .inventory = f->inventory,
				      .boot_endpoints = &any,
				      .boot_endpoint_count = 1,
				      .web_endpoints = &any,
				      .web_endpoint_count = 1 };
	struct reason reason = { "" };

	parse_endpoint("127.0.0.1:0", &any);
	assert_int_equal(http_start(&config, &other.http, &reason), 0);
	snprintf(other.address, sizeof(other.address), "%s", http_address(other.http));
	expect_status(&other, VIA_TCP, "GET", "/boot.ipxe", 200);
	expect_status(&other, VIA_TCP, "GET", "/login", 404);
	expect_status(&other, VIA_TCP, "GET", "/api/v1/status", 404);
	assert_true(sscanf(http_setup_url(other.http), "http://%63[^/]", other.address) == 1);
	expect_status(&other, VIA_TCP, "GET", "/boot.ipxe", 404);
	expect_status(&other, VIA_TCP, "GET", "/setup", 410);
	http_stop(other.http);
}

static void test_stop_with_requests_waiting(void **state)
{
	struct fixture *f = *state;
	struct fixture other = *f;
	struct endpoint any;
	struct http_config config = { .inventory = f->inventory, .boot_endpoints = &any, .boot_endpoint_count = 1 };
	static const char request[] = "GET /boot?mac=52:54:00:00:00:05 HTTP/1.1\r\nHost: x\r\n\r\n";
	char got[64] = "";
	struct reason reason = { "" };
	int fds[20];

	parse_endpoint("127.0.0.1:0", &any);
	assert_int_equal(http_start(&config, &other.http, &reason), 0);
	snprintf(other.address, sizeof(other.address), "%s", http_address(other.http));
	for (size_t i = 0; i < array_len(fds); i++) {
		fds[i] = connect_to(&other, VIA_TCP);
		assert_int_equal(send(fds[i], request, sizeof(request) - 1, 0), sizeof(request) - 1);
	}
	while (fake_boot_waiting() < array_len(fds))
		usleep(1000);
	http_stop(other.http);
	for (size_t i = 0; i < array_len(fds); i++) {
		assert_true(recv(fds[i], got, 12, MSG_WAITALL) == 12);
		assert_memory_equal(got, "HTTP/1.1 503", 12);
		close(fds[i]);
	}
	fake_boot_answer_all(); /* after the end: must not crash */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_where_what_is_served, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_boot_once_taken, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_boot_asks_with_what_the_socket_says, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_a_machine_that_gets_no_answer_is_told_to_come_back, fixture_start,
						fixture_stop),
		cmocka_unit_test_setup_teardown(test_bad_macs, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_bad_hosts, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_long_queries, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_many_arguments, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_large_bodies, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_noise, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_many_connections_of_one_address, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_port_taken, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_pages_elsewhere, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_stop_with_requests_waiting, fixture_start, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
