// SPDX-License-Identifier: GPL-2.0-or-later
/* What is known in memory of machines: see slot.h. */
#include "slot.h"

#include "base/util.h"

#include <stdio.h>

struct slot {
	struct id_entry entry; /* by the machine's id */
	bool ephemeral;
	uint64_t begun; /* 0: none */
	unsigned sessions;
	char refused[200];	  /* "": not since the last session */
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
}

void slots_fini(struct slots *slots)
{
	id_table_fini(&slots->table);
	pthread_mutex_destroy(&slots->mutex);
}

/* With the mutex taken. NULL: there is none. */
static struct slot *slots_lock_find(struct slots *slots, int64_t machine_id)
{
	pthread_mutex_lock(&slots->mutex);
	return id_table_find(&slots->table, machine_id);
}

/* The same. NULL: no memory. */
static struct slot *slots_lock_get(struct slots *slots, int64_t machine_id)
{
	pthread_mutex_lock(&slots->mutex);
	return id_table_get(&slots->table, machine_id, sizeof(struct slot));
}

void slots_forget(struct slots *slots, int64_t machine_id)
{
	pthread_mutex_lock(&slots->mutex);
	id_table_remove(&slots->table, machine_id);
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

bool slots_refused(struct slots *slots, int64_t machine_id, struct reason *why)
{
	struct slot *slot = slots_lock_find(slots, machine_id);
	bool refused;

	refused = slot && slot->refused[0];
	if (refused)
		reason_set(why, "%s", slot->refused);
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
