// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * After a start, children/ and the inventory agree. Fresh files that are missing, or that a loss of power may have
 * damaged, are made again: nobody has logged in to them yet. So is what a machine needs for one boot only. The volume
 * of any other file that is missing fails, with an event.
 */
#include "store/files/files.h"

#include "disk/qcow2.h"
#include "store/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Is the file there, and still the one that was made for this volume? */
static bool is_sound(struct store *store, const struct reclaim_volume *row, const struct image_version *version,
		     struct qcow2_info *info)
{
	char path[PATH_MAX], backing[FILES_BACKING_TEXT] = "";
	struct reason reason;
	const struct volume *volume = &row->volume;
	uint64_t least = volume->size_bytes;

	if (version) {
		snprintf(backing, sizeof(backing), FILES_BACKING, version->file);
		least = version->size_bytes;
	}
	if (row->layer[0])
		snprintf(backing, sizeof(backing), "%s", row->layer);
	return !qcow2_read_info(store_path(store, "children", volume->object, path), info, &reason) &&
	       info->size_bytes >= least && !strcmp(info->backing, backing);
}

void files_reclaim(struct store *store, const struct reclaim_rows *rows, const struct reclaim_volume *row)
{
	const struct volume *volume = &row->volume;
	const struct image_version *version = reclaim_version(rows, volume->version_id);
	struct qcow2_info info = { .clean = false };
	char path[PATH_MAX];
	struct reason reason;
	uint64_t identity;
	bool sound;

	if ((volume->version_id && !version) || !store_file_name_valid(volume->object))
		return;
	sound = is_sound(store, row, version, &info);
	if (volume->fresh) {
		/* Made without a sync: after a loss of power its pages may be anything. */
		if (!sound || !rows->same_boot)
			reclaim_make_again(store, row, version);
		return;
	}
	if (row->ephemeral && (!sound || (!rows->same_boot && !info.clean))) {
		if (!reclaim_make_again(store, row, version))
			reclaim_record(store, row, false,
				       "its disk, kept for one boot only, was lost with the server's power: it starts "
				       "with a new one");
		return;
	}
	if (volume->state != VOLUME_READY)
		return;
	if (files_check(store, volume, version, row->layer, &identity, &reason) == -ESTALE)
		reclaim_say_rebased(store, row, reason.text);
	if (access(store_path(store, "children", volume->object, path), F_OK) && errno == ENOENT)
		reclaim_record(store, row, true,
			       volume->kind == VOLUME_SYSTEM ?
				       "its disk is missing in children/: put the file back (a backup), or reset the "
				       "machine" :
				       "its file is missing in children/: put it back (a backup), or remove the volume");
}

/* How long the file of a new child for a disk of that size is; 0 where it cannot be told. */
static uint64_t new_child_bytes(struct store *store, uint64_t size_bytes)
{
	char path[PATH_MAX];
	struct reason reason;
	struct qcow2_create how = { .path = path, .size_bytes = size_bytes };
	struct stat st = { .st_size = 0 };

	store_path(store, "tmp", "measure", path);
	if (!qcow2_create(&how, &reason) && stat(path, &st))
		st.st_size = 0;
	store_unlink(path);
	return (uint64_t)st.st_size;
}

/* The first write to a disk makes its file longer. A journal without its file is of no use. */
bool files_is_unused(struct store *store, const char *name)
{
	char path[PATH_MAX];
	struct reason reason;
	struct qcow2_info info;
	struct stat st;

	if (stat(store_path(store, "children", name, path), &st))
		return errno == ENOENT;
	if (!S_ISREG(st.st_mode))
		return false;
	if (!st.st_blocks)
		return true; /* cut down in the middle of its making */
	return !qcow2_read_info(path, &info, &reason) && info.clean &&
	       (uint64_t)st.st_size <= new_child_bytes(store, info.size_bytes);
}
