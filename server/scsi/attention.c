// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Unit attentions (SAM-5 §5.14): one bit for each I_T nexus and logical unit, so that none is reported twice, none is
 * lost, and nothing that others do can make us hold more. See lu.h.
 */
#include <string.h>
#include <strings.h>

#include "base/util.h"
#include "scsi/lu.h"

enum { THRESHOLD_LOOK_BYTES = 1 << 20 };

static const uint16_t attention_codes[UA_COUNT] = {
	/* The general one: libiscsi's iscsi-ls sees no LUN behind any other. */
	[UA_POWER_ON] = ASC_POWER_ON_OR_RESET_OCCURRED,
	[UA_BUS_RESET] = ASC_BUS_RESET_OCCURRED,
	[UA_DEVICE_RESET] = ASC_BUS_DEVICE_RESET_OCCURRED,
	[UA_LUNS_CHANGED] = ASC_REPORTED_LUNS_CHANGED,
	[UA_CAPACITY_CHANGED] = ASC_CAPACITY_DATA_CHANGED,
	[UA_MODE_CHANGED] = ASC_MODE_PARAMETERS_CHANGED,
	[UA_RESERVATIONS_PREEMPTED] = ASC_RESERVATIONS_PREEMPTED,
	[UA_RESERVATIONS_RELEASED] = ASC_RESERVATIONS_RELEASED,
	[UA_REGISTRATIONS_PREEMPTED] = ASC_REGISTRATIONS_PREEMPTED,
	[UA_COMMANDS_CLEARED] = ASC_COMMANDS_CLEARED_BY_ANOTHER_INITIATOR,
	[UA_THIN_THRESHOLD] = ASC_THIN_PROVISIONING_SOFT_THRESHOLD,
};

void lu_raise(struct scsi_lu *lu, struct scsi_nexus *nexus, enum unit_attention ua)
{
	nexus->ua[lu->number] |= (uint16_t)(1u << ua);
}

void lu_raise_others(struct scsi_lu *lu, const struct scsi_nexus *but, enum unit_attention ua)
{
	for (struct scsi_nexus *n = lu->target->nexuses; n; n = n->next)
		if (n != but)
			lu_raise(lu, n, ua);
}

void lu_raise_port(struct scsi_lu *lu, const char *port_name, enum unit_attention ua)
{
	for (struct scsi_nexus *n = lu->target->nexuses; n; n = n->next)
		if (strcasecmp(n->port_name, port_name) == 0)
			lu_raise(lu, n, ua);
}

void lu_drop_attention(struct scsi_lu *lu, struct scsi_nexus *nexus, enum unit_attention ua)
{
	nexus->ua[lu->number] &= (uint16_t) ~(1u << ua);
}

bool lu_take_attention(struct scsi_lu *lu, struct scsi_nexus *nexus, struct sense *sense)
{
	uint16_t pending = nexus->ua[lu->number];
	int first;

	if (!pending)
		return false;
	first = __builtin_ctz(pending);
	lu_drop_attention(lu, nexus, (enum unit_attention)first);
	*sense = (struct sense){ .key = SENSE_UNIT_ATTENTION, .code = attention_codes[first] };
	return true;
}

void lu_tell_nexuses(const struct scsi_lu *lu, enum unit_attention ua)
{
	const struct sense sense = { .key = SENSE_UNIT_ATTENTION, .code = attention_codes[ua] };
	const uint8_t lun[8] = { 0, (uint8_t)lu->number };
	struct scsi_target *target = lu->target;
	uint8_t bytes[SCSI_SENSE_MAX];
	size_t len = sense_encode(&sense, lu->mode.d_sense, bytes);

	if (!target->event)
		return;
	for (struct scsi_nexus *n = target->nexuses; n; n = n->next)
		target->event(target->event_arg, n, lun, bytes, len);
}

/* ---- the soft threshold (SBC-3 §4.7.3.7) ---- */

uint32_t lu_used_sets(const struct scsi_lu *lu)
{
	struct disk_info info;

	disk_get_info(lu->disk, &info);
	return (uint32_t)min_u64((info.allocated_bytes / SCSI_BLOCK) >> SCSI_THRESHOLD_EXPONENT, UINT32_MAX);
}

void lu_check_threshold(struct scsi_lu *lu, uint64_t bytes)
{
	bool above;

	if (!lu->mode.threshold_enabled)
		return;
	lu->written_unchecked += bytes;
	if (lu->written_unchecked < THRESHOLD_LOOK_BYTES)
		return;
	lu->written_unchecked = 0;
	above = lu_used_sets(lu) >= lu->mode.threshold_count;
	if (above && !lu->threshold_reported)
		lu_raise_others(lu, NULL, UA_THIN_THRESHOLD);
	lu->threshold_reported = above;
}
