// SPDX-License-Identifier: GPL-2.0-or-later
/* See enter.h. */
#include "store/enter.h"

#include "base/secret.h"
#include "inventory/unfinished.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NUMBERS_TRIED = 1000 };

int enter_make_file(struct store *store, const char *stem, const char *suffix, char path[PATH_MAX],
		    struct reason *reason)
{
	char name[64], random[VERSION_FILE_RANDOM];
	int fd;

	secret_text(random, sizeof(random) - 1);
	snprintf(name, sizeof(name), "%s-%s%s", stem, random, suffix);
	fd = open(store_path(store, "tmp", name, path), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		int err = -errno;

		reason_refuse(reason, err, "%s cannot be made: %s", path, strerror(-err));
		path[0] = '\0';
		return err;
	}
	return fd;
}

int enter_seal_file(int fd, uint64_t size, struct image_version *version, struct reason *reason)
{
	struct stat st;

	if (fchmod(fd, 0444) || fsync(fd) || fstat(fd, &st)) {
		int err = -errno;

		return reason_refuse(reason, err, "the new file could not be stored: %s", strerror(-err));
	}
	version->size_bytes = size;
	version->inode = st.st_ino;
	version->mtime_ns = stat_mtime_ns(&st);
	snprintf(version->format, sizeof(version->format), "raw");
	return 0;
}

/* ---- the job ---- */

struct entering {
	struct store *store;
	const struct enter *entry;
	char file[PATH_MAX]; /* images/NAME@V.raw once linked; "" */
};

/* images/NAME@V.raw for the next V that is free, also of files that no row names. */
static int link_file(struct entering *e, unsigned number)
{
	struct image_version *version = e->entry->version;
	char folder[PATH_MAX];
	int err;

	for (unsigned tries = 0; tries < NUMBERS_TRIED; tries++, number++) {
		version->number = number;
		snprintf(version->file, sizeof(version->file), "%s@%u.raw", version->image, number);
		store_path(e->store, "images", version->file, e->file);
		if (!link(e->entry->tmp, e->file)) {
			err = store_sync_path(store_path(e->store, "images", NULL, folder));
			if (err)
				store_unlink(e->file);
			return err;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int insert(struct inventory_tx *tx, const struct enter *entry)
{
	struct image_version *version = entry->version, published;
	/* An image for volumes does not have to boot. */
	const char *warnings = entry->use == IMPORT_FOR_VOLUMES ? "" : version->warnings;
	bool for_machines = entry->use == IMPORT_FOR_MACHINES || entry->use == IMPORT_AS_DEFAULT;
	int err;

	/* The first one is what new machines get; a later one when somebody publishes it. */
	err = version_find(tx, version->image, 0, &published);
	if (err && err != -ENOENT)
		return err;
	version->state = err && for_machines && !entry->to_test ? VERSION_PUBLISHED : VERSION_TEST;
	err = version_insert(tx, version);
	if (!err && entry->use == IMPORT_AS_DEFAULT)
		err = image_set_default(tx, version->image);
	if (!err)
		err = event_add(tx, "info", entry->use == IMPORT_SEALED ? "image-sealed" : "image-imported",
				entry->actor, 0, version->image, "%s@%u from %s, %llu MiB%s%s%s", version->image,
				version->number, version->source, (unsigned long long)(version->size_bytes >> 20),
				version->state == VERSION_PUBLISHED ? "" : "; not published yet",
				warnings[0] ? ". " : "", warnings);
	return err || !entry->job ? err : unfinished_forget(tx, UNFINISHED_IMPORT, entry->job);
}

static int enter_run(struct inventory_tx *tx, void *arg)
{
	struct entering *e = arg;
	unsigned number;
	int err = version_next_number(tx, e->entry->version->image, &number);

	if (!err && e->entry->new_image && number > 1)
		err = -EEXIST;
	if (!err)
		err = link_file(e, number);
	if (err) {
		e->file[0] = '\0';
		return err;
	}
	return insert(tx, e->entry);
}

int enter_version(struct store *store, const struct enter *entry, struct reason *reason)
{
	struct entering e = { .store = store, .entry = entry };
	const char *image = entry->version->image;
	int err = store_write(store, enter_run, &e);

	if (!err)
		return 0;
	if (e.file[0])
		store_unlink(e.file);
	if (err == -ENOTUNIQ) /* it came while this one was read */
		return reason_refuse(reason, err,
				     "there is an image by now whose name is %s but for its case: give this one another",
				     image);
	if (err == -EEXIST && entry->new_image)
		return reason_refuse(reason, err, "there is, or was, an image %s: give the empty one a name of its own",
				     image);
	return reason_refuse(reason, err, "%s could not be entered into the inventory: %s", image, strerror(-err));
}
