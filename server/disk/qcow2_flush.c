// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Making a child durable, in an order that no loss of power can turn into corruption (design.md, invariant 2).
 *
 *	IDLE ---> TURN ---> REFCOUNTS ---> SYNC_DATA ---> MAPS ---> SYNC_MAPS ---> IDLE, frees mature
 *	            |       (snapshot)          ^           only where maps changed
 *	            +---------------------------+ only data changed: one sync
 *
 * 0. Others may be flushing (flush_turn.h): until it is its turn nothing has happened yet.
 * 1. The snapshot is taken in one turn of the loop: all dirty refcounts, L2 pieces and L1, and what was freed so far.
 *    Requests go on meanwhile and change what comes after it.
 * 2. No map goes into the file before a sync that began after the snapshot has made durable what it points at: data,
 *    refcounts and (punched or never written) new L2 tables.
 * 3. What was freed is decremented, punched and reused only after the maps are durable (qcow2_alloc.c).
 * 4. After a failed sync nothing is written any more: the kernel may have dropped what it could not write, and says so
 *    once (invariant 5). Another error leaves everything dirty, for the next flush.
 *
 * Those who come while a flush runs share the next one. All on the disk's loop.
 */
#include "disk/qcow2_engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 4 KiB of L1 as the snapshot has it. */
struct qcow2_l1_write {
	struct file_request io;
	struct iovec iov;
	uint8_t data[QCOW2_PIECE_BYTES];
};

static void flush_start(struct qcow2 *q);
static void flush_stage(struct qcow2 *q);

/* ---- failure ---- */

/* Said in the journal, as well as that can be done: now it may be told. */
static void fail_recorded(struct journal_waiter *waiter, int err)
{
	struct qcow2 *q = container_of(waiter, struct qcow2, fail_journal);

	(void)err;
	q->failing = false;
	disk_report(&q->disk, DISK_FAILED, "%s: %s: %s; writes fail from now on", q->layers[0].path, q->fail_what,
		    strerror(-q->fail_err));
	qcow2_wake(&q->fail_waiters, -EIO);
}

void qcow2_fail(struct qcow2 *q, const char *what, int err)
{
	if (q->failed)
		return;
	q->failed = true;
	q->failing = true;
	q->fail_what = what;
	q->fail_err = err;
	q->fail_journal.done = fail_recorded;
	if (q->journal)
		journal_poison(q->journal, &q->fail_journal);
	else
		fail_recorded(&q->fail_journal, 0);
}

int qcow2_wait_failed(struct qcow2 *q, struct qcow2_waiter *waiter)
{
	return q->failing ? qcow2_wait(&q->fail_waiters, waiter) : -EIO;
}

static void full_run(struct loop_msg *msg)
{
	struct qcow2 *q = container_of(msg, struct qcow2, full_msg);

	q->full_posted = false;
	disk_report(&q->disk, DISK_NO_SPACE, "%s: no space: the file system is full, or its quota is used up",
		    q->layers[0].path);
}

void qcow2_report_full(struct qcow2 *q)
{
	/* What waits to be given back may be what is missing. */
	if (q->frees.count || q->punches.count)
		qcow2_flush_soon(q);
	if (q->full || q->full_posted)
		return;
	q->full = true;
	q->full_posted = true;
	q->full_msg.run = full_run;
	loop_post(q->disk.loop, &q->full_msg);
}

/* ---- the snapshot ---- */

/* L1 pieces that are dirty, as they are now. */
static int copy_l1(struct qcow2 *q)
{
	struct qcow2_flushing *f = &q->flush;
	const struct qcow2_layer *child = &q->layers[0];
	unsigned used = 0;

	if (!q->l1_dirty)
		return 0;
	f->l1_writes = calloc((size_t)__builtin_popcount(q->l1_dirty), sizeof(*f->l1_writes));
	if (!f->l1_writes)
		return -ENOMEM;
	for (unsigned p = 0; p < QCOW2_PIECES; p++) {
		unsigned first = p * (QCOW2_PIECE_BYTES / 8);
		struct qcow2_l1_write *w;
		struct be64 *entries;

		if (!(q->l1_dirty >> p & 1))
			continue;
		w = &f->l1_writes[used++];
		w->io.offset = q->header.l1_offset + (uint64_t)p * QCOW2_PIECE_BYTES;
		entries = (struct be64 *)w->data;
		for (unsigned i = first; i < q->header.l1_size && i < first + QCOW2_PIECE_BYTES / 8; i++)
			entries[i - first] = be64_put(child->l1[i] ? child->l1[i] | QCOW2_COPIED : 0);
	}
	f->l1 = q->l1_dirty;
	q->l1_dirty = 0;
	return 0;
}

static int take_snapshot(struct qcow2 *q)
{
	struct qcow2_flushing *f = &q->flush;
	int err = copy_l1(q);

	if (err)
		return err;
	f->refcounts = qcow2_pieces_take_dirty(&q->refcounts);
	f->l2 = qcow2_pieces_take_dirty(&q->layers[0].l2);
	f->frees = q->frees;
	q->frees = (struct qcow2_runs){ .count = 0 };
	f->punches = q->punches;
	q->punches = (struct qcow2_punches){ .count = 0 };
	f->journal_position = q->journal ? journal_position(q->journal) : 0;
	return 0;
}

static void settle(struct qcow2_piece *list, bool ok)
{
	struct qcow2_piece *next;

	for (; list; list = next) {
		next = list->flush_next;
		qcow2_piece_settle(list, ok);
	}
}

/* Appends all of `more` to list. Without memory those clusters stay used until the next open finds them. */
static void move_runs(struct qcow2_runs *list, struct qcow2_runs *more)
{
	for (unsigned i = 0; i < more->count; i++)
		if (qcow2_runs_add(list, more->runs[i].first, more->runs[i].count))
			break;
	free(more->runs);
	*more = (struct qcow2_runs){ .count = 0 };
}

static void move_punches(struct qcow2_punches *list, struct qcow2_punches *more)
{
	for (unsigned i = 0; i < more->count; i++)
		if (qcow2_punches_add(list, &more->punches[i]))
			break;
	free(more->punches);
	*more = (struct qcow2_punches){ .count = 0 };
}

/* The snapshot is in the file, or belongs to the maps in memory again. */
static void drop_snapshot(struct qcow2 *q, bool ok)
{
	struct qcow2_flushing *f = &q->flush;

	settle(f->refcounts, ok);
	settle(f->l2, ok);
	f->refcounts = f->l2 = NULL;
	if (!ok)
		q->l1_dirty |= f->l1;
	f->l1 = 0;
	free(f->l1_writes);
	f->l1_writes = NULL;
	move_runs(ok ? &q->mature : &q->frees, &f->frees);
	qcow2_runs_sort(&q->mature);
	move_punches(ok ? &q->mature_punches : &q->punches, &f->punches);
	if (ok)
		q->reap_position = f->journal_position;
}

/* ---- the end of one flush ---- */

static void flush_end(struct qcow2 *q, int err)
{
	struct flush_turns *turns = disk_env_flush_turns(q->disk.env, q->disk.loop);
	struct qcow2_flushing *f = &q->flush;

	if (f->maps) {
		drop_snapshot(q, !err);
		qcow2_pieces_trim(&q->layers[0].l2);
		qcow2_pieces_trim(&q->refcounts);
	}
	/* Where only data was synced there was no map in memory that the file did not have. */
	if (q->journal)
		journal_flush_ends(q->journal, err);
	f->stage = QCOW2_FLUSH_IDLE;
	qcow2_wake(&f->running, err);
	qcow2_reap(q);
	if (f->stage == QCOW2_FLUSH_IDLE && (f->waiting.first || f->wanted || f->wanted_all))
		flush_start(q);
	/* Last: whoever comes next must not find this one half ended. */
	flush_turn_give(turns);
}

/* ---- I/O ---- */

static void write_done(struct file_request *io)
{
	struct qcow2 *q = io->user;

	if (io->result)
		q->flush.error = io->result;
	if (--q->flush.pending == 0)
		flush_stage(q);
}

static void write_piece(struct qcow2 *q, struct file_request *io, struct iovec *iov, uint8_t *data, uint64_t offset)
{
	*iov = (struct iovec){ data, QCOW2_PIECE_BYTES };
	if (q->file->ops->write_now(q->file, offset, iov, 1, QCOW2_PIECE_BYTES))
		return;
	*io = (struct file_request){
		.op = FILE_WRITE,
		.offset = offset,
		.length = QCOW2_PIECE_BYTES,
		.iov = iov,
		.iov_count = 1,
		.done = write_done,
		.user = q,
	};
	q->flush.pending++;
	q->file->ops->submit(q->file, io);
}

static void write_pieces(struct qcow2 *q, struct qcow2_piece *list)
{
	for (; list; list = list->flush_next)
		write_piece(q, &list->io, &list->iov, list->stable, qcow2_piece_offset(list));
}

static void write_l1(struct qcow2 *q)
{
	struct qcow2_flushing *f = &q->flush;

	for (int i = 0; i < __builtin_popcount(f->l1); i++) {
		struct qcow2_l1_write *w = &f->l1_writes[i];

		write_piece(q, &w->io, &w->iov, w->data, w->io.offset);
	}
}

static void sync_done(struct file_request *io)
{
	struct qcow2 *q = io->user;

	if (io->result) {
		q->flush.error = -EIO;
		qcow2_fail(q, "sync failed", io->result);
	}
	flush_stage(q);
}

static void flush_failed(struct qcow2_waiter *waiter)
{
	flush_stage(container_of(waiter, struct qcow2, flush.failed));
}

static void submit_sync(struct qcow2 *q)
{
	q->unsynced = false;
	q->flush.sync = (struct file_request){ .done = sync_done, .user = q };
	syncs_submit(&q->syncs, &q->flush.sync);
}

/* The present stage is over. */
static void flush_stage(struct qcow2 *q)
{
	struct qcow2_flushing *f = &q->flush;

	if (!f->error && q->failed)
		f->error = -EIO;
	if (f->error) {
		if (f->error != -ENOSPC && f->error != -EDQUOT && f->error != -ENOMEM)
			qcow2_fail(q, "writing the maps failed", f->error);
		f->failed.run = flush_failed;
		if (q->failed && qcow2_wait_failed(q, &f->failed) == QCOW2_WAIT)
			return;
		q->unsynced = true;
		flush_end(q, f->error == -EDQUOT ? -ENOSPC : f->error);
		return;
	}
	switch (f->stage) {
	case QCOW2_FLUSH_REFCOUNTS:
		f->stage = QCOW2_FLUSH_SYNC_DATA;
		submit_sync(q);
		break;
	case QCOW2_FLUSH_SYNC_DATA:
		if (!f->maps || (!f->l2 && !f->l1)) {
			flush_end(q, 0);
			break;
		}
		f->stage = QCOW2_FLUSH_MAPS;
		f->pending = 1;
		write_pieces(q, f->l2);
		write_l1(q);
		if (--f->pending == 0)
			flush_stage(q);
		break;
	case QCOW2_FLUSH_MAPS:
		f->stage = QCOW2_FLUSH_SYNC_MAPS;
		submit_sync(q);
		break;
	default:
		flush_end(q, 0);
		break;
	}
}

static bool maps_are_dirty(const struct qcow2 *q)
{
	return q->layers[0].l2.dirty_count || q->l1_dirty || q->frees.count ||
	       (q->flush.wanted_all && q->refcounts.dirty_count);
}

/* A sync that is under way may be that of the marks, and may fail. */
static bool must_sync(const struct qcow2 *q)
{
	return q->unsynced || syncs_running(&q->syncs);
}

static void flush_begin(struct qcow2 *q)
{
	struct qcow2_flushing *f = &q->flush;

	f->running = f->waiting;
	if (!f->waiting.first)
		qcow2_waiters_init(&f->running);
	qcow2_waiters_init(&f->waiting);
	f->error = 0;
	f->stage = QCOW2_FLUSH_REFCOUNTS;
	f->maps = maps_are_dirty(q);
	f->wanted = f->wanted_all = false;
	if (q->journal)
		journal_flush_begins(q->journal);
	if (q->failed || (f->maps && take_snapshot(q))) {
		f->maps = false;
		f->error = q->failed ? -EIO : -ENOMEM;
		flush_stage(q);
		return;
	}
	if (!f->maps && !must_sync(q)) {
		flush_end(q, 0);
		return;
	}
	f->pending = 1;
	write_pieces(q, f->refcounts);
	if (--f->pending == 0)
		flush_stage(q);
}

static void flush_turn_run(struct flush_turn *turn)
{
	flush_begin(container_of(turn, struct qcow2, flush.turn));
}

static void flush_start(struct qcow2 *q)
{
	q->flush.stage = QCOW2_FLUSH_TURN;
	q->flush.turn.run = flush_turn_run;
	if (flush_turn_take(disk_env_flush_turns(q->disk.env, q->disk.loop), &q->flush.turn))
		flush_begin(q);
}

/* ---- public ---- */

static int join(struct qcow2 *q, struct qcow2_waiter *waiter)
{
	qcow2_wait(&q->flush.waiting, waiter);
	if (q->flush.stage == QCOW2_FLUSH_IDLE)
		flush_start(q);
	return QCOW2_WAIT;
}

int qcow2_flush(struct qcow2 *q, struct qcow2_waiter *waiter)
{
	if (q->failed)
		return qcow2_wait_failed(q, waiter);
	if (q->ephemeral)
		return 0;
	if (q->flush.stage == QCOW2_FLUSH_IDLE && !must_sync(q) && !maps_are_dirty(q))
		return 0;
	return join(q, waiter);
}

int qcow2_flush_maps(struct qcow2 *q, struct qcow2_waiter *waiter)
{
	if (q->failed)
		return qcow2_wait_failed(q, waiter);
	q->flush.wanted = true;
	return join(q, waiter);
}

int qcow2_flush_all(struct qcow2 *q, struct qcow2_waiter *waiter)
{
	if (q->failed)
		return qcow2_wait_failed(q, waiter);
	q->flush.wanted_all = true;
	if (q->flush.stage == QCOW2_FLUSH_IDLE && !must_sync(q) && !maps_are_dirty(q)) {
		q->flush.wanted_all = false;
		return 0;
	}
	return join(q, waiter);
}

void qcow2_flush_soon(struct qcow2 *q)
{
	if (q->failed || q->flushed)
		return;
	q->flush.wanted = true;
	if (q->flush.stage == QCOW2_FLUSH_IDLE)
		flush_start(q);
}

void qcow2_journal_filling(void *arg)
{
	qcow2_flush_soon(arg);
}

void qcow2_journal_failed(void *arg, int err)
{
	qcow2_fail(arg, "writing the journal failed", err);
}
