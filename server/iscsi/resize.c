// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * iscsi_server_resize: a target's disk grows under its sessions. On the target's loop:
 *
 *     asked ---> HOLDING ---------------------> AWAY -----------------> answered
 *                new commands wait in scsi/,    provider->grow          the commands go on, with the new disk
 *                those that run come to an end
 *
 * HOLDING has a limit: a command may wait for data that an initiator never sends, or its answer for a peer that does
 * not read.
 */
#include "iscsi/resize.h"

#include "base/log.h"
#include "disk/disk.h"
#include "iscsi/hub.h"
#include "iscsi/session.h"
#include "iscsi/target.h"
#include "iscsi/target_open.h"
#include "scsi/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { RESIZE_HOLD_MS = 5000 };

struct resize {
	struct loop_msg msg;
	struct iscsi_server *server;
	struct target *target;
	uint64_t key, size_bytes, deadline_ms;
	bool away;
	struct loop *reply_loop;
	void (*resized)(void *arg, int err, const char *reason);
	void *arg;
	int err;
	char reason[300];
};

static void resize_reply(struct loop_msg *msg)
{
	struct resize *resize = container_of(msg, struct resize, msg);

	resize->resized(resize->arg, resize->err, resize->reason);
	free(resize);
}

static void resize_answer(struct resize *resize, int err, const char *reason)
{
	resize->err = err;
	snprintf(resize->reason, sizeof(resize->reason), "%s", reason ? reason : "");
	resize->msg.run = resize_reply;
	loop_post(resize->reply_loop, &resize->msg);
}

static void resize_end(struct target *target, int err, const char *reason)
{
	struct resize *resize = target->resize;

	target->resize = NULL;
	target_kick(target);
	resize_answer(resize, err, reason);
}

/* The disk cannot be opened any more: what waits for it ends with its session. */
static void disk_lost(struct target *target, int err, const char *reason)
{
	log_error("iscsi: %s: its disk is lost to its sessions: %s", target->iqn, reason);
	target->disk = NULL;
	target->state = TARGET_LOST;
	resize_end(target, err, reason);
}

static void on_grown(void *arg, struct disk *disk, int err, const char *reason)
{
	struct target *target = arg;

	if (!disk) {
		disk_lost(target, err ? err : -EIO, reason);
		return;
	}
	target->disk = disk;
	scsi_target_unhold(target->scsi, 0, disk);
	resize_end(target, err, reason);
}

static bool lost_step(struct target *target)
{
	target_end_sessions(target, "its disk cannot be opened any more");
	if (!list_empty(&target->sessions) || target->saves)
		return false;
	target_forget_scsi(target);
	target->state = TARGET_ABSENT;
	return true;
}

bool resize_advance(struct target *target)
{
	const struct iscsi_provider *provider = target->hub->server->provider;
	struct resize *resize = target->resize;

	if (target->state == TARGET_LOST)
		return lost_step(target);
	if (!resize)
		return true;
	if (resize->away)
		return false;
	if (!scsi_target_is_idle(target->scsi, 0)) {
		if (time_monotonic_ms() < resize->deadline_ms && !target->hub->stopping)
			return false;
		scsi_target_unhold(target->scsi, 0, target->disk);
		resize_end(target, -EBUSY, "its commands do not come to an end: try again");
		return true;
	}
	resize->away = true;
	provider->grow(provider->arg, target->key, target->disk, resize->size_bytes, target->hub->loop, on_grown,
		       target);
	return false;
}

static void resize_start(struct loop_msg *msg)
{
	struct resize *resize = container_of(msg, struct resize, msg);
	struct target *target = target_find(hub_of(resize->server, resize->key), resize->key);

	if (!target || (target->state != TARGET_OPEN && target->state != TARGET_OPENING)) {
		resize_answer(resize, -ENOENT, "");
		return;
	}
	/* Opening, beginning a boot, closing for somebody: soon over. */
	if (target->state != TARGET_OPEN || target->resize || target->beginning || !list_empty(&target->releases) ||
	    target->hub->stopping || !resize->server->provider->grow) {
		resize_answer(resize, -EBUSY, "its disk is being opened, closed or changed just now: try again");
		return;
	}
	resize->deadline_ms = time_monotonic_ms() + RESIZE_HOLD_MS;
	target->resize = resize;
	scsi_target_hold(target->scsi, 0);
	target_kick(target);
}

void iscsi_server_resize(struct iscsi_server *server, uint64_t key, uint64_t size_bytes, struct loop *reply_loop,
			 void (*resized)(void *arg, int err, const char *reason), void *arg)
{
	struct resize *resize = calloc(1, sizeof(*resize));

	if (!resize)
		abort(); /* somebody waits for it */
	*resize = (struct resize){
		.msg.run = resize_start,
		.server = server,
		.key = key,
		.size_bytes = size_bytes,
		.reply_loop = reply_loop,
		.resized = resized,
		.arg = arg,
	};
	loop_post(hub_of(server, key)->loop, &resize->msg);
}
