/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Versions that are to be published at a time (inventory's version_plan), and rollouts (inventory/rollout.h): a timer for what
 * is due next. What became due while the server was off is done at its start. Private to boot/.
 */
#ifndef BOOT_PLANS_H
#define BOOT_PLANS_H

struct boot;
struct plans;

struct plans *plans_new(struct boot *boot); /* NULL without memory */
/* boot's loop runs. */
void plans_start(struct plans *plans);
/* No timer any more; what is under way counts in boot's in_flight. */
void plans_stop(struct plans *plans);
void plans_free(struct plans *plans);

#endif
