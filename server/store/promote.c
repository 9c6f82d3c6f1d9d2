// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A layer becomes a golden version, at once: it gets a second name. As with an import (import_work.c) that name stands in tmp/
 * first, so that a start knows it for what did not commit: a file in images/ with a second name in tmp/ and without a row.
 *
 * What the layer stands on is the version that the machine was made from: that one has to stay, and the new one says so
 * (parent_id). Its SHA-256 is not known yet; until somebody has taken the time (store_identify_version) it is known by its
 * inode and time alone, and refused where they change.
 */
#include "store/store.h"

#include "base/log.h"
#include "base/util.h"
#include "store/backend.h"
#include "store/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void promote_tmp(struct store *store, const struct image_version *version, char path[PATH_MAX])
{
	store_path(store, "tmp", version->file, path);
}

/* Its file under both names, durably. */
static int promote_link(struct store *store, const struct store_backend *backend, const char *object,
			struct image_version *version, struct reason *reason)
{
	char tmp[PATH_MAX], path[PATH_MAX], folder[PATH_MAX];
	struct stat st;
	int err;

	promote_tmp(store, version, tmp);
	store_path(store, "images", version->file, path);
	err = backend->publish(store, object, tmp, &version->size_bytes, reason);
	if (err)
		return err;
	err = stat(tmp, &st) ? -errno : store_sync_path(store_path(store, "tmp", NULL, folder));
	if (!err && link(tmp, path))
		err = -errno;
	if (!err)
		err = store_sync_path(store_path(store, "images", NULL, folder));
	if (err) {
		store_unlink(path);
		store_unlink(tmp);
		return reason_refuse(reason, err, "%.300s cannot be made: %s", path, strerror(-err));
	}
	version->inode = st.st_ino;
	version->mtime_ns = stat_mtime_ns(&st);
	return 0;
}

int store_promote_object(struct store *store, const struct volume *layer, struct image_version *version,
			 struct reason *reason)
{
	const struct store_backend *backend = store_backend_find(store, layer->backend);

	if (!backend || !backend->publish)
		return reason_refuse(reason, -ENOTSUP, "what keeps this volume (%s) cannot make a version of it",
				     layer->backend);
	snprintf(version->file, sizeof(version->file), "%s@%u.qcow2", version->image, version->number);
	snprintf(version->format, sizeof(version->format), "qcow2");
	version->parent_id = layer->version_id;
	version->sha256[0] = '\0';
	return promote_link(store, backend, layer->object, version, reason);
}

void store_promote_end(struct store *store, const struct image_version *version, bool committed)
{
	char path[PATH_MAX];

	store_path(store, "images", version->file, path);
	if (!committed)
		store_unlink(path);
	else if (chmod(path, 0444))
		log_warning("%s cannot be made read-only: %s", path, strerror(errno));
	promote_tmp(store, version, path);
	store_unlink(path);
}
