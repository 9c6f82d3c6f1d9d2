// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The backend "files": a volume's object is a qcow2 file in children/, with the journal of the engine beside it
 * (NAME.journal); a system volume's has its golden version, a raw file in images/, as backing file. See backend.h.
 */
#include "store/files/files.h"

#include "base/log.h"
#include "base/util.h"
#include "disk/qcow2.h"
#include "store/chain.h"
#include "store/private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* STATE/children/OBJECT. Returns out. */
static const char *files_path(const struct store *store, const char *object, char out[PATH_MAX])
{
	return store_path(store, "children", object, out);
}

/* ---- making, changing, deleting ---- */

static int files_create(struct store *store, const struct volume *volume, const struct image_version *version,
			struct reason *reason)
{
	char path[PATH_MAX], backing[FILES_BACKING_TEXT];
	struct qcow2_create how = { .path = files_path(store, volume->object, path), .size_bytes = volume->size_bytes };

	if (!store_file_name_valid(volume->object) || (version && !store_file_name_valid(version->file)))
		return reason_refuse(reason, -EINVAL, "not a file name");
	if (version) {
		snprintf(backing, sizeof(backing), FILES_BACKING, version->file);
		how.size_bytes = version->size_bytes;
		how.backing = backing;
		how.backing_format = version->format;
	}
	return qcow2_create(&how, reason);
}

/* A file and those below it. */
struct chain {
	struct qcow2_info info; /* of the uppermost */
	unsigned depth;		/* with the golden version, and what that stands on */
	unsigned layers;	/* of children/ below the uppermost */
	uint64_t layers_bytes;	/* what they take */
};

/* A file that another one names as what it stands on: a layer beside it, or a golden version. False: it is none of them. */
static bool files_backing_path(struct store *store, const char *backing, bool *layer, char path[PATH_MAX])
{
	static const char images[] = "../images/";
	const char *version = strncmp(backing, images, sizeof(images) - 1) ? NULL : backing + sizeof(images) - 1;

	*layer = !version;
	if (!store_file_name_valid(version ? version : backing))
		return false;
	if (version)
		store_path(store, "images", version, path);
	else
		files_path(store, backing, path);
	return true;
}

static int read_chain(struct store *store, const char *object, struct chain *chain, struct reason *reason)
{
	struct qcow2_info info;
	char path[PATH_MAX];
	int err = qcow2_read_info(files_path(store, object, path), &info, reason);

	*chain = (struct chain){ .info = info, .depth = 1 };
	/* Files that stand on each other end this, too: the chain gets too deep. */
	while (!err && info.backing[0] && chain->depth++ < DISK_CHAIN_MAX && !strcmp(info.backing_format, "qcow2")) {
		bool layer = false;

		err = files_backing_path(store, info.backing, &layer, path) ? qcow2_read_info(path, &info, reason) :
									      -EUCLEAN;
		if (err || !layer)
			continue;
		chain->layers++;
		chain->layers_bytes += info.allocated_bytes;
	}
	return err;
}

static int files_snapshot(struct store *store, const struct volume *volume, const char *layer, struct reason *reason)
{
	char path[PATH_MAX];
	struct qcow2_create how = { .backing = layer, .backing_format = "qcow2" };
	struct chain chain;
	int err;

	if (!store_file_name_valid(volume->object) || !store_file_name_valid(layer)) {
		reason_set(reason, "not a file name");
		return -EINVAL;
	}
	err = read_chain(store, layer, &chain, reason);
	if (!err && !chain.info.clean) {
		reason_set(reason, "%.300s was not closed in order", files_path(store, layer, path));
		err = -EBUSY;
	}
	if (!err && chain.depth >= DISK_CHAIN_MAX) {
		reason_set(reason, "%.300s has %u files below it already", files_path(store, layer, path),
			   chain.depth - 1);
		err = -EMLINK;
	}
	if (!err) {
		err = store_sync_path(files_path(store, layer, path));
		if (err)
			reason_set(reason, "%.300s cannot be made durable: %s", path, strerror(-err));
	}
	if (err)
		return err;
	how.path = files_path(store, volume->object, path);
	how.size_bytes = chain.info.size_bytes;
	return qcow2_create(&how, reason);
}

static int copy_by(int (*copy)(const char *from, const char *to, struct reason *reason), struct store *store,
		   const struct volume *volume, const char *from, struct reason *reason)
{
	char path[PATH_MAX], source[PATH_MAX];
	int err;

	if (!store_file_name_valid(volume->object) || !store_file_name_valid(from)) {
		reason_set(reason, "not a file name");
		return -EINVAL;
	}
	err = copy(files_path(store, from, source), files_path(store, volume->object, path), reason);
	if (err)
		return err;
	err = store_sync_path(path);
	if (!err)
		err = store_sync_path(store_path(store, "children", NULL, source));
	if (err) {
		reason_set(reason, "%.300s cannot be made durable: %s", path, strerror(-err));
		store_unlink(path);
	}
	return err;
}

static int files_copy(struct store *store, const struct volume *volume, const char *from, struct reason *reason)
{
	return copy_by(qcow2_copy, store, volume, from, reason);
}

static int files_copy_whole(struct store *store, const struct volume *volume, const char *from, struct reason *reason)
{
	return copy_by(qcow2_copy_whole, store, volume, from, reason);
}

/* Half of what may lie over each other: the other half is for machines, and their snapshots. */
enum { VERSION_CHAIN_MAX = DISK_CHAIN_MAX / 2 };

static int files_publish(struct store *store, const char *object, const char *path, uint64_t *size_bytes,
			 struct reason *reason)
{
	char source[PATH_MAX];
	struct chain chain;
	int err;

	if (!store_file_name_valid(object))
		return reason_refuse(reason, -EINVAL, "not a file name");
	err = read_chain(store, object, &chain, reason);
	if (err)
		return err;
	if (!chain.info.clean)
		return reason_refuse(reason, -EBUSY, "%.300s was not closed in order",
				     files_path(store, object, source));
	if (chain.layers)
		return reason_refuse(reason, -EMLINK, "it stands on %u earlier snapshot%s", chain.layers,
				     chain.layers == 1 ? "" : "s");
	if (chain.depth > VERSION_CHAIN_MAX)
		return reason_refuse(reason, -EMLINK, "%u versions that were promoted lie below it already",
				     chain.depth - 2);
	*size_bytes = chain.info.size_bytes;
	if (link(files_path(store, object, source), path))
		return reason_refuse(reason, -errno, "%.300s cannot be made: %s", path, strerror(errno));
	return 0;
}

static int files_replace(struct store *store, const char *object, const char *from, struct reason *reason)
{
	char path[PATH_MAX], source[PATH_MAX];
	int err;

	if (!store_file_name_valid(object) || !store_file_name_valid(from))
		return reason_refuse(reason, -EINVAL, "not a file name");
	if (rename(files_path(store, from, source), files_path(store, object, path)))
		return reason_refuse(reason, -errno, "%.300s cannot be put in place: %s", path, strerror(errno));
	err = store_sync_path(store_path(store, "children", NULL, source));
	return err ? reason_refuse(reason, err, "%.300s cannot be made durable: %s", path, strerror(-err)) : 0;
}

static int files_grow(struct store *store, const char *object, uint64_t size_bytes, struct reason *reason)
{
	struct qcow2_info info;
	char path[PATH_MAX];
	int err = qcow2_read_info(files_path(store, object, path), &info, reason);

	if (err || info.size_bytes >= size_bytes)
		return err;
	return qcow2_grow(path, size_bytes, reason);
}

static int files_lift(struct store *store, const char *object, struct reason *reason)
{
	char path[PATH_MAX];

	return qcow2_give_up_journal(files_path(store, object, path), reason);
}

static int files_sync(struct store *store, const char *object)
{
	char path[PATH_MAX];
	int err = store_sync_path(files_path(store, object, path));

	return err ? err : store_sync_path(store_path(store, "children", NULL, path));
}

static void files_remove(struct store *store, const char *object)
{
	char path[PATH_MAX], journal[NAME_MAX_TEXT + 16];

	if (!store_file_name_valid(object)) {
		log_error("store: an object without a valid file name was to be deleted");
		return;
	}
	store_unlink(files_path(store, object, path));
	snprintf(journal, sizeof(journal), "%.*s%s", NAME_MAX_TEXT, object, FILES_JOURNAL_SUFFIX);
	store_unlink(files_path(store, journal, path));
}

/* ---- opening ---- */

static void files_open(struct store *store, struct loop *loop, const struct volume *volume,
		       const struct image_version *version, const struct store_open *how,
		       void (*opened)(void *arg, const struct disk_opened *result), void *arg)
{
	char path[PATH_MAX];
	struct disk_open open = {
		.path = path,
		.trace = how->trace,
		.read_only = !volume->object[0],
		.ephemeral = how->ephemeral,
		.quota_bytes = how->quota_bytes,
		.on_event = how->on_event,
		.event_arg = how->event_arg,
	};

	if (volume->object[0])
		files_path(store, volume->object, path);
	else
		store_version_path(store, version, path, sizeof(path));
	disk_open_file(how->env, loop, volume->object[0] ? "qcow2" : version->format, &open, opened, arg);
}

/* ---- what is there ---- */

static int files_info(struct store *store, const struct volume *volume, const struct image_version *version,
		      struct volume_info *info)
{
	struct reason reason;
	struct chain chain;
	struct stat st;
	int err;

	if (!volume->object[0]) {
		snprintf(info->format, sizeof(info->format), "%s", version->format);
		store_version_path(store, version, info->path, sizeof(info->path));
		info->virtual_bytes = version->size_bytes;
		info->clean = true;
		return stat(info->path, &st) ? -errno : 0;
	}
	snprintf(info->format, sizeof(info->format), "qcow2");
	files_path(store, volume->object, info->path);
	if (!store_file_name_valid(volume->object))
		return -ENOENT;
	if (access(info->path, F_OK))
		return -errno;
	err = read_chain(store, volume->object, &chain, &reason);
	if (err)
		return -EUCLEAN;
	info->virtual_bytes = chain.info.size_bytes;
	info->allocated_bytes = chain.info.allocated_bytes;
	info->layers_bytes = chain.layers_bytes;
	info->depth = chain.depth;
	info->clean = chain.info.clean;
	return 0;
}

/* The name of the file whose journal it is; false: it is none. */
static bool journal_owner(const char *name, char owner[NAME_MAX + 1])
{
	size_t len = strlen(name), suffix = strlen(FILES_JOURNAL_SUFFIX);

	if (len <= suffix || len > NAME_MAX || strcmp(name + len - suffix, FILES_JOURNAL_SUFFIX))
		return false;
	snprintf(owner, NAME_MAX + 1, "%.*s", (int)(len - suffix), name);
	return true;
}

/* A journal belongs to its object, and may be all that is left of it. */
static int list_entry(struct store *store, const char *name, int (*each)(void *arg, const char *object), void *arg)
{
	char path[PATH_MAX], owner[NAME_MAX + 1];

	if (!journal_owner(name, owner))
		return each(arg, name);
	return access(files_path(store, owner, path), F_OK) ? each(arg, owner) : 0;
}

static int files_list(struct store *store, int (*each)(void *arg, const char *object), void *arg)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(store_path(store, "children", NULL, path));
	int stop = 0;

	if (!dir)
		return -errno;
	while (!stop && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			stop = list_entry(store, entry->d_name, each, arg);
	}
	closedir(dir);
	return stop;
}

static uint64_t files_used_bytes(struct store *store)
{
	return store_folder_allocated(store, "children");
}

static int files_open_chain(struct store *store, const char *object, struct convert_chain *chain, struct reason *reason)
{
	return chain_open(store, "children", object, "qcow2", chain, reason);
}

const struct store_backend store_files = {
	.name = "files",
	.suffix = ".qcow2",
	.create = files_create,
	.snapshot = files_snapshot,
	.copy = files_copy,
	.copy_whole = files_copy_whole,
	.replace = files_replace,
	.publish = files_publish,
	.open = files_open,
	.grow = files_grow,
	.lift = files_lift,
	.sync = files_sync,
	.info = files_info,
	.check = files_check,
	.remove = files_remove,
	.list = files_list,
	.used_bytes = files_used_bytes,
	.reclaim = files_reclaim,
	.is_unused = files_is_unused,
	.open_chain = files_open_chain,
	.stands_on = files_stands_on,
};
