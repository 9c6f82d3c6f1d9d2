/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes from the trash by itself. Private to boot/. */
#ifndef BOOT_TRASH_H
#define BOOT_TRASH_H

struct boot;

/* The machines whose time there is over go for good, with their disks. Blocking, not on a loop. */
void boot_trash_expire(struct boot *boot);

#endif
