// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The read set of a version as a file, images/FILE.bootset: read, learnt into, removed with its image. It is a hint:
 * one that is missing or broken costs the next boot some time, so it is never synced, and a broken one is logged and
 * removed. It appears by rename, whole. One boot is learnt from at a time (boot/progress/warm.c). Workers.
 */
#include "store/store.h"

#include "base/log.h"
#include "base/util.h"
#include "disk/read_ahead.h"
#include "store/read_set.h"
#include "store/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char suffix[] = ".bootset";

static const char *store_read_set_name(const char *version_file, char name[NAME_MAX + 1])
{
	snprintf(name, NAME_MAX + 1, "%.128s%s", version_file, suffix);
	return name;
}

bool store_is_read_set(const char *name, char version_file[NAME_MAX + 1])
{
	size_t len = strlen(name), end = sizeof(suffix) - 1;

	if (len <= end || len > NAME_MAX || strcmp(name + len - end, suffix))
		return false;
	snprintf(version_file, NAME_MAX + 1, "%.*s", (int)(len - end), name);
	return true;
}

static const char *set_path(const struct store *store, const char *folder, const struct image_version *version,
			    char out[PATH_MAX])
{
	char name[NAME_MAX + 1];

	return store_path(store, folder, store_read_set_name(version->file, name), out);
}

int store_read_ahead(const struct store *store, const struct image_version *version, struct read_ahead *how,
		     struct read_ahead_result *result)
{
	char path[PATH_MAX];

	if (strcmp(version->format, "raw"))
		return -ENOTSUP;
	store_version_path(store, version, path, sizeof(path));
	how->path = path;
	return read_ahead_run(how, result);
}

/* The whole file, at most max bytes of it. *data: free(3). */
static int read_whole(const char *path, size_t max, uint8_t **data, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	uint8_t *bytes;
	size_t have = 0;
	ssize_t n = 1;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > max) {
		close(fd);
		return -EUCLEAN;
	}
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		err = -ENOMEM;
	while (!err && n > 0 && have < (size_t)st.st_size) {
		n = read(fd, bytes + have, (size_t)st.st_size - have);
		if (n < 0)
			err = -errno;
		else
			have += (size_t)n;
	}
	close(fd);
	if (err) {
		free(bytes);
		return err;
	}
	*data = bytes;
	*size = have;
	return 0;
}

int store_load_read_set(const struct store *store, const struct image_version *version, struct read_set *set)
{
	const char *wrong = "it is no file of ours";
	char path[PATH_MAX];
	uint8_t *data = NULL;
	size_t size = 0;
	int err = read_whole(set_path(store, "images", version, path), read_set_size_max(), &data, &size);

	*set = (struct read_set){ 0 };
	if (!err)
		err = read_set_decode(set, version, data, size, &wrong);
	free(data);
	if (err == -EUCLEAN || err == -ESTALE) {
		log_warning("store: %s is not used: %s; it is learnt anew", path, wrong);
		store_unlink(path);
		return -ENOENT;
	}
	if (err && err != -ENOENT)
		log_error("store: %s: %s", path, strerror(-err));
	return err;
}

/* In tmp/, which the next start empties, and then in place. */
static int save(const struct store *store, const struct image_version *version, const uint8_t *data, size_t size)
{
	char path[PATH_MAX], tmp[PATH_MAX];
	int fd, err = 0;

	set_path(store, "images", version, path);
	set_path(store, "tmp", version, tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	for (size_t done = 0; !err && done < size;) {
		ssize_t n = write(fd, data + done, size - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			err = n ? -errno : -EIO;
	}
	if (close(fd) && !err)
		err = -errno;
	if (!err && rename(tmp, path))
		err = -errno;
	if (err)
		unlink(tmp);
	return err;
}

int store_learn_boot(struct store *store, const struct image_version *version, const struct read_trace *trace)
{
	struct read_set set;
	char image[PATH_MAX];
	uint8_t *data;
	size_t size;
	int err = store_load_read_set(store, version, &set);

	if (err && err != -ENOENT)
		return err;
	err = read_set_merge(&set, trace);
	if (!err)
		err = read_set_encode(&set, version, &data, &size);
	read_set_fini(&set);
	if (err)
		return err;
	/* Removed meanwhile? One that slips in is removed by the next start. */
	err = access(store_path(store, "images", version->file, image), F_OK) ? -errno : 0;
	if (!err)
		err = save(store, version, data, size);
	free(data);
	return err;
}

void store_get_read_set_info(const struct store *store, const struct image_version *version, struct read_set_info *info)
{
	struct read_set set;

	*info = (struct read_set_info){ 0 };
	if (store_load_read_set(store, version, &set))
		return;
	*info = (struct read_set_info){ .boots = set.boots, .needed_bytes = read_set_needed_bytes(&set) };
	read_set_fini(&set);
}

void store_forget_read_set(const struct store *store, const struct image_version *version)
{
	char path[PATH_MAX];

	store_unlink(set_path(store, "images", version, path));
}
