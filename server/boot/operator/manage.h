/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files behind the operator's functions share. Blocking: HTTP's own threads, never a loop. Private
 * to boot/.
 */
#ifndef BOOT_MANAGE_H
#define BOOT_MANAGE_H

#include "base/reason.h"
#include "boot/internal.h"
#include "member_luns.h"

/* A machine that goes by a rule of the policy (boot/retention.h). */
struct manage_expiry {
	int64_t id;
	int64_t since_ms; /* seen last, or put into the trash, then: else it stays (-ENOENT) */
	const char *why;  /* for the event */
	int (*check)(struct inventory_tx *tx, void *arg); /* first in the write job: 0, or it stays */
	void *arg;
};

/* One thing that a person asked for, as a job. */
struct manage {
	struct boot *boot;
	const char *actor;
	struct reason *reason;	/* the caller's */
	struct machine machine; /* in: whose id; out: as it is afterwards */
	/* what the functions were given; NULL where they have no such thing */
	const char *which, *name, *image, *group, *key, *value;
	bool add;
	bool shared;			    /* the MAC is one of a dock or an adapter */
	uint64_t size_bytes;		    /* size=, taken apart */
	bool for_good, kept;		    /* remove: past the trash; whether it is there */
	const struct manage_expiry *expiry; /* remove: it goes by itself; NULL: a person wants it */
	bool grew_online;		    /* under sessions, which have to look again */
	bool begins_closed;		    /* set: boot_begins_closed */
	struct member_luns luns;	    /* set, and groups: what comes and goes by a group */
	char mac[PARSE_MAC_TEXT];
	/* made in the job: its object is deleted again where the commit fails; and one that the commit gave up */
	struct volume made, given_up;
	int64_t claimed; /* the volume: m->machine may have another one by then */
	struct inventory_job job;
};

/* Runs it as a write job, waits, cleans up objects. A failure without a sentence gets one. */
int manage_write(struct manage *m, int (*run)(struct inventory_tx *tx, struct inventory_job *job));
/* m->machine by name, MAC or "#id". -ENOENT with a sentence. */
int manage_find(struct manage *m, const char *machine);
/*
 * m->machine is not running, its disk is closed, and nobody can log in until manage_end_exclusive. -EBUSY with who runs
 * where since when and what to do. A session that does not answer within 5 s is reaped; a running machine is not
 * disturbed.
 */
int manage_begin_exclusive(struct manage *m);
/* Its two halves, for a volume of m->machine that is claimed in between: does it run; its volumes are closed. */
int manage_refuse_if_running(struct manage *m);
int manage_close(struct manage *m, int64_t volume_id);
void manage_end_exclusive(struct manage *m);

/* One that nobody has seen goes to the trash, never straight away. As boot_remove; -ENOENT: it was seen meanwhile. */
int boot_remove_idle(struct boot *boot, const struct manage_expiry *expiry, const char *actor, struct reason *reason);

/* NAME (its newest published version) or NAME@V. Inside a job. -ENOENT or -EINVAL with a sentence. */
int manage_find_version(struct manage *m, struct inventory_tx *tx, const char *image, struct image_version *version);
/*
 * What a new machine comes into and gets, where a person names it or not (NULL): the group, else the policy's; the image, else that
 * group's, else the default one. Inside a job. -ENOENT or -EINVAL with a sentence.
 */
int manage_find_group(struct manage *m, struct inventory_tx *tx, const char *name, const struct policy *policy,
		      struct machine_group *group);
int manage_version_for_new(struct manage *m, struct inventory_tx *tx, const char *image,
			   const struct machine_group *group, struct image_version *version);
/*
 * The object of volume as one that can become a version, whatever it stands on: a copy without layers, or (whole) also without the
 * versions below it that were promoted. In volume, which is no row; whoever is done with it deletes it. 0 or -errno with a sentence.
 */
int manage_copy_for_version(struct manage *m, struct volume *volume, bool whole);
/* What a reset gives: the newest published version of the same image; the same again where none is published. */
int manage_newest_version(struct inventory_tx *tx, int64_t version_id, struct image_version *version);
/* The system volume of m->machine begins anew from version. Inside a write job. */
int manage_renew_system(struct manage *m, struct inventory_tx *tx, const struct image_version *version);
/* m->value as the name of a set of boot files, or the word none, which becomes "". -EINVAL with a sentence. */
int manage_take_boot_set(struct manage *m, const char *none, char set[BOOT_SET_TEXT]);
/* m->mac is shared from now on, or no longer. Inside a write job. -EINVAL, -EBUSY, -ENOENT with a sentence. */
int manage_share_mac(struct manage *m, struct inventory_tx *tx);
/*
 * m->mac becomes the only MAC of m->machine, which takes over what row (NULL: not known) says of its hardware. Inside a
 * write job.
 */
int manage_swap_hardware(struct manage *m, struct inventory_tx *tx, const struct waiting *row);

#endif
