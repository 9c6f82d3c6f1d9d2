// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * READ, WRITE, WRITE AND VERIFY, VERIFY (SBC-3 §5.8 to §5.12, §5.29 to §5.43).
 *
 * A READ or WRITE is one disk request. DPO is a hint that a cache of files has no use for. What verifies reads in steps
 * of VERIFY_BLOCKS, so that no length makes us hold more than that.
 */
#include <string.h>

#include "base/util.h"
#include "scsi/handlers.h"

enum { CDB_FUA = 0x08, VERIFY_BLOCKS = (1 << 20) / SCSI_BLOCK };

static bool task_has_fua(const struct task_state *st)
{
	return st->op->cdb_bytes > 6 && (st->task->cdb[1] & CDB_FUA);
}

/* ---- READ ---- */

static void read_done(struct task_state *st)
{
	st->task->in = st->req.iov;
	st->task->in_count = st->req.iov_count;
	st->task->in_len = st->req.length;
	task_good(st);
}

static void read_start(struct task_state *st)
{
	task_disk(st, DISK_READ, st->lba, st->blocks, read_done);
}

void sbc_read(struct task_state *st)
{
	if (!st->blocks) {
		task_good(st);
		return;
	}
	/* FUA: from the medium, so what is newer in the cache goes there first (SBC-3 §4.15). */
	if (task_has_fua(st))
		task_flush(st, read_start);
	else
		read_start(st);
}

/* ---- WRITE ---- */

void sbc_write(struct task_state *st)
{
	uint64_t blocks;

	if (!task_blocks_out(st, &blocks))
		return;
	if (!blocks) {
		task_good(st);
		return;
	}
	if (task_slice_out(st, 0, blocks * SCSI_BLOCK))
		task_disk_flags(st, DISK_WRITE, st->lba, blocks, task_has_fua(st), false, task_good);
}

/* ---- VERIFY ---- */

/* How the blocks are compared: not at all, with the Data-Out, or each with the one block that is there. */
enum verify_mode { VERIFY_MEDIUM = 0, VERIFY_DATA = 1, VERIFY_REPEATED = 3 };

static enum verify_mode verify_mode(const struct task_state *st)
{
	return (enum verify_mode)(st->task->cdb[1] >> 1 & 3);
}

static void verify_miscompare(struct task_state *st, uint64_t offset)
{
	struct sense sense = { .key = SENSE_MISCOMPARE, .code = ASC_MISCOMPARE_DURING_VERIFY };

	sense.has_information = true;
	sense.information = offset; /* of the byte in the Data-Out: SBC-3 §5.29 */
	task_fail_sense(st, &sense);
}

/* Compares the read in hand, block by block, with the single block of Data-Out. */
static int64_t compare_repeated(const struct task_state *st)
{
	uint8_t want[SCSI_BLOCK], have[SCSI_BLOCK];
	size_t filled = 0;

	task_copy_out(st, 0, want, SCSI_BLOCK);
	for (int i = 0; i < st->req.iov_count; i++) {
		const uint8_t *p = st->req.iov[i].iov_base;
		size_t left = st->req.iov[i].iov_len;

		while (left) {
			size_t part = min_u64(left, SCSI_BLOCK - filled);

			memcpy(have + filled, p, part);
			filled += part;
			p += part;
			left -= part;
			if (filled < SCSI_BLOCK)
				continue;
			filled = 0;
			for (size_t k = 0; k < SCSI_BLOCK; k++)
				if (have[k] != want[k])
					return (int64_t)k;
		}
	}
	return -1;
}

static void verify_step(struct task_state *st);

static void verify_read(struct task_state *st)
{
	int64_t difference = -1;

	if (verify_mode(st) == VERIFY_DATA)
		difference = task_compare_out(st, st->progress * SCSI_BLOCK, st->chunk * SCSI_BLOCK);
	else if (verify_mode(st) == VERIFY_REPEATED)
		difference = compare_repeated(st);
	if (difference >= 0) {
		verify_miscompare(st, (uint64_t)difference +
					      (verify_mode(st) == VERIFY_DATA ? st->progress * SCSI_BLOCK : 0));
		return;
	}
	st->progress += st->chunk;
	verify_step(st);
}

static void verify_step(struct task_state *st)
{
	st->chunk = min_u64(st->blocks - st->progress, VERIFY_BLOCKS);
	if (!st->chunk) {
		task_give_back(st);
		task_good(st);
		return;
	}
	task_disk(st, DISK_READ, st->lba + st->progress, st->chunk, verify_read);
}

void sbc_verify(struct task_state *st)
{
	if (verify_mode(st) == VERIFY_DATA && !task_blocks_out(st, &st->blocks))
		return;
	if (verify_mode(st) == VERIFY_REPEATED && st->blocks && st->task->out_len < SCSI_BLOCK) {
		/* not even the block to compare with was announced */
		task_fail(st, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
		return;
	}
	if (!st->blocks) {
		task_good(st);
		return;
	}
	/* The medium is verified, so the cache goes there first: SBC-3 §5.29. */
	task_flush(st, verify_step);
}

/* SBC-3 §5.40: written to the medium, then read back. */
void sbc_write_and_verify(struct task_state *st)
{
	if (!task_blocks_out(st, &st->blocks))
		return;
	if (!st->blocks) {
		task_good(st);
		return;
	}
	if (task_slice_out(st, 0, st->blocks * SCSI_BLOCK))
		task_disk_flags(st, DISK_WRITE, st->lba, st->blocks, true, false, verify_step);
}
