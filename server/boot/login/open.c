// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opening and closing the disk of a target, for iSCSI, through main: the part of a login that waits for disks.
 *
 *     boot_target_open (the target's loop): slot closed -> opening
 *       -> prepare (a worker): who may; is the golden image what was published (invariant 7); is a fresh child durable
 *       -> disk_open_file (the loop)
 *            interrupted, and not the boot that has just begun: the current boot is marked (invariant 4), the disk is
 *            closed, the login refused; otherwise: slot open, the disk is handed over
 *
 * Disk events come on the target's loop while the disk is open: struct target_disk is what they get, and lives as long
 * as the disk.
 */
#include "boot/internal.h"

#include "base/log.h"
#include "base/pool.h"
#include "base/util.h"
#include "boot/progress/warm.h"
#include "disk/boot_trace.h"
#include "disk/disk.h"
#include "store/store.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_EVENT_MS = 60000 };

struct target_disk {
	struct boot *boot;
	int64_t machine_id;
};

/* ---- a disk that fails, or fills up ---- */

struct target_failed {
	struct boot *boot;
	int64_t machine_id;
	char text[REASON_TEXT];
	struct inventory_job job;
};

static int failed_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct target_failed *failed = container_of(job, struct target_failed, job);
	struct machine machine;
	int err = machine_by_id(tx, failed->machine_id, &machine);

	if (err || machine.state == MACHINE_FAILED)
		return err;
	machine.state = MACHINE_FAILED;
	memcpy(machine.state_reason, failed->text, sizeof(machine.state_reason));
	err = machine_update(tx, &machine);
	if (!err)
		err = event_add(tx, "error", "disk-failed", "server", machine.id, machine.name,
				"its disk failed: %.400s", failed->text);
	return err;
}

static void failed_done(struct inventory_job *job, int err)
{
	struct target_failed *failed = container_of(job, struct target_failed, job);
	struct boot *boot = failed->boot;

	if (err)
		log_error("machine %lld: its disk failed (%s), and that could not be recorded: %s",
			  (long long)failed->machine_id, failed->text, strerror(-err));
	free(failed);
	boot_leave(boot);
}

static void open_mark_failed(struct boot *boot, int64_t machine_id, const char *text)
{
	struct target_failed *failed = calloc(1, sizeof(*failed));

	if (!failed)
		abort();
	failed->boot = boot;
	failed->machine_id = machine_id;
	snprintf(failed->text, sizeof(failed->text), "%s", text);
	failed->job = (struct inventory_job){ .run = failed_run, .done = failed_done };
	boot_enter(boot);
	inventory_write(boot->inventory, &failed->job);
}

static void open_on_disk_event(void *arg, enum disk_event event, const char *text)
{
	struct target_disk *target = arg;
	struct boot *boot = target->boot;

	if (event == DISK_FAILED)
		open_mark_failed(boot, target->machine_id, text);
	else if (event == DISK_NO_SPACE &&
		 slots_event_due(&boot->slots, target->machine_id, SLOT_SPACE, 1, OPEN_EVENT_MS))
		boot_note(boot, "error", "no-space", "server", target->machine_id, "%s", text);
}

/* ---- open ---- */

struct target_open {
	struct boot *boot;
	struct loop *loop;
	void (*opened)(void *arg, struct disk *disk, uint16_t login_status, const char *reason);
	void *arg;
	int64_t machine_id;
	uint64_t number;
	struct machine machine;
	struct image_version version;
	struct policy policy;
	struct target_disk *target;
	struct boot_trace *trace; /* NULL: this boot is not followed */
	struct disk *disk; /* opened, and to be closed again */
	int err;
	char reason[REASON_TEXT];
	char path[PATH_MAX];
	struct inventory_job inventory_job;
	struct pool_job pool_job;
	struct loop_msg msg;
};

static void open_finish(struct target_open *o, struct disk *disk, uint16_t status)
{
	struct boot *boot = o->boot;

	slots_open_end(&boot->slots, o->machine_id, disk != NULL);
	if (!disk) {
		log_warning("machine %s: login refused: %s", o->machine.name[0] ? o->machine.name : "?", o->reason);
		free(o->target);
	}
	boot_trace_unref(o->trace);
	o->opened(o->arg, disk, disk ? 0 : status, disk ? "" : o->reason);
	free(o);
	boot_leave(boot);
}

static int open_look(struct inventory_tx *tx, struct inventory_job *job)
{
	struct target_open *o = container_of(job, struct target_open, inventory_job);
	struct boot_record current;
	int err = machine_by_id(tx, o->machine_id, &o->machine);

	if (!err)
		err = version_by_id(tx, o->machine.version_id, &o->version);
	if (!err)
		err = policy_get(tx, &o->policy);
	if (err)
		return err;
	if (o->machine.state == MACHINE_FAILED) {
		snprintf(o->reason, sizeof(o->reason), "the disk of %s failed: %.400s", o->machine.name,
			 o->machine.state_reason);
		return -EIO;
	}
	err = boot_current(tx, o->machine_id, &current);
	if (!err && current.number == o->number && current.interrupted) {
		snprintf(o->reason, sizeof(o->reason), "boot %llu of %s was interrupted: the machine has to boot again",
			 (unsigned long long)o->number, o->machine.name);
		err = -ESTALE;
	}
	explicit_bzero(&current, sizeof(current));
	return err == -ENOENT ? 0 : err;
}

static int open_clear_fresh(struct inventory_tx *tx, struct inventory_job *job)
{
	struct target_open *o = container_of(job, struct target_open, inventory_job);
	struct machine machine;
	int err = machine_by_id(tx, o->machine_id, &machine);

	if (err || strcmp(machine.child, o->machine.child))
		return err ? err : -ESTALE;
	machine.child_fresh = false;
	return machine_update(tx, &machine);
}

/* Invariant 7: never boot from what is not what was published. */
static int open_verify(struct target_open *o)
{
	int err = store_verify_version(o->boot->store, &o->version, o->reason, sizeof(o->reason));

	if (!err)
		return 0;
	if (slots_event_due(&o->boot->slots, o->machine_id, SLOT_GOLDEN, 1, OPEN_EVENT_MS))
		boot_note(o->boot, "error", err == -ESTALE ? "golden-changed" : "golden-unusable", "server",
			  o->machine_id, "%s@%u: %s", o->version.image, o->version.number, o->reason);
	return err;
}

/* On a worker. */
static void open_prepare(struct pool_job *job)
{
	struct target_open *o = container_of(job, struct target_open, pool_job);
	struct boot *boot = o->boot;

	o->inventory_job = (struct inventory_job){ .run = open_look };
	o->err = inventory_read_wait(boot->inventory, &o->inventory_job);
	if (!o->err)
		o->err = open_verify(o);
	if (o->err || !o->machine.child_fresh)
		return;
	o->err = store_sync_child(boot->store, o->machine.child);
	if (o->err) {
		snprintf(o->reason, sizeof(o->reason), "the new disk of %s cannot be made durable: %s", o->machine.name,
			 strerror(-o->err));
		return;
	}
	o->inventory_job = (struct inventory_job){ .run = open_clear_fresh };
	o->err = inventory_write_wait(boot->inventory, &o->inventory_job);
}

static void open_closed_again(void *arg, int err)
{
	struct target_open *o = arg;

	(void)err; /* the next opening tells */
	open_finish(o, NULL, LOGIN_UNAVAILABLE);
}

static int interrupted_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct target_open *o = container_of(job, struct target_open, inventory_job);
	int err = boot_set_interrupted(tx, o->machine_id, o->number);

	if (!err)
		err = event_add(
			tx, "warning", "boot-interrupted", "server", o->machine_id, o->machine.name,
			"the server lost power: what boot %llu had written last is lost; the machine has to boot again",
			(unsigned long long)o->number);
	return err == -ENOENT || err == -ESTALE ? 0 : err;
}

/* Recorded before the disk is closed: closing makes it clean, and then nothing else would tell. */
static void interrupted_done(struct inventory_job *job, int err)
{
	struct target_open *o = container_of(job, struct target_open, inventory_job);

	if (err)
		log_error("machine %s: its boot was interrupted, and that could not be recorded: %s", o->machine.name,
			  strerror(-err));
	disk_close(o->disk, open_closed_again, o);
}

static void open_interrupted(struct target_open *o)
{
	snprintf(o->reason, sizeof(o->reason),
		 "boot %llu of %s was interrupted by a loss of power of the server: it has to boot again",
		 (unsigned long long)o->number, o->machine.name);
	o->inventory_job = (struct inventory_job){ .run = interrupted_run, .done = interrupted_done, .loop = o->loop };
	inventory_write(o->boot->inventory, &o->inventory_job);
}

static void open_opened(void *arg, const struct disk_opened *result)
{
	struct target_open *o = arg;
	bool begun = slots_take_begun(&o->boot->slots, o->machine_id, o->number);

	if (!result->disk) {
		snprintf(o->reason, sizeof(o->reason), "%s", result->reason);
		if (slots_event_due(&o->boot->slots, o->machine_id, SLOT_REFUSED, 6, OPEN_EVENT_MS))
			boot_note(o->boot, "error", "disk-unusable", "server", o->machine_id, "%s", result->reason);
		open_finish(o, NULL, LOGIN_UNAVAILABLE);
		return;
	}
	o->disk = result->disk;
	/* What is lost was written by an earlier boot: the one that has just begun has written nothing yet. */
	if (result->interrupted && !begun && o->machine.mode != MODE_EPHEMERAL)
		open_interrupted(o);
	else
		open_finish(o, result->disk, 0);
}

static void open_prepared(struct pool_job *job)
{
	struct target_open *o = container_of(job, struct target_open, pool_job);
	struct disk_open how = { .path = o->path, .on_event = open_on_disk_event };

	if (o->err) {
		if (!o->reason[0])
			snprintf(o->reason, sizeof(o->reason), "the disk cannot be opened: %s", strerror(-o->err));
		open_finish(o, NULL, LOGIN_UNAVAILABLE);
		return;
	}
	how.ephemeral = o->machine.mode == MODE_EPHEMERAL;
	how.quota_bytes = quota_of(&o->machine, &o->policy);
	how.event_arg = o->target;
	o->trace = warm_trace(o->boot->warm, o->machine_id, o->number, o->version.id);
	how.trace = o->trace;
	store_child_path(o->boot->store, o->machine.child, o->path, sizeof(o->path));
	disk_open_file(o->boot->disk_env, o->loop, "qcow2", &how, open_opened, o);
}

/* The slot would not have it; said in a later turn, as every answer. */
static void open_refused(struct loop_msg *msg)
{
	struct target_open *o = container_of(msg, struct target_open, msg);
	struct boot *boot = o->boot;

	o->opened(o->arg, NULL, LOGIN_UNAVAILABLE, o->reason);
	free(o->target);
	free(o);
	boot_leave(boot);
}

void boot_target_open(struct boot *boot, int64_t machine_id, uint64_t number, struct loop *loop,
		      void (*opened)(void *arg, struct disk *disk, uint16_t login_status, const char *reason),
		      void *arg)
{
	struct target_open *o = calloc(1, sizeof(*o));
	int err;

	if (!o)
		abort();
	o->target = calloc(1, sizeof(*o->target));
	if (!o->target)
		abort();
	*o->target = (struct target_disk){ .boot = boot, .machine_id = machine_id };
	o->boot = boot;
	o->loop = loop;
	o->opened = opened;
	o->arg = arg;
	o->machine_id = machine_id;
	o->number = number;
	boot_enter(boot);
	err = slots_open_begin(&boot->slots, machine_id);
	if (err) {
		snprintf(o->reason, sizeof(o->reason), "%s",
			 err == -EBUSY ? "the disk is being changed or closed just now" : "out of memory");
		o->msg.run = open_refused;
		loop_post(loop, &o->msg);
		return;
	}
	o->pool_job = (struct pool_job){ .work = open_prepare, .done = open_prepared, .loop = loop };
	pool_submit(boot->pool, POOL_SLOW, &o->pool_job);
}

/* ---- close ---- */

struct target_close {
	struct boot *boot;
	int64_t machine_id;
	struct target_disk *target;
	void (*closed)(void *arg);
	void *arg;
};

static void close_closed(void *arg, int err)
{
	struct target_close *c = arg;
	struct boot *boot = c->boot;

	if (err)
		log_error("machine %lld: closing its disk: %s", (long long)c->machine_id, strerror(-err));
	free(c->target);
	slots_close_end(&boot->slots, c->machine_id);
	c->closed(c->arg);
	free(c);
	boot_leave(boot);
}

void boot_target_close(struct boot *boot, int64_t machine_id, struct disk *disk, struct loop *loop,
		       void (*closed)(void *arg), void *arg)
{
	struct target_close *c = calloc(1, sizeof(*c));

	(void)loop;
	if (!c)
		abort();
	*c = (struct target_close){
		.boot = boot, .machine_id = machine_id, .target = disk->event_arg, .closed = closed, .arg = arg
	};
	boot_enter(boot);
	slots_close_begin(&boot->slots, machine_id);
	disk_close(disk, close_closed, c);
}
