// SPDX-License-Identifier: GPL-2.0-or-later
/* See jobs.h. What one import does is in import_work.c, what one export does in export_work.c. */
#include "store/jobs.h"

#include "base/log.h"
#include "base/util.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char *const kind_words[] = { [JOB_IMPORT] = "import", [JOB_EXPORT] = "export", [JOB_UPLOAD] = "import" };

static bool has_ended(const struct job *job)
{
	return job->status.stage == JOB_DONE || job->status.stage == JOB_FAILED;
}

/* ---- working them off ---- */

/*
 * Under the mutex. Imports of one image come one after the other, so that its versions have the numbers in which they were asked
 * for.
 */
static bool is_behind_another(const struct store *store, const struct job *job)
{
	for (size_t i = 0; i < JOBS_KEPT && job->status.kind == JOB_IMPORT; i++) {
		const struct job *other = &store->jobs[i];

		if (other->status.id && other->status.id < job->status.id && other->status.kind == JOB_IMPORT &&
		    !has_ended(other) && !strcasecmp(other->status.name, job->status.name))
			return true;
	}
	return false;
}

/* Under the mutex. The oldest that may begin; taken: it waits no more. */
static struct job *take_next(struct store *store, enum job_kind kind, bool take)
{
	struct job *next = NULL;

	for (size_t i = 0; i < JOBS_KEPT && !store->closing; i++) {
		struct job *job = &store->jobs[i];

		if (job->status.id && job->recorded && job->status.kind == kind && job->status.stage == JOB_QUEUED &&
		    !is_behind_another(store, job) && (!next || job->status.id < next->status.id))
			next = job;
	}
	if (next && take)
		next->status.stage = kind == JOB_UPLOAD ? JOB_RECEIVING : JOB_CHECKING;
	return next;
}

static void lane_work(struct pool_job *work)
{
	struct job_lane *lane = container_of(work, struct job_lane, work);
	struct store *store = lane->store;
	struct job *job;

	for (;;) {
		pthread_mutex_lock(&store->mutex);
		job = take_next(store, lane->kind, true);
		pthread_mutex_unlock(&store->mutex);
		if (!job)
			return;
		job->perform(store, job);
	}
}

/* The pool has let go of it. What was queued after the last look starts it again. */
static void lane_done(struct pool_job *work)
{
	struct job_lane *lane = container_of(work, struct job_lane, work);
	struct store *store = lane->store;

	pthread_mutex_lock(&store->mutex);
	lane->running = take_next(store, lane->kind, false) != NULL;
	pthread_cond_broadcast(&store->changed);
	if (lane->running)
		pool_submit(store->pool, POOL_SLOW, work);
	pthread_mutex_unlock(&store->mutex); /* the last access: store_close waits for it */
}

/* Under the mutex. */
static void wake_lane(struct store *store, enum job_kind kind)
{
	for (size_t i = 0; i < JOB_LANES; i++) {
		struct job_lane *lane = &store->lanes[kind][i];

		if (lane->running)
			continue;
		lane->running = true;
		pool_submit(store->pool, POOL_SLOW, &lane->work);
		return;
	}
}

/* Nothing comes of one that never ran. */
static void drop(struct job *job)
{
	if (job->fd >= 0)
		close(job->fd);
	job->fd = -1;
	if (job->what)
		job->forget(job->what);
	job->what = NULL;
	if (job->ended)
		job->ended(job->ended_arg);
	job->ended = NULL;
}

/* ---- life ---- */

void jobs_init(struct store *store)
{
	cond_init_monotonic(&store->changed);
	store->next_job = 1;
	for (size_t i = 0; i < JOBS_KEPT; i++)
		store->jobs[i].fd = -1;
	for (unsigned kind = 0; kind < JOB_KINDS; kind++)
		for (size_t i = 0; i < JOB_LANES; i++)
			store->lanes[kind][i] = (struct job_lane){ .store = store,
								   .kind = (enum job_kind)kind,
								   .work = { .work = lane_work, .done = lane_done } };
}

static bool anything_runs(const struct store *store)
{
	for (unsigned kind = 0; kind < JOB_KINDS; kind++)
		for (size_t i = 0; i < JOB_LANES; i++)
			if (store->lanes[kind][i].running)
				return true;
	return false;
}

void store_stop_jobs(struct store *store)
{
	pthread_mutex_lock(&store->mutex);
	store->closing = true;
	pthread_cond_broadcast(&store->changed);
	while (anything_runs(store))
		pthread_cond_wait(&store->changed, &store->mutex);
	pthread_mutex_unlock(&store->mutex);
	for (size_t i = 0; i < JOBS_KEPT; i++) /* those that were still queued */
		drop(&store->jobs[i]);
}

void jobs_fini(struct store *store)
{
	store_stop_jobs(store);
	pthread_cond_destroy(&store->changed);
}

/* Under the mutex. A place for a new one: that of the oldest, which has ended; NULL. */
static struct job *find_place(struct store *store)
{
	struct job *job = &store->jobs[store->next_job % JOBS_KEPT];

	return store->closing || (job->status.id && !has_ended(job)) ? NULL : job;
}

/* It has its place, and does not begin before the inventory knows of it. */
static int record(struct store *store, struct job *job, struct reason *reason)
{
	int err = job_record(store, job, 0);
	struct job_status *status = &job->status;

	pthread_mutex_lock(&store->mutex);
	job->recorded = true;
	if (err) { /* the caller has what is its */
		job->fd = -1;
		job->what = NULL;
		job->ended = NULL;
		status->stage = JOB_FAILED;
		snprintf(job->status.text, sizeof(job->status.text), "it could not be written down: %s",
			 strerror(-err));
	} else {
		wake_lane(store, job->status.kind);
	}
	pthread_mutex_unlock(&store->mutex);
	return err ? reason_refuse(reason, err, "it could not be written down, and is not begun: %s", strerror(-err)) :
		     0;
}

int jobs_submit(struct store *store, const struct job *how, uint64_t *id, struct reason *reason)
{
	struct job *job;

	pthread_mutex_lock(&store->mutex);
	job = find_place(store);
	if (!job) {
		pthread_mutex_unlock(&store->mutex);
		return reason_refuse(
			reason, -EBUSY,
			"%d imports and exports are waiting already: try again when some are done (sanbootctl "
			"image jobs)",
			JOBS_KEPT);
	}
	*job = *how;
	job->status.id = store->next_job++;
	job->status.stage = JOB_QUEUED;
	*id = job->status.id;
	pthread_mutex_unlock(&store->mutex);
	return record(store, job, reason);
}

struct job *jobs_find(struct store *store, uint64_t id)
{
	struct job *job = &store->jobs[id % JOBS_KEPT];

	return id && job->status.id == id ? job : NULL;
}

/* ---- for perform ---- */

void jobs_requeue(struct store *store, struct job *job, enum job_kind kind,
		  void (*perform)(struct store *store, struct job *job))
{
	pthread_mutex_lock(&store->mutex);
	job->status.kind = kind;
	job->status.stage = JOB_QUEUED;
	job->status.bytes_total = job->status.bytes_done = 0;
	job->perform = perform;
	if (!store->closing)
		wake_lane(store, kind);
	pthread_mutex_unlock(&store->mutex);
}

void job_set(struct store *store, struct job *job, enum job_stage stage, unsigned percent, const char *text,
	     uint64_t bytes)
{
	struct job_status *status = &job->status;

	pthread_mutex_lock(&store->mutex);
	if (text) {
		snprintf(status->text, sizeof(status->text), "%s", text);
		status->bytes_total = bytes;
		job->since_ms = (int64_t)time_monotonic_ms();
	}
	status->stage = stage;
	status->percent = percent;
	pthread_mutex_unlock(&store->mutex);
}

bool job_is_canceled(struct store *store, struct job *job)
{
	bool canceled;

	pthread_mutex_lock(&store->mutex);
	canceled = job->cancel;
	pthread_mutex_unlock(&store->mutex);
	return canceled;
}

bool job_enter(struct store *store, struct job *job)
{
	bool canceled;

	pthread_mutex_lock(&store->mutex);
	canceled = job->cancel;
	job->entering = !canceled;
	pthread_mutex_unlock(&store->mutex);
	return !canceled;
}

void job_end(struct store *store, struct job *job, int err, const char *text)
{
	struct job_status *status = &job->status;

	drop(job);
	pthread_mutex_lock(&store->mutex);
	status->canceled = err && job->cancel;
	status->percent = err ? status->percent : 100;
	snprintf(status->text, sizeof(status->text), "%s", text);
	status->stage = err ? JOB_FAILED : JOB_DONE;
	pthread_mutex_unlock(&store->mutex);
}

/* ---- the public side ---- */

/* How far it is in bytes, and how fast. Under the mutex. */
static void fill_bytes(const struct job *job, struct job_status *status)
{
	uint64_t elapsed_ms = time_monotonic_ms() - (uint64_t)job->since_ms;

	status->seconds_left = -1;
	if (status->kind == JOB_UPLOAD) {
		status->bytes_per_s = elapsed_ms ? status->bytes_done * 1000 / elapsed_ms : 0;
		if (status->bytes_total)
			status->percent = (unsigned)min_u64(status->bytes_done / (status->bytes_total / 100 + 1), 100);
		if (status->bytes_total > status->bytes_done && status->bytes_per_s)
			status->seconds_left =
				(int64_t)((status->bytes_total - status->bytes_done) / status->bytes_per_s);
		return;
	}
	if (has_ended(job) || status->stage == JOB_QUEUED || !status->bytes_total) {
		status->bytes_done = status->stage == JOB_DONE ? status->bytes_total : 0;
		return;
	}
	status->bytes_done = status->bytes_total / 100 * status->percent;
	if (!status->percent || !elapsed_ms)
		return;
	status->bytes_per_s = status->bytes_done / elapsed_ms * 1000;
	status->seconds_left = (int64_t)(elapsed_ms * (100 - status->percent) / status->percent / 1000);
}

/* Under the mutex. One that waits says for which. */
static void fill_status(const struct store *store, const struct job *job, struct job_status *status)
{
	*status = job->status;
	fill_bytes(job, status);
	if (status->stage != JOB_QUEUED)
		return;
	snprintf(status->text, sizeof(status->text), "about to begin");
	for (size_t i = 0; i < JOBS_KEPT; i++) {
		const struct job *other = &store->jobs[i];

		if (other->status.id && other->status.kind == status->kind && other->status.id < job->status.id &&
		    !has_ended(other) && other->status.stage != JOB_QUEUED) {
			snprintf(status->text, sizeof(status->text), "waiting for %s %llu (%s)",
				 kind_words[status->kind], (unsigned long long)other->status.id, other->status.name);
			return;
		}
	}
}

int store_job_status(struct store *store, uint64_t id, struct job_status *status)
{
	const struct job *job;

	pthread_mutex_lock(&store->mutex);
	job = jobs_find(store, id);
	if (job)
		fill_status(store, job, status);
	pthread_mutex_unlock(&store->mutex);
	return job ? 0 : -ENOENT;
}

unsigned store_job_list(struct store *store, struct job_status list[JOBS_KEPT])
{
	unsigned count = 0;

	pthread_mutex_lock(&store->mutex);
	for (uint64_t i = 0; i < JOBS_KEPT; i++) {
		const struct job *job = &store->jobs[(store->next_job + i) % JOBS_KEPT];

		if (job->status.id)
			fill_status(store, job, &list[count++]);
	}
	pthread_mutex_unlock(&store->mutex);
	return count;
}

/* Under the mutex. 0: it ends, or (queued) has: *drop_it is what is left to do. */
static int cancel(struct store *store, uint64_t id, const char *actor, struct job *drop_it, struct reason *reason)
{
	struct job *job = jobs_find(store, id);

	if (!job)
		return reason_refuse(reason, -ENOENT, "there is no import or export %llu", (unsigned long long)id);
	if (job->entering || job->status.stage == JOB_DONE)
		return reason_refuse(reason, -EALREADY, "%s %llu is done: %s", kind_words[job->status.kind],
				     (unsigned long long)id,
				     job->status.kind == JOB_EXPORT ? "what it made is where it was to be" :
								      "what it made goes with sanbootctl image remove");
	if (job->status.stage == JOB_FAILED)
		return reason_refuse(reason, -EALREADY, "%s %llu has ended: %.300s", kind_words[job->status.kind],
				     (unsigned long long)id, job->status.text);
	job->cancel = true;
	snprintf(job->canceled_by, sizeof(job->canceled_by), "%s", actor);
	pthread_cond_broadcast(&store->changed);
	if (job->status.stage != JOB_QUEUED || job->writing || !job->recorded)
		return 0;
	*drop_it = *job;
	job->fd = -1;
	job->what = NULL;
	job->ended = NULL;
	job->status.stage = JOB_FAILED;
	job->status.canceled = true;
	snprintf(job->status.text, sizeof(job->status.text), "canceled by %s before it began", actor);
	return 0;
}

int store_job_cancel(struct store *store, uint64_t id, const char *actor, struct reason *reason)
{
	struct job dropped = { .fd = -1 };
	struct job_status was = { 0 };
	int err;

	pthread_mutex_lock(&store->mutex);
	err = cancel(store, id, actor, &dropped, reason);
	if (!err)
		was = jobs_find(store, id)->status;
	pthread_mutex_unlock(&store->mutex);
	drop(&dropped);
	if (!err && was.stage == JOB_FAILED) /* else its worker says so when it has ended */
		job_note(store, &was, "info", was.kind == JOB_EXPORT ? "export-canceled" : "image-import-canceled",
			 actor, "%s: %s", was.source, was.text);
	return err;
}
