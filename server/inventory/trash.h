/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machines that were removed, and their disks. Inside a job, like everything of inventory.h. While a machine is here, its
 * name and its MACs are free for others, its system volume is attached to nobody, and its image version stays.
 */
#ifndef INVENTORY_TRASH_H
#define INVENTORY_TRASH_H

#include "inventory/inventory.h"

enum { TRASH_MACS_TEXT = 1024 };

struct trash_entry {
	int64_t id; /* the machine's */
	char name[NAME_MAX_TEXT];
	char macs[TRASH_MACS_TEXT]; /* with a space between */
	struct volume system;
	int64_t removed_ms;
	char removed_by[NAME_MAX_TEXT];
};

/* Instead of machine_delete. Its boots end, its events stay. -ENOENT. */
int trash_put(struct inventory_tx *tx, int64_t machine_id, const char *actor);
/* The last one of that name, or "#id". -ENOENT. */
int trash_find(struct inventory_tx *tx, const char *text, struct trash_entry *entry);
/* Oldest first. each returns 0 to go on. */
int trash_each(struct inventory_tx *tx, int (*each)(void *arg, const struct trash_entry *entry), void *arg);

struct trash_restored {
	struct machine machine;	      /* as it is again */
	char others[TRASH_MACS_TEXT]; /* MACs that are another machine's by now: it does not have them any more */
	unsigned volumes_lost;	      /* that are gone, or another machine's by now */
};

/*
 * The machine is back, with its id, target name and disk. name: "" the one that it had. -EEXIST: the name is taken;
 * -ENOENT: no such entry; -EADDRNOTAVAIL: all of its MACs are other machines' by now.
 */
int trash_restore(struct inventory_tx *tx, int64_t id, const char *name, struct trash_restored *restored);
/* For good, with its disk and its snapshots, whose objects are given up. -ENOENT. */
int trash_delete(struct inventory_tx *tx, int64_t id);
/* "7d", "12h", "none": seconds, 0 for none. False: it is none of these. */
bool trash_time_parse(const char *text, unsigned *seconds);

#endif
