// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Removing a version: its file moves to tmp/ within the job that deletes the row, and goes once that is committed.
 * After a crash in between the row decides: it is there, and the file goes back (reclaim.c), or it is not, and tmp/ is
 * emptied.
 */
#include "store/store.h"

#include "base/log.h"
#include "store/backend.h"
#include "store/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct removal {
	struct store *store;
	const struct store_removal *wanted;
	struct image_version version;
	char file[PATH_MAX], tmp[PATH_MAX];
	bool moved;
};

static int removal_move(struct removal *removal)
{
	char folder[PATH_MAX];
	int err;

	store_path(removal->store, "images", removal->version.file, removal->file);
	store_path(removal->store, "tmp", removal->version.file, removal->tmp);
	if (rename(removal->file, removal->tmp))
		return errno == ENOENT ? 0 : -errno; /* gone already: so much the better */
	removal->moved = true;
	err = store_sync_path(store_path(removal->store, "tmp", NULL, folder));
	return err ? err : store_sync_path(store_path(removal->store, "images", NULL, folder));
}

static int removal_run(struct inventory_tx *tx, void *arg)
{
	struct removal *removal = arg;
	const struct store_removal *wanted = removal->wanted;
	int err = version_by_id(tx, wanted->version_id, &removal->version);

	if (!err && wanted->check)
		err = wanted->check(tx, wanted->arg, &removal->version);
	if (!err)
		err = version_delete(tx, wanted->version_id);
	if (!err)
		err = event_add(tx, "info", "image-removed", wanted->actor, 0, removal->version.image,
				"%s@%u was removed%s%s%s", removal->version.image, removal->version.number,
				wanted->why ? " (" : "", wanted->why ? wanted->why : "", wanted->why ? ")" : "");
	return err ? err : removal_move(removal);
}

/* An object that somebody has rebased by hand would lose what it stands on, though the inventory knows nothing of it. */
struct user {
	struct store *store;
	const struct store_backend *backend;
	const char *version_file;
	char object[NAME_MAX + 1];
};

static int look_at_object(void *arg, const char *object)
{
	struct user *user = arg;

	if (!user->backend->stands_on(user->store, object, user->version_file))
		return 0;
	snprintf(user->object, sizeof(user->object), "%s", object);
	return 1;
}

static int find_version(struct inventory_tx *tx, void *arg)
{
	struct removal *removal = arg;

	return version_by_id(tx, removal->wanted->version_id, &removal->version);
}

/* True: there is one, in user. */
static bool find_user(struct store *store, const struct image_version *version, struct user *user)
{
	for (const struct store_backend *const *backend = store->backends; *backend; backend++) {
		*user = (struct user){ store, *backend, version->file, "" };
		if ((*backend)->stands_on && (*backend)->list(store, look_at_object, user) == 1)
			return true;
	}
	return false;
}

/* As the inventory knows it. */
static bool is_used(const struct image_version *version)
{
	return version->machines || version->volumes || version->snapshots || version->trashed || version->versions;
}

static int refuse_rebased(struct removal *removal, struct reason *reason)
{
	const struct image_version *version = &removal->version;
	struct user user;
	int err = store_read(removal->store, find_version, removal);

	/* Who has it by the inventory is told so by the job. */
	if (err || is_used(version))
		return 0;
	if (!find_user(removal->store, version, &user))
		return 0;
	/* It may be one that is given up, and was not deleted yet. */
	store_delete_given_up(removal->store);
	if (!find_user(removal->store, version, &user))
		return 0;
	return reason_refuse(
		reason, -EBUSY,
		"%s stands on %s@%u by its own header, though the inventory says otherwise: put it back the way "
		"that it was rebased (qemu-img rebase), or delete it, first",
		user.object, version->image, version->number);
}

int store_remove_version(struct store *store, int64_t version_id, const char *actor, struct reason *reason)
{
	const struct store_removal wanted = { .version_id = version_id, .actor = actor };

	return store_remove_version_if(store, &wanted, reason);
}

int store_remove_version_if(struct store *store, const struct store_removal *wanted, struct reason *reason)
{
	struct removal removal = { .store = store, .wanted = wanted };
	const struct image_version *version = &removal.version;
	int err = refuse_rebased(&removal, reason);

	if (err)
		return err;
	err = store_write(store, removal_run, &removal);

	if (!err) {
		if (removal.moved)
			store_unlink(removal.tmp);
		store_forget_read_set(store, version);
		return 0;
	}
	if (removal.moved && rename(removal.tmp, removal.file))
		log_error("store: %s could not be put back: %s: the next start will", removal.file, strerror(errno));
	if (err == -ENOENT)
		reason_set(reason, "there is no such image version");
	else if (err == -EBUSY && !is_used(version))
		reason_set(reason,
			   "%s@%u is the last one of its image, which a group gives its machines: sanbootctl group list says which, "
			   "sanbootctl group set NAME image=policy takes it away",
			   version->image, version->number);
	else if (err == -EBUSY)
		reason_set(
			reason,
			"%s@%u is in use: %u machines were made from it, and %u shared volumes or CDs stand on it, and %u snapshots; "
			"%u machines in the trash were. Move the machines to another version or reset them, and remove the volumes "
			"(sanbootctl volume list), the snapshots (sanbootctl machine snapshots M) and what is in the trash "
			"(sanbootctl machine trash list), first",
			version->image, version->number, version->machines, version->volumes, version->snapshots,
			version->trashed);
	else
		reason_set(reason, "%s@%u could not be removed: %s", version->image, version->number, strerror(-err));
	return err;
}
