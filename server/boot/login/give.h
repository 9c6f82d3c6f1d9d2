/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A rollout's version comes to a machine with a boot that begins, or goes from it. Private to boot/. */
#ifndef BOOT_GIVE_H
#define BOOT_GIVE_H

#include "boot/internal.h"
#include "inventory/rollout.h"

/*
 * Inside the write job that begins boot `number`: what a rollout has for the machine (rollout_next) becomes its system
 * volume. What a persistent disk holds becomes an automatic snapshot before; who goes back finds what it had. *made: the new
 * object, deleted again where the commit fails; *given_up: the one that goes with it, or object "". *given: it was done, and
 * machine is to be written. Where it cannot be done now (the disk is open, or was not closed in order, no room, layers too
 * deep) the boot begins as always, and an event says why. 0, or -errno of the inventory.
 */
int boot_give_version(struct boot *boot, struct inventory_tx *tx, struct machine *machine, uint64_t number,
		      struct volume *made, struct volume *given_up, bool *given);

#endif
