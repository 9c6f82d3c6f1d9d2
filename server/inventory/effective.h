/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What holds for a machine, and who says so: its own word, else its group's, else the policy's, else what is built in.
 * One table says which settings are inherited so; a new one is a row there and a field of the machine and the group of
 * the same key. Pure functions: a machine is read with its group (machine.group). One that is being made has its group
 * there before it has a row.
 */
#ifndef INVENTORY_EFFECTIVE_H
#define INVENTORY_EFFECTIVE_H

#include "inventory/inventory.h"

enum effective_key {
	EFFECTIVE_BOOT,
	EFFECTIVE_BOOT_FILE_SET,
	EFFECTIVE_IMAGE, /* a name; "" from the machine: that of its system volume */
	EFFECTIVE_MODE,
	EFFECTIVE_NAME_PATTERN, /* no machine has one of its own */
	EFFECTIVE_QUOTA,	/* of its system volume */
	EFFECTIVE_RESTORE_POINTS,
	EFFECTIVE_RING,
	EFFECTIVE_TEMPLATES,
	EFFECTIVE_KEYS
};

/* FROM_DEFAULT: nobody has said anything. */
enum effective_from { FROM_MACHINE, FROM_GROUP, FROM_POLICY, FROM_DEFAULT };

struct effective {
	const char *value; /* as people write it; borrowed from machine or policy */
	enum effective_from from;
};

/* policy NULL: where it has no such key. */
struct effective effective_of(const struct machine *machine, const struct policy *policy, enum effective_key key);
const char *effective_key_name(enum effective_key key);		/* "restore-points" */
bool effective_find(const char *name, enum effective_key *key); /* false: it is not inherited */
const char *effective_from_name(enum effective_from from);	/* "machine", "group", "policy", "default" */
/* Is this KEY=VALUE of a machine, "group" or, where policy has the key, "policy": it has no word of its own? */
bool effective_takes_away(const char *key, const char *value);

/* The same as values. */
enum machine_mode effective_mode(const struct machine *machine, const struct policy *policy);
/* How many the machine keeps; an ephemeral one has none. */
unsigned effective_restore_points(const struct machine *machine, const struct policy *policy);
/*
 * The most that a volume of the machine may take, in bytes; 0: no bound. The group's counts for the system volume alone: others
 * have their own, or the policy's.
 */
uint64_t effective_quota(const struct machine *machine, const struct volume *volume, const struct policy *policy);
/* "": none. */
const char *effective_templates(const struct machine *machine);
const char *effective_ring(const struct machine *machine);

#endif
