/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last disks of an ephemeral machine, kept as snapshots for a while: to find out why a boot went wrong. Private to boot/.
 */
#ifndef BOOT_LEFT_DISK_H
#define BOOT_LEFT_DISK_H

#include "boot/internal.h"

/*
 * Inside the write job that begins boot `number` of an ephemeral machine, before its system volume begins anew: where policy
 * says so (keep-ephemeral), and it was used and closed in order, its disk becomes a snapshot, and older ones go. left: its
 * id is set, and its label; id 0: it is not kept. 0 or -errno of the inventory.
 */
struct snapshot;
int left_disk_keep(struct boot *boot, struct inventory_tx *tx, const struct machine *machine, uint64_t number,
		   struct snapshot *left);
/* Once that is committed: it is made durable, on a worker, and the files go of those that went. */
void left_disk_settle(struct boot *boot, const struct volume *system, const struct snapshot *left);
/* The same of those that were kept when the server died. Blocking, not on a loop. */
void boot_settle_left_disks(struct boot *boot);

#endif
