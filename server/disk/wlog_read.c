// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads of a disk that has the write log: pages that it holds are lent from there, the rest is read by the engine, in
 * requests of our own. Which pages those are is decided when the read comes: what is written later it does not see, as the
 * engine orders what comes down behind it. See wlog_front.h.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "disk/disk.h"
#include "disk/engine.h"
#include "disk/wlog_front.h"

struct piece {
	struct wlog_slot *slot; /* NULL: below */
	uint64_t offset, length;
	struct log_read *read;
	struct disk_request below;
};

struct log_read {
	struct disk_request *req;
	struct wlog_front *front;
	unsigned count, pending;
	int result;
	uint64_t error_offset;
	struct iovec *iov;
	struct iovec first_iov[4];
	struct piece pieces[];
};

static uint64_t page_end(uint64_t at)
{
	return align_down(at, WLOG_PAGE_BYTES) + WLOG_PAGE_BYTES;
}

/* From `at` on: one page of the log, or as much as lies below. */
static uint64_t next_piece(const struct wlog_front *front, uint64_t at, uint64_t end, struct wlog_slot **slot)
{
	uint64_t next = page_end(at);

	*slot = wlog_find(front, at / WLOG_PAGE_BYTES);
	while (!*slot && next < end && !wlog_find(front, next / WLOG_PAGE_BYTES))
		next += WLOG_PAGE_BYTES;
	return min_u64(next, end);
}

static void read_free(struct log_read *r)
{
	struct disk *disk = r->front->disk;

	for (unsigned i = 0; i < r->count; i++) {
		struct piece *piece = &r->pieces[i];

		if (piece->slot)
			wlog_unpin(piece->slot);
		else if (!piece->below.result)
			disk->ops->release(disk, &piece->below);
	}
	if (r->iov != r->first_iov)
		free(r->iov);
	r->req->in_log = false;
	r->req->private = NULL;
	free(r);
}

static int gather(struct log_read *r)
{
	int count = 0;

	for (unsigned i = 0; i < r->count; i++)
		count += r->pieces[i].slot ? 1 : r->pieces[i].below.iov_count;
	r->iov = r->first_iov;
	if (count > (int)array_len(r->first_iov))
		r->iov = malloc((size_t)count * sizeof(*r->iov));
	if (!r->iov) {
		r->iov = r->first_iov;
		return -ENOMEM;
	}
	count = 0;
	for (unsigned i = 0; i < r->count; i++) {
		const struct piece *piece = &r->pieces[i];

		if (piece->slot)
			r->iov[count++] =
				(struct iovec){ piece->slot->data + piece->offset % WLOG_PAGE_BYTES, piece->length };
		for (int n = 0; !piece->slot && n < piece->below.iov_count; n++)
			r->iov[count++] = piece->below.iov[n];
	}
	r->req->iov = r->iov;
	r->req->iov_count = count;
	return 0;
}

/* All pieces are there, or never will be. */
static int read_end(struct log_read *r)
{
	int result = r->result ? r->result : gather(r);

	if (result) {
		r->req->error_offset = r->error_offset;
		read_free(r);
	}
	return result;
}

static void below_done(struct disk_request *below)
{
	struct piece *piece = container_of(below, struct piece, below);
	struct log_read *r = piece->read;
	struct disk_request *req = r->req;

	if (below->result && (!r->result || below->error_offset < r->error_offset)) {
		r->result = below->result;
		r->error_offset = below->error_offset;
	}
	if (--r->pending == 0)
		disk_complete(req, read_end(r));
}

static void submit_below(struct log_read *r, struct piece *piece)
{
	struct disk *disk = r->front->disk;

	piece->read = r;
	piece->below = (struct disk_request){
		.op = DISK_READ,
		.internal = true,
		.offset = piece->offset,
		.length = piece->length,
		.done = below_done,
		.disk = disk,
	};
	disk->ops->submit(disk, &piece->below);
}

enum wlog_answer wlog_read(struct wlog_front *front, struct disk_request *req)
{
	uint64_t end = req->offset + req->length, at;
	struct wlog_slot *slot;
	struct log_read *r;
	unsigned count = 0;

	at = next_piece(front, req->offset, end, &slot);
	if (!slot && at == end)
		return WLOG_PASS;
	for (count = 1; at < end; count++)
		at = next_piece(front, at, end, &slot);
	r = malloc(sizeof(*r) + count * sizeof(r->pieces[0]));
	if (!r) {
		disk_complete_soon(req, -ENOMEM);
		return WLOG_TAKEN;
	}
	*r = (struct log_read){ .req = req, .front = front, .count = count };
	r->iov = r->first_iov;
	req->in_log = true;
	req->private = r;
	at = req->offset;
	for (unsigned i = 0; i < count; i++) {
		struct piece *piece = &r->pieces[i];

		piece->offset = at;
		at = next_piece(front, at, end, &piece->slot);
		piece->length = at - piece->offset;
		if (piece->slot)
			piece->slot->pins++;
		r->pending += !piece->slot;
	}
	for (unsigned i = 0; i < count; i++)
		if (!r->pieces[i].slot)
			submit_below(r, &r->pieces[i]);
	if (!r->pending)
		disk_complete_soon(req, read_end(r));
	return WLOG_TAKEN;
}

void wlog_front_release(struct disk_request *req)
{
	read_free(req->private);
}
