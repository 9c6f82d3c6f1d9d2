/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots of volumes. Inside a job, like everything of inventory.h. A snapshot that is removed stays, without being
 * found by its label, as long as a volume or another snapshot stands on it; volume_update and snapshot_remove let go
 * of what nothing stands on any more. What stands on it may be another volume (a clone of its machine): with the volume whose
 * snapshot it is it then becomes that one's, removed.
 */
#ifndef INVENTORY_SNAPSHOT_H
#define INVENTORY_SNAPSHOT_H

#include "inventory/inventory.h"

struct snapshot {
	int64_t id;
	int64_t volume_id;
	char label[NAME_MAX_TEXT];  /* unique among those of its volume that are not removed, whatever its case */
	char object[NAME_MAX_TEXT]; /* in its volume's backend: what the volume was */
	int64_t parent_id;	    /* the snapshot that its object stands on; 0: none */
	int64_t version_id;	    /* as volume.version_id was; 0: none */
	uint64_t size_bytes;	    /* of the disk */
	bool automatic;		    /* made by a restore or a rollout, of what was there before */
	bool removed;
	int64_t created_ms;
	uint64_t boot;	  /* a restore point: the number of the boot before which it was taken; 0: it is none */
	uint64_t left_by; /* the number of the ephemeral boot whose disk it was; 0: of none */
	bool unsynced;	  /* of such a disk, which nobody has synced: it is lost with the server's power */
};

int snapshot_by_id(struct inventory_tx *tx, int64_t id, struct snapshot *snapshot); /* -ENOENT */
int snapshot_find(struct inventory_tx *tx, int64_t volume_id, const char *label,
		  struct snapshot *snapshot); /* -ENOENT */
/* Of a volume, or (0) of all; in order of volume and id, the removed as well. each returns 0 to go on. */
int snapshot_each(struct inventory_tx *tx, int64_t volume_id, int (*each)(void *arg, const struct snapshot *snapshot),
		  void *arg);
/* id and created_ms are set. -EEXIST: the label is taken; -EINVAL: snapshot_label_valid. */
int snapshot_insert(struct inventory_tx *tx, struct snapshot *snapshot);
/* Marks it. *stays: something stands on it still. -ENOENT. */
int snapshot_remove(struct inventory_tx *tx, int64_t id, bool *stays);
/* People go back again and again: of the automatic ones of a volume only the last three stay, and `wanted`. */
int snapshot_keep_automatic(struct inventory_tx *tx, int64_t volume_id, int64_t wanted);
/* Marks all restore points of a volume but the last `keep`; all disks that ephemeral boots left but the last. */
int snapshot_keep_points(struct inventory_tx *tx, int64_t volume_id, unsigned keep);
int snapshot_keep_left(struct inventory_tx *tx, int64_t volume_id, unsigned keep);
/* Its object is durable by now. */
int snapshot_set_synced(struct inventory_tx *tx, int64_t id);
/* The host's power may have been lost: marks those that are unsynced. How many, or -errno. */
int snapshot_lose_unsynced(struct inventory_tx *tx);

/*
 * A removed snapshot that stays, as one other snapshot stands on it, and that itself stands on no snapshot: what both hold can
 * become one object. At most one volume stands on them, as who opens one meanwhile would miss an object.
 */
struct snapshot_pair {
	struct snapshot lower, upper;
	int64_t above_id; /* that volume, which may be another than whose snapshots they are; 0: none */
};
/* The first pair of all, of volumes (upper's) whose id is above after. -ENOENT: there is none. */
int snapshot_find_pair(struct inventory_tx *tx, int64_t after, struct snapshot_pair *pair);
/* The object of upper holds all of both by now: lower goes. -ESTALE: they are no pair any more, or another volume stands on them. */
int snapshot_join_pair(struct inventory_tx *tx, const struct snapshot_pair *pair);
/* As a volume's name. */
bool snapshot_label_valid(const char *label);

#endif
