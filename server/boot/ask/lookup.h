/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the inventory says of an asker, in one lookup. Inside a read or a write job. Private to boot/. */
#ifndef BOOT_LOOKUP_H
#define BOOT_LOOKUP_H

#include "ask.h"
#include "boot/internal.h"
#include "decide.h"
#include "want.h"

struct lookup {
	struct decide_facts facts;
	struct policy policy;
	struct machine machine;	      /* facts.known: its own; facts.twin: the one in question; else id 0 */
	struct image_version version; /* known: what its child was made from; else what a new one gets; id 0: none */
	bool waits;
	struct waiting waiting;		      /* its row, where waits */
	struct machine_boot current, pending; /* number 0: none */
	int priority;			      /* known: its group's */
	struct want want;		      /* known */
};

/* stranger, running and no_space are kept as the caller set them, everything else is filled in. 0 or -errno. */
int lookup_make(struct boot *boot, struct inventory_tx *tx, const struct asker *asker, struct lookup *lookup);

#endif
