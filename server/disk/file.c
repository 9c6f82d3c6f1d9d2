// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The real file: see file.h. It decides what is done inline on the loop and what goes to workers; file_io.c does it.
 *
 * Inline, because they cannot wait for a disk: reads that the page cache has (RWF_NOWAIT; not beside a punch, which
 * holds the lock that beginning to read takes, and a read begins with what the cache lacks) or that lie in a known
 * hole, and writes of whole pages (no read-modify-write) while the file has no punch, allocation or worker's write
 * under way and no worker syncs it or writes it back (each holds the inode's lock or pins its pages), has been written
 * to a moment ago (a write sets the file's time, so ext4 needs the block of the inode table, which it may have to read
 * again after a while), while the file has less than FILE_DIRTY_MAX unsynced and all files of the loop together less
 * than dirty.h grants. What goes beyond makes a worker start writing back: this file, or the one that has been dirty for
 * longest.
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
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "disk/dirty.h"
#include "disk/disk.h"
#include "disk/engine.h"
#include "disk/file_io.h"
#include "disk/golden_cache.h"
#include "disk/hole_map.h"

enum {
	FILE_DIRTY_MAX = 256 << 20, /* unsynced bytes beyond which writes go to workers */
	FILE_WARM_MS = 5000,	    /* after a write, the file system still has in memory what a write needs */
};

struct real_file {
	struct file file;
	struct disk_env *env;
	int fd;
	bool read_only, no_sync;
	bool no_nowait;	     /* the file system has no RWF_NOWAIT */
	uint64_t end;	     /* the size, with what we wrote since */
	uint64_t written_ms; /* when the last write ended */
	unsigned changing;   /* writes, punches, allocations at workers */
	unsigned punching;   /* of them punches */
	struct dirty dirty;  /* written, and neither synced nor written back */
	uint64_t sync_bytes; /* dirty.bytes when the running sync or writeback began */
	uint64_t writeback_bytes;
	bool syncing, writing_back; /* at a worker, or on the way there or back */
	atomic_bool at_pages;	    /* a worker's sync or writeback is in the kernel */
	atomic_bool writing_now;    /* the loop's write is */
	bool closed;		    /* and only the running writeback keeps it */
	int sync_error;		    /* sticks */
	struct pool_lane lane;
	struct pool_job writeback_job, close_job;
};

static struct dirty_budget *budget_of(const struct real_file *f)
{
	return disk_env_dirty(f->env, f->file.loop);
}

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

/*
 * The loop's writes and a worker's sync keep out of each other's way: the loop does not wait, the worker does, for the length of one
 * write into memory. Each says what it is about to do before it looks at what the other does, so not both go on.
 */
static bool write_may_begin(struct real_file *f)
{
	atomic_store(&f->writing_now, true);
	if (!atomic_load(&f->at_pages))
		return true;
	atomic_store(&f->writing_now, false);
	return false;
}

static void write_ends(struct real_file *f)
{
	atomic_store_explicit(&f->writing_now, false, memory_order_release);
}

/* On a worker. */
static void pages_begin(struct real_file *f)
{
	atomic_store(&f->at_pages, true);
	while (atomic_load(&f->writing_now))
		sched_yield();
}

static void pages_end(struct real_file *f)
{
	atomic_store(&f->at_pages, false);
}

static void close_submit(struct real_file *f);

/* On a worker. Waits for nothing, and leaves errors to be told by the next fdatasync. */
static void start_writing_back(struct real_file *f)
{
	pages_begin(f);
	sync_file_range(f->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	pages_end(f);
}

static void writeback_work(struct pool_job *job)
{
	start_writing_back(container_of(job, struct real_file, writeback_job));
}

static void writeback_done(struct pool_job *job)
{
	struct real_file *f = container_of(job, struct real_file, writeback_job);

	f->writing_back = false;
	dirty_settle(budget_of(f), &f->dirty, f->writeback_bytes);
	if (f->closed)
		close_submit(f);
}

static void writeback_start(struct real_file *f)
{
	f->writing_back = true;
	f->writeback_bytes = f->dirty.bytes;
	hand_to_worker(f, POOL_SYNC, &f->writeback_job,
		       (struct pool_job){ .work = writeback_work, .done = writeback_done });
}

/* The loop's files have more dirty bytes than they should: the one that has been dirty for longest is written back. */
static void writeback_oldest(const struct dirty_budget *budget)
{
	for (struct dirty *d = budget->oldest; d; d = d->newer) {
		struct real_file *f = container_of(d, struct real_file, dirty);

		if (!f->writing_back && !f->syncing) {
			writeback_start(f);
			return;
		}
	}
}

/*
 * What can be counted as dirty when the file reaches to end: all that it has, and, while a sync or writeback goes on,
 * which will take its part away, that much once more.
 */
static uint64_t most_dirty(const struct real_file *f, uint64_t end)
{
	return max_u64(f->end, end) + (f->syncing ? f->sync_bytes : 0) + (f->writing_back ? f->writeback_bytes : 0);
}

static void count_dirty(struct real_file *f, uint64_t offset, uint64_t length)
{
	dirty_add(budget_of(f), &f->dirty, length, most_dirty(f, offset + length));
}

/* Whether that range may become dirty as well. Where not, something is written back, to make room. */
static bool has_budget(struct real_file *f, uint64_t offset, uint64_t length)
{
	struct dirty_budget *budget = budget_of(f);

	if (min_u64(f->dirty.bytes + length, most_dirty(f, offset + length)) > FILE_DIRTY_MAX) {
		if (!f->writing_back && !f->syncing)
			writeback_start(f);
		return false;
	}
	switch (dirty_grants(budget, length)) {
	case DIRTY_GRANTED:
		return true;
	case DIRTY_FULL:
		writeback_oldest(budget);
		break;
	case DIRTY_UNKNOWN:
		break;
	}
	/* While another file is written back, or the kernel is asked, a little more is allowed. */
	return !f->writing_back && budget->bytes + length <= budget->limit + budget->floor / 4;
}

static void note_written(struct real_file *f, uint64_t offset, uint64_t length)
{
	f->end = max_u64(f->end, offset + length);
	f->written_ms = time_monotonic_ms();
}

static bool write_inline(struct file *file, enum file_io_kind kind, uint64_t offset, const struct iovec *iov,
			 int iov_count, uint64_t length)
{
	struct real_file *f = real_of(file);
	uint64_t moved;
	int err;

	if (f->read_only || f->changing)
		return false;
	if (offset % DISK_PHYSICAL_BYTES || length % DISK_PHYSICAL_BYTES || !has_budget(f, offset, length))
		return false;
	if (time_monotonic_ms() - f->written_ms > FILE_WARM_MS || !write_may_begin(f))
		return false;
	/* What was written before an error is dirty, too; the caller submits the whole, and a worker tells the error. */
	count_dirty(f, offset, length);
	err = file_io_move(f->fd, kind, offset, iov, iov_count, length, 0, &moved);
	write_ends(f);
	if (err)
		return false;
	note_written(f, offset, length);
	return true;
}

static bool real_write_now(struct file *file, uint64_t offset, const struct iovec *iov, int iov_count, uint64_t length)
{
	return write_inline(file, FILE_IO_WRITE, offset, iov, iov_count, length);
}

static bool real_overwrite_now(struct file *file, uint64_t offset, const struct iovec *iov, int iov_count,
			       uint64_t length)
{
	return write_inline(file, FILE_IO_OVERWRITE, offset, iov, iov_count, length);
}

/* ---- the rest ---- */

static int sync_now(struct real_file *f)
{
	int err;

	pages_begin(f);
	err = file_io_sync(f->fd);
	pages_end(f);
	return err;
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
		req->result = f->no_sync || f->read_only ? 0 : sync_now(f);
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
		note_written(f, req->offset, req->length);
}

static bool request_changes(const struct file_request *req)
{
	return req->op == FILE_WRITE || req->op == FILE_PUNCH || req->op == FILE_ALLOCATE;
}

static void request_work(struct pool_job *job)
{
	struct file_request *req = container_of(job, struct file_request, job);

	request_do(real_of(req->file), req);
}

/* On a worker with more files to sync: the disk gets the writes of all of them at once, so each sync waits for less. */
static void sync_ahead(struct pool_job *job)
{
	struct file_request *req = container_of(job, struct file_request, job);

	start_writing_back(real_of(req->file));
}

static void request_done(struct pool_job *job)
{
	struct file_request *req = container_of(job, struct file_request, job);
	struct real_file *f = real_of(req->file);

	if (request_changes(req))
		f->changing--;
	if (req->op == FILE_PUNCH)
		f->punching--;
	if (req->counted)
		disk_env_note_read(f->env, -1);
	if (req->op == FILE_WRITE)
		count_dirty(f, req->offset, req->length);
	request_note(f, req);
	if (req->op == FILE_SYNC) {
		f->syncing = false;
		dirty_settle(budget_of(f), &f->dirty, f->sync_bytes);
	}
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
	f->sync_bytes = f->dirty.bytes;
	hand_to_worker(f, POOL_SYNC, &req->job,
		       (struct pool_job){ .work = request_work, .ahead = sync_ahead, .done = request_done });
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
		f->changing++;
		f->punching += req->op == FILE_PUNCH;
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
	return req->result;
}

static uint64_t real_allocated_bytes(const struct file *file)
{
	const struct real_file *f = (const struct real_file *)(const void *)file;
	struct stat st;

	return fstat(f->fd, &st) ? 0 : (uint64_t)st.st_blocks * 512;
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
	/* Not on the worker that opened it: there nothing is dirty yet. */
	if (f->dirty.bytes)
		dirty_settle(budget_of(f), &f->dirty, f->dirty.bytes);
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
	f->closed = true;
	if (!f->writing_back)
		close_submit(f);
}

static const struct file_ops real_ops = {
	.submit = real_submit,
	.read_now = real_read_now,
	.write_now = real_write_now,
	.overwrite_now = real_overwrite_now,
	.is_hole = real_is_hole,
	.allocated_bytes = real_allocated_bytes,
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
	return &f->file;
}
