/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machines in maintenance (MODE_MAINTENANCE). Inside a job, like everything of inventory.h.
 *
 *                        before     in maintenance          after
 *     its LUN 0          own        work, over a version    own
 *     put aside                     own
 *     image                                                 work is a version, unless it was given up
 *
 * What is put aside is a system volume that no machine has, with its snapshots, as in the trash. A machine has mode
 * MODE_MAINTENANCE where, and only where, it has a row here.
 */
#ifndef INVENTORY_MAINTENANCE_H
#define INVENTORY_MAINTENANCE_H

#include "inventory/inventory.h"

struct maintenance {
	int64_t machine_id;
	int64_t volume_id;	/* its own system volume */
	enum machine_mode mode; /* its own */
	int64_t instance;	/* machine.instance with that volume */
	int64_t began_ms;
	char began_by[ACTOR_TEXT];
};

int maintenance_of(struct inventory_tx *tx, int64_t machine_id, struct maintenance *maintenance); /* -ENOENT */
/* In order of machine; aside: its own system volume. each returns 0 to go on. */
int maintenance_each(struct inventory_tx *tx,
		     int (*each)(void *arg, const struct maintenance *maintenance, const struct volume *aside),
		     void *arg);
/* How many other machines are in maintenance on a version of this image; *name: one of them, where there are some. */
int maintenance_count_others(struct inventory_tx *tx, const char *image, int64_t machine_id, unsigned *count,
			     char name[NAME_MAX_TEXT]);

/* The machine has work as its system volume from now on, which is inserted; its own is put aside. *machine: as it is then. */
int maintenance_begin(struct inventory_tx *tx, struct machine *machine, struct volume *work, const char *actor);
/*
 * It has its own one again, in this mode, and what it worked on is deleted: its objects are given up. *machine: as it is then.
 * -ENOENT: it is in no maintenance.
 */
int maintenance_end(struct inventory_tx *tx, struct machine *machine, enum machine_mode mode);

#endif
