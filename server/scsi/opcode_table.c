// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands: see opcode_table.h. Sorted by operation code, then service action, then device type. Bits that no mask has:
 * RDPROTECT, WRPROTECT, VRPROTECT, ORPROTECT (no protection information), NACA and the obsolete bits of the CONTROL
 * byte, FUA_NV, PMI. GROUP NUMBER may be set: grouping only counts, and we do not count.
 */
#include "scsi/opcode_table.h"

#include "base/util.h"
#include "scsi/handlers.h"
#include "scsi/mode.h"
#include "scsi/reservations.h"

#define NO_ACTION OPCODE_NO_ACTION
#define LBA(at, bytes) .lba_at = (at), .lba_bytes = (bytes)
#define LEN(at, bytes) .length_at = (at), .length_bytes = (bytes)
#define USAGE(...) .usage = { 0xff, __VA_ARGS__ }
#define ALL_2 0xff, 0xff
#define ALL_4 ALL_2, ALL_2
#define ALL_8 ALL_4, ALL_4
#define GROUP 0x1f
/* Who has it. */
#define DISK OPCODE_DISK
#define CD OPCODE_CDROM
#define BOTH (OPCODE_DISK | OPCODE_CDROM)

/* The three shapes of a CDB with blocks; byte_1: its flags. */
#define BLOCKS_10(byte_1) 10, LBA(2, 4), LEN(7, 2), USAGE(byte_1, ALL_4, GROUP, ALL_2)
#define BLOCKS_12(byte_1) 12, LBA(2, 4), LEN(6, 4), USAGE(byte_1, ALL_4, ALL_4, GROUP)
#define BLOCKS_16(byte_1) 16, LBA(2, 8), LEN(10, 4), USAGE(byte_1, ALL_8, ALL_4, GROUP)
/* What happens to the blocks. */
#define READS(name) .unit = UNIT_BLOCKS_IN, .reserve = RESERVE_READ, .run = (name)
#define WRITES(name) .unit = UNIT_BLOCKS_OUT, .reserve = RESERVE_WRITE, .flags = OP_WRITES, .run = (name)
#define VERIFIES .unit = UNIT_VERIFY, .reserve = RESERVE_READ, .run = sbc_verify
#define FETCHES .unit = UNIT_RANGE, .reserve = RESERVE_READ, .run = sbc_prefetch
#define FLUSHES .unit = UNIT_RANGE, .reserve = RESERVE_WRITE, .run = sbc_synchronize_cache
#define REPEATS .unit = UNIT_SAME, .reserve = RESERVE_WRITE, .flags = OP_WRITES, .run = sbc_write_same
/* Data-In of at most the allocation length, Data-Out of the parameter list length. */
#define RETURNS(name) .unit = UNIT_ALLOCATION, .run = (name)
#define TAKES(name) .unit = UNIT_PARAMETERS, .run = (name)
/* The two commands with service actions that look alike. */
#define PR_IN(action, handler, name)                                                                 \
	{                                                                                            \
		"PERSISTENT RESERVE IN: " name, DISK, 0x5e, action, 10, LEN(7, 2), RETURNS(handler), \
			USAGE(0, 0, 0, 0, 0, 0, ALL_2)                                               \
	}
#define PR_OUT(action, name)                                                                       \
	{                                                                                          \
		"PERSISTENT RESERVE OUT: " name, DISK, 0x5f, action, 10, LEN(5, 4), TAKES(pr_out), \
			.reserve = RESERVE_ITSELF, USAGE(0, 0xff, 0, 0, ALL_4)                     \
	}

const struct opcode opcode_table[] = {
	{ "TEST UNIT READY", BOTH, 0x00, NO_ACTION, 6, .run = spc_test_unit_ready, .flags = OP_WELL_KNOWN, USAGE(0) },
	{ "REQUEST SENSE", BOTH, 0x03, NO_ACTION, 6, LEN(4, 1), RETURNS(spc_request_sense),
	  .flags = OP_NO_ATTENTION | OP_ANY_LUN | OP_WELL_KNOWN | OP_LEGACY, USAGE(0x01, 0, 0, 0xff) },
	{ "READ(6)", DISK, 0x08, NO_ACTION, 6, LBA(1, 3), LEN(4, 1), READS(sbc_read), .flags = OP_ZERO_IS_256,
	  USAGE(0x1f, ALL_2, 0xff) },
	{ "WRITE(6)", DISK, 0x0a, NO_ACTION, 6, LBA(1, 3), LEN(4, 1), .unit = UNIT_BLOCKS_OUT, .reserve = RESERVE_WRITE,
	  .run = sbc_write, .flags = OP_WRITES | OP_ZERO_IS_256, USAGE(0x1f, ALL_2, 0xff) },
	{ "INQUIRY", BOTH, 0x12, NO_ACTION, 6, LEN(3, 2), RETURNS(spc_inquiry),
	  .flags = OP_NO_ATTENTION | OP_ANY_LUN | OP_WELL_KNOWN | OP_LEGACY, USAGE(0x01, 0xff, ALL_2) },
	{ "MODE SELECT(6)", BOTH, 0x15, NO_ACTION, 6, LEN(4, 1), TAKES(mode_select_6), .reserve = RESERVE_WRITE,
	  USAGE(0x11, 0, 0, 0xff) },
	{ "RESERVE(6)", DISK, 0x16, NO_ACTION, 6, .reserve = RESERVE_ITSELF, .run = spc2_reserve, USAGE(0) },
	{ "RELEASE(6)", DISK, 0x17, NO_ACTION, 6, .reserve = RESERVE_ITSELF, .run = spc2_release, .flags = OP_LEGACY,
	  USAGE(0) },
	{ "MODE SENSE(6)", BOTH, 0x1a, NO_ACTION, 6, LEN(4, 1), RETURNS(mode_sense_6), .reserve = RESERVE_READ,
	  USAGE(0x08, ALL_2, 0xff) },
	{ "START STOP UNIT", DISK, 0x1b, NO_ACTION, 6, .reserve = RESERVE_START, .run = sbc_start_stop,
	  USAGE(0x01, 0, 0x0f, 0xf7) },
	{ "START STOP UNIT", CD, 0x1b, NO_ACTION, 6, .reserve = RESERVE_START, .run = mmc_start_stop,
	  USAGE(0x01, 0, 0x0f, 0xf7) },
	{ "RECEIVE DIAGNOSTIC RESULTS", BOTH, 0x1c, NO_ACTION, 6, LEN(3, 2), RETURNS(spc_receive_diagnostic),
	  .reserve = RESERVE_READ, USAGE(0x01, 0xff, ALL_2) },
	{ "SEND DIAGNOSTIC", BOTH, 0x1d, NO_ACTION, 6, .reserve = RESERVE_WRITE, .run = spc_send_diagnostic,
	  USAGE(0x17) },
	{ "PREVENT ALLOW MEDIUM REMOVAL", DISK, 0x1e, NO_ACTION, 6, .reserve = RESERVE_PREVENT,
	  .run = spc_prevent_allow, USAGE(0, 0, 0, 0x01) },
	{ "PREVENT ALLOW MEDIUM REMOVAL", CD, 0x1e, NO_ACTION, 6, .reserve = RESERVE_PREVENT, .run = spc_prevent_allow,
	  USAGE(0, 0, 0, 0x03) },
	{ "READ CAPACITY(10)", BOTH, 0x25, NO_ACTION, 10, .unit = UNIT_EIGHT_BYTES, .run = sbc_read_capacity_10,
	  .flags = OP_LEGACY, USAGE(0) },
	{ "READ(10)", BOTH, 0x28, NO_ACTION, BLOCKS_10(0x18), READS(sbc_read) },
	{ "WRITE(10)", DISK, 0x2a, NO_ACTION, BLOCKS_10(0x18), WRITES(sbc_write) },
	{ "WRITE AND VERIFY(10)", DISK, 0x2e, NO_ACTION, BLOCKS_10(0x12), WRITES(sbc_write_and_verify) },
	{ "VERIFY(10)", DISK, 0x2f, NO_ACTION, BLOCKS_10(0x16), VERIFIES },
	{ "PRE-FETCH(10)", DISK, 0x34, NO_ACTION, BLOCKS_10(0x02), FETCHES },
	{ "SYNCHRONIZE CACHE(10)", DISK, 0x35, NO_ACTION, BLOCKS_10(0x06), FLUSHES },
	{ "READ DEFECT DATA(10)", DISK, 0x37, NO_ACTION, 10, LEN(7, 2), RETURNS(sbc_read_defects_10),
	  .reserve = RESERVE_READ, USAGE(0, 0x1f, 0, 0, 0, 0, ALL_2) },
	{ "WRITE SAME(10)", DISK, 0x41, NO_ACTION, BLOCKS_10(0x18), REPEATS },
	{ "UNMAP", DISK, 0x42, NO_ACTION, 10, LEN(7, 2), TAKES(sbc_unmap), .reserve = RESERVE_WRITE, .flags = OP_WRITES,
	  USAGE(0x01, 0, 0, 0, 0, GROUP, ALL_2) },
	/* Byte 9: the format as SFF-8020 had it, which is how Linux asks for sessions. */
	{ "READ TOC/PMA/ATIP", CD, 0x43, NO_ACTION, 10, LEN(7, 2), RETURNS(mmc_read_toc),
	  USAGE(0x02, 0x0f, 0, 0, 0, 0xff, ALL_2, 0xc0) },
	{ "GET CONFIGURATION", CD, 0x46, NO_ACTION, 10, LEN(7, 2), RETURNS(mmc_get_configuration),
	  .flags = OP_NO_ATTENTION, USAGE(0x03, ALL_2, 0, 0, 0, ALL_2) },
	{ "GET EVENT STATUS NOTIFICATION", CD, 0x4a, NO_ACTION, 10, LEN(7, 2), RETURNS(mmc_get_event_status),
	  .flags = OP_NO_ATTENTION, USAGE(0x01, 0, 0, 0xff, 0, 0, ALL_2) },
	{ "LOG SENSE", DISK, 0x4d, NO_ACTION, 10, LEN(7, 2), RETURNS(spc_log_sense), .flags = OP_LEGACY,
	  USAGE(0, ALL_2, 0, ALL_4) },
	{ "READ DISC INFORMATION", CD, 0x51, NO_ACTION, 10, LEN(7, 2), RETURNS(mmc_read_disc_information),
	  USAGE(0x07, 0, 0, 0, 0, 0, ALL_2) },
	{ "READ TRACK INFORMATION", CD, 0x52, NO_ACTION, 10, LEN(7, 2), RETURNS(mmc_read_track_information),
	  USAGE(0x03, ALL_4, 0, ALL_2) },
	{ "MODE SELECT(10)", BOTH, 0x55, NO_ACTION, 10, LEN(7, 2), TAKES(mode_select_10), .reserve = RESERVE_WRITE,
	  USAGE(0x11, 0, 0, 0, 0, 0, ALL_2) },
	{ "RESERVE(10)", DISK, 0x56, NO_ACTION, 10, .reserve = RESERVE_ITSELF, .run = spc2_reserve, USAGE(0) },
	{ "RELEASE(10)", DISK, 0x57, NO_ACTION, 10, .reserve = RESERVE_ITSELF, .run = spc2_release, .flags = OP_LEGACY,
	  USAGE(0) },
	{ "MODE SENSE(10)", BOTH, 0x5a, NO_ACTION, 10, LEN(7, 2), RETURNS(mode_sense_10), .reserve = RESERVE_READ,
	  USAGE(0x18, ALL_2, 0, 0, 0, ALL_2) },
	PR_IN(0, pr_in_read_keys, "READ KEYS"),
	PR_IN(1, pr_in_read_reservation, "READ RESERVATION"),
	PR_IN(2, pr_in_report_capabilities, "REPORT CAPABILITIES"),
	PR_IN(3, pr_in_read_full_status, "READ FULL STATUS"),
	PR_OUT(0, "REGISTER"),
	PR_OUT(1, "RESERVE"),
	PR_OUT(2, "RELEASE"),
	PR_OUT(3, "CLEAR"),
	PR_OUT(4, "PREEMPT"),
	PR_OUT(5, "PREEMPT AND ABORT"),
	PR_OUT(6, "REGISTER AND IGNORE EXISTING KEY"),
	PR_OUT(7, "REGISTER AND MOVE"),
	{ "READ(16)", DISK, 0x88, NO_ACTION, BLOCKS_16(0x18), READS(sbc_read) },
	{ "COMPARE AND WRITE", DISK, 0x89, NO_ACTION, 16, LBA(2, 8), LEN(13, 1), .unit = UNIT_COMPARE,
	  .reserve = RESERVE_WRITE, .run = sbc_compare_and_write, .flags = OP_WRITES | OP_ATOMIC,
	  USAGE(0x18, ALL_8, 0, 0, 0, 0xff, GROUP) },
	{ "WRITE(16)", DISK, 0x8a, NO_ACTION, BLOCKS_16(0x18), WRITES(sbc_write) },
	{ "ORWRITE(16)", DISK, 0x8b, NO_ACTION, BLOCKS_16(0x18), .unit = UNIT_BLOCKS_OUT, .reserve = RESERVE_WRITE,
	  .run = sbc_orwrite, .flags = OP_WRITES | OP_ATOMIC },
	{ "WRITE AND VERIFY(16)", DISK, 0x8e, NO_ACTION, BLOCKS_16(0x12), WRITES(sbc_write_and_verify) },
	{ "VERIFY(16)", DISK, 0x8f, NO_ACTION, BLOCKS_16(0x16), VERIFIES },
	{ "PRE-FETCH(16)", DISK, 0x90, NO_ACTION, BLOCKS_16(0x02), FETCHES },
	{ "SYNCHRONIZE CACHE(16)", DISK, 0x91, NO_ACTION, BLOCKS_16(0x06), FLUSHES },
	{ "WRITE SAME(16)", DISK, 0x93, NO_ACTION, BLOCKS_16(0x19), REPEATS },
	{ "READ CAPACITY(16)", DISK, 0x9e, 0x10, 16, LEN(10, 4), RETURNS(sbc_read_capacity_16), .flags = OP_LEGACY,
	  USAGE(0, 0, 0, 0, 0, 0, 0, 0, 0, ALL_4) },
	{ "GET LBA STATUS", DISK, 0x9e, 0x12, 16, LBA(2, 8), LEN(10, 4), RETURNS(sbc_get_lba_status),
	  .reserve = RESERVE_READ, USAGE(0, ALL_8, ALL_4) },
	{ "REPORT LUNS", BOTH, 0xa0, NO_ACTION, 12, LEN(6, 4), RETURNS(spc_report_luns),
	  .flags = OP_NO_ATTENTION | OP_WELL_KNOWN | OP_LEGACY, USAGE(0, 0xff, 0, 0, 0, ALL_4) },
	{ "REPORT SUPPORTED OPERATION CODES", BOTH, 0xa3, 0x0c, 12, LEN(6, 4), RETURNS(spc_report_opcodes),
	  .reserve = RESERVE_READ, USAGE(0, 0x87, 0xff, ALL_2, ALL_4) },
	{ "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", BOTH, 0xa3, 0x0d, 12, LEN(6, 4),
	  RETURNS(spc_report_task_management), .reserve = RESERVE_READ, USAGE(0, 0x80, 0, 0, 0, ALL_4) },
	{ "READ(12)", BOTH, 0xa8, NO_ACTION, BLOCKS_12(0x18), READS(sbc_read) },
	{ "WRITE(12)", DISK, 0xaa, NO_ACTION, BLOCKS_12(0x18), WRITES(sbc_write) },
	{ "READ DISC STRUCTURE", CD, 0xad, NO_ACTION, 12, LEN(8, 2), RETURNS(mmc_read_disc_structure),
	  USAGE(0x0f, ALL_4, 0xff, 0xff, ALL_2, 0xc0) },
	{ "WRITE AND VERIFY(12)", DISK, 0xae, NO_ACTION, BLOCKS_12(0x12), WRITES(sbc_write_and_verify) },
	{ "VERIFY(12)", DISK, 0xaf, NO_ACTION, BLOCKS_12(0x16), VERIFIES },
	{ "READ DEFECT DATA(12)", DISK, 0xb7, NO_ACTION, 12, LEN(6, 4), RETURNS(sbc_read_defects_12),
	  .reserve = RESERVE_READ, USAGE(0x1f, 0, 0, 0, 0, ALL_4) },
	{ "MECHANISM STATUS", CD, 0xbd, NO_ACTION, 12, LEN(8, 2), RETURNS(mmc_mechanism_status),
	  USAGE(0, 0, 0, 0, 0, 0, 0, ALL_2) },
	{ "READ CD", CD, 0xbe, NO_ACTION, 12, LBA(2, 4), LEN(6, 3), READS(mmc_read_cd),
	  USAGE(0x1c, ALL_4, 0xff, ALL_2, 0xf8) },
};

const size_t opcode_count = array_len(opcode_table);

/* The first row of a code, of whatever type; opcode_count: none. */
static size_t find_row(uint8_t code)
{
	size_t low = 0, high = opcode_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (opcode_table[middle].code < code)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct opcode *opcode_find_code(uint8_t code, unsigned types)
{
	for (size_t i = find_row(code); i < opcode_count && opcode_table[i].code == code; i++)
		if (opcode_table[i].types & types)
			return &opcode_table[i];
	return NULL;
}

const struct opcode *opcode_find(uint8_t code, unsigned action, unsigned types, bool *known)
{
	*known = false;
	for (size_t i = find_row(code); i < opcode_count && opcode_table[i].code == code; i++) {
		const struct opcode *op = &opcode_table[i];

		if (!(op->types & types))
			continue;
		*known = true;
		if (op->action == OPCODE_NO_ACTION || (unsigned)op->action == action)
			return op;
	}
	return NULL;
}
