// SPDX-License-Identifier: GPL-2.0-or-later
/* A disk in memory: see memory_disk.h. */
#include "memory_disk.h"

#include "base/loop.h"
#include "base/util.h"
#include "disk/engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <uv.h>

enum { SPECIAL_BYTES = 1 << 20 };

struct memory_disk {
	struct disk disk;
	struct memory_disk_config config;
};

struct slow {
	uv_timer_t timer;
	struct disk_request *req;
};

struct lent {
	struct iovec iov;
};

struct held_request {
	struct loop_msg msg;
	struct held_request *next;
	struct disk_request *req;
};

static bool touches(const struct disk_request *req, uint64_t from)
{
	return req->length && req->offset < from + SPECIAL_BYTES && req->offset + req->length > from;
}

static int act(struct memory_disk *memory, struct disk_request *req)
{
	uint8_t *at = (uint8_t *)memory->config.memory + req->offset;
	struct lent *lent;

	if (touches(req, memory->config.broken_from)) {
		req->error_offset = max_u64(req->offset, memory->config.broken_from);
		return -EIO;
	}
	switch (req->op) {
	case DISK_READ:
		lent = malloc(sizeof(*lent));
		assert(lent);
		lent->iov = (struct iovec){ at, req->length };
		req->private = lent;
		req->iov = &lent->iov;
		req->iov_count = 1;
		return 0;
	case DISK_WRITE:
		for (int i = 0; i < req->iov_count; i++) {
			memcpy(at, req->iov[i].iov_base, req->iov[i].iov_len);
			at += req->iov[i].iov_len;
		}
		return 0;
	case DISK_WRITE_ZEROES:
	case DISK_DISCARD:
		memset(at, 0, req->length);
		return 0;
	case DISK_STATUS:
		req->extents[0] = (struct disk_extent){ req->offset, req->length, true };
		req->extent_count = 1;
		return 0;
	case DISK_FLUSH:
		break;
	}
	return 0;
}

static void on_slow_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_slow(uv_timer_t *timer)
{
	struct slow *slow = timer->data;
	struct disk_request *req = slow->req;

	uv_close((uv_handle_t *)timer, on_slow_closed);
	disk_complete(req, act(container_of(req->disk, struct memory_disk, disk), req));
}

static void on_let_go(struct loop_msg *msg)
{
	struct held_request *held = container_of(msg, struct held_request, msg);
	struct disk_request *req = held->req;

	free(held);
	disk_complete(req, act(container_of(req->disk, struct memory_disk, disk), req));
}

void memory_gate_set(struct memory_gate *gate, bool shut)
{
	struct held_request *held;

	pthread_mutex_lock(&gate->mutex);
	gate->shut = shut;
	held = shut ? NULL : gate->held;
	if (!shut)
		gate->held = NULL;
	pthread_mutex_unlock(&gate->mutex);
	while (held) {
		struct held_request *next = held->next;

		held->msg.run = on_let_go;
		loop_post(held->req->disk->loop, &held->msg);
		held = next;
	}
}

/* False: the gate is open. */
static bool hold(struct memory_gate *gate, struct disk_request *req)
{
	struct held_request *held;
	bool shut;

	pthread_mutex_lock(&gate->mutex);
	shut = gate->shut;
	if (shut) {
		held = malloc(sizeof(*held));
		assert(held);
		*held = (struct held_request){ .next = gate->held, .req = req };
		gate->held = held;
		gate->on_held(gate->arg);
	}
	pthread_mutex_unlock(&gate->mutex);
	return shut;
}

static void memory_submit(struct disk *disk, struct disk_request *req)
{
	struct memory_disk *memory = container_of(disk, struct memory_disk, disk);
	struct slow *slow;

	if (memory->config.gate && touches(req, memory->config.held_from) && hold(memory->config.gate, req))
		return;
	if (!memory->config.slow_ms || !touches(req, memory->config.slow_from)) {
		disk_complete_soon(req, act(memory, req));
		return;
	}
	slow = malloc(sizeof(*slow));
	assert(slow);
	slow->req = req;
	slow->timer.data = slow;
	uv_timer_init(loop_uv(disk->loop), &slow->timer);
	uv_timer_start(&slow->timer, on_slow, memory->config.slow_ms, 0);
}

static void memory_release(struct disk *disk, struct disk_request *req)
{
	(void)disk;
	free(req->private);
}

static void memory_info(const struct disk *disk, struct disk_info *info)
{
	info->allocated_bytes = disk->size_bytes;
}

static void memory_close(struct disk *disk, void (*closed)(void *arg, int err), void *arg)
{
	free(container_of(disk, struct memory_disk, disk));
	closed(arg, 0);
}

static const struct disk_ops memory_ops = {
	.name = "memory",
	.submit = memory_submit,
	.release = memory_release,
	.info = memory_info,
	.close = memory_close,
};

struct disk *memory_disk_new(struct disk_env *env, struct loop *loop, const struct memory_disk_config *config)
{
	struct memory_disk *memory = calloc(1, sizeof(*memory));
	const struct disk_open how = { 0 };

	assert(memory);
	memory->config = *config;
	disk_init(&memory->disk, env, loop, &memory_ops, &how, config->size_bytes);
	return &memory->disk;
}
