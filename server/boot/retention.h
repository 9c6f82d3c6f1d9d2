/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What goes by itself, by the rules of the policy (inventory/keep.h): what has been in the trash long enough, old
 * snapshots and disks of ephemeral machines, versions that nobody gets any more, machines that nobody has seen. Every ten
 * minutes; never what somebody needs; and not within RETENTION_GRACE_MS of a change of a rule, so that one can be taken
 * back. Blocking, for HTTP's own threads and workers.
 */
#ifndef BOOT_RETENTION_H
#define BOOT_RETENTION_H

#include "base/reason.h"
#include "inventory/inventory.h"

struct boot;

enum { RETENTION_GRACE_MS = 10 * 60 * 1000, RETENTION_WHY_TEXT = 240, RETENTION_RULE_TEXT = 64 };

/* In the order in which they go. Those up to RETENTION_POINT may go early where room is short. */
enum retention_kind {
	RETENTION_TRASH,     /* a machine in the trash, with its disk */
	RETENTION_EPHEMERAL, /* the disk that an ephemeral boot left */
	RETENTION_POINT,     /* a snapshot that the server took, before a boot or a restore */
	RETENTION_SNAPSHOT,  /* a snapshot that a person took */
	RETENTION_VERSION,   /* of an image */
	RETENTION_IDLE,	     /* a machine that nobody has seen: it goes to the trash */
	RETENTION_KINDS
};
const char *retention_kind_name(enum retention_kind kind); /* "trash", "ephemeral-disk", ... */

enum retention_outcome { RETENTION_WAITS, RETENTION_GONE, RETENTION_REFUSED };

struct retention_item {
	/* facts */
	enum retention_kind kind;
	int64_t id;		   /* of the machine, the snapshot or the version */
	int64_t owner_id;	   /* of whose things the last ones stay: the volume's; 0: owner tells */
	char owner[NAME_MAX_TEXT]; /* the machine, the volume or the image */
	char label[NAME_MAX_TEXT]; /* of a snapshot; "" */
	unsigned number;	   /* of a version */
	int64_t since_ms;	   /* from when on its time counts */
	uint64_t bytes;		   /* of the file system, that come back at once */
	bool stood_on;		   /* of a snapshot: what it holds goes once nothing stands on it */
	bool in_turn;		   /* of a version: new machines get it, or may be to get it: none of the old ones */
	char needed[RETENTION_WHY_TEXT]; /* why no rule may take it; "": one may */
	/* the plan */
	int64_t due_ms;			/* 0: it stays */
	bool early;			/* for want of room, before its time */
	char rule[RETENTION_RULE_TEXT]; /* "trash=7d" */
	char why[RETENTION_WHY_TEXT];	/* it goes, or stays; after a run that was refused: why */
	/* what became of it */
	enum retention_outcome outcome;
};

struct retention {
	int64_t now_ms;
	int64_t changed_ms;			     /* a rule changed last then; 0: never */
	int64_t grace_ms;			     /* nothing goes by itself before then; 0: nothing to wait for */
	uint64_t total_bytes, free_bytes, low_bytes; /* of the file system; low_bytes 0: no low-space rule */
	struct policy policy;
	struct retention_item *list; /* what goes first comes first, what stays last */
	unsigned count;
	unsigned due; /* so many of them go at the next run: those that are due by grace_ms, too */
	uint64_t due_bytes;
	/* of a run */
	unsigned gone, refused;
	uint64_t gone_bytes;
	bool unfinished; /* its time was over before it was through */
};

/* What would go, when, and why the rest stays. 0 or -errno; retention_fini in any case. */
int boot_plan_retention(struct boot *boot, struct retention *plan, struct reason *reason);
/*
 * Does what is due, without waiting for the grace, for limit_ms at most (0: until all is done). The plan, with what became
 * of each item.
 */
int boot_run_retention(struct boot *boot, const char *actor, unsigned limit_ms, struct retention *plan,
		       struct reason *reason);
void retention_fini(struct retention *plan);
/* The chore: does what is due, unless a rule changed a short while ago. */
void boot_retention_chore(struct boot *boot);

#endif
