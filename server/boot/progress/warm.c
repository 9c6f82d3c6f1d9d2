// SPDX-License-Identifier: GPL-2.0-or-later
/* Learning and reading ahead: see warm.h. The two jobs are the only ones that use queue_job and learn_job. */
#include "warm.h"

#include "base/log.h"
#include "base/pool.h"
#include "base/util.h"
#include "boot/internal.h"
#include "disk/read_trace.h"
#include "disk/read_ahead.h"
#include "store/read_set.h"
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WARM_DONE_KEPT = 64 };

/* A boot whose reads are noted. */
struct followed {
	int64_t machine_id;	       /* 0: free */
	uint64_t first_number, number; /* of boots: several, where its disk stayed open through them */
	uint64_t since_ms;
	struct image_version version;
	struct read_trace *trace;
	bool steady; /* waits to be learnt from */
};

/* An image that was read ahead. */
struct done {
	int64_t version_id; /* 0: free */
	uint64_t ended_ms;
};

struct warm {
	struct boot *boot;
	atomic_bool stop;
	atomic_ullong bytes;   /* read ahead since the start */
	pthread_mutex_t mutex; /* guards all below */
	struct followed followed[WARM_FOLLOWED];
	struct image_version queue[WARM_QUEUE];
	unsigned queue_count;
	bool reading; /* queue_job is under way, with queue[0] */
	struct done done[WARM_DONE_KEPT];
	unsigned next_done;
	struct pool_job queue_job;
	bool learning; /* learn_job is under way */
	struct pool_job learn_job;
};

/* ---- reading ahead ---- */

/* *count ranges, or NULL. */
static struct read_ahead_range *ranges_of(const struct read_set *set, unsigned *count)
{
	struct read_ahead_range *ranges = calloc(set->run_count ? set->run_count : 1, sizeof(*ranges));
	uint32_t next = 0, first, blocks;

	*count = 0;
	while (ranges && read_set_next(set, &next, &first, &blocks))
		ranges[(*count)++] = (struct read_ahead_range){ (uint64_t)first * BOOT_BLOCK_BYTES,
								(uint64_t)blocks * BOOT_BLOCK_BYTES };
	return ranges;
}

static void read_version(struct warm *w, const struct image_version *version)
{
	struct read_ahead how = { .env = w->boot->disk_env, .stop = &w->stop, .total = &w->bytes };
	struct read_ahead_range *ranges;
	struct read_ahead_result result;
	uint64_t began = time_monotonic_ms();
	struct read_set set;
	int err;

	if (store_load_read_set(w->boot->store, version, &set))
		return;
	ranges = ranges_of(&set, &how.range_count);
	read_set_fini(&set);
	if (!ranges)
		return;
	how.ranges = ranges;
	err = store_read_ahead(w->boot->store, version, &how, &result);
	free(ranges);
	if (err)
		log_warning("%s@%u: could not be read ahead: %s", version->image, version->number, strerror(-err));
	else if (result.read_bytes || result.short_of_memory)
		log_info("%s@%u: read ahead %.1f MB of the %.1f MB that boots need, in %.1f s%s", version->image,
			 version->number, (double)result.read_bytes / 1e6, (double)result.asked_bytes / 1e6,
			 (double)(time_monotonic_ms() - began) / 1000,
			 result.short_of_memory ? "; then memory got short" : "");
}

static void note_done(struct warm *w, int64_t version_id)
{
	unsigned i = 0;

	while (i < WARM_DONE_KEPT && w->done[i].version_id != version_id)
		i++;
	if (i == WARM_DONE_KEPT)
		i = w->next_done++ % WARM_DONE_KEPT;
	w->done[i] = (struct done){ .version_id = version_id, .ended_ms = time_monotonic_ms() };
}

/* On a worker: until the queue is empty. */
static void queue_work(struct pool_job *job)
{
	struct warm *w = container_of(job, struct warm, queue_job);
	struct image_version version;

	pthread_mutex_lock(&w->mutex);
	while (w->queue_count && !atomic_load(&w->stop)) {
		version = w->queue[0];
		pthread_mutex_unlock(&w->mutex);
		read_version(w, &version);
		pthread_mutex_lock(&w->mutex);
		note_done(w, version.id);
		w->queue_count--;
		memmove(&w->queue[0], &w->queue[1], w->queue_count * sizeof(w->queue[0]));
	}
	pthread_mutex_unlock(&w->mutex);
}

/* On the worker. Only now the job may be used again. */
static void queue_done(struct pool_job *job)
{
	struct warm *w = container_of(job, struct warm, queue_job);
	struct boot *boot = w->boot;
	bool more;

	pthread_mutex_lock(&w->mutex);
	more = w->queue_count && !atomic_load(&w->stop);
	if (more)
		pool_submit(boot->pool, POOL_SLOW, job);
	else
		w->reading = false;
	pthread_mutex_unlock(&w->mutex);
	if (!more)
		in_flight_leave(&boot->in_flight);
}

/* With the mutex. */
static bool is_due(const struct warm *w, int64_t version_id)
{
	uint64_t now = time_monotonic_ms();

	for (unsigned i = 0; i < w->queue_count; i++)
		if (w->queue[i].id == version_id)
			return false;
	for (unsigned i = 0; i < WARM_DONE_KEPT; i++)
		if (w->done[i].version_id == version_id && now - w->done[i].ended_ms < WARM_AGAIN_MS)
			return false;
	return true;
}

static void enqueue(struct warm *w, const struct image_version *version)
{
	bool begin = false;

	pthread_mutex_lock(&w->mutex);
	if (!atomic_load(&w->stop) && w->queue_count < WARM_QUEUE && is_due(w, version->id)) {
		w->queue[w->queue_count++] = *version;
		begin = !w->reading;
		w->reading = true;
	}
	if (begin) {
		w->queue_job = (struct pool_job){ .work = queue_work, .done = queue_done };
		in_flight_enter(&w->boot->in_flight);
		pool_submit(w->boot->pool, POOL_SLOW, &w->queue_job);
	}
	pthread_mutex_unlock(&w->mutex);
}

/* ---- the start ---- */

struct versions_job {
	struct inventory_job job;
	struct warm *warm;
};

static int enqueue_version(void *arg, const struct image_version *version)
{
	if (version->machines)
		enqueue(arg, version);
	return 0;
}

static int versions_run(struct inventory_tx *tx, struct inventory_job *job)
{
	return version_each(tx, enqueue_version, container_of(job, struct versions_job, job)->warm);
}

static void versions_done(struct inventory_job *job, int err)
{
	struct versions_job *versions = container_of(job, struct versions_job, job);
	struct boot *boot = versions->warm->boot;

	if (err)
		log_warning("boot: no image is read ahead: the inventory: %s", strerror(-err));
	free(versions);
	in_flight_leave(&boot->in_flight);
}

void warm_start(struct warm *w)
{
	struct versions_job *versions = calloc(1, sizeof(*versions));

	if (!versions)
		return;
	*versions = (struct versions_job){ .job = { .run = versions_run, .done = versions_done }, .warm = w };
	in_flight_enter(&w->boot->in_flight);
	inventory_read(w->boot->inventory, &versions->job);
}

/* ---- learning ---- */

/* With the mutex. */
static void drop(struct followed *f)
{
	if (f->trace)
		read_trace_stop(f->trace);
	read_trace_unref(f->trace);
	*f = (struct followed){ 0 };
}

static struct followed *find(struct warm *w, int64_t machine_id)
{
	for (unsigned i = 0; i < WARM_FOLLOWED; i++)
		if (w->followed[i].machine_id == machine_id)
			return &w->followed[i];
	return NULL;
}

static bool is_of(const struct followed *f, uint64_t number)
{
	return number >= f->first_number && number <= f->number;
}

/* A place for one more boot of this version, if it is to have one. With the mutex. */
static struct followed *find_place(struct warm *w, int64_t version_id)
{
	struct followed *free_place = NULL;
	uint64_t now = time_monotonic_ms();
	unsigned same = 0;

	for (unsigned i = 0; i < WARM_FOLLOWED; i++) {
		struct followed *f = &w->followed[i];

		if (f->machine_id && !f->steady && now - f->since_ms >= WARM_FOLLOW_MS)
			drop(f);
		if (!f->machine_id)
			free_place = f;
		else if (f->version.id == version_id)
			same++;
	}
	return same < WARM_FOLLOWED_OF_ONE ? free_place : NULL;
}

static void follow(struct warm *w, int64_t machine_id, uint64_t number, const struct image_version *version)
{
	struct followed *f;

	pthread_mutex_lock(&w->mutex);
	f = find(w, machine_id);
	/*
	 * Another boot of the same machine. Where its disk is open with the trace, that goes on: either nothing comes
	 * of this script, or the disk stays open and the next boot reads much the same. Else the one before was given
	 * up.
	 */
	if (f && !f->steady && f->version.id == version->id && number > f->number &&
	    atomic_load(&f->trace->references) > 1)
		f->number = number;
	if (f && !f->steady && (f->number != number || f->version.id != version->id)) {
		drop(f);
		f = NULL;
	}
	if (!f)
		f = find_place(w, version->id);
	if (f && !f->machine_id) {
		*f = (struct followed){ .machine_id = machine_id,
					.first_number = number,
					.number = number,
					.since_ms = time_monotonic_ms(),
					.version = *version,
					.trace = read_trace_new(version->size_bytes) };
		if (!f->trace)
			drop(f);
	}
	pthread_mutex_unlock(&w->mutex);
}

void warm_script(struct warm *w, int64_t machine_id, uint64_t number, const struct image_version *version)
{
	if (!version->id || strcmp(version->format, "raw"))
		return;
	enqueue(w, version);
	follow(w, machine_id, number, version);
}

struct read_trace *warm_trace(struct warm *w, int64_t machine_id, uint64_t number, int64_t version_id)
{
	struct read_trace *trace = NULL;
	struct followed *f;

	pthread_mutex_lock(&w->mutex);
	f = find(w, machine_id);
	if (f && is_of(f, number) && f->version.id == version_id && !f->steady)
		trace = read_trace_ref(f->trace);
	pthread_mutex_unlock(&w->mutex);
	return trace;
}

static void learn_from(struct warm *w, const struct followed *f)
{
	const struct image_version *version = &f->version;
	int err = store_learn_boot(w->boot->store, version, f->trace);

	/* Too much, nothing (all of it came from the machine's own disk), or the image is gone: nothing to learn. */
	if (err && err != -E2BIG && err != -ENODATA && err != -ENOENT)
		log_warning("%s@%u: what its boots need could not be kept: %s", version->image, version->number,
			    strerror(-err));
	else if (!err)
		log_debug("%s@%u: learnt from boot %llu of machine %lld", version->image, version->number,
			  (unsigned long long)f->number, (long long)f->machine_id);
}

/* With the mutex. */
static struct followed *find_steady(struct warm *w)
{
	for (unsigned i = 0; i < WARM_FOLLOWED; i++)
		if (w->followed[i].machine_id && w->followed[i].steady)
			return &w->followed[i];
	return NULL;
}

/* On a worker: one boot. Nobody else changes an entry that is steady. */
static void learn_work(struct pool_job *job)
{
	struct warm *w = container_of(job, struct warm, learn_job);
	struct followed *f;

	pthread_mutex_lock(&w->mutex);
	f = find_steady(w);
	pthread_mutex_unlock(&w->mutex);
	learn_from(w, f);
	pthread_mutex_lock(&w->mutex);
	drop(f);
	pthread_mutex_unlock(&w->mutex);
}

/* On the worker. */
static void learn_done(struct pool_job *job)
{
	struct warm *w = container_of(job, struct warm, learn_job);
	struct boot *boot = w->boot;
	bool more;

	pthread_mutex_lock(&w->mutex);
	more = find_steady(w) != NULL;
	w->learning = more;
	if (more)
		pool_submit(boot->pool, POOL_SLOW, job);
	pthread_mutex_unlock(&w->mutex);
	if (!more)
		in_flight_leave(&boot->in_flight);
}

void warm_steady(struct warm *w, int64_t machine_id, uint64_t number)
{
	struct followed *f;

	pthread_mutex_lock(&w->mutex);
	f = find(w, machine_id);
	if (f && is_of(f, number) && !f->steady) {
		f->steady = true;
		read_trace_stop(f->trace);
		if (!w->learning) {
			w->learning = true;
			w->learn_job = (struct pool_job){ .work = learn_work, .done = learn_done };
			in_flight_enter(&w->boot->in_flight);
			pool_submit(w->boot->pool, POOL_SLOW, &w->learn_job);
		}
	}
	pthread_mutex_unlock(&w->mutex);
}

/* ---- life ---- */

struct warm *warm_new(struct boot *boot)
{
	struct warm *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->boot = boot;
	pthread_mutex_init(&w->mutex, NULL);
	return w;
}

void warm_stop(struct warm *w)
{
	atomic_store(&w->stop, true);
}

void warm_free(struct warm *w)
{
	if (!w)
		return;
	for (unsigned i = 0; i < WARM_FOLLOWED; i++)
		drop(&w->followed[i]);
	pthread_mutex_destroy(&w->mutex);
	free(w);
}

uint64_t boot_read_ahead_bytes(struct boot *boot)
{
	return atomic_load(&boot->warm->bytes);
}
