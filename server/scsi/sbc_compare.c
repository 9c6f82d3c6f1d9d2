// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * COMPARE AND WRITE (SBC-3 §5.2) and ORWRITE(16) (§5.7): read, look, write, with nothing in between. That nothing comes
 * in between is the task set's work (OP_ATOMIC): older tasks on the same blocks have ended, and younger ones wait.
 */
#include <stdlib.h>

#include "base/util.h"
#include "scsi/handlers.h"

enum { CDB_FUA = 0x08, ORWRITE_BLOCKS = (1 << 20) / SCSI_BLOCK };

/* ---- COMPARE AND WRITE ---- */

static void compare_read(struct task_state *st)
{
	size_t half = st->blocks * SCSI_BLOCK;
	int64_t difference = task_compare_out(st, 0, half);

	if (difference >= 0) {
		struct sense sense = { .key = SENSE_MISCOMPARE, .code = ASC_MISCOMPARE_DURING_VERIFY };

		sense.has_information = true;
		sense.information = (uint64_t)difference;
		task_fail_sense(st, &sense);
		return;
	}
	if (task_slice_out(st, half, half))
		task_disk_flags(st, DISK_WRITE, st->lba, st->blocks, st->task->cdb[1] & CDB_FUA, false, task_good);
}

void sbc_compare_and_write(struct task_state *st)
{
	const struct scsi_task *task = st->task;
	size_t want = st->blocks * SCSI_BLOCK * 2;

	/* Neither half can be guessed where more or less is announced than the CDB says. (256 blocks come as 0.) */
	if (task->out_len < want || (task->out_expected && task->out_expected != want)) {
		task_fail_cdb(st, st->op->length_at, -1);
		return;
	}
	if (!st->blocks) {
		task_good(st);
		return;
	}
	task_disk(st, DISK_READ, st->lba, st->blocks, compare_read);
}

/* ---- ORWRITE ---- */

static void orwrite_step(struct task_state *st);

static void orwrite_written(struct task_state *st)
{
	st->progress += st->chunk;
	orwrite_step(st);
}

static void orwrite_read(struct task_state *st)
{
	size_t len = st->chunk * SCSI_BLOCK, at = 0;

	task_copy_out(st, st->progress * SCSI_BLOCK, st->buffer, len);
	for (int i = 0; i < st->req.iov_count && at < len; i++) {
		const uint8_t *p = st->req.iov[i].iov_base;

		for (size_t k = 0; k < st->req.iov[i].iov_len && at < len; k++)
			st->buffer[at++] |= p[k];
	}
	st->iov[0] = (struct iovec){ .iov_base = st->buffer, .iov_len = len };
	st->write_iov = st->iov;
	st->write_count = 1;
	task_disk_flags(st, DISK_WRITE, st->lba + st->progress, st->chunk, st->task->cdb[1] & CDB_FUA, false,
			orwrite_written);
}

static void orwrite_step(struct task_state *st)
{
	st->chunk = min_u64(st->blocks - st->progress, ORWRITE_BLOCKS);
	if (!st->chunk)
		task_good(st);
	else
		task_disk(st, DISK_READ, st->lba + st->progress, st->chunk, orwrite_read);
}

void sbc_orwrite(struct task_state *st)
{
	if (!task_blocks_out(st, &st->blocks))
		return;
	if (!st->blocks) {
		task_good(st);
		return;
	}
	st->iov = calloc(1, sizeof(*st->iov));
	st->buffer = malloc(min_u64(st->blocks, ORWRITE_BLOCKS) * SCSI_BLOCK);
	if (st->iov && st->buffer)
		orwrite_step(st);
	else
		task_status(st, SCSI_BUSY);
}
