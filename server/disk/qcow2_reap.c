// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Giving space back to the file system, in the background, one thing at a time, once a flush has made the maps
 * durable that do without it.
 *
 *	clusters that were freed      punch ---> refcount 0 in memory: they may be used again
 *	blocks that became zeroes     hold them ---> still zeroes, in the same cluster? ---> punch ---> let them go
 *	within a cluster that stays
 *
 * First the journal has to say what made them free: it may be behind the maps, and a replay that ends before that entry
 * would make the guest cluster that lost a host cluster point to it again.
 *
 * While the disk is open all of it is given back. A close gives back only so much; clusters that are left are leaks,
 * which the next open finds and gives back in the background, and blocks come with their cluster.
 *
 * A crash in between leaves a leak, which the next open finds, or space that is given back with the cluster. So does
 * an error; then the marks ask the next open to look. All on the disk's loop.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "disk/qcow2_engine.h"

/* A close gives back so many clusters and runs of blocks, and what more there is time for. */
enum { REAP_AT_CLOSE = 1024, REAP_AT_CLOSE_MS = 1000 };

/* At once: a punch of many fragments takes long, and holds up all writes to the file meanwhile. */
enum { REAP_CLUSTERS = 64 };

static void reap_next(struct qcow2 *q);

static void submit_punch(struct qcow2 *q, uint64_t offset, uint64_t length, void (*done)(struct file_request *io))
{
	q->reap_io =
		(struct file_request){ .op = FILE_PUNCH, .offset = offset, .length = length, .done = done, .user = q };
	q->file->ops->submit(q->file, &q->reap_io);
}

/* ---- freed clusters ---- */

/* They are zeroes now and may be used again. */
static int release_run(struct qcow2 *q)
{
	struct qcow2_run *run = &q->reap_run;
	struct qcow2_piece *piece;
	struct be16 *counts;
	int err;

	err = qcow2_piece_get(&q->refcounts, (unsigned)(run->first / QCOW2_PIECE_REFCOUNTS), &q->reap_waiter, &piece);
	if (!err)
		err = qcow2_piece_reserve(piece, &q->reap_waiter);
	if (err)
		return err;
	counts = (struct be16 *)qcow2_piece_change(piece);
	if (!counts)
		return -ENOMEM;
	for (uint64_t i = 0; i < run->count; i++)
		counts[(run->first + i) % QCOW2_PIECE_REFCOUNTS] = be16_put(0);
	q->free_hint = min_u64(q->free_hint, run->first);
	return 0;
}

/* Tried again when the child is closed. */
static void stuck(struct qcow2 *q, int err)
{
	log_warning("%s: freed clusters stay unused for now: %s", q->layers[0].path, strerror(-err));
	if (qcow2_runs_add(&q->stuck, q->reap_run.first, q->reap_run.count))
		q->leaks = true;
}

static void release(struct qcow2_waiter *waiter)
{
	struct qcow2 *q = container_of(waiter, struct qcow2, reap_waiter);
	int err = waiter->result;

	waiter->result = 0;
	if (!err)
		err = release_run(q);
	if (err == QCOW2_WAIT)
		return;
	if (err)
		stuck(q, err);
	qcow2_wake(&q->reap_waiters, 0);
	reap_next(q);
}

static void run_punched(struct file_request *io)
{
	struct qcow2 *q = io->user;

	q->reap_waiter.result = io->result;
	release(&q->reap_waiter);
}

/* A close is not held up by all that was trimmed. */
static void count_at_close(struct qcow2 *q, uint64_t clusters)
{
	q->reap_left -= (unsigned)min_u64(q->reap_left, clusters);
}

/* From the end of the last run. A divisor of what a piece of refcounts holds, so never across two. */
static void reap_run(struct qcow2 *q)
{
	struct qcow2_run *last = &q->mature.runs[q->mature.count - 1], *run = &q->reap_run;

	run->first = max_u64(align_down(last->first + last->count - 1, REAP_CLUSTERS), last->first);
	run->count = last->first + last->count - run->first;
	last->count -= run->count;
	if (!last->count)
		q->mature.count--;
	count_at_close(q, run->count);
	q->reap_waiter.run = release;
	submit_punch(q, run->first * QCOW2_CLUSTER_BYTES, run->count * QCOW2_CLUSTER_BYTES, run_punched);
}

/* ---- blocks within a cluster ---- */

static void punch_run(struct qcow2_waiter *waiter);

static void blocks_punched(struct file_request *io)
{
	struct qcow2 *q = io->user;

	/* Where the file system cannot, the space stays; the content is right in any case. */
	punch_run(&q->reap_waiter);
}

/* The next of the blocks that are still zeroes in the same cluster; 0 when there is none left. */
static int punch_blocks(struct qcow2 *q)
{
	struct qcow2_punch *punch = &q->reap_punch;
	struct qcow2_piece *piece;
	struct qcow2_entry entry;
	unsigned first, count;
	int err;

	err = qcow2_piece_get(&q->layers[0].l2, qcow2_piece_of_cluster(punch->guest_cluster), &q->reap_waiter, &piece);
	if (!err)
		err = qcow2_entry_read(piece, punch->guest_cluster, &entry);
	if (err)
		return err;
	punch->mask = entry.host == punch->host ? punch->mask & ~entry.alloc : 0;
	if (!punch->mask || q->failed)
		return 0;
	first = (unsigned)__builtin_ctz(punch->mask);
	for (count = 1; first + count < QCOW2_SUBCLUSTERS && punch->mask >> (first + count) & 1; count++)
		;
	punch->mask &= ~qcow2_mask(first, first + count);
	submit_punch(q, punch->host + (uint64_t)first * QCOW2_SUBCLUSTER_BYTES,
		     (uint64_t)count * QCOW2_SUBCLUSTER_BYTES, blocks_punched);
	return QCOW2_WAIT;
}

static void punch_run(struct qcow2_waiter *waiter)
{
	struct qcow2 *q = container_of(waiter, struct qcow2, reap_waiter);
	int err = waiter->result;

	waiter->result = 0;
	if (!err)
		err = punch_blocks(q);
	if (err == QCOW2_WAIT)
		return;
	qcow2_hold_drop(q, &q->reap_hold);
	reap_next(q);
}

static void punch_granted(struct qcow2_hold *hold)
{
	punch_run(&container_of(hold, struct qcow2, reap_hold)->reap_waiter);
}

static void reap_punch(struct qcow2 *q)
{
	uint64_t block;

	q->reap_punch = q->mature_punches.punches[--q->mature_punches.count];
	count_at_close(q, 1);
	block = q->reap_punch.guest_cluster * QCOW2_SUBCLUSTERS;
	q->reap_waiter.run = punch_run;
	q->reap_waiter.result = 0;
	q->reap_hold = (struct qcow2_hold){
		.first = block + (unsigned)__builtin_ctz(q->reap_punch.mask),
		.last = block + QCOW2_SUBCLUSTERS - (unsigned)__builtin_clz(q->reap_punch.mask),
		.changes = true,
		.granted = punch_granted,
	};
	if (qcow2_hold_take(q, &q->reap_hold))
		punch_granted(&q->reap_hold);
}

/* ---- the whole ---- */

static bool may_reap(const struct qcow2 *q)
{
	return !q->closed || q->reap_left || time_monotonic_ms() < q->reap_until_ms;
}

static void reap_journaled(struct journal_waiter *waiter, int err)
{
	struct qcow2 *q = container_of(waiter, struct qcow2, reap_journal);

	/* What was refused is a gap; after another error the disk has failed. */
	(void)err;
	reap_next(q);
}

/* They stay used until the next open. */
static void give_up(struct qcow2 *q)
{
	q->leaks = q->leaks || q->mature.count;
	q->mature.count = 0;
	q->mature_punches.count = 0;
}

/* True: reap_next comes back. While it closes nobody takes what it gives back. */
static bool wait_for_journal(struct qcow2 *q)
{
	if (!q->journal || q->closed || q->failed || (!q->mature.count && !q->mature_punches.count))
		return false;
	if (journal_has_gap(q->journal))
		give_up(q);
	if (journal_is_written(q->journal, q->reap_position))
		return false;
	q->reaping = true;
	q->reap_journal.done = reap_journaled;
	journal_wait(q->journal, &q->reap_journal);
	return true;
}

static void reap_next(struct qcow2 *q)
{
	if (wait_for_journal(q))
		return;
	q->reaping = (q->mature.count || q->mature_punches.count) && !q->failed && may_reap(q);
	if (!q->reaping)
		qcow2_wake(&q->reap_waiters, 0);
	else if (q->mature.count)
		reap_run(q);
	else
		reap_punch(q);
}

void qcow2_reap(struct qcow2 *q)
{
	if (!q->reaping)
		reap_next(q);
}

void qcow2_reap_closing(struct qcow2 *q)
{
	q->reap_left = disk_env_limit(q->disk.env, DISK_ENV_REAP_AT_CLOSE, REAP_AT_CLOSE);
	q->reap_until_ms = q->reap_left == REAP_AT_CLOSE ? time_monotonic_ms() + REAP_AT_CLOSE_MS : 0;
}

void qcow2_reap_stuck(struct qcow2 *q)
{
	for (; q->stuck.count; q->stuck.count--) {
		const struct qcow2_run *run = &q->stuck.runs[q->stuck.count - 1];

		if (qcow2_runs_add(&q->mature, run->first, run->count))
			q->leaks = true;
	}
	qcow2_reap(q);
}
