// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The queue of imports, worked off by one job of the pool (POOL_SLOW), so that it takes one slow worker and never all
 * of them. What one import does is in import_work.c.
 */
#include "store/store.h"

#include "base/log.h"
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

static bool import_has_ended(const struct import *import)
{
	return import->status.stage == IMPORT_DONE || import->status.stage == IMPORT_FAILED;
}

struct import_name {
	const char *name;
	char similar[NAME_MAX_TEXT];
};

static int find_similar(struct inventory_tx *tx, void *arg)
{
	struct import_name *name = arg;

	return image_find_similar(tx, name->name, name->similar);
}

/* Said before minutes go into it; version_insert makes sure. */
static int import_check_name(struct store *store, const char *text, struct reason *reason)
{
	struct import_name name = { .name = text };

	if (!image_name_valid(text))
		return reason_refuse(reason, -EINVAL,
				     "an image is named with letters, digits, '-', '_' and '.', at most 63 of them");
	if (!store_read(store, find_similar, &name) && strcmp(name.similar, text))
		return reason_refuse(reason, -ENOTUNIQ,
				     "there is an image %s already, and names that differ by case only would be taken for "
				     "each other: give this one another name, or %s for a new version of that image",
				     name.similar, name.similar);
	return 0;
}

/* What is to be imported; its path and source are set. Takes fd. */
struct import_order {
	int fd;
	const char *path, *source, *name, *actor;
	enum import_use use;
};

static int import_queue(struct store *store, const struct import_order *order, uint64_t *id, struct reason *reason)
{
	struct import *import;
	bool start;

	pthread_mutex_lock(&store->mutex);
	import = &store->imports[store->next_import % IMPORTS_KEPT];
	if (store->closing || (import->status.id && !import_has_ended(import))) {
		pthread_mutex_unlock(&store->mutex);
		close(order->fd);
		return reason_refuse(reason, -EBUSY,
				     "%d imports are waiting already: try again when some are done (sanbootctl image "
				     "imports)",
				     IMPORTS_KEPT);
	}
	*import = (struct import){ .fd = order->fd,
				   .use = order->use,
				   .status = { .id = store->next_import++, .stage = IMPORT_QUEUED } };
	snprintf(import->status.name, sizeof(import->status.name), "%s", order->name);
	log_escape(import->status.source, sizeof(import->status.source), order->source, strlen(order->source));
	snprintf(import->path, sizeof(import->path), "%s", order->path);
	snprintf(import->actor, sizeof(import->actor), "%s", order->actor);
	*id = import->status.id;
	start = !store->import_running;
	store->import_running = true;
	pthread_mutex_unlock(&store->mutex);
	if (start)
		pool_submit(store->pool, POOL_SLOW, &store->import_job);
	return 0;
}

int store_import(struct store *store, const char *path, const char *name, enum import_use use, const char *actor,
		 uint64_t *id, struct reason *reason)
{
	struct import_order order = { .path = path, .source = path, .name = name, .actor = actor, .use = use };
	int err = import_check_name(store, name, reason);

	if (!err)
		err = store_open_source(path, &order.fd, reason);
	return err ? err : import_queue(store, &order, id, reason);
}

int store_seal_version(struct store *store, const struct image_version *version, const char *actor, uint64_t *id,
		       struct reason *reason)
{
	char path[PATH_MAX], source[NAME_MAX_TEXT + 16];
	struct import_order order = {
		.path = path, .source = source, .name = version->image, .actor = actor, .use = IMPORT_SEALED
	};
	int err;

	snprintf(source, sizeof(source), "%s@%u", version->image, version->number);
	store_version_path(store, version, path, sizeof(path));
	if (strcmp(version->format, "raw"))
		return reason_refuse(
			reason, -ENOTSUP,
			"%s was made of a machine's disk and stands on another version: qemu-img convert -O raw "
			"%.200s /var/tmp/disk.raw, import that, and seal it",
			source, path);
	err = store_verify_version(store, version, reason);
	if (!err)
		err = store_open_source(path, &order.fd, reason);
	return err ? err : import_queue(store, &order, id, reason);
}

/* Under the mutex. */
static const struct import *import_find(const struct store *store, uint64_t id)
{
	const struct import *import = &store->imports[id % IMPORTS_KEPT];

	return id && import->status.id == id ? import : NULL;
}

/* Under the mutex. One that waits says for which. */
static void import_get(const struct store *store, const struct import *import, struct import_status *status)
{
	*status = import->status;
	if (status->stage != IMPORT_QUEUED)
		return;
	snprintf(status->text, sizeof(status->text), "about to begin");
	for (size_t i = 0; i < IMPORTS_KEPT; i++) {
		const struct import *other = &store->imports[i];

		if (other->status.id && other->status.id < import->status.id && !import_has_ended(other) &&
		    other->status.stage != IMPORT_QUEUED)
			snprintf(status->text, sizeof(status->text), "waiting for import %llu (%s)",
				 (unsigned long long)other->status.id, other->status.name);
	}
}

int store_import_status(struct store *store, uint64_t id, struct import_status *status)
{
	const struct import *import;

	pthread_mutex_lock(&store->mutex);
	import = import_find(store, id);
	if (import)
		import_get(store, import, status);
	pthread_mutex_unlock(&store->mutex);
	return import ? 0 : -ENOENT;
}

unsigned store_import_list(struct store *store, struct import_status list[IMPORTS_KEPT])
{
	unsigned count = 0;

	pthread_mutex_lock(&store->mutex);
	for (uint64_t i = 0; i < IMPORTS_KEPT; i++) {
		const struct import *import = &store->imports[(store->next_import + i) % IMPORTS_KEPT];

		if (import->status.id)
			import_get(store, import, &list[count++]);
	}
	pthread_mutex_unlock(&store->mutex);
	return count;
}

/* Under the mutex. 0: it ends, or (queued) has. */
static int import_cancel(struct store *store, uint64_t id, const char *actor, struct reason *reason)
{
	struct import *import = (struct import *)(uintptr_t)import_find(store, id);

	if (!import)
		return reason_refuse(reason, -ENOENT, "there is no import %llu", (unsigned long long)id);
	if (import->entering || import->status.stage == IMPORT_DONE)
		return reason_refuse(reason, -EALREADY,
				     "import %llu is done: what it made goes with sanbootctl image remove",
				     (unsigned long long)id);
	if (import->status.stage == IMPORT_FAILED)
		return reason_refuse(reason, -EALREADY, "import %llu has ended: %.300s", (unsigned long long)id,
				     import->status.text);
	import->cancel = true;
	snprintf(import->canceled_by, sizeof(import->canceled_by), "%s", actor);
	if (import->status.stage != IMPORT_QUEUED)
		return 0;
	close(import->fd);
	import->fd = -1;
	import->status.stage = IMPORT_FAILED;
	import->status.canceled = true;
	snprintf(import->status.text, sizeof(import->status.text), "canceled by %s before it began", actor);
	return 0;
}

int store_import_cancel(struct store *store, uint64_t id, const char *actor, struct reason *reason)
{
	struct import_status was = { 0 };
	int err;

	pthread_mutex_lock(&store->mutex);
	err = import_cancel(store, id, actor, reason);
	if (!err)
		was = import_find(store, id)->status;
	pthread_mutex_unlock(&store->mutex);
	if (!err && was.stage == IMPORT_FAILED) /* else its worker says so when it has ended */
		inventory_event(store->inventory, "info", "image-import-canceled", actor, 0, was.name, "%s: %s",
				was.source, was.text);
	return err;
}
