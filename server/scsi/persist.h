/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a target keeps over a restart: saved mode parameters, and registrations with APTPL=1 (SPC-4 §5.13.5). Private
 * to scsi/.
 */
#ifndef SCSI_PERSIST_H
#define SCSI_PERSIST_H

#include <stdbool.h>

#include "scsi/lu.h"

/* Somebody who waits for a save: zeroed, embedded in what waits, and there until done has run. */
struct save_waiter {
	void (*done)(struct save_waiter *waiter, int err); /* 0 or -errno */
	struct save_waiter *next;
};

/* Can it keep anything? */
bool persist_possible(const struct scsi_target *target);
/*
 * Keeps the state as it is now, where that is possible. waiter (may be NULL: nobody waits) is told when it is durable,
 * perhaps inside the call. Saves that are asked for while one is under way are done together after it.
 */
void persist_save(struct scsi_target *target, struct save_waiter *waiter);
/* What was kept of a logical unit, into its saved_mode and reservations. A damaged blob is logged and left alone. */
void persist_load(struct scsi_lu *lu);

#endif
