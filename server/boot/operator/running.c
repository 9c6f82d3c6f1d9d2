// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Questions to the sessions for threads that may block (HTTP's): see running.h. The answer comes on boot's loop, so
 * none of this may be called there. A struct waits on the caller's stack: every question is answered exactly once, so
 * waiting has no limit of its own.
 */
#include "running.h"

#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct running_wait {
	sem_t done;
	bool alive;
	struct boot_session *session; /* probe: where it goes */
	struct boot_sessions sessions;
	unsigned capacity;
	int err; /* resize, sessions */
	struct reason reason;
};

static void running_wait(struct boot *boot, struct running_wait *wait)
{
	assert(loop_current() != boot->loop);
	while (sem_wait(&wait->done) && errno == EINTR)
		;
	sem_destroy(&wait->done);
}

static void running_probed(void *arg, bool alive, const struct boot_session *session)
{
	struct running_wait *wait = arg;

	wait->alive = alive;
	if (alive && session)
		*wait->session = *session;
	sem_post(&wait->done);
}

void running_probe(struct boot *boot, int64_t machine_id, bool *alive, struct boot_session *session)
{
	struct running_wait wait = { .session = session };

	memset(session, 0, sizeof(*session));
	sem_init(&wait.done, 0, 0);
	boot->runtime->probe(boot->runtime->arg, (uint64_t)machine_id, BOOT_PROBE_MS, boot->loop, running_probed,
			     &wait);
	running_wait(boot, &wait);
	*alive = wait.alive;
}

static void running_released(void *arg)
{
	struct running_wait *wait = arg;

	sem_post(&wait->done);
}

void running_release(struct boot *boot, int64_t machine_id, const char *why)
{
	struct running_wait wait = { .alive = false };

	sem_init(&wait.done, 0, 0);
	boot->runtime->release(boot->runtime->arg, (uint64_t)machine_id, why, boot->loop, running_released, &wait);
	running_wait(boot, &wait);
}

static void running_changed(void *arg, int err, const char *reason)
{
	struct running_wait *wait = arg;

	wait->err = err;
	reason_set(&wait->reason, "%s", reason);
	sem_post(&wait->done);
}

static int running_wait_change(struct boot *boot, struct running_wait *wait, struct reason *reason)
{
	running_wait(boot, wait);
	if (wait->err)
		reason_set(reason, "%s", wait->reason.text);
	return wait->err;
}

int running_resize(struct boot *boot, int64_t machine_id, unsigned lun, uint64_t size_bytes, struct reason *reason)
{
	struct running_wait wait = { .alive = false };

	sem_init(&wait.done, 0, 0);
	boot->runtime->resize(boot->runtime->arg, (uint64_t)machine_id, lun, size_bytes, boot->loop, running_changed,
			      &wait);
	return running_wait_change(boot, &wait, reason);
}

int running_attach(struct boot *boot, int64_t machine_id, unsigned lun, struct reason *reason)
{
	struct running_wait wait = { .alive = false };

	sem_init(&wait.done, 0, 0);
	boot->runtime->attach(boot->runtime->arg, (uint64_t)machine_id, lun, boot->loop, running_changed, &wait);
	return running_wait_change(boot, &wait, reason);
}

int running_detach(struct boot *boot, int64_t machine_id, unsigned lun, bool force, struct reason *reason)
{
	struct running_wait wait = { .alive = false };

	sem_init(&wait.done, 0, 0);
	boot->runtime->detach(boot->runtime->arg, (uint64_t)machine_id, lun, force, boot->loop, running_changed, &wait);
	return running_wait_change(boot, &wait, reason);
}

static void running_each(void *arg, const struct boot_session *session, int err)
{
	struct running_wait *wait = arg;
	struct boot_sessions *sessions = &wait->sessions;

	if (!session) {
		if (err)
			wait->err = err;
		sem_post(&wait->done);
		return;
	}
	if (sessions->count == wait->capacity) {
		unsigned capacity = wait->capacity ? 2 * wait->capacity : 8;
		struct boot_session *list = realloc(sessions->list, capacity * sizeof(*list));

		if (!list) {
			wait->err = -ENOMEM;
			return;
		}
		sessions->list = list;
		wait->capacity = capacity;
	}
	sessions->list[sessions->count++] = *session;
}

int boot_list_sessions(struct boot *boot, int64_t machine_id, struct boot_sessions *sessions)
{
	struct running_wait wait = { .alive = false };

	sem_init(&wait.done, 0, 0);
	boot->runtime->sessions(boot->runtime->arg, (uint64_t)machine_id, boot->loop, running_each, &wait);
	running_wait(boot, &wait);
	if (wait.err) {
		free(wait.sessions.list);
		return wait.err;
	}
	*sessions = wait.sessions;
	return 0;
}
