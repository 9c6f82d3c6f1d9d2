// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests of a disk that has the write log: see wlog_front.h. wlog_read.c reads, wlog_down.c brings down. */
#include "disk/wlog_front.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/util.h"
#include "disk/disk.h"
#include "disk/engine.h"

enum { BUCKETS_MIN = 1024 };

/* ---- the index ---- */

static struct wlog_slot **bucket_of(const struct wlog_front *front, uint64_t page)
{
	uint64_t hash = (page ^ (uintptr_t)front >> 6) * 0x9e3779b97f4a7c15u;

	return &front->shared->buckets[hash >> 32 & (front->shared->bucket_count - 1)];
}

/* A slot of this disk: those of others hang in the same buckets, and have their front's id. */
struct wlog_slot *wlog_find(const struct wlog_front *front, uint64_t page)
{
	struct wlog_slot *slot = *bucket_of(front, page);

	while (slot && (slot->page != page || slot->front != front))
		slot = slot->bucket_next;
	return slot;
}

static void index_add(struct wlog_front *front, struct wlog_slot *slot)
{
	struct wlog_slot **bucket = bucket_of(front, slot->page);

	slot->bucket_next = *bucket;
	*bucket = slot;
	slot->indexed = true;
}

static void index_remove(struct wlog_front *front, struct wlog_slot *slot)
{
	struct wlog_slot **at = bucket_of(front, slot->page);

	if (!slot->indexed)
		return;
	while (*at != slot)
		at = &(*at)->bucket_next;
	*at = slot->bucket_next;
	slot->indexed = false;
}

/* ---- the order ---- */

static void insert_after(struct wlog_front *front, struct wlog_slot *slot, struct wlog_slot *before)
{
	slot->prev = before;
	slot->next = before ? before->next : front->first;
	*(slot->next ? &slot->next->prev : &front->last) = slot;
	*(before ? &before->next : &front->first) = slot;
}

static void unlink_slot(struct wlog_front *front, struct wlog_slot *slot)
{
	*(slot->prev ? &slot->prev->next : &front->first) = slot->next;
	*(slot->next ? &slot->next->prev : &front->last) = slot->prev;
}

static void ring_add(struct wlog_front *front)
{
	struct wlog_loop *shared = front->shared;
	struct wlog_front *first = shared->fronts;

	if (front->ringed || front->failed)
		return;
	front->ringed = true;
	if (!first) {
		front->next = front->prev = shared->fronts = front;
		return;
	}
	front->next = first;
	front->prev = first->prev;
	front->prev->next = first->prev = front;
}

static void ring_remove(struct wlog_front *front)
{
	struct wlog_loop *shared = front->shared;

	if (!front->ringed)
		return;
	front->ringed = false;
	if (front->next == front) {
		shared->fronts = NULL;
		return;
	}
	front->prev->next = front->next;
	front->next->prev = front->prev;
	if (shared->fronts == front)
		shared->fronts = front->next;
}

/* ---- the timer: it runs while there is something ---- */

/* Its own memory: libuv has it for a moment longer than we. */
struct wlog_timer {
	uv_timer_t uv;
	struct wlog_loop *shared;
};

static void timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void timer_stop(struct wlog_loop *shared)
{
	if (!shared->timer || shared->fronts)
		return;
	uv_close((uv_handle_t *)&shared->timer->uv, timer_closed);
	shared->timer = NULL;
}

static void timer_fires(uv_timer_t *uv)
{
	struct wlog_timer *timer = uv->data;

	wlog_tick(timer->shared);
	timer_stop(timer->shared);
}

/* Without memory what is here waits for a flush, a close, or others who want the room. */
static void timer_start(struct wlog_loop *shared)
{
	if (shared->timer || shared->by_hand)
		return;
	shared->timer = calloc(1, sizeof(*shared->timer));
	if (!shared->timer)
		return;
	shared->timer->shared = shared;
	shared->timer->uv.data = shared->timer;
	uv_timer_init(loop_uv(shared->loop), &shared->timer->uv);
	uv_timer_start(&shared->timer->uv, timer_fires, WLOG_TICK_MS, WLOG_TICK_MS);
}

/* ---- slots come and go ---- */

/* Its bytes are in the child, or in a newer slot. */
static void drop(struct wlog_front *front, struct wlog_slot *slot)
{
	wlog_void(slot);
	unlink_slot(front, slot);
	index_remove(front, slot);
	if (slot->older)
		slot->older->newer = NULL;
	if (slot->newer)
		slot->newer->older = NULL;
	if (--front->count == 0)
		ring_remove(front);
	if (slot->pins)
		slot->dead = true;
	else
		wlog_release(slot);
}

void wlog_unpin(struct wlog_slot *slot)
{
	if (--slot->pins == 0 && slot->dead)
		wlog_release(slot);
}

/* A committed slot becomes the newest of its page. old: which was that until now, or NULL. */
static void put(struct wlog_front *front, struct wlog_slot *slot, struct wlog_slot *old)
{
	slot->front = front;
	slot->older = slot->newer = NULL;
	slot->since = slot->seq;
	front->count++;
	ring_add(front);
	if (old)
		index_remove(front, old);
	index_add(front, slot);
	if (!old) {
		insert_after(front, slot, front->last);
	} else if (old->going) {
		insert_after(front, slot, front->last);
		slot->older = old;
		old->newer = slot;
	} else {
		slot->since = old->since;
		insert_after(front, slot, old);
		slot->older = old->older;
		old->older = NULL;
		if (slot->older)
			slot->older->newer = slot;
		drop(front, old);
	}
}

static void clear_errors(struct wlog_front *front)
{
	if (!front->errors)
		return;
	front->errors = false;
	for (struct wlog_slot *slot = front->first; slot; slot = slot->next)
		slot->error = 0;
}

/* The newer one of the page takes the place of this one, which did not arrive. */
static void superseded(struct wlog_front *front, struct wlog_slot *slot)
{
	struct wlog_slot *newer = slot->newer;

	unlink_slot(front, newer);
	newer->since = slot->since;
	insert_after(front, newer, slot);
	drop(front, slot);
}

void wlog_arrived(struct wlog_front *front, struct wlog_slot *slot, int result)
{
	slot->going = false;
	if (!result) {
		drop(front, slot);
	} else if (slot->newer) {
		superseded(front, slot);
	} else {
		slot->error = result;
		front->errors = true;
	}
}

/* ---- who waits ---- */

static void room_run(struct loop_msg *msg)
{
	struct wlog_loop *shared = container_of(msg, struct wlog_loop, room_msg);
	struct wlog_front *front = shared->room, *next;

	shared->room_posted = false;
	shared->room = NULL;
	for (; front; front = next) {
		next = front->room_next;
		front->roomless = false;
		disk_retry_log(front->disk);
	}
}

static void wait_for_room(struct wlog_front *front)
{
	struct wlog_front **at = &front->shared->room;

	if (front->roomless)
		return;
	front->roomless = true;
	front->room_next = NULL;
	while (*at)
		at = &(*at)->room_next;
	*at = front;
}

static void leave_room_list(struct wlog_front *front)
{
	struct wlog_front **at = &front->shared->room;

	if (!front->roomless)
		return;
	while (*at != front)
		at = &(*at)->room_next;
	*at = front->room_next;
	front->roomless = false;
}

static void close_check(struct wlog_front *front)
{
	struct wlog_slot *slot;

	if (!front->closing || front->closed || front->going)
		return;
	wlog_pump(front);
	if (front->going)
		return;
	/* What is left could not be brought down. */
	while ((slot = front->first)) {
		front->left_error = slot->error ? slot->error : -EIO;
		unlink_slot(front, slot);
		index_remove(front, slot);
		front->count--;
		wlog_orphan(front->shared->wlog, slot);
	}
	ring_remove(front);
	timer_stop(front->shared);
	front->closed = true;
	loop_post(front->shared->loop, &front->disk->close_msg);
}

void wlog_progress(struct wlog_front *front)
{
	struct wlog_loop *shared = front->shared;

	if (front->failed)
		ring_remove(front);
	else
		wlog_pump(front);
	wlog_press(shared);
	if (shared->room && !shared->room_posted) {
		shared->room_posted = true;
		shared->room_msg.run = room_run;
		loop_post(shared->loop, &shared->room_msg);
	}
	disk_retry_log(front->disk);
	close_check(front);
}

void wlog_tick(struct wlog_loop *shared)
{
	struct wlog_front *front = shared->fronts, *next;
	bool more = front != NULL;

	while (more) {
		next = front->next;
		more = next != shared->fronts;
		front->wanted = max_u64(front->wanted, front->tick_seq);
		front->tick_seq = front->seq;
		clear_errors(front);
		wlog_pump(front);
		front = next;
	}
}

/* ---- overlaps ---- */

static uint64_t last_page(const struct disk_request *req)
{
	return (req->offset + req->length - 1) / WLOG_PAGE_BYTES;
}

struct overlap {
	unsigned count;
	int error;	/* of one that did not arrive */
	uint64_t since; /* the youngest */
	struct wlog_slot *slots[WLOG_DOWN_PAGES];
	unsigned idle; /* in slots */
};

static void overlap_add(struct overlap *o, struct wlog_slot *slot)
{
	o->count++;
	o->since = max_u64(o->since, slot->since);
	if (slot->error && !slot->going)
		o->error = slot->error;
	if (!slot->going && !slot->older && o->idle < array_len(o->slots))
		o->slots[o->idle++] = slot;
}

static void find_overlap(struct wlog_front *front, const struct disk_request *req, struct overlap *o)
{
	uint64_t first = req->offset / WLOG_PAGE_BYTES, last = last_page(req);

	o->count = o->idle = 0;
	o->error = 0;
	o->since = 0;
	if (last - first < front->count) {
		for (uint64_t page = first; page <= last; page++) {
			struct wlog_slot *slot = wlog_find(front, page);

			if (slot)
				overlap_add(o, slot);
		}
		return;
	}
	for (struct wlog_slot *slot = front->first; slot; slot = slot->next)
		if (slot->indexed && slot->page >= first && slot->page <= last)
			overlap_add(o, slot);
}

static enum wlog_answer answer(struct disk_request *req, int result)
{
	disk_complete_soon(req, result);
	return WLOG_TAKEN;
}

/* What is here must be down before the engine gets this one. */
static enum wlog_answer after_overlaps(struct wlog_front *front, struct disk_request *req, bool again)
{
	struct overlap o;

	if (front->failed && req->op != DISK_STATUS)
		return WLOG_PASS;
	find_overlap(front, req, &o);
	if (!o.count)
		return WLOG_PASS;
	if (front->failed)
		return answer(req, -EIO);
	if (again && req->log_mark && o.error)
		return answer(req, o.error);
	if (!req->log_mark) {
		req->log_mark = front->seq;
		clear_errors(front);
		front->wanted = max_u64(front->wanted, o.since);
		wlog_send(front, o.slots, o.idle, o.idle);
		wlog_pump(front);
	}
	return WLOG_WAIT;
}

/* ---- FLUSH ---- */

static enum wlog_answer flush(struct wlog_front *front, struct disk_request *req, bool again)
{
	if (front->failed || !front->count)
		return WLOG_PASS;
	if (!again) {
		req->log_mark = front->seq;
		clear_errors(front);
		front->wanted = max_u64(front->wanted, front->seq);
		wlog_pump(front);
		return WLOG_WAIT;
	}
	for (struct wlog_slot *slot = front->first; slot && slot->since <= req->log_mark; slot = slot->next)
		if (slot->error && !slot->going)
			return answer(req, slot->error);
	return front->first->since > req->log_mark ? WLOG_PASS : WLOG_WAIT;
}

/* ---- WRITE ---- */

/* Whether a page that the request touches will be whole: it is written whole, or the log has the rest of it. */
static bool is_whole(const struct wlog_front *front, const struct disk_request *req, uint64_t page)
{
	uint64_t start = page * WLOG_PAGE_BYTES, end = start + WLOG_PAGE_BYTES;

	if (req->offset <= start && req->offset + req->length >= end)
		return true;
	return wlog_find(front, page) != NULL;
}

static bool fits(const struct wlog_front *front, const struct disk_request *req)
{
	const struct disk *disk = front->disk;
	uint64_t held = (uint64_t)front->count * WLOG_PAGE_BYTES;

	if (!front->shared->area || front->shared->no_space || front->failed || front->errors)
		return false;
	if (req->fua || req->allocate || req->length > WLOG_WRITE_MAX)
		return false;
	if (!is_whole(front, req, req->offset / WLOG_PAGE_BYTES) || !is_whole(front, req, last_page(req)))
		return false;
	return disk->ops->may_log(disk, held + WLOG_WRITE_MAX + WLOG_PAGE_BYTES);
}

/* One disk leaves something for the others, however much it writes. */
static bool has_room(const struct wlog_front *front, unsigned pages)
{
	struct wlog_area *area = front->shared->area;
	unsigned all = wlog_slot_count(area);

	return wlog_room(area) >= pages && front->count + pages <= all - all / 4;
}

/* Where a copy out of the caller's memory stands. */
struct cursor {
	const struct iovec *iov;
	size_t into;
};

static void copy(struct cursor *from, uint8_t *to, size_t length)
{
	while (length) {
		size_t take = min_u64(from->iov->iov_len - from->into, length);

		memcpy(to, (const uint8_t *)from->iov->iov_base + from->into, take);
		to += take;
		length -= take;
		from->into += take;
		if (from->into == from->iov->iov_len) {
			from->iov++;
			from->into = 0;
		}
	}
}

static void take(struct wlog_front *front, const struct disk_request *req)
{
	uint64_t end = req->offset + req->length;
	struct cursor from = { req->iov, 0 };

	for (uint64_t at = req->offset; at < end;) {
		uint64_t page = at / WLOG_PAGE_BYTES, into = at % WLOG_PAGE_BYTES;
		size_t length = min_u64(WLOG_PAGE_BYTES - into, end - at);
		struct wlog_slot *slot = wlog_take(front->shared->area), *old = wlog_find(front, page);

		if (length < WLOG_PAGE_BYTES)
			memcpy(slot->data, old->data, WLOG_PAGE_BYTES);
		copy(&from, slot->data + into, length);
		wlog_commit(slot, front->id, front->path, page, ++front->seq);
		put(front, slot, old);
		at += length;
	}
	wlog_count_write(front->shared->area);
	timer_start(front->shared);
}

static enum wlog_answer write_into(struct wlog_front *front, struct disk_request *req, bool again)
{
	unsigned pages = (unsigned)(last_page(req) - req->offset / WLOG_PAGE_BYTES) + 1;
	struct wlog_loop *shared = front->shared;

	/* One that waits for what it overlaps has to go on waiting: what came later waits behind it. */
	if (req->log_mark || !fits(front, req))
		return after_overlaps(front, req, again);
	if (!has_room(front, pages) || (shared->room && !again)) {
		if (front->count)
			front->wanted = front->seq;
		wlog_pump(front);
		wlog_press(shared);
		/* Where nothing is on its way waiting would be in vain. */
		if (!shared->going)
			return after_overlaps(front, req, again);
		wait_for_room(front);
		return WLOG_WAIT;
	}
	take(front, req);
	wlog_press(shared);
	return answer(req, 0);
}

/* ---- public ---- */

enum wlog_answer wlog_front_submit(struct wlog_front *front, struct disk_request *req, bool again)
{
	if (!again)
		req->log_mark = 0;
	switch (req->op) {
	case DISK_READ:
		return front->count ? wlog_read(front, req) : WLOG_PASS;
	case DISK_WRITE:
		return write_into(front, req, again);
	case DISK_FLUSH:
		return flush(front, req, again);
	default:
		return front->count ? after_overlaps(front, req, again) : WLOG_PASS;
	}
}

void wlog_front_open(struct wlog_front *front, struct disk *disk, struct wlog_loop *shared, uint64_t id, uint64_t path,
		     struct wlog_slots slots, bool failed)
{
	struct wlog_slot *slot, *next;

	*front = (struct wlog_front){
		.disk = disk, .shared = shared, .id = id, .path = path, .joins = 1, .failed = failed
	};
	for (slot = slots.first; slot; slot = next) {
		next = slot->next;
		slot->indexed = slot->going = slot->dead = false;
		slot->error = 0;
		front->seq = slot->seq;
		put(front, slot, wlog_find(front, slot->page));
	}
	front->wanted = front->seq;
	if (front->count && !failed) {
		timer_start(shared);
		wlog_pump(front);
	}
}

bool wlog_front_close(struct wlog_front *front)
{
	leave_room_list(front);
	if (front->closed || !front->count) {
		timer_stop(front->shared);
		return true;
	}
	front->closing = true;
	front->wanted = UINT64_MAX;
	clear_errors(front);
	if (!front->failed)
		wlog_pump(front);
	close_check(front);
	return false;
}

int wlog_loop_init(struct wlog_loop *shared, struct wlog *wlog, struct loop *loop, unsigned index)
{
	struct wlog_area *area = wlog_area_of(wlog, index);
	unsigned count = BUCKETS_MIN;

	while (area && count < wlog_slot_count(area))
		count *= 2;
	*shared = (struct wlog_loop){ .wlog = wlog, .loop = loop, .area = area, .bucket_count = count };
	shared->buckets = calloc(count, sizeof(struct wlog_slot *));
	return shared->buckets ? 0 : -ENOMEM;
}

void wlog_loop_fini(struct wlog_loop *shared)
{
	free(shared->buckets);
	shared->buckets = NULL;
}
