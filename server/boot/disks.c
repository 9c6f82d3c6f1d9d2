// SPDX-License-Identifier: GPL-2.0-or-later
/* Which volumes are open: see disks.h. */
#include "disks.h"

#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum use_state { DISK_CLOSED, DISK_OPENING, DISK_OPEN, DISK_CLOSING };

struct disk_use {
	struct disk_use *next;
	int64_t volume_id;
	enum use_state state;
	bool claimed;
};

void disks_init(struct disks *disks)
{
	*disks = (struct disks){ 0 };
	pthread_mutex_init(&disks->mutex, NULL);
	cond_init_monotonic(&disks->closed);
}

void disks_fini(struct disks *disks)
{
	for (unsigned i = 0; i < DISKS_BUCKETS; i++) {
		for (struct disk_use *use = disks->buckets[i], *next; use; use = next) {
			next = use->next;
			free(use);
		}
	}
	pthread_cond_destroy(&disks->closed);
	pthread_mutex_destroy(&disks->mutex);
}

/* Under the mutex. NULL: there is none. */
static struct disk_use *disks_find(struct disks *disks, int64_t volume_id)
{
	struct disk_use *use = disks->buckets[(uint64_t)volume_id % DISKS_BUCKETS];

	while (use && use->volume_id != volume_id)
		use = use->next;
	return use;
}

/* Under the mutex. NULL: no memory. */
static struct disk_use *disks_get(struct disks *disks, int64_t volume_id)
{
	struct disk_use **bucket = &disks->buckets[(uint64_t)volume_id % DISKS_BUCKETS];
	struct disk_use *use = disks_find(disks, volume_id);

	if (use)
		return use;
	use = calloc(1, sizeof(*use));
	if (!use)
		return NULL;
	use->volume_id = volume_id;
	use->next = *bucket;
	*bucket = use;
	return use;
}

/* With the mutex taken. */
static struct disk_use *disks_lock_find(struct disks *disks, int64_t volume_id)
{
	pthread_mutex_lock(&disks->mutex);
	return disks_find(disks, volume_id);
}

static struct disk_use *disks_lock_get(struct disks *disks, int64_t volume_id)
{
	pthread_mutex_lock(&disks->mutex);
	return disks_get(disks, volume_id);
}

int disks_open_begin(struct disks *disks, int64_t volume_id)
{
	struct disk_use *use = disks_lock_get(disks, volume_id);
	int err = 0;

	if (!use)
		err = -ENOMEM;
	else if (use->claimed || use->state != DISK_CLOSED)
		err = -EBUSY;
	else
		use->state = DISK_OPENING;
	pthread_mutex_unlock(&disks->mutex);
	return err;
}

static void disks_move(struct disks *disks, int64_t volume_id, enum use_state from, enum use_state to)
{
	struct disk_use *use = disks_lock_find(disks, volume_id);

	assert(use && use->state == from);
	use->state = to;
	if (to == DISK_CLOSED)
		pthread_cond_broadcast(&disks->closed);
	pthread_mutex_unlock(&disks->mutex);
}

void disks_open_end(struct disks *disks, int64_t volume_id, bool open)
{
	disks_move(disks, volume_id, DISK_OPENING, open ? DISK_OPEN : DISK_CLOSED);
}

void disks_close_begin(struct disks *disks, int64_t volume_id)
{
	disks_move(disks, volume_id, DISK_OPEN, DISK_CLOSING);
}

void disks_close_end(struct disks *disks, int64_t volume_id)
{
	disks_move(disks, volume_id, DISK_CLOSING, DISK_CLOSED);
}

bool disks_is_closed(struct disks *disks, int64_t volume_id)
{
	struct disk_use *use = disks_lock_find(disks, volume_id);
	bool closed;

	closed = !use || use->state == DISK_CLOSED;
	pthread_mutex_unlock(&disks->mutex);
	return closed;
}

int disks_claim(struct disks *disks, int64_t volume_id)
{
	struct disk_use *use = disks_lock_get(disks, volume_id);
	int err = 0;

	if (!use)
		err = -ENOMEM;
	else if (use->claimed)
		err = -EBUSY;
	else
		use->claimed = true;
	pthread_mutex_unlock(&disks->mutex);
	return err;
}

void disks_unclaim(struct disks *disks, int64_t volume_id)
{
	struct disk_use *use = disks_lock_find(disks, volume_id);

	assert(use && use->claimed);
	use->claimed = false;
	pthread_mutex_unlock(&disks->mutex);
}

bool disks_is_claimed(struct disks *disks, int64_t volume_id)
{
	struct disk_use *use = disks_lock_find(disks, volume_id);
	bool claimed;

	claimed = use && use->claimed;
	pthread_mutex_unlock(&disks->mutex);
	return claimed;
}

int disks_wait_closed(struct disks *disks, int64_t volume_id, unsigned timeout_ms)
{
	struct timespec until = time_monotonic_in(timeout_ms);
	struct disk_use *use;
	int err = 0;

	pthread_mutex_lock(&disks->mutex);
	while ((use = disks_find(disks, volume_id)) && use->state != DISK_CLOSED && !err)
		err = -pthread_cond_timedwait(&disks->closed, &disks->mutex, &until);
	pthread_mutex_unlock(&disks->mutex);
	return err;
}

void disks_forget(struct disks *disks, int64_t volume_id)
{
	pthread_mutex_lock(&disks->mutex);
	for (struct disk_use **at = &disks->buckets[(uint64_t)volume_id % DISKS_BUCKETS]; *at; at = &(*at)->next) {
		struct disk_use *use = *at;

		if (use->volume_id != volume_id)
			continue;
		assert(use->claimed && use->state == DISK_CLOSED);
		*at = use->next;
		free(use);
		break;
	}
	pthread_mutex_unlock(&disks->mutex);
}
