/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the inventory says of an asker, in one lookup. Inside a read or a write job. Private to boot/. */
#ifndef BOOT_LOOKUP_H
#define BOOT_LOOKUP_H

#include "ask.h"
#include "boot/internal.h"
#include "decide.h"
#include "twin.h"
#include "want.h"

struct lookup {
	struct decide_facts facts;
	struct policy policy;
	struct machine machine;	      /* facts.known: its own; facts.twin: the one in question; else id 0 */
	struct image_version version; /* known: what its child was made from; else what a new one gets; id 0: none */
	struct machine_group group;   /* not known: that it comes into; id 0: none */
	bool shared;		      /* the MAC is one of several machines, and so has no address of its own */
	bool waits;
	struct waiting waiting;		      /* its row, where waits */
	struct machine_boot current, pending; /* of machine; number 0: none */
	int priority;			      /* known: its group's */
	struct want want;		      /* known */
	int64_t probed_id,
		running_id;	   /* the machine that was asked whether it runs, and the same if it does; 0: none */
	char card[PARSE_MAC_TEXT]; /* facts.twin: the network card that says so; "": its UUID or serial number */
	struct twin_proofs proofs; /* of what asker had in common with others; taken out of it */
};

/*
 * stranger, no_space, probed_id, running_id and proofs are kept as the caller set them, everything else is filled in. What
 * is no identity is taken out of asker. 0 or -errno.
 */
int lookup_make(struct boot *boot, struct inventory_tx *tx, struct asker *asker, struct lookup *lookup);

#endif
