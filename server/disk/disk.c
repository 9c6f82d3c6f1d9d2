// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The wrapper around every kind of disk: see disk.h. It checks range, alignment and state once, so that engines stay
 * naked, keeps order, bounds the memory that reads hold, and knows when a disk that closes is quiet.
 *
 * A request. Each of these may be skipped, none is entered twice:
 *
 *	NEW -----> HELD_BY_ORDER -----> HELD_BY_BUFFERS -----> ENGINE -----> SOON -----> LENT -----> OVER
 *
 *	NEW             -> HELD_BY_ORDER    hold from disk_submit: it conflicts with an earlier one
 *	NEW             -> HELD_BY_BUFFERS  hold from start_or_wait: a read, while the loop's buffers are full or others wait
 *	HELD_BY_ORDER   -> HELD_BY_BUFFERS  the same, called by start_held: the last conflict is over
 *	NEW             -> ENGINE           start from start_or_wait, called by disk_submit
 *	HELD_BY_ORDER   -> ENGINE           start from start_or_wait, called by start_held
 *	HELD_BY_BUFFERS -> ENGINE           start from wake_run: there is room
 *	NEW             -> SOON             soon_add from disk_submit: refused, nothing to do, or the disk closes
 *	ENGINE          -> SOON             soon_add from disk_complete_soon
 *	ENGINE          -> LENT, OVER       disk_complete, called by the engine; LENT: a read that succeeded
 *	SOON            -> LENT, OVER       disk_complete, called by soon_run
 *	LENT            -> OVER             disk_release
 *
 * A disk:
 *
 *	OPEN    -> CLOSING  disk_close: whatever is submitted from now on gets -ECANCELED
 *	CLOSING -> QUIET    close_if_quiet from disk_close, disk_complete or disk_release: in_flight is 0
 *	QUIET   -> (gone)   close_run, in a later turn: the engine's close
 *
 * Invariants, on the disk's loop:
 * 1. order_first..order_last are all requests that are not done, as submitted. One is handed to the engine only when it
 *    conflicts with no earlier one that is held, and, where the engine does not order, with no earlier one at all.
 * 2. in_flight is their number, plus the reads that are lent. A closing disk goes to the engine's close when it is 0.
 * 3. A read has its length reserved in the loop's buffers from before the engine sees it until it failed or was
 *    released. A disk is in the loop's waiting list exactly when held_by_buffers > 0; while that list is not empty,
 *    every read goes behind it.
 */
#include "disk/disk.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "base/util.h"
#include "disk/env.h"

/* ---- what fits ---- */

static bool op_changes(enum disk_op op)
{
	return op == DISK_WRITE || op == DISK_WRITE_ZEROES || op == DISK_DISCARD;
}

static uint64_t iov_bytes(const struct iovec *iov, int iov_count)
{
	uint64_t bytes = 0;

	for (int i = 0; i < iov_count; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

static int check(const struct disk *disk, const struct disk_request *req)
{
	if (op_changes(req->op) && disk->read_only)
		return -EROFS;
	if (req->op == DISK_FLUSH)
		return 0;
	if (req->offset % DISK_BLOCK_BYTES || req->length % DISK_BLOCK_BYTES)
		return -EINVAL;
	if (req->length > disk->size_bytes || req->offset > disk->size_bytes - req->length)
		return -EINVAL;
	if ((req->op == DISK_READ || req->op == DISK_WRITE) && req->length > DISK_REQUEST_MAX)
		return -EINVAL;
	if (req->op == DISK_WRITE && iov_bytes(req->iov, req->iov_count) != req->length)
		return -EINVAL;
	if (req->op == DISK_STATUS && req->extent_max == 0)
		return -EINVAL;
	return 0;
}

/* ---- completing ---- */

static void soon_run(struct loop_msg *msg)
{
	struct env_loop *el = container_of(msg, struct env_loop, soon_msg);
	struct disk_request *req = el->soon_first, *next;

	el->soon_first = NULL;
	el->soon_last = &el->soon_first;
	for (; req; req = next) {
		next = req->soon_next;
		disk_complete(req, req->result);
	}
}

static void soon_add(struct env_loop *el, struct disk_request *req, int result)
{
	bool first = !el->soon_first;

	req->result = result;
	req->soon_next = NULL;
	*el->soon_last = req;
	el->soon_last = &req->soon_next;
	if (first) {
		el->soon_msg.run = soon_run;
		loop_post(el->loop, &el->soon_msg);
	}
}

void disk_complete_soon(struct disk_request *req, int result)
{
	soon_add(env_loop_of(req->disk->env, req->disk->loop), req, result);
}

static void close_run(struct loop_msg *msg)
{
	struct disk *disk = container_of(msg, struct disk, close_msg);

	disk->ops->close(disk, disk->closed, disk->closed_arg);
}

/* Posted: whoever made it quiet is still inside the engine. */
static void close_if_quiet(struct disk *disk)
{
	if (!disk->closing || disk->in_flight > 0)
		return;
	disk->close_msg.run = close_run;
	loop_post(disk->loop, &disk->close_msg);
}

/* ---- room for reads ---- */

static bool has_room(const struct env_loop *el, const struct disk_request *req)
{
	return el->reserved_bytes + req->length <= DISK_BUFFERS_LIMIT;
}

static void wait_append(struct env_loop *el, struct disk *disk)
{
	disk->wait_next = NULL;
	*el->wait_last = disk;
	el->wait_last = &disk->wait_next;
}

static struct disk *wait_pop(struct env_loop *el)
{
	struct disk *disk = el->wait_first;

	el->wait_first = disk->wait_next;
	if (!el->wait_first)
		el->wait_last = &el->wait_first;
	return disk;
}

static struct disk_request *first_without_buffers(const struct disk *disk)
{
	struct disk_request *req = disk->order_first;

	while (req->held != DISK_HELD_BY_BUFFERS)
		req = req->order_next;
	return req;
}

/* The engine has it now. */
static void start(struct disk *disk, struct disk_request *req)
{
	if (req->held != DISK_HELD_NOT)
		disk->held--;
	if (req->held == DISK_HELD_BY_BUFFERS)
		disk->held_by_buffers--;
	req->held = DISK_HELD_NOT;
	if (req->op == DISK_READ) {
		env_loop_of(disk->env, disk->loop)->reserved_bytes += req->length;
		req->reserved = true;
	}
	disk->ops->submit(disk, req);
}

/* One read of each disk that waits, in turn, as long as there is room. */
static void wake_run(struct loop_msg *msg)
{
	struct env_loop *el = container_of(msg, struct env_loop, wake_msg);

	el->wake_posted = false;
	while (el->wait_first) {
		struct disk_request *req = first_without_buffers(el->wait_first);
		struct disk *disk;

		if (!has_room(el, req))
			return;
		disk = wait_pop(el);
		if (disk->held_by_buffers > 1)
			wait_append(el, disk);
		start(disk, req);
	}
}

static void unreserve(struct disk *disk, struct disk_request *req)
{
	struct env_loop *el = env_loop_of(disk->env, disk->loop);

	if (!req->reserved)
		return;
	req->reserved = false;
	el->reserved_bytes -= req->length;
	if (el->wait_first && !el->wake_posted) {
		el->wake_posted = true;
		el->wake_msg.run = wake_run;
		loop_post(el->loop, &el->wake_msg);
	}
}

/* ---- order ---- */

static bool conflict(const struct disk_request *a, const struct disk_request *b)
{
	if (a->op == DISK_FLUSH || b->op == DISK_FLUSH)
		return false;
	if (!op_changes(a->op) && !op_changes(b->op))
		return false;
	return a->offset < b->offset + b->length && b->offset < a->offset + a->length;
}

/* Invariant 1. */
static bool must_wait(const struct disk *disk, const struct disk_request *req)
{
	if (disk->ops->orders && disk->held == 0)
		return false;
	for (const struct disk_request *e = req->order_prev; e; e = e->order_prev)
		if ((e->held != DISK_HELD_NOT || !disk->ops->orders) && conflict(e, req))
			return true;
	return false;
}

static void hold(struct disk *disk, struct disk_request *req, enum disk_held why)
{
	if (req->held == DISK_HELD_NOT)
		disk->held++;
	req->held = why;
	if (why == DISK_HELD_BY_BUFFERS && disk->held_by_buffers++ == 0)
		wait_append(env_loop_of(disk->env, disk->loop), disk);
}

/* It conflicts with nothing. */
static void start_or_wait(struct disk *disk, struct disk_request *req)
{
	struct env_loop *el = env_loop_of(disk->env, disk->loop);

	if (req->op == DISK_READ && (el->wait_first || !has_room(el, req)))
		hold(disk, req, DISK_HELD_BY_BUFFERS);
	else
		start(disk, req);
}

static void order_append(struct disk *disk, struct disk_request *req)
{
	req->order_next = NULL;
	req->order_prev = disk->order_last;
	if (disk->order_last)
		disk->order_last->order_next = req;
	else
		disk->order_first = req;
	disk->order_last = req;
}

static void order_remove(struct disk *disk, struct disk_request *req)
{
	if (req->order_prev)
		req->order_prev->order_next = req->order_next;
	else
		disk->order_first = req->order_next;
	if (req->order_next)
		req->order_next->order_prev = req->order_prev;
	else
		disk->order_last = req->order_prev;
}

/* One is over: those that waited for it alone go on. Engines never complete inside submit, so the list holds still. */
static void start_held(struct disk *disk)
{
	struct disk_request *req, *next;

	if (disk->held == disk->held_by_buffers)
		return;
	for (req = disk->order_first; req; req = next) {
		next = req->order_next;
		if (req->held == DISK_HELD_BY_ORDER && !must_wait(disk, req))
			start_or_wait(disk, req);
	}
}

/* ---- public ---- */

void disk_init(struct disk *disk, struct disk_env *env, struct loop *loop, const struct disk_ops *ops,
	       const struct disk_open *how, uint64_t size_bytes)
{
	*disk = (struct disk){
		.ops = ops,
		.loop = loop,
		.size_bytes = size_bytes,
		.read_only = how->read_only,
		.on_event = how->on_event,
		.event_arg = how->event_arg,
		.env = env,
	};
}

void disk_opened_without_memory(void (*opened)(void *arg, const struct disk_opened *result), void *arg)
{
	struct disk_opened result = { .err = -ENOMEM, .reason = { "out of memory while opening a disk" } };

	opened(arg, &result);
}

void disk_submit(struct disk *disk, struct disk_request *req)
{
	struct env_loop *el = env_loop_of(disk->env, disk->loop);
	int err;

	req->held = DISK_HELD_NOT;
	req->reserved = false;
	req->private = NULL;
	if (req->op == DISK_READ) {
		req->iov = NULL;
		req->iov_count = 0;
	}
	/* A disk that closes may be gone before the answer, so it is not named. */
	req->disk = disk->closing ? NULL : disk;
	if (disk->closing) {
		soon_add(el, req, -ECANCELED);
		return;
	}
	disk->in_flight++;
	order_append(disk, req);
	err = check(disk, req);
	if (err || (req->op != DISK_FLUSH && req->length == 0) || (req->op == DISK_FLUSH && disk->read_only)) {
		soon_add(el, req, err);
		return;
	}
	if (must_wait(disk, req))
		hold(disk, req, DISK_HELD_BY_ORDER);
	else
		start_or_wait(disk, req);
}

void disk_complete(struct disk_request *req, int result)
{
	struct disk *disk = req->disk;
	bool lent = req->op == DISK_READ && result == 0;

	req->result = result;
	if (!disk) {
		req->done(req);
		return;
	}
	order_remove(disk, req);
	if (!lent)
		unreserve(disk, req);
	req->done(req);
	/* Counted until here: the disk must not go while we are in it. */
	start_held(disk);
	if (!lent) {
		disk->in_flight--;
		close_if_quiet(disk);
	}
}

void disk_release(struct disk *disk, struct disk_request *req)
{
	if (req->length)
		disk->ops->release(disk, req);
	unreserve(disk, req);
	disk->in_flight--;
	close_if_quiet(disk);
}

void disk_get_info(const struct disk *disk, struct disk_info *info)
{
	*info = (struct disk_info){ .size_bytes = disk->size_bytes, .read_only = disk->read_only };
	disk->ops->info(disk, info);
}

void disk_report(struct disk *disk, enum disk_event event, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (disk->on_event)
		disk->on_event(disk->event_arg, event, text);
	else
		log_write(event == DISK_NO_SPACE ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "disk: %s", text);
}

void disk_close(struct disk *disk, void (*closed)(void *arg, int err), void *arg)
{
	assert(!disk->closing);
	disk->closing = true;
	disk->closed = closed;
	disk->closed_arg = arg;
	close_if_quiet(disk);
}
