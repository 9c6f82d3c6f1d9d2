/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy's rules for what goes by itself: trash, keep-snapshots, keep-restore-points, keep-ephemeral, keep-versions,
 * keep-idle and low-space. Inside a job, like everything of inventory.h.
 */
#ifndef INVENTORY_KEEP_H
#define INVENTORY_KEEP_H

#include "inventory/inventory.h"

enum { KEEP_EPHEMERAL_MAX = 16 }; /* also where only the time is bounded: a machine may boot every minute */

/* "30d", "12h": seconds; "forever": 0. False: it is none of these. */
bool keep_time_parse(const char *text, unsigned *seconds);
/* "2", "1d", "none": keep_ephemeral and keep_ephemeral_s. */
bool keep_ephemeral_parse(const char *text, struct policy *policy);
/* "10%", "50G", "none": low_space_percent and low_space_bytes. */
bool keep_low_space_parse(const char *text, struct policy *policy);

/* Is the policy's key one of these? */
bool keep_is_rule(const char *key);
/* One of these rules is another one from now on. */
int keep_rules_changed(struct inventory_tx *tx);
/* When one last was; 0: never. */
int keep_rules_changed_at(struct inventory_tx *tx, int64_t *at_ms);

#endif
