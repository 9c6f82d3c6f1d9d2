// SPDX-License-Identifier: GPL-2.0-or-later
/* API tokens: what each may do, their list, and how they end. */
#include "cmocka_all.h"
#include "entering.h"

#include "base/util.h"
#include "inventory/db.h"
#include "inventory/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* "Authorization: ...", and the token's number. */
static int64_t make_token(struct fixture *f, const char *body, char header[128])
{
	struct answer answer = ask(f, VIA_CONTROL, "POST", "/api/v1/tokens", "", body);
	json_t *json = answer_json(&answer);
	int64_t id = json_integer_value(json_object_get(json, "id"));

	assert_int_equal(answer.status, 201);
	snprintf(header, 128, "Authorization: Bearer %s\r\n", text_of(json, "token"));
	json_decref(json);
	answer_free(&answer);
	return id;
}

static void test_scopes(void **state)
{
	static const struct {
		const char *method, *path, *body;
		unsigned viewer, operator, administrator;
	} requests[] = {
		{ "GET", "status", NULL, 200, 200, 200 },
		{ "GET", "machines/pc-001", NULL, 200, 200, 200 },
		{ "GET", "machines/pc-001?secrets=1", NULL, 403, 200, 200 },
		{ "POST", "machines/pc-001/release", "{}", 403, 200, 200 },
		{ "PATCH", "policy", "{\"enrol\": \"approve\"}", 403, 200, 200 },
		{ "POST", "password", "{\"password\": \"battery staple\"}", 403, 403, 200 },
		{ "GET", "tokens", NULL, 403, 403, 200 },
		{ "POST", "tokens", "{\"name\": \"more\"}", 403, 403, 201 },
		{ "DELETE", "tokens", "{\"token\": \"x\"}", 403, 403, 404 },
		{ "DELETE", "tokens/9999", NULL, 403, 403, 404 },
	};
	struct fixture *f = *state;
	char viewer[128], operator[128], administrator[128];

	make_token(f, "{\"name\": \"v\", \"scope\": \"viewer\"}", viewer);
	make_token(f, "{\"name\": \"o\"}", operator);
	make_token(f, "{\"name\": \"a\", \"scope\": \"administrator\"}", administrator);
	for (size_t i = 0; i < array_len(requests); i++) {
		char path[128];

		snprintf(path, sizeof(path), "/api/v1/%s", requests[i].path);
		if (status_of(f, VIA_TCP, requests[i].method, path, viewer, requests[i].body) != requests[i].viewer ||
		    status_of(f, VIA_TCP, requests[i].method, path, operator, requests[i].body) !=
			    requests[i].operator|| status_of(f, VIA_TCP, requests[i].method, path, administrator,
							     requests[i].body) != requests[i].administrator)
			fail_msg("%s %s", requests[i].method, path);
	}
	assert_int_equal(api_change(f, "POST", "/api/v1/tokens", "{\"name\": \"x\", \"scope\": \"root\"}"), 400);
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	char header[128];
	int64_t first, second;
	json_t *list, *token;

	set_first_password(f); /* a login is no token */
	first = make_token(f, "{\"name\": \"monitoring\", \"scope\": \"viewer\", \"days\": 2}", header);
	second = make_token(f, "{\"name\": \"scripts\"}", (char[128]){ 0 });
	list = api_get(f, "/api/v1/tokens");
	assert_int_equal(json_array_size(json_object_get(list, "tokens")), 2);
	token = json_array_get(json_object_get(list, "tokens"), 0);
	assert_int_equal(json_integer_value(json_object_get(token, "id")), first);
	assert_string_equal(text_of(token, "name"), "monitoring");
	assert_string_equal(text_of(token, "scope"), "viewer");
	assert_string_equal(text_of(token, "created_by"), "ctl");
	assert_true(json_is_null(json_object_get(token, "used_ms")));
	assert_null(json_object_get(token, "token"));
	json_decref(list);

	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", header, NULL), 200);
	list = api_get(f, "/api/v1/tokens");
	token = json_array_get(json_object_get(list, "tokens"), 0);
	assert_true(time_unix_ms() - json_integer_value(json_object_get(token, "used_ms")) < 60000);
	token = json_array_get(json_object_get(list, "tokens"), 1);
	assert_int_equal(json_integer_value(json_object_get(token, "id")), second);
	assert_true(json_is_null(json_object_get(token, "used_ms")));
	json_decref(list);
}

static void test_revoked_by_number(void **state)
{
	struct fixture *f = *state;
	char header[128], path[64];
	int64_t id = make_token(f, "{\"name\": \"lost\"}", header);

	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", header, NULL), 200);
	snprintf(path, sizeof(path), "/api/v1/tokens/%%23%lld", (long long)id);
	assert_int_equal(api_change(f, "DELETE", path, NULL), 200);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", header, NULL), 401);
	assert_int_equal(api_change(f, "DELETE", path, NULL), 404);
	assert_int_equal(api_change(f, "DELETE", "/api/v1/tokens/lost", NULL), 404);
}

/* A login has a row in the same table, and is no token. */
static void test_logins_are_not_revoked_so(void **state)
{
	struct fixture *f = *state;

	set_first_password(f);
	assert_int_equal(api_change(f, "DELETE", "/api/v1/tokens/1", NULL), 404);
}

static int end_soon(struct inventory_tx *tx, void *arg)
{
	(void)arg;
	tx->now_ms = time_unix_ms();
	return db_run(tx->db, "UPDATE token SET expires_ms = (SELECT max(at_ms) FROM event) + 1500");
}

/* Whoever listens with it hears nothing any more once it has expired. */
static void test_a_stream_ends_with_its_token(void **state)
{
	struct fixture *f = *state;
	char header[128], request[512], block[4096];
	ssize_t got;
	int fd;

	make_token(f, "{\"name\": \"listener\", \"scope\": \"viewer\"}", header);
	assert_int_equal(inventory_do(f, end_soon, NULL), 0);
	snprintf(request, sizeof(request),
		 "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n%sAccept: text/event-stream\r\n\r\n", header);
	fd = connect_to(f, VIA_TCP);
	assert_int_equal(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
	got = recv(fd, block, sizeof(block) - 1, 0);
	assert_true(got > 0);
	block[got] = '\0';
	assert_non_null(strstr(block, "200 OK"));
	/* The last chunk; the connection may go on. */
	for (bool ended = false; !ended;) {
		got = recv(fd, block, sizeof(block) - 1, 0);
		assert_true(got >= 0);
		block[got] = '\0';
		ended = !got || strstr(block, "0\r\n\r\n");
	}
	close(fd);
	assert_int_equal(status_of(f, VIA_TCP, "GET", "/api/v1/status", header, NULL), 401);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_scopes, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_list, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_revoked_by_number, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_logins_are_not_revoked_so, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_a_stream_ends_with_its_token, fixture_start, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
