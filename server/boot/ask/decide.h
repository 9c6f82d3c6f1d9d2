/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a machine that asks is to get, as a pure function over facts (design.md, "Which machine, which boot"). Private
 * to boot/.
 */
#ifndef BOOT_DECIDE_H
#define BOOT_DECIDE_H

#include "inventory/inventory.h"

#include <stdbool.h>

/* What a known machine is to boot. */
enum decide_want { WANT_DISK, WANT_LOCAL, WANT_MENU, WANT_ENTRY, WANT_ENTRY_DISK /* an entry with the disk hooked */ };

struct decide_facts {
	bool stranger; /* the asker is on-link and the neighbour table does not show the claimed MAC for its address */
	bool known;    /* the MAC belongs to a machine */
	bool conflict; /* known, but that machine has another UUID */
	bool nameless; /* the MAC is shared by several machines, and this one tells no UUID of its own */
	bool twin; /* not known, but its UUID, serial or another card is a machine's, and nothing speaks against that (twin.h) */
	bool denied;	       /* a person said no to this MAC */
	enum decide_want want; /* known */
	bool failed;	       /* known: its disk failed */
	bool running;	       /* known or twin: a session of that machine's current boot answered just now */
	bool full;	       /* max-machines is reached */
	bool image;	       /* there is an image that a new machine could get */
	bool no_space;	       /* making a child was tried just now and failed for lack of space */
	enum enrol_kind enrol;
};

enum decision {
	DECIDE_SERVE, /* known: the sanboot script, with the pending boot's secret */
	DECIDE_ENROL, /* make it a machine, then serve */
	DECIDE_LOCAL, /* boot from its own disk */
	DECIDE_MENU,
	DECIDE_ENTRY,
	DECIDE_ENTRY_DISK, /* with the pending boot's secret */
	DECIDE_DENY,	   /* say so, and boot from its own disk */
	DECIDE_WAIT_STRANGER,
	DECIDE_WAIT_NAMELESS,
	DECIDE_WAIT_CONFLICT,
	DECIDE_WAIT_SWAP,
	DECIDE_WAIT_FAILED,
	DECIDE_WAIT_RUNNING,
	DECIDE_WAIT_FULL,
	DECIDE_WAIT_IMAGE,
	DECIDE_WAIT_APPROVAL,
	DECIDE_WAIT_SPACE,
	DECIDE_WAIT_TURN, /* never by decide: it would be served, but too many boot just now (turns.h) */
	DECISIONS
};

enum decision decide(const struct decide_facts *facts);
/* Of a known machine: its script leads to its disk. */
bool decision_opens_disk(enum decision decision);

/* For people: what it waits for, or gets instead of its disk; "" for those that lead to it. */
const char *decision_name(enum decision decision);

/* Which row of the waiting list a decision keeps; false where it keeps none. */
bool decision_waiting_reason(enum decision decision, enum waiting_reason *reason);

#endif
