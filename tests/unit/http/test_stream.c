// SPDX-License-Identifier: GPL-2.0-or-later
/* Events over the API: as a list, and as a stream. */
#include "cmocka_all.h"
#include "fixture.h"

#include "base/util.h"
#include "http/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_events(void **state)
{
	struct fixture *f = *state;
	json_t *all = api_get(f, "/api/v1/events"), *after, *own;
	json_t *list = json_object_get(all, "events");
	char path[64];

	assert_int_equal(json_array_size(list), 2);
	snprintf(path, sizeof(path), "/api/v1/events?after=%lld",
		 (long long)json_integer_value(json_object_get(json_array_get(list, 0), "id")));
	after = api_get(f, path);
	assert_int_equal(json_array_size(json_object_get(after, "events")), 1);
	own = api_get(f, "/api/v1/events?machine=pc-002");
	assert_int_equal(json_array_size(json_object_get(own, "events")), 1);
	assert_int_equal(api_change(f, "GET", "/api/v1/events?machine=nobody", NULL), 404);
	assert_int_equal(api_change(f, "GET", "/api/v1/events?after=x", NULL), 400);
	assert_int_equal(api_change(f, "GET", "/api/v1/events?max=100000", NULL), 400);
	json_decref(all);
	json_decref(after);
	json_decref(own);
}

struct reader {
	int fd;
	char got[65536];
	size_t len;
};

/* Reads until needle is there. */
static void read_until(struct reader *reader, const char *needle)
{
	uint64_t until = time_monotonic_ms() + 20000;

	while (!strstr(reader->got, needle)) {
		struct pollfd p = { .fd = reader->fd, .events = POLLIN };
		ssize_t n;

		if (time_monotonic_ms() > until || poll(&p, 1, 1000) < 0)
			fail_msg("no '%s' in: %s", needle, reader->got);
		if (!p.revents)
			continue;
		n = recv(reader->fd, reader->got + reader->len, sizeof(reader->got) - reader->len - 1, 0);
		if (n <= 0)
			fail_msg("closed before '%s': %s", needle, reader->got);
		reader->len += (size_t)n;
		reader->got[reader->len] = '\0';
	}
}

/* As HTTP/1.0: no chunks that would cut the text. */
static void open_stream(struct fixture *f, struct reader *reader, const char *query, const char *headers)
{
	char request[256];
	int len = snprintf(request, sizeof(request),
			   "GET /api/v1/events%s HTTP/1.0\r\nAccept: text/event-stream\r\n%s\r\n", query, headers);

	memset(reader, 0, sizeof(*reader));
	reader->fd = connect_to(f, VIA_CONTROL);
	assert_int_equal(send(reader->fd, request, (size_t)len, 0), len);
	read_until(reader, "retry:");
	assert_non_null(strstr(reader->got, "text/event-stream"));
}

static void test_stream(void **state)
{
	struct fixture *f = *state;
	static struct reader live, late;

	open_stream(f, &live, "", "");
	assert_null(strstr(live.got, "pc-001 enrolled")); /* only what comes from now on */
	inventory_event(f->inventory, "info", "test", "server", 0, "thing", "something \"happened\"\nin two lines");
	read_until(&live, "something \\\"happened\\\"\\nin two lines");
	read_until(&live, "event: change");
	open_stream(f, &late, "?after=0", "");
	read_until(&late, "pc-001 enrolled");
	read_until(&late, "pc-002 enrolled");
	read_until(&late, "something");
	close(late.fd);
	/* What the one that came later is given is not told the other again; each later change is. */
	live.len = 0;
	live.got[0] = '\0';
	inventory_event(f->inventory, "info", "test", "server", 0, "thing", "the second");
	read_until(&live, "the second");
	read_until(&live, "event: change");
	assert_null(strstr(live.got, "something"));
	open_stream(f, &late, "", "Last-Event-ID: 1\r\n");
	read_until(&late, "pc-002 enrolled");
	assert_null(strstr(late.got, "pc-001 enrolled"));
	close(late.fd);
	close(live.fd);
}

static void test_a_long_backlog_arrives_whole(void **state)
{
	struct fixture *f = *state;
	static struct reader reader;
	unsigned long long count = 0;
	uint64_t until = time_monotonic_ms() + 30000;
	struct reader *r = &reader;

	for (int i = 0; i < 3000; i++)
		inventory_event(f->inventory, "info", "test", "server", 0, "thing",
				"number %d of a long list, with some text to make it longer", i);
	open_stream(f, r, "?after=0", "");
	/* Counts messages as they come; the buffer is used again and again. */
	while (!strstr(r->got, "number 2999 of") && time_monotonic_ms() < until) {
		char *line_end = strrchr(r->got, '\n');
		size_t done = line_end ? (size_t)(line_end - r->got) : 0;
		ssize_t n;

		for (char *at = r->got; (at = strstr(at, "\"kind\":\"test\"")) && at < r->got + done; at++)
			count++;
		memmove(r->got, r->got + done, r->len - done + 1);
		r->len -= done;
		n = recv(r->fd, r->got + r->len, sizeof(r->got) - r->len - 1, 0);
		assert_true(n > 0);
		r->len += (size_t)n;
		r->got[r->len] = '\0';
	}
	for (char *at = r->got; (at = strstr(at, "\"kind\":\"test\"")); at++)
		count++;
	assert_int_equal(count, 3000);
	close(r->fd);
}

static unsigned stream_status(struct fixture *f)
{
	struct answer answer = ask(f, VIA_CONTROL, "GET", "/api/v1/events", "Accept: text/event-stream\r\n", NULL);
	unsigned status = answer.status;

	answer_free(&answer);
	return status;
}

static void expect_end(struct reader *reader)
{
	struct timeval patience = { .tv_sec = 20 };

	assert_int_equal(setsockopt(reader->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	while (recv(reader->fd, reader->got, sizeof(reader->got), 0) > 0)
		;
	assert_int_not_equal(errno, EAGAIN);
	close(reader->fd);
}

/* Whoever listens is asked again who he is when a login ends, and the places of those that ended are free. */
static void test_streams_are_counted_and_end(void **state)
{
	struct fixture *f = *state;
	static struct reader readers[STREAMS_MAX];

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < STREAMS_MAX; i++)
			open_stream(f, &readers[i], "", "");
		assert_int_equal(stream_status(f), 503);
		assert_int_equal(api_change(f, "POST", "/api/v1/password", "{\"password\": \"correct horse\"}"), 200);
		for (unsigned i = 0; i < STREAMS_MAX; i++) {
			errno = 0;
			expect_end(&readers[i]);
		}
	}
}

static void test_streams_end_with_the_server(void **state)
{
	struct fixture *f = *state;
	struct fixture other = *f;
	struct http_config config = { .inventory = f->inventory, .control_path = other.control };
	static struct reader reader;
	struct reason reason = { "" };

	snprintf(other.control, sizeof(other.control), "%s/second.sock", f->dir);
	assert_int_equal(http_start(&config, &other.http, &reason), 0);
	open_stream(&other, &reader, "", "");
	http_stop(other.http);
	while (recv(reader.fd, reader.got, sizeof(reader.got), 0) > 0)
		;
	close(reader.fd);
	assert_int_equal(access(other.control, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_events, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_stream, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_a_long_backlog_arrives_whole, fixture_start_filled, fixture_stop),
		cmocka_unit_test_setup_teardown(test_streams_are_counted_and_end, fixture_start, fixture_stop),
		cmocka_unit_test_setup_teardown(test_streams_end_with_the_server, fixture_start_filled, fixture_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
