// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A machine's disk grows: size=VALUE of people (manage_grow, on HTTP's threads), and, where the disk is open, what the
 * target's loop then asks for (boot_target_grow). Only a closed file is changed, so an open disk is closed for that
 * moment:
 *
 *     look (worker) ---> close (loop) ---> grow (worker) ---> open (loop) ---> grown
 *
 * The slot stays "open" throughout: nobody else may have the file. Whatever becomes of growing, the disk is opened
 * again.
 */
#include "manage.h"

#include "base/log.h"
#include "base/pool.h"
#include "base/util.h"
#include "disk/disk.h"
#include "running.h"
#include "store/store.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROW_UNIT_BYTES = 4096 };

struct grow {
	struct boot *boot;
	struct loop *loop;
	int64_t machine_id;
	struct disk *disk;
	uint64_t size_bytes;
	void (*grown)(void *arg, struct disk *disk, int err, const char *reason);
	void *arg;
	/* of the disk that is closed, for the one that is opened */
	void (*on_event)(void *arg, enum disk_event event, const char *text);
	void *event_arg;
	struct machine machine;
	struct policy policy;
	char path[PATH_MAX], reason[REASON_TEXT];
	int err;
	struct inventory_job inventory_job;
	struct pool_job pool_job;
};

static void grow_end(struct grow *g, struct disk *disk)
{
	struct boot *boot = g->boot;

	g->grown(g->arg, disk, g->err, g->reason);
	free(g);
	boot_leave(boot);
}

static void grow_opened(void *arg, const struct disk_opened *result)
{
	struct grow *g = arg;

	if (!result->disk) {
		g->err = result->err;
		snprintf(g->reason, sizeof(g->reason), "%s", result->reason);
		boot_note(g->boot, "error", "disk-unusable", "server", g->machine_id, "after growing: %s",
			  result->reason);
		slots_close_begin(&g->boot->slots, g->machine_id);
		slots_close_end(&g->boot->slots, g->machine_id);
		free(g->event_arg);
	}
	grow_end(g, result->disk);
}

static void grow_worked(struct pool_job *job)
{
	struct grow *g = container_of(job, struct grow, pool_job);
	struct disk_open how = { .path = g->path, .on_event = g->on_event, .event_arg = g->event_arg };

	how.ephemeral = g->machine.mode == MODE_EPHEMERAL;
	how.quota_bytes = quota_of(&g->machine, &g->policy);
	disk_open_file(g->boot->disk_env, g->loop, "qcow2", &how, grow_opened, g);
}

/* On a worker. */
static void grow_work(struct pool_job *job)
{
	struct grow *g = container_of(job, struct grow, pool_job);

	g->err = store_grow_child(g->boot->store, g->machine.child, g->size_bytes, g->reason, sizeof(g->reason));
}

static void grow_closed(void *arg, int err)
{
	struct grow *g = arg;

	g->pool_job = (struct pool_job){ .work = grow_work, .done = grow_worked, .loop = g->loop };
	if (err) {
		/* It says so itself when it is opened: nothing is written to it any more. */
		g->err = err;
		snprintf(g->reason, sizeof(g->reason), "the disk of %s could not be flushed: %s", g->machine.name,
			 strerror(-err));
		grow_worked(&g->pool_job);
		return;
	}
	pool_submit(g->boot->pool, POOL_SLOW, &g->pool_job);
}

static int grow_look_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct grow *g = container_of(job, struct grow, inventory_job);

	int err = machine_by_id(tx, g->machine_id, &g->machine);

	return err ? err : policy_get(tx, &g->policy);
}

static void grow_looked(struct inventory_job *job, int err)
{
	struct grow *g = container_of(job, struct grow, inventory_job);

	if (err) {
		g->err = err;
		snprintf(g->reason, sizeof(g->reason), "the inventory cannot be read: %s", strerror(-err));
		grow_end(g, g->disk);
		return;
	}
	store_child_path(g->boot->store, g->machine.child, g->path, sizeof(g->path));
	disk_close(g->disk, grow_closed, g);
}

void boot_target_grow(struct boot *boot, int64_t machine_id, struct disk *disk, uint64_t size_bytes, struct loop *loop,
		      void (*grown)(void *arg, struct disk *disk, int err, const char *reason), void *arg)
{
	struct grow *g = calloc(1, sizeof(*g));

	if (!g)
		abort();
	*g = (struct grow){
		.boot = boot,
		.loop = loop,
		.machine_id = machine_id,
		.disk = disk,
		.size_bytes = size_bytes,
		.grown = grown,
		.arg = arg,
		.on_event = disk->on_event,
		.event_arg = disk->event_arg,
		.inventory_job = { .run = grow_look_run, .done = grow_looked, .loop = loop },
	};
	boot_enter(boot);
	inventory_read(boot->inventory, &g->inventory_job);
}

/* ---- size=VALUE ---- */

static int grow_check(struct manage *m)
{
	struct child_info info;
	int err;

	if (!parse_size(m->value, &m->size_bytes) || !m->size_bytes || m->size_bytes % GROW_UNIT_BYTES)
		return manage_refuse(m, -EINVAL, "size: expected a multiple of 4 KiB, such as 40G");
	if (m->machine.state == MACHINE_FAILED)
		return manage_refuse(m, -EIO, "the disk of %s failed: first sanbootctl machine reset %s",
				     m->machine.name, m->machine.name);
	err = store_child_info(m->boot->store, m->machine.child, &info);
	if (err)
		return manage_refuse(m, err, "the disk of %s cannot be read", m->machine.name);
	if (m->size_bytes < info.virtual_bytes)
		return manage_refuse(m, -EINVAL,
				     "the disk of %s has %llu bytes already, and a disk only grows: nothing is changed",
				     m->machine.name, (unsigned long long)info.virtual_bytes);
	return 0;
}

/* Under the claim, which keeps it closed where it is closed. */
static int grow_claimed(struct manage *m)
{
	struct boot *boot = m->boot;
	int err = running_resize(boot, m->machine.id, m->size_bytes, m->reason, m->reason_size);

	if (err != -ENOENT)
		return err;
	if (slots_wait_closed(&boot->slots, m->machine.id, BOOT_CLOSE_MS))
		return manage_refuse(m, -EBUSY, "the disk of %s does not close: try again, and see the log",
				     m->machine.name);
	return store_grow_child(boot->store, m->machine.child, m->size_bytes, m->reason, m->reason_size);
}

int manage_grow(struct manage *m)
{
	struct slots *slots = &m->boot->slots;
	int err = grow_check(m);

	if (err)
		return err;
	if (slots_claim(slots, m->machine.id))
		return manage_refuse(m, -EBUSY, "somebody else is changing %s just now: try again", m->machine.name);
	err = grow_claimed(m);
	slots_unclaim(slots, m->machine.id);
	return err;
}
