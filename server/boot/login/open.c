// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opening and closing what a target has, for iSCSI, through main: the part of a login that waits for disks.
 *
 *     boot_target_open (the target's loop)
 *       -> prepare (a worker): which volumes; each is held; who may; each is made ready (volume.h)
 *       -> each is opened (the loop), one after the other
 *            a disk that lost writes with the server's power, and not to the boot that has just begun: the current boot
 *            is marked (invariant 4), all are closed, the login is refused
 *
 * The system volume has to be there. Another one that cannot be opened is left out, and an event says why: a machine
 * without its data disk can still be asked what is wrong with it.
 */
#include "boot/internal.h"

#include "base/log.h"
#include "base/pool.h"
#include "base/util.h"
#include "boot/progress/warm.h"
#include "disk/read_trace.h"
#include "disk/disk.h"
#include "inventory/effective.h"
#include "volume.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_EVENT_MS = 60000, ONLY_ALL = -1 };

struct target_open {
	struct boot *boot;
	struct loop *loop;
	void (*opened)(void *arg, const struct boot_lun *luns, unsigned count, uint16_t login_status,
		       const char *reason);
	void *arg;
	int64_t machine_id;
	uint64_t number; /* of the boot */
	int only;	 /* a LUN that is attached while the others are open; ONLY_ALL */
	bool begun;	 /* the boot has just begun: nothing of it can be lost */
	struct machine machine;
	struct policy policy;
	struct target_volume *volumes;
	unsigned count, next; /* next: to be opened */
	unsigned closing;
	int err;
	struct reason reason;
	struct inventory_job job;
	struct pool_job pool_job;
};

static const char *machine_name(const struct target_open *o)
{
	return o->machine.name[0] ? o->machine.name : "?";
}

/* Tells, with the LUNs that are open, or (count 0) why there are none. */
static void finish(struct target_open *o, const struct boot_lun *luns, unsigned count)
{
	struct boot *boot = o->boot;

	if (!count)
		log_warning("machine %s: %s: %s", machine_name(o),
			    o->only == ONLY_ALL ? "login refused" : "not attached", o->reason.text);
	for (unsigned i = 0; i < o->count; i++) {
		boot_volume_unhold(&o->volumes[i]);
		read_trace_unref(o->volumes[i].trace);
	}
	o->opened(o->arg, luns, count, count ? 0 : LOGIN_UNAVAILABLE, count ? "" : o->reason.text);
	free(o->volumes);
	free(o);
	in_flight_leave(&boot->in_flight);
}

/* ---- which volumes, and are they all right (on a worker) ---- */

static int take_volume(void *arg, unsigned lun, const struct volume *volume)
{
	struct target_open *o = arg;
	struct target_volume *volumes;

	if (o->only != ONLY_ALL && (unsigned)o->only != lun)
		return 0;
	volumes = reallocarray(o->volumes, o->count + 1, sizeof(*volumes));
	if (!volumes)
		return -ENOMEM;
	o->volumes = volumes;
	volumes[o->count++] = (struct target_volume){ .boot = o->boot,
						      .loop = o->loop,
						      .machine_id = o->machine_id,
						      .lun = lun,
						      .volume = *volume,
						      .number = o->number,
						      .owner = o };
	return 0;
}

static int read_ids(struct inventory_tx *tx, void *arg)
{
	struct target_open *o = arg;

	return attachment_each(tx, o->machine_id, take_volume, o);
}

/* One of them; -ENOENT: it has been detached, or removed, before it was held. */
static int read_row(struct inventory_tx *tx, struct target_open *o, struct target_volume *v)
{
	unsigned lun;
	int err = attachment_lun(tx, o->machine_id, v->volume.id, &lun);

	if (!err && lun != v->lun)
		err = -ENOENT;
	if (!err)
		err = volume_by_id(tx, v->volume.id, &v->volume);
	if (err)
		return err;
	v->ephemeral = effective_mode(&o->machine, &o->policy) == MODE_EPHEMERAL && v->volume.kind == VOLUME_SYSTEM;
	v->quota_bytes = effective_quota(&o->machine, &v->volume, &o->policy);
	err = boot_volume_read_layer(tx, &v->volume, v->layer);
	if (err)
		return err;
	return v->volume.version_id ? version_by_id(tx, v->volume.version_id, &v->version) : 0;
}

/* Under the hold: what they are now. */
static int read_rows(struct inventory_tx *tx, void *arg)
{
	struct target_open *o = arg;
	int err = machine_by_id(tx, o->machine_id, &o->machine);

	if (!err)
		err = policy_get(tx, &o->policy);
	for (unsigned i = 0; i < o->count && !err; i++) {
		struct target_volume *v = &o->volumes[i];

		err = read_row(tx, o, v);
		if (err != -ENOENT)
			continue;
		reason_set(&v->reason, "it is not attached any more");
		v->err = err;
		err = 0;
	}
	return err;
}

static int check_boot(struct inventory_tx *tx, void *arg)
{
	struct target_open *o = arg;
	struct machine_boot current;
	int err = machine_boot_current(tx, o->machine_id, &current);

	if (!err && current.number == o->number && current.interrupted)
		err = reason_refuse(&o->reason, -ESTALE,
				    "boot %llu of %s was interrupted: the machine has to boot again",
				    (unsigned long long)o->number, o->machine.name);
	explicit_bzero(&current, sizeof(current));
	return err == -ENOENT ? 0 : err;
}

/* The login fails with it. */
static bool is_vital(const struct target_open *o, const struct target_volume *v)
{
	return v->volume.kind == VOLUME_SYSTEM || o->only != ONLY_ALL;
}

static void left_out(struct target_open *o, const struct target_volume *v)
{
	const char *called = v->volume.name[0] ? v->volume.name : volume_kind_name(v->volume.kind);

	log_warning("machine %s: LUN %u (volume %s) is left out: %s", machine_name(o), v->lun, called, v->reason.text);
	if (presence_event_due(&o->boot->presence, o->machine_id, PRESENCE_VOLUME, 4, OPEN_EVENT_MS))
		boot_note(o->boot, "error", "volume-left-out", "server", o->machine_id, "LUN %u, volume %s: %.380s",
			  v->lun, called, v->reason.text);
}

/* Those that cannot be opened go, or the login does: o->err. */
static void drop_failed(struct target_open *o)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < o->count; i++) {
		struct target_volume *v = &o->volumes[i];

		if (!v->err || is_vital(o, v)) {
			if (v->err && !o->err) {
				o->err = v->err;
				reason_set(&o->reason, "%s", v->reason.text);
			}
			o->volumes[kept++] = *v;
			continue;
		}
		left_out(o, v);
		boot_volume_unhold(v);
	}
	o->count = kept;
}

static void prepare(struct pool_job *job)
{
	struct target_open *o = container_of(job, struct target_open, pool_job);

	o->err = inventory_read_call(o->boot->inventory, read_ids, o);
	if (!o->err && (!o->count || (o->only == ONLY_ALL && o->volumes[0].volume.kind != VOLUME_SYSTEM)))
		o->err = -ENOENT;
	if (o->err)
		return;
	for (unsigned i = 0; i < o->count; i++)
		boot_volume_hold(&o->volumes[i]);
	drop_failed(o);
	if (!o->err)
		o->err = inventory_read_call(o->boot->inventory, read_rows, o);
	if (!o->err)
		drop_failed(o);
	if (!o->err)
		o->err = inventory_read_call(o->boot->inventory, check_boot, o);
	for (unsigned i = 0; i < o->count && !o->err; i++)
		boot_volume_prepare(&o->volumes[i]);
	if (!o->err)
		drop_failed(o);
}

/* ---- interrupted: some disk lost what this boot had written ---- */

static void interrupted_closed(void *arg)
{
	struct target_open *o = arg;

	if (--o->closing == 0)
		finish(o, NULL, 0);
}

static int interrupted_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct target_open *o = container_of(job, struct target_open, job);
	int err = machine_boot_set_interrupted(tx, o->machine_id, o->number);

	if (!err)
		err = event_add(
			tx, "warning", "boot-interrupted", "server", o->machine_id, o->machine.name,
			"the server lost power: what boot %llu had written last is lost; the machine has to boot again",
			(unsigned long long)o->number);
	return err == -ENOENT || err == -ESTALE ? 0 : err;
}

static void close_all(struct target_open *o)
{
	o->closing = 1; /* ours, until all are asked */
	for (unsigned i = 0; i < o->count; i++) {
		const struct target_volume *v = &o->volumes[i];
		struct boot_lun lun = { .volume_id = v->volume.id, .disk = v->disk };

		if (!v->disk)
			continue;
		o->closing++;
		boot_volume_close(o->boot, &lun, interrupted_closed, o);
	}
	interrupted_closed(o);
}

/* Recorded before the disks are closed: closing makes them clean, and then nothing else would tell. */
static void interrupted_done(struct inventory_job *job, int err)
{
	struct target_open *o = container_of(job, struct target_open, job);

	if (err)
		log_error("machine %s: its boot was interrupted, and that could not be recorded: %s", machine_name(o),
			  strerror(-err));
	close_all(o);
}

static void interrupt(struct target_open *o)
{
	reason_set(&o->reason, "boot %llu of %s was interrupted by a loss of power of the server: it has to boot again",
		   (unsigned long long)o->number, o->machine.name);
	o->job = (struct inventory_job){ .run = interrupted_run, .done = interrupted_done, .loop = o->loop };
	inventory_write(o->boot->inventory, &o->job);
}

/* ---- opening, one after the other ---- */

/*
 * Initiators know a disk again by it. A data volume's serial number is never another's and never changes; a golden
 * version is the same wherever it has the same bytes.
 */
static void name_lun(struct boot_lun *lun, const struct target_volume *v)
{
	if (v->volume.kind == VOLUME_SYSTEM)
		lun->serial[0] = '\0';
	else if (v->volume.object[0])
		snprintf(lun->serial, sizeof(lun->serial), "%.*s", (int)sizeof(lun->serial) - 1, v->volume.serial);
	else
		snprintf(lun->serial, sizeof(lun->serial), "%s-%.24s", v->volume.kind == VOLUME_CD ? "cd" : "s",
			 v->version.sha256);
}

static void hand_over(struct target_open *o)
{
	struct boot_lun luns[LUN_MAX + 1];
	unsigned count = 0;
	bool who_am_i = false;

	for (unsigned i = 0; i < o->count; i++) {
		const struct target_volume *v = &o->volumes[i];

		if (!v->disk)
			continue;
		luns[count] = (struct boot_lun){
			.number = v->lun,
			.volume_id = v->volume.id,
			.kind = v->volume.kind,
			.cdrom = v->cdrom,
			.physical_512 = v->volume.physical_512,
			.disk = v->disk,
		};
		name_lun(&luns[count++], v);
		who_am_i |= v->volume.kind == VOLUME_WHO_AM_I;
	}
	if (o->only == ONLY_ALL)
		presence_set_reopens(&o->boot->presence, o->machine_id, who_am_i);
	finish(o, luns, count);
}

static void open_next(struct target_open *o);

static void opened_one(struct target_volume *v)
{
	struct target_open *o = v->owner;

	if (!v->disk && is_vital(o, v)) {
		reason_set(&o->reason, "%s", v->reason.text);
		close_all(o);
		return;
	}
	if (!v->disk)
		left_out(o, v);
	/* What is lost was written by an earlier boot: the one that has just begun has written nothing yet. */
	if (v->interrupted && !o->begun && !v->ephemeral && o->only == ONLY_ALL) {
		interrupt(o);
		return;
	}
	o->next++;
	open_next(o);
}

static void open_next(struct target_open *o)
{
	struct target_volume *v;

	if (o->next == o->count) {
		hand_over(o);
		return;
	}
	v = &o->volumes[o->next];
	v->owner = o; /* the list may have moved */
	v->opened = opened_one;
	if (v->volume.kind == VOLUME_SYSTEM)
		v->trace = warm_trace(o->boot->warm, o->machine_id, o->number, v->version.id);
	boot_volume_open(v);
}

static void prepared(struct pool_job *job)
{
	struct target_open *o = container_of(job, struct target_open, pool_job);

	if (o->err) {
		reason_default(&o->reason, o->err, "the disk cannot be opened: %s", strerror(-o->err));
		finish(o, NULL, 0);
		return;
	}
	o->begun = presence_take_begun(&o->boot->presence, o->machine_id, o->number);
	open_next(o);
}

static void open_begin(struct target_open *o)
{
	in_flight_enter(&o->boot->in_flight);
	o->pool_job = (struct pool_job){ .work = prepare, .done = prepared, .loop = o->loop };
	pool_submit(o->boot->pool, POOL_SLOW, &o->pool_job);
}

void boot_target_open(struct boot *boot, int64_t machine_id, uint64_t number, struct loop *loop,
		      void (*opened)(void *arg, const struct boot_lun *luns, unsigned count, uint16_t login_status,
				     const char *reason),
		      void *arg)
{
	struct target_open *o = alloc_or_abort(sizeof(*o));

	*o = (struct target_open){ .boot = boot,
				   .loop = loop,
				   .opened = opened,
				   .arg = arg,
				   .machine_id = machine_id,
				   .number = number,
				   .only = ONLY_ALL };
	open_begin(o);
}

/* ---- one more, while the others are open ---- */

struct lun_open {
	void (*opened)(void *arg, const struct boot_lun *lun, const char *reason);
	void *arg;
};

static void lun_opened(void *arg, const struct boot_lun *luns, unsigned count, uint16_t login_status,
		       const char *reason)
{
	struct lun_open *one = arg;

	(void)login_status;
	one->opened(one->arg, count ? luns : NULL, reason);
	free(one);
}

void boot_target_open_lun(struct boot *boot, int64_t machine_id, unsigned lun, struct loop *loop,
			  void (*opened)(void *arg, const struct boot_lun *lun, const char *reason), void *arg)
{
	struct target_open *o = alloc_or_abort(sizeof(*o));
	struct lun_open *one = alloc_or_abort(sizeof(*one));

	*one = (struct lun_open){ opened, arg };
	*o = (struct target_open){
		.boot = boot, .loop = loop, .opened = lun_opened, .arg = one, .machine_id = machine_id, .only = (int)lun
	};
	open_begin(o);
}

/* ---- close ---- */

struct target_close {
	struct boot *boot;
	unsigned left;
	void (*closed)(void *arg);
	void *arg;
};

static void close_one(void *arg)
{
	struct target_close *c = arg;
	struct boot *boot = c->boot;

	if (--c->left)
		return;
	c->closed(c->arg);
	free(c);
	in_flight_leave(&boot->in_flight);
}

void boot_target_close(struct boot *boot, const struct boot_lun *luns, unsigned count, void (*closed)(void *arg),
		       void *arg)
{
	struct target_close *c = alloc_or_abort(sizeof(*c));

	assert(count);
	*c = (struct target_close){ .boot = boot, .left = count, .closed = closed, .arg = arg };
	in_flight_enter(&boot->in_flight);
	for (unsigned i = 0; i < count; i++)
		boot_volume_close(boot, &luns[i], close_one, c);
}
