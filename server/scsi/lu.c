// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Logical units come and go, and their disks open, close and change size: see target.h. What initiators have set there
 * (reservations, registrations, mode parameters, unit attentions) belongs to the unit, not to its number.
 */
#include "scsi/lu.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/mode.h"
#include "scsi/persist.h"
#include "scsi/reservations.h"
#include "scsi/task.h"

/* The other units say so to every nexus; the first of them also at once. */
static void luns_changed(struct scsi_target *target, const struct scsi_lu *added)
{
	struct scsi_lu *first = NULL;

	for (unsigned i = 0; i < SCSI_LUNS; i++) {
		struct scsi_lu *lu = target->lus[i];

		if (!lu || lu == added)
			continue;
		lu_raise_others(lu, NULL, UA_LUNS_CHANGED);
		first = first ? first : lu;
	}
	if (first)
		lu_tell_nexuses(first, UA_LUNS_CHANGED);
}

static void lu_look_at_disk(struct scsi_lu *lu, bool read_only)
{
	struct disk_info info = { 0 };

	if (lu->disk)
		disk_get_info(lu->disk, &info);
	lu->blocks = info.size_bytes >> lu->block_shift;
	lu->read_only = info.read_only || read_only || lu->type == SCSI_CDROM;
}

static unsigned shift_of(enum scsi_device_type type)
{
	return type == SCSI_CDROM ? SCSI_CDROM_SHIFT : (unsigned)__builtin_ctz(SCSI_BLOCK);
}

static const struct scsi_lun_config lun_default = { .physical_exponent = SCSI_PHYSICAL_4096 };

static struct scsi_lu *lu_new(struct scsi_target *target, unsigned number, const struct scsi_lun_config *config)
{
	struct scsi_lu *lu = calloc(1, sizeof(*lu));

	if (!lu)
		return NULL;
	lu->target = target;
	lu->number = number;
	lu->type = config->type;
	lu->opcode_types = config->type == SCSI_CDROM ? OPCODE_CDROM : OPCODE_DISK;
	lu->block_shift = (uint8_t)shift_of(config->type);
	lu->physical_exponent = (uint8_t)config->physical_exponent;
	lu->born = target->removals;
	if (config->serial)
		memcpy(lu->serial, config->serial, strlen(config->serial));
	lu->saved_mode = mode_defaults();
	reservations_init(&lu->reservations);
	return lu;
}

static bool disk_fits(const struct disk *disk, enum scsi_device_type type)
{
	return disk->size_bytes >> shift_of(type);
}

int scsi_target_add_lun(struct scsi_target *target, unsigned number, struct disk *disk,
			const struct scsi_lun_config *config)
{
	struct scsi_lu *lu;

	config = config ? config : &lun_default;
	if (number >= SCSI_LUNS || !disk_fits(disk, config->type))
		return -EINVAL;
	if (config->serial && strlen(config->serial) > SCSI_SERIAL_MAX)
		return -EINVAL;
	if (target->lus[number])
		return -EEXIST;
	lu = lu_new(target, number, config);
	if (!lu)
		return -ENOMEM;
	lu->disk = disk;
	lu_look_at_disk(lu, config->read_only);
	target->lus[number] = lu;
	persist_load(lu);
	lu->mode = lu->saved_mode;
	luns_changed(target, lu);
	return 0;
}

int scsi_target_remove_lun(struct scsi_target *target, unsigned number)
{
	struct scsi_lu *lu = number < SCSI_LUNS ? target->lus[number] : NULL;
	const struct mode_values defaults = mode_defaults();
	bool saved;

	if (!lu)
		return -ENOENT;
	assert(lu->waiting == lu->task_count);
	saved = lu->reservations.aptpl || !mode_values_equal(&lu->saved_mode, &defaults);
	scsi_target_enter(target);
	target->lus[number] = NULL;
	target->removals++;
	for (struct scsi_nexus *n = target->nexuses; n; n = n->next) {
		n->ua[number] = 1u << UA_POWER_ON;
		n->media_told[number] = false;
	}
	luns_changed(target, NULL);
	task_set_end(lu);
	reservations_fini(&lu->reservations);
	free(lu);
	if (saved)
		persist_save(target, NULL);
	scsi_target_leave(target);
	return 0;
}

int scsi_target_set_disk(struct scsi_target *target, unsigned number, struct disk *disk,
			 const struct scsi_lun_config *config)
{
	struct scsi_lu *lu = number < SCSI_LUNS ? target->lus[number] : NULL;

	if (!lu)
		return -ENOENT;
	assert(!target->nexuses && !lu->first_task);
	config = config ? config : &lun_default;
	if (disk && (config->type != lu->type || strcmp(config->serial ? config->serial : "", lu->serial)))
		return -ESTALE;
	if (disk && !disk_fits(disk, lu->type))
		return -EINVAL;
	lu->disk = disk;
	lu_look_at_disk(lu, config->read_only);
	if (disk)
		lu->physical_exponent = (uint8_t)config->physical_exponent;
	lu->no_space_since_ms = 0;
	lu->threshold_reported = false;
	return 0;
}

void scsi_target_capacity_changed(struct scsi_target *target, unsigned number)
{
	struct scsi_lu *lu = number < SCSI_LUNS ? target->lus[number] : NULL;

	if (!lu)
		return;
	lu->blocks = lu->disk->size_bytes >> lu->block_shift;
	lu_raise_others(lu, NULL, UA_CAPACITY_CHANGED);
	lu_tell_nexuses(lu, UA_CAPACITY_CHANGED);
}
