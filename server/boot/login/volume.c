// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One volume of a target: see volume.h. Disk events come on the target's loop while the disk is open: struct volume_user
 * is what they get, and lives as long as the disk.
 */
#include "volume.h"

#include "base/log.h"
#include "base/util.h"
#include "boot/whoami/whoami.h"
#include "disk/read_trace.h"
#include "inventory/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_EVENT_MS = 60000 };

struct volume_user {
	struct boot *boot;
	int64_t machine_id, volume_id;
};

/* How a volume is called where people read of it: the machine's disk, or by its own name. */
static void label(const struct volume *volume, char *out, size_t out_size)
{
	if (volume->kind == VOLUME_SYSTEM)
		snprintf(out, out_size, "its disk");
	else
		snprintf(out, out_size, "volume %s", volume->name);
}

/* ---- a disk that fails, or fills up ---- */

struct failure {
	struct boot *boot;
	int64_t machine_id, volume_id;
	char text[REASON_TEXT];
	struct inventory_job job;
};

static int failure_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct failure *failure = container_of(job, struct failure, job);
	char called[NAME_MAX_TEXT + 16];
	struct machine machine;
	struct volume volume;
	int err = volume_by_id(tx, failure->volume_id, &volume);

	if (err || volume.state == VOLUME_FAILED)
		return err;
	volume.state = VOLUME_FAILED;
	memcpy(volume.state_reason, failure->text, sizeof(volume.state_reason));
	err = volume_update(tx, &volume);
	if (err)
		return err;
	label(&volume, called, sizeof(called));
	/* The machine may be gone, and the volume not. */
	err = machine_by_id(tx, failure->machine_id, &machine);
	if (err == -ENOENT)
		return event_add(tx, "error", "disk-failed", "server", 0, volume.name, "%s failed: %.380s", called,
				 failure->text);
	return err ? err :
		     event_add(tx, "error", "disk-failed", "server", machine.id, machine.name, "%s failed: %.380s",
			       called, failure->text);
}

static void failure_done(struct inventory_job *job, int err)
{
	struct failure *failure = container_of(job, struct failure, job);
	struct boot *boot = failure->boot;

	if (err)
		log_error("machine %lld: volume #%lld failed (%s), and that could not be recorded: %s",
			  (long long)failure->machine_id, (long long)failure->volume_id, failure->text, strerror(-err));
	free(failure);
	in_flight_leave(&boot->in_flight);
}

static void mark_failed(const struct volume_user *user, const char *text)
{
	struct failure *failure = alloc_or_abort(sizeof(*failure));

	*failure = (struct failure){ .boot = user->boot, .machine_id = user->machine_id, .volume_id = user->volume_id };
	snprintf(failure->text, sizeof(failure->text), "%s", text);
	failure->job = (struct inventory_job){ .run = failure_run, .done = failure_done };
	in_flight_enter(&user->boot->in_flight);
	inventory_write(user->boot->inventory, &failure->job);
}

static void on_event(void *arg, enum disk_event event, const char *text)
{
	struct volume_user *user = arg;
	struct boot *boot = user->boot;

	if (event == DISK_FAILED)
		mark_failed(user, text);
	else if (event == DISK_NO_SPACE &&
		 presence_event_due(&boot->presence, user->machine_id, PRESENCE_SPACE, 1, OPEN_EVENT_MS))
		boot_note(boot, "error", "no-space", "server", user->machine_id, "%s", text);
}

struct volume_user *boot_volume_user_of(const struct disk *disk)
{
	return disk->event_arg;
}

void boot_volume_user_free(struct volume_user *user)
{
	free(user);
}

/* ---- holding ---- */

bool boot_volume_hold(struct target_volume *v)
{
	if (volume_kind_is_read_only(v->volume.kind))
		return true;
	v->err = disks_open_begin(&v->boot->disks, v->volume.id);
	v->held = !v->err;
	if (v->err)
		reason_set(&v->reason, "%s",
			   v->err == -EBUSY ? "the disk is being changed or closed just now" : "out of memory");
	return v->held;
}

void boot_volume_unhold(struct target_volume *v)
{
	if (v->held)
		disks_open_end(&v->boot->disks, v->volume.id, false);
	v->held = false;
}

/* ---- preparing ---- */

static int read_parent(struct inventory_tx *tx, void *arg)
{
	struct image_version *version = arg;

	return version_by_id(tx, version->parent_id, version);
}

/* Invariant 7: never boot from what is not what was published, nor from what stands on such a thing. */
static int verify(struct target_volume *v)
{
	struct image_version version = v->version;
	int err = store_verify_version(v->boot->store, &version, &v->reason);

	while (!err && version.parent_id) {
		err = inventory_read_call(v->boot->inventory, read_parent, &version);
		if (err)
			return reason_refuse(&v->reason, err, "the inventory cannot be read: %s", strerror(-err));
		err = store_verify_version(v->boot->store, &version, &v->reason);
	}
	if (err && presence_event_due(&v->boot->presence, v->machine_id, PRESENCE_GOLDEN, 1, OPEN_EVENT_MS))
		boot_note(v->boot, "error", err == -ESTALE ? "golden-changed" : "golden-unusable", "server",
			  v->machine_id, "%s@%u: %s", version.image, version.number, v->reason.text);
	return err;
}

static int clear_fresh(struct inventory_tx *tx, void *arg)
{
	struct target_volume *v = arg;
	struct volume volume;
	int err = volume_by_id(tx, v->volume.id, &volume);

	if (err || strcmp(volume.object, v->volume.object))
		return err ? err : -ESTALE;
	volume.fresh = false;
	return volume_update(tx, &volume);
}

void boot_volume_count_layers(struct target_volume *v)
{
	struct volume_info info;

	if (!v->quota_bytes || !v->volume.snapshot_id || store_volume_info(v->boot->store, &v->volume, NULL, &info))
		return;
	v->quota_bytes = info.layers_bytes < v->quota_bytes ? v->quota_bytes - info.layers_bytes : 1;
}

int boot_volume_read_layer(struct inventory_tx *tx, const struct volume *volume, char layer[NAME_MAX_TEXT])
{
	struct snapshot snapshot = { .id = 0 };
	int err = volume->snapshot_id ? snapshot_by_id(tx, volume->snapshot_id, &snapshot) : 0;

	if (!err)
		memcpy(layer, snapshot.object, NAME_MAX_TEXT);
	return err;
}

/* Is it what the inventory says? It is held, so nobody of ours changes it. */
static int check(struct target_volume *v)
{
	uint64_t identity;
	int err = store_check_volume(v->boot->store, &v->volume, v->version.id ? &v->version : NULL, v->layer,
				     &identity, &v->reason);

	if (!err)
		disks_set_object(&v->boot->disks, v->volume.id, identity);
	else if (presence_event_due(&v->boot->presence, v->machine_id, PRESENCE_REFUSED, 6, OPEN_EVENT_MS))
		boot_note(v->boot, "error", err == -ESTALE ? "disk-rebased" : "disk-unusable", "server", v->machine_id,
			  "%.480s", v->reason.text);
	return err;
}

void boot_volume_prepare(struct target_volume *v)
{
	char called[NAME_MAX_TEXT + 16];

	v->cdrom = v->volume.kind == VOLUME_CD;
	if (v->volume.kind == VOLUME_WHO_AM_I) {
		v->err = whoami_prepare(v->boot, v->machine_id, v->number, &v->volume, &v->cdrom, &v->reason);
		return;
	}
	label(&v->volume, called, sizeof(called));
	if (v->volume.state == VOLUME_FAILED) {
		reason_set(&v->reason, "%s failed: %.380s", called, v->volume.state_reason);
		v->err = -EIO;
		return;
	}
	if (v->version.id)
		v->err = verify(v);
	if (!v->err && v->volume.object[0])
		v->err = check(v);
	boot_volume_count_layers(v);
	if (v->err || !v->volume.fresh || !v->volume.object[0])
		return;
	v->err = store_sync_volume(v->boot->store, &v->volume);
	if (v->err)
		reason_set(&v->reason, "%s is new and cannot be made durable: %s", called, strerror(-v->err));
	else
		v->err = inventory_write_call(v->boot->inventory, clear_fresh, v);
	reason_default(&v->reason, v->err, "the inventory cannot be written: %s", strerror(-v->err));
}

/* ---- opening ---- */

struct store_open boot_volume_how(const struct target_volume *v)
{
	return (struct store_open){
		.env = v->boot->disk_env,
		.ephemeral = v->ephemeral,
		.quota_bytes = v->quota_bytes,
		.trace = v->trace,
		.on_event = v->user ? on_event : NULL,
		.event_arg = v->user,
	};
}

static void on_opened(void *arg, const struct disk_opened *result)
{
	struct target_volume *v = arg;

	v->disk = result->disk;
	v->interrupted = result->interrupted;
	if (v->held)
		disks_open_end(&v->boot->disks, v->volume.id, v->disk != NULL);
	v->held = false;
	if (!v->disk) {
		v->err = result->err ? result->err : -EIO;
		reason_set(&v->reason, "%s", result->reason.text);
		boot_volume_user_free(v->user);
		v->user = NULL;
		if (presence_event_due(&v->boot->presence, v->machine_id, PRESENCE_REFUSED, 6, OPEN_EVENT_MS))
			boot_note(v->boot, "error", "disk-unusable", "server", v->machine_id, "%s",
				  result->reason.text);
	}
	v->opened(v);
}

void boot_volume_open(struct target_volume *v)
{
	struct store_open how;

	/* Nobody in particular has a shared one, and nothing can happen to one that is generated. */
	if (v->held) {
		v->user = alloc_or_abort(sizeof(*v->user));
		*v->user = (struct volume_user){ v->boot, v->machine_id, v->volume.id };
	}
	how = boot_volume_how(v);
	store_open_volume(v->boot->store, v->loop, &v->volume, v->version.id ? &v->version : NULL, &how, on_opened, v);
}

/* ---- closing ---- */

struct closing {
	struct boot *boot;
	int64_t volume_id;
	struct volume_user *user; /* NULL: it is shared */
	void (*closed)(void *arg);
	void *arg;
};

static void on_closed(void *arg, int err)
{
	struct closing *c = arg;

	if (err)
		log_error("volume #%lld: closing it: %s", (long long)c->volume_id, strerror(-err));
	if (c->user)
		disks_close_end(&c->boot->disks, c->volume_id);
	boot_volume_user_free(c->user);
	c->closed(c->arg);
	free(c);
}

void boot_volume_close(struct boot *boot, const struct boot_lun *lun, void (*closed)(void *arg), void *arg)
{
	struct closing *c = alloc_or_abort(sizeof(*c));

	*c = (struct closing){ boot, lun->volume_id, boot_volume_user_of(lun->disk), closed, arg };
	if (c->user)
		disks_close_begin(&boot->disks, lun->volume_id);
	store_close_volume(boot->store, lun->disk, on_closed, c);
}
