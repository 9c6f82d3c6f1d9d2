// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * I/O loop: see loop.h. The mailbox is a list under a mutex (guards first, last, stopping and closed); the first message into an
 * empty one wakes the loop by uv_async. A turn takes the whole list at once, so senders never wait for handlers.
 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

#include "base/loop_watch.h"

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	pthread_mutex_t mutex;
	struct loop_msg *first, **last;
	pthread_t thread;
	unsigned index;
	bool threaded;
	bool stopping;
};

static _Thread_local struct loop *current;

static void loop_drain(struct loop *loop)
{
	struct loop_msg *msg, *next;

	pthread_mutex_lock(&loop->mutex);
	msg = loop->first;
	loop->first = NULL;
	loop->last = &loop->first;
	pthread_mutex_unlock(&loop->mutex);
	for (; msg; msg = next) {
		struct loop_watch watch;

		next = msg->next;
		loop_watch_begin(&watch);
		msg->run(msg);
		loop_watch_end(&watch, "message");
	}
}

static bool loop_should_stop(struct loop *loop)
{
	bool stop;

	pthread_mutex_lock(&loop->mutex);
	stop = loop->stopping && !loop->first;
	pthread_mutex_unlock(&loop->mutex);
	return stop;
}

static void loop_on_wake(uv_async_t *wake)
{
	struct loop *loop = wake->data;

	loop_drain(loop);
	if (loop_should_stop(loop))
		uv_stop(&loop->uv);
}

struct loop *loop_new(unsigned index)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	if (uv_loop_init(&loop->uv)) {
		free(loop);
		return NULL;
	}
	if (uv_async_init(&loop->uv, &loop->wake, loop_on_wake)) {
		uv_loop_close(&loop->uv);
		free(loop);
		return NULL;
	}
	loop->wake.data = loop;
	pthread_mutex_init(&loop->mutex, NULL);
	loop->last = &loop->first;
	loop->index = index;
	return loop;
}

static void *loop_main(void *arg)
{
	struct loop *loop = arg;

	current = loop;
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	return NULL;
}

int loop_start(struct loop *loop, const char *name)
{
	int err = pthread_create(&loop->thread, NULL, loop_main, loop);

	if (err)
		return -err;
	pthread_setname_np(loop->thread, name);
	loop->threaded = true;
	return 0;
}

void loop_stop(struct loop *loop)
{
	if (!loop->threaded)
		return;
	pthread_mutex_lock(&loop->mutex);
	loop->stopping = true;
	pthread_mutex_unlock(&loop->mutex);
	uv_async_send(&loop->wake);
	pthread_join(loop->thread, NULL);
	loop->threaded = false;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	assert(!loop->threaded);
	current = loop;
	while (loop->first)
		loop_drain(loop);
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	current = NULL;
	assert(uv_loop_close(&loop->uv) == 0);
	pthread_mutex_destroy(&loop->mutex);
	free(loop);
}

void loop_post(struct loop *loop, struct loop_msg *msg)
{
	bool was_empty;

	msg->next = NULL;
	pthread_mutex_lock(&loop->mutex);
	was_empty = !loop->first;
	*loop->last = msg;
	loop->last = &msg->next;
	/* Under the mutex: the loop cannot be freed between the insertion and the wake-up. */
	if (was_empty)
		uv_async_send(&loop->wake);
	pthread_mutex_unlock(&loop->mutex);
}

struct loop *loop_current(void)
{
	return current;
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

unsigned loop_index(const struct loop *loop)
{
	return loop->index;
}

void loop_run_once(struct loop *loop, bool wait)
{
	struct loop *outer = current;

	assert(!loop->threaded);
	current = loop;
	uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
	current = outer;
}

struct loop_call {
	struct loop_msg msg;
	void (*run)(void *arg);
	void *arg;
	uv_sem_t done;
};

static void loop_call_run(struct loop_msg *msg)
{
	struct loop_call *call = (struct loop_call *)msg;

	call->run(call->arg);
	uv_sem_post(&call->done);
}

void loop_call(struct loop *loop, void (*run)(void *arg), void *arg)
{
	struct loop_call call = { .msg.run = loop_call_run, .run = run, .arg = arg };

	assert(loop->threaded && current != loop);
	if (uv_sem_init(&call.done, 0))
		abort();
	loop_post(loop, &call.msg);
	uv_sem_wait(&call.done);
	uv_sem_destroy(&call.done);
}
