// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The backend "generated": a volume's object is a file in generated/ that is made anew whenever it is needed, read-only for
 * its machine. Nobody's data is in it, so nothing of it is kept over a loss of power, copied, or missed.
 *
 *     content, whole blocks of 2048 bytes | a block that says for what it was made, and the SHA-256 of all before it
 *
 * The last block is how a start of the server finds that a running machine's volume is what it was.
 */
#include "store/generated/generated.h"

#include "base/log.h"
#include "base/util.h"
#include "store/private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 2048, SHA256 = 32, GENERATED_MAX = 32 << 20 };

static const char *path_of(const struct store *store, const char *object, char out[PATH_MAX])
{
	return store_path(store, "generated", object, out);
}

/* ---- making ---- */

static int last_block(const char *stamp, const void *content, size_t len, char block[BLOCK])
{
	unsigned char digest[SHA256];
	size_t at;

	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, content, len, digest))
		return -EIO;
	memset(block, 0, BLOCK);
	at = (size_t)snprintf(block, BLOCK, "sanbootd generated\n%.200s\n", stamp);
	for (int i = 0; i < SHA256; i++)
		at += (size_t)snprintf(block + at, BLOCK - at, "%02x", digest[i]);
	return 0;
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Not synced: what a loss of power leaves of it is not what its last block says, and it is made again. */
int store_generate_volume(struct store *store, const struct volume *volume, const char *stamp, const void *content,
			  size_t len, struct reason *reason)
{
	char path[PATH_MAX], tmp[PATH_MAX], block[BLOCK];
	int err = 0, fd;

	if (len % BLOCK || len > GENERATED_MAX || !store_file_name_valid(volume->object))
		return reason_refuse(reason, -EINVAL, "%zu bytes are no content of a volume", len);
	fd = open(store_path(store, "tmp", volume->object, tmp), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		  0640);
	if (fd < 0)
		err = -errno;
	if (!err)
		err = last_block(stamp, content, len, block);
	if (!err)
		err = write_all(fd, content, len);
	if (!err)
		err = write_all(fd, block, sizeof(block));
	if (fd >= 0)
		close(fd);
	if (!err && rename(tmp, path_of(store, volume->object, path)))
		err = -errno;
	if (!err)
		return 0;
	store_unlink(tmp);
	return reason_refuse(reason, err, "%.300s cannot be written: %s", tmp, strerror(-err));
}

static bool read_whole(int fd, char *to, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = read(fd, to + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

bool store_is_generated(struct store *store, const struct volume *volume, const char *stamp)
{
	char path[PATH_MAX], block[BLOCK], *content = NULL;
	int fd = store_file_name_valid(volume->object) ?
			 open(path_of(store, volume->object, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW) :
			 -1;
	struct stat st;
	size_t len = 0;
	bool same;

	same = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size >= 2 * BLOCK &&
	       st.st_size <= GENERATED_MAX + BLOCK && st.st_size % BLOCK == 0;
	if (same) {
		len = (size_t)st.st_size;
		content = malloc(len);
	}
	same = content && read_whole(fd, content, len) && !last_block(stamp, content, len - BLOCK, block) &&
	       !memcmp(block, content + len - BLOCK, BLOCK);
	free(content);
	if (fd >= 0)
		close(fd);
	return same;
}

static void generated_remove(struct store *store, const char *object)
{
	char path[PATH_MAX];

	if (store_file_name_valid(object))
		store_unlink(path_of(store, object, path));
}

/* ---- opening ---- */

static void generated_open(struct store *store, struct loop *loop, const struct volume *volume,
			   const struct image_version *version, const struct store_open *how,
			   void (*opened)(void *arg, const struct disk_opened *result), void *arg)
{
	char path[PATH_MAX];
	struct disk_open open = { .path = path_of(store, volume->object, path), .read_only = true };

	(void)version;
	disk_open_file(how->env, loop, "raw", &open, opened, arg);
}

/* ---- what is there ---- */

static int generated_info(struct store *store, const struct volume *volume, const struct image_version *version,
			  struct volume_info *info)
{
	struct stat st;

	(void)version;
	snprintf(info->format, sizeof(info->format), "raw");
	path_of(store, volume->object, info->path);
	info->clean = true;
	/* It has not been made yet: nothing is wrong with it. */
	if (stat(info->path, &st))
		return errno == ENOENT ? 0 : -errno;
	info->virtual_bytes = (uint64_t)st.st_size;
	info->allocated_bytes = (uint64_t)st.st_blocks * 512;
	return 0;
}

static int generated_check(struct store *store, const struct volume *volume, const struct image_version *version,
			   const char *layer, uint64_t *identity, struct reason *reason)
{
	(void)store;
	(void)volume;
	(void)version;
	(void)layer;
	(void)reason;
	*identity = 0;
	return 0;
}

static int generated_list(struct store *store, int (*each)(void *arg, const char *object), void *arg)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(store_path(store, "generated", NULL, path));
	int stop = 0;

	if (!dir)
		return -errno;
	while (!stop && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			stop = each(arg, entry->d_name);
	closedir(dir);
	return stop;
}

static uint64_t generated_used_bytes(struct store *store)
{
	return store_folder_allocated(store, "generated");
}

static void generated_reclaim(struct store *store, const struct reclaim_rows *rows, const struct reclaim_volume *volume)
{
	(void)store;
	(void)rows;
	(void)volume;
}

static bool generated_is_unused(struct store *store, const char *object)
{
	(void)store;
	(void)object;
	return true;
}

/* ---- what nobody asks of a generated volume: boot/operator refuses it before ---- */

static int refuse(struct reason *reason)
{
	return reason_refuse(reason, -EINVAL, "the volume is generated");
}

static int generated_create(struct store *store, const struct volume *volume, const struct image_version *version,
			    struct reason *reason)
{
	(void)store;
	(void)volume;
	(void)version;
	return refuse(reason);
}

static int generated_beside(struct store *store, const struct volume *volume, const char *object, struct reason *reason)
{
	(void)store;
	(void)volume;
	(void)object;
	return refuse(reason);
}

static int generated_grow(struct store *store, const char *object, uint64_t size_bytes, struct reason *reason)
{
	(void)store;
	(void)object;
	(void)size_bytes;
	return refuse(reason);
}

static int generated_lift(struct store *store, const char *object, struct reason *reason)
{
	(void)store;
	(void)object;
	return refuse(reason);
}

static int generated_sync(struct store *store, const char *object)
{
	(void)store;
	(void)object;
	return 0;
}

const struct store_backend store_generated = {
	.name = "generated",
	.suffix = ".iso",
	.create = generated_create,
	.snapshot = generated_beside,
	.copy = generated_beside,
	.open = generated_open,
	.grow = generated_grow,
	.lift = generated_lift,
	.sync = generated_sync,
	.info = generated_info,
	.check = generated_check,
	.remove = generated_remove,
	.list = generated_list,
	.used_bytes = generated_used_bytes,
	.reclaim = generated_reclaim,
	.is_unused = generated_is_unused,
};
