/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is left to do for versions that were promoted. Private to boot/. */
#ifndef BOOT_PROMOTE_H
#define BOOT_PROMOTE_H

struct boot;

/* Takes the SHA-256 of those that have none yet. Blocking, not on a loop. */
void boot_identify_versions(struct boot *boot);

#endif
