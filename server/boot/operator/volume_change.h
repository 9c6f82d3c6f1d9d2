/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One thing that a person asked of a volume: what was asked, what was found, and what each such change begins and ends
 * with. Blocking: HTTP's own threads. Private to boot/.
 */
#ifndef BOOT_VOLUME_CHANGE_H
#define BOOT_VOLUME_CHANGE_H

#include "base/reason.h"
#include "boot/internal.h"

enum { CALLED_TEXT = NAME_MAX_TEXT + 16 };

struct volume_change {
	struct boot *boot;
	const char *actor;
	struct reason *reason; /* the caller's; after success: what to do next, or "" */
	/* what was asked; NULL where there is no such thing */
	const char *volume_text, *machine_text, *key, *value;
	const struct boot_volume_new *create;
	int wanted_lun; /* -1: any */
	bool any_kind;	/* system volumes, too */
	uint64_t size_bytes;
	/* what was found */
	struct volume volume;
	struct machine machine; /* that was named, or that has it */
	struct machine holder;
	struct machine_group of_group; /* that gives it to machine; id 0: none does */
	struct image_version version;
	struct policy policy;
	unsigned lun, holders;
	bool attached; /* to machine, as lun */
	/* made in the job: its object is deleted again where the commit fails; and one that the commit gave up */
	struct volume made, given_up;
};

/* Runs it as a write job. A failure without a sentence gets one; what was made for it goes, or what it gave up. */
int change_write(struct volume_change *c, int (*run)(struct inventory_tx *tx, void *arg));
/* How the volume is called where people read of it. Returns out. */
const char *change_called(const struct volume_change *c, char out[CALLED_TEXT]);

/* Inside a job. 0 or -errno, -ENOENT and -EINVAL with a sentence. */
int change_find_machine(struct volume_change *c, struct inventory_tx *tx);
int change_find_volume(struct volume_change *c, struct inventory_tx *tx);

/* Who has the volume. */
struct holders {
	int64_t machine_id; /* the last; c->holder is that one */
	unsigned lun, count;
};
int change_find_holders(struct volume_change *c, struct inventory_tx *tx, struct holders *holders);

/* A job of its own: the volume, and the machine that was named or is the only one that has it. */
int change_read(struct volume_change *c);
/*
 * Claims the volume, and reads all of it again: what was read before the claim may have been attached elsewhere since.
 * Where it fails it is not claimed. disks_unclaim gives it back.
 */
int change_claim(struct volume_change *c);

#endif
