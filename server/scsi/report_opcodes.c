// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * REPORT SUPPORTED OPERATION CODES and TASK MANAGEMENT FUNCTIONS (SPC-4 §6.35, §6.36), straight from the opcode table.
 */
#include <string.h>

#include "base/be.h"
#include "scsi/handlers.h"

/* SPC-4 §6.35.2 */
struct command_descriptor {
	uint8_t code, reserved1;
	struct be16 action;
	uint8_t reserved2, flags;
	struct be16 cdb_bytes;
};

/* SPC-4 §6.35.4: we promise no times. */
struct command_timeouts {
	struct be16 length;
	uint8_t reserved, specific;
	struct be32 nominal, recommended;
};

struct one_command {
	uint8_t reserved, support;
	struct be16 cdb_bytes;
	uint8_t usage[];
};

enum {
	REPORT_ALL = 0,
	REPORT_ONE = 1,
	REPORT_ONE_ACTION = 2,
	REPORT_EITHER = 3,
	SUPPORT_NOT = 0x01,
	SUPPORT_STANDARD = 0x03,
	ALL_CTDP = 0x02,
	ALL_SERVACTV = 0x01,
	ONE_CTDP = 0x80,
};

static size_t put_timeouts(uint8_t *out)
{
	struct command_timeouts timeouts = { .length = be16_put(sizeof(timeouts) - 2) };

	memcpy(out, &timeouts, sizeof(timeouts));
	return sizeof(timeouts);
}

static void report_all(struct task_state *st, bool with_timeouts)
{
	size_t each = sizeof(struct command_descriptor) + (with_timeouts ? sizeof(struct command_timeouts) : 0);
	uint8_t *out = task_buffer(st, 4 + opcode_count * each);
	struct be32 length;
	size_t len = 4;

	if (!out)
		return;
	for (size_t i = 0; i < opcode_count; i++) {
		const struct opcode *op = &opcode_table[i];
		struct command_descriptor d = { .code = op->code, .cdb_bytes = be16_put(op->cdb_bytes) };

		if (!(op->types & task_types(st)))
			continue;
		if (op->action != OPCODE_NO_ACTION) {
			d.flags |= ALL_SERVACTV;
			d.action = be16_put((uint16_t)op->action);
		}
		if (with_timeouts)
			d.flags |= ALL_CTDP;
		memcpy(out + len, &d, sizeof(d));
		len += sizeof(d);
		if (with_timeouts)
			len += put_timeouts(out + len);
	}
	length = be32_put((uint32_t)(len - 4));
	memcpy(out, &length, sizeof(length));
	task_data(st, len);
}

static void report_one(struct task_state *st, const struct opcode *op, bool with_timeouts)
{
	struct one_command *out = task_buffer(st, sizeof(*out) + OPCODE_CDB_BYTES + sizeof(struct command_timeouts));
	size_t len = sizeof(*out);

	if (!out)
		return;
	out->support = op ? SUPPORT_STANDARD : SUPPORT_NOT;
	if (op) {
		out->cdb_bytes = be16_put(op->cdb_bytes);
		memcpy(out->usage, op->usage, op->cdb_bytes);
		out->usage[0] = op->code;
		if (op->action != OPCODE_NO_ACTION)
			out->usage[1] |= (uint8_t)op->action;
		len += op->cdb_bytes;
		if (with_timeouts) {
			out->support |= ONE_CTDP;
			len += put_timeouts((uint8_t *)out + len);
		}
	}
	task_data(st, len);
}

void spc_report_opcodes(struct task_state *st)
{
	const uint8_t *cdb = st->task->cdb;
	bool with_timeouts = cdb[2] & 0x80, has_actions, known;
	unsigned options = cdb[2] & 0x07, action = (unsigned)cdb[4] << 8 | cdb[5];
	const struct opcode *first = opcode_find_code(cdb[3], task_types(st));
	const struct opcode *op = opcode_find(cdb[3], action, task_types(st), &known);

	has_actions = first && first->action != OPCODE_NO_ACTION;
	switch (options) {
	case REPORT_ALL:
		report_all(st, with_timeouts);
		return;
	case REPORT_ONE: /* the command must not have service actions */
		if (has_actions) {
			task_fail_cdb(st, 3, -1);
			return;
		}
		report_one(st, first, with_timeouts);
		return;
	case REPORT_ONE_ACTION: /* it must */
		if (first && !has_actions) {
			task_fail_cdb(st, 3, -1);
			return;
		}
		report_one(st, op, with_timeouts);
		return;
	case REPORT_EITHER: /* without service actions, the one given must be 0 */
		report_one(st, !has_actions && action ? NULL : op, with_timeouts);
		return;
	default:
		task_fail_cdb(st, 2, 2);
	}
}

void spc_report_task_management(struct task_state *st)
{
	bool extended = st->task->cdb[2] & 0x80; /* REPD */
	size_t len = extended ? 16 : 4;
	uint8_t *out = task_buffer(st, 16);

	if (!out)
		return;
	out[0] = 0xda; /* ABORT TASK, ABORT TASK SET, CLEAR TASK SET, LOGICAL UNIT RESET, TARGET RESET */
	if (extended)
		out[3] = 12; /* and no time-outs */
	task_data(st, len);
}
