// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bytes on their way into a child.
 *
 *	SAME ------> BEGIN ---> MAP ------------> FILL ---------> DATA ---------> BITS -----------> done
 *	nothing      marks      every cluster     sub-block       runs of         allocated, in     (a WRITE with
 *	to write:               has its host      edges, from     clusters that   memory; journal   FUA: flush)
 *	journal                 cluster           below           lie together    where changed
 *
 * What is aligned to 4 KiB is never copied. An edge within a block that the child has is written as it is; within a
 * block that it does not have, the rest of the block comes from below, and the block is written whole. The caller
 * holds the blocks, so nobody else fills or writes them meanwhile; other blocks of the same cluster are written side
 * by side, because the cluster is in the L2 entry since MAP and each write sets only its own bits. The pieces of L2
 * that MAP found are pinned until BITS.
 *
 * A write that fails may leave a cluster in its L2 entry without a bit: harmless, the next write there uses it.
 */
#include "disk/qcow2_engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_SAME, STEP_BEGIN, STEP_MAP, STEP_FILL, STEP_DATA, STEP_BITS, STEP_END };

static int writer_step(struct qcow2_writer *w);

/* ---- small helpers ---- */

static void fill_end(struct qcow2_writer *w, unsigned i)
{
	const struct disk *disk = &w->q->disk;

	if (!w->fills[i])
		return;
	qcow2_reader_fini(w->fills[i]);
	disk_small_put(disk->env, disk->loop, w->fills[i]);
}

static void writer_end(struct qcow2_writer *w, int result)
{
	for (unsigned i = 0; i < w->pinned_count; i++)
		w->pinned[i]->pins--;
	w->q->promised_bytes -= w->promised;
	fill_end(w, 0);
	fill_end(w, 1);
	if (w->pieces != w->iov)
		free(w->pieces);
	if (w->io != w->first_io)
		free(w->io);
	if (w->io_iov != w->first_io_iov)
		free(w->io_iov);
	/* Also what failed may have left something in the file, and a reader may have seen it. */
	if (w->step > STEP_DATA && !w->same)
		w->q->unsynced = true;
	if (result == -EDQUOT)
		result = -ENOSPC;
	if (result == -ENOSPC)
		qcow2_report_full(w->q);
	w->result = result;
	w->done(w);
}

static void writer_go_on(struct qcow2_writer *w, int err)
{
	if (!err)
		err = writer_step(w);
	if (err != QCOW2_WAIT)
		writer_end(w, err);
}

static void writer_run(struct qcow2_waiter *waiter)
{
	int err = waiter->result;

	waiter->result = 0;
	writer_go_on(container_of(waiter, struct qcow2_writer, waiter), err);
}

static void pin(struct qcow2_writer *w, struct qcow2_piece *piece)
{
	for (unsigned i = 0; i < w->pinned_count; i++)
		if (w->pinned[i] == piece)
			return;
	piece->pins++;
	w->pinned[w->pinned_count++] = piece;
}

/* The entry of a cluster that MAP went over, and where it is. */
static int pinned_entry(const struct qcow2_writer *w, uint64_t cluster, struct qcow2_entry *entry,
			struct qcow2_piece **piece)
{
	*piece = w->pinned[0];
	if (w->pinned_count > 1 && w->pinned[1]->index == qcow2_piece_of_cluster(cluster))
		*piece = w->pinned[1];
	return qcow2_entry_read(*piece, cluster, entry);
}

/* The subclusters of a cluster that bytes start to end-1 touch. */
static uint32_t touched(uint64_t cluster, uint64_t start, uint64_t end)
{
	uint64_t base = cluster * QCOW2_CLUSTER_BYTES;
	uint64_t first = start > base ? start - base : 0;
	uint64_t last = min_u64(end - base, QCOW2_CLUSTER_BYTES);

	return qcow2_mask((unsigned)(first / QCOW2_SUBCLUSTER_BYTES),
			  (unsigned)((last + QCOW2_SUBCLUSTER_BYTES - 1) / QCOW2_SUBCLUSTER_BYTES));
}

static int put_entry(struct qcow2_piece *piece, uint64_t cluster, struct qcow2_entry entry)
{
	struct qcow2_wire_l2 *wire = (struct qcow2_wire_l2 *)qcow2_piece_change(piece);

	if (!wire)
		return -ENOMEM;
	wire[cluster % QCOW2_PIECE_ENTRIES] = qcow2_entry_put(entry);
	return 0;
}

static void journaled(struct journal_waiter *waiter, int err)
{
	writer_end(container_of(waiter, struct qcow2_writer, journal_waiter), err);
}

/* ---- SAME, BEGIN, MAP ---- */

static int step_same(struct qcow2_writer *w)
{
	int err = w->q->failed ? -EIO : qcow2_same(w, &w->same);

	if (err || !w->same)
		return err;
	w->step = STEP_END;
	/* Nothing is on its way there, and a beginning that fails takes its journal away. */
	if (w->q->begun != QCOW2_BEGUN)
		return 0;
	/* What made it the same may be on its way there. */
	w->journal_waiter.done = journaled;
	journal_wait(w->q->journal, &w->journal_waiter);
	return QCOW2_WAIT;
}

static int step_begin(struct qcow2_writer *w)
{
	return qcow2_begin(w->q, &w->waiter);
}

/* What it is going to take, for the quota's sake: until it is written, others must not have it, too. */
static void promise(struct qcow2_writer *w, uint64_t bytes)
{
	w->promised += bytes;
	w->q->promised_bytes += bytes;
}

static int map_cluster(struct qcow2_writer *w, uint64_t cluster)
{
	uint32_t mask = touched(cluster, w->offset, w->offset + w->length);
	struct qcow2 *q = w->q;
	struct qcow2_piece *piece;
	struct qcow2_entry entry;
	uint64_t host, bytes;
	int err;

	err = qcow2_prepare_piece(q, cluster, &w->waiter, &piece);
	if (err)
		return err;
	pin(w, piece);
	err = qcow2_entry_read(piece, cluster, &entry);
	if (err || !(mask & ~entry.alloc))
		return err;
	bytes = (uint64_t)__builtin_popcount(mask & ~entry.alloc) * QCOW2_SUBCLUSTER_BYTES;
	err = qcow2_check_quota(q, bytes);
	if (err)
		return err;
	if (entry.host) {
		promise(w, bytes);
		return 0;
	}
	err = qcow2_alloc_cluster(q, &w->waiter, &host);
	if (err)
		return err;
	entry.host = host;
	err = put_entry(piece, cluster, entry);
	if (err)
		qcow2_free_cluster(q, host);
	else
		promise(w, bytes);
	return err;
}

static int step_map(struct qcow2_writer *w)
{
	uint64_t end = (w->offset + w->length + QCOW2_CLUSTER_BYTES - 1) / QCOW2_CLUSTER_BYTES;

	if (w->q->layers[0].l2.dirty_count >= QCOW2_DIRTY_MAX)
		return qcow2_flush_maps(w->q, &w->waiter);
	for (; w->at < end; w->at++) {
		int err = map_cluster(w, w->at);

		if (err)
			return err;
	}
	return 0;
}

/* ---- FILL ---- */

static bool block_is_there(const struct qcow2_writer *w, uint64_t offset)
{
	struct qcow2_piece *piece;
	struct qcow2_entry entry;

	if (pinned_entry(w, offset / QCOW2_CLUSTER_BYTES, &entry, &piece))
		return false;
	return entry.alloc >> (offset % QCOW2_CLUSTER_BYTES / QCOW2_SUBCLUSTER_BYTES) & 1;
}

static void fill_done(struct qcow2_reader *reader)
{
	struct qcow2_writer *w = reader->user;

	if (reader->result)
		w->error = reader->result;
	if (--w->pending == 0)
		writer_go_on(w, w->error);
}

static void fill(struct qcow2_writer *w, unsigned i, uint64_t from, uint64_t to)
{
	const struct disk *disk = &w->q->disk;
	struct qcow2_reader *reader;

	to = min_u64(to, disk->size_bytes);
	if (from >= to)
		return;
	reader = w->fills[i] = disk_small_get(disk->env, disk->loop);
	if (!reader) {
		w->error = -ENOMEM;
		return;
	}
	memset(reader, 0, offsetof(struct qcow2_reader, first_iov));
	w->pending++;
	reader->user = w;
	qcow2_reader_start(reader, w->q, from, to - from, fill_done);
}

static int step_fill(struct qcow2_writer *w)
{
	uint64_t end = w->offset + w->length;

	w->start = w->offset;
	w->end = end;
	if (w->start % QCOW2_SUBCLUSTER_BYTES && !block_is_there(w, w->start))
		w->start = align_down(w->start, QCOW2_SUBCLUSTER_BYTES);
	if (end % QCOW2_SUBCLUSTER_BYTES && !block_is_there(w, end - 1))
		w->end = align_up(end, QCOW2_SUBCLUSTER_BYTES);
	/* One more, so that a fill that is done inside its start does not go on. */
	w->pending = 1;
	fill(w, 0, w->start, w->offset);
	fill(w, 1, end, w->end);
	if (--w->pending)
		return QCOW2_WAIT;
	return w->error;
}

/* ---- DATA ---- */

static void append(struct qcow2_writer *w, const struct iovec *iov, int count)
{
	if (count)
		memcpy(w->pieces + w->piece_count, iov, (size_t)count * sizeof(*iov));
	w->piece_count += count;
}

/*
 * What lies before and after the caller's bytes in blocks that are written whole. Beyond the end of the disk: zeroes.
 */
static int gather(struct qcow2_writer *w)
{
	static const struct qcow2_reader none;
	const struct qcow2_reader *head = w->fills[0] ? w->fills[0] : &none, *tail = w->fills[1] ? w->fills[1] : &none;
	uint64_t beyond = w->end - (w->offset + w->length) - tail->length;
	struct iovec zeroes = { disk_env_zeroes(w->q->disk.env), beyond };

	if (w->start == w->offset && w->end == w->offset + w->length) {
		w->pieces = (struct iovec *)w->iov;
		w->piece_count = w->iov_count;
		return 0;
	}
	w->pieces = malloc((size_t)(head->iov_count + w->iov_count + tail->iov_count + 1) * sizeof(*w->pieces));
	if (!w->pieces)
		return -ENOMEM;
	append(w, head->iov, head->iov_count);
	append(w, w->iov, w->iov_count);
	append(w, tail->iov, tail->iov_count);
	append(w, &zeroes, beyond != 0);
	return 0;
}

/* What lies together: where, how many bytes, and whether all of its blocks were written before. */
struct run {
	uint64_t host, length;
	bool written;
};

/* The one that begins at `at`. */
static int next_run(const struct qcow2_writer *w, uint64_t at, struct run *run)
{
	uint64_t next = at;

	*run = (struct run){ .written = true };
	while (next < w->end) {
		struct qcow2_piece *piece;
		struct qcow2_entry entry;
		int err = pinned_entry(w, next / QCOW2_CLUSTER_BYTES, &entry, &piece);

		if (err)
			return err;
		if (next == at)
			run->host = entry.host + at % QCOW2_CLUSTER_BYTES;
		else if (entry.host != run->host + (next - at))
			break;
		run->written = run->written && !(touched(next / QCOW2_CLUSTER_BYTES, at, w->end) & ~entry.alloc);
		next = align_down(next, QCOW2_CLUSTER_BYTES) + QCOW2_CLUSTER_BYTES;
	}
	run->length = min_u64(next, w->end) - at;
	return 0;
}

static void data_done(struct file_request *io)
{
	struct qcow2_writer *w = io->user;

	if (io->result)
		w->error = io->result;
	if (--w->pending == 0)
		writer_go_on(w, w->error);
}

/* Cuts `length` bytes from `skip` on out of the pieces; returns how many pieces that gives. */
static int cut(const struct qcow2_writer *w, uint64_t skip, uint64_t length, struct iovec *out)
{
	int count = 0;

	for (int i = 0; i < w->piece_count && length; i++) {
		const struct iovec *piece = &w->pieces[i];
		uint64_t take;

		if (skip >= piece->iov_len) {
			skip -= piece->iov_len;
			continue;
		}
		take = min_u64(piece->iov_len - skip, length);
		out[count++] = (struct iovec){ (uint8_t *)piece->iov_base + skip, take };
		length -= take;
		skip = 0;
	}
	return count;
}

static void submit_run(struct qcow2_writer *w, struct file_request *io, const struct run *run, const struct iovec *iov,
		       int iov_count)
{
	struct file *file = w->q->file;
	const struct file_ops *ops = file->ops;

	if ((run->written ? ops->overwrite_now : ops->write_now)(file, run->host, iov, iov_count, run->length))
		return;
	*io = (struct file_request){
		.op = FILE_WRITE,
		.offset = run->host,
		.length = run->length,
		.iov = iov,
		.iov_count = iov_count,
		.overwrites = run->written,
		.done = data_done,
		.user = w,
	};
	w->pending++;
	ops->submit(file, io);
}

static int submit_data(struct qcow2_writer *w)
{
	uint64_t clusters = (w->end - 1) / QCOW2_CLUSTER_BYTES - w->start / QCOW2_CLUSTER_BYTES + 1;
	uint64_t pieces = clusters + (uint64_t)w->piece_count;
	struct iovec *iov;
	unsigned used = 0;

	w->io = clusters <= array_len(w->first_io) ? w->first_io : malloc(clusters * sizeof(*w->io));
	w->io_iov = pieces <= array_len(w->first_io_iov) ? w->first_io_iov : malloc(pieces * sizeof(*w->io_iov));
	if (!w->io || !w->io_iov)
		return -ENOMEM;
	iov = w->io_iov;
	w->pending = 1;
	for (uint64_t at = w->start; at < w->end;) {
		struct run run;
		int count, err = next_run(w, at, &run);

		if (err) {
			w->error = err;
			break;
		}
		count = cut(w, at - w->start, run.length, iov);
		submit_run(w, &w->io[used++], &run, iov, count);
		iov += count;
		at += run.length;
	}
	if (--w->pending)
		return QCOW2_WAIT;
	return w->error;
}

static int step_data(struct qcow2_writer *w)
{
	int err = gather(w);

	return err ? err : submit_data(w);
}

/* ---- BITS ---- */

/* The bits of one cluster. 1: they changed and are in the journal's queue. */
static int set_bits(struct qcow2_writer *w, uint64_t cluster)
{
	uint32_t mask = touched(cluster, w->start, w->end);
	struct qcow2 *q = w->q;
	struct journal_change change = { .first = cluster, .count = 1 };
	struct qcow2_piece *piece;
	int err = pinned_entry(w, cluster, &change.entry, &piece);

	if (err || (change.entry.alloc & mask) == mask)
		return err;
	change.entry.alloc |= mask;
	change.entry.zero &= ~mask;
	change.table = q->layers[0].l1[cluster / QCOW2_L2_ENTRIES];
	err = put_entry(piece, cluster, change.entry);
	if (!err)
		err = journal_add(q->journal, &change);
	return err ? err : 1;
}

static int step_bits(struct qcow2_writer *w)
{
	bool changed = false;

	w->q->unsynced = true;
	if (w->q->failed)
		return -EIO;
	for (uint64_t c = w->start / QCOW2_CLUSTER_BYTES; c * QCOW2_CLUSTER_BYTES < w->end; c++) {
		int err = set_bits(w, c);

		if (err < 0)
			return err;
		changed |= err;
	}
	if (!changed)
		return 0;
	w->q->full = false;
	w->journal_waiter.done = journaled;
	journal_wait(w->q->journal, &w->journal_waiter);
	return QCOW2_WAIT;
}

/* ---- the whole ---- */

/*
 * From the present step as far as it goes. SAME, BEGIN and MAP are run again after they waited; the others wait for
 * something that comes back to the step after them.
 */
static int writer_step(struct qcow2_writer *w)
{
	static int (*const steps[])(struct qcow2_writer * w) = { step_same, step_begin, step_map,
								 step_fill, step_data,	step_bits };

	while (w->step < STEP_END) {
		bool again = w->step <= STEP_MAP;
		int err;

		w->step += !again;
		err = steps[again ? w->step : w->step - 1](w);
		if (err)
			return err;
		w->step += again;
	}
	return 0;
}

void qcow2_writer_start(struct qcow2_writer *w, struct qcow2 *q, uint64_t offset, uint64_t length,
			const struct iovec *iov, int iov_count, void (*done)(struct qcow2_writer *writer))
{
	w->q = q;
	w->offset = offset;
	w->length = length;
	w->iov = iov;
	w->iov_count = iov_count;
	w->done = done;
	w->at = offset / QCOW2_CLUSTER_BYTES;
	w->waiter.run = writer_run;
	writer_go_on(w, 0);
}

/* ---- WRITE ---- */

struct write_request {
	struct qcow2 *q;
	struct disk_request *req;
	struct qcow2_hold hold;
	struct qcow2_waiter waiter;
	struct qcow2_writer writer;
};

static_assert(sizeof(struct write_request) <= DISK_SMALL_BYTES && sizeof(struct qcow2_reader) <= DISK_SMALL_BYTES,
	      "one that is written, and what fills an edge of it");

static void write_end(struct write_request *r, int result)
{
	disk_complete_soon(r->req, result);
	disk_small_put(r->q->disk.env, r->q->disk.loop, r);
}

static void write_flushed(struct qcow2_waiter *waiter)
{
	write_end(container_of(waiter, struct write_request, waiter), waiter->result);
}

static void write_done(struct qcow2_writer *writer)
{
	struct write_request *r = container_of(writer, struct write_request, writer);
	int result = writer->result;

	qcow2_hold_drop(r->q, &r->hold);
	if (!result && r->req->fua) {
		r->waiter.run = write_flushed;
		result = qcow2_flush(r->q, &r->waiter);
	}
	if (result != QCOW2_WAIT)
		write_end(r, result);
}

static void write_granted(struct qcow2_hold *hold)
{
	struct write_request *r = container_of(hold, struct write_request, hold);
	struct disk_request *req = r->req;

	if (req->allocate)
		r->writer.step = STEP_BEGIN;
	qcow2_writer_start(&r->writer, r->q, req->offset, req->length, req->iov, req->iov_count, write_done);
}

void qcow2_submit_write(struct qcow2 *q, struct disk_request *req)
{
	struct write_request *r = disk_small_get(q->disk.env, q->disk.loop);

	if (!r) {
		disk_complete_soon(req, -ENOMEM);
		return;
	}
	memset(r, 0, offsetof(struct write_request, writer.first_io));
	r->q = q;
	r->req = req;
	r->hold = (struct qcow2_hold){
		.first = req->offset / QCOW2_SUBCLUSTER_BYTES,
		.last = (req->offset + req->length + QCOW2_SUBCLUSTER_BYTES - 1) / QCOW2_SUBCLUSTER_BYTES,
		.changes = true,
		.granted = write_granted,
	};
	if (qcow2_hold_take(q, &r->hold))
		write_granted(&r->hold);
}
