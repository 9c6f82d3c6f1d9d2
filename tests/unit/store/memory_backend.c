// SPDX-License-Identifier: GPL-2.0-or-later
/* See memory_backend.h. Objects are under a mutex: HTTP's threads and loops share them. */
#include "store/memory_backend.h"

#include "base/loop.h"
#include "base/util.h"
#include "disk/engine.h"
#include "store/private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct object {
	struct object *next;
	char name[NAME_MAX_TEXT];
	uint8_t *bytes;
	uint64_t size_bytes;
	unsigned
		depth; /* how many objects lie one over the other, with the golden version; the bytes are all its own */
	bool written, open;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the list and what is in it but bytes */
static struct object *objects;

static struct object *find_locked(const char *name)
{
	struct object *object = objects;

	while (object && strcmp(object->name, name))
		object = object->next;
	return object;
}

static struct object *find(const char *name)
{
	struct object *object;

	pthread_mutex_lock(&mutex);
	object = find_locked(name);
	pthread_mutex_unlock(&mutex);
	return object;
}

void memory_backend_lose(const char *name)
{
	struct object *object;

	pthread_mutex_lock(&mutex);
	for (struct object **at = &objects; (object = *at); at = &object->next) {
		if (strcmp(object->name, name))
			continue;
		assert(!object->open);
		*at = object->next;
		free(object->bytes);
		free(object);
		break;
	}
	pthread_mutex_unlock(&mutex);
}

void memory_backend_clear(void)
{
	while (objects)
		memory_backend_lose(objects->name);
}

/* ---- making, changing, deleting ---- */

/* The golden version's bytes at the beginning of these. */
static int read_golden(struct store *store, const struct image_version *version, uint8_t *bytes)
{
	char path[PATH_MAX];
	ssize_t len;
	int fd;

	store_version_path(store, version, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = pread(fd, bytes, version->size_bytes, 0);
	close(fd);
	return len == (ssize_t)version->size_bytes ? 0 : -EIO;
}

static struct object *object_new(const char *name, uint64_t size_bytes, unsigned depth)
{
	struct object *made = calloc(1, sizeof(*made));

	assert(made);
	snprintf(made->name, sizeof(made->name), "%s", name);
	made->size_bytes = size_bytes;
	made->depth = depth;
	made->bytes = calloc(1, size_bytes);
	assert(made->bytes);
	return made;
}

static void add(struct object *made)
{
	pthread_mutex_lock(&mutex);
	made->next = objects;
	objects = made;
	pthread_mutex_unlock(&mutex);
}

static int memory_create(struct store *store, const struct volume *volume, const struct image_version *version,
			 struct reason *reason)
{
	struct object *made;
	int err = 0;

	if (find(volume->object)) {
		reason_set(reason, "%s is there already", volume->object);
		return -EEXIST;
	}
	made = object_new(volume->object, version ? version->size_bytes : volume->size_bytes, version ? 2 : 1);
	if (version)
		err = read_golden(store, version, made->bytes);
	if (err) {
		reason_set(reason, "%s: %s", version->file, strerror(-err));
		free(made->bytes);
		free(made);
		return err;
	}
	add(made);
	return 0;
}

/* The bytes of another one that is closed. */
static int duplicate(const char *from, const char *name, bool over, struct reason *reason)
{
	const struct object *source = find(from);
	struct object *made;

	if (!source || source->open) {
		reason_set(reason, "%s %s", from, source ? "was not closed in order" : "is missing");
		return source ? -EBUSY : -ENOENT;
	}
	if (over && source->depth == DISK_CHAIN_MAX) {
		reason_set(reason, "%s has %u objects below it already", from, source->depth - 1);
		return -EMLINK;
	}
	made = object_new(name, source->size_bytes, over ? source->depth + 1 : 2);
	memcpy(made->bytes, source->bytes, source->size_bytes);
	made->written = !over;
	add(made);
	return 0;
}

static int memory_snapshot(struct store *store, const struct volume *volume, const char *layer, struct reason *reason)
{
	(void)store;
	return duplicate(layer, volume->object, true, reason);
}

static int memory_copy(struct store *store, const struct volume *volume, const char *from, struct reason *reason)
{
	(void)store;
	return duplicate(from, volume->object, false, reason);
}

static int memory_replace(struct store *store, const char *name, const char *from, struct reason *reason)
{
	struct object *object = find(from);

	(void)store;
	memory_backend_lose(name);
	if (!object)
		return reason_refuse(reason, -ENOENT, "%s is missing", from);
	snprintf(object->name, sizeof(object->name), "%s", name);
	return 0;
}

static int memory_grow(struct store *store, const char *name, uint64_t size_bytes, struct reason *reason)
{
	struct object *object = find(name);

	(void)store;
	if (!object)
		return reason_refuse(reason, -ENOENT, "%s is missing", name);
	assert(!object->open);
	if (size_bytes <= object->size_bytes)
		return 0;
	object->bytes = realloc(object->bytes, size_bytes);
	assert(object->bytes);
	memset(object->bytes + object->size_bytes, 0, size_bytes - object->size_bytes);
	object->size_bytes = size_bytes;
	return 0;
}

static int memory_lift(struct store *store, const char *name, struct reason *reason)
{
	(void)store;
	(void)reason;
	return find(name) ? 0 : -ENOENT;
}

static int memory_sync(struct store *store, const char *name)
{
	(void)store;
	return find(name) ? 0 : -ENOENT;
}

static void memory_remove(struct store *store, const char *name)
{
	(void)store;
	memory_backend_lose(name);
}

/* ---- opening ---- */

struct memory_disk {
	struct disk disk;
	struct object *object; /* NULL: a golden version, whose bytes are the disk's */
	uint8_t *bytes;
};

static int act(struct memory_disk *memory, struct disk_request *req)
{
	uint8_t *at = memory->bytes + req->offset;
	struct iovec *lent;

	if (memory->object && (req->op == DISK_WRITE || req->op == DISK_WRITE_ZEROES || req->op == DISK_DISCARD))
		memory->object->written = true;
	switch (req->op) {
	case DISK_READ:
		lent = malloc(sizeof(*lent));
		assert(lent);
		*lent = (struct iovec){ at, req->length };
		req->private = lent;
		req->iov = lent;
		req->iov_count = 1;
		break;
	case DISK_WRITE:
		for (int i = 0; i < req->iov_count; i++) {
			memcpy(at, req->iov[i].iov_base, req->iov[i].iov_len);
			at += req->iov[i].iov_len;
		}
		break;
	case DISK_WRITE_ZEROES:
	case DISK_DISCARD:
		memset(at, 0, req->length);
		break;
	case DISK_STATUS:
		req->extents[0] = (struct disk_extent){ req->offset, req->length, true };
		req->extent_count = 1;
		break;
	case DISK_FLUSH:
		break;
	}
	return 0;
}

static void memory_submit(struct disk *disk, struct disk_request *req)
{
	disk_complete_soon(req, act(container_of(disk, struct memory_disk, disk), req));
}

static void memory_release(struct disk *disk, struct disk_request *req)
{
	(void)disk;
	free(req->private);
}

static void memory_disk_info(const struct disk *disk, struct disk_info *info)
{
	info->allocated_bytes = disk->size_bytes;
}

static void memory_close(struct disk *disk, void (*closed)(void *arg, int err), void *arg)
{
	struct memory_disk *memory = container_of(disk, struct memory_disk, disk);

	pthread_mutex_lock(&mutex);
	if (memory->object)
		memory->object->open = false;
	pthread_mutex_unlock(&mutex);
	if (!memory->object)
		free(memory->bytes);
	free(memory);
	closed(arg, 0);
}

static const struct disk_ops memory_ops = {
	.name = "memory",
	.submit = memory_submit,
	.release = memory_release,
	.info = memory_disk_info,
	.close = memory_close,
};

struct opening {
	struct loop_msg msg;
	struct loop *loop;
	struct memory_disk *memory;
	struct disk_open how;
	struct disk_env *env;
	uint64_t size_bytes;
	struct disk_opened result;
	void (*opened)(void *arg, const struct disk_opened *result);
	void *arg;
};

static void open_run(struct loop_msg *msg)
{
	struct opening *o = container_of(msg, struct opening, msg);

	if (!o->result.err) {
		disk_init(&o->memory->disk, o->env, o->loop, &memory_ops, &o->how, o->size_bytes);
		o->result.disk = &o->memory->disk;
	}
	o->opened(o->arg, &o->result);
	free(o);
}

static int open_object(struct opening *o, const char *name)
{
	struct object *object;
	int err = 0;

	pthread_mutex_lock(&mutex);
	object = find_locked(name);
	if (!object)
		err = -ENOENT;
	else if (object->open)
		err = -EBUSY;
	else
		object->open = true;
	pthread_mutex_unlock(&mutex);
	if (err)
		return err;
	o->memory->object = object;
	o->memory->bytes = object->bytes;
	o->size_bytes = object->size_bytes;
	return 0;
}

static void memory_open(struct store *store, struct loop *loop, const struct volume *volume,
			const struct image_version *version, const struct store_open *how,
			void (*opened)(void *arg, const struct disk_opened *result), void *arg)
{
	struct opening *o = calloc(1, sizeof(*o));

	assert(o);
	*o = (struct opening){ .msg.run = open_run, .loop = loop, .env = how->env, .opened = opened, .arg = arg };
	o->how = (struct disk_open){ .read_only = !volume->object[0],
				     .on_event = how->on_event,
				     .event_arg = how->event_arg };
	o->memory = calloc(1, sizeof(*o->memory));
	assert(o->memory);
	if (volume->object[0]) {
		o->result.err = open_object(o, volume->object);
	} else {
		o->size_bytes = version->size_bytes;
		o->memory->bytes = malloc(version->size_bytes);
		assert(o->memory->bytes);
		o->result.err = read_golden(store, version, o->memory->bytes);
		if (o->result.err)
			free(o->memory->bytes);
	}
	if (o->result.err) {
		reason_set(&o->result.reason, "%s: %s", volume->object[0] ? volume->object : version->file,
			   strerror(-o->result.err));
		free(o->memory);
	}
	loop_post(loop, &o->msg);
}

/* ---- what is there ---- */

static int memory_info(struct store *store, const struct volume *volume, const struct image_version *version,
		       struct volume_info *info)
{
	struct object *object = find(volume->object);

	(void)store;
	snprintf(info->format, sizeof(info->format), "memory");
	snprintf(info->path, sizeof(info->path), "memory:%s", volume->object[0] ? volume->object : version->file);
	if (!volume->object[0]) {
		info->virtual_bytes = version->size_bytes;
		info->clean = true;
		return 0;
	}
	if (!object)
		return -ENOENT;
	info->virtual_bytes = info->allocated_bytes = object->size_bytes;
	info->clean = !object->open;
	return 0;
}

static int memory_list(struct store *store, int (*each)(void *arg, const char *object), void *arg)
{
	int stop = 0;

	(void)store;
	for (struct object *object = objects, *next; object && !stop; object = next) {
		next = object->next;
		stop = each(arg, object->name);
	}
	return stop;
}

static uint64_t memory_used_bytes(struct store *store)
{
	uint64_t sum = 0;

	(void)store;
	for (const struct object *object = objects; object; object = object->next)
		sum += object->size_bytes;
	return sum;
}

static bool memory_is_unused(struct store *store, const char *name)
{
	(void)store;
	return !find(name)->written;
}

static int memory_check(struct store *store, const struct volume *volume, const struct image_version *version,
			const char *layer, uint64_t *identity, struct reason *reason)
{
	(void)store;
	(void)version;
	(void)layer;
	*identity = 0;
	return find(volume->object) ? 0 : reason_refuse(reason, -ENOENT, "there is no object %s", volume->object);
}

static void memory_reclaim(struct store *store, const struct reclaim_rows *rows, const struct reclaim_volume *volume)
{
	if (find(volume->volume.object))
		return;
	if (volume->volume.fresh)
		reclaim_make_again(store, volume, reclaim_version(rows, volume->volume.version_id));
	else if (volume->volume.state == VOLUME_READY)
		reclaim_record(store, volume, true, "its object is missing");
}

const struct store_backend memory_backend = {
	.name = "memory",
	.suffix = "",
	.create = memory_create,
	.snapshot = memory_snapshot,
	.copy = memory_copy,
	.replace = memory_replace,
	.open = memory_open,
	.grow = memory_grow,
	.lift = memory_lift,
	.sync = memory_sync,
	.info = memory_info,
	.check = memory_check,
	.remove = memory_remove,
	.list = memory_list,
	.used_bytes = memory_used_bytes,
	.reclaim = memory_reclaim,
	.is_unused = memory_is_unused,
};
