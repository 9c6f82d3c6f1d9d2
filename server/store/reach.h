/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The folders of the state directory that another server may have as well, where locks do not reach it: they are warned of,
 * and a beat says who has them (beat.h).
 */
#ifndef STORE_REACH_H
#define STORE_REACH_H

#include "base/reason.h"

struct inventory;
struct reach;

/*
 * Looks at the state directory and at its folders, and takes those that need it. kind_of: mount_kind_of. Blocks, as
 * beat_take does; errors as there. Nothing runs where all of them are on disks of this host's.
 */
int reach_open(const char *state_dir, const char *(*kind_of)(const char *path), unsigned period_ms,
	       struct reach **reach, struct reason *reason);
/* From now on, and for what was found until now, there is an inventory for events; NULL: there is none any more. */
void reach_attach(struct reach *reach, struct inventory *inventory);
/* What a person is to know, a sentence each. Any thread. */
void reach_each_warning(struct reach *reach, void (*each)(void *arg, const char *text), void *arg);
/* NULL is fine. */
void reach_close(struct reach *reach);

#endif
