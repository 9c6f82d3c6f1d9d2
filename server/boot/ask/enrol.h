/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A new machine: its disk, its row, its first pending boot; and what applies to it. Private to boot/. */
#ifndef BOOT_ENROL_H
#define BOOT_ENROL_H

#include "ask.h"
#include "base/reason.h"
#include "boot/internal.h"

/* What a new machine is made of. */
struct enrolment {
	const struct asker *asker; /* mac ("": none yet), uuid, serial, product */
	const char *address;	   /* that it keeps; "" where not known for sure */
	const char *name;	   /* NULL: by the pattern */
	const struct image_version *version;
	bool image_named;		   /* by a person; else its group's, or the default one */
	const struct machine_group *group; /* that it comes into; id 0: none */
	const struct policy *policy;
	const char *actor;
	const struct volume *disk; /* its system volume, whose object is there: the caller's; NULL: a new one is made */
	bool unasked;		   /* a person adds it: nobody has seen it, so it has no boot yet */
	struct volume made; /* out: its object was made, and is to be deleted where the job fails; object "": none */
};

/*
 * In a write job: its system volume, row, MAC, pending boot, event; the waiting row goes. 0; -ENOSPC: no room for a disk,
 * nothing was made; -EEXIST: the name is taken; others. Where it fails the object is gone again; the caller deletes it
 * (made) where the commit fails.
 */
int enrol_machine(struct boot *boot, struct inventory_tx *tx, struct enrolment *enrolment, struct machine *machine,
		  struct reason *reason);
/* The group that new machines come into by policy; id 0: none. Inside a job. */
int enrol_group(struct inventory_tx *tx, const struct policy *policy, struct machine_group *group);
/* A pending boot with fresh secrets. */
int enrol_issue_boot(struct inventory_tx *tx, int64_t machine_id, const char *mac, const char *address,
		     struct machine_boot *pending);
/* The address if no machine keeps it yet, "" otherwise. */
int enrol_free_address(struct inventory_tx *tx, const char *address, char out[PARSE_ENDPOINT_TEXT]);
/* Its row of the waiting list goes, if there is one. */
int enrol_forget_waiting(struct inventory_tx *tx, const char *mac);
void enrol_initiator(const char *iqn, char initiator[IQN_MAX_TEXT]);
const char *enrol_user(const char *iqn); /* the short id: part of iqn */
/* What applies to a machine: its own, or the policy's. */
enum auth_kind enrol_auth(const struct machine *machine, const struct policy *policy);

#endif
