// SPDX-License-Identifier: GPL-2.0-or-later
/* Somebody wants a target closed: see iscsi_server_release. */
#include "iscsi/target/target.h"

#include <stdio.h>
#include <stdlib.h>

struct release {
	struct loop_msg msg;
	struct list link; /* target->releases */
	struct target_loop *loop;
	uint64_t key;
	char why[80];
	struct loop *reply_loop;
	void (*released)(void *arg);
	void *arg;
};

static void release_reply(struct loop_msg *msg)
{
	struct release *release = container_of(msg, struct release, msg);

	release->released(release->arg);
	free(release);
}

static void release_done(struct release *release)
{
	release->msg.run = release_reply;
	loop_post(release->reply_loop, &release->msg);
}

bool release_advance(struct target *target)
{
	if (list_empty(&target->releases))
		return true;
	target_end_sessions(target, "released");
	if (target->state == TARGET_OPEN && list_empty(&target->port.sessions))
		target_close(target);
	if (target->state != TARGET_ABSENT || !list_empty(&target->port.sessions) || target->saves)
		return false;
	target_forget_scsi(target);
	while (!list_empty(&target->releases)) {
		struct release *release = list_entry(target->releases.next, struct release, link);

		list_remove(&release->link);
		release_done(release);
	}
	return true;
}

static void release_start(struct loop_msg *msg)
{
	struct release *release = container_of(msg, struct release, msg);
	struct target *target = target_find(release->loop, release->key);

	if (!target) {
		release_done(release);
		return;
	}
	target_end_sessions(target, release->why);
	list_append(&target->releases, &release->link);
	target_kick(target);
}

void release_ask(struct target_loop *loop, uint64_t key, const char *why, struct loop *reply_loop,
		 void (*released)(void *arg), void *arg)
{
	struct release *release = calloc(1, sizeof(*release));

	if (!release)
		abort(); /* somebody waits for it, and there is no other way to tell him */
	*release = (struct release){ .msg.run = release_start,
				     .loop = loop,
				     .key = key,
				     .reply_loop = reply_loop,
				     .released = released,
				     .arg = arg };
	snprintf(release->why, sizeof(release->why), "%s", why);
	loop_post(loop->io, &release->msg);
}
