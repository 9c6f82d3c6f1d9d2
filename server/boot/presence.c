// SPDX-License-Identifier: GPL-2.0-or-later
/* What is known in memory of machines: see presence.h. */
#include "presence.h"

#include "base/util.h"

#include <stdio.h>

struct presence {
	struct id_entry entry; /* by the machine's id */
	bool begins_closed, reopens;
	uint64_t begun; /* 0: none */
	unsigned sessions;
	char refused[200];	  /* "": not since the last session */
	uint64_t resume_until_ms; /* 0: none */
	struct {
		uint64_t since_ms; /* monotonic; 0: none yet */
		unsigned count;
	} events[PRESENCE_EVENTS];
};

void presence_init(struct presence_table *table)
{
	*table = (struct presence_table){ 0 };
	pthread_mutex_init(&table->mutex, NULL);
}

void presence_fini(struct presence_table *table)
{
	id_table_fini(&table->machines);
	pthread_mutex_destroy(&table->mutex);
}

/* With the mutex taken. NULL: there is none. */
static struct presence *presence_lock_find(struct presence_table *table, int64_t machine_id)
{
	pthread_mutex_lock(&table->mutex);
	return id_table_find(&table->machines, machine_id);
}

/* The same. NULL: no memory. */
static struct presence *presence_lock_get(struct presence_table *table, int64_t machine_id)
{
	pthread_mutex_lock(&table->mutex);
	return id_table_get(&table->machines, machine_id, sizeof(struct presence));
}

void presence_forget(struct presence_table *table, int64_t machine_id)
{
	pthread_mutex_lock(&table->mutex);
	id_table_remove(&table->machines, machine_id);
	pthread_mutex_unlock(&table->mutex);
}

void presence_set_begins_closed(struct presence_table *table, int64_t machine_id, bool begins_closed)
{
	struct presence *presence = presence_lock_get(table, machine_id);

	if (presence)
		presence->begins_closed = begins_closed;
	pthread_mutex_unlock(&table->mutex);
}

void presence_set_reopens(struct presence_table *table, int64_t machine_id, bool reopens)
{
	struct presence *presence = presence_lock_get(table, machine_id);

	if (presence)
		presence->reopens = reopens;
	pthread_mutex_unlock(&table->mutex);
}

bool presence_begins_closed(struct presence_table *table, int64_t machine_id)
{
	struct presence *presence = presence_lock_find(table, machine_id);
	bool begins_closed;

	begins_closed = presence && (presence->begins_closed || presence->reopens);
	pthread_mutex_unlock(&table->mutex);
	return begins_closed;
}

void presence_set_refused(struct presence_table *table, int64_t machine_id, const char *why)
{
	struct presence *presence = presence_lock_get(table, machine_id);

	if (presence)
		snprintf(presence->refused, sizeof(presence->refused), "%s", why);
	pthread_mutex_unlock(&table->mutex);
}

bool presence_refused(struct presence_table *table, int64_t machine_id, struct reason *why)
{
	struct presence *presence = presence_lock_find(table, machine_id);
	bool refused;

	refused = presence && presence->refused[0];
	if (refused)
		reason_set(why, "%s", presence->refused);
	pthread_mutex_unlock(&table->mutex);
	return refused;
}

bool presence_count_session(struct presence_table *table, int64_t machine_id, bool began)
{
	struct presence *presence = presence_lock_get(table, machine_id);
	bool edge = false;

	if (presence && began) {
		presence->resume_until_ms = 0;
		presence->refused[0] = '\0';
		edge = presence->sessions++ == 0;
	} else if (presence && presence->sessions) {
		edge = --presence->sessions == 0;
	}
	pthread_mutex_unlock(&table->mutex);
	return edge;
}

void presence_set_resume(struct presence_table *table, int64_t machine_id, uint64_t until_ms)
{
	struct presence *presence = presence_lock_get(table, machine_id);

	if (presence)
		presence->resume_until_ms = until_ms;
	pthread_mutex_unlock(&table->mutex);
}

unsigned presence_resume_left_ms(struct presence_table *table, int64_t machine_id)
{
	uint64_t now = time_monotonic_ms(), until;
	struct presence *presence = presence_lock_find(table, machine_id);

	until = presence ? presence->resume_until_ms : 0;
	pthread_mutex_unlock(&table->mutex);
	return until > now ? (unsigned)(until - now) : 0;
}

void presence_note_begun(struct presence_table *table, int64_t machine_id, uint64_t number)
{
	struct presence *presence = presence_lock_get(table, machine_id);

	if (presence)
		presence->begun = number;
	pthread_mutex_unlock(&table->mutex);
}

bool presence_take_begun(struct presence_table *table, int64_t machine_id, uint64_t number)
{
	struct presence *presence = presence_lock_find(table, machine_id);
	bool taken;

	taken = presence && presence->begun && presence->begun == number;
	if (taken)
		presence->begun = 0;
	pthread_mutex_unlock(&table->mutex);
	return taken;
}

bool presence_event_due(struct presence_table *table, int64_t machine_id, enum presence_event event, unsigned burst,
			unsigned interval_ms)
{
	uint64_t now = time_monotonic_ms();
	struct presence *presence = presence_lock_get(table, machine_id);
	bool due = false;

	if (presence && (!presence->events[event].since_ms || now - presence->events[event].since_ms >= interval_ms)) {
		presence->events[event].since_ms = now;
		presence->events[event].count = 0;
	}
	if (presence && presence->events[event].count < burst) {
		presence->events[event].count++;
		due = true;
	}
	pthread_mutex_unlock(&table->mutex);
	return due;
}
