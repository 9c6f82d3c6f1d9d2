// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See sampler.h. On boot's loop but where said; one sample at a time:
 *
 *     timer --> all sessions, one by one --> a sample --> every 60th time: a worker looks at the disk, and writes them down
 *
 * What sessions have read and written is known of those that live, and added up of those that ended. One that ends while
 * they are told is missed by one sample and in the next one, or counted twice in one: the sum never goes back.
 */
#include "sampler.h"

#include "base/log.h"
#include "base/pool.h"
#include "base/util.h"
#include "boot/internal.h"
#include "store/store.h"
#include "turns.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct sampler {
	struct boot *boot;
	uv_timer_t timer;
	bool started; /* the main thread's */
	bool asking;  /* the loop's, as what follows */
	sem_t closed;

	/* of the sessions that are being told */
	int64_t *machines;
	size_t count, room;
	uint64_t read, written;

	uint64_t read_before, written_before; /* in all, at the last sample */
	struct activity together;	      /* since they were written down last */
	unsigned parts;
	bool writing;
	struct activity written_down;
	struct pool_job job;

	atomic_ullong ended_read, ended_written;
	atomic_uint boots;

	pthread_mutex_t mutex; /* guards what follows */
	struct activity hour[SAMPLER_HOUR];
	unsigned next, kept;
};

/* A sample's part in ten minutes: the most of what is a state, the sum of what happened. */
static void join(struct activity *whole, const struct activity *part)
{
	whole->at_ms = part->at_ms;
	whole->running = part->running > whole->running ? part->running : whole->running;
	whole->booting = part->booting > whole->booting ? part->booting : whole->booting;
	whole->boots += part->boots;
	whole->read_bytes += part->read_bytes;
	whole->written_bytes += part->written_bytes;
}

/* ---- ten minutes, written down ---- */

static int read_policy(struct inventory_tx *tx, void *arg)
{
	return policy_get(tx, arg);
}

static int write_run(struct inventory_tx *tx, void *arg)
{
	struct sampler *s = arg;

	return activity_add(tx, &s->written_down);
}

/* On a worker. */
static void write_down(struct pool_job *job)
{
	struct sampler *s = container_of(job, struct sampler, job);
	struct store_space space;
	struct policy policy;
	int err = inventory_read_call(s->boot->inventory, read_policy, &policy);

	if (!err && !store_get_space(s->boot->store, &policy, &space))
		s->written_down.free_bytes = space.free_bytes;
	if (!err)
		err = inventory_write_call(s->boot->inventory, write_run, s);
	if (err)
		log_warning("boot: what went on in the last ten minutes could not be written down: %s", strerror(-err));
}

static void write_done(struct pool_job *job)
{
	struct sampler *s = container_of(job, struct sampler, job);

	s->writing = false;
	in_flight_leave(&s->boot->in_flight);
}

static void together(struct sampler *s, const struct activity *part)
{
	join(&s->together, part);
	if (++s->parts < SAMPLER_TOGETHER || s->writing)
		return;
	s->writing = true;
	s->written_down = s->together;
	s->together = (struct activity){ 0 };
	s->parts = 0;
	in_flight_enter(&s->boot->in_flight);
	s->job = (struct pool_job){ .work = write_down, .done = write_done, .loop = s->boot->loop };
	pool_submit(s->boot->pool, POOL_SLOW, &s->job);
}

/* ---- a sample ---- */

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static unsigned distinct(struct sampler *s)
{
	unsigned found = 0;

	if (s->count)
		qsort(s->machines, s->count, sizeof(*s->machines), compare);
	for (size_t i = 0; i < s->count; i++)
		found += !i || s->machines[i] != s->machines[i - 1];
	return found;
}

/* How much more it is in all than it was; never less. */
static uint64_t more(uint64_t now, uint64_t *before)
{
	uint64_t grown = now > *before ? now - *before : 0;

	*before += grown;
	return grown;
}

static void keep(struct sampler *s, const struct activity *sample)
{
	pthread_mutex_lock(&s->mutex);
	s->hour[s->next] = *sample;
	s->next = (s->next + 1) % SAMPLER_HOUR;
	s->kept += s->kept < SAMPLER_HOUR;
	pthread_mutex_unlock(&s->mutex);
}

static void sample(struct sampler *s)
{
	struct activity made = { .at_ms = time_unix_ms(), .running = distinct(s) };
	unsigned waiting;

	turns_count(s->boot->turns, time_monotonic_ms(), &made.booting, &waiting);
	made.boots = atomic_exchange(&s->boots, 0);
	made.read_bytes = more(atomic_load(&s->ended_read) + s->read, &s->read_before);
	made.written_bytes = more(atomic_load(&s->ended_written) + s->written, &s->written_before);
	keep(s, &made);
	together(s, &made);
}

static void add_session(struct sampler *s, const struct boot_session *session)
{
	s->read += session->bytes_read;
	s->written += session->bytes_written;
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		int64_t *grown = reallocarray(s->machines, room, sizeof(*grown));

		if (!grown)
			return; /* one machine is not counted */
		s->machines = grown;
		s->room = room;
	}
	s->machines[s->count++] = session->machine_id;
}

static void each_session(void *arg, const struct boot_session *session, int err)
{
	struct sampler *s = arg;

	if (session) {
		add_session(s, session);
		return;
	}
	if (!err)
		sample(s);
	s->asking = false;
	in_flight_leave(&s->boot->in_flight);
}

static void tick(uv_timer_t *timer)
{
	struct sampler *s = timer->data;
	struct boot *boot = s->boot;

	if (s->asking)
		return;
	s->asking = true;
	s->count = 0;
	s->read = s->written = 0;
	in_flight_enter(&boot->in_flight);
	boot->runtime->sessions(boot->runtime->arg, 0, boot->loop, each_session, s);
}

/* ---- from other threads ---- */

void sampler_boot_began(struct sampler *s)
{
	atomic_fetch_add(&s->boots, 1);
}

void sampler_session_ended(struct sampler *s, const struct boot_session *session)
{
	atomic_fetch_add(&s->ended_read, session->bytes_read);
	atomic_fetch_add(&s->ended_written, session->bytes_written);
}

unsigned sampler_hour(struct sampler *s, struct activity out[SAMPLER_HOUR])
{
	unsigned kept;

	pthread_mutex_lock(&s->mutex);
	kept = s->kept;
	for (unsigned i = 0; i < kept; i++)
		out[i] = s->hour[(s->next + SAMPLER_HOUR - kept + i) % SAMPLER_HOUR];
	pthread_mutex_unlock(&s->mutex);
	return kept;
}

/* ---- life; main thread ---- */

struct sampler *sampler_new(struct boot *boot)
{
	struct sampler *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->boot = boot;
	sem_init(&s->closed, 0, 0);
	pthread_mutex_init(&s->mutex, NULL);
	return s;
}

static void sampler_open(void *arg)
{
	struct sampler *s = arg;

	uv_timer_init(loop_uv(s->boot->loop), &s->timer);
	s->timer.data = s;
	uv_timer_start(&s->timer, tick, SAMPLER_STEP_MS, SAMPLER_STEP_MS);
}

void sampler_start(struct sampler *s)
{
	if (!s->started)
		loop_call(s->boot->loop, sampler_open, s);
	s->started = true;
}

static void sampler_closed(uv_handle_t *timer)
{
	struct sampler *s = timer->data;

	sem_post(&s->closed);
}

static void sampler_close(void *arg)
{
	struct sampler *s = arg;

	uv_close((uv_handle_t *)&s->timer, sampler_closed);
}

void sampler_stop(struct sampler *s)
{
	if (!s->started)
		return;
	loop_call(s->boot->loop, sampler_close, s);
	while (sem_wait(&s->closed) && errno == EINTR)
		;
	s->started = false;
}

void sampler_free(struct sampler *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->mutex);
	sem_destroy(&s->closed);
	free(s->machines);
	free(s);
}
