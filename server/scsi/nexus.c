// SPDX-License-Identifier: GPL-2.0-or-later
/* I_T nexuses, and what ends what they have set: see target.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "scsi/lu.h"
#include "scsi/persist.h"
#include "scsi/reservations.h"

void scsi_target_clear_reservations(struct scsi_target *target)
{
	bool kept = false;

	for (unsigned i = 0; i < SCSI_LUNS; i++) {
		if (!target->lus[i])
			continue;
		kept |= target->lus[i]->reservations.aptpl;
		reservations_clear(&target->lus[i]->reservations);
	}
	if (kept)
		persist_save(target, NULL);
}

/* ---- nexuses ---- */

int scsi_nexus_open(struct scsi_target *target, const char *port_name, struct scsi_nexus **out)
{
	struct scsi_nexus *nexus = calloc(1, sizeof(*nexus));

	if (!nexus)
		return -ENOMEM;
	nexus->port_name = strdup(port_name);
	if (!nexus->port_name) {
		free(nexus);
		return -ENOMEM;
	}
	/* What was saved is of the units that are there by now: whatever is added later begins anew. */
	free(target->saved);
	target->saved = NULL;
	nexus->target = target;
	for (unsigned i = 0; i < SCSI_LUNS; i++)
		nexus->ua[i] = 1u << UA_POWER_ON;
	nexus->next = target->nexuses;
	if (nexus->next)
		nexus->next->prev = nexus;
	target->nexuses = nexus;
	*out = nexus;
	return 0;
}

void scsi_nexus_close(struct scsi_nexus *nexus)
{
	struct scsi_target *target = nexus->target;

	assert(!nexus->tasks);
	/* SPC-2 §5.5.1: a RESERVE ends with its nexus. Registrations stay. */
	for (unsigned i = 0; i < SCSI_LUNS; i++)
		if (target->lus[i] && target->lus[i]->reservations.reserved_by == nexus)
			target->lus[i]->reservations.reserved_by = NULL;
	if (nexus->prev)
		nexus->prev->next = nexus->next;
	else
		target->nexuses = nexus->next;
	if (nexus->next)
		nexus->next->prev = nexus->prev;
	free(nexus->port_name);
	free(nexus);
}

void *scsi_nexus_user(const struct scsi_nexus *nexus)
{
	return nexus->user;
}

void scsi_nexus_set_user(struct scsi_nexus *nexus, void *user)
{
	nexus->user = user;
}

void scsi_target_set_abort_hook(struct scsi_target *target, void (*abort_nexus)(void *arg, struct scsi_nexus *nexus),
				void *arg)
{
	target->abort_nexus = abort_nexus;
	target->abort_arg = arg;
}

void scsi_target_set_event_hook(struct scsi_target *target,
				void (*event)(void *arg, struct scsi_nexus *nexus, const uint8_t lun[8],
					      const void *sense, size_t sense_len),
				void *arg)
{
	target->event = event;
	target->event_arg = arg;
}

/* ---- resets (SAM-5 §6.3) ---- */

static void lu_reset(struct scsi_lu *lu, enum unit_attention ua)
{
	lu->reservations.reserved_by = NULL;
	lu->mode = lu->saved_mode;
	lu->threshold_reported = false;
	/* Of every nexus, the one that asked for it as well. */
	lu_raise_others(lu, NULL, ua);
}

static void log_reset(const struct scsi_target *target, const char *what, const struct scsi_nexus *by)
{
	char name[512];

	if (by)
		log_escape(name, sizeof(name), by->port_name, strlen(by->port_name));
	log_info("target %s: %s%s%s", target->name, what, by ? " by " : "", by ? name : "");
}

bool scsi_lun_reset(struct scsi_target *target, const uint8_t lun[8], struct scsi_nexus *by)
{
	struct scsi_lu *lu;

	switch (scsi_target_find_lun(target, lun, &lu)) {
	case LUN_NONE:
		return false;
	case LUN_WELL_KNOWN:
		return true;
	case LUN_UNIT:
		break;
	}
	log_reset(target, "logical unit reset", by);
	lu_reset(lu, UA_DEVICE_RESET);
	return true;
}

void scsi_target_reset(struct scsi_target *target, struct scsi_nexus *by)
{
	log_reset(target, "target reset", by);
	for (unsigned i = 0; i < SCSI_LUNS; i++)
		if (target->lus[i])
			lu_reset(target->lus[i], UA_BUS_RESET);
}

void scsi_task_set_cleared(struct scsi_target *target, const uint8_t lun[8], struct scsi_nexus *by)
{
	struct scsi_lu *lu;

	if (scsi_target_find_lun(target, lun, &lu) != LUN_UNIT)
		return;
	for (struct scsi_nexus *n = target->nexuses; n; n = n->next)
		if (n != by && n->tasks)
			lu_raise(lu, n, UA_COMMANDS_CLEARED);
}
