// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The queue of imports, worked off by one job of the pool (POOL_SLOW), so that it takes one slow worker and never all
 * of them. What one import does is in import_work.c.
 */
#include "store/store.h"

#include "base/util.h"
#include "store/import_work.h"
#include "store/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct import *import_next(struct store *store)
{
	struct import *next = NULL;

	for (size_t i = 0; i < IMPORTS_KEPT; i++) {
		struct import *import = &store->imports[i];

		if (import->status.id && import->status.stage == IMPORT_QUEUED &&
		    (!next || import->status.id < next->status.id))
			next = import;
	}
	return next;
}

static void import_work(struct pool_job *job)
{
	struct store *store = container_of(job, struct store, import_job);
	struct import *import;

	for (;;) {
		pthread_mutex_lock(&store->mutex);
		import = store->closing ? NULL : import_next(store);
		pthread_mutex_unlock(&store->mutex);
		if (!import)
			return;
		import_perform(store, import);
	}
}

/* The pool has let go of the job. What was queued after the last look starts it again. */
static void import_work_done(struct pool_job *job)
{
	struct store *store = container_of(job, struct store, import_job);
	bool again;

	pthread_mutex_lock(&store->mutex);
	again = !store->closing && import_next(store);
	store->import_running = again;
	pthread_cond_broadcast(&store->changed);
	if (again)
		pool_submit(store->pool, POOL_SLOW, job);
	pthread_mutex_unlock(&store->mutex); /* the last access: store_close waits for it */
}

/* ---- the public side ---- */

void import_init(struct store *store)
{
	pthread_cond_init(&store->changed, NULL);
	store->next_import = 1;
	store->import_job.work = import_work;
	store->import_job.done = import_work_done;
	for (size_t i = 0; i < IMPORTS_KEPT; i++)
		store->imports[i].fd = -1;
}

void import_fini(struct store *store)
{
	pthread_mutex_lock(&store->mutex);
	store->closing = true;
	pthread_cond_broadcast(&store->changed);
	while (store->import_running)
		pthread_cond_wait(&store->changed, &store->mutex);
	pthread_mutex_unlock(&store->mutex);
	for (size_t i = 0; i < IMPORTS_KEPT; i++) { /* those that were still queued */
		if (store->imports[i].fd >= 0)
			close(store->imports[i].fd);
	}
	pthread_cond_destroy(&store->changed);
}

static int import_open(const char *path, int *fd, struct reason *reason)
{
	int err;

	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return reason_refuse(
			reason, -EINVAL,
			"the file must be named with its whole path on the server, such as /srv/images/debian.qcow2");
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd >= 0)
		return 0;
	err = reason_refuse(reason, -errno, "%.300s: %s", path, strerror(errno));
	return err == -ENOENT ? -ENOENT : -EINVAL;
}

int store_import(struct store *store, const char *path, const char *name, enum import_use use, const char *actor,
		 uint64_t *id, struct reason *reason)
{
	struct import *import;
	bool start;
	int fd = -1, err;

	if (!image_name_valid(name))
		return reason_refuse(reason, -EINVAL,
				     "an image is named with letters, digits, '-', '_' and '.', at most 63 of them");
	err = import_open(path, &fd, reason);
	if (err)
		return err;
	pthread_mutex_lock(&store->mutex);
	import = &store->imports[store->next_import % IMPORTS_KEPT];
	if (store->closing ||
	    (import->status.id && import->status.stage != IMPORT_DONE && import->status.stage != IMPORT_FAILED)) {
		pthread_mutex_unlock(&store->mutex);
		close(fd);
		return reason_refuse(reason, -EBUSY, "%d imports are waiting already: try again when some are done",
				     IMPORTS_KEPT);
	}
	*import = (struct import){ .fd = fd,
				   .use = use,
				   .status = { .id = store->next_import++, .stage = IMPORT_QUEUED } };
	snprintf(import->status.name, sizeof(import->status.name), "%s", name);
	snprintf(import->status.text, sizeof(import->status.text), "waiting for other imports");
	snprintf(import->path, sizeof(import->path), "%s", path);
	snprintf(import->actor, sizeof(import->actor), "%s", actor);
	*id = import->status.id;
	start = !store->import_running;
	store->import_running = true;
	pthread_mutex_unlock(&store->mutex);
	if (start)
		pool_submit(store->pool, POOL_SLOW, &store->import_job);
	return 0;
}

/* Under the mutex. */
static const struct import *import_find(const struct store *store, uint64_t id)
{
	const struct import *import = &store->imports[id % IMPORTS_KEPT];

	return id && import->status.id == id ? import : NULL;
}

int store_import_status(struct store *store, uint64_t id, struct import_status *status)
{
	const struct import *import;

	pthread_mutex_lock(&store->mutex);
	import = import_find(store, id);
	if (import)
		*status = import->status;
	pthread_mutex_unlock(&store->mutex);
	return import ? 0 : -ENOENT;
}
