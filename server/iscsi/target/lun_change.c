// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A LUN grows, comes or goes under its target's sessions: see server.h. On the target's loop:
 *
 *     GROW    WAITING --change_hold--> HOLDING --holding_step--> AWAY (provider->grow) --on_grown--> answered
 *     DETACH  WAITING --change_hold--> HOLDING --detach_now--> AWAY (provider->close_lun) --on_lun_closed--> answered
 *     ATTACH  WAITING --start_attach--> AWAY (provider->open_lun) --on_lun_opened--> answered
 *
 * WAITING: for the target to be open, and for the change before. HOLDING: new commands wait in scsi/, those that run
 * come to an end; it has a limit: an answer may wait for a peer that does not read. While the provider is asked (AWAY)
 * the target's sessions go on, but nobody comes in and nothing is closed.
 */
#include "iscsi/target/target.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGE_HOLD_MS = 5000 };
enum change_phase { CHANGE_WAITING, CHANGE_HOLDING, CHANGE_AWAY };

struct lun_change {
	struct loop_msg msg;
	struct list link; /* target->changes */
	struct target_loop *loop;
	struct target *target;
	struct lun_request wanted;
	enum change_phase phase;
	bool ended;	       /* forced: sessions that did not let go have been ended */
	struct iscsi_lun gone; /* detach: until it is closed */
	uint64_t deadline_ms;
	int err;
	struct reason reason;
};

/* ---- the answer ---- */

static void change_reply(struct loop_msg *msg)
{
	struct lun_change *change = container_of(msg, struct lun_change, msg);

	change->wanted.answered(change->wanted.arg, change->err, change->reason.text);
	free(change);
}

/* It is over, whether it has begun or not. */
static void change_end(struct lun_change *change, int err, const char *reason)
{
	if (change->target) {
		list_remove(&change->link);
		target_kick(change->target);
	}
	change->err = err;
	reason_set(&change->reason, "%s", reason ? reason : "");
	change->msg.run = change_reply;
	loop_post(change->wanted.reply_loop, &change->msg);
}

/* ---- what scsi/ has of it ---- */

static bool unit_exists(const struct target *target, unsigned lun)
{
	return scsi_lun_exists(target->port.scsi, (const uint8_t[8]){ 0, (uint8_t)lun });
}

static void drop_lun(struct target *target, const struct iscsi_lun *lun)
{
	size_t at = (size_t)(lun - target->luns);

	target->lun_count--;
	memmove(target->luns + at, target->luns + at + 1, (target->lun_count - at) * sizeof(*lun));
}

/* ---- grow ---- */

/* It cannot be opened any more: LUN 0's commands end with their sessions, those of another fail, since it is gone. */
static void disk_lost(struct target *target, struct lun_change *change, int err, const char *reason)
{
	log_error("iscsi: %s: the disk of LUN %u is lost to its sessions: %s", target->port.iqn, change->wanted.lun,
		  reason);
	drop_lun(target, target_lun(target, change->wanted.lun));
	if (change->wanted.lun)
		scsi_target_remove_lun(target->port.scsi, change->wanted.lun);
	else
		target->state = TARGET_LOST;
	change_end(change, err, reason);
}

static void on_grown(void *arg, struct disk *disk, int err, const char *reason)
{
	struct lun_change *change = arg;
	struct target *target = change->target;

	if (!disk) {
		disk_lost(target, change, err ? err : -EIO, reason);
		return;
	}
	target_lun(target, change->wanted.lun)->disk = disk;
	scsi_target_unhold(target->port.scsi, change->wanted.lun, disk);
	change_end(change, err, reason);
}

static bool lost_step(struct target *target)
{
	target_end_sessions(target, "its disk cannot be opened any more");
	if (!list_empty(&target->port.sessions) || target->saves)
		return false;
	target_forget_scsi(target);
	target_give_back(target); /* the other LUNs */
	return false;
}

/* ---- attach ---- */

static void on_gone_again(void *arg)
{
	struct lun_change *change = arg;

	change_end(change, change->err, "the volume is too small to be a disk, or memory is short");
}

static void on_lun_opened(void *arg, const struct iscsi_lun *lun, int err, const char *reason)
{
	struct lun_change *change = arg;
	struct target *target = change->target;
	const struct iscsi_provider *provider = target->loop->provider;
	struct iscsi_lun *luns;

	if (!lun) {
		change_end(change, err ? err : -EIO, reason);
		return;
	}
	assert(lun->number == change->wanted.lun);
	luns = realloc(target->luns, (target->lun_count + 1) * sizeof(*luns));
	if (luns)
		target->luns = luns;
	change->err = luns ? target_add_unit(target, lun) : -ENOMEM;
	if (change->err) {
		change->gone = *lun;
		provider->close_lun(provider->arg, target->port.key, &change->gone, target->loop->io, on_gone_again,
				    change);
		return;
	}
	target->luns[target->lun_count++] = *lun;
	log_info("iscsi: %s: LUN %u is there", target->port.iqn, change->wanted.lun);
	change_end(change, 0, NULL);
}

/* ---- detach ---- */

static bool session_uses(const struct session *session, unsigned lun)
{
	list_each(link, next,
		  &session->tasks) if (list_entry(link, struct iscsi_task, link)->scsi.medium == (int)lun) return true;
	return false;
}

/* A command that reads, writes or flushes it is on its way, or there was one a short time ago. */
static bool lun_in_use(const struct target *target, unsigned lun)
{
	uint64_t used_ms = target->port.used_ms[lun];

	list_each(link, next,
		  &target->port.sessions) if (session_uses(list_entry(link, struct session, link), lun)) return true;
	return used_ms && !list_empty(&target->port.sessions) &&
	       time_monotonic_ms() - used_ms < target->loop->lun_in_use_ms;
}

static void end_users(struct target *target, unsigned lun)
{
	list_each(link, next, &target->port.sessions)
	{
		struct session *session = list_entry(link, struct session, link);

		if (session_uses(session, lun))
			session_end(session, "it does not let go of a LUN that is taken away");
	}
}

static void on_lun_closed(void *arg)
{
	struct lun_change *change = arg;

	change_end(change, 0, NULL);
}

static void detach_now(struct target *target, struct lun_change *change)
{
	const struct iscsi_provider *provider = target->loop->provider;
	const struct iscsi_lun *lun = target_lun(target, change->wanted.lun);

	change->phase = CHANGE_AWAY;
	change->gone = *lun;
	drop_lun(target, lun);
	scsi_target_remove_lun(target->port.scsi, change->wanted.lun);
	log_info("iscsi: %s: LUN %u is gone", target->port.iqn, change->wanted.lun);
	provider->close_lun(provider->arg, target->port.key, &change->gone, target->loop->io, on_lun_closed, change);
}

/* ---- steps ---- */

static void change_hold(struct target *target, struct lun_change *change)
{
	change->phase = CHANGE_HOLDING;
	change->deadline_ms = time_monotonic_ms() + CHANGE_HOLD_MS;
	scsi_target_hold(target->port.scsi, change->wanted.lun);
}

static void start_attach(struct target *target, struct lun_change *change)
{
	const struct iscsi_provider *provider = target->loop->provider;

	if (target_lun(target, change->wanted.lun)) {
		change_end(change, 0, NULL);
	} else if (!provider->open_lun || !provider->close_lun) {
		change_end(change, -ENOTSUP, "volumes cannot be attached to a machine that runs");
	} else {
		change->phase = CHANGE_AWAY;
		provider->open_lun(provider->arg, target->port.key, change->wanted.lun, target->loop->io, on_lun_opened,
				   change);
	}
}

/* Its turn has come, and the target is open. */
static void change_start(struct target *target, struct lun_change *change)
{
	const struct iscsi_provider *provider = target->loop->provider;

	if (!list_empty(&target->releases) || target->loop->link->stopping) {
		change_end(change, -EBUSY, "its disk is being closed just now: try again");
	} else if (change->wanted.kind == LUN_ATTACH) {
		start_attach(target, change);
	} else if (!target_lun(target, change->wanted.lun)) {
		change_end(change, -ENOENT, "the machine has no such LUN");
	} else if (change->wanted.kind == LUN_GROW && (!provider->grow || !unit_exists(target, change->wanted.lun))) {
		change_end(change, -ENOTSUP, "it cannot grow while the machine runs");
	} else if (change->wanted.kind == LUN_DETACH && !provider->close_lun) {
		change_end(change, -ENOTSUP, "volumes cannot be detached from a machine that runs");
	} else if (change->wanted.kind == LUN_DETACH && !change->wanted.force &&
		   lun_in_use(target, change->wanted.lun)) {
		change_end(change, -EBUSY,
			   "the machine has used it within the last minute: unmount it there and try again a minute "
			   "later, or force it");
	} else if (!unit_exists(target, change->wanted.lun)) {
		detach_now(target, change); /* scsi/ did not want it */
	} else {
		change_hold(target, change);
	}
}

/* False: something is awaited. */
static bool holding_step(struct target *target, struct lun_change *change)
{
	const struct iscsi_provider *provider = target->loop->provider;
	struct iscsi_lun *lun = target_lun(target, change->wanted.lun);

	if (!scsi_target_is_idle(target->port.scsi, change->wanted.lun)) {
		if (time_monotonic_ms() < change->deadline_ms && !target->loop->link->stopping)
			return false;
		if (change->wanted.force && !change->ended && !target->loop->link->stopping) {
			change->ended = true;
			change->deadline_ms += CHANGE_HOLD_MS;
			end_users(target, change->wanted.lun);
			return false;
		}
		scsi_target_unhold(target->port.scsi, change->wanted.lun, lun->disk);
		change_end(change, -EBUSY, "its commands do not come to an end: try again");
		return true;
	}
	if (change->wanted.kind == LUN_DETACH) {
		detach_now(target, change);
		return false;
	}
	change->phase = CHANGE_AWAY;
	provider->grow(provider->arg, target->port.key, lun, change->wanted.size_bytes, target->loop->io, on_grown,
		       change);
	return false;
}

bool lun_change_advance(struct target *target)
{
	if (target->state == TARGET_LOST)
		return lost_step(target);
	while (!list_empty(&target->changes)) {
		struct lun_change *change = list_entry(target->changes.next, struct lun_change, link);

		switch (change->phase) {
		case CHANGE_AWAY:
			return false;
		case CHANGE_HOLDING:
			if (!holding_step(target, change))
				return false;
			break;
		case CHANGE_WAITING:
			if (target->state == TARGET_OPENING)
				return true;
			if (target->state == TARGET_OPEN)
				change_start(target, change);
			else
				change_end(change, -ENOENT, "");
			break;
		}
	}
	return true;
}

static void change_arrives(struct loop_msg *msg)
{
	struct lun_change *change = container_of(msg, struct lun_change, msg);
	struct target *target = target_find(change->loop, change->wanted.key);

	if (!target) {
		change_end(change, -ENOENT, "");
		return;
	}
	change->target = target;
	list_append(&target->changes, &change->link);
	target_kick(target);
}

void lun_change(struct target_loop *loop, const struct lun_request *wanted)
{
	struct lun_change *change = calloc(1, sizeof(*change));

	if (!change)
		abort(); /* somebody waits for it */
	change->msg.run = change_arrives;
	change->loop = loop;
	change->wanted = *wanted;
	list_init(&change->link);
	if (wanted->lun >= ISCSI_LUNS || (!wanted->lun && wanted->kind != LUN_GROW))
		change_end(change, -EINVAL,
			   wanted->lun ? "a LUN is a number from 0 to 255" :
					 "LUN 0 is the machine's own disk, and stays");
	else
		loop_post(loop->io, &change->msg);
}
