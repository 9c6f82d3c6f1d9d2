// SPDX-License-Identifier: GPL-2.0-or-later
/* The in-memory table of children: see slot.h. */
#include "slot.h"

#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum slot_state { SLOT_CLOSED, SLOT_OPENING, SLOT_OPEN, SLOT_CLOSING };

struct slot {
	struct slot *next;
	int64_t machine_id;
	enum slot_state state;
	bool claimed, ephemeral;
	uint64_t begun; /* 0: none */
	unsigned sessions;
	char refused[200]; /* "": not since the last session */
	uint64_t resume_until_ms; /* 0: none */
	struct {
		uint64_t since_ms; /* monotonic; 0: none yet */
		unsigned count;
	} events[SLOT_EVENTS];
};

void slots_init(struct slots *slots)
{
	*slots = (struct slots){ 0 };
	pthread_mutex_init(&slots->mutex, NULL);
	cond_init_monotonic(&slots->closed);
}

void slots_fini(struct slots *slots)
{
	for (unsigned i = 0; i < SLOT_BUCKETS; i++) {
		for (struct slot *slot = slots->buckets[i], *next; slot; slot = next) {
			next = slot->next;
			free(slot);
		}
	}
	pthread_cond_destroy(&slots->closed);
	pthread_mutex_destroy(&slots->mutex);
}

/* Under the mutex. NULL: there is none. */
static struct slot *slots_find(struct slots *slots, int64_t machine_id)
{
	struct slot *slot = slots->buckets[(uint64_t)machine_id % SLOT_BUCKETS];

	while (slot && slot->machine_id != machine_id)
		slot = slot->next;
	return slot;
}

/* Under the mutex. NULL: no memory. */
static struct slot *slots_get(struct slots *slots, int64_t machine_id)
{
	struct slot **bucket = &slots->buckets[(uint64_t)machine_id % SLOT_BUCKETS];
	struct slot *slot = slots_find(slots, machine_id);

	if (slot)
		return slot;
	slot = calloc(1, sizeof(*slot));
	if (!slot)
		return NULL;
	slot->machine_id = machine_id;
	slot->next = *bucket;
	*bucket = slot;
	return slot;
}

/* With the mutex taken. */
static struct slot *slots_lock_find(struct slots *slots, int64_t machine_id)
{
	pthread_mutex_lock(&slots->mutex);
	return slots_find(slots, machine_id);
}

static struct slot *slots_lock_get(struct slots *slots, int64_t machine_id)
{
	pthread_mutex_lock(&slots->mutex);
	return slots_get(slots, machine_id);
}

int slots_open_begin(struct slots *slots, int64_t machine_id)
{
	struct slot *slot = slots_lock_get(slots, machine_id);
	int err = 0;

	if (!slot)
		err = -ENOMEM;
	else if (slot->claimed || slot->state != SLOT_CLOSED)
		err = -EBUSY;
	else
		slot->state = SLOT_OPENING;
	pthread_mutex_unlock(&slots->mutex);
	return err;
}

static void slots_move(struct slots *slots, int64_t machine_id, enum slot_state from, enum slot_state to)
{
	struct slot *slot = slots_lock_find(slots, machine_id);

	assert(slot && slot->state == from);
	slot->state = to;
	if (to == SLOT_CLOSED)
		pthread_cond_broadcast(&slots->closed);
	pthread_mutex_unlock(&slots->mutex);
}

void slots_open_end(struct slots *slots, int64_t machine_id, bool open)
{
	slots_move(slots, machine_id, SLOT_OPENING, open ? SLOT_OPEN : SLOT_CLOSED);
}

void slots_close_begin(struct slots *slots, int64_t machine_id)
{
	slots_move(slots, machine_id, SLOT_OPEN, SLOT_CLOSING);
}

void slots_close_end(struct slots *slots, int64_t machine_id)
{
	slots_move(slots, machine_id, SLOT_CLOSING, SLOT_CLOSED);
}

bool slots_is_closed(struct slots *slots, int64_t machine_id)
{
	struct slot *slot = slots_lock_find(slots, machine_id);
	bool closed;

	closed = !slot || slot->state == SLOT_CLOSED;
	pthread_mutex_unlock(&slots->mutex);
	return closed;
}

int slots_claim(struct slots *slots, int64_t machine_id)
{
	struct slot *slot = slots_lock_get(slots, machine_id);
	int err = 0;

	if (!slot)
		err = -ENOMEM;
	else if (slot->claimed)
		err = -EBUSY;
	else
		slot->claimed = true;
	pthread_mutex_unlock(&slots->mutex);
	return err;
}

void slots_unclaim(struct slots *slots, int64_t machine_id)
{
	struct slot *slot = slots_lock_find(slots, machine_id);

	assert(slot && slot->claimed);
	slot->claimed = false;
	pthread_mutex_unlock(&slots->mutex);
}

bool slots_is_claimed(struct slots *slots, int64_t machine_id)
{
	struct slot *slot = slots_lock_find(slots, machine_id);
	bool claimed;

	claimed = slot && slot->claimed;
	pthread_mutex_unlock(&slots->mutex);
	return claimed;
}

int slots_wait_closed(struct slots *slots, int64_t machine_id, unsigned timeout_ms)
{
	struct timespec until = time_monotonic_in(timeout_ms);
	struct slot *slot;
	int err = 0;

	pthread_mutex_lock(&slots->mutex);
	while ((slot = slots_find(slots, machine_id)) && slot->state != SLOT_CLOSED && !err)
		err = -pthread_cond_timedwait(&slots->closed, &slots->mutex, &until);
	pthread_mutex_unlock(&slots->mutex);
	return err;
}

void slots_forget(struct slots *slots, int64_t machine_id)
{
	pthread_mutex_lock(&slots->mutex);
	for (struct slot **at = &slots->buckets[(uint64_t)machine_id % SLOT_BUCKETS]; *at; at = &(*at)->next) {
		struct slot *slot = *at;

		if (slot->machine_id != machine_id)
			continue;
		assert(slot->claimed && slot->state == SLOT_CLOSED);
		*at = slot->next;
		free(slot);
		break;
	}
	pthread_mutex_unlock(&slots->mutex);
}

void slots_set_ephemeral(struct slots *slots, int64_t machine_id, bool ephemeral)
{
	struct slot *slot = slots_lock_get(slots, machine_id);

	if (slot)
		slot->ephemeral = ephemeral;
	pthread_mutex_unlock(&slots->mutex);
}

bool slots_ephemeral(struct slots *slots, int64_t machine_id)
{
	struct slot *slot = slots_lock_find(slots, machine_id);
	bool ephemeral;

	ephemeral = slot && slot->ephemeral;
	pthread_mutex_unlock(&slots->mutex);
	return ephemeral;
}

void slots_set_refused(struct slots *slots, int64_t machine_id, const char *why)
{
	struct slot *slot = slots_lock_get(slots, machine_id);

	if (slot)
		snprintf(slot->refused, sizeof(slot->refused), "%s", why);
	pthread_mutex_unlock(&slots->mutex);
}

bool slots_refused(struct slots *slots, int64_t machine_id, char *why, size_t why_size)
{
	struct slot *slot = slots_lock_find(slots, machine_id);
	bool refused;

	refused = slot && slot->refused[0];
	if (refused)
		snprintf(why, why_size, "%s", slot->refused);
	pthread_mutex_unlock(&slots->mutex);
	return refused;
}

bool slots_count_session(struct slots *slots, int64_t machine_id, bool began)
{
	struct slot *slot = slots_lock_get(slots, machine_id);
	bool edge = false;

	if (slot && began) {
		slot->resume_until_ms = 0;
		slot->refused[0] = '\0';
		edge = slot->sessions++ == 0;
	} else if (slot && slot->sessions) {
		edge = --slot->sessions == 0;
	}
	pthread_mutex_unlock(&slots->mutex);
	return edge;
}

void slots_set_resume(struct slots *slots, int64_t machine_id, uint64_t until_ms)
{
	struct slot *slot = slots_lock_get(slots, machine_id);

	if (slot)
		slot->resume_until_ms = until_ms;
	pthread_mutex_unlock(&slots->mutex);
}

unsigned slots_resume_left_ms(struct slots *slots, int64_t machine_id)
{
	uint64_t now = time_monotonic_ms(), until;
	struct slot *slot = slots_lock_find(slots, machine_id);

	until = slot ? slot->resume_until_ms : 0;
	pthread_mutex_unlock(&slots->mutex);
	return until > now ? (unsigned)(until - now) : 0;
}

void slots_note_begun(struct slots *slots, int64_t machine_id, uint64_t number)
{
	struct slot *slot = slots_lock_get(slots, machine_id);

	if (slot)
		slot->begun = number;
	pthread_mutex_unlock(&slots->mutex);
}

bool slots_take_begun(struct slots *slots, int64_t machine_id, uint64_t number)
{
	struct slot *slot = slots_lock_find(slots, machine_id);
	bool taken;

	taken = slot && slot->begun && slot->begun == number;
	if (taken)
		slot->begun = 0;
	pthread_mutex_unlock(&slots->mutex);
	return taken;
}

bool slots_event_due(struct slots *slots, int64_t machine_id, enum slot_event event, unsigned burst,
		     unsigned interval_ms)
{
	uint64_t now = time_monotonic_ms();
	struct slot *slot = slots_lock_get(slots, machine_id);
	bool due = false;

	if (slot && (!slot->events[event].since_ms || now - slot->events[event].since_ms >= interval_ms)) {
		slot->events[event].since_ms = now;
		slot->events[event].count = 0;
	}
	if (slot && slot->events[event].count < burst) {
		slot->events[event].count++;
		due = true;
	}
	pthread_mutex_unlock(&slots->mutex);
	return due;
}
