/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sessions, asked by threads that may block (HTTP's); never on a loop. Private to boot/. */
#ifndef BOOT_RUNNING_H
#define BOOT_RUNNING_H

#include "base/reason.h"
#include "boot/internal.h"

/* Is it running? alive false where there is no session that answers. */
void running_probe(struct boot *boot, int64_t machine_id, bool *alive, struct boot_session *session);
void running_release(struct boot *boot, int64_t machine_id, const char *why);
/* As iscsi_server_resize: 0 or -errno with a sentence; -ENOENT: not open, and nothing was done. */
int running_resize(struct boot *boot, int64_t machine_id, unsigned lun, uint64_t size_bytes, struct reason *reason);
/* As iscsi_server_attach and iscsi_server_detach, likewise. */
int running_attach(struct boot *boot, int64_t machine_id, unsigned lun, struct reason *reason);
int running_detach(struct boot *boot, int64_t machine_id, unsigned lun, bool force, struct reason *reason);

#endif
