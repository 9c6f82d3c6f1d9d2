// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How what the write log holds of a disk comes down to its child: see wlog_front.h. The requests go straight to the engine,
 * which orders them behind whatever it has of the same blocks.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "disk/disk.h"
#include "disk/engine.h"
#include "disk/wlog_front.h"

enum {
	DOWN_MAX = 64, /* requests of a disk under way: the engine looks through all of them for each that comes */
	DOWN_LOOP_MAX = 512, /* of a loop, beyond which nobody is pressed */
	BATCH_MIN = DOWN_MAX / 2,
	COLLECT_MAX = 4 * DOWN_MAX, /* pages that are sorted at once: some of them join */
};

struct down {
	struct disk_request req;
	struct wlog_front *front;
	unsigned count;
	struct wlog_slot **slots; /* behind iov */
	struct iovec iov[];
};

static bool is_passing(int err)
{
	return err == -ENOSPC || err == -ENOMEM;
}

static void down_done(struct disk_request *req)
{
	struct down *down = container_of(req, struct down, req);
	struct wlog_front *front = down->front;
	struct disk *disk = front->disk;
	int result = req->result;

	front->going--;
	front->shared->going--;
	front->shared->no_space = result == -ENOSPC;
	if (result && !is_passing(result) && !front->failed) {
		front->failed = true;
		disk->ops->fail(disk, "what was acknowledged cannot be stored", result);
	}
	for (unsigned i = 0; i < down->count; i++)
		wlog_arrived(front, down->slots[i], result);
	free(down);
	wlog_progress(front);
}

/* Neighbours, in order. Without memory they stay where they are, and a later try finds them. */
static void send_run(struct wlog_front *front, struct wlog_slot **slots, unsigned count)
{
	struct down *down = malloc(sizeof(*down) + count * (sizeof(down->iov[0]) + sizeof(struct wlog_slot *)));

	if (!down) {
		front->errors = true;
		for (unsigned i = 0; i < count; i++)
			slots[i]->error = -ENOMEM;
		return;
	}
	down->front = front;
	down->count = count;
	down->slots = (struct wlog_slot **)(down->iov + count);
	for (unsigned i = 0; i < count; i++) {
		down->slots[i] = slots[i];
		down->iov[i] = (struct iovec){ slots[i]->data, WLOG_PAGE_BYTES };
		slots[i]->going = true;
	}
	down->req = (struct disk_request){
		.op = DISK_WRITE,
		.internal = true,
		.offset = slots[0]->page * WLOG_PAGE_BYTES,
		.length = (uint64_t)count * WLOG_PAGE_BYTES,
		.iov = down->iov,
		.iov_count = (int)count,
		.done = down_done,
		.disk = front->disk,
	};
	front->going++;
	front->shared->going++;
	front->disk->ops->submit(front->disk, &down->req);
}

static int by_page(const void *a, const void *b)
{
	const struct wlog_slot *const *x = a, *const *y = b;

	return ((*x)->page > (*y)->page) - ((*x)->page < (*y)->page);
}

unsigned wlog_send(struct wlog_front *front, struct wlog_slot **slots, unsigned count, unsigned requests)
{
	unsigned from = 0;

	qsort(slots, count, sizeof(struct wlog_slot *), by_page);
	for (unsigned i = 1; i <= count && requests; i++) {
		if (i < count && i - from < WLOG_DOWN_PAGES && slots[i]->page == slots[i - 1]->page + 1)
			continue;
		send_run(front, slots + from, i - from);
		from = i;
		requests--;
	}
	return from;
}

void wlog_pump(struct wlog_front *front)
{
	struct wlog_slot *slots[COLLECT_MAX];

	while (!front->failed && front->going < BATCH_MIN) {
		/* What does not join is sorted in vain, and was touched for nothing. */
		unsigned count = 0, before = front->going, most = (DOWN_MAX - before) * front->joins, sent;

		for (struct wlog_slot *slot = front->first; slot && slot->since <= front->wanted && count < most;
		     slot = slot->next)
			if (!slot->going && !slot->older && !slot->error)
				slots[count++] = slot;
		if (!count)
			return;
		sent = wlog_send(front, slots, count, DOWN_MAX - before);
		/* Without memory for any it would go round for ever. */
		if (front->going == before)
			return;
		front->joins = (unsigned)min_u64(1 + (sent - 1) / (front->going - before), COLLECT_MAX / DOWN_MAX);
	}
}

void wlog_press(struct wlog_loop *shared)
{
	struct wlog_front *begin = NULL;
	unsigned all;

	if (!shared->area)
		return;
	all = wlog_slot_count(shared->area);
	while (shared->fronts && shared->fronts != begin && shared->going < DOWN_LOOP_MAX &&
	       wlog_room(shared->area) < all / 2) {
		struct wlog_front *front = shared->fronts;

		if (!begin)
			begin = front;
		shared->fronts = front->next;
		front->wanted = front->seq;
		wlog_pump(front);
	}
}
