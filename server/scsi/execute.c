// SPDX-License-Identifier: GPL-2.0-or-later
/* From a CDB to the start of its handler: what a transport calls (target.h), and what stands before every command. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/free_list.h"
#include "scsi/handlers.h"
#include "scsi/reservations.h"
#include "scsi/task.h"

enum { TASK_STATES_KEPT = 1024 };

/* ---- states ---- */

static struct task_state *task_state_new(struct free_list *free_list)
{
	struct task_state *st = free_list_get(free_list, sizeof(*st));

	if (st)
		memset(st, 0, sizeof(*st));
	return st;
}

static void task_state_free(struct task_state *st)
{
	free(st->buffer);
	free(st->iov);
	free(st->extents);
	free_list_put(st->target->tasks, st, TASK_STATES_KEPT);
}

/* ---- decoding ---- */

void scsi_task_decode(struct scsi_task *task)
{
	struct scsi_nexus *nexus = task->nexus;
	struct task_state *st = task_state_new(nexus->target->tasks);

	task->direction = SCSI_NO_DATA;
	task->data_in_len = task->data_out_len = 0;
	task->medium = -1;
	task->status = SCSI_GOOD;
	task->sense_len = 0;
	task->in = NULL;
	task->in_count = 0;
	task->in_len = 0;
	task->aborted = false;
	task->next = task->prev = NULL;
	task->private = st;
	if (!st)
		return;
	st->task = task;
	st->nexus = nexus;
	st->target = nexus->target;
	st->phase = TASK_DECODED;
	st->removals = st->target->removals;
	st->lun_kind = scsi_target_find_lun(st->target, task->lun, &st->lu);
	nexus->tasks++;
	task_decode_cdb(st);
}

/*
 * Units have gone since this task was decoded, perhaps its own: then it fails even if there is another one of that
 * number by now, which it was not meant for.
 */
static void task_look_again(struct task_state *st)
{
	struct scsi_lu *lu;

	if (!st->lu)
		return;
	scsi_target_find_lun(st->target, st->task->lun, &lu);
	if (lu != st->lu || lu->born > st->removals)
		task_lose_unit(st);
}

/* ---- execution ---- */

/* What stands before every command of a logical unit, in the order in which it is reported. */
static void task_admit(struct task_state *st)
{
	struct scsi_lu *lu = st->lu;
	struct sense sense;

	if (!(st->op && (st->op->flags & OP_NO_ATTENTION)) && lu_take_attention(lu, st->nexus, &sense)) {
		task_fail_sense(st, &sense);
		return;
	}
	if (st->bad) {
		task_fail_sense(st, &st->error);
		return;
	}
	if (!reservations_allow(st)) {
		task_status(st, SCSI_RESERVATION_CONFLICT);
		return;
	}
	if ((st->op->flags & OP_WRITES) && lu->read_only) {
		task_fail(st, SENSE_DATA_PROTECT, ASC_WRITE_PROTECTED);
		return;
	}
	if ((st->op->flags & OP_WRITES) && lu->mode.swp) {
		task_fail(st, SENSE_DATA_PROTECT, ASC_SOFTWARE_WRITE_PROTECTED);
		return;
	}
	task_enter_set(st);
}

void scsi_task_execute(struct scsi_task *task)
{
	struct task_state *st = task->private;
	struct scsi_target *target = task->nexus->target;

	if (!st) {
		task->status = SCSI_BUSY;
		task->done(task);
		return;
	}
	assert(st->phase == TASK_DECODED);
	scsi_target_enter(target);
	if (st->removals != target->removals)
		task_look_again(st);
	if (task->attribute == SCSI_ACA)
		task_fail(st, SENSE_ILLEGAL_REQUEST,
			  ASC_INVALID_MESSAGE_ERROR); /* SAM-5 §8.6: no ACA here (NormACA=0) */
	else if (st->lun_kind == LUN_UNIT)
		task_admit(st);
	else if (st->bad)
		task_fail_sense(st, &st->error);
	else
		task_run(st);
	scsi_target_leave(target);
}

void scsi_task_fail(struct scsi_task *task, enum scsi_transport_error why)
{
	static const struct sense senses[SCSI_TRANSPORT_ERRORS] = {
		[SCSI_UNEXPECTED_DATA] = { .key = SENSE_ABORTED_COMMAND, .code = ASC_UNEXPECTED_UNSOLICITED_DATA },
		[SCSI_WRONG_DATA_AMOUNT] = { .key = SENSE_ABORTED_COMMAND, .code = ASC_INCORRECT_AMOUNT_OF_DATA },
		[SCSI_DATA_CORRUPTED] = { .key = SENSE_ABORTED_COMMAND, .code = ASC_PROTOCOL_SERVICE_CRC_ERROR },
		[SCSI_BIDIRECTIONAL] = { .key = SENSE_ILLEGAL_REQUEST, .code = ASC_INVALID_FIELD_IN_CDB },
		/* SAM-5 §5.3.1 has no better word for it. */
		[SCSI_NO_MEMORY] = { .key = SENSE_HARDWARE_ERROR, .code = ASC_INTERNAL_TARGET_FAILURE },
	};
	struct task_state *st = task->private;

	if (!st) {
		task->sense_len = sense_encode(&senses[why], false, task->sense);
		task->status = SCSI_CHECK_CONDITION;
		task->done(task);
		return;
	}
	task_look_again(st); /* whose D_SENSE counts */
	task_fail_sense(st, &senses[why]);
}

bool scsi_task_is_read(const struct scsi_task *task)
{
	const struct task_state *st = task->private;

	return st && st->op && st->op->run == sbc_read;
}

void scsi_task_release(struct scsi_task *task)
{
	struct task_state *st = task->private;

	if (!st)
		return;
	assert(st->phase == TASK_DECODED || st->phase == TASK_DONE);
	if (st->phase == TASK_DECODED)
		st->nexus->tasks--;
	task_give_back(st);
	task->private = NULL;
	task->in = NULL;
	task->in_count = 0;
	task->in_len = 0;
	task_state_free(st);
}
