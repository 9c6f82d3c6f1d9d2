// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Children as files: qcow2 over their golden version, with the journal of the engine beside them (NAME.journal).
 */
#include "store/store.h"

#include "base/log.h"
#include "base/secret.h"
#include "base/util.h"
#include "disk/qcow2.h"
#include "store/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	NAME_RANDOM_CHARS = 12,	     /* 60 bits */
	CHILD_FIRST_BYTES = 1 << 20, /* what a new child may take at once */
};

void store_child_name(char child[NAME_MAX_TEXT], int64_t machine_hint)
{
	char random[NAME_RANDOM_CHARS + 1];

	secret_text(random, NAME_RANDOM_CHARS);
	if (machine_hint > 0)
		snprintf(child, NAME_MAX_TEXT, "m%lld-%s.qcow2", (long long)machine_hint, random);
	else
		snprintf(child, NAME_MAX_TEXT, "m-%s.qcow2", random);
}

void store_child_path(const struct store *store, const char *child, char *out, size_t out_size)
{
	snprintf(out, out_size, "%s/children/%s", store->dir, child);
}

void store_version_path(const struct store *store, const struct image_version *version, char *out, size_t out_size)
{
	snprintf(out, out_size, "%s/images/%s", store->dir, version->file);
}

int store_create_child(struct store *store, const char *child, const struct image_version *version,
		       const struct policy *policy, char *reason, size_t reason_size)
{
	char path[PATH_MAX], backing[160];
	struct qcow2_create how = {
		.path = path, .size_bytes = version->size_bytes, .backing = backing, .backing_format = version->format
	};
	int err;

	if (!store_file_name_valid(child) || !store_file_name_valid(version->file)) {
		snprintf(reason, reason_size, "not a file name");
		return -EINVAL;
	}
	err = store_check_space(store, policy, CHILD_FIRST_BYTES, reason, reason_size);
	if (err)
		return err;
	snprintf(backing, sizeof(backing), "../images/%s", version->file);
	store_path(store, "children", child, path);
	return qcow2_create(&how, reason, reason_size);
}

int store_grow_child(struct store *store, const char *child, uint64_t size_bytes, char *reason, size_t reason_size)
{
	struct child_info info;
	char path[PATH_MAX];
	int err;

	if (!size_bytes)
		return 0;
	err = store_child_info(store, child, &info);
	if (err) {
		snprintf(reason, reason_size, "%s cannot be read: %s", child, strerror(-err));
		return err;
	}
	if (info.virtual_bytes >= size_bytes)
		return 0;
	return qcow2_grow(store_path(store, "children", child, path), size_bytes, reason, reason_size);
}

int store_lift_child(struct store *store, const char *child, char *reason, size_t reason_size)
{
	char path[PATH_MAX];

	return qcow2_give_up_journal(store_path(store, "children", child, path), reason, reason_size);
}

int store_sync_child(struct store *store, const char *child)
{
	char path[PATH_MAX];
	int err = store_sync_path(store_path(store, "children", child, path));

	if (!err)
		err = store_sync_path(store_path(store, "children", NULL, path));
	return err;
}

void store_delete_child(struct store *store, const char *child)
{
	char path[PATH_MAX], journal[NAME_MAX_TEXT + 16];

	if (!store_file_name_valid(child)) {
		log_error("store: a child without a valid file name was to be deleted");
		return;
	}
	store_unlink(store_path(store, "children", child, path));
	snprintf(journal, sizeof(journal), "%.*s.journal", NAME_MAX_TEXT, child);
	store_unlink(store_path(store, "children", journal, path));
}

int store_child_info(const struct store *store, const char *child, struct child_info *info)
{
	char path[PATH_MAX], reason[REASON_TEXT];
	struct qcow2_info got;
	int err;

	if (!store_file_name_valid(child))
		return -ENOENT;
	err = qcow2_read_info(store_path(store, "children", child, path), &got, reason, sizeof(reason));
	if (err)
		return err == -ENOENT ? err : -EUCLEAN;
	*info = (struct child_info){ .virtual_bytes = got.size_bytes,
				     .allocated_bytes = got.allocated_bytes,
				     .format = "qcow2", /* or it would have been refused */
				     .clean = got.clean };
	return 0;
}
