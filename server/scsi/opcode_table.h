/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one table of commands: how a CDB is read, checked and run. Private to scsi/.
 *
 * What a CDB may contain is its usage mask, as REPORT SUPPORTED OPERATION CODES shows it (SPC-4 §6.35.3): a bit that
 * is not in the mask and is set makes the command fail with a pointer to that bit.
 */
#ifndef SCSI_OPCODE_TABLE_H
#define SCSI_OPCODE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scsi/target.h"

struct task_state;

enum { OPCODE_NO_ACTION = -1, OPCODE_CDB_BYTES = 16 };

/* Which types of device have a command. */
enum { OPCODE_DISK = 1, OPCODE_CDROM = 2, OPCODE_ANY = 0xff };

/* What the length field of a CDB counts, and which data phase follows. */
enum opcode_unit {
	UNIT_NOTHING,	  /* no length, no data */
	UNIT_EIGHT_BYTES, /* no length, 8 bytes of Data-In */
	UNIT_ALLOCATION,  /* bytes of Data-In at most */
	UNIT_PARAMETERS,  /* bytes of Data-Out */
	UNIT_BLOCKS_IN,	  /* blocks of Data-In */
	UNIT_BLOCKS_OUT,  /* blocks of Data-Out */
	UNIT_RANGE,	  /* blocks, no data */
	UNIT_COMPARE,	  /* blocks, twice as many in the Data-Out */
	UNIT_VERIFY,	  /* blocks, data as BYTCHK says */
	UNIT_SAME,	  /* blocks, one of them in the Data-Out */
};

/* Who may send it in the presence of somebody else's reservation: SPC-4 table 66, SBC-3 table 13. */
enum opcode_reserve {
	RESERVE_ALLOWED, /* everybody */
	RESERVE_READ,	 /* refused under Exclusive Access */
	RESERVE_WRITE,	 /* refused under all types */
	RESERVE_START,	 /* START STOP UNIT: only START=1, POWER CONDITION=0 is for everybody */
	RESERVE_PREVENT, /* PREVENT ALLOW MEDIUM REMOVAL: only PREVENT=0 is */
	RESERVE_ITSELF,	 /* the command looks itself */
};

enum opcode_flags {
	OP_NO_ATTENTION = 1, /* runs although a unit attention is pending (SAM-5 §5.14) */
	OP_ANY_LUN = 2,	     /* also answers where there is no logical unit */
	OP_WELL_KNOWN = 4,   /* the REPORT LUNS well-known logical unit has it */
	OP_WRITES = 8,	     /* refused on a write-protected medium */
	OP_ATOMIC = 16,	     /* nothing else touches its blocks between its steps */
	OP_ZERO_IS_256 = 32, /* READ(6), WRITE(6) */
	OP_LEGACY = 64,	     /* allowed under somebody else's RESERVE (SPC-2 §5.5.1) */
};

struct opcode {
	const char *name;
	uint8_t types;
	uint8_t code;
	int8_t action; /* service action in byte 1, or OPCODE_NO_ACTION */
	uint8_t cdb_bytes;
	uint8_t lba_at, lba_bytes; /* the first byte is masked by usage */
	uint8_t length_at, length_bytes;
	enum opcode_unit unit;
	enum opcode_reserve reserve;
	unsigned flags;
	void (*run)(struct task_state *st);
	uint8_t usage[OPCODE_CDB_BYTES];
};

extern const struct opcode opcode_table[];
extern const size_t opcode_count; /* sorted by code, then action */

/*
 * The row of a CDB for one of these types; NULL where there is none. *known: the operation code exists, if perhaps not
 * with this service action.
 */
const struct opcode *opcode_find(uint8_t code, unsigned action, unsigned types, bool *known);
/* The first row of an operation code for one of these types, or NULL. */
const struct opcode *opcode_find_code(uint8_t code, unsigned types);

#endif
