// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What all disks of a process share: workers, the zero region, buffers of each loop, and how files are opened (or, in
 * the simulator, what stands for files). Constant after start-up but for struct env_loop, which belongs to its loop.
 * env_host.c makes it.
 */
#include "disk/env.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk/golden_cache.h"

enum { SMALL_KEPT = 1024 };

/* ---- what the host gives, or the simulator ---- */

int disk_env_open_file(struct disk_env *env, struct loop *loop, const char *path, unsigned flags, struct file **file)
{
	return env->ops->open_file(env->ops_arg, env, loop, path, flags, file);
}

void disk_env_explain(int err, const char *path, struct reason *reason)
{
	switch (err) {
	case -ENOENT:
		reason_set(reason, "%s is missing", path);
		break;
	case -EBUSY:
		reason_set(reason, "%s is open in another process (qemu-img, QEMU, a second server): end that first",
			   path);
		break;
	case -EINVAL:
		reason_set(reason, "%s is not a regular file", path);
		break;
	default:
		reason_set(reason, "cannot open %s: %s", path, strerror(-err));
		break;
	}
}

bool disk_env_same_file(struct disk_env *env, const char *path, const char *other)
{
	return env->ops->same_file(env->ops_arg, path, other);
}

int disk_env_unlink(struct disk_env *env, const char *path)
{
	return env->ops->unlink(env->ops_arg, path);
}

const char *disk_env_boot_id(const struct disk_env *env)
{
	return env->ops->boot_id(env->ops_arg);
}

unsigned disk_env_limit(const struct disk_env *env, enum disk_env_limit which, unsigned usual)
{
	unsigned limit = env->ops->limit ? env->ops->limit(env->ops_arg, which) : 0;

	return limit && limit < usual ? limit : usual;
}

void disk_env_submit(struct disk_env *env, enum pool_class class, struct pool_job *job)
{
	env->ops->submit(env->ops_arg, class, job);
}

void disk_env_set_read_ahead(struct disk_env *env, uint64_t inode)
{
	atomic_store(&env->read_ahead, inode);
}

uint64_t disk_env_read_ahead(const struct disk_env *env)
{
	return atomic_load_explicit(&env->read_ahead, memory_order_relaxed);
}

unsigned disk_env_reads_waiting(const struct disk_env *env)
{
	return atomic_load_explicit(&env->reads_waiting, memory_order_relaxed);
}

void disk_env_note_read(struct disk_env *env, int change)
{
	atomic_fetch_add_explicit(&env->reads_waiting, (unsigned)change, memory_order_relaxed);
}

void disk_env_set_ops(struct disk_env *env, const struct disk_env_ops *ops, void *arg)
{
	env->ops = ops;
	env->ops_arg = arg;
}

static int run_now(struct file *file, enum file_op op, uint64_t offset, void *data, uint64_t length)
{
	struct iovec iov = { data, length };
	struct file_request req = { .op = op, .offset = offset, .length = length, .iov = &iov };

	req.iov_count = data ? 1 : 0;
	return file->ops->run(file, &req);
}

int disk_file_read(struct file *file, uint64_t offset, void *data, size_t length)
{
	return run_now(file, FILE_READ, offset, data, length);
}

int disk_file_write(struct file *file, uint64_t offset, const void *data, size_t length)
{
	return run_now(file, FILE_WRITE, offset, (void *)data, length);
}

int disk_file_sync(struct file *file)
{
	return run_now(file, FILE_SYNC, 0, NULL, 0);
}

int disk_file_punch(struct file *file, uint64_t offset, uint64_t length)
{
	return run_now(file, FILE_PUNCH, offset, NULL, length);
}

int disk_file_allocate(struct file *file, uint64_t offset, uint64_t length)
{
	return run_now(file, FILE_ALLOCATE, offset, NULL, length);
}

/* ---- buffers ---- */

struct env_loop *env_loop_of(struct disk_env *env, const struct loop *loop)
{
	unsigned index = loop_index(loop);

	if (index < env->loop_count && env->loops[index].loop == loop)
		return &env->loops[index];
	for (unsigned i = 0; i < env->loop_count; i++)
		if (env->loops[i].loop == loop)
			return &env->loops[i];
	assert(!"a loop that disk_env_new was not told of");
	return NULL;
}

static unsigned class_of(size_t bytes)
{
	unsigned class = 0;

	assert(bytes > 0 && bytes <= DISK_REQUEST_MAX);
	while (((size_t)DISK_PHYSICAL_BYTES << class) < bytes)
		class ++;
	return class;
}

/* Under ASan nothing is kept, so that a read of a buffer that was given back is seen. */
static uint64_t keep_limit(void)
{
#ifdef __SANITIZE_ADDRESS__
	return 0;
#else
	return DISK_BUFFERS_KEEP;
#endif
}

void *disk_buffers_get(struct disk_env *env, struct loop *loop, size_t bytes)
{
	struct env_loop *el = env_loop_of(env, loop);
	unsigned class = class_of(bytes);
	size_t size = (size_t)DISK_PHYSICAL_BYTES << class;
	struct env_buffer *buffer = el->free[class];

	if (!buffer)
		return aligned_alloc(DISK_PHYSICAL_BYTES, size);
	el->free[class] = buffer->next;
	el->kept_bytes -= size;
	return buffer;
}

void disk_buffers_put(struct disk_env *env, struct loop *loop, void *data, size_t bytes)
{
	struct env_loop *el = env_loop_of(env, loop);
	unsigned class = class_of(bytes);
	size_t size = (size_t)DISK_PHYSICAL_BYTES << class;
	struct env_buffer *buffer = data;

	if (el->kept_bytes + size > keep_limit()) {
		free(data);
		return;
	}
	buffer->next = el->free[class];
	el->free[class] = buffer;
	el->kept_bytes += size;
}

void *disk_small_get(struct disk_env *env, struct loop *loop)
{
	return free_list_get(&env_loop_of(env, loop)->small, DISK_SMALL_BYTES);
}

void disk_small_put(struct disk_env *env, struct loop *loop, void *memory)
{
	free_list_put(&env_loop_of(env, loop)->small, memory, SMALL_KEPT);
}

struct dirty_budget *disk_env_dirty(struct disk_env *env, const struct loop *loop)
{
	return &env_loop_of(env, loop)->dirty;
}

struct flush_turns *disk_env_flush_turns(struct disk_env *env, struct loop *loop)
{
	return &env_loop_of(env, loop)->flush_turns;
}

/* ---- the golden cache ---- */

int disk_env_set_cache(struct disk_env *env, uint64_t bytes)
{
	return bytes ? golden_cache_new(env->pool, bytes, &env->cache) : 0;
}

void disk_env_cache_info(struct disk_env *env, struct disk_cache_info *info)
{
	*info = (struct disk_cache_info){ 0 };
	if (!env->cache)
		return;
	info->size_bytes = golden_cache_size(env->cache);
	info->used_bytes = golden_cache_used(env->cache);
	for (unsigned i = 0; i < env->loop_count; i++) {
		info->hit_bytes += atomic_load_explicit(&env->loops[i].cache_hit_bytes, memory_order_relaxed);
		info->miss_bytes += atomic_load_explicit(&env->loops[i].cache_miss_bytes, memory_order_relaxed);
	}
}

void disk_env_count_cache(struct disk_env *env, const struct loop *loop, bool hit, uint64_t bytes)
{
	struct env_loop *el = env_loop_of(env, loop);
	atomic_ullong *count = hit ? &el->cache_hit_bytes : &el->cache_miss_bytes;

	/* One writer: no read-modify-write is needed. */
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + bytes, memory_order_relaxed);
}

void *disk_env_zeroes(const struct disk_env *env)
{
	return env->zeroes;
}
