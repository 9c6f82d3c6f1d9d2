// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an ephemeral boot leaves: see left_disk.h. Its disk was never synced, so a loss of power may have damaged it; it is
 * marked as such until somebody has synced it, and a start after a loss of power lets those go that are still marked
 * (store/reclaim.c).
 */
#include "left_disk.h"

#include "base/log.h"
#include "base/pool.h"
#include "base/util.h"
#include "inventory/snapshot.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEFT_LABELS = 100, LEFT_BOOTS_READ = 8 };

/* ---- kept ---- */

struct before {
	uint64_t number; /* that begins */
	uint64_t before; /* that had the disk last; 0: none */
};

static int take_before(void *arg, const struct machine_boot *boot)
{
	struct before *before = arg;

	if (boot->number == before->number || boot->state == MACHINE_BOOT_PENDING)
		return 0;
	before->before = boot->number;
	return 1;
}

/* "of-boot-17"; a person may have taken one of that name. */
static int left_insert(struct inventory_tx *tx, struct snapshot *left)
{
	int err = -EEXIST;

	for (unsigned i = 1; i <= LEFT_LABELS && err == -EEXIST; i++) {
		snprintf(left->label, sizeof(left->label), i == 1 ? "of-boot-%llu" : "of-boot-%llu-%u",
			 (unsigned long long)left->left_by, i);
		err = snapshot_insert(tx, left);
	}
	return err;
}

int left_disk_keep(struct boot *boot, struct inventory_tx *tx, const struct machine *machine, uint64_t number,
		   struct snapshot *left)
{
	const struct volume *system = &machine->system;
	struct before before = { .number = number };
	struct volume_info info;
	struct policy policy;
	int err = policy_get(tx, &policy);

	*left = (struct snapshot){ .volume_id = system->id,
				   .parent_id = system->snapshot_id,
				   .version_id = system->version_id,
				   .unsynced = true };
	if (err || !policy.keep_ephemeral || system->fresh || !system->object[0])
		return err;
	/* One that was in use when the server died, and can be opened by nobody, goes as it always did. */
	if (store_volume_info(boot->store, system, NULL, &info) || !info.clean)
		return 0;
	err = machine_boot_each(tx, machine->id, LEFT_BOOTS_READ, take_before, &before);
	if (err < 0 || !before.before)
		return err < 0 ? err : 0;
	memcpy(left->object, system->object, sizeof(left->object));
	left->size_bytes = info.virtual_bytes;
	left->left_by = before.before;
	err = left_insert(tx, left);
	if (err == -EEXIST)
		return 0;
	return err ? err : snapshot_keep_left(tx, system->id, policy.keep_ephemeral);
}

/* ---- durable ---- */

struct left_settle {
	struct pool_job job;
	struct boot *boot;
	struct volume layer;
	int64_t id;
};

static int settle_write(struct inventory_tx *tx, void *arg)
{
	const struct left_settle *settle = arg;

	return snapshot_set_synced(tx, settle->id);
}

/* The sync may take long, and machines may be at their disks; but nobody waits for this. */
static void settle_one(struct left_settle *settle)
{
	int err = store_sync_volume(settle->boot->store, &settle->layer);

	if (!err)
		err = inventory_write_call(settle->boot->inventory, settle_write, settle);
	if (err && err != -ENOENT)
		log_warning("%s, the disk that a boot left, is not durable yet: %s", settle->layer.object,
			    strerror(-err));
}

static void settle_work(struct pool_job *job)
{
	struct left_settle *settle = container_of(job, struct left_settle, job);

	/* First those that went: room may be short. */
	store_delete_given_up(settle->boot->store);
	settle_one(settle);
}

static void settle_done(struct pool_job *job)
{
	struct left_settle *settle = container_of(job, struct left_settle, job);
	struct boot *boot = settle->boot;

	free(settle);
	in_flight_leave(&boot->in_flight);
}

void left_disk_settle(struct boot *boot, const struct volume *system, const struct snapshot *left)
{
	struct left_settle *settle = left->id ? calloc(1, sizeof(*settle)) : NULL;

	if (!settle)
		return; /* the chore does it */
	*settle = (struct left_settle){ .boot = boot, .layer = *system, .id = left->id };
	memcpy(settle->layer.object, left->object, sizeof(settle->layer.object));
	settle->job = (struct pool_job){ .work = settle_work, .done = settle_done };
	in_flight_enter(&boot->in_flight);
	pool_submit(boot->pool, POOL_SLOW, &settle->job);
}

struct left_list {
	struct snapshot *list;
	unsigned count;
	struct left_settle *settle; /* of the one in turn */
	int64_t volume_id;
};

static int take_left(void *arg, const struct snapshot *snapshot)
{
	struct left_list *left = arg;

	return snapshot->unsynced && !snapshot->removed ?
		       array_append(&left->list, &left->count, snapshot, sizeof(*snapshot)) :
		       0;
}

static int read_left(struct inventory_tx *tx, void *arg)
{
	return snapshot_each(tx, 0, take_left, arg);
}

static int read_volume(struct inventory_tx *tx, void *arg)
{
	struct left_list *left = arg;

	return volume_by_id(tx, left->volume_id, &left->settle->layer);
}

void boot_settle_left_disks(struct boot *boot)
{
	struct left_settle settle = { .boot = boot };
	struct left_list left = { .settle = &settle };

	if (inventory_read_call(boot->inventory, read_left, &left))
		left.count = 0;
	for (unsigned i = 0; i < left.count && !atomic_load(&boot->stopping); i++) {
		left.volume_id = left.list[i].volume_id;
		settle.id = left.list[i].id;
		if (inventory_read_call(boot->inventory, read_volume, &left))
			continue;
		memcpy(settle.layer.object, left.list[i].object, sizeof(settle.layer.object));
		settle_one(&settle);
	}
	free(left.list);
}
