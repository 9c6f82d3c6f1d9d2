// SPDX-License-Identifier: GPL-2.0-or-later
/* The disk of a logical unit is wanted for a moment, under its nexuses: see target.h. */
#include "scsi/task.h"

void scsi_target_hold(struct scsi_target *target, unsigned lun)
{
	target->lus[lun]->held = true;
}

bool scsi_target_is_idle(const struct scsi_target *target, unsigned lun)
{
	const struct scsi_lu *lu = target->lus[lun];

	return lu->waiting == lu->task_count && (!lu->disk || !lu->disk->in_flight);
}

void scsi_target_unhold(struct scsi_target *target, unsigned lun, struct disk *disk)
{
	struct scsi_lu *lu = target->lus[lun];

	scsi_target_enter(target);
	lu->disk = disk;
	if (disk && disk->size_bytes >> lu->block_shift != lu->blocks)
		scsi_target_capacity_changed(target, lun);
	lu->held = false;
	task_set_kick(lu);
	scsi_target_leave(target);
}
