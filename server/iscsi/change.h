/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LUNs come, go and grow under a target's sessions: see change.c. Private to target.c and the hub. */
#ifndef ISCSI_CHANGE_H
#define ISCSI_CHANGE_H

#include <stdbool.h>

struct target;

/*
 * The next step of target->changes. False: something is awaited, and nothing else may be done to the target.
 */
bool change_advance(struct target *target);

#endif
