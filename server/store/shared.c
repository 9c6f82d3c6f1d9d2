// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Shared volumes: see shared.h. A disk belongs to one loop, so each loop has its own of a version, and all that attach
 * it there count as its users:
 *
 *     (none) -- first user --> OPENING -- opened --> OPEN -- last user closes --> CLOSING --> (none)
 *                              others wait             others join                others wait, and open it again
 *
 * The list, and which disk each of them has, are under a mutex, since other loops look there; all else of a disk
 * happens on its loop.
 */
#include "store/shared.h"

#include "base/util.h"
#include "store/private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum shared_state { SHARED_OPENING, SHARED_OPEN, SHARED_CLOSING };

struct shared_user {
	struct shared_user *next;
	void (*opened)(void *arg, const struct disk_opened *result);
	void *arg;
	struct loop_msg msg;
	struct shared_disk *shared;
};

struct shared_disk {
	struct shared_disk *next; /* store->shared */
	struct store *store;
	const struct store_backend *backend;
	struct loop *loop;
	struct volume volume; /* the one that was opened first: its version is what counts */
	struct image_version version;
	struct store_open how;
	enum shared_state state;
	struct disk *disk;
	unsigned users;
	struct shared_user *waiting; /* for it to be opened */
	void (*closed)(void *arg, int err);
	void *closed_arg;
};

void shared_init(struct store *store)
{
	pthread_mutex_init(&store->shared_mutex, NULL);
}

void shared_fini(struct store *store)
{
	assert(!store->shared);
	pthread_mutex_destroy(&store->shared_mutex);
}

static struct shared_disk *find(struct store *store, const struct loop *loop, int64_t version_id)
{
	struct shared_disk *shared;

	pthread_mutex_lock(&store->shared_mutex);
	shared = store->shared;
	while (shared && (shared->loop != loop || shared->version.id != version_id))
		shared = shared->next;
	pthread_mutex_unlock(&store->shared_mutex);
	return shared;
}

static struct shared_disk *find_disk(struct store *store, const struct disk *disk)
{
	struct shared_disk *shared;

	pthread_mutex_lock(&store->shared_mutex);
	shared = store->shared;
	while (shared && shared->disk != disk)
		shared = shared->next;
	pthread_mutex_unlock(&store->shared_mutex);
	return shared;
}

static void add(struct shared_disk *shared)
{
	pthread_mutex_lock(&shared->store->shared_mutex);
	shared->next = shared->store->shared;
	shared->store->shared = shared;
	pthread_mutex_unlock(&shared->store->shared_mutex);
}

static void drop(struct shared_disk *shared)
{
	struct shared_disk **at = &shared->store->shared;

	pthread_mutex_lock(&shared->store->shared_mutex);
	while (*at != shared)
		at = &(*at)->next;
	*at = shared->next;
	pthread_mutex_unlock(&shared->store->shared_mutex);
	free(shared);
}

static void set_disk(struct shared_disk *shared, struct disk *disk)
{
	pthread_mutex_lock(&shared->store->shared_mutex);
	shared->disk = disk;
	pthread_mutex_unlock(&shared->store->shared_mutex);
}

/* ---- opening ---- */

static void on_opened(void *arg, const struct disk_opened *result)
{
	struct shared_disk *shared = arg;
	struct shared_user *user = shared->waiting;

	shared->waiting = NULL;
	/* Settled before the first is told: it may close at once, or try again where it could not be opened. */
	if (result->disk) {
		for (const struct shared_user *each = user; each; each = each->next)
			shared->users++;
		set_disk(shared, result->disk);
		shared->state = SHARED_OPEN;
	} else {
		drop(shared);
	}
	for (struct shared_user *next; user; user = next) {
		next = user->next;
		user->opened(user->arg, result);
		free(user);
	}
}

static void open_now(struct shared_disk *shared)
{
	shared->state = SHARED_OPENING;
	shared->backend->open(shared->store, shared->loop, &shared->volume, &shared->version, &shared->how, on_opened,
			      shared);
}

/* It is open: said in a later turn, as every answer. */
static void join(struct loop_msg *msg)
{
	struct shared_user *user = container_of(msg, struct shared_user, msg);
	struct disk_opened result = { .disk = user->shared->disk };

	user->opened(user->arg, &result);
	free(user);
}

void shared_open(struct store *store, const struct store_backend *backend, struct loop *loop,
		 const struct volume *volume, const struct image_version *version, const struct store_open *how,
		 void (*opened)(void *arg, const struct disk_opened *result), void *arg)
{
	struct shared_disk *shared = find(store, loop, version->id);
	struct shared_user *user = calloc(1, sizeof(*user));

	if (!user) {
		disk_opened_without_memory(opened, arg);
		return;
	}
	*user = (struct shared_user){ .opened = opened, .arg = arg, .shared = shared };
	if (shared && shared->state == SHARED_OPEN) {
		shared->users++;
		user->msg.run = join;
		loop_post(loop, &user->msg);
		return;
	}
	if (shared) {
		user->next = shared->waiting;
		shared->waiting = user;
		return;
	}
	shared = calloc(1, sizeof(*shared));
	if (!shared) {
		free(user);
		disk_opened_without_memory(opened, arg);
		return;
	}
	*shared = (struct shared_disk){
		.store = store,
		.backend = backend,
		.loop = loop,
		.volume = *volume,
		.version = *version,
		.how = { .env = how->env },
		.waiting = user,
	};
	add(shared);
	open_now(shared);
}

/* ---- closing ---- */

static void on_closed(void *arg, int err)
{
	struct shared_disk *shared = arg;
	void (*closed)(void *closed_arg, int closed_err) = shared->closed;
	void *closed_arg = shared->closed_arg;

	if (shared->waiting)
		open_now(shared);
	else
		drop(shared);
	closed(closed_arg, err);
}

struct leaving {
	struct loop_msg msg;
	void (*closed)(void *arg, int err);
	void *arg;
};

static void left(struct loop_msg *msg)
{
	struct leaving *leaving = container_of(msg, struct leaving, msg);

	leaving->closed(leaving->arg, 0);
	free(leaving);
}

bool shared_close(struct store *store, struct disk *disk, void (*closed)(void *arg, int err), void *arg)
{
	struct shared_disk *shared = find_disk(store, disk);
	struct leaving *leaving;

	if (!shared)
		return false;
	assert(shared->state == SHARED_OPEN && shared->users);
	if (--shared->users == 0) {
		shared->state = SHARED_CLOSING;
		set_disk(shared, NULL);
		shared->closed = closed;
		shared->closed_arg = arg;
		disk_close(disk, on_closed, shared);
		return true;
	}
	leaving = alloc_or_abort(sizeof(*leaving));
	*leaving = (struct leaving){ .msg.run = left, .closed = closed, .arg = arg };
	loop_post(shared->loop, &leaving->msg);
	return true;
}
