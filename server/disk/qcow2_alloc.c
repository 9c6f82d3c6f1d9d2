// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Host clusters of a child: taking them, making L2 tables of them, giving them back.
 *
 *	       alloc              free                flush              punched
 *	FREE ---------> USED ---------------> FREED ----------> MATURE -----------> FREE
 *	(refcount 0)    (1)     no map in     (1)    no map in  (1)     (decremented in memory; in the file
 *	                        memory names it      the file does       with a later flush)
 *
 * So a cluster is reused only once no map in the file names it, and is zeroes then (qcow2_reap.c). A
 * refcount in memory goes up before an L2 entry names the cluster, and a flush takes both in one snapshot. Nothing
 * below free_hint is free. The file grows before a cluster beyond its end is used, because a map that points beyond
 * the end is a corruption to QEMU.
 *
 * Space for metadata is taken (by writing zeroes over zeroes) before a request changes a map, so that a flush does
 * not meet ENOSPC. All on the disk's loop.
 */
#include "disk/qcow2_engine.h"

#include <errno.h>

/* ---- the end of the file ---- */

static void grown(struct qcow2 *q, uint64_t end_bytes)
{
	q->end_bytes = end_bytes;
	q->layers[0].l2.limit_bytes = end_bytes;
}

static void grow_done(struct file_request *io)
{
	struct qcow2 *q = io->user;

	q->growing = false;
	if (!io->result)
		grown(q, io->offset + io->length);
	qcow2_wake(&q->grow_waiters, io->result);
}

/* One block of zeroes at the new end of the file. */
static int grow(struct qcow2 *q, uint64_t need, struct qcow2_waiter *waiter)
{
	uint64_t most = (uint64_t)q->block_count * QCOW2_REFCOUNTS * QCOW2_CLUSTER_BYTES;
	uint64_t end = min_u64(align_up(need, QCOW2_GROW_BYTES), most);

	if (q->growing)
		return qcow2_wait(&q->grow_waiters, waiter);
	q->grow_iov = (struct iovec){ disk_env_zeroes(q->disk.env), QCOW2_PIECE_BYTES };
	if (q->file->ops->write_now(q->file, end - QCOW2_PIECE_BYTES, &q->grow_iov, 1, QCOW2_PIECE_BYTES)) {
		grown(q, end);
		return 0;
	}
	q->growing = true;
	q->grow_io = (struct file_request){
		.op = FILE_WRITE,
		.offset = end - QCOW2_PIECE_BYTES,
		.length = QCOW2_PIECE_BYTES,
		.iov = &q->grow_iov,
		.iov_count = 1,
		.done = grow_done,
		.user = q,
	};
	qcow2_wait(&q->grow_waiters, waiter);
	q->file->ops->submit(q->file, &q->grow_io);
	return QCOW2_WAIT;
}

/* ---- taking ---- */

/* The refcount blocks have no free cluster left. Some may come back. */
static int wait_for_free(struct qcow2 *q, struct qcow2_waiter *waiter)
{
	bool flushing = q->flush.stage != QCOW2_FLUSH_IDLE && q->flush.frees.count;

	if (q->failed || (!q->frees.count && !q->mature.count && !q->reaping && !flushing))
		return -ENOSPC;
	qcow2_wait(&q->reap_waiters, waiter);
	if (q->frees.count)
		qcow2_flush_soon(q);
	return QCOW2_WAIT;
}

/* The first free cluster of a piece of refcounts, from `from` on; QCOW2_PIECE_REFCOUNTS where there is none. */
static unsigned find_free(const struct qcow2_piece *piece, unsigned from)
{
	const struct be16 *counts = (const struct be16 *)piece->data;

	while (from < QCOW2_PIECE_REFCOUNTS && be16_get(counts[from]))
		from++;
	return from;
}

static bool set_refcount(struct qcow2_piece *piece, uint64_t cluster, uint16_t count)
{
	struct be16 *counts = (struct be16 *)qcow2_piece_change(piece);

	if (counts)
		counts[cluster % QCOW2_PIECE_REFCOUNTS] = be16_put(count);
	return counts != NULL;
}

int qcow2_alloc_cluster(struct qcow2 *q, struct qcow2_waiter *waiter, uint64_t *host)
{
	uint64_t limit = (uint64_t)q->block_count * QCOW2_REFCOUNTS, cluster;
	struct qcow2_piece *piece;
	int err;

	for (;;) {
		if (q->free_hint >= limit)
			return wait_for_free(q, waiter);
		err = qcow2_piece_get(&q->refcounts, (unsigned)(q->free_hint / QCOW2_PIECE_REFCOUNTS), waiter, &piece);
		if (err)
			return err;
		cluster = align_down(q->free_hint, QCOW2_PIECE_REFCOUNTS) +
			  find_free(piece, q->free_hint % QCOW2_PIECE_REFCOUNTS);
		q->free_hint = cluster;
		if (cluster / QCOW2_PIECE_REFCOUNTS == piece->index)
			break;
	}
	if ((cluster + 1) * QCOW2_CLUSTER_BYTES > q->end_bytes) {
		err = grow(q, (cluster + 1) * QCOW2_CLUSTER_BYTES, waiter);
		if (err)
			return err;
	}
	err = qcow2_piece_reserve(piece, waiter);
	if (err)
		return err;
	if (!set_refcount(piece, cluster, 1))
		return -ENOMEM;
	q->free_hint = cluster + 1;
	*host = cluster * QCOW2_CLUSTER_BYTES;
	return 0;
}

int qcow2_check_quota(struct qcow2 *q, uint64_t bytes)
{
	if (!q->quota_bytes || q->file->ops->allocated_bytes(q->file) + q->promised_bytes + bytes <= q->quota_bytes)
		return 0;
	return -ENOSPC;
}

/* ---- L2 tables ---- */

static void reserve_l1_done(struct file_request *io)
{
	struct qcow2 *q = io->user;

	q->table_busy = false;
	q->l1_reserved[q->table_piece] = !io->result;
	qcow2_wake(&q->table_waiters, io->result);
}

static void punch_table_done(struct file_request *io)
{
	struct qcow2 *q = io->user;

	q->table_busy = false;
	q->new_table_empty = !io->result;
	qcow2_wake(&q->table_waiters, io->result);
}

static int table_submit(struct qcow2 *q, enum file_op op, uint64_t offset, uint64_t length,
			void (*done)(struct file_request *io), struct qcow2_waiter *waiter)
{
	q->table_iov = (struct iovec){ disk_env_zeroes(q->disk.env), length };
	q->table_io = (struct file_request){
		.op = op,
		.offset = offset,
		.length = length,
		.iov = op == FILE_WRITE ? &q->table_iov : NULL,
		.iov_count = op == FILE_WRITE,
		.done = done,
		.user = q,
	};
	q->table_busy = true;
	qcow2_wait(&q->table_waiters, waiter);
	q->file->ops->submit(q->file, &q->table_io);
	return QCOW2_WAIT;
}

/*
 * A table for that entry of L1. What is done already stays done, also for another entry, when it has to wait between.
 */
static int make_table(struct qcow2 *q, uint64_t l1_index, struct qcow2_waiter *waiter)
{
	struct qcow2_layer *child = &q->layers[0];
	unsigned l1_piece = (unsigned)(l1_index * 8 / QCOW2_PIECE_BYTES);
	int err;

	if (q->table_busy)
		return qcow2_wait(&q->table_waiters, waiter);
	if (!q->l1_reserved[l1_piece]) {
		q->table_piece = l1_piece;
		return table_submit(q, FILE_WRITE, q->header.l1_offset + (uint64_t)l1_piece * QCOW2_PIECE_BYTES,
				    QCOW2_PIECE_BYTES, reserve_l1_done, waiter);
	}
	if (!q->new_table) {
		err = qcow2_alloc_cluster(q, waiter, &q->new_table);
		if (err)
			return err;
		q->new_table_empty = q->new_table >= q->virgin_bytes;
	}
	if (!q->new_table_empty)
		return table_submit(q, FILE_PUNCH, q->new_table, QCOW2_CLUSTER_BYTES, punch_table_done, waiter);
	child->l1[l1_index] = q->new_table;
	q->l1_dirty |= 1u << l1_piece;
	q->new_table = 0;
	return 0;
}

int qcow2_prepare_piece(struct qcow2 *q, uint64_t guest_cluster, struct qcow2_waiter *waiter,
			struct qcow2_piece **piece)
{
	struct qcow2_layer *child = &q->layers[0];
	int err;

	if (!child->l1[guest_cluster / QCOW2_L2_ENTRIES]) {
		err = make_table(q, guest_cluster / QCOW2_L2_ENTRIES, waiter);
		if (err)
			return err;
	}
	err = qcow2_piece_get(&child->l2, qcow2_piece_of_cluster(guest_cluster), waiter, piece);
	return err ? err : qcow2_piece_reserve(*piece, waiter);
}

/* ---- giving back ---- */

int qcow2_free_cluster(struct qcow2 *q, uint64_t host)
{
	return qcow2_runs_add(&q->frees, host / QCOW2_CLUSTER_BYTES, 1);
}
