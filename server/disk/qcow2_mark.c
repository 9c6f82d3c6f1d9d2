// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The marks of a child in its header: what the next open must know (design.md, invariants 1 and 4).
 *
 *	CLEAN --first change--> BEGINNING ------------------------------------------> BEGUN --close--> CLEAN
 *	                        journal made, then JOURNAL | UNSYNCED, this host's     flush all, then marks
 *	                        boot_id and a new generation, synced: before           0 (ephemeral: UNSYNCED),
 *	                        any change is acknowledged                             synced, journal removed
 *
 * A child that nobody changed keeps its marks, but for UNSYNCED, which the flush of its close settles. One whose sync
 * failed keeps JOURNAL. All on the disk's loop but for the jobs.
 */
#include "disk/qcow2_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "disk/read_trace.h"

static void mark_submit(struct qcow2 *q, struct file_request *io, struct iovec *iov,
			void (*done)(struct file_request *io))
{
	uint8_t area[QCOW2_HEADER_AREA];

	qcow2_header_build(&q->header, area);
	memcpy(q->header_sector, area, sizeof(q->header_sector));
	*iov = (struct iovec){ q->header_sector, sizeof(q->header_sector) };
	*io = (struct file_request){
		.op = FILE_WRITE,
		.length = sizeof(q->header_sector),
		.iov = iov,
		.iov_count = 1,
		.done = done,
		.user = q,
	};
	q->file->ops->submit(q->file, io);
}

static void sync_submit(struct qcow2 *q, struct file_request *io, void (*done)(struct file_request *io))
{
	*io = (struct file_request){ .done = done, .user = q };
	syncs_submit(&q->syncs, io);
}

/* ---- beginning ---- */

static void begin_end(struct qcow2 *q, int err)
{
	q->begun = err ? QCOW2_CLEAN : QCOW2_BEGUN;
	qcow2_wake(&q->begin_waiters, err);
}

static void begin_failed(struct qcow2_waiter *waiter)
{
	begin_end(container_of(waiter, struct qcow2, begin_failed), -EIO);
}

static void begin_synced(struct file_request *io)
{
	struct qcow2 *q = io->user;

	if (!io->result) {
		begin_end(q, 0);
		return;
	}
	qcow2_fail(q, "sync failed", io->result);
	q->begin_failed.run = begin_failed;
	if (qcow2_wait_failed(q, &q->begin_failed) != QCOW2_WAIT)
		begin_end(q, -EIO);
}

static void begin_marked(struct file_request *io)
{
	struct qcow2 *q = io->user;

	if (!io->result) {
		sync_submit(q, io, begin_synced);
		return;
	}
	/*
	 * The file may have the new marks or the old ones. The next try makes a journal of the same generation, and a
	 * close writes marks in any case, because these say UNSYNCED.
	 */
	q->header.generation--;
	q->header.flags |= q->old_flags & QCOW2_MARK_INTERRUPTED;
	/* Where a sync has failed meanwhile the journal is told so, and nobody begins again. */
	if (!q->failed) {
		journal_close(q->journal);
		q->journal = NULL;
	}
	begin_end(q, io->result);
}

static void begin_work(struct pool_job *job)
{
	struct qcow2 *q = container_of(job, struct qcow2, job);
	const struct journal_owner owner = { .filling = qcow2_journal_filling,
					     .failed = qcow2_journal_failed,
					     .arg = q };

	q->job_result = journal_create(q->disk.env, q->disk.loop, q->journal_path, q->ephemeral,
				       q->header.generation + 1, &owner, &q->job_journal);
}

static void begin_made(struct pool_job *job)
{
	struct qcow2 *q = container_of(job, struct qcow2, job);
	struct qcow2_header *header = &q->header;

	if (q->job_result) {
		log_error("%s: making its journal: %s", q->layers[0].path, strerror(-q->job_result));
		begin_end(q, q->job_result);
		return;
	}
	q->journal = q->job_journal;
	q->old_flags = header->flags;
	header->generation++;
	header->flags = QCOW2_MARK_JOURNAL | QCOW2_MARK_UNSYNCED;
	header->free_hint = 0;
	memset(header->boot_id, 0, sizeof(header->boot_id));
	strncpy(header->boot_id, disk_env_boot_id(q->disk.env), sizeof(header->boot_id) - 1);
	mark_submit(q, &q->mark_io, &q->mark_iov, begin_marked);
}

int qcow2_begin(struct qcow2 *q, struct qcow2_waiter *waiter)
{
	if (q->failed)
		return qcow2_wait_failed(q, waiter);
	if (q->begun == QCOW2_BEGUN)
		return 0;
	qcow2_wait(&q->begin_waiters, waiter);
	if (q->begun == QCOW2_CLEAN) {
		q->begun = QCOW2_BEGINNING;
		q->job = (struct pool_job){ .work = begin_work, .done = begin_made, .loop = q->disk.loop };
		disk_env_submit(q->disk.env, POOL_SLOW, &q->job);
	}
	return QCOW2_WAIT;
}

/* ---- closing ---- */

void qcow2_free(struct qcow2 *q)
{
	if (q->journal)
		journal_close(q->journal);
	qcow2_pieces_fini(&q->refcounts);
	for (unsigned i = 0; i < q->layer_count; i++) {
		struct qcow2_layer *layer = &q->layers[i];

		qcow2_pieces_fini(&layer->l2);
		if (layer->file)
			layer->file->ops->close(layer->file);
		free(layer->l1);
		free(layer->path);
	}
	read_trace_unref(q->trace);
	free(q->reftable);
	free(q->frees.runs);
	free(q->mature.runs);
	free(q->stuck.runs);
	free(q->punches.punches);
	free(q->mature_punches.punches);
	free(q->journal_path);
	free(q);
}

static void close_end(struct qcow2 *q, int err)
{
	void (*closed)(void *arg, int err) = q->closed;
	void *arg = q->closed_arg;

	qcow2_free(q);
	closed(arg, err);
}

static void close_synced(struct file_request *io)
{
	close_end(io->user, io->result);
}

static void close_unlink_work(struct pool_job *job)
{
	struct qcow2 *q = container_of(job, struct qcow2, job);

	q->job_result = disk_env_unlink(q->disk.env, q->journal_path);
}

/* A journal that could not be removed does no harm: its generation is not that of the header any more. */
static void close_unlinked(struct pool_job *job)
{
	struct qcow2 *q = container_of(job, struct qcow2, job);

	if (q->job_result)
		log_warning("%s: removing it: %s", q->journal_path, strerror(-q->job_result));
	close_end(q, 0);
}

static void close_mark_synced(struct file_request *io)
{
	struct qcow2 *q = io->user;

	if (io->result) {
		log_error("%s: closing: sync failed: %s", q->layers[0].path, strerror(-io->result));
		close_end(q, io->result);
		return;
	}
	q->job = (struct pool_job){ .work = close_unlink_work, .done = close_unlinked, .loop = q->disk.loop };
	disk_env_submit(q->disk.env, POOL_SLOW, &q->job);
}

static void close_marked(struct file_request *io)
{
	struct qcow2 *q = io->user;

	if (io->result)
		close_mark_synced(io);
	else
		sync_submit(q, io, close_mark_synced);
}

/*
 * Run again until nothing is left to do but the marks. Whatever is under way ends first, also after an error: it
 * would come back to a disk that is gone.
 */
static int close_step(struct qcow2 *q)
{
	int err;

	if (q->reaping)
		return qcow2_wait(&q->reap_waiters, &q->close_waiter);
	if (q->flush.stage != QCOW2_FLUSH_IDLE)
		return qcow2_wait(&q->flush.waiting, &q->close_waiter);
	if (q->failing)
		return qcow2_wait_failed(q, &q->close_waiter);
	if (q->close_error)
		return q->close_error;
	if (q->stuck.count && !q->retried) {
		q->retried = true;
		qcow2_reap_stuck(q);
		return close_step(q);
	}
	if (q->new_table) {
		err = qcow2_free_cluster(q, q->new_table);
		if (err)
			return err;
		q->new_table = 0;
	}
	return qcow2_flush_all(q, &q->close_waiter);
}

static void close_run(struct loop_msg *msg)
{
	struct qcow2 *q = container_of(msg, struct qcow2, close_msg);
	struct qcow2_header *header = &q->header;
	int err;

	if (q->close_waiter.result && !q->close_error)
		q->close_error = q->close_waiter.result;
	err = close_step(q);
	if (err == QCOW2_WAIT)
		return;
	/* A journal that is filling may still ask for one, which would come back to a disk that is gone. */
	q->flushed = true;
	if (err || q->disk.read_only) {
		close_end(q, err);
		return;
	}
	if (q->begun != QCOW2_BEGUN && !(header->flags & (QCOW2_MARK_UNSYNCED | QCOW2_MARK_LEAKS))) {
		/* The marks may be those of a process that died before it synced them. */
		sync_submit(q, &q->mark_io, close_synced);
		return;
	}
	header->flags &= q->ephemeral ? QCOW2_MARK_UNSYNCED | QCOW2_MARK_INTERRUPTED : QCOW2_MARK_INTERRUPTED;
	if (q->leaks || q->stuck.count || q->mature.count)
		header->flags |= QCOW2_MARK_LEAKS;
	header->free_hint = q->free_hint;
	mark_submit(q, &q->mark_io, &q->mark_iov, close_marked);
}

/* Posted, because the caller that wakes it is still inside the disk. */
static void close_again(struct qcow2_waiter *waiter)
{
	struct qcow2 *q = container_of(waiter, struct qcow2, close_waiter);

	q->close_msg.run = close_run;
	loop_post(q->disk.loop, &q->close_msg);
}

void qcow2_close(struct qcow2 *q, void (*closed)(void *arg, int err), void *arg)
{
	q->closed = closed;
	q->closed_arg = arg;
	qcow2_reap_closing(q);
	q->close_waiter = (struct qcow2_waiter){ .run = close_again };
	close_again(&q->close_waiter);
}
