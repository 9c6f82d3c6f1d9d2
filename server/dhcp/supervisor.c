// SPDX-License-Identifier: GPL-2.0-or-later
/* Supervision of a child process: see supervisor.h for the states. */
#include "dhcp/supervisor.h"

#include "base/log.h"
#include "base/loop.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { STOP_MS = 5000, STEADY_MS = 60000, LINE_MAX_BYTES = 512, ARGS_MAX = 31 };

enum event { EVENT_START, EVENT_READY, EVENT_EXIT, EVENT_TIMER, EVENT_STOP, EVENTS };

struct supervisor {
	struct supervisor_config config;
	char *argv[ARGS_MAX + 1];
	enum supervisor_state state;
	uv_process_t process;
	uv_pipe_t pipe;
	uv_timer_t timer;
	bool process_open, pipe_open; /* handles that libuv still knows */
	bool exited;		      /* the exit is reported when its last words have been read */
	int pid;
	unsigned delay_ms, restarts;
	uint64_t up_since_ms;
	char line[LINE_MAX_BYTES]; /* being received */
	size_t line_len;
	char last[LINE_MAX_BYTES];
	char read_buffer[4096];
	void (*freed)(void *arg);
	void *freed_arg;
};

static void supervisor_event(struct supervisor *s, enum event event);

static void enter(struct supervisor *s, enum supervisor_state state)
{
	s->state = state;
	s->config.changed(s->config.arg, state, s->last);
}

/* ---- the child's words ---- */

static void take_line(struct supervisor *s)
{
	char shown[LINE_MAX_BYTES * 4];

	if (!s->line_len)
		return;
	s->line[s->line_len] = '\0';
	log_escape(shown, sizeof(shown), s->line, s->line_len);
	log_debug("%s", shown);
	snprintf(s->last, sizeof(s->last), "%.*s", (int)sizeof(s->last) - 1, shown);
	s->line_len = 0;
	if (s->config.said)
		s->config.said(s->config.arg, s->last);
	if (s->state == SUPERVISOR_STARTING && strstr(s->last, s->config.ready_text))
		supervisor_event(s, EVENT_READY);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct supervisor *s = handle->data;

	(void)size;
	*buf = uv_buf_init(s->read_buffer, sizeof(s->read_buffer));
}

static void child_gone(struct supervisor *s)
{
	if (s->exited && !s->pipe_open && !s->process_open) {
		s->exited = false;
		s->pid = 0;
		supervisor_event(s, EVENT_EXIT);
	}
}

static void on_pipe_closed(uv_handle_t *handle)
{
	struct supervisor *s = handle->data;

	s->pipe_open = false;
	child_gone(s);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
	struct supervisor *s = stream->data;

	if (got < 0) {
		take_line(s);
		uv_close((uv_handle_t *)&s->pipe, on_pipe_closed);
		return;
	}
	for (ssize_t i = 0; i < got; i++) {
		if (buf->base[i] == '\n' || s->line_len == sizeof(s->line) - 1)
			take_line(s);
		if (buf->base[i] != '\n')
			s->line[s->line_len++] = buf->base[i];
	}
}

/* ---- the child ---- */

static void on_process_closed(uv_handle_t *handle)
{
	struct supervisor *s = handle->data;

	s->process_open = false;
	child_gone(s);
}

static void on_child_exit(uv_process_t *process, int64_t status, int signal)
{
	struct supervisor *s = process->data;

	if (s->state != SUPERVISOR_STOPPING)
		log_warning("%s ended (%s %lld): %s", s->config.name, signal ? "signal" : "exit status",
			    signal ? (long long)signal : (long long)status, s->last[0] ? s->last : "it said nothing");
	s->exited = true;
	uv_close((uv_handle_t *)&s->process, on_process_closed);
}

static void act_spawn(struct supervisor *s)
{
	uv_stdio_container_t stdio[3] = { { .flags = UV_IGNORE }, { .flags = UV_IGNORE } };
	uv_process_options_t options = {
		.file = s->argv[0], .args = s->argv, .exit_cb = on_child_exit, .stdio = stdio, .stdio_count = 3
	};
	int err;

	s->last[0] = '\0';
	s->line_len = 0;
	uv_pipe_init(loop_uv(s->config.loop), &s->pipe, 0);
	s->pipe.data = s;
	s->pipe_open = true;
	stdio[2].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
	stdio[2].data.stream = (uv_stream_t *)&s->pipe;
	s->process.data = s;
	err = uv_spawn(loop_uv(s->config.loop), &s->process, &options);
	s->process_open = true; /* to be closed also when it failed */
	enter(s, SUPERVISOR_STARTING);
	if (err) {
		snprintf(s->last, sizeof(s->last), "cannot start %s: %s", s->argv[0], uv_strerror(err));
		s->exited = true;
		uv_close((uv_handle_t *)&s->process, on_process_closed);
		uv_close((uv_handle_t *)&s->pipe, on_pipe_closed);
		return;
	}
	s->pid = s->process.pid;
	uv_read_start((uv_stream_t *)&s->pipe, on_alloc, on_read);
}

static void on_timer(uv_timer_t *timer)
{
	supervisor_event(timer->data, EVENT_TIMER);
}

static void act_up(struct supervisor *s)
{
	s->up_since_ms = time_monotonic_ms();
	enter(s, SUPERVISOR_UP);
}

static void act_back_off(struct supervisor *s)
{
	if (s->state == SUPERVISOR_UP && time_monotonic_ms() - s->up_since_ms >= STEADY_MS)
		s->delay_ms = s->config.first_delay_ms;
	uv_timer_start(&s->timer, on_timer, s->delay_ms, 0);
	s->delay_ms = (unsigned)min_u64(2ull * s->delay_ms, s->config.longest_delay_ms);
	s->restarts++;
	enter(s, SUPERVISOR_BACKING_OFF);
}

static void act_terminate(struct supervisor *s)
{
	enter(s, SUPERVISOR_STOPPING);
	if (s->process_open)
		uv_process_kill(&s->process, SIGTERM);
	uv_timer_start(&s->timer, on_timer, STOP_MS, 0);
}

static void act_kill(struct supervisor *s)
{
	if (s->pid)
		uv_process_kill(&s->process, SIGKILL);
}

static void act_stopped(struct supervisor *s)
{
	uv_timer_stop(&s->timer);
	enter(s, SUPERVISOR_STOPPED);
}

/* What each event does in each state; NULL: nothing. */
static void (*const actions[][EVENTS])(struct supervisor *s) = {
	[SUPERVISOR_STOPPED] = { [EVENT_START] = act_spawn, [EVENT_STOP] = act_stopped },
	[SUPERVISOR_STARTING] = { [EVENT_READY] = act_up, [EVENT_EXIT] = act_back_off, [EVENT_STOP] = act_terminate },
	[SUPERVISOR_UP] = { [EVENT_EXIT] = act_back_off, [EVENT_STOP] = act_terminate },
	[SUPERVISOR_BACKING_OFF] = { [EVENT_TIMER] = act_spawn, [EVENT_STOP] = act_stopped },
	[SUPERVISOR_STOPPING] = { [EVENT_EXIT] = act_stopped, [EVENT_TIMER] = act_kill },
};

static void supervisor_event(struct supervisor *s, enum event event)
{
	if (actions[s->state][event])
		actions[s->state][event](s);
}

/* ---- public ---- */

int supervisor_new(const struct supervisor_config *config, struct supervisor **supervisor)
{
	struct supervisor *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->config = *config;
	s->config.argv = NULL;
	s->delay_ms = config->first_delay_ms;
	for (size_t i = 0; config->argv[i]; i++) {
		assert(i < ARGS_MAX);
		s->argv[i] = strdup(config->argv[i]);
		if (!s->argv[i])
			goto fail;
	}
	uv_timer_init(loop_uv(config->loop), &s->timer);
	s->timer.data = s;
	*supervisor = s;
	return 0;
fail:
	for (size_t i = 0; s->argv[i]; i++)
		free(s->argv[i]);
	free(s);
	return -ENOMEM;
}

void supervisor_start(struct supervisor *supervisor)
{
	supervisor_event(supervisor, EVENT_START);
}

void supervisor_stop(struct supervisor *supervisor)
{
	supervisor_event(supervisor, EVENT_STOP);
}

void supervisor_signal(struct supervisor *supervisor, int signal)
{
	if (supervisor->pid)
		uv_process_kill(&supervisor->process, signal);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct supervisor *s = handle->data;
	void (*freed)(void *arg) = s->freed;
	void *arg = s->freed_arg;

	for (size_t i = 0; s->argv[i]; i++)
		free(s->argv[i]);
	free(s);
	freed(arg);
}

void supervisor_free(struct supervisor *supervisor, void (*freed)(void *arg), void *arg)
{
	assert(supervisor->state == SUPERVISOR_STOPPED);
	supervisor->freed = freed;
	supervisor->freed_arg = arg;
	uv_close((uv_handle_t *)&supervisor->timer, on_timer_closed);
}

const char *supervisor_state_name(enum supervisor_state state)
{
	static const char *const names[] = { "stopped", "starting", "up", "backing-off", "stopping" };

	return names[state];
}

unsigned supervisor_restarts(const struct supervisor *supervisor)
{
	return supervisor->restarts;
}

int supervisor_pid(const struct supervisor *supervisor)
{
	return supervisor->pid;
}
