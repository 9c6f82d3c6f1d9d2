/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state of a machine's disk before a boot, kept as a snapshot. Private to boot/. */
#ifndef BOOT_RESTORE_POINT_H
#define BOOT_RESTORE_POINT_H

#include "boot/internal.h"

/*
 * Inside the write job that begins boot `number` of a persistent machine: where it keeps restore points, and has written
 * something since the last one, its system volume goes on in a new object, which is *made (deleted again where the commit
 * fails), and older points go. Where none can be taken (no room, layers too deep, not closed in order) the boot begins
 * without, and an event says why. 0, or -errno of the inventory.
 */
int boot_take_restore_point(struct boot *boot, struct inventory_tx *tx, struct machine *machine, uint64_t number,
			    struct volume *made);

#endif
