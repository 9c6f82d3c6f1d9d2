// SPDX-License-Identifier: GPL-2.0-or-later
/* Which volumes are open: see disks.h. */
#include "disks.h"

#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

enum use_state { DISK_CLOSED, DISK_OPENING, DISK_OPEN, DISK_CLOSING };

struct disk_use {
	struct id_entry entry; /* by the volume's id */
	enum use_state state;
	bool claimed, told;
	uint64_t object;
};

void disks_init(struct disks *disks)
{
	*disks = (struct disks){ 0 };
	pthread_mutex_init(&disks->mutex, NULL);
	cond_init_monotonic(&disks->closed);
}

void disks_fini(struct disks *disks)
{
	id_table_fini(&disks->uses);
	pthread_cond_destroy(&disks->closed);
	pthread_mutex_destroy(&disks->mutex);
}

/* With the mutex taken. NULL: there is none. */
static struct disk_use *disks_lock_find(struct disks *disks, int64_t volume_id)
{
	pthread_mutex_lock(&disks->mutex);
	return id_table_find(&disks->uses, volume_id);
}

/* The same. NULL: no memory. */
static struct disk_use *disks_lock_get(struct disks *disks, int64_t volume_id)
{
	pthread_mutex_lock(&disks->mutex);
	return id_table_get(&disks->uses, volume_id, sizeof(struct disk_use));
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

void disks_set_object(struct disks *disks, int64_t volume_id, uint64_t identity)
{
	struct disk_use *use = disks_lock_find(disks, volume_id);

	assert(use && use->state == DISK_OPENING);
	use->object = identity;
	use->told = false;
	pthread_mutex_unlock(&disks->mutex);
}

bool disks_open_object(struct disks *disks, int64_t volume_id, uint64_t *identity)
{
	const struct disk_use *use = disks_lock_find(disks, volume_id);
	bool open = use && use->state == DISK_OPEN && !use->told;

	if (open)
		*identity = use->object;
	pthread_mutex_unlock(&disks->mutex);
	return open;
}

void disks_told(struct disks *disks, int64_t volume_id)
{
	struct disk_use *use = disks_lock_find(disks, volume_id);

	if (use)
		use->told = true;
	pthread_mutex_unlock(&disks->mutex);
}

bool disks_is_closed(struct disks *disks, int64_t volume_id)
{
	struct disk_use *use = disks_lock_find(disks, volume_id);
	bool closed;

	closed = !use || use->state == DISK_CLOSED;
	pthread_mutex_unlock(&disks->mutex);
	return closed;
}

bool disks_is_opening(struct disks *disks, int64_t volume_id)
{
	struct disk_use *use = disks_lock_find(disks, volume_id);
	bool opening = use && use->state == DISK_OPENING;

	pthread_mutex_unlock(&disks->mutex);
	return opening;
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
	while ((use = id_table_find(&disks->uses, volume_id)) && use->state != DISK_CLOSED && !err)
		err = -pthread_cond_timedwait(&disks->closed, &disks->mutex, &until);
	pthread_mutex_unlock(&disks->mutex);
	return err;
}

void disks_forget(struct disks *disks, int64_t volume_id)
{
	const struct disk_use *use = disks_lock_find(disks, volume_id);

	assert(!use || (use->claimed && use->state == DISK_CLOSED));
	id_table_remove(&disks->uses, volume_id);
	pthread_mutex_unlock(&disks->mutex);
}
