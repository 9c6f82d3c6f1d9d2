/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known in memory of each machine: its sessions, its last refusal, the boot that began last, and when which
 * event was last recorded, so that a flood is not. Private to boot/.
 *
 * Loops and HTTP's threads share it: one mutex guards all of it, held for a few instructions; nothing waits under it. A
 * slot lives until slots_forget.
 */
#ifndef BOOT_SLOT_H
#define BOOT_SLOT_H

#include "id_table.h"

#include "base/reason.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum slot_event {
	SLOT_SANBOOT_FAILED,
	SLOT_REFUSED,
	SLOT_SESSION,
	SLOT_VOLUME,
	SLOT_SPACE,
	SLOT_GOLDEN,
	SLOT_FLOOD,
	SLOT_STUCK,
	SLOT_EVENTS
};

struct slots {
	pthread_mutex_t mutex; /* guards all below */
	struct id_table table;
};

void slots_init(struct slots *slots);
void slots_fini(struct slots *slots);

/* The machine is gone. */
void slots_forget(struct slots *slots, int64_t machine_id);

/* begin of an ephemeral machine replaces its child. */
void slots_set_ephemeral(struct slots *slots, int64_t machine_id, bool ephemeral);
bool slots_ephemeral(struct slots *slots, int64_t machine_id);

/* Why its last login was refused, for its screen; a session that begins ends that. Cut to what fits. */
void slots_set_refused(struct slots *slots, int64_t machine_id, const char *why);
/* False: it was not. */
bool slots_refused(struct slots *slots, int64_t machine_id, struct reason *why);

/*
 * A session began or ended. True: it is the first, or was the last. A beginning one ends the time of slots_set_resume.
 */
bool slots_count_session(struct slots *slots, int64_t machine_id, bool began);
/* The machine ran when the server stopped, and has until then (time_monotonic_ms; 0: no more) to come back. */
void slots_set_resume(struct slots *slots, int64_t machine_id, uint64_t until_ms);
/* How much of it is left; 0: nothing is awaited. */
unsigned slots_resume_left_ms(struct slots *slots, int64_t machine_id);

/* The boot that this process began last and whose disk has not been opened since; take: true once, for that boot. */
void slots_note_begun(struct slots *slots, int64_t machine_id, uint64_t number);
bool slots_take_begun(struct slots *slots, int64_t machine_id, uint64_t number);

/*
 * True where an event of this kind may be recorded: at most burst of them in interval_ms. Machine 0: those that belong
 * to no machine.
 */
bool slots_event_due(struct slots *slots, int64_t machine_id, enum slot_event event, unsigned burst,
		     unsigned interval_ms);

#endif
