/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of a machine that a person adds, for those who have a disk for it. Inside a write job. Private to boot/. */
#ifndef BOOT_ADD_H
#define BOOT_ADD_H

#include "manage.h"

/* Is there room for count more (max-machines)? -ENOSPC with a sentence. */
int add_check_room(struct manage *m, struct inventory_tx *tx, const struct policy *policy, unsigned count);
/*
 * Enrols a machine. disk: its system volume, whose object is there, and then it needs no MAC; NULL: a new one is made, which
 * *made has, for whoever deletes it where the job fails. -EINVAL, -EEXIST, -ENOENT, -ENOSPC with a sentence.
 */
int add_enrol(struct manage *m, struct inventory_tx *tx, const struct boot_machine_new *new,
	      const struct policy *policy, const struct volume *disk, struct machine *machine, struct volume *made);

#endif
