// SPDX-License-Identifier: GPL-2.0-or-later
/* What all of store/ needs of the state directory: paths, files, the inventory, how full it is. See private.h. */
#include "store/private.h"

#include "base/log.h"
#include "store/backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

const char *store_path(const struct store *store, const char *folder, const char *name, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s%s%s%s%s", store->dir, folder ? "/" : "", folder ? folder : "", name ? "/" : "",
		 name ? name : "");
	return out;
}

bool store_file_name_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= 128 && name[0] != '.' && !strchr(name, '/');
}

void store_version_path(const struct store *store, const struct image_version *version, char *out, size_t out_size)
{
	snprintf(out, out_size, "%s/images/%s", store->dir, version->file);
}

int64_t stat_mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

int store_sync_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int err = 0;

	if (fd < 0 || fsync(fd))
		err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

void store_unlink(const char *path)
{
	if (unlink(path) && errno != ENOENT)
		log_error("store: %s could not be removed: %s", path, strerror(errno));
}

/* ---- jobs as calls ---- */

int store_write(struct store *store, int (*run)(struct inventory_tx *tx, void *arg), void *arg)
{
	return inventory_write_call(store->inventory, run, arg);
}

int store_read(struct store *store, int (*run)(struct inventory_tx *tx, void *arg), void *arg)
{
	return inventory_read_call(store->inventory, run, arg);
}

static int get_policy(struct inventory_tx *tx, void *arg)
{
	return policy_get(tx, arg);
}

int store_get_policy(struct store *store, struct policy *policy)
{
	return store_read(store, get_policy, policy);
}

/* ---- space ---- */

static int space_get(const char *dir, const struct policy *policy, struct store_space *space)
{
	struct statvfs vfs;

	if (statvfs(dir, &vfs))
		return -errno;
	*space = (struct store_space){ .total_bytes = (uint64_t)vfs.f_blocks * vfs.f_frsize,
				       .free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize };
	if (policy)
		space->reserve_bytes = policy->reserve_bytes ? policy->reserve_bytes :
							       space->total_bytes / 100 * policy->reserve_percent;
	return 0;
}

int store_check_space(const struct store *store, const struct policy *policy, uint64_t more, struct reason *reason)
{
	struct store_space space;
	int err = space_get(store->dir, policy, &space);

	if (err)
		return reason_refuse(reason, err, "%s: %s", store->dir, strerror(-err));
	if (space.free_bytes >= more && space.free_bytes - more >= space.reserve_bytes)
		return 0;
	reason_set(reason,
		   "the file system of %s has %llu MiB free; %llu MiB are needed and %llu MiB kept in reserve for "
		   "machines that run: make room, or lower the policy's reserve",
		   store->dir, (unsigned long long)(space.free_bytes >> 20),
		   (unsigned long long)((more + (1 << 20) - 1) >> 20), (unsigned long long)(space.reserve_bytes >> 20));
	return -ENOSPC;
}

uint64_t store_folder_allocated(const struct store *store, const char *folder)
{
	char path[PATH_MAX];
	uint64_t sum = 0;
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir(store_path(store, folder, NULL, path));

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.' && !fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			sum += (uint64_t)st.st_blocks * 512;
	}
	closedir(dir);
	return sum;
}

int store_get_space(struct store *store, const struct policy *policy, struct store_space *space)
{
	struct store_space got;
	int err = space_get(store->dir, policy, &got);

	if (err)
		return err;
	got.images_bytes = store_folder_allocated(store, "images");
	for (const struct store_backend *const *backend = store->backends; *backend; backend++)
		got.volumes_bytes += (*backend)->used_bytes(store);
	*space = got;
	return 0;
}
