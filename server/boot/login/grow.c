// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An open volume grows. Only a closed one is changed, so it is closed for that moment:
 *
 *     read (a job) ---> close (loop) ---> grow (worker) ---> open (loop) ---> grown
 *
 * It counts as open throughout: nobody else may have it. Whatever becomes of growing, it is opened again.
 */
#include "boot/internal.h"

#include "base/log.h"
#include "base/pool.h"
#include "base/util.h"
#include "disk/disk.h"
#include "inventory/effective.h"
#include "volume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct grow {
	struct target_volume volume; /* with the user of the disk that is closed, for the one that is opened */
	struct disk *disk;
	uint64_t size_bytes;
	void (*grown)(void *arg, struct disk *disk, int err, const char *reason);
	void *arg;
	struct machine machine;
	struct policy policy;
	int err;
	struct reason reason;
	struct inventory_job inventory_job;
	struct pool_job pool_job;
};

static void grow_end(struct grow *g, struct disk *disk)
{
	struct boot *boot = g->volume.boot;

	g->grown(g->arg, disk, g->err, g->reason.text);
	free(g);
	in_flight_leave(&boot->in_flight);
}

static void grow_opened(void *arg, const struct disk_opened *result)
{
	struct grow *g = arg;
	struct boot *boot = g->volume.boot;

	if (!result->disk) {
		g->err = result->err;
		reason_set(&g->reason, "%s", result->reason.text);
		boot_note(boot, "error", "disk-unusable", "server", g->volume.machine_id, "after growing: %s",
			  result->reason.text);
		disks_close_begin(&boot->disks, g->volume.volume.id);
		disks_close_end(&boot->disks, g->volume.volume.id);
		boot_volume_user_free(g->volume.user);
	}
	grow_end(g, result->disk);
}

static void grow_worked(struct pool_job *job)
{
	struct grow *g = container_of(job, struct grow, pool_job);
	struct target_volume *v = &g->volume;
	struct store_open how = boot_volume_how(v);

	store_open_volume(v->boot->store, v->loop, &v->volume, v->version.id ? &v->version : NULL, &how, grow_opened,
			  g);
}

/* On a worker. */
static void grow_work(struct pool_job *job)
{
	struct grow *g = container_of(job, struct grow, pool_job);

	g->err = store_grow_volume(g->volume.boot->store, &g->volume.volume, g->size_bytes, &g->reason);
	boot_volume_count_layers(&g->volume);
}

static void grow_closed(void *arg, int err)
{
	struct grow *g = arg;

	g->pool_job = (struct pool_job){ .work = grow_work, .done = grow_worked, .loop = g->volume.loop };
	if (err) {
		/* It says so itself when it is opened: nothing is written to it any more. */
		g->err = err;
		reason_set(&g->reason, "the disk of %s could not be flushed: %s", g->machine.name, strerror(-err));
		grow_worked(&g->pool_job);
		return;
	}
	pool_submit(g->volume.boot->pool, POOL_SLOW, &g->pool_job);
}

static int grow_read_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct grow *g = container_of(job, struct grow, inventory_job);
	struct target_volume *v = &g->volume;
	int err = machine_by_id(tx, v->machine_id, &g->machine);

	if (!err)
		err = volume_by_id(tx, v->volume.id, &v->volume);
	if (!err && v->volume.version_id)
		err = version_by_id(tx, v->volume.version_id, &v->version);
	return err ? err : policy_get(tx, &g->policy);
}

static void grow_read(struct inventory_job *job, int err)
{
	struct grow *g = container_of(job, struct grow, inventory_job);
	struct target_volume *v = &g->volume;

	if (err) {
		g->err = err;
		reason_set(&g->reason, "the inventory cannot be read: %s", strerror(-err));
		grow_end(g, g->disk);
		return;
	}
	v->ephemeral = effective_mode(&g->machine, &g->policy) == MODE_EPHEMERAL && v->volume.kind == VOLUME_SYSTEM;
	v->quota_bytes = effective_quota(&g->machine, &v->volume, &g->policy);
	store_close_volume(v->boot->store, g->disk, grow_closed, g);
}

void boot_target_grow(struct boot *boot, int64_t machine_id, const struct boot_lun *lun, uint64_t size_bytes,
		      struct loop *loop, void (*grown)(void *arg, struct disk *disk, int err, const char *reason),
		      void *arg)
{
	struct grow *g = alloc_or_abort(sizeof(*g));

	*g = (struct grow){
		.volume = { .boot = boot,
			    .loop = loop,
			    .machine_id = machine_id,
			    .lun = lun->number,
			    .volume = { .id = lun->volume_id },
			    .user = boot_volume_user_of(lun->disk) },
		.disk = lun->disk,
		.size_bytes = size_bytes,
		.grown = grown,
		.arg = arg,
		.inventory_job = { .run = grow_read_run, .done = grow_read, .loop = loop },
	};
	in_flight_enter(&boot->in_flight);
	inventory_read(boot->inventory, &g->inventory_job);
}
