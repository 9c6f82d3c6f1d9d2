/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a change of groups takes from machines that run, and gives them: their volumes before and after, within its job, and
 * what follows from the difference, after it. Blocking: HTTP's own threads. Private to boot/.
 */
#ifndef BOOT_MEMBER_LUNS_H
#define BOOT_MEMBER_LUNS_H

#include "base/reason.h"
#include "boot/internal.h"

struct member_luns {
	int64_t machine_id, group_id; /* of whom: of this machine, of this group's; both 0: of nobody */
	struct group_lun *list[2];    /* before, after */
	unsigned count[2];
};

/* Inside the job: what they have now. 0 or -errno. */
int member_luns_read(struct member_luns *luns, struct inventory_tx *tx, bool after);
/*
 * After the commit. Machines that run get what is new at once, and lose the rest, unless they use it: then, or where it fails,
 * that comes with their next boot. Where there is something to say, reason says it.
 */
void member_luns_apply(struct boot *boot, const struct member_luns *luns, struct reason *reason);
void member_luns_fini(struct member_luns *luns);

#endif
