// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * I/O loop: see loop.h. Messages lie in two lists, and a turn takes the whole list at once, so senders never wait for
 * handlers:
 *
 *	mailbox  what other threads post, under a mutex (guards mailbox, stopping); the first message wakes the loop by
 *	         uv_async
 *	own      what the loop's thread posts; without a lock, and without a wake-up: an idle handle is active while there
 *	         is something, so that the loop comes round without sleeping
 *
 * Another idle handle is active while the loop stays awake for peers (spin.h); a prepare handle, once a turn and after
 * the turn's work, decides that.
 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/loop_watch.h"
#include "base/spin.h"

enum { POLLS_A_TURN = 4 };

struct loop_list {
	struct loop_msg *first, **last;
};

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_idle_t again; /* active: own is not empty */
	struct loop_list own;
	uv_idle_t awake; /* active: spin.polling */
	uv_prepare_t turn_ends;
	struct spin spin;
	uint64_t began_ns;	 /* this turn's work for peers, unless spin.polling */
	bool works;		 /* in this turn, for peers */
	bool (*poll)(void *arg); /* or NULL */
	void *poll_arg;
	pthread_mutex_t mutex;
	struct loop_list mailbox;
	pthread_t thread;
	char name[16];
	struct loop_watch *watch; /* or NULL */
	unsigned index;
	bool threaded;
	bool stopping;
};

static _Thread_local struct loop *current;

static void list_clear(struct loop_list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void list_add(struct loop_list *list, struct loop_msg *msg)
{
	msg->next = NULL;
	*list->last = msg;
	list->last = &msg->next;
}

/* All that is in the list; what these post comes later. */
static struct loop_msg *list_take(struct loop_list *list)
{
	struct loop_msg *first = list->first;

	list_clear(list);
	return first;
}

static void run_all(struct loop_msg *msg)
{
	struct loop_msg *next;

	for (; msg; msg = next) {
		next = msg->next;
		msg->run(msg);
	}
}

static void run_mailbox(struct loop *loop)
{
	struct loop_msg *msg;

	pthread_mutex_lock(&loop->mutex);
	msg = list_take(&loop->mailbox);
	pthread_mutex_unlock(&loop->mutex);
	run_all(msg);
}

void loop_run_own(struct loop *loop)
{
	assert(current == loop);
	if (!loop->own.first)
		return;
	run_all(list_take(&loop->own));
	if (!loop->own.first)
		uv_idle_stop(&loop->again);
}

static void stop_when_empty(struct loop *loop)
{
	bool stop;

	pthread_mutex_lock(&loop->mutex);
	stop = loop->stopping && !loop->mailbox.first && !loop->own.first;
	pthread_mutex_unlock(&loop->mutex);
	if (stop)
		uv_stop(&loop->uv);
}

static void loop_on_wake(uv_async_t *wake)
{
	struct loop *loop = wake->data;

	run_mailbox(loop);
	stop_when_empty(loop);
}

static void loop_on_again(uv_idle_t *again)
{
	struct loop *loop = again->data;

	loop_run_own(loop);
	stop_when_empty(loop);
}

/* ---- awake for peers ---- */

static void on_awake(uv_idle_t *awake)
{
	struct loop *loop = awake->data;

	for (int i = 0; loop->poll && i < POLLS_A_TURN; i++)
		if (loop->poll(loop->poll_arg))
			return;
}

static void on_turn_ends(uv_prepare_t *prepare)
{
	struct loop *loop = prepare->data;
	bool stay;

	if (loop->works)
		stay = spin_worked(&loop->spin, loop->began_ns, uv_hrtime());
	else if (loop->spin.polling)
		stay = spin_go_on(&loop->spin, uv_hrtime());
	else
		return;
	loop->works = false;
	if (stay)
		uv_idle_start(&loop->awake, on_awake);
	else
		uv_idle_stop(&loop->awake);
}

void loop_works(struct loop *loop)
{
	if (!loop->works && !loop->spin.polling)
		loop->began_ns = uv_hrtime();
	loop->works = true;
}

void loop_set_poll(struct loop *loop, bool (*poll)(void *arg), void *arg)
{
	loop->poll = poll;
	loop->poll_arg = arg;
}

/* Neither keeps uv_run from returning when all other handles are closed. */
static void spin_start(struct loop *loop)
{
	uv_idle_init(&loop->uv, &loop->awake);
	uv_prepare_init(&loop->uv, &loop->turn_ends);
	loop->awake.data = loop->turn_ends.data = loop;
	uv_prepare_start(&loop->turn_ends, on_turn_ends);
	uv_unref((uv_handle_t *)&loop->awake);
	uv_unref((uv_handle_t *)&loop->turn_ends);
	spin_init(&loop->spin);
}

static void spin_close(struct loop *loop)
{
	uv_close((uv_handle_t *)&loop->awake, NULL);
	uv_close((uv_handle_t *)&loop->turn_ends, NULL);
}

/* ---- a loop ---- */

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
	uv_idle_init(&loop->uv, &loop->again);
	loop->wake.data = loop->again.data = loop;
	spin_start(loop);
	pthread_mutex_init(&loop->mutex, NULL);
	list_clear(&loop->mailbox);
	list_clear(&loop->own);
	loop->index = index;
	return loop;
}

void loop_set_name(struct loop *loop, const char *name)
{
	assert(!loop->watch);
	snprintf(loop->name, sizeof(loop->name), "%s", name);
}

static void *loop_main(void *arg)
{
	struct loop *loop = arg;
	struct loop_watch *outer;

	current = loop;
	pthread_setname_np(pthread_self(), loop->name);
	loop->watch = loop_watch_open(&loop->uv, loop->name);
	outer = loop_watch_enter(loop->watch);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	loop_watch_leave(loop->watch, outer);
	return NULL;
}

int loop_start(struct loop *loop, const char *name)
{
	int err;

	loop_set_name(loop, name);
	err = pthread_create(&loop->thread, NULL, loop_main, loop);
	if (err)
		return -err;
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
	while (loop->mailbox.first || loop->own.first) {
		run_mailbox(loop);
		loop_run_own(loop);
	}
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_close((uv_handle_t *)&loop->again, NULL);
	spin_close(loop);
	loop_watch_close(loop->watch);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	current = NULL;
	assert(uv_loop_close(&loop->uv) == 0);
	pthread_mutex_destroy(&loop->mutex);
	free(loop);
}

void loop_post(struct loop *loop, struct loop_msg *msg)
{
	bool was_empty;

	if (current == loop) {
		list_add(&loop->own, msg);
		uv_idle_start(&loop->again, loop_on_again);
		return;
	}
	pthread_mutex_lock(&loop->mutex);
	was_empty = !loop->mailbox.first;
	list_add(&loop->mailbox, msg);
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
	struct loop_watch *outer_watch;

	assert(!loop->threaded);
	current = loop;
	if (!loop->watch)
		loop->watch = loop_watch_open(&loop->uv, loop->name);
	outer_watch = loop_watch_enter(loop->watch);
	uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
	loop_watch_leave(loop->watch, outer_watch);
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
