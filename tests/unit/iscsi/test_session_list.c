// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The list of sessions where memory is short. session_list.c is compiled in here, with an allocator that can fail; the rest is
 * the library's.
 */
#include "base/loop.h"
#include "cmocka_all.h"

#include <errno.h>
#include <stdlib.h>

static unsigned allocations; /* that still succeed */

static void *scarce(void *memory, size_t size)
{
	if (!allocations)
		return NULL;
	allocations--;
	return realloc(memory, size);
}

#define realloc scarce
#include "iscsi/session_list.c"
#undef realloc

enum { LOOPS = 2, SESSIONS = 40 };

static struct iscsi_server server;
static const struct iscsi_provider provider;
static struct iscsi_loop loops[LOOPS];
static struct conn conns[SESSIONS];
static struct session sessions[SESSIONS];
static struct target_port port = { .key = 7 };

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LOOPS; i++) {
		loops[i] = (struct iscsi_loop){ .server = &server, .link.loop = loop_new(i) };
		loops[i].sessions.provider = &provider;
		list_init(&loops[i].link.conns);
	}
	server.loops = loops;
	server.loop_count = LOOPS;
	for (unsigned i = 0; i < SESSIONS; i++) {
		struct iscsi_loop *at = &loops[i % LOOPS];

		sessions[i] = (struct session){ .loop = &at->sessions, .port = &port, .boot = i + 1 };
		conns[i] = (struct conn){ .loop = &at->link };
		list_append(&at->link.conns, &conns[i].link);
		session_start(&sessions[i], &conns[i], 0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LOOPS; i++)
		loop_free(loops[i].link.loop);
	return 0;
}

struct seen {
	unsigned sessions, ends;
	uint64_t boots; /* their sum */
	int err;
};

static void on_session(void *arg, const struct iscsi_session_info *session, int err)
{
	struct seen *seen = arg;

	if (session) {
		assert_int_equal(seen->ends, 0);
		assert_int_equal(session->key, 7);
		seen->sessions++;
		seen->boots += session->boot;
		return;
	}
	seen->ends++;
	seen->err = err;
}

static struct seen list_all(unsigned successes)
{
	struct seen seen = { 0 };

	allocations = successes;
	iscsi_server_sessions(&server, 0, loops[0].link.loop, on_session, &seen);
	for (unsigned i = 0; i < 2 * LOOPS && !seen.ends; i++)
		loop_run_once(loops[i % LOOPS].link.loop, false);
	assert_int_equal(seen.ends, 1);
	return seen;
}

static void test_all(void **state)
{
	struct seen seen = list_all(UINT32_MAX);

	(void)state;
	assert_int_equal(seen.err, 0);
	assert_int_equal(seen.sessions, SESSIONS);
	assert_int_equal(seen.boots, SESSIONS * (SESSIONS + 1) / 2);
}

/* Whichever allocation fails: the end says that those were not all. */
static void test_short_of_memory(void **state)
{
	unsigned n = 0;

	(void)state;
	for (;; n++) {
		struct seen seen = list_all(n);

		if (!seen.err)
			break;
		assert_int_equal(seen.err, -ENOMEM);
		assert_true(seen.sessions < SESSIONS);
	}
	assert_int_equal(n, 3); /* 16, 32, 64 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short_of_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
