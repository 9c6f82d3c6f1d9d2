/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known in memory of each machine: its sessions, its last refusal, the boot that began last, and when each
 * kind of event was last recorded, so that a flood of them is not. Private to boot/.
 *
 * Loops and HTTP's threads share it: one mutex guards all of it, held for a few instructions; nothing waits under it. A
 * presence lives until presence_forget.
 */
#ifndef BOOT_PRESENCE_H
#define BOOT_PRESENCE_H

#include "id_table.h"

#include "base/reason.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum presence_event {
	PRESENCE_SANBOOT_FAILED,
	PRESENCE_REFUSED,
	PRESENCE_SESSION,
	PRESENCE_VOLUME,
	PRESENCE_SPACE,
	PRESENCE_GOLDEN,
	PRESENCE_FLOOD,
	PRESENCE_STUCK,
	PRESENCE_PORTALS,
	PRESENCE_EVENTS
};

struct presence_table {
	pthread_mutex_t mutex; /* guards all below */
	struct id_table machines;
};

void presence_init(struct presence_table *table);
void presence_fini(struct presence_table *table);

/* The machine is gone. */
void presence_forget(struct presence_table *table, int64_t machine_id);

/* What it has changes when a boot begins (ephemeral, restore points, templates): it is closed before that. */
void presence_set_begins_closed(struct presence_table *table, int64_t machine_id, bool begins_closed);
/* What it has open is not what its next boot gets (a who-am-i volume, one that its group has no more): likewise. */
void presence_set_reopens(struct presence_table *table, int64_t machine_id, bool reopens);
bool presence_begins_closed(struct presence_table *table, int64_t machine_id);

/* Why its last login was refused, for its screen; a session that begins ends that. */
void presence_set_refused(struct presence_table *table, int64_t machine_id, const char *why);
/* False: it was not. */
bool presence_refused(struct presence_table *table, int64_t machine_id, struct reason *why);

/*
 * A session began or ended. True: it is the first, or was the last. A beginning one ends the time of presence_set_resume.
 */
bool presence_count_session(struct presence_table *table, int64_t machine_id, bool began);
/* The machine ran when the server stopped, and has until then (time_monotonic_ms; 0: no more) to come back. */
void presence_set_resume(struct presence_table *table, int64_t machine_id, uint64_t until_ms);
/* How much of it is left; 0: nothing is awaited. */
unsigned presence_resume_left_ms(struct presence_table *table, int64_t machine_id);

/* The boot that this process began last and whose disk has not been opened since; take: true once, for that boot. */
void presence_note_begun(struct presence_table *table, int64_t machine_id, uint64_t number);
bool presence_take_begun(struct presence_table *table, int64_t machine_id, uint64_t number);

/*
 * True where an event of this kind may be recorded: at most burst of them in interval_ms. Machine 0: those that belong
 * to no machine.
 */
bool presence_event_due(struct presence_table *table, int64_t machine_id, enum presence_event event, unsigned burst,
			unsigned interval_ms);

#endif
