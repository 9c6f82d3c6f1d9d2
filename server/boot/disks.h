/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which volumes are closed, opening, open or closing as disks, and which of them a person's change has claimed. Only
 * volumes that one machine has; shared ones are counted in store/. Private to boot/.
 *
 *              disks_open_begin         disks_open_end(true)         disks_close_begin
 *     closed ------------------> opening ------------------> open -------------------> closing
 *       ^  ^                        | disks_open_end(false)                               | disks_close_end
 *       |  +------------------------+                                                     |
 *       +---------------------------------------------------------------------------------+
 *
 * A claim is independent of the state: it refuses new openings and new boots; its owner then waits until the disk is
 * closed.
 *
 * Loops and HTTP's threads share it: one mutex guards all of it, held for a few instructions; nothing waits under it
 * but disks_wait_closed (a condition variable, never on a loop). An entry lives until disks_forget.
 */
#ifndef BOOT_DISKS_H
#define BOOT_DISKS_H

#include "id_table.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct disks {
	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t closed; /* some disk has been closed */
	struct id_table uses;
};

void disks_init(struct disks *disks);
void disks_fini(struct disks *disks);

/* 0; -EBUSY: claimed, or not closed; -ENOMEM. */
int disks_open_begin(struct disks *disks, int64_t volume_id);
void disks_open_end(struct disks *disks, int64_t volume_id, bool open);
void disks_close_begin(struct disks *disks, int64_t volume_id);
void disks_close_end(struct disks *disks, int64_t volume_id);
/* Nothing is open or about to be. */
bool disks_is_closed(struct disks *disks, int64_t volume_id);
/* Its files are being looked up by their names just now. */
bool disks_is_opening(struct disks *disks, int64_t volume_id);

/* Of one that is opening: what its object is (store_check_volume). */
void disks_set_object(struct disks *disks, int64_t volume_id, uint64_t identity);
/* False: it is not open, or disks_told was said since it was opened. */
bool disks_open_object(struct disks *disks, int64_t volume_id, uint64_t *identity);
/* Somebody has been told that something is wrong with its object. */
void disks_told(struct disks *disks, int64_t volume_id);

/* 0; -EBUSY: somebody else has it; -ENOMEM. */
int disks_claim(struct disks *disks, int64_t volume_id);
void disks_unclaim(struct disks *disks, int64_t volume_id);
bool disks_is_claimed(struct disks *disks, int64_t volume_id);
/* 0; -ETIMEDOUT. Blocks: not on a loop. */
int disks_wait_closed(struct disks *disks, int64_t volume_id, unsigned timeout_ms);
/* The volume is gone. Closed, and claimed by the caller. */
void disks_forget(struct disks *disks, int64_t volume_id);

#endif
