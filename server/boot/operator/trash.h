/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes from the trash by itself. Private to boot/. */
#ifndef BOOT_TRASH_H
#define BOOT_TRASH_H

#include "base/reason.h"

struct boot;
struct manage_expiry;

/* Its time there is over: it goes for good, with its disk. As boot_trash_delete; -ENOENT: it is another entry by now. */
int boot_trash_expire(struct boot *boot, const struct manage_expiry *expiry, const char *actor, struct reason *reason);

#endif
