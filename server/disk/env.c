// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What all disks of a process share: workers, the zero region, buffers of each loop, and how files are opened (or, in
 * the simulator, what stands for files). Constant after start-up but for struct env_loop, which belongs to its loop.
 */
#include "disk/env.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "disk/golden_cache.h"

enum {
	FLUSHES_MIN = 4, /* of a loop, where many share the workers */
	SMALL_KEPT = 1024,
};

/* ---- files ---- */

/* Makes the entry of path in its directory durable. */
static int sync_directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd, err = 0;

	if (!dir)
		return -ENOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		err = -errno;
	if (fd >= 0)
		close(fd);
	free(dir);
	return err;
}

/*
 * Without access times: to set one, a read of what is in memory waits for the file system's journal. Those who do not
 * own the file may not ask for that.
 */
static int open_quietly(const char *path, int mode)
{
	int fd = open(path, mode | O_NOATIME, 0600);

	return fd < 0 && errno == EPERM ? open(path, mode, 0600) : fd;
}

/* A descriptor or -errno; *made: it was not there before. O_NONBLOCK: a FIFO must not hold the worker. */
static int open_or_create(const char *path, unsigned flags, bool *made)
{
	int mode = (flags & DISK_ENV_READ_ONLY ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open_quietly(path, mode);

	*made = false;
	if (fd < 0 && errno == ENOENT && flags & DISK_ENV_CREATE) {
		fd = open_quietly(path, mode | O_CREAT | O_EXCL);
		*made = fd >= 0;
	}
	return fd < 0 ? -errno : fd;
}

/*
 * Lets the file system read where the file's blocks are, and keep it in memory. Else an inline read would do that on
 * the I/O loop: with RWF_NOWAIT it waits for no data, but what it does not find it begins to read, and ext4 waits for the
 * extents that it needs for that.
 */
static void load_extents(int fd)
{
	struct fiemap map = { .fm_length = FIEMAP_MAX_OFFSET, .fm_flags = FIEMAP_FLAG_CACHE };

	if (ioctl(fd, FS_IOC_FIEMAP, &map) == 0 || errno != EBADR)
		return;
	/* XFS knows no such flag, and always keeps what it had to read. */
	map.fm_flags = 0;
	ioctl(fd, FS_IOC_FIEMAP, &map);
}

static int real_open_file(void *arg, struct disk_env *env, struct loop *loop, const char *path, unsigned flags,
			  struct file **file)
{
	bool read_only = flags & DISK_ENV_READ_ONLY;
	struct stat st;
	bool made;
	int fd, err = 0;

	(void)arg;
	fd = open_or_create(path, flags, &made);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	if (!err && !(flags & DISK_ENV_NO_LOCK))
		err = file_lock(fd, read_only ? FILE_LOCK_SHARED_READ : FILE_LOCK_EXCLUSIVE);
	/* Its size counts from now on: before the lock somebody else could change it. */
	if (!err && fstat(fd, &st))
		err = -errno;
	if (!err && made)
		err = sync_directory_of(path);
	if (err)
		goto out;
	if (!made)
		load_extents(fd);
	*file = file_new(env, loop, fd, (uint64_t)st.st_size, read_only, flags & DISK_ENV_NO_SYNC);
	if (!*file)
		err = -ENOMEM;
	else if (flags & DISK_ENV_GOLDEN && env->cache)
		(*file)->golden = golden_image_get(env->cache, &st);
	if (!err && read_only) {
		(*file)->inode = st.st_ino;
		(*file)->holes = hole_map_get(&env->hole_maps, fd, &st);
	}
out:
	if (err)
		close(fd);
	return err;
}

static bool real_same_file(void *arg, const char *path, const char *other)
{
	struct stat a, b;

	(void)arg;
	return !stat(path, &a) && !stat(other, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int real_unlink(void *arg, const char *path)
{
	(void)arg;
	if (unlink(path))
		return errno == ENOENT ? 0 : -errno;
	return sync_directory_of(path);
}

static const char *real_boot_id(void *arg)
{
	const struct disk_env *env = arg;

	return env->boot_id;
}

static void real_submit(void *arg, enum pool_class class, struct pool_job *job)
{
	const struct disk_env *env = arg;

	pool_submit(env->pool, class, job);
}

static const struct disk_env_ops real_ops = {
	.open_file = real_open_file,
	.same_file = real_same_file,
	.unlink = real_unlink,
	.boot_id = real_boot_id,
	.submit = real_submit,
};

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

/* ---- the whole ---- */

static void read_boot_id(char id[40])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, id, 36);

	if (fd >= 0)
		close(fd);
	/* Without /proc nothing that was not flushed is believed after a restart. */
	id[n == 36 ? 36 : 0] = '\0';
}

int disk_env_new(struct pool *pool, struct loop *const *loops, unsigned loop_count, struct disk_env **env)
{
	struct disk_env *made = calloc(1, sizeof(*made) + loop_count * sizeof(made->loops[0]));

	if (!made)
		return -ENOMEM;
	/* Private and never written: all of its pages are the kernel's one page of zeroes. */
	made->zeroes = mmap(NULL, DISK_ZEROES_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (made->zeroes == MAP_FAILED) {
		free(made);
		return -ENOMEM;
	}
	read_boot_id(made->boot_id);
	hole_maps_init(&made->hole_maps);
	made->pool = pool;
	made->loop_count = loop_count;
	disk_env_set_ops(made, &real_ops, made);
	for (unsigned i = 0; i < loop_count; i++) {
		struct env_loop *el = &made->loops[i];

		el->env = made;
		el->loop = loops[i];
		el->wait_last = &el->wait_first;
		el->soon_last = &el->soon_first;
		dirty_budget_init(&el->dirty, made, loops[i], loop_count);
		flush_turns_init(&el->flush_turns, (unsigned)max_u64(DISK_FLUSHES / loop_count, FLUSHES_MIN));
	}
	*env = made;
	return 0;
}

void disk_env_free(struct disk_env *env)
{
	if (!env)
		return;
	for (unsigned i = 0; i < env->loop_count; i++) {
		struct env_loop *el = &env->loops[i];

		assert(el->reserved_bytes == 0 && !el->wait_first && !el->soon_first);
		for (unsigned c = 0; c < ENV_CLASSES; c++) {
			struct env_buffer *buffer, *next;

			for (buffer = el->free[c]; buffer; buffer = next) {
				next = buffer->next;
				free(buffer);
			}
		}
		free_list_fini(&el->small);
	}
	golden_cache_free(env->cache);
	hole_maps_fini(&env->hole_maps);
	munmap(env->zeroes, DISK_ZEROES_BYTES);
	free(env);
}
