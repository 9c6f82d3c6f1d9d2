// SPDX-License-Identifier: GPL-2.0-or-later
/* dhcp/supervisor: each state and each way out of it, with /bin/sh as the child. */
#include "cmocka_all.h"

#include "base/log.h"
#include "base/loop.h"
#include "base/util.h"
#include "dhcp/supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct seen {
	struct loop *loop;
	struct supervisor *supervisor;
	enum supervisor_state states[64];
	unsigned count;
	char line[512];
	bool freed;
};

static void on_change(void *arg, enum supervisor_state state, const char *line)
{
	struct seen *seen = arg;

	if (seen->count < array_len(seen->states))
		seen->states[seen->count++] = state;
	snprintf(seen->line, sizeof(seen->line), "%s", line);
}

static void on_free(void *arg)
{
	((struct seen *)arg)->freed = true;
}

static void begin(struct seen *seen, const char *script)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	struct supervisor_config config = {
		.name = "child",
		.argv = argv,
		.ready_text = "started",
		.first_delay_ms = 10,
		.longest_delay_ms = 40,
		.changed = on_change,
		.arg = seen,
	};

	*seen = (struct seen){ .loop = loop_new(0) };
	config.loop = seen->loop;
	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(supervisor_new(&config, &seen->supervisor), 0);
	supervisor_start(seen->supervisor);
}

static void wait_for(struct seen *seen, enum supervisor_state state)
{
	unsigned from = seen->count;

	while (seen->count == from || seen->states[seen->count - 1] != state)
		loop_run_once(seen->loop, true);
}

static void end(struct seen *seen)
{
	supervisor_stop(seen->supervisor);
	while (seen->states[seen->count - 1] != SUPERVISOR_STOPPED)
		loop_run_once(seen->loop, true);
	supervisor_free(seen->supervisor, on_free, seen);
	while (!seen->freed)
		loop_run_once(seen->loop, true);
	loop_free(seen->loop);
}

static void test_up_and_stopped(void **state)
{
	struct seen seen;

	(void)state;
	begin(&seen, "echo started >&2; exec sleep 1000");
	wait_for(&seen, SUPERVISOR_UP);
	assert_true(supervisor_pid(seen.supervisor) > 0);
	assert_int_equal(seen.states[0], SUPERVISOR_STARTING);
	end(&seen);
	assert_int_equal(seen.states[seen.count - 2], SUPERVISOR_STOPPING);
}

static void test_restarts_after_a_kill(void **state)
{
	struct seen seen;
	int pid;

	(void)state;
	begin(&seen, "echo started >&2; exec sleep 1000");
	wait_for(&seen, SUPERVISOR_UP);
	pid = supervisor_pid(seen.supervisor);
	assert_int_equal(kill(pid, SIGKILL), 0);
	wait_for(&seen, SUPERVISOR_UP);
	assert_int_not_equal(supervisor_pid(seen.supervisor), pid);
	assert_int_equal(supervisor_restarts(seen.supervisor), 1);
	end(&seen);
}

static void test_backs_off_and_keeps_the_reason(void **state)
{
	struct seen seen;
	uint64_t begun = time_monotonic_ms();

	(void)state;
	begin(&seen, "echo 'no such \"interface\"' >&2; exit 2");
	for (int i = 0; i < 4; i++) {
		wait_for(&seen, SUPERVISOR_BACKING_OFF);
		assert_string_equal(seen.line, "no such \"interface\"");
	}
	/* 10 + 20 + 40 ms between four exits, each counted from when the loop woke up; 30 if they did not grow. */
	assert_true(time_monotonic_ms() - begun >= 50);
	end(&seen); /* while backing off */
}

static void test_missing_program(void **state)
{
	const char *argv[] = { "/nonexistent/program", NULL };
	struct seen seen = { .loop = loop_new(0) };
	struct supervisor_config config = {
		.name = "child",
		.argv = argv,
		.ready_text = "x",
		.first_delay_ms = 1000,
		.longest_delay_ms = 1000,
		.loop = seen.loop,
		.changed = on_change,
		.arg = &seen,
	};

	(void)state;
	assert_int_equal(supervisor_new(&config, &seen.supervisor), 0);
	supervisor_start(seen.supervisor);
	wait_for(&seen, SUPERVISOR_BACKING_OFF);
	assert_string_equal(seen.line, "cannot start /nonexistent/program: no such file or directory");
	end(&seen);
}

static void test_hangup_and_garbage(void **state)
{
	struct seen seen;

	(void)state;
	begin(&seen,
	      "trap 'printf \"\\033[1m\\001 bye\\n\" >&2; exit 3' HUP; echo started >&2; while :; do sleep 0.05; done");
	wait_for(&seen, SUPERVISOR_UP);
	supervisor_signal(seen.supervisor, SIGHUP);
	wait_for(&seen, SUPERVISOR_BACKING_OFF);
	assert_string_equal(seen.line, "\\x1b[1m\\x01 bye");
	end(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_up_and_stopped),
		cmocka_unit_test(test_restarts_after_a_kill),
		cmocka_unit_test(test_backs_off_and_keeps_the_reason),
		cmocka_unit_test(test_missing_program),
		cmocka_unit_test(test_hangup_and_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
