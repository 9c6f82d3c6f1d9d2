// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From a CDB to what it asks for, by the opcode table: which command, are all its bits legal, which blocks, how much
 * data in which direction. What is wrong is kept in the task, and reported when it is executed.
 */
#include "scsi/handlers.h"
#include "scsi/task.h"

static uint64_t cdb_number(const uint8_t *cdb, const struct opcode *op, unsigned at, unsigned bytes)
{
	uint64_t x = 0;

	for (unsigned i = 0; i < bytes; i++)
		x = x << 8 | (i == 0 ? cdb[at] & op->usage[at] : cdb[at + i]);
	return x;
}

static bool task_bad(struct task_state *st, enum sense_code code)
{
	st->bad = true;
	st->error = (struct sense){ .key = SENSE_ILLEGAL_REQUEST, .code = code };
	return false;
}

static bool task_bad_field(struct task_state *st, unsigned byte, int bit)
{
	task_bad(st, ASC_INVALID_FIELD_IN_CDB);
	st->error.where = SENSE_IN_CDB;
	st->error.byte = (uint16_t)byte;
	st->error.bit = (int8_t)bit;
	return false;
}

static bool task_check_mask(struct task_state *st)
{
	const struct opcode *op = st->op;

	for (unsigned i = 1; i < op->cdb_bytes; i++) {
		unsigned legal = op->usage[i], wrong;

		if (i == 1 && op->action != OPCODE_NO_ACTION)
			legal |= 0x1f;
		wrong = st->task->cdb[i] & ~legal & 0xff;
		if (wrong)
			return task_bad_field(st, i, 31 - __builtin_clz(wrong));
	}
	return true;
}

/* Do st->lba and st->blocks lie on the medium? 0 blocks mean all the rest where the command says so. */
static bool task_check_range(struct task_state *st, bool zero_is_rest)
{
	uint64_t capacity = st->lu->blocks;

	if (st->lba > capacity || st->blocks > capacity - st->lba)
		return task_bad(st, ASC_LBA_OUT_OF_RANGE);
	if (zero_is_rest && !st->blocks) {
		if (st->lba == capacity)
			return task_bad(st, ASC_LBA_OUT_OF_RANGE);
		st->blocks = capacity - st->lba;
	}
	return true;
}

static bool task_check_transfer(struct task_state *st, uint64_t most)
{
	if (st->blocks > most)
		return task_bad_field(st, st->op->length_at, -1);
	return task_check_range(st, false);
}

static bool task_decode_verify(struct task_state *st, size_t *out)
{
	switch (st->task->cdb[1] >> 1 & 3) {
	case 0: /* the medium alone: no data, and any length, in steps */
		return task_check_range(st, false);
	case 1:
		*out = st->blocks * SCSI_BLOCK;
		return task_check_transfer(st, SCSI_TRANSFER_BLOCKS_MAX);
	case 3:
		*out = st->blocks ? SCSI_BLOCK : 0;
		return task_check_range(st, false);
	default: /* SBC-3 §5.29: reserved */
		return task_bad_field(st, 1, 2);
	}
}

static bool task_decode_same(struct task_state *st, size_t *out)
{
	bool ndob = st->op->cdb_bytes == 16 && (st->task->cdb[1] & SBC_SAME_NDOB);

	/* SBC-3 §5.45: ANCHOR without UNMAP is an error, whatever is supported. */
	if ((st->task->cdb[1] & (SBC_SAME_ANCHOR | SBC_SAME_UNMAP)) == SBC_SAME_ANCHOR)
		return task_bad_field(st, 1, 4);
	/*
	 * WSNZ=1: 0 does not mean "to the end", which could be more than one command should do. Systems that know only
	 * disks of 512-byte blocks (SBC-2) know nothing of that bit either: 0 is the rest there, as far as it is
	 * allowed.
	 */
	if (!st->blocks && st->lu->physical_exponent)
		return task_bad_field(st, st->op->length_at, -1);
	if (!st->blocks && !task_check_range(st, true))
		return false;
	*out = ndob ? 0 : SCSI_BLOCK;
	return task_check_transfer(st, SCSI_SAME_BLOCKS_MAX);
}

static bool task_decode_data(struct task_state *st, size_t *in, size_t *out)
{
	switch (st->op->unit) {
	case UNIT_NOTHING:
		return true;
	case UNIT_EIGHT_BYTES:
		*in = st->length = 8;
		return true;
	case UNIT_ALLOCATION:
		*in = st->length < SCSI_PARAMETERS_MAX ? st->length : SCSI_PARAMETERS_MAX;
		if (st->op->lba_bytes && st->lba >= st->lu->blocks)
			return task_bad(st, ASC_LBA_OUT_OF_RANGE);
		return true;
	case UNIT_PARAMETERS:
		*out = st->length;
		return st->length <= SCSI_PARAMETERS_MAX || task_bad_field(st, st->op->length_at, -1);
	case UNIT_BLOCKS_IN:
		*in = lu_bytes(st->lu, st->blocks);
		return task_check_transfer(st, DISK_REQUEST_MAX >> st->lu->block_shift);
	case UNIT_BLOCKS_OUT:
		*out = st->blocks * SCSI_BLOCK;
		return task_check_transfer(st, SCSI_TRANSFER_BLOCKS_MAX);
	case UNIT_RANGE:
		return task_check_range(st, true);
	case UNIT_COMPARE:
		*out = st->blocks * SCSI_BLOCK * 2;
		return task_check_transfer(st, SCSI_COMPARE_BLOCKS_MAX);
	case UNIT_VERIFY:
		return task_decode_verify(st, out);
	case UNIT_SAME:
		return task_decode_same(st, out);
	}
	return true;
}

void task_decode_cdb(struct task_state *st)
{
	struct scsi_task *task = st->task;
	size_t in = 0, out = 0;
	bool known;

	st->op = opcode_find(task->cdb[0], task->cdb[1] & 0x1f, task_types(st), &known);
	if (st->lun_kind == LUN_NONE && !(st->op && (st->op->flags & OP_ANY_LUN))) {
		task_bad(st, ASC_LOGICAL_UNIT_NOT_SUPPORTED);
		return;
	}
	if (!st->op && known) {
		task_bad_field(st, 1, 4);
		return;
	}
	if (!st->op || (st->lun_kind == LUN_WELL_KNOWN && !(st->op->flags & OP_WELL_KNOWN))) {
		task_bad(st, ASC_INVALID_OPERATION_CODE);
		return;
	}
	if (task->cdb_len < st->op->cdb_bytes) {
		task_bad(st, ASC_INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
		return;
	}
	if (!task_check_mask(st))
		return;
	st->lba = cdb_number(task->cdb, st->op, st->op->lba_at, st->op->lba_bytes);
	st->length = (uint32_t)cdb_number(task->cdb, st->op, st->op->length_at, st->op->length_bytes);
	if ((st->op->flags & OP_ZERO_IS_256) && !st->length)
		st->length = 256;
	if (st->op->unit >= UNIT_BLOCKS_IN)
		st->blocks = st->length;
	if (!task_decode_data(st, &in, &out))
		return;
	task->direction = in ? SCSI_DATA_IN : out ? SCSI_DATA_OUT : SCSI_NO_DATA;
	task->data_in_len = in;
	task->data_out_len = out;
	if (st->lu && (st->op->unit >= UNIT_BLOCKS_IN || (st->op->flags & OP_WRITES)))
		task->medium = (int)st->lu->number;
}
