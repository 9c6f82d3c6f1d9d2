// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bytes of a qcow2 disk on their way into memory.
 *
 *	find extents ---> golden slots, buffer ---> read each inline ---> those that could not be: workers ---> done
 *	   | QCOW2_WAIT (maps)
 *	   +--> again
 *
 * The answer is one iovec: pieces of one buffer where there is data, the zero region where there is none. What the golden
 * cache has, or is about to have, is lent from there: such pieces are read into it, in whole pages. A READ that
 * is done inline never takes a hold; one that has to wait takes it, so that no later write gets ahead of it. All on
 * the disk's loop.
 */
#include "disk/qcow2_engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk/read_trace.h"
#include "disk/golden_cache.h"

/* ---- reader ---- */

static int add_extent(struct qcow2_reader *r, const struct qcow2_extent *extent)
{
	struct qcow2_extent *last = r->extent_count ? &r->extents[r->extent_count - 1] : NULL;

	if (last && !last->slot && !extent->slot && last->file == extent->file &&
	    (!last->file || last->offset + last->length == extent->offset)) {
		last->length += extent->length;
		return 0;
	}
	if (r->extent_count == r->extent_room) {
		unsigned room = r->extent_room * 4;
		struct qcow2_extent *more = malloc(room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		memcpy(more, r->extents, r->extent_count * sizeof(*more));
		if (r->extents != r->first_extents)
			free(r->extents);
		r->extents = more;
		r->extent_room = room;
	}
	r->extents[r->extent_count++] = *extent;
	return 0;
}

/* Golden data: at most to the end of its slot, and the slot, where it is worth one. */
static void pin_golden(struct qcow2_reader *r, struct qcow2_extent *extent)
{
	struct golden_image *golden = extent->file ? extent->file->golden : NULL;

	if (!golden)
		return;
	extent->length = min_u64(extent->length, GOLDEN_SLOT_BYTES - extent->offset % GOLDEN_SLOT_BYTES);
	extent->slot = golden_slot_pin(golden, extent->offset, extent->length, &extent->data, &extent->done);
	disk_env_count_cache(r->q->disk.env, r->q->disk.loop, extent->slot && extent->done, extent->length);
}

/* What a boot needs of the golden image; once it has come up, nothing is noted any more. */
static void note_trace(struct qcow2 *q, const struct qcow2_extent *extent)
{
	if (atomic_load_explicit(&q->trace->stopped, memory_order_relaxed)) {
		read_trace_unref(q->trace);
		q->trace = NULL;
	} else {
		read_trace_note(q->trace, extent->offset, extent->length);
	}
}

static int find_extents(struct qcow2_reader *r)
{
	while (r->found < r->length) {
		struct qcow2_extent extent;
		int err = qcow2_find(r->q, 0, r->offset + r->found, r->length - r->found, &r->waiter, &extent);

		if (err < 0)
			r->error_offset = r->offset + r->found;
		if (err)
			return err;
		pin_golden(r, &extent);
		if (r->q->trace && extent.file && extent.layer == 1)
			note_trace(r->q, &extent);
		err = add_extent(r, &extent);
		if (err && extent.slot)
			golden_slot_unpin(extent.slot);
		if (err)
			return err;
		r->found += extent.length;
	}
	return 0;
}

/* The buffer, and the answer's iovec over it. */
static int make_room(struct qcow2_reader *r)
{
	struct disk *disk = &r->q->disk;
	size_t used = 0;

	for (unsigned i = 0; i < r->extent_count; i++)
		if (r->extents[i].file && !r->extents[i].slot)
			r->buffer_bytes += r->extents[i].length;
	if (r->buffer_bytes) {
		r->buffer = disk_buffers_get(disk->env, disk->loop, r->buffer_bytes);
		if (!r->buffer)
			return -ENOMEM;
	}
	r->iov = r->first_iov;
	if (r->extent_count > array_len(r->first_iov)) {
		r->iov = malloc(r->extent_count * sizeof(*r->iov));
		if (!r->iov)
			return -ENOMEM;
	}
	for (unsigned i = 0; i < r->extent_count; i++) {
		struct qcow2_extent *e = &r->extents[i];

		if (e->file && !e->slot) {
			e->data = (uint8_t *)r->buffer + used;
			used += e->length;
		}
		r->iov[i].iov_len = e->length;
		r->iov[i].iov_base = e->file ? e->data : disk_env_zeroes(disk->env);
	}
	r->iov_count = (int)r->extent_count;
	return 0;
}

static void reader_end(struct qcow2_reader *r, int result)
{
	r->result = result;
	r->done(r);
}

/* The bytes of an extent: where they are read to. For a golden slot the whole pages that they touch. */
static uint64_t place_of(const struct qcow2_extent *e, bool fills, uint64_t *length, struct iovec *iov)
{
	uint64_t before = fills ? e->offset % GOLDEN_PAGE_BYTES : 0;

	*length = fills ? align_up(before + e->length, GOLDEN_PAGE_BYTES) : e->length;
	*iov = (struct iovec){ e->data - before, *length };
	return e->offset - before;
}

static void io_done(struct file_request *file);

static void io_submit(struct qcow2_reader *r, struct qcow2_io *io)
{
	uint64_t length, offset = place_of(io->extent, io->fills, &length, &io->iov);

	io->file = (struct file_request){
		.op = FILE_READ,
		.offset = offset,
		.length = length,
		.iov = &io->iov,
		.iov_count = 1,
		.done = io_done,
		.user = r,
	};
	io->extent->file->ops->submit(io->extent->file, &io->file);
}

static void io_failed(struct qcow2_reader *r, const struct qcow2_io *io)
{
	uint64_t at = io->extent->guest;

	if (io->file.result == -EIO)
		at += min_u64(io->file.error_offset - io->file.offset, io->file.length - 1);
	if (!r->result || at < r->error_offset)
		r->error_offset = at;
	r->result = io->file.result;
}

static void io_done(struct file_request *file)
{
	struct qcow2_reader *r = file->user;
	struct qcow2_io *io = container_of(file, struct qcow2_io, file);

	if (file->result && io->fills) {
		/* It may be that nobody asked for what could not be read. */
		io->fills = false;
		io_submit(r, io);
		return;
	}
	if (file->result)
		io_failed(r, io);
	else if (io->fills)
		golden_slot_filled(io->extent->slot, file->offset, file->length);
	if (--r->pending == 0)
		reader_end(r, r->result);
}

static bool read_now(struct qcow2_extent *e)
{
	bool fills = e->slot != NULL;
	struct iovec iov;
	uint64_t length, offset = place_of(e, fills, &length, &iov);

	if (!e->file->ops->read_now(e->file, offset, &iov, 1, length))
		return false;
	if (fills)
		golden_slot_filled(e->slot, offset, length);
	return true;
}

/* Inline what can be; then all the rest at once. */
static int transfer(struct qcow2_reader *r)
{
	unsigned used = 0;

	for (unsigned i = 0; i < r->extent_count; i++) {
		struct qcow2_extent *e = &r->extents[i];

		e->done = e->done || !e->file || read_now(e);
		r->pending += !e->done;
	}
	if (r->pending == 0)
		return 0;
	r->io = calloc(r->pending, sizeof(*r->io));
	if (!r->io)
		return -ENOMEM;
	for (unsigned i = 0; i < r->extent_count; i++) {
		struct qcow2_extent *e = &r->extents[i];

		if (e->done)
			continue;
		r->io[used].extent = e;
		r->io[used].fills = e->slot != NULL;
		io_submit(r, &r->io[used++]);
	}
	return QCOW2_WAIT;
}

static void reader_run(struct qcow2_waiter *waiter)
{
	struct qcow2_reader *r = container_of(waiter, struct qcow2_reader, waiter);
	int err = waiter->result;

	if (err < 0)
		r->error_offset = r->offset + r->found;
	if (!err)
		err = find_extents(r);
	if (!err)
		err = make_room(r);
	if (!err)
		err = transfer(r);
	if (err != QCOW2_WAIT)
		reader_end(r, err);
}

void qcow2_reader_start(struct qcow2_reader *r, struct qcow2 *q, uint64_t offset, uint64_t length,
			void (*done)(struct qcow2_reader *reader))
{
	r->q = q;
	r->offset = offset;
	r->length = length;
	r->done = done;
	r->error_offset = offset;
	r->extents = r->first_extents;
	r->extent_room = array_len(r->first_extents);
	r->waiter.run = reader_run;
	reader_run(&r->waiter);
}

void qcow2_reader_fini(struct qcow2_reader *r)
{
	for (unsigned i = 0; i < r->extent_count; i++)
		if (r->extents[i].slot)
			golden_slot_unpin(r->extents[i].slot);
	if (r->buffer)
		disk_buffers_put(r->q->disk.env, r->q->disk.loop, r->buffer, r->buffer_bytes);
	if (r->extents != r->first_extents)
		free(r->extents);
	if (r->iov != r->first_iov)
		free(r->iov);
	free(r->io);
}

/* ---- READ ---- */

struct read_request {
	struct disk_request *req;
	struct qcow2_hold hold;
	bool held, ended;
	struct qcow2_reader reader;
};

static_assert(sizeof(struct read_request) <= DISK_SMALL_BYTES, "one that is read");

static struct read_request *read_new(const struct disk *disk)
{
	struct read_request *r = disk_small_get(disk->env, disk->loop);

	if (r)
		memset(r, 0, offsetof(struct read_request, reader.first_iov));
	return r;
}

static void read_free(struct read_request *r)
{
	const struct disk *disk = &r->reader.q->disk;

	qcow2_reader_fini(&r->reader);
	disk_small_put(disk->env, disk->loop, r);
}

static void read_done(struct qcow2_reader *reader)
{
	struct read_request *r = container_of(reader, struct read_request, reader);
	struct disk_request *req = r->req;
	struct qcow2 *q = reader->q;
	int result = reader->result;

	r->ended = true;
	if (result) {
		req->error_offset = reader->error_offset;
	} else {
		req->iov = reader->iov;
		req->iov_count = reader->iov_count;
	}
	if (r->held)
		qcow2_hold_drop(q, &r->hold);
	disk_complete_soon(req, result);
	if (result && r->held) {
		req->private = NULL;
		read_free(r);
	}
}

static void read_granted(struct qcow2_hold *hold)
{
	struct read_request *r = container_of(hold, struct read_request, hold);
	struct qcow2 *q = qcow2_of(r->req->disk);

	qcow2_reader_start(&r->reader, q, r->req->offset, r->req->length, read_done);
}

void qcow2_submit_read(struct qcow2 *q, struct disk_request *req)
{
	struct read_request *r = read_new(&q->disk);

	if (!r) {
		disk_complete_soon(req, -ENOMEM);
		return;
	}
	req->private = r;
	r->req = req;
	r->hold = (struct qcow2_hold){
		.first = req->offset / QCOW2_SUBCLUSTER_BYTES,
		.last = (req->offset + req->length + QCOW2_SUBCLUSTER_BYTES - 1) / QCOW2_SUBCLUSTER_BYTES,
		.granted = read_granted,
	};
	if (qcow2_hold_conflicts(q, r->hold.first, r->hold.last, false)) {
		r->held = true;
		if (qcow2_hold_take(q, &r->hold))
			assert(!"a conflict that is none");
		return;
	}
	qcow2_reader_start(&r->reader, q, req->offset, req->length, read_done);
	if (!r->ended) {
		r->held = true;
		if (!qcow2_hold_take(q, &r->hold))
			assert(!"nothing came between");
	} else if (r->reader.result) {
		req->private = NULL;
		read_free(r);
	}
}

void qcow2_release_read(struct qcow2 *q, struct disk_request *req)
{
	struct read_request *r = req->private;

	(void)q;
	req->private = NULL;
	read_free(r);
}

/* ---- STATUS: what the maps say ---- */

enum {
	STATUS_TURN = 256, /* lookups per turn of the loop */
	STATUS_BELOW = 32, /* extents of a raw file that are asked for at once */
};

struct status_request {
	struct qcow2 *q;
	struct disk_request *req;
	struct qcow2_hold hold;
	struct qcow2_waiter waiter;
	struct loop_msg msg;
	uint64_t at;
	/* what a raw file below says of its holes */
	struct file_request io;
	struct disk_extent below[STATUS_BELOW];
};

/* false: the array is full. */
static bool add_status(struct disk_request *req, uint64_t offset, uint64_t length, bool mapped)
{
	struct disk_extent *last = req->extent_count ? &req->extents[req->extent_count - 1] : NULL;

	if (last && last->mapped == mapped) {
		last->length += length;
		return true;
	}
	if (req->extent_count == req->extent_max)
		return false;
	req->extents[req->extent_count++] = (struct disk_extent){ offset, length, mapped };
	return true;
}

static void status_end(struct status_request *s, int result)
{
	qcow2_hold_drop(s->q, &s->hold);
	disk_complete_soon(s->req, result);
	free(s);
}

static void status_again(struct loop_msg *msg)
{
	struct status_request *s = container_of(msg, struct status_request, msg);

	s->waiter.result = 0;
	s->waiter.run(&s->waiter);
}

/* What the file cannot say counts as data. */
static void status_below_done(struct file_request *io)
{
	struct status_request *s = io->user;

	if (io->result || !io->extent_count) {
		s->below[0] = (struct disk_extent){ io->offset, io->length, true };
		io->extent_count = 1;
	}
	for (unsigned i = 0; i < io->extent_count; i++) {
		if (!add_status(s->req, s->at, s->below[i].length, s->below[i].mapped)) {
			status_end(s, 0);
			return;
		}
		s->at += s->below[i].length;
	}
	s->waiter.result = 0;
	s->waiter.run(&s->waiter);
}

/* The holes of a raw golden file are no data either; its file system knows them. */
static int status_ask_below(struct status_request *s, const struct qcow2_extent *extent)
{
	s->io = (struct file_request){
		.op = FILE_STATUS,
		.offset = extent->offset,
		.length = extent->length,
		.extents = s->below,
		.extent_max = STATUS_BELOW,
		.done = status_below_done,
		.user = s,
	};
	extent->file->ops->submit(extent->file, &s->io);
	return QCOW2_WAIT;
}

static void status_run(struct qcow2_waiter *waiter)
{
	struct status_request *s = container_of(waiter, struct status_request, waiter);
	uint64_t end = s->req->offset + s->req->length;
	int err = waiter->result;

	for (int i = 0; !err && s->at < end; i++) {
		struct qcow2_extent extent;

		if (i == STATUS_TURN) {
			s->msg.run = status_again;
			loop_post(s->q->disk.loop, &s->msg);
			return;
		}
		err = qcow2_find(s->q, 0, s->at, end - s->at, &s->waiter, &extent);
		if (!err && extent.file && s->q->layers[extent.layer].raw)
			err = status_ask_below(s, &extent);
		if (err)
			break;
		if (!add_status(s->req, s->at, extent.length, extent.file != NULL))
			break;
		s->at += extent.length;
	}
	if (err != QCOW2_WAIT)
		status_end(s, err);
}

static void status_granted(struct qcow2_hold *hold)
{
	status_run(&container_of(hold, struct status_request, hold)->waiter);
}

void qcow2_submit_status(struct qcow2 *q, struct disk_request *req)
{
	struct status_request *s = calloc(1, sizeof(*s));

	if (!s) {
		disk_complete_soon(req, -ENOMEM);
		return;
	}
	s->q = q;
	s->req = req;
	s->at = req->offset;
	s->waiter.run = status_run;
	s->hold = (struct qcow2_hold){
		.first = req->offset / QCOW2_SUBCLUSTER_BYTES,
		.last = (req->offset + req->length + QCOW2_SUBCLUSTER_BYTES - 1) / QCOW2_SUBCLUSTER_BYTES,
		.granted = status_granted,
	};
	req->extent_count = 0;
	if (qcow2_hold_take(q, &s->hold))
		status_granted(&s->hold);
}
