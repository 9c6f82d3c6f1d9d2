// SPDX-License-Identifier: GPL-2.0-or-later
/* struct file_ops over a file of the simulated host: what a request does, and the faults that it meets. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "host_file.h"

struct handle {
	struct file file;
	struct host *host;
	struct host_file *inode;
	bool read_only, no_sync, no_lock;
};

static struct handle *handle_of(const struct file *file)
{
	return container_of(file, struct handle, file);
}

static uint64_t iov_gather(const struct file_request *req, const unsigned char *from, uint64_t length)
{
	uint64_t at = 0;

	for (int i = 0; i < req->iov_count && at < length; i++) {
		uint64_t piece = min_u64(req->iov[i].iov_len, length - at);

		memcpy(req->iov[i].iov_base, from + at, piece);
		at += piece;
	}
	return at;
}

static bool chance(struct host *host, unsigned per_mille)
{
	return per_mille && prng_below(host->prng, 1000) < per_mille;
}

/* A random part, in sectors, of something of so many bytes. */
static uint64_t some_of(struct host *host, uint64_t length)
{
	return prng_below(host->prng, length / SECTOR + 1) * SECTOR;
}

/* ---- requests ---- */

static int do_read(struct host *host, struct host_file *f, struct file_request *req)
{
	if (chance(host, host->read_errors)) {
		uint64_t bad = align_down(req->offset + prng_below(host->prng, req->length), SECTOR);

		req->error_offset = max_u64(bad, req->offset);
		return -EIO;
	}
	assert(iov_gather(req, f->now + req->offset, req->length) == req->length);
	return 0;
}

static int do_write(struct host *host, struct host_file *f, struct file_request *req)
{
	int err = chance(host, host->write_errors) ? -EIO : 0;

	if (host->full && !host_file_is_allocated(f, req->offset, req->length))
		err = -ENOSPC;
	host_file_write(host, f, req, 0, err ? some_of(host, req->length) : req->length);
	return err;
}

static int do_sync(struct host *host, struct host_file *f, uint64_t order)
{
	host->syncs++;
	if (chance(host, host->sync_errors)) {
		host->sync_failed = true;
		host_file_sync(host, f, order, 50);
		return -EIO;
	}
	host_file_sync(host, f, order, 100);
	return 0;
}

static int do_allocate(struct host *host, struct host_file *f, struct file_request *req)
{
	if (host->full && !host_file_is_allocated(f, req->offset, req->length))
		return -ENOSPC;
	host_file_set_allocated(f, req->offset, req->offset + req->length, true);
	return 0;
}

static int do_status(struct host_file *f, struct file_request *req)
{
	req->extent_count = 0;
	for (uint64_t at = req->offset; at < req->offset + req->length;) {
		uint64_t length = min_u64(BLOCK - at % BLOCK, req->offset + req->length - at);
		bool mapped = host_file_is_allocated(f, at, 1) && at < f->size;
		struct disk_extent *last = req->extent_count ? &req->extents[req->extent_count - 1] : NULL;

		if (last && last->mapped == mapped) {
			last->length += length;
		} else {
			if (req->extent_count == req->extent_max)
				return 0;
			req->extents[req->extent_count++] = (struct disk_extent){ at, length, mapped };
		}
		at += length;
	}
	return 0;
}

static int do_request(struct handle *h, struct file_request *req, uint64_t order)
{
	struct host *host = h->host;
	struct host_file *f = h->inode;
	bool changes = req->op == FILE_WRITE || req->op == FILE_PUNCH || req->op == FILE_ALLOCATE;

	if (changes && h->read_only)
		return -EROFS;
	assert(req->op == FILE_SYNC || req->op == FILE_PUNCH ||
	       (req->length <= FILE_MAX_BYTES && req->offset <= FILE_MAX_BYTES - req->length));
	switch (req->op) {
	case FILE_READ:
		return do_read(host, f, req);
	case FILE_WRITE:
		return do_write(host, f, req);
	case FILE_SYNC:
		return h->no_sync || h->read_only ? 0 : do_sync(host, f, order);
	case FILE_PUNCH:
		host_file_punch(host, f, req->offset, req->length);
		return 0;
	case FILE_ALLOCATE:
		return do_allocate(host, f, req);
	case FILE_STATUS:
		return do_status(f, req);
	}
	return -EINVAL;
}

static void run_done(struct loop_msg *msg)
{
	struct file_request *req = container_of(msg, struct file_request, job.msg);

	req->done(req);
}

void host_file_finish(struct host *host, struct host_op *op)
{
	struct file_request *req = op->req;

	req->result = host_is_down(host) ? -EIO : do_request(handle_of(req->file), req, op->order);
	if (req->result && req->op == FILE_READ && host->crashed)
		req->error_offset = req->offset;
	req->job.msg.run = run_done;
	loop_post(req->file->loop, &req->job.msg);
}

void host_file_begin(struct host *host, struct host_op *op)
{
	struct file_request *req = op->req;
	struct handle *h = req ? handle_of(req->file) : NULL;
	uint64_t from, length;

	if (!h || h->read_only)
		return;
	if (req->op == FILE_PUNCH)
		host_file_punch(host, h->inode, req->offset, some_of(host, req->length));
	if (req->op != FILE_WRITE)
		return;
	/* What needs space, while there is none, happens in part only when it is done. */
	if (host->full && !host_file_is_allocated(h->inode, req->offset, req->length))
		return;
	/* One page of the page cache: the kernel looks for a deadly signal between pages, never within one. */
	if (req->length == BLOCK && req->offset % BLOCK == 0) {
		host_file_write(host, h->inode, req, 0, prng_percent(host->prng, 50) ? BLOCK : 0);
		return;
	}
	from = prng_percent(host->prng, 70) ? 0 : some_of(host, req->length);
	length = from < req->length ? some_of(host, req->length - from) : 0;
	host_file_write(host, h->inode, req, from, length);
}

/* ---- struct file_ops ---- */

static void fake_submit(struct file *file, struct file_request *req)
{
	struct handle *h = handle_of(file);

	req->file = file;
	host_add(h->host, (struct host_op){ .req = req, .order = h->host->next_order });
}

static bool fake_read_now(struct file *file, uint64_t offset, const struct iovec *iov, int iov_count, uint64_t length)
{
	struct handle *h = handle_of(file);
	struct file_request req = { .op = FILE_READ, .offset = offset, .length = length };

	if (!prng_percent(h->host->prng, h->host->inline_percent) || host_is_down(h->host))
		return false;
	req.iov = iov;
	req.iov_count = iov_count;
	return iov_gather(&req, h->inode->now + offset, length) == length;
}

static bool sync_in_flight(const struct handle *h)
{
	for (unsigned i = 0; i < h->host->op_count; i++) {
		const struct file_request *req = h->host->ops[i].req;

		if (req && req->file == &h->file && (req->op == FILE_SYNC || req->op == FILE_PUNCH))
			return true;
	}
	return false;
}

static bool fake_write_now(struct file *file, uint64_t offset, const struct iovec *iov, int iov_count, uint64_t length)
{
	struct handle *h = handle_of(file);
	struct file_request req = { .op = FILE_WRITE, .offset = offset, .length = length };

	if (h->read_only || offset % BLOCK || length % BLOCK || sync_in_flight(h))
		return false;
	if (!prng_percent(h->host->prng, h->host->inline_percent) || host_is_down(h->host))
		return false;
	req.iov = iov;
	req.iov_count = iov_count;
	return do_write(h->host, h->inode, &req) == 0;
}

static bool fake_is_hole(struct file *file, uint64_t offset, uint64_t length)
{
	struct handle *h = handle_of(file);

	if (!h->read_only || !prng_percent(h->host->prng, h->host->inline_percent))
		return false;
	for (uint64_t at = offset; at < offset + length; at = align_down(at, BLOCK) + BLOCK)
		if (host_file_is_allocated(h->inode, at, 1))
			return false;
	return true;
}

static uint64_t fake_allocated_bytes(const struct file *file)
{
	return host_file_allocated_bytes(handle_of(file)->inode);
}

static void fake_close(struct file *file)
{
	struct handle *h = handle_of(file);
	struct host_file *f = h->inode;

	for (unsigned i = 0; i < h->host->op_count; i++)
		assert(!h->host->ops[i].req || h->host->ops[i].req->file != file);
	h->host->open_files--;
	if (h->no_lock)
		f->unlocked--;
	else if (h->read_only)
		f->readers--;
	else
		f->writers--;
	if (f->removed && f->readers + f->writers + f->unlocked == 0)
		host_file_free(f);
	free(h);
}

static int fake_run(struct file *file, struct file_request *req)
{
	struct handle *h = handle_of(file);

	req->file = file;
	req->result = host_is_down(h->host) ? -EIO : do_request(h, req, h->host->next_order);
	return req->result;
}

static const struct file_ops fake_ops = {
	.submit = fake_submit,
	.read_now = fake_read_now,
	.write_now = fake_write_now,
	.overwrite_now = fake_write_now,
	.is_hole = fake_is_hole,
	.allocated_bytes = fake_allocated_bytes,
	.close = fake_close,
	.run = fake_run,
};

int host_file_open(struct host *host, struct host_file *inode, struct loop *loop, unsigned flags, struct file **file)
{
	bool read_only = flags & DISK_ENV_READ_ONLY, no_lock = flags & DISK_ENV_NO_LOCK;
	struct handle *h;

	if (!no_lock && (inode->writers || (!read_only && inode->readers)))
		return -EBUSY;
	h = calloc(1, sizeof(*h));
	assert(h);
	h->file = (struct file){ .ops = &fake_ops, .loop = loop, .size_bytes = inode->size };
	h->host = host;
	h->inode = inode;
	h->read_only = read_only;
	h->no_sync = flags & DISK_ENV_NO_SYNC;
	h->no_lock = no_lock;
	if (no_lock)
		inode->unlocked++;
	else if (read_only)
		inode->readers++;
	else
		inode->writers++;
	host->open_files++;
	*file = &h->file;
	return 0;
}
