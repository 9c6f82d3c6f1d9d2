// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Worker pool: see pool.h. One mutex per class guards its queue, the lanes' counts of that class and `ending`.
 */
#include "base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	POOL_LANE_LIMIT = 4, /* jobs of one file running at once, per class */
	POOL_TAKE_MAX = 8,   /* jobs that a worker takes at once */
};

struct pool_queue {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct pool_job *first, **last;
	unsigned length;
	pthread_t *threads;
	unsigned thread_count; /* that have been started */
	unsigned workers;      /* that there will be */
	bool ending;
};

struct pool {
	struct pool_queue queues[POOL_CLASSES];
};

static const char *const class_names[] = { "read", "write", "sync", "slow" };

/* The first job whose lane has room, taken out of the queue; NULL where there is none. Under the mutex. */
static struct pool_job *pool_take(struct pool_queue *queue, enum pool_class class)
{
	for (struct pool_job **at = &queue->first; *at; at = &(*at)->next) {
		struct pool_job *job = *at;

		if (job->lane && job->lane->running[class] >= POOL_LANE_LIMIT)
			continue;
		*at = job->next;
		if (queue->last == &job->next)
			queue->last = at;
		queue->length--;
		if (job->lane)
			job->lane->running[class]++;
		return job;
	}
	return NULL;
}

static void pool_post_done(struct loop_msg *msg)
{
	struct pool_job *job = (struct pool_job *)((char *)msg - offsetof(struct pool_job, msg));

	job->done(job);
}

static void pool_finish(struct pool_job *job)
{
	if (!job->done)
		return;
	if (!job->loop) {
		job->done(job);
		return;
	}
	job->msg.run = pool_post_done;
	loop_post(job->loop, &job->msg);
}

struct pool_thread {
	struct pool_queue *queue;
	enum pool_class class;
};

/*
 * So that a worker that wakes up does not push the loop that woke it off its core in the middle of a turn. Whoever runs
 * us in real time wants the workers so, too.
 */
static void be_batch_thread(void)
{
	struct sched_param param;
	int policy;

	if (!pthread_getschedparam(pthread_self(), &policy, &param) && policy == SCHED_OTHER)
		pthread_setschedparam(pthread_self(), SCHED_BATCH, &param);
}

/* This worker's share of what waits, in order; 0 where nothing may run. Under the mutex. */
static unsigned pool_take_share(struct pool_queue *queue, enum pool_class class, struct pool_job *jobs[POOL_TAKE_MAX])
{
	unsigned share = queue->length / queue->workers, count = 0;

	while (count < POOL_TAKE_MAX && count <= share) {
		/* Only jobs that have something to do ahead gain by waiting for one worker. */
		if (count && (!queue->first || !queue->first->ahead))
			break;
		jobs[count] = pool_take(queue, class);
		if (!jobs[count])
			break;
		if (!jobs[count++]->ahead)
			break;
	}
	return count;
}

static void pool_run(struct pool_queue *queue, enum pool_class class, struct pool_job *job)
{
	struct pool_lane *lane = job->lane;

	job->work(job);
	/* The lane is given back before done: done may free the file that holds it. */
	if (lane) {
		pthread_mutex_lock(&queue->mutex);
		if (lane->running[class]-- == POOL_LANE_LIMIT)
			pthread_cond_broadcast(&queue->wake);
		pthread_mutex_unlock(&queue->mutex);
	}
	pool_finish(job);
}

static void *pool_main(void *arg)
{
	struct pool_thread self = *(struct pool_thread *)arg;
	struct pool_queue *queue = self.queue;
	struct pool_job *jobs[POOL_TAKE_MAX];

	free(arg);
	be_batch_thread();
	pthread_mutex_lock(&queue->mutex);
	for (;;) {
		unsigned count = pool_take_share(queue, self.class, jobs);

		if (!count) {
			if (queue->ending && !queue->first)
				break;
			pthread_cond_wait(&queue->wake, &queue->mutex);
			continue;
		}
		pthread_mutex_unlock(&queue->mutex);
		/* The last may have none: it is what was found behind jobs whose lane is full. */
		for (unsigned i = 0; count > 1 && i < count; i++)
			if (jobs[i]->ahead)
				jobs[i]->ahead(jobs[i]);
		for (unsigned i = 0; i < count; i++)
			pool_run(queue, self.class, jobs[i]);
		pthread_mutex_lock(&queue->mutex);
	}
	pthread_mutex_unlock(&queue->mutex);
	return NULL;
}

static int pool_start_thread(struct pool_queue *queue, enum pool_class class)
{
	struct pool_thread *self = malloc(sizeof(*self));
	char name[16];
	int err;

	if (!self)
		return -ENOMEM;
	*self = (struct pool_thread){ queue, class };
	err = pthread_create(&queue->threads[queue->thread_count], NULL, pool_main, self);
	if (err) {
		free(self);
		return -err;
	}
	snprintf(name, sizeof(name), "%s-%u", class_names[class], queue->thread_count);
	pthread_setname_np(queue->threads[queue->thread_count], name);
	queue->thread_count++;
	return 0;
}

int pool_new(const unsigned threads[POOL_CLASSES], struct pool **pool)
{
	struct pool *made = calloc(1, sizeof(*made));
	int err = 0;

	if (!made)
		return -ENOMEM;
	for (int c = 0; c < POOL_CLASSES; c++) {
		struct pool_queue *queue = &made->queues[c];

		pthread_mutex_init(&queue->mutex, NULL);
		pthread_cond_init(&queue->wake, NULL);
		queue->last = &queue->first;
	}
	for (int c = 0; c < POOL_CLASSES && !err; c++) {
		struct pool_queue *queue = &made->queues[c];

		queue->workers = threads[c];
		queue->threads = calloc(threads[c], sizeof(*queue->threads));
		if (!queue->threads)
			err = -ENOMEM;
		while (!err && queue->thread_count < threads[c])
			err = pool_start_thread(queue, (enum pool_class)c);
	}
	if (err) {
		pool_free(made);
		return err;
	}
	*pool = made;
	return 0;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	for (int c = 0; c < POOL_CLASSES; c++) {
		struct pool_queue *queue = &pool->queues[c];

		pthread_mutex_lock(&queue->mutex);
		queue->ending = true;
		pthread_cond_broadcast(&queue->wake);
		pthread_mutex_unlock(&queue->mutex);
		for (unsigned t = 0; t < queue->thread_count; t++)
			pthread_join(queue->threads[t], NULL);
		free(queue->threads);
		pthread_cond_destroy(&queue->wake);
		pthread_mutex_destroy(&queue->mutex);
	}
	free(pool);
}

void pool_submit(struct pool *pool, enum pool_class class, struct pool_job *job)
{
	struct pool_queue *queue = &pool->queues[class];

	job->next = NULL;
	job->class = class;
	pthread_mutex_lock(&queue->mutex);
	*queue->last = job;
	queue->last = &job->next;
	queue->length++;
	pthread_mutex_unlock(&queue->mutex);
	/* Not under the mutex: who wakes up would have to wait for it, and to be woken a second time. */
	pthread_cond_signal(&queue->wake);
}
