/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From facts to a plan of what goes by itself: see boot/retention.h. A pure function. Private to boot/. */
#ifndef BOOT_RETENTION_PLAN_H
#define BOOT_RETENTION_PLAN_H

#include "boot/retention.h"

/*
 * In: the times, the room, the policy, and the facts of each item in any order. Out: the plan of each, the list in order,
 * grace_ms, low_bytes, due and due_bytes.
 */
void retention_plan(struct retention *plan);
/* Why a version may not go, whatever its age; "": it may. */
void retention_version_needed(const struct image_version *version, char needed[RETENTION_WHY_TEXT]);

#endif
