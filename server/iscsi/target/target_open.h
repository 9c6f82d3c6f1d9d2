/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening and closing a target's disks through the provider. Private to target.c and change.c. */
#ifndef ISCSI_TARGET_OPEN_H
#define ISCSI_TARGET_OPEN_H

struct iscsi_lun;
struct target;

/* ABSENT -> OPENING; then OPEN, or ABSENT with everybody who waits refused. */
void target_open(struct target *target);
/* OPEN, without sessions -> CLOSING, then ABSENT. */
void target_close(struct target *target);
/* Its disks go back to the provider: CLOSING, then ABSENT. scsi/ does not use them any more. */
void target_give_back(struct target *target);
/* A LUN of target->luns becomes a unit of scsi/. 0 or -errno. */
int target_add_unit(struct target *target, const struct iscsi_lun *lun);
/* What scsi/ knows of the target, registrations too. Not while OPEN or while saves are under way. */
void target_forget_scsi(struct target *target);

#endif
