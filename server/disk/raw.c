// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A raw file as a disk: golden images, read-only; writable where a test or a tool wants it so.
 *
 * Bytes lie where they are in the file; what is beyond its end up to the next 512 bytes reads as zeroes. Order is
 * kept by disk.c. Once a sync has failed, writes and flushes fail (design.md, invariant 5), also those that came while
 * it ran (sync.h). All on the disk's loop but opening_work.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "disk/engine.h"
#include "disk/sync.h"

struct raw_disk {
	struct disk disk;
	struct file *file;
	struct syncs syncs;
	int failed;    /* -errno of the sync that failed */
	bool no_space; /* told so, and no write has worked since */
	struct file_request close_sync;
	void (*closed)(void *arg, int err);
	void *closed_arg;
	char path[];
};

/* One request on its way: req->private. */
struct raw_request {
	struct file_request file;
	struct disk_request *req;
	struct iovec iov; /* READ: what is lent */
	bool buffer;	  /* iov is a buffer of the loop, not zeroes */
};

static struct raw_disk *raw_of(const struct disk *disk)
{
	return container_of(disk, struct raw_disk, disk);
}

static void request_finish(struct raw_request *r, int result)
{
	struct disk_request *req = r->req;

	req->private = NULL;
	free(r);
	disk_complete(req, result);
}

static void drop_buffer(struct raw_disk *raw, struct raw_request *r)
{
	if (r->buffer)
		disk_buffers_put(raw->disk.env, raw->disk.loop, r->iov.iov_base, r->iov.iov_len);
}

/* ---- read ---- */

static void lend(struct raw_request *r)
{
	r->req->iov = &r->iov;
	r->req->iov_count = 1;
}

static void read_done(struct file_request *file)
{
	struct raw_request *r = file->user;

	if (!file->result) {
		lend(r);
		disk_complete(r->req, 0);
		return;
	}
	r->req->error_offset = file->error_offset;
	drop_buffer(raw_of(r->req->disk), r);
	request_finish(r, file->result);
}

static void submit_read(struct raw_disk *raw, struct raw_request *r)
{
	struct disk_request *req = r->req;
	const struct file_ops *ops = raw->file->ops;

	if (raw->disk.read_only && ops->is_hole(raw->file, req->offset, req->length)) {
		r->iov = (struct iovec){ disk_env_zeroes(raw->disk.env), req->length };
		lend(r);
		disk_complete_soon(req, 0);
		return;
	}
	r->iov = (struct iovec){ disk_buffers_get(raw->disk.env, raw->disk.loop, req->length), req->length };
	if (!r->iov.iov_base) {
		req->private = NULL;
		free(r);
		disk_complete_soon(req, -ENOMEM);
		return;
	}
	r->buffer = true;
	if (ops->read_now(raw->file, req->offset, &r->iov, 1, req->length)) {
		lend(r);
		disk_complete_soon(req, 0);
		return;
	}
	r->file.op = FILE_READ;
	r->file.iov = &r->iov;
	r->file.iov_count = 1;
	r->file.done = read_done;
	ops->submit(raw->file, &r->file);
}

/* ---- what changes ---- */

static void note_failure(struct raw_disk *raw, int err)
{
	if (!raw->failed)
		disk_report(&raw->disk, DISK_FAILED, "%s: cannot be synced: %s; writes fail from now on", raw->path,
			    strerror(-err));
	raw->failed = err;
}

static void sync_done(struct file_request *file)
{
	struct raw_request *r = file->user;

	if (file->result)
		note_failure(raw_of(r->req->disk), file->result);
	request_finish(r, file->result ? -EIO : 0);
}

static void submit_sync(struct raw_disk *raw, struct raw_request *r)
{
	r->file.done = sync_done;
	syncs_submit(&raw->syncs, &r->file);
}

static void change_done(struct file_request *file)
{
	struct raw_request *r = file->user;
	struct raw_disk *raw = raw_of(r->req->disk);
	int err = file->result == -EDQUOT ? -ENOSPC : file->result;

	if (err == -ENOSPC && !raw->no_space)
		disk_report(&raw->disk, DISK_NO_SPACE, "%s: the file system is full", raw->path);
	raw->no_space = err == -ENOSPC;
	if (!err && raw->failed)
		err = -EIO;
	if (!err && r->req->fua)
		submit_sync(raw, r);
	else
		request_finish(r, err);
}

static void submit_change(struct raw_disk *raw, struct raw_request *r)
{
	struct disk_request *req = r->req;
	const struct file_ops *ops = raw->file->ops;

	if (req->op == DISK_WRITE && ops->write_now(raw->file, req->offset, req->iov, req->iov_count, req->length)) {
		raw->no_space = false;
		if (req->fua) {
			submit_sync(raw, r);
			return;
		}
		req->private = NULL;
		free(r);
		disk_complete_soon(req, 0);
		return;
	}
	/* A hole is how a raw file says zeroes, whether they should stay allocated or not. */
	r->file.op = req->op == DISK_WRITE ? FILE_WRITE : FILE_PUNCH;
	r->file.iov = req->iov;
	r->file.iov_count = req->op == DISK_WRITE ? req->iov_count : 0;
	r->file.done = change_done;
	ops->submit(raw->file, &r->file);
}

/* ---- status ---- */

/* A file may end within a block; the block counts as mapped then. */
static void status_done(struct file_request *file)
{
	struct raw_request *r = file->user;
	struct disk_extent *e = file->extents;
	unsigned count = 0;

	for (unsigned i = 0; i < file->extent_count; i++) {
		uint64_t excess = e[i].offset % DISK_BLOCK_BYTES;
		uint64_t missing = excess ? min_u64(DISK_BLOCK_BYTES - excess, e[i].length) : 0;

		if (count > 0 && missing)
			e[count - 1].length += missing;
		if (e[i].length > missing)
			e[count++] = (struct disk_extent){ e[i].offset + missing, e[i].length - missing, e[i].mapped };
	}
	r->req->extent_count = count;
	request_finish(r, file->result);
}

static void submit_status(struct raw_disk *raw, struct raw_request *r)
{
	r->file.op = FILE_STATUS;
	r->file.extents = r->req->extents;
	r->file.extent_max = r->req->extent_max;
	r->file.done = status_done;
	raw->file->ops->submit(raw->file, &r->file);
}

/* ---- the operations ---- */

static void raw_submit(struct disk *disk, struct disk_request *req)
{
	struct raw_disk *raw = raw_of(disk);
	struct raw_request *r;

	if (raw->failed && req->op != DISK_READ && req->op != DISK_STATUS) {
		disk_complete_soon(req, -EIO);
		return;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		disk_complete_soon(req, -ENOMEM);
		return;
	}
	req->private = r;
	r->req = req;
	r->file.offset = req->offset;
	r->file.length = req->length;
	r->file.user = r;
	switch (req->op) {
	case DISK_READ:
		submit_read(raw, r);
		break;
	case DISK_WRITE:
	case DISK_WRITE_ZEROES:
	case DISK_DISCARD:
		submit_change(raw, r);
		break;
	case DISK_FLUSH:
		submit_sync(raw, r);
		break;
	case DISK_STATUS:
		submit_status(raw, r);
		break;
	}
}

static void raw_release(struct disk *disk, struct disk_request *req)
{
	struct raw_request *r = req->private;

	drop_buffer(raw_of(disk), r);
	req->private = NULL;
	free(r);
}

static void raw_info(const struct disk *disk, struct disk_info *info)
{
	const struct raw_disk *raw = raw_of(disk);

	info->allocated_bytes = raw->file->ops->allocated_bytes(raw->file);
	info->failed = raw->failed != 0;
}

static void close_synced(struct file_request *file)
{
	struct raw_disk *raw = file->user;
	int err = raw->failed ? -EIO : file->result;
	void (*closed)(void *arg, int err) = raw->closed;
	void *arg = raw->closed_arg;

	raw->file->ops->close(raw->file);
	free(raw);
	closed(arg, err);
}

static void raw_close(struct disk *disk, void (*closed)(void *arg, int err), void *arg)
{
	struct raw_disk *raw = raw_of(disk);

	raw->closed = closed;
	raw->closed_arg = arg;
	raw->close_sync = (struct file_request){ .done = close_synced, .user = raw };
	syncs_submit(&raw->syncs, &raw->close_sync);
}

static const struct disk_ops raw_ops = {
	.name = "raw",
	.submit = raw_submit,
	.release = raw_release,
	.info = raw_info,
	.close = raw_close,
};

/* ---- opening ---- */

struct opening {
	struct pool_job job;
	struct disk_env *env;
	struct loop *loop;
	struct disk_open how; /* path: raw->path */
	struct raw_disk *raw;
	void (*opened)(void *arg, const struct disk_opened *result);
	void *arg;
	struct disk_opened result;
};

static void opening_work(struct pool_job *job)
{
	struct opening *o = container_of(job, struct opening, job);
	struct disk_opened *result = &o->result;
	const char *path = o->raw->path;
	unsigned flags = (o->how.read_only ? DISK_ENV_READ_ONLY : 0) | (o->how.ephemeral ? DISK_ENV_NO_SYNC : 0);

	result->err = disk_env_open_file(o->env, o->loop, path, flags, &o->raw->file);
	if (result->err) {
		disk_env_explain(result->err, path, &result->reason);
		return;
	}
	if (o->raw->file->size_bytes == 0) {
		o->raw->file->ops->close(o->raw->file);
		result->err = -EINVAL;
		reason_set(&result->reason, "%s is empty: no disk to serve", path);
	}
}

static void opening_done(struct pool_job *job)
{
	struct opening *o = container_of(job, struct opening, job);

	if (o->result.err) {
		free(o->raw);
	} else {
		syncs_init(&o->raw->syncs, o->raw->file);
		disk_init(&o->raw->disk, o->env, o->loop, &raw_ops, &o->how,
			  align_up(o->raw->file->size_bytes, DISK_BLOCK_BYTES));
		o->result.disk = &o->raw->disk;
	}
	o->opened(o->arg, &o->result);
	free(o);
}

void raw_disk_open(struct disk_env *env, struct loop *loop, const struct disk_open *how,
		   void (*opened)(void *arg, const struct disk_opened *result), void *arg)
{
	size_t path_size = strlen(how->path) + 1;
	struct opening *o = calloc(1, sizeof(*o));
	struct raw_disk *raw = calloc(1, sizeof(*raw) + path_size);

	if (!o || !raw) {
		free(o);
		free(raw);
		disk_opened_without_memory(opened, arg);
		return;
	}
	memcpy(raw->path, how->path, path_size);
	*o = (struct opening){
		.job = { .work = opening_work, .done = opening_done, .loop = loop },
		.env = env,
		.loop = loop,
		.how = *how,
		.raw = raw,
		.opened = opened,
		.arg = arg,
	};
	o->how.path = raw->path;
	disk_env_submit(env, POOL_SLOW, &o->job);
}
