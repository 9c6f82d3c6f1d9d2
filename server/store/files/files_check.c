// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does the file of a volume stand on what its row says? Somebody may have rebased it with qemu-img, deleted it, or put
 * another one in its place. The same check at the start, at each open and while it is open.
 */
#include "store/files/files.h"

#include "disk/qcow2.h"
#include "store/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What its header has to name: "" nothing. */
static void files_expected(const struct image_version *version, const char *layer, char backing[FILES_BACKING_TEXT])
{
	backing[0] = '\0';
	if (layer[0])
		snprintf(backing, FILES_BACKING_TEXT, "%s", layer);
	else if (version)
		snprintf(backing, FILES_BACKING_TEXT, FILES_BACKING, version->file);
}

/* Two names of one file are the same. */
static bool is_same_file(const struct store *store, const char *a, const char *b)
{
	char path[PATH_MAX];
	struct stat first, second;

	if (!strcmp(a, b))
		return true;
	if (!a[0] || !b[0] || stat(a[0] == '/' ? a : store_path(store, "children", a, path), &first))
		return false;
	return !stat(store_path(store, "children", b, path), &second) && first.st_dev == second.st_dev &&
	       first.st_ino == second.st_ino;
}

int files_check(struct store *store, const struct volume *volume, const struct image_version *version,
		const char *layer, uint64_t *identity, struct reason *reason)
{
	const char *otherwise = volume->kind == VOLUME_SYSTEM ? "reset the machine" : "remove the volume";
	char path[PATH_MAX], expected[FILES_BACKING_TEXT];
	const char *format = layer[0] ? "qcow2" : version ? version->format : "";
	struct qcow2_info info;
	struct stat st;
	int err;

	if (!store_file_name_valid(volume->object))
		return reason_refuse(reason, -EINVAL, "not a file name");
	if (stat(store_path(store, "children", volume->object, path), &st)) {
		err = -errno;
		return reason_refuse(reason, err, "%.300s is missing (%s): put it back (a backup), or %s", path,
				     strerror(-err), otherwise);
	}
	*identity = st.st_ino;
	err = qcow2_read_info(path, &info, reason);
	if (err)
		return err;
	files_expected(version, layer, expected);
	if (is_same_file(store, info.backing, expected))
		return 0;
	if (!expected[0])
		return reason_refuse(reason, -ESTALE,
				     "%.300s stands on %.200s, and the inventory says that it stands on nothing: qemu-img "
				     "rebase -b '' puts it right, or %s",
				     path, info.backing, otherwise);
	return reason_refuse(reason, -ESTALE,
			     "%.300s stands on %.200s, and the inventory says %.200s: put it back the way that it was "
			     "rebased (qemu-img rebase -F %s -b %.200s FILE, with -u if that was given), or %s",
			     path, info.backing[0] ? info.backing : "nothing", expected, format, expected, otherwise);
}

bool files_stands_on(struct store *store, const char *object, const char *version_file)
{
	char path[PATH_MAX], image[FILES_BACKING_TEXT];
	struct qcow2_info info;
	struct reason reason;

	if (!store_file_name_valid(object) ||
	    qcow2_read_info(store_path(store, "children", object, path), &info, &reason))
		return false;
	/* A layer beside it keeps its own name, also where a version that was promoted is the same file. */
	if (!strchr(info.backing, '/'))
		return false;
	snprintf(image, sizeof(image), FILES_BACKING, version_file);
	return is_same_file(store, info.backing, image);
}
