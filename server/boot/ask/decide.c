// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The decision: see decide.h. One table, read from the top; the first rule whose conditions all hold decides. What
 * refuses a secret stands first, then what concerns known machines, then the others; the last rule always holds.
 */
#include "decide.h"

#include "base/util.h"
#include "boot/boot.h"

enum condition { ANY, NO, YES };

struct rule {
	enum condition stranger, nameless, known, conflict, twin, denied, failed, running, full, image, no_space;
	unsigned want;	/* bits 1 << enum decide_want; 0: any */
	unsigned enrol; /* bits 1 << enum enrol_kind; 0: any */
	enum decision decision;
};

#define IF(want) (1u << (want))

enum { IF_DENY = 1 << ENROL_DENY, IF_APPROVE = 1 << ENROL_APPROVE };

static const struct rule rules[] = {
	{ .stranger = YES, .decision = DECIDE_WAIT_STRANGER },
	{ .nameless = YES, .decision = DECIDE_WAIT_NAMELESS },
	/* The MAC is a machine's. A person's "no" concerns the hardware that came with its MAC, not the machine. */
	{ .known = YES, .conflict = YES, .denied = YES, .decision = DECIDE_DENY },
	{ .known = YES, .conflict = YES, .decision = DECIDE_WAIT_CONFLICT },
	{ .known = YES, .want = IF(WANT_LOCAL), .decision = DECIDE_LOCAL },
	{ .known = YES, .want = IF(WANT_MENU), .decision = DECIDE_MENU },
	{ .known = YES, .want = IF(WANT_ENTRY), .decision = DECIDE_ENTRY },
	/* From here on its disk is needed. */
	{ .known = YES, .failed = YES, .decision = DECIDE_WAIT_FAILED },
	{ .known = YES, .running = YES, .decision = DECIDE_WAIT_RUNNING },
	{ .known = YES, .want = IF(WANT_ENTRY_DISK), .decision = DECIDE_ENTRY_DISK },
	{ .known = YES, .decision = DECIDE_SERVE },
	/* No machine has the MAC. */
	{ .denied = YES, .decision = DECIDE_DENY },
	{ .twin = YES, .running = NO, .decision = DECIDE_WAIT_SWAP },
	{ .enrol = IF_DENY, .decision = DECIDE_DENY },
	{ .full = YES, .decision = DECIDE_WAIT_FULL },
	{ .image = NO, .decision = DECIDE_WAIT_IMAGE },
	{ .enrol = IF_APPROVE, .decision = DECIDE_WAIT_APPROVAL },
	{ .no_space = YES, .decision = DECIDE_WAIT_SPACE },
	{ .decision = DECIDE_ENROL },
};

static bool holds(enum condition condition, bool fact)
{
	return condition == ANY || (condition == YES) == fact;
}

static bool rule_holds(const struct rule *r, const struct decide_facts *f)
{
	return holds(r->stranger, f->stranger) && holds(r->nameless, f->nameless) && holds(r->known, f->known) &&
	       holds(r->conflict, f->conflict) && holds(r->twin, f->twin) && holds(r->denied, f->denied) &&
	       holds(r->failed, f->failed) && holds(r->running, f->running) && holds(r->full, f->full) &&
	       holds(r->image, f->image) && holds(r->no_space, f->no_space) &&
	       (!r->want || (r->want & 1u << f->want)) && (!r->enrol || (r->enrol & 1u << f->enrol));
}

enum decision decide(const struct decide_facts *facts)
{
	const struct rule *rule = rules;

	while (!rule_holds(rule, facts))
		rule++;
	return rule->decision;
}

const char *boot_outcome_name(enum boot_outcome outcome)
{
	static const char *const names[BOOT_OUTCOMES] = {
		[BOOT_SANBOOT] = "sanboot", [BOOT_WAIT] = "wait", [BOOT_DENIED] = "denied", [BOOT_LOCAL] = "local",
		[BOOT_INVALID] = "invalid", [BOOT_BUSY] = "busy", [BOOT_MENU] = "menu",	    [BOOT_ENTRY] = "entry",
	};

	return names[outcome];
}

const char *decision_name(enum decision decision)
{
	static const char *const names[DECISIONS] = {
		[DECIDE_LOCAL] = "boots from its own disk",
		[DECIDE_MENU] = "for a choice in its menu",
		[DECIDE_ENTRY] = "boots an entry",
		[DECIDE_ENTRY_DISK] = "boots an entry",
		[DECIDE_DENY] = "refused",
		[DECIDE_WAIT_STRANGER] = "for the neighbour table",
		[DECIDE_WAIT_NAMELESS] = "for a network card of its own",
		[DECIDE_WAIT_CONFLICT] = "for a person: conflict",
		[DECIDE_WAIT_SWAP] = "for a person: swap",
		[DECIDE_WAIT_FAILED] = "for a person: its disk failed",
		[DECIDE_WAIT_RUNNING] = "for the machine that runs already",
		[DECIDE_WAIT_FULL] = "for room: max-machines",
		[DECIDE_WAIT_IMAGE] = "for an image",
		[DECIDE_WAIT_APPROVAL] = "for approval",
		[DECIDE_WAIT_SPACE] = "for disk space",
		[DECIDE_WAIT_TURN] = "for its turn",
	};

	return (unsigned)decision < DECISIONS && names[decision] ? names[decision] : "";
}

bool decision_opens_disk(enum decision decision)
{
	return decision == DECIDE_SERVE || decision == DECIDE_ENTRY_DISK;
}

bool decision_waiting_reason(enum decision decision, enum waiting_reason *reason)
{
	static const struct {
		enum decision decision;
		enum waiting_reason reason;
	} kept[] = {
		{ DECIDE_WAIT_CONFLICT, WAIT_CONFLICT }, { DECIDE_WAIT_SWAP, WAIT_SWAP },
		{ DECIDE_WAIT_FULL, WAIT_FULL },	 { DECIDE_WAIT_IMAGE, WAIT_NO_IMAGE },
		{ DECIDE_WAIT_APPROVAL, WAIT_APPROVAL }, { DECIDE_WAIT_SPACE, WAIT_NO_SPACE },
	};

	for (unsigned i = 0; i < array_len(kept); i++) {
		if (kept[i].decision != decision)
			continue;
		*reason = kept[i].reason;
		return true;
	}
	return false;
}
