// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opening and closing: see target_open.h.
 *
 *     open: provider->open -> provider->load_state -> scsi_target_new -> OPEN
 *     close: saves that are under way finish -> scsi_target_free -> provider->close -> ABSENT
 */
#include "iscsi/target_open.h"

#include "iscsi/hub.h"
#include "iscsi/login.h"
#include "iscsi/session.h"
#include "iscsi/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what scsi/ keeps ---- */

struct save {
	struct target *target;
	void (*done)(void *done_arg, int err);
	void *done_arg;
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
	const struct iscsi_provider *provider = target->hub->server->provider;
	struct save *save = malloc(sizeof(*save));

	if (!save) {
		done(done_arg, -ENOMEM);
		return;
	}
	*save = (struct save){ target, done, done_arg };
	target->saves++;
	provider->save_state(provider->arg, target->key, blob, len, target->hub->loop, on_saved, save);
}

/* ---- PREEMPT AND ABORT ---- */

static bool match_any(const struct task *task, const void *arg)
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
	target->disk = NULL;
	target_kick(target);
}

static void give_back_disk(struct target *target)
{
	const struct iscsi_provider *provider = target->hub->server->provider;

	target->state = TARGET_CLOSING;
	target->close_after_ms = 0;
	provider->close(provider->arg, target->key, target->disk, target->hub->loop, on_closed, target);
}

/* The unit serial number: what the IQN ends in, which is fixed at enrolment. */
static const char *serial_of(const struct target *target)
{
	const char *colon = strrchr(target->iqn, ':');

	return colon && colon[1] ? colon + 1 : target->iqn;
}

static void on_loaded(void *arg, const void *blob, size_t len)
{
	struct target *target = arg;
	const struct iscsi_provider *provider = target->hub->server->provider;
	struct scsi_target_config config = {
		.name = target->iqn,
		.serial = serial_of(target),
		.loop = target->hub->loop,
		.save = provider->save_state ? save_state : NULL,
		.save_arg = target,
		.saved = blob,
		.saved_len = len,
	};

	if (scsi_target_new(&config, &target->scsi) || scsi_target_add_lun(target->scsi, 0, target->disk)) {
		if (target->scsi)
			scsi_target_free(target->scsi);
		target->scsi = NULL;
		give_back_disk(target);
		refuse_all(target, LOGIN_OUT_OF_RESOURCES, "out of memory");
		return;
	}
	scsi_target_set_abort_hook(target->scsi, abort_nexus, target);
	if (target->clear_on_open)
		scsi_target_clear_reservations(target->scsi);
	target->clear_on_open = false;
	target->state = TARGET_OPEN;
	target->close_after_ms = 0;
	target_kick(target);
}

static void on_opened(void *arg, struct disk *disk, uint16_t login_status, const char *reason)
{
	struct target *target = arg;
	const struct iscsi_provider *provider = target->hub->server->provider;
	char text[256];

	if (!disk) {
		target->state = TARGET_ABSENT;
		snprintf(text, sizeof(text), "%s", reason ? reason : "the disk could not be opened");
		refuse_all(target, login_status ? login_status : LOGIN_UNAVAILABLE, text);
		return;
	}
	target->disk = disk;
	if (provider->load_state)
		provider->load_state(provider->arg, target->key, target->hub->loop, on_loaded, target);
	else
		on_loaded(target, NULL, 0);
}

void target_open(struct target *target)
{
	const struct iscsi_provider *provider = target->hub->server->provider;

	target->state = TARGET_OPENING;
	provider->open(provider->arg, target->key, target->boot, target->hub->loop, on_opened, target);
}

void target_close(struct target *target)
{
	if (target->saves)
		return; /* on_saved kicks */
	scsi_target_free(target->scsi);
	target->scsi = NULL;
	give_back_disk(target);
}
