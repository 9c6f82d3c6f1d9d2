// SPDX-License-Identifier: GPL-2.0-or-later
/* The target: nexuses come and go, LUNs are looked up, resets reset. See target.h and lu.h. */
#include "scsi/target.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "scsi/lu.h"
#include "scsi/reservations.h"

static void target_destroy(struct scsi_target *target)
{
	for (unsigned i = 0; i < SCSI_LUNS; i++) {
		if (!target->lus[i])
			continue;
		reservations_fini(&target->lus[i]->reservations);
		free(target->lus[i]);
	}
	free(target->saved);
	free(target->name);
	free(target->serial);
	free(target);
}

void scsi_target_enter(struct scsi_target *target)
{
	target->depth++;
}

void scsi_target_leave(struct scsi_target *target)
{
	assert(target->depth);
	target->depth--;
	if (target->freed && !target->depth && !target->saving)
		target_destroy(target);
}

int scsi_target_new(const struct scsi_target_config *config, struct scsi_target **out)
{
	struct scsi_target *target = calloc(1, sizeof(*target));

	if (!target)
		return -ENOMEM;
	target->name = strdup(config->name);
	target->serial = strdup(config->serial);
	target->loop = config->loop;
	target->tasks = config->tasks;
	target->save = config->save;
	target->save_arg = config->save_arg;
	if (!target->name || !target->serial)
		goto no_memory;
	if (config->saved && config->saved_len) {
		target->saved = malloc(config->saved_len);
		if (!target->saved)
			goto no_memory;
		memcpy(target->saved, config->saved, config->saved_len);
		target->saved_len = config->saved_len;
	}
	*out = target;
	return 0;
no_memory:
	target_destroy(target);
	return -ENOMEM;
}

void scsi_target_free(struct scsi_target *target)
{
	if (!target)
		return;
	assert(!target->nexuses && !target->freed);
	scsi_target_enter(target);
	target->freed = true;
	scsi_target_leave(target);
}

bool scsi_target_has_registrations(const struct scsi_target *target)
{
	for (unsigned i = 0; i < SCSI_LUNS; i++)
		if (target->lus[i] && target->lus[i]->reservations.count)
			return true;
	return false;
}

/* ---- addressing ---- */

enum lun_kind scsi_target_find_lun(const struct scsi_target *target, const uint8_t lun[8], struct scsi_lu **lu)
{
	static const uint8_t well_known[8] = { 0xc1, 0x01 };
	unsigned number;

	*lu = NULL;
	if (memcmp(lun, well_known, sizeof(well_known)) == 0)
		return LUN_WELL_KNOWN;
	for (unsigned i = 2; i < 8; i++)
		if (lun[i])
			return LUN_NONE;
	/* SAM-5 §4.7.7: peripheral device addressing on bus 0, flat space addressing */
	if (lun[0] == 0)
		number = lun[1];
	else if ((lun[0] & 0xc0) == 0x40)
		number = (unsigned)(lun[0] & 0x3f) << 8 | lun[1];
	else
		return LUN_NONE;
	if (number >= SCSI_LUNS || !target->lus[number])
		return LUN_NONE;
	*lu = target->lus[number];
	return LUN_UNIT;
}

bool scsi_lun_exists(const struct scsi_target *target, const uint8_t lun[8])
{
	struct scsi_lu *lu;

	return scsi_target_find_lun(target, lun, &lu) != LUN_NONE;
}
