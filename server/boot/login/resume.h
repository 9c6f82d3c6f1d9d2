/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Machines that ran when the server stopped. Private to boot/. */
#ifndef BOOT_RESUME_H
#define BOOT_RESUME_H

#include "boot/internal.h"

/* At the start. 0 or -errno. */
int resume_load(struct boot *boot);
/* A session of this boot began or ended. */
void resume_session(struct boot *boot, int64_t machine_id, uint64_t number, bool began);

#endif
