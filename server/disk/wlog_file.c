// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the areas of the write log lie: DIR/write-log-N, on tmpfs (wlog.h). A process locks the files that it has (flock,
 * which dies with it), so that whoever else uses the folder leaves them alone. All of it blocks.
 */
#include "disk/wlog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parse.h"
#include "base/util.h"

#define PREFIX "write-log-"

struct wlog_files {
	int dir;
	DIR *listing;	  /* find's */
	unsigned highest; /* number that was seen or made */
	char path[];
};

static void name_of(unsigned number, char name[32])
{
	snprintf(name, 32, PREFIX "%u", number);
}

static int map_file(int fd, uint64_t bytes, struct wlog_memory *memory)
{
	memory->data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (memory->data == MAP_FAILED)
		return -errno;
	memory->bytes = bytes;
	memory->fd = fd;
	return 0;
}

static int files_make(void *arg, uint64_t bytes, struct wlog_memory *memory)
{
	struct wlog_files *files = arg;
	char name[32];
	int fd, err;

	memory->number = ++files->highest;
	name_of(memory->number, name);
	fd = openat(files->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
	/* All of it now: later it may be too late, and a store into a page that cannot be had kills. */
	if (!err)
		err = -posix_fallocate(fd, 0, (off_t)bytes);
	if (!err)
		err = map_file(fd, bytes, memory);
	if (err) {
		unlinkat(files->dir, name, 0);
		close(fd);
	}
	return err;
}

static bool parse_name(const char *name, unsigned *number)
{
	uint64_t value;

	if (strncmp(name, PREFIX, strlen(PREFIX)) || !parse_u64(name + strlen(PREFIX), 1, UINT32_MAX - 1024, &value))
		return false;
	*number = (unsigned)value;
	return true;
}

/* false: a living process has it, or it is not one. */
static bool take_over(struct wlog_files *files, const char *name, struct wlog_memory *memory)
{
	int fd = openat(files->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat st, now;

	if (fd < 0)
		return false;
	/* Whoever had it may have removed it in between. */
	if (!flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	    !fstatat(files->dir, name, &now, AT_SYMLINK_NOFOLLOW) && st.st_ino == now.st_ino) {
		if (st.st_size > 0 && (uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size &&
		    !map_file(fd, (uint64_t)st.st_size, memory))
			return true;
		/* Its making was interrupted. */
		unlinkat(files->dir, name, 0);
	}
	close(fd);
	return false;
}

static int files_find(void *arg, struct wlog_memory *memory)
{
	struct wlog_files *files = arg;
	const struct dirent *entry;

	if (!files->listing)
		files->listing = opendir(files->path);
	while (files->listing && (entry = readdir(files->listing))) {
		if (!parse_name(entry->d_name, &memory->number))
			continue;
		files->highest = (unsigned)max_u64(files->highest, memory->number);
		if (take_over(files, entry->d_name, memory))
			return 0;
	}
	if (files->listing)
		closedir(files->listing);
	files->listing = NULL;
	return -ENOENT;
}

static void files_drop(void *arg, struct wlog_memory *memory, bool remove)
{
	struct wlog_files *files = arg;
	char name[32];

	name_of(memory->number, name);
	if (remove)
		unlinkat(files->dir, name, 0);
	munmap(memory->data, memory->bytes);
	close(memory->fd);
}

int wlog_files_new(const char *dir, struct wlog_host *host, struct reason *reason)
{
	struct wlog_files *files = calloc(1, sizeof(*files) + strlen(dir) + 1);
	struct statfs fs;
	int err = 0;

	if (!files)
		return reason_refuse(reason, -ENOMEM, "out of memory");
	memcpy(files->path, dir, strlen(dir) + 1);
	files->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (files->dir < 0)
		err = reason_refuse(reason, -errno, "%s cannot be opened: %s", dir, strerror(errno));
	else if (fstatfs(files->dir, &fs) || fs.f_type != TMPFS_MAGIC)
		err = reason_refuse(reason, -ENOTSUP, "%s is not in memory (tmpfs)", dir);
	if (err) {
		if (files->dir >= 0)
			close(files->dir);
		free(files);
		return err;
	}
	*host = (struct wlog_host){ .make = files_make, .find = files_find, .drop = files_drop, .arg = files };
	return 0;
}

void wlog_files_free(struct wlog_host *host)
{
	struct wlog_files *files = host->arg;

	if (!files)
		return;
	close(files->dir);
	free(files);
	host->arg = NULL;
}
