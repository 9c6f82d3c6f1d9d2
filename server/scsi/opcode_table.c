// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands: see opcode_table.h. Sorted by operation code, then service action. Bits that no mask has:
 * RDPROTECT, WRPROTECT, VRPROTECT, ORPROTECT (no protection information), NACA and the obsolete bits of the CONTROL byte, FUA_NV,
 * ANCHOR of UNMAP and WRITE SAME (ANC_SUP=0), PMI. GROUP NUMBER may be set: grouping only counts, and we do not count.
 */
#include "scsi/opcode_table.h"

#include "base/util.h"
#include "scsi/handlers.h"
#include "scsi/mode.h"
#include "scsi/reservations.h"

#define NO_ACTION OPCODE_NO_ACTION
#define LBA(at, bytes) .lba_at = (at), .lba_bytes = (bytes)
#define LEN(at, bytes) .length_at = (at), .length_bytes = (bytes)

const struct opcode opcode_table[] = {
	{ "TEST UNIT READY", 0x00, NO_ACTION, 6, .run = spc_test_unit_ready, .flags = OP_WELL_KNOWN, .usage = { 0xff } },
	{ "REQUEST SENSE", 0x03, NO_ACTION, 6, LEN(4, 1), .unit = UNIT_ALLOCATION, .run = spc_request_sense,
	  .flags = OP_NO_ATTENTION | OP_ANY_LUN | OP_WELL_KNOWN | OP_LEGACY, .usage = { 0xff, 0x01, 0, 0, 0xff } },
	{ "READ(6)", 0x08, NO_ACTION, 6, LBA(1, 3), LEN(4, 1), .unit = UNIT_BLOCKS_IN, .reserve = RESERVE_READ, .run = sbc_read,
	  .flags = OP_ZERO_IS_256, .usage = { 0xff, 0x1f, 0xff, 0xff, 0xff } },
	{ "WRITE(6)", 0x0a, NO_ACTION, 6, LBA(1, 3), LEN(4, 1), .unit = UNIT_BLOCKS_OUT, .reserve = RESERVE_WRITE, .run = sbc_write,
	  .flags = OP_WRITES | OP_ZERO_IS_256, .usage = { 0xff, 0x1f, 0xff, 0xff, 0xff } },
	{ "INQUIRY", 0x12, NO_ACTION, 6, LEN(3, 2), .unit = UNIT_ALLOCATION, .run = spc_inquiry,
	  .flags = OP_NO_ATTENTION | OP_ANY_LUN | OP_WELL_KNOWN | OP_LEGACY, .usage = { 0xff, 0x01, 0xff, 0xff, 0xff } },
	{ "MODE SELECT(6)", 0x15, NO_ACTION, 6, LEN(4, 1), .unit = UNIT_PARAMETERS, .reserve = RESERVE_WRITE, .run = mode_select_6,
	  .usage = { 0xff, 0x11, 0, 0, 0xff } },
	{ "RESERVE(6)", 0x16, NO_ACTION, 6, .reserve = RESERVE_ITSELF, .run = spc2_reserve, .usage = { 0xff } },
	{ "RELEASE(6)", 0x17, NO_ACTION, 6, .reserve = RESERVE_ITSELF, .run = spc2_release, .flags = OP_LEGACY, .usage = { 0xff } },
	{ "MODE SENSE(6)", 0x1a, NO_ACTION, 6, LEN(4, 1), .unit = UNIT_ALLOCATION, .reserve = RESERVE_READ, .run = mode_sense_6,
	  .usage = { 0xff, 0x08, 0xff, 0xff, 0xff } },
	{ "START STOP UNIT", 0x1b, NO_ACTION, 6, .reserve = RESERVE_START, .run = sbc_start_stop, .usage = { 0xff, 0x01, 0, 0x0f, 0xf7 } },
	{ "RECEIVE DIAGNOSTIC RESULTS", 0x1c, NO_ACTION, 6, LEN(3, 2), .unit = UNIT_ALLOCATION, .reserve = RESERVE_READ,
	  .run = spc_receive_diagnostic, .usage = { 0xff, 0x01, 0xff, 0xff, 0xff } },
	{ "SEND DIAGNOSTIC", 0x1d, NO_ACTION, 6, .reserve = RESERVE_WRITE, .run = spc_send_diagnostic, .usage = { 0xff, 0x17 } },
	{ "PREVENT ALLOW MEDIUM REMOVAL", 0x1e, NO_ACTION, 6, .reserve = RESERVE_PREVENT, .run = spc_prevent_allow,
	  .usage = { 0xff, 0, 0, 0, 0x01 } },
	{ "READ CAPACITY(10)", 0x25, NO_ACTION, 10, .run = sbc_read_capacity_10, .flags = OP_LEGACY, .usage = { 0xff } },
	{ "READ(10)", 0x28, NO_ACTION, 10, LBA(2, 4), LEN(7, 2), .unit = UNIT_BLOCKS_IN, .reserve = RESERVE_READ, .run = sbc_read,
	  .usage = { 0xff, 0x18, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff } },
	{ "WRITE(10)", 0x2a, NO_ACTION, 10, LBA(2, 4), LEN(7, 2), .unit = UNIT_BLOCKS_OUT, .reserve = RESERVE_WRITE, .run = sbc_write,
	  .flags = OP_WRITES, .usage = { 0xff, 0x18, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff } },
	{ "WRITE AND VERIFY(10)", 0x2e, NO_ACTION, 10, LBA(2, 4), LEN(7, 2), .unit = UNIT_BLOCKS_OUT, .reserve = RESERVE_WRITE,
	  .run = sbc_write_and_verify, .flags = OP_WRITES, .usage = { 0xff, 0x12, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff } },
	{ "VERIFY(10)", 0x2f, NO_ACTION, 10, LBA(2, 4), LEN(7, 2), .unit = UNIT_VERIFY, .reserve = RESERVE_READ, .run = sbc_verify,
	  .usage = { 0xff, 0x16, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff } },
	{ "PRE-FETCH(10)", 0x34, NO_ACTION, 10, LBA(2, 4), LEN(7, 2), .unit = UNIT_RANGE, .reserve = RESERVE_READ, .run = sbc_prefetch,
	  .usage = { 0xff, 0x02, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff } },
	{ "SYNCHRONIZE CACHE(10)", 0x35, NO_ACTION, 10, LBA(2, 4), LEN(7, 2), .unit = UNIT_RANGE, .reserve = RESERVE_WRITE,
	  .run = sbc_synchronize_cache, .usage = { 0xff, 0x06, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff } },
	{ "READ DEFECT DATA(10)", 0x37, NO_ACTION, 10, LEN(7, 2), .unit = UNIT_ALLOCATION, .reserve = RESERVE_READ, .run = sbc_read_defects_10,
	  .usage = { 0xff, 0, 0x1f, 0, 0, 0, 0, 0xff, 0xff } },
	{ "WRITE SAME(10)", 0x41, NO_ACTION, 10, LBA(2, 4), LEN(7, 2), .unit = UNIT_SAME, .reserve = RESERVE_WRITE, .run = sbc_write_same,
	  .flags = OP_WRITES, .usage = { 0xff, 0x08, 0xff, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff } },
	{ "UNMAP", 0x42, NO_ACTION, 10, LEN(7, 2), .unit = UNIT_PARAMETERS, .reserve = RESERVE_WRITE, .run = sbc_unmap, .flags = OP_WRITES,
	  .usage = { 0xff, 0, 0, 0, 0, 0, 0x1f, 0xff, 0xff } },
	{ "LOG SENSE", 0x4d, NO_ACTION, 10, LEN(7, 2), .unit = UNIT_ALLOCATION, .run = spc_log_sense, .flags = OP_LEGACY,
	  .usage = { 0xff, 0, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff } },
	{ "MODE SELECT(10)", 0x55, NO_ACTION, 10, LEN(7, 2), .unit = UNIT_PARAMETERS, .reserve = RESERVE_WRITE, .run = mode_select_10,
	  .usage = { 0xff, 0x11, 0, 0, 0, 0, 0, 0xff, 0xff } },
	{ "RESERVE(10)", 0x56, NO_ACTION, 10, .reserve = RESERVE_ITSELF, .run = spc2_reserve, .usage = { 0xff } },
	{ "RELEASE(10)", 0x57, NO_ACTION, 10, .reserve = RESERVE_ITSELF, .run = spc2_release, .flags = OP_LEGACY, .usage = { 0xff } },
	{ "MODE SENSE(10)", 0x5a, NO_ACTION, 10, LEN(7, 2), .unit = UNIT_ALLOCATION, .reserve = RESERVE_READ, .run = mode_sense_10,
	  .usage = { 0xff, 0x18, 0xff, 0xff, 0, 0, 0, 0xff, 0xff } },
#define PR_IN(name, action, handler) \
	{ "PERSISTENT RESERVE IN: " name, 0x5e, action, 10, LEN(7, 2), .unit = UNIT_ALLOCATION, .run = handler, .usage = { 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff } }
	PR_IN("READ KEYS", 0, pr_in_read_keys),
	PR_IN("READ RESERVATION", 1, pr_in_read_reservation),
	PR_IN("REPORT CAPABILITIES", 2, pr_in_report_capabilities),
	PR_IN("READ FULL STATUS", 3, pr_in_read_full_status),
#define PR_OUT(name, action, type) \
	{ "PERSISTENT RESERVE OUT: " name, 0x5f, action, 10, LEN(5, 4), .unit = UNIT_PARAMETERS, .reserve = RESERVE_ITSELF, .run = pr_out, \
	  .usage = { 0xff, 0, type, 0, 0, 0xff, 0xff, 0xff, 0xff } }
	PR_OUT("REGISTER", 0, 0xff), /* SCOPE and TYPE are ignored: SPC-4 §6.16.2 */
	PR_OUT("RESERVE", 1, 0xff),
	PR_OUT("RELEASE", 2, 0xff),
	PR_OUT("CLEAR", 3, 0xff),
	PR_OUT("PREEMPT", 4, 0xff),
	PR_OUT("PREEMPT AND ABORT", 5, 0xff),
	PR_OUT("REGISTER AND IGNORE EXISTING KEY", 6, 0xff),
	PR_OUT("REGISTER AND MOVE", 7, 0xff),
	{ "READ(16)", 0x88, NO_ACTION, 16, LBA(2, 8), LEN(10, 4), .unit = UNIT_BLOCKS_IN, .reserve = RESERVE_READ, .run = sbc_read,
	  .usage = { 0xff, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f } },
	{ "COMPARE AND WRITE", 0x89, NO_ACTION, 16, LBA(2, 8), LEN(13, 1), .unit = UNIT_COMPARE, .reserve = RESERVE_WRITE,
	  .run = sbc_compare_and_write, .flags = OP_WRITES | OP_ATOMIC,
	  .usage = { 0xff, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0xff, 0x1f } },
	{ "WRITE(16)", 0x8a, NO_ACTION, 16, LBA(2, 8), LEN(10, 4), .unit = UNIT_BLOCKS_OUT, .reserve = RESERVE_WRITE, .run = sbc_write,
	  .flags = OP_WRITES, .usage = { 0xff, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f } },
	{ "ORWRITE(16)", 0x8b, NO_ACTION, 16, LBA(2, 8), LEN(10, 4), .unit = UNIT_BLOCKS_OUT, .reserve = RESERVE_WRITE, .run = sbc_orwrite,
	  .flags = OP_WRITES | OP_ATOMIC,
	  .usage = { 0xff, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f } },
	{ "WRITE AND VERIFY(16)", 0x8e, NO_ACTION, 16, LBA(2, 8), LEN(10, 4), .unit = UNIT_BLOCKS_OUT, .reserve = RESERVE_WRITE,
	  .run = sbc_write_and_verify, .flags = OP_WRITES,
	  .usage = { 0xff, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f } },
	{ "VERIFY(16)", 0x8f, NO_ACTION, 16, LBA(2, 8), LEN(10, 4), .unit = UNIT_VERIFY, .reserve = RESERVE_READ, .run = sbc_verify,
	  .usage = { 0xff, 0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f } },
	{ "PRE-FETCH(16)", 0x90, NO_ACTION, 16, LBA(2, 8), LEN(10, 4), .unit = UNIT_RANGE, .reserve = RESERVE_READ, .run = sbc_prefetch,
	  .usage = { 0xff, 0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f } },
	{ "SYNCHRONIZE CACHE(16)", 0x91, NO_ACTION, 16, LBA(2, 8), LEN(10, 4), .unit = UNIT_RANGE, .reserve = RESERVE_WRITE,
	  .run = sbc_synchronize_cache, .usage = { 0xff, 0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f } },
	{ "WRITE SAME(16)", 0x93, NO_ACTION, 16, LBA(2, 8), LEN(10, 4), .unit = UNIT_SAME, .reserve = RESERVE_WRITE, .run = sbc_write_same,
	  .flags = OP_WRITES, .usage = { 0xff, 0x09, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f } },
	{ "READ CAPACITY(16)", 0x9e, 0x10, 16, LEN(10, 4), .unit = UNIT_ALLOCATION, .run = sbc_read_capacity_16, .flags = OP_LEGACY,
	  .usage = { 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff } },
	{ "GET LBA STATUS", 0x9e, 0x12, 16, LBA(2, 8), LEN(10, 4), .unit = UNIT_ALLOCATION, .reserve = RESERVE_READ, .run = sbc_get_lba_status,
	  .usage = { 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
	{ "REPORT LUNS", 0xa0, NO_ACTION, 12, LEN(6, 4), .unit = UNIT_ALLOCATION, .run = spc_report_luns,
	  .flags = OP_NO_ATTENTION | OP_WELL_KNOWN | OP_LEGACY, .usage = { 0xff, 0, 0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff } },
	{ "REPORT SUPPORTED OPERATION CODES", 0xa3, 0x0c, 12, LEN(6, 4), .unit = UNIT_ALLOCATION, .reserve = RESERVE_READ,
	  .run = spc_report_opcodes, .usage = { 0xff, 0, 0x87, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
	{ "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", 0xa3, 0x0d, 12, LEN(6, 4), .unit = UNIT_ALLOCATION, .reserve = RESERVE_READ,
	  .run = spc_report_task_management, .usage = { 0xff, 0, 0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff } },
	{ "READ(12)", 0xa8, NO_ACTION, 12, LBA(2, 4), LEN(6, 4), .unit = UNIT_BLOCKS_IN, .reserve = RESERVE_READ, .run = sbc_read,
	  .usage = { 0xff, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f } },
	{ "WRITE(12)", 0xaa, NO_ACTION, 12, LBA(2, 4), LEN(6, 4), .unit = UNIT_BLOCKS_OUT, .reserve = RESERVE_WRITE, .run = sbc_write,
	  .flags = OP_WRITES, .usage = { 0xff, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f } },
	{ "WRITE AND VERIFY(12)", 0xae, NO_ACTION, 12, LBA(2, 4), LEN(6, 4), .unit = UNIT_BLOCKS_OUT, .reserve = RESERVE_WRITE,
	  .run = sbc_write_and_verify, .flags = OP_WRITES, .usage = { 0xff, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f } },
	{ "VERIFY(12)", 0xaf, NO_ACTION, 12, LBA(2, 4), LEN(6, 4), .unit = UNIT_VERIFY, .reserve = RESERVE_READ, .run = sbc_verify,
	  .usage = { 0xff, 0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f } },
	{ "READ DEFECT DATA(12)", 0xb7, NO_ACTION, 12, LEN(6, 4), .unit = UNIT_ALLOCATION, .reserve = RESERVE_READ, .run = sbc_read_defects_12,
	  .usage = { 0xff, 0x1f, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff } },
};

const size_t opcode_count = array_len(opcode_table);

const struct opcode *opcode_find_code(uint8_t code)
{
	size_t low = 0, high = opcode_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (opcode_table[middle].code < code)
			low = middle + 1;
		else
			high = middle;
	}
	return low < opcode_count && opcode_table[low].code == code ? &opcode_table[low] : NULL;
}

const struct opcode *opcode_find(uint8_t code, unsigned action, bool *known)
{
	const struct opcode *op = opcode_find_code(code);

	*known = op != NULL;
	if (!op || op->action == OPCODE_NO_ACTION)
		return op;
	for (; op < opcode_table + opcode_count && op->code == code; op++)
		if ((unsigned)op->action == action)
			return op;
	return NULL;
}
