/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening and closing a target's disk through the provider. Private to target.c. */
#ifndef ISCSI_TARGET_OPEN_H
#define ISCSI_TARGET_OPEN_H

struct target;

/* ABSENT -> OPENING; then OPEN, or ABSENT with everybody who waits refused. */
void target_open(struct target *target);
/* OPEN, without sessions -> CLOSING, then ABSENT. */
void target_close(struct target *target);
/* What scsi/ knows of the target, registrations too. Not while OPEN or while saves are under way. */
void target_forget_scsi(struct target *target);

#endif
