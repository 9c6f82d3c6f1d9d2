// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a task: see task.h for its phases.
 *
 * The task set of a logical unit is a list in order of arrival. A task waits where another must end first (SAM-5
 * §8.7): an ORDERED one waits for all that are older, and all that are younger wait for it; an atomic one (COMPARE AND
 * WRITE) does the same with those that touch its blocks. All wait for one that is HEAD OF QUEUE, which itself waits for
 * running atomic ones only. Everything else runs at once: the disk keeps the order of requests that overlap.
 */
#include "scsi/task.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/spares.h"
#include "scsi/handlers.h"
#include "scsi/reservations.h"

enum { TASK_STATES_KEPT = 1024 };

static void lu_kick(struct scsi_lu *lu);

/* ---- states ---- */

static struct task_state *task_state_new(struct spares *spares)
{
	struct task_state *st = spares_get(spares, sizeof(*st));

	if (st)
		memset(st, 0, sizeof(*st));
	return st;
}

static void task_state_free(struct task_state *st)
{
	free(st->buffer);
	free(st->iov);
	free(st->extents);
	spares_put(st->target->tasks, st, TASK_STATES_KEPT);
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
	st->lun_kind = target_find_lun(st->target, task->lun, &st->lu);
	nexus->tasks++;
	task_decode_cdb(st);
}

/* ---- the task set ---- */

static bool task_is_ordered(const struct task_state *st)
{
	return st->task->attribute == SCSI_ORDERED;
}

static bool task_is_atomic(const struct task_state *st)
{
	return st->op->flags & OP_ATOMIC;
}

/* UNMAP names its blocks in its parameters only: it may touch all. */
static bool task_overlaps(const struct task_state *a, const struct task_state *b)
{
	bool any_a = a->op->unit == UNIT_PARAMETERS && (a->op->flags & OP_WRITES);
	bool any_b = b->op->unit == UNIT_PARAMETERS && (b->op->flags & OP_WRITES);

	if (any_a || any_b)
		return true;
	return a->lba < b->lba + b->blocks && b->lba < a->lba + a->blocks;
}

static bool task_is_head(const struct task_state *st)
{
	return st->task->attribute == SCSI_HEAD_OF_QUEUE;
}

static bool task_must_wait(const struct task_state *st)
{
	bool ordered = task_is_ordered(st), atomic = task_is_atomic(st), head = task_is_head(st);

	if (st->lu->held)
		return true;
	if (!st->lu->barriers)
		return false;
	if (!head && st->lu->heads)
		return true;
	for (struct scsi_task *t = st->lu->first_task; t && t != st->task; t = t->next) {
		const struct task_state *older = t->private;

		/* Those that wait themselves wait for the head of the queue, so it must not wait for them. */
		if (head && older->phase == TASK_WAITING)
			continue;
		if (ordered || (task_is_ordered(older) && !head))
			return true;
		if ((atomic || task_is_atomic(older)) && task_overlaps(st, older))
			return true;
	}
	return false;
}

static void task_set_add(struct task_state *st)
{
	struct scsi_task *task = st->task;
	struct scsi_lu *lu = st->lu;

	task->next = NULL;
	task->prev = lu->last_task;
	if (lu->last_task)
		lu->last_task->next = task;
	else
		lu->first_task = task;
	lu->last_task = task;
	lu->task_count++;
	st->in_set = true;
	st->barrier = task_is_ordered(st) || task_is_atomic(st) || task_is_head(st);
	lu->barriers += st->barrier;
	lu->heads += task_is_head(st);
}

static void task_set_remove(struct task_state *st)
{
	struct scsi_task *task = st->task;
	struct scsi_lu *lu = st->lu;

	if (task->prev)
		task->prev->next = task->next;
	else
		lu->first_task = task->next;
	if (task->next)
		task->next->prev = task->prev;
	else
		lu->last_task = task->prev;
	lu->task_count--;
	lu->barriers -= st->barrier;
	lu->heads -= task_is_head(st);
	if (st->phase == TASK_WAITING)
		lu->waiting--;
	st->in_set = false;
}

/* The end of every task. */
static void task_end(struct task_state *st)
{
	struct scsi_target *target = st->target;
	struct scsi_task *task = st->task;
	struct scsi_lu *lu = st->in_set ? st->lu : NULL;
	bool preempted = st->preempted;

	assert(st->phase != TASK_DONE);
	if (st->in_set)
		task_set_remove(st);
	st->phase = TASK_DONE;
	st->nexus->tasks--;
	task->aborted = st->aborted;
	if (st->aborted) {
		task->in_len = 0;
		task->in_count = 0;
	}
	target_enter(target);
	task->done(task);
	/* st and its task may be gone from here on. */
	for (struct scsi_task *t = lu && preempted ? lu->first_task : NULL; t; t = t->next) {
		struct task_state *waiter = t->private;

		if (waiter->waits_for_aborts) {
			task_good_after_aborts(waiter);
			break;
		}
	}
	if (lu)
		lu_kick(lu);
	target_leave(target);
}

static void task_run(struct task_state *st)
{
	st->phase = TASK_RUNNING;
	st->op->run(st);
}

/* Starts what no longer has to wait. A task that ends at once may end others with it, so each start looks anew. */
static void lu_kick(struct scsi_lu *lu)
{
	struct scsi_task *t;

	if (!lu->waiting || lu->kicking)
		return;
	lu->kicking = true;
again:
	for (t = lu->first_task; t; t = t->next) {
		struct task_state *st = t->private;

		if (st->phase != TASK_WAITING || task_must_wait(st))
			continue;
		lu->waiting--;
		task_run(st);
		goto again;
	}
	lu->kicking = false;
}

/* ---- the disk is wanted for a moment ---- */

void scsi_target_hold(struct scsi_target *target, unsigned lun)
{
	target->lus[lun]->held = true;
}

bool scsi_target_is_idle(const struct scsi_target *target, unsigned lun)
{
	const struct scsi_lu *lu = target->lus[lun];

	return lu->waiting == lu->task_count && (!lu->disk || !lu->disk->in_flight);
}

void scsi_target_unhold(struct scsi_target *target, unsigned lun, struct disk *disk)
{
	struct scsi_lu *lu = target->lus[lun];

	target_enter(target);
	lu->disk = disk;
	if (disk && disk->size_bytes >> lu->block_shift != lu->blocks)
		scsi_target_capacity_changed(target, lun);
	lu->held = false;
	lu_kick(lu);
	target_leave(target);
}

/* ---- the logical unit goes ---- */

static void task_lost_unit(struct task_state *st)
{
	st->lu = NULL;
	st->lun_kind = LUN_NONE;
	st->bad = true;
	st->error = (struct sense){ .key = SENSE_ILLEGAL_REQUEST, .code = ASC_LOGICAL_UNIT_NOT_SUPPORTED };
}

void task_set_end(struct scsi_lu *lu)
{
	while (lu->first_task) {
		struct task_state *st = lu->first_task->private;

		assert(st->phase == TASK_WAITING);
		task_set_remove(st);
		task_lost_unit(st);
		task_fail_sense(st, &st->error);
	}
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
	target_find_lun(st->target, st->task->lun, &lu);
	if (lu != st->lu || lu->born > st->removals)
		task_lost_unit(st);
}

/* ---- execution ---- */

static void task_enter_set(struct task_state *st)
{
	struct scsi_lu *lu = st->lu;

	if (lu->task_count >= SCSI_TASK_SET_MAX) {
		task_status(st, SCSI_TASK_SET_FULL);
		return;
	}
	task_set_add(st);
	if (task_must_wait(st)) {
		st->phase = TASK_WAITING;
		lu->waiting++;
		return;
	}
	task_run(st);
}

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
	target_enter(target);
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
	target_leave(target);
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

void scsi_task_abort(struct scsi_task *task)
{
	struct task_state *st = task->private;
	struct scsi_target *target = task->nexus->target;

	if (!st) {
		task->aborted = true;
		task->done(task);
		return;
	}
	if (st->phase == TASK_DONE)
		return;
	st->aborted = true;
	target_enter(target);
	/* One that runs has a request or a save under way, and ends with it. */
	if (st->phase != TASK_RUNNING || st->waits_for_aborts)
		task_end(st);
	target_leave(target);
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

/* ---- ends ---- */

void task_status(struct task_state *st, enum scsi_status status)
{
	st->task->status = status;
	task_end(st);
}

void task_good(struct task_state *st)
{
	task_status(st, SCSI_GOOD);
}

void task_fail_sense(struct task_state *st, const struct sense *sense)
{
	bool descriptor = st->lu && st->lu->mode.d_sense;

	st->task->sense_len = sense_encode(sense, descriptor, st->task->sense);
	task_status(st, SCSI_CHECK_CONDITION);
}

void task_fail(struct task_state *st, enum sense_key key, enum sense_code code)
{
	task_fail_sense(st, &(struct sense){ .key = (uint8_t)key, .code = (uint16_t)code });
}

static void task_fail_field(struct task_state *st, enum sense_code code, enum sense_where where, unsigned byte, int bit)
{
	struct sense sense = { .key = SENSE_ILLEGAL_REQUEST,
			       .code = (uint16_t)code,
			       .where = where,
			       .byte = (uint16_t)byte,
			       .bit = (int8_t)bit };

	task_fail_sense(st, &sense);
}

void task_fail_cdb(struct task_state *st, unsigned byte, int bit)
{
	task_fail_field(st, ASC_INVALID_FIELD_IN_CDB, SENSE_IN_CDB, byte, bit);
}

void task_fail_parameter(struct task_state *st, unsigned byte, int bit)
{
	task_fail_field(st, ASC_INVALID_FIELD_IN_PARAMETER_LIST, SENSE_IN_PARAMETERS, byte, bit);
}

void task_fail_list_length(struct task_state *st)
{
	task_fail(st, SENSE_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
}

/* ---- PREEMPT AND ABORT ---- */

static bool lu_has_preempted(const struct scsi_lu *lu)
{
	for (const struct scsi_task *t = lu->first_task; t; t = t->next)
		if (((const struct task_state *)t->private)->preempted)
			return true;
	return false;
}

void task_preempt(struct task_state *by, struct scsi_nexus *nexus)
{
	struct scsi_target *target = by->target;
	struct scsi_task *t;

	for (t = by->lu->first_task; t; t = t->next) {
		struct task_state *st = t->private;

		if (st->nexus == nexus && st != by)
			st->preempted = true;
	}
	if (target->abort_nexus) {
		target->abort_nexus(target->abort_arg, nexus);
		return;
	}
again:
	for (t = by->lu->first_task; t; t = t->next) {
		struct task_state *st = t->private;

		if (!st->preempted || st->aborted || st->nexus != nexus)
			continue;
		scsi_task_abort(t);
		goto again;
	}
}

void task_good_after_aborts(struct task_state *by)
{
	by->waits_for_aborts = lu_has_preempted(by->lu);
	if (!by->waits_for_aborts)
		task_good(by);
}
