// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is sent to us to be imported: a job of its own until all of it is there, then an import like any other. Its file has no
 * name, so that a crash leaves nothing of it. The bytes come in order, a piece at a time, on HTTP's workers, and go into the job's file at once; who sends them
 * may go on after a break from where it was (job_status.bytes_done). The job itself only waits for the end:
 *
 *     RECEIVING --store_upload_end--> QUEUED, as an import
 *         `--canceled, or nothing came for UPLOAD_IDLE_MS--> FAILED
 */
#include "store/store.h"

#include "base/log.h"
#include "base/util.h"
#include "store/enter.h"
#include "store/import_work.h"
#include "store/jobs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 500, UPLOAD_IDLE_MS = 10 * 60000 };

/* ---- waiting for the end; a slow worker ---- */

/* Under the mutex. */
static void wait_a_moment(struct store *store)
{
	struct timespec until = time_monotonic_in(LOOK_MS);

	pthread_cond_timedwait(&store->changed, &store->mutex, &until);
}

/* 0: all is there. */
static int wait_for_all(struct store *store, struct job *job, struct reason *reason)
{
	int err = 0;

	pthread_mutex_lock(&store->mutex);
	job->status.stage = JOB_RECEIVING;
	snprintf(job->status.text, sizeof(job->status.text), "receiving it");
	job->touched_ms = (int64_t)time_monotonic_ms();
	while (!err && !job->received) {
		if (store->closing)
			err = reason_refuse(reason, -ECANCELED, "the server was stopped: send it again");
		else if (job->cancel)
			err = reason_refuse(reason, -ECANCELED, "canceled by %s; nothing of it is left",
					    job->canceled_by);
		else if ((int64_t)time_monotonic_ms() - job->touched_ms > UPLOAD_IDLE_MS)
			err = reason_refuse(reason, -ETIMEDOUT,
					    "nothing came for %d minutes, after %llu bytes: nothing of it is left",
					    UPLOAD_IDLE_MS / 60000, (unsigned long long)job->status.bytes_done);
		else
			wait_a_moment(store);
	}
	job->cancel |= err == -ETIMEDOUT; /* nothing more is taken */
	while (job->writing)
		wait_a_moment(store);
	pthread_mutex_unlock(&store->mutex);
	return err;
}

static void upload_perform(struct store *store, struct job *job)
{
	struct reason reason = { "" };
	bool canceled;
	int err = wait_for_all(store, job, &reason);

	if (!err) {
		jobs_requeue(store, job, JOB_IMPORT, import_perform);
		return;
	}
	canceled = err == -ECANCELED && job->canceled_by[0];
	job_note(store, &job->status, canceled ? "info" : "warning",
		 canceled ? "image-import-canceled" : "image-import-failed", canceled ? job->canceled_by : job->actor,
		 "%s: %s", job->status.source, reason.text);
	job_end(store, job, err, reason.text);
}

/* ---- the public side ---- */

int store_upload(struct store *store, const char *file, const char *name, uint64_t size_bytes, enum import_use use,
		 const char *actor, uint64_t *id, struct reason *reason)
{
	struct job job = { .status.kind = JOB_UPLOAD, .perform = upload_perform, .use = use, .fd = -1 };
	const char *slash = strrchr(file, '/');
	struct policy policy;
	char path[PATH_MAX];
	int err = store_check_image_name(store, name, reason);

	if (!err && size_bytes > STORE_SIZE_MAX)
		err = reason_refuse(reason, -EINVAL, "at most 16 TiB can be imported");
	if (!err && store_get_policy(store, &policy))
		err = reason_refuse(reason, -EIO, "the policy could not be read");
	if (!err)
		err = store_check_space(store, &policy, size_bytes, reason);
	if (err)
		return err;
	job.fd = enter_make_file(store, "upload", ".in", path, reason);
	if (job.fd < 0)
		return job.fd;
	store_unlink(path);
	/* qemu-img may read it, by its descriptor; others find no name. */
	if (fchmod(job.fd, 0644))
		log_warning("store: an upload cannot be made readable: %s", strerror(errno));
	job.status.bytes_total = size_bytes;
	job.since_ms = (int64_t)time_monotonic_ms();
	snprintf(job.status.name, sizeof(job.status.name), "%s", name);
	snprintf(job.path, sizeof(job.path), "/%s", slash ? slash + 1 : file);
	log_escape(job.status.source, sizeof(job.status.source), job.path + 1, strlen(job.path + 1));
	snprintf(job.actor, sizeof(job.actor), "%s", actor);
	err = jobs_submit(store, &job, id, reason);
	if (err)
		close(job.fd);
	return err;
}

/* ---- a piece; HTTP's workers ---- */

/* Under the mutex: the one that is still being sent, and nobody else sends a piece of it just now. */
static int find_upload(struct store *store, uint64_t id, struct job **found, struct reason *reason)
{
	struct job *job = jobs_find(store, id);

	if (!job)
		return reason_refuse(reason, -ENOENT, "there is no import %llu", (unsigned long long)id);
	if (job->status.kind != JOB_UPLOAD || job->received || job->cancel || job->status.stage == JOB_FAILED)
		return reason_refuse(reason, -EALREADY, "nothing more is taken for import %llu: %.300s",
				     (unsigned long long)id, job->status.text);
	if (job->writing)
		return reason_refuse(reason, -EBUSY,
				     "another piece of import %llu is being written: one after the other",
				     (unsigned long long)id);
	*found = job;
	return 0;
}

static int write_piece(struct store *store, int fd, uint64_t offset, const void *data, size_t len,
		       struct reason *reason)
{
	struct policy policy;
	int err = store_get_policy(store, &policy);

	if (!err)
		err = store_check_space(store, &policy, len, reason);
	for (size_t done = 0; done < len && !err;) {
		ssize_t n = pwrite(fd, (const char *)data + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno != EINTR)
			err = reason_refuse(reason, -errno, "it could not be written: %s", strerror(errno));
		done += n > 0 ? (size_t)n : 0;
	}
	return err;
}

int store_upload_write(struct store *store, uint64_t id, uint64_t offset, const void *data, size_t len,
		       struct reason *reason)
{
	struct job *job;
	int fd = -1, err;

	pthread_mutex_lock(&store->mutex);
	err = find_upload(store, id, &job, reason);
	if (!err && offset != job->status.bytes_done)
		err = reason_refuse(reason, -ESTALE, "%llu bytes are here: go on from there",
				    (unsigned long long)job->status.bytes_done);
	if (!err && len > STORE_SIZE_MAX - offset)
		err = reason_refuse(reason, -EINVAL, "at most 16 TiB can be imported");
	if (!err) {
		job->writing = true;
		fd = job->fd;
	}
	pthread_mutex_unlock(&store->mutex);
	if (err)
		return err;
	err = write_piece(store, fd, offset, data, len, reason);
	pthread_mutex_lock(&store->mutex); /* it is still ours: who ends it waits for `writing` */
	job->writing = false;
	job->touched_ms = (int64_t)time_monotonic_ms();
	if (!err)
		job->status.bytes_done += len;
	pthread_cond_broadcast(&store->changed);
	pthread_mutex_unlock(&store->mutex);
	return err;
}

int store_upload_end(struct store *store, uint64_t id, struct reason *reason)
{
	struct job *job;
	int err;

	pthread_mutex_lock(&store->mutex);
	err = find_upload(store, id, &job, reason);
	if (!err && job->status.bytes_total && job->status.bytes_total != job->status.bytes_done)
		err = reason_refuse(reason, -EINVAL, "%llu bytes were announced, and %llu came: go on from there",
				    (unsigned long long)job->status.bytes_total,
				    (unsigned long long)job->status.bytes_done);
	if (!err)
		job->received = true;
	pthread_cond_broadcast(&store->changed);
	pthread_mutex_unlock(&store->mutex);
	return err;
}
