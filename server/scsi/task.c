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
	scsi_target_enter(target);
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
		task_set_kick(lu);
	scsi_target_leave(target);
}

void task_run(struct task_state *st)
{
	st->phase = TASK_RUNNING;
	st->op->run(st);
}

/* Starts what no longer has to wait. A task that ends at once may end others with it, so each start looks anew. */
void task_set_kick(struct scsi_lu *lu)
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

void task_enter_set(struct task_state *st)
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

/* ---- the logical unit goes ---- */

void task_lose_unit(struct task_state *st)
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
		task_lose_unit(st);
		task_fail_sense(st, &st->error);
	}
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
	scsi_target_enter(target);
	/* One that runs has a request or a save under way, and ends with it. */
	if (st->phase != TASK_RUNNING || st->waits_for_aborts)
		task_end(st);
	scsi_target_leave(target);
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
