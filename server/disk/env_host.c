// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The operating system as disks meet it (files, locks, the boot_id, workers), and the environment that is made of it.
 * The simulator puts its own in place of the first (disk_env_set_ops). Lies above file.c and env.c: no file calls it but
 * through the environment's table. Opening is done on workers, making and freeing at start-up and at the end.
 */
#include "disk/env.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "disk/golden_cache.h"

enum { FLUSHES_MIN = 4 }; /* of a loop, where many share the workers */

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
	made->ops = &real_ops;
	made->ops_arg = made;
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
