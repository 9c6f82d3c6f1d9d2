// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opening and closing: see target.h.
 *
 *     open: provider->open -> provider->load_state -> scsi_target_new, its units -> OPEN
 *     close: saves that are under way finish -> scsi_target_free, unless somebody is registered -> provider->close
 *            -> ABSENT
 *
 * What scsi/ keeps is stored behind the number of the boot in which it was: what an earlier one registered does not
 * come back, even if the server dies after a boot has begun and before its target is opened.
 */
#include "iscsi/target/target.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what scsi/ keeps ---- */

enum { STATE_MAGIC = 0x53425354 };

struct state_header {
	struct be32 magic;
	uint8_t reserved[4];
	struct be64 boot;
};

struct save {
	struct target *target;
	void (*done)(void *done_arg, int err);
	void *done_arg;
	struct state_header header; /* and what scsi/ gave, behind it */
	uint8_t blob[];
};

static void on_saved(void *arg, int err)
{
	struct save *save = arg;

	save->done(save->done_arg, err);
	save->target->saves--;
	target_kick(save->target);
	free(save);
}

static void save_state(void *arg, const void *blob, size_t len, void (*done)(void *done_arg, int err), void *done_arg)
{
	struct target *target = arg;
	const struct iscsi_provider *provider = target->loop->provider;
	struct save *save = malloc(sizeof(*save) + len);

	if (!save) {
		done(done_arg, -ENOMEM);
		return;
	}
	*save = (struct save){ .target = target, .done = done, .done_arg = done_arg };
	save->header = (struct state_header){ .magic = be32_put(STATE_MAGIC), .boot = be64_put(target->boot) };
	memcpy(save->blob, blob, len);
	target->saves++;
	provider->save_state(provider->arg, target->port.key, &save->header, sizeof(save->header) + len,
			     target->loop->io, on_saved, save);
}

/* ---- PREEMPT AND ABORT ---- */

static bool match_any(const struct iscsi_task *task, const void *arg)
{
	(void)arg;
	return task->state != TASK_ANSWERING;
}

static void abort_nexus(void *arg, struct scsi_nexus *nexus)
{
	struct session *session = scsi_nexus_user(nexus);

	(void)arg;
	session_abort_tasks(session, match_any, NULL);
}

/* ---- opening ---- */

static void refuse_all(struct target *target, uint16_t status, const char *reason)
{
	while (!list_empty(&target->waiting))
		target_refuse(list_entry(target->waiting.next, struct login, waiting_link), status, reason);
	target_kick(target);
}

static void on_closed(void *arg)
{
	struct target *target = arg;

	target->state = TARGET_ABSENT;
	free(target->luns);
	target->luns = NULL;
	target->lun_count = 0;
	target_kick(target);
}

void target_give_back(struct target *target)
{
	const struct iscsi_provider *provider = target->loop->provider;

	target->state = TARGET_CLOSING;
	target->close_after_ms = 0;
	if (!target->lun_count) {
		on_closed(target);
		return;
	}
	provider->close(provider->arg, target->port.key, target->luns, target->lun_count, target->loop->io, on_closed,
			target);
}

/* The unit serial number: what the IQN ends in, which is fixed at enrolment. */
static const char *serial_of(const struct target *target)
{
	const char *colon = strrchr(target->port.iqn, ':');

	return colon && colon[1] ? colon + 1 : target->port.iqn;
}

void target_forget_scsi(struct target *target)
{
	scsi_target_free(target->port.scsi);
	target->port.scsi = NULL;
}

/* The disks are open, and there is nothing to work with. */
static void open_failed(struct target *target)
{
	target_forget_scsi(target);
	target_give_back(target);
	refuse_all(target, LOGIN_OUT_OF_RESOURCES, "out of memory, or the disk is too small");
}

/* ---- units ---- */

static struct scsi_lun_config config_of(const struct iscsi_lun *lun)
{
	return (struct scsi_lun_config){
		.type = lun->type == ISCSI_LUN_CDROM ? SCSI_CDROM : SCSI_DISK,
		.read_only = lun->read_only,
		.physical_exponent = lun->physical_512 ? 0 : SCSI_PHYSICAL_4096,
		.serial = lun->serial,
	};
}

int target_add_unit(struct target *target, const struct iscsi_lun *lun)
{
	const struct scsi_lun_config config = config_of(lun);

	target->port.used_ms[lun->number] = 0;
	return scsi_target_add_lun(target->port.scsi, lun->number, lun->disk, &config);
}

/* A unit that was kept gets its disk back, if it is still the same volume. */
static int open_unit(struct target *target, const struct iscsi_lun *lun)
{
	const struct scsi_lun_config config = config_of(lun);
	int err = scsi_target_set_disk(target->port.scsi, lun->number, lun->disk, &config);

	if (err == -ESTALE)
		scsi_target_remove_lun(target->port.scsi, lun->number);
	return err == -ESTALE || err == -ENOENT ? target_add_unit(target, lun) : err;
}

/* Without LUN 0 there is no target; any other that does not work is left out, and closed with the rest. */
static int open_units(struct target *target)
{
	for (unsigned n = 0; n < ISCSI_LUNS; n++) {
		const struct iscsi_lun *lun = target_lun(target, n);
		int err = 0;

		if (lun)
			err = open_unit(target, lun);
		else
			scsi_target_remove_lun(target->port.scsi, n);
		if (err && !n)
			return err;
		if (!err)
			continue;
		log_error("iscsi: %s: LUN %u is left out: %s", target->port.iqn, n, strerror(-err));
		scsi_target_remove_lun(target->port.scsi, n);
	}
	return 0;
}

static void opened_at_last(struct target *target)
{
	target->state = TARGET_OPEN;
	target->close_after_ms = 0;
	target_kick(target);
}

static void scsi_event(void *arg, struct scsi_nexus *nexus, const uint8_t lun[8], const void *sense, size_t sense_len)
{
	struct session *session = scsi_nexus_user(nexus);

	(void)arg;
	async_scsi_event(session, lun, sense, sense_len);
}

static void on_loaded(void *arg, const void *blob, size_t len)
{
	struct target *target = arg;
	const struct iscsi_provider *provider = target->loop->provider;
	const struct state_header *header = blob;
	bool of_this_boot = false;
	struct scsi_target_config config = {
		.name = target->port.iqn,
		.serial = serial_of(target),
		.loop = target->loop->io,
		.tasks = &target->loop->scsi_tasks,
		.save = provider->save_state ? save_state : NULL,
		.save_arg = target,
	};

	if (len >= sizeof(*header) && be32_get(header->magic) == STATE_MAGIC) {
		of_this_boot = be64_get(header->boot) == target->boot;
		config.saved = header + 1;
		config.saved_len = len - sizeof(*header);
	}
	if (scsi_target_new(&config, &target->port.scsi) || open_units(target)) {
		open_failed(target);
		return;
	}
	scsi_target_set_abort_hook(target->port.scsi, abort_nexus, target);
	scsi_target_set_event_hook(target->port.scsi, scsi_event, target);
	if (!of_this_boot)
		scsi_target_clear_reservations(target->port.scsi);
	opened_at_last(target);
}

static void take_luns(struct target *target, const struct iscsi_lun *luns, unsigned count)
{
	target->luns = calloc(count, sizeof(*luns));
	if (!target->luns)
		abort(); /* a few bytes, and disks that nobody else would close */
	memcpy(target->luns, luns, count * sizeof(*luns));
	target->lun_count = count;
	assert(target_lun(target, 0));
}

static void on_opened(void *arg, const struct iscsi_lun *luns, unsigned count, uint16_t login_status,
		      const char *reason)
{
	struct target *target = arg;
	const struct iscsi_provider *provider = target->loop->provider;
	char text[256];

	if (!count) {
		target->state = TARGET_ABSENT;
		snprintf(text, sizeof(text), "%s", reason ? reason : "the disk could not be opened");
		refuse_all(target, login_status ? login_status : LOGIN_UNAVAILABLE, text);
		return;
	}
	take_luns(target, luns, count);
	if (target->port.scsi && open_units(target))
		open_failed(target);
	else if (target->port.scsi)
		opened_at_last(target);
	else if (provider->load_state)
		provider->load_state(provider->arg, target->port.key, target->loop->io, on_loaded, target);
	else
		on_loaded(target, NULL, 0);
}

void target_open(struct target *target)
{
	const struct iscsi_provider *provider = target->loop->provider;

	target->state = TARGET_OPENING;
	provider->open(provider->arg, target->port.key, target->boot, target->loop->io, on_opened, target);
}

void target_close(struct target *target)
{
	if (target->saves)
		return; /* on_saved kicks */
	if (!scsi_target_has_registrations(target->port.scsi))
		target_forget_scsi(target);
	for (unsigned i = 0; target->port.scsi && i < target->lun_count; i++)
		scsi_target_set_disk(target->port.scsi, target->luns[i].number, NULL, NULL);
	target_give_back(target);
}
