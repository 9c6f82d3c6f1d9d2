// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * WRITE ZEROES and DISCARD: both read as zeroes afterwards, also where the golden image has data.
 *
 *	BEGIN ---> HEAD ---------> MIDDLE ----------------------> TAIL ---> JOURNAL ---> done (FUA: flush)
 *	           part of a       whole blocks: bits in the
 *	           block: a        maps, one piece of L2 (32 MiB)
 *	           write           per turn of the loop
 *
 * It holds whole clusters, so that one without data can be given back while nobody uses it; what is done it lets go
 * at once. Where nothing but zeroes is below and the child has nothing, nothing changes. Bounded: a turn handles one
 * piece, and waits where the journal, the dirty maps or the freed clusters are many.
 */
#include "disk/qcow2_engine.h"

#include <errno.h>
#include <stdlib.h>

enum { STEP_BEGIN, STEP_HEAD, STEP_MIDDLE, STEP_TAIL, STEP_JOURNAL, STEP_END };
enum { ZERO_BACKLOG = 512 }; /* unwritten journal entries at which it waits */

struct zero_request {
	struct qcow2 *q;
	struct disk_request *req;
	struct qcow2_hold hold;
	struct qcow2_waiter waiter;
	struct journal_waiter journal_waiter;
	struct loop_msg msg;
	bool give_back;
	int step;
	uint64_t middle, middle_end; /* whole blocks; middle moves on */
	struct qcow2_writer writer;  /* of an edge */
	struct iovec writer_iov;
	struct journal_change change; /* being gathered; count 0: none */
};

static int zero_step(struct zero_request *z);

static void zero_end(struct zero_request *z, int result)
{
	if (result == -EDQUOT)
		result = -ENOSPC;
	if (result == -ENOSPC)
		qcow2_report_full(z->q);
	disk_complete_soon(z->req, result);
	free(z);
}

static void zero_flushed(struct qcow2_waiter *waiter)
{
	zero_end(container_of(waiter, struct zero_request, waiter), waiter->result);
}

static void zero_go_on(struct zero_request *z, int err)
{
	if (!err)
		err = zero_step(z);
	if (err == QCOW2_WAIT)
		return;
	qcow2_hold_drop(z->q, &z->hold);
	if (!err && z->req->fua) {
		z->waiter.run = zero_flushed;
		err = qcow2_flush(z->q, &z->waiter);
		if (err == QCOW2_WAIT)
			return;
	}
	zero_end(z, err);
}

static void zero_run(struct qcow2_waiter *waiter)
{
	int err = waiter->result;

	waiter->result = 0;
	zero_go_on(container_of(waiter, struct zero_request, waiter), err);
}

static void zero_journaled(struct journal_waiter *waiter, int err)
{
	zero_go_on(container_of(waiter, struct zero_request, journal_waiter), err);
}

static void zero_next_turn(struct loop_msg *msg)
{
	zero_go_on(container_of(msg, struct zero_request, msg), 0);
}

/* ---- edges ---- */

static void edge_done(struct qcow2_writer *writer)
{
	zero_go_on(container_of(writer, struct zero_request, writer), writer->result);
}

/* Part of a block. Where it is zeroes already nothing is written. */
static int edge(struct zero_request *z, uint64_t from, uint64_t to)
{
	struct qcow2_extent extent;
	int err;

	if (from >= to)
		return 0;
	err = qcow2_find(z->q, 0, from, to - from, &z->waiter, &extent);
	if (err)
		return err;
	if (!extent.file && extent.length == to - from)
		return 0;
	z->writer = (struct qcow2_writer){ .step = 0 };
	z->writer_iov = (struct iovec){ disk_env_zeroes(z->q->disk.env), to - from };
	/* It comes back to the step after this one. */
	z->step++;
	qcow2_writer_start(&z->writer, z->q, from, to - from, &z->writer_iov, 1, edge_done);
	return QCOW2_WAIT;
}

static int step_head(struct zero_request *z)
{
	return edge(z, z->req->offset, min_u64(z->middle, z->req->offset + z->req->length));
}

static int step_tail(struct zero_request *z)
{
	uint64_t end = z->req->offset + z->req->length;

	/* Both edges in one block: the head was all of it. */
	return z->req->offset > z->middle_end ? 0 : edge(z, z->middle_end, end);
}

/* ---- whole blocks ---- */

static int gathered(struct zero_request *z)
{
	int err = z->change.count ? journal_add(z->q->journal, &z->change) : 0;

	z->change.count = 0;
	return err;
}

static bool same_entry(struct qcow2_entry a, struct qcow2_entry b)
{
	return a.host == b.host && a.alloc == b.alloc && a.zero == b.zero;
}

/* Clusters that follow each other and become the same are one change. */
static int gather(struct zero_request *z, uint64_t cluster, struct qcow2_entry entry)
{
	struct journal_change *change = &z->change;
	int err = 0;

	if (change->count && !entry.host && same_entry(change->entry, entry) &&
	    change->first + change->count == cluster && change->count < JOURNAL_RUN_MAX) {
		change->count++;
		return 0;
	}
	err = gathered(z);
	*change = (struct journal_change){
		.first = cluster,
		.count = 1,
		.table = z->q->layers[0].l1[cluster / QCOW2_L2_ENTRIES],
		.entry = entry,
	};
	return err;
}

/* What the entry becomes when these blocks are zeroed. */
static struct qcow2_entry zeroed(struct zero_request *z, uint64_t cluster, struct qcow2_entry entry, uint32_t mask)
{
	uint64_t base = cluster * QCOW2_CLUSTER_BYTES;

	if ((mask & ~entry.alloc & ~entry.zero) == 0 || !qcow2_backing_is_zero(z->q, base, QCOW2_CLUSTER_BYTES))
		entry.zero |= mask;
	else
		entry.zero |= mask & entry.alloc;
	entry.alloc &= ~mask;
	if (z->give_back && !entry.alloc)
		entry.host = 0;
	return entry;
}

static int put_entry(struct zero_request *z, struct qcow2_piece *piece, uint64_t cluster, struct qcow2_entry old,
		     struct qcow2_entry entry)
{
	struct qcow2_wire_l2 *wire = (struct qcow2_wire_l2 *)qcow2_piece_change(piece);
	struct qcow2_punch punch = { .guest_cluster = cluster, .host = old.host, .mask = old.alloc & ~entry.alloc };
	int err = 0;

	if (!wire)
		return -ENOMEM;
	if (old.host && !entry.host)
		err = qcow2_free_cluster(z->q, old.host);
	else if (z->give_back && punch.mask)
		err = qcow2_punches_add(&z->q->punches, &punch);
	if (err)
		return err;
	wire[cluster % QCOW2_PIECE_ENTRIES] = qcow2_entry_put(entry);
	return gather(z, cluster, entry);
}

static int zero_cluster(struct zero_request *z, struct qcow2_piece *piece, uint64_t cluster, uint64_t end)
{
	uint64_t base = cluster * QCOW2_CLUSTER_BYTES;
	unsigned first = (unsigned)((z->middle - base) / QCOW2_SUBCLUSTER_BYTES);
	unsigned last = (unsigned)(min_u64(end - base, QCOW2_CLUSTER_BYTES) / QCOW2_SUBCLUSTER_BYTES);
	struct qcow2_entry old, entry;
	int err = qcow2_entry_read(piece, cluster, &old);

	if (err)
		return err;
	entry = zeroed(z, cluster, old, qcow2_mask(first, last));
	if (same_entry(old, entry))
		return 0;
	err = qcow2_piece_reserve(piece, &z->waiter);
	return err ? err : put_entry(z, piece, cluster, old, entry);
}

/* From z->middle to the end of its piece of L2, or of the request. */
static int zero_piece(struct zero_request *z)
{
	uint64_t end = min_u64(z->middle_end, align_down(z->middle, QCOW2_PIECE_SPAN) + QCOW2_PIECE_SPAN);
	uint64_t cluster = z->middle / QCOW2_CLUSTER_BYTES;
	struct qcow2_layer *child = &z->q->layers[0];
	struct qcow2_piece *piece;
	int err;

	if (!child->l1[cluster / QCOW2_L2_ENTRIES]) {
		if (qcow2_backing_is_zero(z->q, z->middle, end - z->middle)) {
			z->middle = end;
			return 0;
		}
		err = qcow2_prepare_piece(z->q, cluster, &z->waiter, &piece);
	} else {
		err = qcow2_piece_get(&child->l2, qcow2_piece_of_cluster(cluster), &z->waiter, &piece);
	}
	for (; !err && z->middle < end; cluster++) {
		err = zero_cluster(z, piece, cluster, end);
		if (!err)
			z->middle = min_u64((cluster + 1) * QCOW2_CLUSTER_BYTES, end);
	}
	if (err <= 0 && gathered(z) && !err)
		err = -ENOMEM;
	return err;
}

static int step_middle(struct zero_request *z)
{
	struct qcow2 *q = z->q;
	uint64_t done;
	int err;

	if (z->middle >= z->middle_end)
		return 0;
	if (q->failed)
		return -EIO;
	if (q->layers[0].l2.dirty_count >= QCOW2_DIRTY_MAX || q->frees.count >= QCOW2_FREES_MAX ||
	    q->punches.count >= QCOW2_FREES_MAX)
		return qcow2_flush_maps(q, &z->waiter);
	if (journal_backlog(q->journal) >= ZERO_BACKLOG) {
		journal_wait(q->journal, &z->journal_waiter);
		return QCOW2_WAIT;
	}
	err = zero_piece(z);
	if (err || z->middle >= z->middle_end)
		return err;
	done = align_down(z->middle, QCOW2_CLUSTER_BYTES) / QCOW2_SUBCLUSTER_BYTES;
	z->msg.run = zero_next_turn;
	loop_post(q->disk.loop, &z->msg);
	qcow2_hold_shrink(q, &z->hold, max_u64(done, z->hold.first));
	return QCOW2_WAIT;
}

/* ---- the whole ---- */

static int step_begin(struct zero_request *z)
{
	return qcow2_begin(z->q, &z->waiter);
}

static int step_journal(struct zero_request *z)
{
	z->step++;
	journal_wait(z->q->journal, &z->journal_waiter);
	return QCOW2_WAIT;
}

static int zero_step(struct zero_request *z)
{
	static int (*const steps[])(struct zero_request * z) = { step_begin, step_head, step_middle, step_tail,
								 step_journal };

	while (z->step < STEP_END) {
		int err = steps[z->step](z);

		if (err)
			return err;
		z->step++;
	}
	return 0;
}

static void zero_granted(struct qcow2_hold *hold)
{
	zero_go_on(container_of(hold, struct zero_request, hold), 0);
}

void qcow2_submit_zero(struct qcow2 *q, struct disk_request *req)
{
	struct zero_request *z = calloc(1, sizeof(*z));
	uint64_t end = req->offset + req->length;

	if (!z) {
		disk_complete_soon(req, -ENOMEM);
		return;
	}
	z->q = q;
	z->req = req;
	z->give_back = req->op == DISK_DISCARD || req->unmap;
	z->middle = align_up(req->offset, QCOW2_SUBCLUSTER_BYTES);
	/* The last block of the disk may be cut short; nobody sees the rest of it. */
	z->middle_end = end == q->disk.size_bytes ? align_up(end, QCOW2_SUBCLUSTER_BYTES) :
						    align_down(end, QCOW2_SUBCLUSTER_BYTES);
	z->waiter.run = zero_run;
	z->journal_waiter.done = zero_journaled;
	z->hold = (struct qcow2_hold){
		.first = align_down(req->offset, QCOW2_CLUSTER_BYTES) / QCOW2_SUBCLUSTER_BYTES,
		.last = align_up(end, QCOW2_CLUSTER_BYTES) / QCOW2_SUBCLUSTER_BYTES,
		.changes = true,
		.granted = zero_granted,
	};
	if (qcow2_hold_take(q, &z->hold))
		zero_granted(&z->hold);
}
