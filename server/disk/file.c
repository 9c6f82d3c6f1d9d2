// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The real file: see file.h. It decides what is done inline on the loop and what goes to workers; file_io.c does it.
 *
 * Inline, because they cannot wait for a disk: reads that the page cache has (RWF_NOWAIT; not beside a punch, which
 * holds the lock that beginning to read takes, and a read begins with what the cache lacks) or that lie in a known
 * hole. A write may wait on any file system (for its journal, its quota, a block of the inode table, a thaw), so none is
 * done on the loop. The writes of one turn, and those that come while a worker writes, are one job for the next.
 *
 * What the file takes and what its file system has free is asked by the worker that changed it, so that the loop need
 * not ask: on some file systems that may wait, too.
 *
 * The kernel reports a failed writeback once per descriptor and forgets. So a failed sync sticks: every later one
 * fails too. Engines have one at a time under way (sync.h).
 *
 * All fields belong to the loop, but for the two atomic ones; a worker of a request writes that request only.
 */
#include "disk/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/util.h"
#include "disk/disk.h"
#include "disk/engine.h"
#include "disk/file_io.h"
#include "disk/golden_cache.h"
#include "disk/hole_map.h"

/* What is written by one job: requests in the order in which they came, by next. */
struct writes {
	struct file_request *first, **last;
};

struct real_file {
	struct file file;
	struct disk_env *env;
	int fd;
	bool read_only, no_sync;
	bool no_nowait;	   /* the file system has no RWF_NOWAIT */
	uint64_t end;	   /* the size, with what we wrote since */
	unsigned punching; /* at workers */
	bool syncing;
	int sync_error; /* sticks */
	struct writes queued, running;
	bool posted, writing; /* a turn's writes will go to a worker; some are there */
	struct loop_msg write_msg;
	struct pool_job write_job, close_job;
	atomic_ullong allocated_bytes, room_bytes;
	struct pool_lane lane;
};

static struct real_file *real_of(struct file *file)
{
	return container_of(file, struct real_file, file);
}

/* ---- completing ---- */

static void run_done(struct loop_msg *msg)
{
	struct file_request *req = container_of(msg, struct file_request, job.msg);

	req->done(req);
}

/* Completes req without work, in a later turn. */
static void complete_soon(struct real_file *f, struct file_request *req, int result)
{
	req->result = result;
	req->job.msg.run = run_done;
	loop_post(f->file.loop, &req->job.msg);
}

static void hand_to_worker(struct real_file *f, enum pool_class class, struct pool_job *job, struct pool_job what)
{
	*job = what;
	job->loop = f->file.loop;
	job->lane = &f->lane;
	disk_env_submit(f->env, class, job);
}

static bool real_is_hole(struct file *file, uint64_t offset, uint64_t length)
{
	return hole_map_covers(file->holes, offset, length);
}

/* ---- inline ---- */

static bool real_read_now(struct file *file, uint64_t offset, const struct iovec *iov, int iov_count, uint64_t length)
{
	struct real_file *f = real_of(file);
	uint64_t moved;
	int err;

	if (f->no_nowait || f->punching)
		return false;
	err = file_io_move(f->fd, FILE_IO_READ, offset, iov, iov_count, length, RWF_NOWAIT, &moved);
	if (err == -EOPNOTSUPP)
		f->no_nowait = true;
	if (err)
		return false;
	if (moved < length && offset + moved < f->end)
		return false;
	file_io_zero_rest(iov, iov_count, moved);
	return true;
}

/* ---- the rest ---- */

/* On a worker, after it has changed the file. */
static void look_at_space(struct real_file *f)
{
	struct statvfs fs;
	struct stat st;

	if (!fstat(f->fd, &st))
		atomic_store_explicit(&f->allocated_bytes, (uint64_t)st.st_blocks * 512, memory_order_relaxed);
	if (!fstatvfs(f->fd, &fs))
		atomic_store_explicit(&f->room_bytes, (uint64_t)fs.f_bavail * fs.f_frsize, memory_order_relaxed);
}

/* On a worker. */
static void request_do(struct real_file *f, struct file_request *req)
{
	switch (req->op) {
	case FILE_READ:
		file_io_read(f->fd, req, f->file.size_bytes);
		break;
	case FILE_WRITE:
		file_io_write(f->fd, req);
		break;
	case FILE_SYNC:
		req->result = f->no_sync || f->read_only ? 0 : file_io_sync(f->fd);
		break;
	case FILE_PUNCH:
		file_io_punch(f->fd, req);
		break;
	case FILE_ALLOCATE:
		file_io_allocate(f->fd, req);
		break;
	case FILE_STATUS:
		file_io_status(f->fd, req);
		break;
	}
}

/* On the loop, or before it has the file: what the file learns from a request. */
static void request_note(struct real_file *f, const struct file_request *req)
{
	if (req->op == FILE_SYNC && req->result && !f->sync_error)
		f->sync_error = req->result;
	if (req->op == FILE_WRITE && !req->result)
		f->end = max_u64(f->end, req->offset + req->length);
}

static bool request_changes(const struct file_request *req)
{
	return req->op == FILE_WRITE || req->op == FILE_PUNCH || req->op == FILE_ALLOCATE;
}

static void request_work(struct pool_job *job)
{
	struct file_request *req = container_of(job, struct file_request, job);

	request_do(real_of(req->file), req);
	if (request_changes(req))
		look_at_space(real_of(req->file));
}

/* On a worker with more files to sync: the disk gets the writes of all of them at once, so each sync waits for less. */
static void sync_ahead(struct pool_job *job)
{
	struct file_request *req = container_of(job, struct file_request, job);

	/* Waits for nothing, and leaves errors to be told by the fdatasync. */
	sync_file_range(real_of(req->file)->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static void request_done(struct pool_job *job)
{
	struct file_request *req = container_of(job, struct file_request, job);
	struct real_file *f = real_of(req->file);

	if (req->op == FILE_PUNCH)
		f->punching--;
	if (req->counted)
		disk_env_note_read(f->env, -1);
	request_note(f, req);
	if (req->op == FILE_SYNC)
		f->syncing = false;
	req->done(req);
}

static void sync_submit(struct real_file *f, struct file_request *req)
{
	if (f->no_sync || f->read_only || f->sync_error) {
		complete_soon(f, req, f->sync_error);
		return;
	}
	assert(!f->syncing);
	f->syncing = true;
	hand_to_worker(f, POOL_SYNC, &req->job,
		       (struct pool_job){ .work = request_work, .ahead = sync_ahead, .done = request_done });
}

/* ---- writes ---- */

static void writes_clear(struct writes *writes)
{
	writes->first = NULL;
	writes->last = &writes->first;
}

static void write_work(struct pool_job *job)
{
	struct real_file *f = container_of(job, struct real_file, write_job);

	for (struct file_request *req = f->running.first; req; req = req->next)
		file_io_write(f->fd, req);
	look_at_space(f);
}

static void write_soon(struct real_file *f);

static void write_done(struct pool_job *job)
{
	struct real_file *f = container_of(job, struct real_file, write_job);
	struct file_request *req = f->running.first, *next;

	f->writing = false;
	if (f->queued.first)
		write_soon(f);
	for (; req; req = next) {
		next = req->next;
		request_note(f, req);
		/* The last one may close the file. */
		req->done(req);
	}
}

static void write_run(struct loop_msg *msg)
{
	struct real_file *f = container_of(msg, struct real_file, write_msg);

	f->posted = false;
	f->writing = true;
	f->running = f->queued;
	writes_clear(&f->queued);
	hand_to_worker(f, POOL_WRITE, &f->write_job, (struct pool_job){ .work = write_work, .done = write_done });
}

static void write_soon(struct real_file *f)
{
	if (f->posted || f->writing)
		return;
	f->posted = true;
	f->write_msg.run = write_run;
	loop_post(f->file.loop, &f->write_msg);
}

static void write_submit(struct real_file *f, struct file_request *req)
{
	req->next = NULL;
	*f->queued.last = req;
	f->queued.last = &req->next;
	write_soon(f);
}

static void real_submit(struct file *file, struct file_request *req)
{
	struct real_file *f = real_of(file);

	req->file = file;
	if (req->op == FILE_SYNC) {
		sync_submit(f, req);
		return;
	}
	if (request_changes(req)) {
		if (f->read_only) {
			complete_soon(f, req, -EROFS);
			return;
		}
		f->punching += req->op == FILE_PUNCH;
		if (req->op == FILE_WRITE) {
			write_submit(f, req);
			return;
		}
	}
	req->counted = req->op == FILE_READ && (!file->inode || file->inode != disk_env_read_ahead(f->env));
	if (req->counted)
		disk_env_note_read(f->env, 1);
	hand_to_worker(f, request_changes(req) ? POOL_WRITE : POOL_READ, &req->job,
		       (struct pool_job){ .work = request_work, .done = request_done });
}

static int real_run(struct file *file, struct file_request *req)
{
	struct real_file *f = real_of(file);

	req->file = file;
	if (request_changes(req) && f->read_only) {
		req->result = -EROFS;
		return req->result;
	}
	request_do(f, req);
	request_note(f, req);
	if (request_changes(req))
		look_at_space(f);
	return req->result;
}

static uint64_t real_allocated_bytes(const struct file *file)
{
	const struct real_file *f = (const struct real_file *)(const void *)file;

	return atomic_load_explicit(&f->allocated_bytes, memory_order_relaxed);
}

static uint64_t real_room_bytes(const struct file *file)
{
	const struct real_file *f = (const struct real_file *)(const void *)file;

	return atomic_load_explicit(&f->room_bytes, memory_order_relaxed);
}

static void close_work(struct pool_job *job)
{
	struct real_file *f = container_of(job, struct real_file, close_job);

	close(f->fd);
}

static void close_done(struct pool_job *job)
{
	free(container_of(job, struct real_file, close_job));
}

static void close_submit(struct real_file *f)
{
	f->close_job = (struct pool_job){ .work = close_work, .done = close_done };
	disk_env_submit(f->env, POOL_SLOW, &f->close_job);
}

/* Closed by a worker: the last close of a deleted file frees its blocks, which takes as long as it takes. */
static void real_close(struct file *file)
{
	struct real_file *f = real_of(file);

	file_unlock(f->fd);
	if (file->golden)
		golden_image_put(file->golden);
	hole_map_put(file->holes);
	close_submit(f);
}

static const struct file_ops real_ops = {
	.submit = real_submit,
	.read_now = real_read_now,
	.is_hole = real_is_hole,
	.allocated_bytes = real_allocated_bytes,
	.room_bytes = real_room_bytes,
	.close = real_close,
	.run = real_run,
};

struct file *file_new(struct disk_env *env, struct loop *loop, int fd, uint64_t size_bytes, bool read_only,
		      bool no_sync)
{
	struct real_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->file = (struct file){ .ops = &real_ops, .loop = loop, .size_bytes = size_bytes };
	f->env = env;
	f->fd = fd;
	f->read_only = read_only;
	f->no_sync = no_sync;
	f->end = size_bytes;
	writes_clear(&f->queued);
	look_at_space(f);
	return &f->file;
}
