/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What went on, every so often, for a month. Inside a job, like everything of inventory.h; times are Unix milliseconds. */
#ifndef INVENTORY_ACTIVITY_H
#define INVENTORY_ACTIVITY_H

#include "inventory/inventory.h"

#define ACTIVITY_KEPT_MS (31 * 86400 * 1000LL)

struct activity {
	int64_t at_ms;			    /* the end of the time that it tells of */
	unsigned running, booting;	    /* machines, at most */
	unsigned boots;			    /* that began in it */
	uint64_t read_bytes, written_bytes; /* by machines, in it */
	uint64_t free_bytes;		    /* of the state directory's file system, at its end; 0: not looked at */
};

/* In a write job; what is older than a month goes. One of the same time is replaced. */
int activity_add(struct inventory_tx *tx, const struct activity *activity);
/* Those after since_ms, the oldest first. each returns 0 to go on. */
int activity_each(struct inventory_tx *tx, int64_t since_ms, int (*each)(void *arg, const struct activity *activity),
		  void *arg);

#endif
