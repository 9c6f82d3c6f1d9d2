// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Invariant 7: a golden version is what was published. Its identity is size and SHA-256; a changed inode or mtime (a
 * restored backup, a copied state directory) only triggers a new hash, whose result is kept. Of many machines that log
 * in at once one hashes and the others wait for it.
 */
#include "store/store.h"

#include "base/log.h"
#include "base/util.h"
#include "store/hash.h"
#include "store/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The entry of this version, or the one used longest ago, to use for it. NULL: all are busy. Under the mutex. */
static struct verified *entry_find(struct store *store, int64_t version_id)
{
	struct verified *best = NULL;

	for (size_t i = 0; i < VERIFIED_KEPT; i++) {
		struct verified *entry = &store->verified[i];

		if (entry->version_id == version_id)
			return entry;
		if (!entry->busy && (!best || entry->used < best->used))
			best = entry;
	}
	return best;
}

struct identity {
	int64_t id;
	const char *sha256;
	uint64_t inode;
	int64_t mtime_ns;
};

static int identity_store(struct inventory_tx *tx, void *arg)
{
	const struct identity *identity = arg;

	return version_set_identity(tx, identity->id, identity->sha256, identity->inode, identity->mtime_ns);
}

static bool step(void *arg, unsigned percent)
{
	struct store *store = arg;

	(void)percent;
	return !store->closing;
}

/* Hashes the open file. 0: it is what was published, and the inventory knows its new inode and mtime. */
static int verify_hash(struct store *store, const struct image_version *version, int fd, const struct stat *st)
{
	struct progress progress = { step, store };
	char sha256[IDENTITY_TEXT];
	struct identity identity = { version->id, sha256, st->st_ino, stat_mtime_ns(st) };
	int err;

	log_info("%s@%u: %s has another inode or time than when it was published: hashing it", version->image,
		 version->number, version->file);
	err = hash_file(fd, (uint64_t)st->st_size, hash_kind_of(version->sha256), &progress, sha256);
	if (err)
		return err;
	if (strcmp(sha256, version->sha256))
		return -ESTALE;
	err = store_write(store, identity_store, &identity);
	if (err) /* known good; it will be hashed again after the next start */
		log_warning("%s@%u: its identity could not be stored: %s", version->image, version->number,
			    strerror(-err));
	return 0;
}

int store_identify_version(struct store *store, const struct image_version *version)
{
	struct progress progress = { step, store };
	char path[PATH_MAX], sha256[IDENTITY_TEXT];
	struct stat st;
	int fd = open(store_path(store, "images", version->file, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int err = fd < 0 || fstat(fd, &st) ? -errno : 0;

	if (!err && (st.st_ino != version->inode || stat_mtime_ns(&st) != version->mtime_ns))
		err = -ESTALE;
	if (!err)
		err = hash_file(fd, (uint64_t)st.st_size, hash_kind_for(fd, (uint64_t)st.st_size), &progress, sha256);
	if (!err) {
		struct identity taken = { version->id, sha256, version->inode, version->mtime_ns };

		err = store_write(store, identity_store, &taken);
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/* Hashes, or takes the result of whoever did for the same inode and mtime. */
static int verify_once(struct store *store, const struct image_version *version, int fd, const struct stat *st)
{
	struct verified *entry;
	int err;

	pthread_mutex_lock(&store->mutex);
	for (;;) {
		entry = entry_find(store, version->id);
		if (entry && (entry->version_id != version->id || !entry->busy))
			break;
		pthread_cond_wait(&store->changed, &store->mutex);
	}
	entry->used = ++store->verified_clock;
	if (entry->version_id == version->id && entry->inode == st->st_ino && entry->mtime_ns == stat_mtime_ns(st)) {
		err = entry->err;
		pthread_mutex_unlock(&store->mutex);
		return err;
	}
	*entry = (struct verified){ .version_id = version->id,
				    .inode = st->st_ino,
				    .mtime_ns = stat_mtime_ns(st),
				    .busy = true,
				    .used = entry->used };
	pthread_mutex_unlock(&store->mutex);

	err = verify_hash(store, version, fd, st);

	pthread_mutex_lock(&store->mutex);
	entry->busy = false;
	entry->err = err;
	if (err && err != -ESTALE)
		entry->version_id = 0; /* found nothing out: the next one tries again */
	pthread_cond_broadcast(&store->changed);
	pthread_mutex_unlock(&store->mutex);
	return err;
}

/* A file that is not what the row of its version said when the caller read it: is it what that is by now, or is announced to become (flatten.c)? */
struct accept {
	int64_t version_id;
	const struct stat *st;
	bool good;
};

static int accept_read(struct inventory_tx *tx, void *arg)
{
	struct accept *accept = arg;
	struct image_version now;
	struct version_flat flat;
	int err = version_by_id(tx, accept->version_id, &now);

	if (err)
		return err;
	accept->good = now.inode == accept->st->st_ino && now.mtime_ns == stat_mtime_ns(accept->st);
	if (!accept->good && !version_flat_next(tx, accept->version_id, &flat))
		accept->good = flat.version_id == accept->version_id && flat.inode == accept->st->st_ino &&
			       flat.mtime_ns == stat_mtime_ns(accept->st);
	return 0;
}

static bool is_flat_file(struct store *store, const struct image_version *version, const struct stat *st)
{
	struct accept accept = { .version_id = version->id, .st = st };

	return !store_read(store, accept_read, &accept) && accept.good;
}

int store_verify_version(struct store *store, const struct image_version *version, struct reason *reason)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, err = 0;

	fd = open(store_path(store, "images", version->file, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st)) {
		err = -errno;
		reason_set(reason,
			   "golden image %s@%u: %s: %s: put the file back (a backup), or move its machines to another "
			   "version",
			   version->image, version->number, path, strerror(-err));
		goto out;
	}
	if (!S_ISREG(st.st_mode) || (!strcmp(version->format, "raw") && (uint64_t)st.st_size != version->size_bytes))
		err = -ESTALE;
	else if ((st.st_ino != version->inode || stat_mtime_ns(&st) != version->mtime_ns) &&
		 !is_flat_file(store, version, &st))
		err = verify_once(store, version, fd, &st);
	if (err == -ESTALE)
		reason_set(reason,
			   "golden image %s@%u was changed since it was published (%s is not what it was): put the "
			   "original back; import changes as a new version",
			   version->image, version->number, path);
	else if (err)
		reason_set(reason, "golden image %s@%u: %s could not be read: %s", version->image, version->number,
			   path, strerror(-err));
out:
	if (fd >= 0)
		close(fd);
	return err;
}

uint64_t store_version_allocated(struct store *store, const struct image_version *version)
{
	char path[PATH_MAX];
	struct stat st;

	if (stat(store_path(store, "images", version->file, path), &st))
		return 0;
	return (uint64_t)st.st_blocks * 512;
}
