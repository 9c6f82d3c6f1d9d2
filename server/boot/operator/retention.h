/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What goes by itself, as a chore: see boot/retention.h. Private to boot/. */
#ifndef BOOT_OPERATOR_RETENTION_H
#define BOOT_OPERATOR_RETENTION_H

struct boot;

/* Does what is due, unless a rule changed a short while ago. Blocking, not on a loop. */
void boot_retention_chore(struct boot *boot);

#endif
