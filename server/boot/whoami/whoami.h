/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine's who-am-i volume: made from its templates and the inventory when a boot of it opens its disks, and the same
 * until the next boot, whatever is changed meanwhile. Blocks: workers, HTTP's threads. Private to boot/.
 */
#ifndef BOOT_WHOAMI_H
#define BOOT_WHOAMI_H

#include "boot/internal.h"

/*
 * Makes the content of a machine's who-am-i volume for this boot (0: none that is known), unless it is there. *cdrom: it is
 * one, else a disk. 0 or -errno with a sentence.
 */
int whoami_prepare(struct boot *boot, int64_t machine_id, uint64_t number, const struct volume *volume, bool *cdrom,
		   struct reason *reason);
/* May a machine or group have these templates? They are there and sound, or none. -EINVAL with a sentence. */
int whoami_check(struct boot *boot, const char *templates, struct reason *reason);
/* Of all templates of the site's. */
void whoami_each_problem(struct boot *boot, void (*each)(void *arg, const struct boot_problem *problem), void *arg);

#endif
