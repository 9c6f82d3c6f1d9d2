/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A target's disk grows under its sessions: see resize.c. Private to target.c and the hub. */
#ifndef ISCSI_RESIZE_H
#define ISCSI_RESIZE_H

#include <stdbool.h>

struct target;

/*
 * The next step of target->resize, if there is one. False: something is awaited, and nothing else may be done to the
 * target.
 */
bool resize_advance(struct target *target);

#endif
