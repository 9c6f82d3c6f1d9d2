/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The facts of a plan (boot/retention.h), from the inventory and the store. Private to boot/. */
#ifndef BOOT_RETENTION_FACTS_H
#define BOOT_RETENTION_FACTS_H

#include "boot/retention.h"

/* Everything that a rule may be about, with the times, the room and the policy. Blocking. 0 or -errno. */
int retention_facts(struct boot *boot, struct retention *plan);

#endif
