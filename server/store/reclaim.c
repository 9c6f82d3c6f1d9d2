// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * After a start, what is stored and what the inventory says agree. What a crash leaves behind is known for certain, and
 * only that is deleted:
 *
 *  - all of tmp/, except that a version's file that is missing in images/ (its removal did not commit) goes back;
 *  - a file in images/ without a row that still has its second name in tmp/ is an import that did not commit;
 *  - a read set whose version is gone (learn.c);
 *  - an object that a committed change gave up is named in the inventory (discarded_each);
 *  - an object that no volume and no snapshot names and that was never written to: what made it did not commit.
 *
 * Main thread, before anything else runs.
 */
#include "store/store.h"

#include "base/log.h"
#include "base/util.h"
#include "inventory/maintenance.h"
#include "inventory/snapshot.h"
#include "inventory/trash.h"
#include "store/backend.h"
#include "store/names.h"
#include "store/private.h"
#include "store/strangers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BOOT_ID_TEXT = 64 };

static const char boot_id_setting[] = "host-boot-id";

struct reclaim_layer {
	struct snapshot snapshot;
	size_t volume; /* whose it is: its place among the volumes */
};

struct reclaim {
	struct store *store;
	struct image_version *versions;
	size_t version_count, version_capacity;
	struct reclaim_volume *volumes; /* with an object, of all backends */
	size_t volume_count, volume_capacity;
	struct reclaim_layer *layers; /* what snapshots keep, in all backends */
	size_t layer_count, layer_capacity;
	struct names version_files;
	struct inventory_tx *tx; /* while rows are read */
	bool same_boot;		 /* the host has not started again since: what was written is still there */
	char boot_id[BOOT_ID_TEXT];
};

/* ---- reading the inventory ---- */

/* Room for one more; false: no memory. */
static bool grow(void **list, size_t count, size_t *capacity, size_t size)
{
	size_t more = *capacity ? 2 * *capacity : 64;
	void *grown;

	if (count < *capacity)
		return true;
	grown = reallocarray(*list, more, size);
	if (!grown)
		return false;
	*list = grown;
	*capacity = more;
	return true;
}

static int take_version(void *arg, const struct image_version *version)
{
	struct reclaim *r = arg;

	if (!grow((void **)&r->versions, r->version_count, &r->version_capacity, sizeof(*version)))
		return -ENOMEM;
	r->versions[r->version_count++] = *version;
	names_add(&r->version_files, version->file);
	return 0;
}

static struct reclaim_volume *add_volume(struct reclaim *r, const struct volume *volume)
{
	struct reclaim_volume *row;

	if (!grow((void **)&r->volumes, r->volume_count, &r->volume_capacity, sizeof(*r->volumes)))
		return NULL;
	row = &r->volumes[r->volume_count++];
	*row = (struct reclaim_volume){ .volume = *volume };
	return row;
}

static int take_machine(void *arg, const struct machine *machine)
{
	struct reclaim_volume *row;

	if (!machine->system.object[0])
		return 0;
	row = add_volume(arg, &machine->system);
	if (!row)
		return -ENOMEM;
	row->machine_id = machine->id;
	row->ephemeral = machine->mode == MODE_EPHEMERAL;
	snprintf(row->owner, sizeof(row->owner), "%s", machine->name);
	return 0;
}

static int take_owner(void *arg, int64_t machine_id, unsigned lun)
{
	struct reclaim_volume *row = arg;

	(void)lun;
	row->machine_id = machine_id;
	return 1;
}

static int take_volume(void *arg, const struct volume *volume)
{
	struct reclaim *r = arg;
	struct reclaim_volume *row;
	int err;

	if (volume->kind == VOLUME_SYSTEM || !volume->object[0])
		return 0; /* its machine had it, or the trash has */
	row = add_volume(r, volume);
	if (!row)
		return -ENOMEM;
	snprintf(row->owner, sizeof(row->owner), "%s", volume->name);
	err = attachment_each_machine(r->tx, volume->id, take_owner, row);
	return err < 0 ? err : 0;
}

static int take_trash(void *arg, const struct trash_entry *entry)
{
	struct reclaim_volume *row;

	if (!entry->system.object[0])
		return 0;
	row = add_volume(arg, &entry->system);
	if (!row)
		return -ENOMEM;
	snprintf(row->owner, sizeof(row->owner), "%s", entry->name);
	return 0;
}

/* Its machine is in maintenance; the boots that it has are of another disk. */
static int take_aside(void *arg, const struct maintenance *maintenance, const struct volume *aside)
{
	struct reclaim *r = arg;
	struct reclaim_volume *row;
	struct machine machine;
	int err;

	if (!aside->object[0])
		return 0;
	row = add_volume(r, aside);
	if (!row)
		return -ENOMEM;
	row->ephemeral = maintenance->mode == MODE_EPHEMERAL;
	err = machine_by_id(r->tx, maintenance->machine_id, &machine);
	if (!err)
		snprintf(row->owner, sizeof(row->owner), "%s", machine.name);
	return err;
}

/* After the volumes. */
static int take_snapshot(void *arg, const struct snapshot *snapshot)
{
	struct reclaim *r = arg;

	if (!grow((void **)&r->layers, r->layer_count, &r->layer_capacity, sizeof(*r->layers)))
		return -ENOMEM;
	for (size_t i = 0; i < r->volume_count; i++) {
		struct reclaim_volume *row = &r->volumes[i];

		if (row->volume.id == snapshot->volume_id)
			r->layers[r->layer_count++] = (struct reclaim_layer){ *snapshot, i };
		if (row->volume.snapshot_id == snapshot->id)
			snprintf(row->layer, sizeof(row->layer), "%s", snapshot->object);
	}
	return 0;
}

static int read_rows(struct inventory_tx *tx, void *arg)
{
	struct reclaim *r = arg;
	char before[BOOT_ID_TEXT];
	int err = version_each(tx, take_version, r);

	r->tx = tx;
	if (!err)
		err = machine_each(tx, take_machine, r);
	if (!err)
		err = volume_each(tx, take_volume, r);
	if (!err)
		err = trash_each(tx, take_trash, r);
	if (!err)
		err = maintenance_each(tx, take_aside, r);
	if (!err)
		err = snapshot_each(tx, 0, take_snapshot, r);
	if (!err && r->version_files.failed)
		err = -ENOMEM;
	if (err)
		return err;
	r->same_boot = !setting_get(tx, boot_id_setting, before, sizeof(before)) && r->boot_id[0] &&
		       !strcmp(before, r->boot_id);
	return 0;
}

static void read_boot_id(char boot_id[BOOT_ID_TEXT])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	boot_id[0] = '\0';
	if (!file)
		return;
	if (!fgets(boot_id, BOOT_ID_TEXT, file))
		boot_id[0] = '\0';
	boot_id[strcspn(boot_id, "\n")] = '\0';
	fclose(file);
}

/* ---- images and tmp ---- */

static void reclaim_image(struct reclaim *r, const struct image_version *version)
{
	char path[PATH_MAX], tmp[PATH_MAX];
	struct stat st;

	store_path(r->store, "images", version->file, path);
	if (!stat(path, &st))
		return;
	if (errno == ENOENT && !rename(store_path(r->store, "tmp", version->file, tmp), path)) {
		log_info("store: %s is back: its removal had not been completed", path);
		return;
	}
	log_error("store: golden image %s@%u: %s is missing: put it back (a backup), or its %u machines cannot boot",
		  version->image, version->number, path, version->machines);
	inventory_event(r->store->inventory, "error", "image-missing", "server", 0, version->image,
			"%s@%u: images/%s is missing: put it back (a backup), or its machines cannot boot",
			version->image, version->number, version->file);
}

/* A file of tmp/ has a second name: removes that one, too, unless a row has it. */
static void reclaim_half_published(struct reclaim *r, ino_t inode)
{
	char path[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir(store_path(r->store, "images", NULL, path));

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || names_have(&r->version_files, entry->d_name))
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) || st.st_ino != inode)
			continue;
		log_info("store: images/%s: removed, its import had not been completed", entry->d_name);
		store_unlink(store_path(r->store, "images", entry->d_name, path));
	}
	closedir(dir);
}

static int empty_tmp(struct reclaim *r, struct reason *reason)
{
	char path[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir(store_path(r->store, "tmp", NULL, path));

	if (!dir) {
		int err = -errno;

		return reason_refuse(reason, err, "%s: %s", path, strerror(-err));
	}
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (!fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) && st.st_nlink > 1)
			reclaim_half_published(r, st.st_ino);
		store_unlink(store_path(r->store, "tmp", entry->d_name, path));
	}
	closedir(dir);
	return 0;
}

static void warn_about_unknown_images(struct reclaim *r)
{
	struct strangers strangers = { 0 };
	char path[PATH_MAX], owner[NAME_MAX + 1];
	struct dirent *entry;
	DIR *dir = opendir(store_path(r->store, "images", NULL, path));

	while (dir && (entry = readdir(dir))) {
		/* A read set belongs to its image, and is worth nothing without it. */
		if (store_is_read_set(entry->d_name, owner)) {
			if (!names_have(&r->version_files, owner))
				store_unlink(store_path(r->store, "images", entry->d_name, path));
			continue;
		}
		if (entry->d_name[0] != '.' && !names_have(&r->version_files, entry->d_name)) {
			log_warning("store: images/%s is in no inventory: import it again, or delete it",
				    entry->d_name);
			strangers_add(&strangers, entry->d_name);
		}
	}
	if (dir)
		closedir(dir);
	strangers_tell(r->store, &strangers, "image-unknown",
		       "files in images/ that no inventory has: import again, or delete");
}

/* ---- volumes ---- */

const struct image_version *reclaim_version(const struct reclaim_rows *rows, int64_t version_id)
{
	for (size_t i = 0; i < rows->version_count; i++) {
		if (rows->versions[i].id == version_id)
			return &rows->versions[i];
	}
	return NULL;
}

int reclaim_make_again(struct store *store, const struct reclaim_volume *volume, const struct image_version *version)
{
	const struct volume *v = &volume->volume;
	const struct store_backend *backend = store_backend_find(store, v->backend);
	struct reason reason;
	int err;

	backend->remove(store, v->object);
	err = volume->layer[0] ? backend->snapshot(store, v, volume->layer, &reason) :
				 backend->create(store, v, version, &reason);
	if (!err && v->size_bytes)
		err = backend->grow(store, v->object, v->size_bytes, &reason);
	if (err)
		log_error("store: %s: its disk could not be made again: %s", volume->owner, reason.text);
	return err;
}

struct change {
	const struct reclaim_volume *row;
	bool failed; /* else: made again */
	const char *text;
};

static int record_change(struct inventory_tx *tx, void *arg)
{
	const struct change *change = arg;
	const struct reclaim_volume *row = change->row;
	struct volume volume;
	int err = volume_by_id(tx, row->volume.id, &volume);

	if (err)
		return err;
	if (change->failed) {
		volume.state = VOLUME_FAILED;
		snprintf(volume.state_reason, sizeof(volume.state_reason), "%s", change->text);
	} else {
		volume.fresh = true;
		/* What runs from the old one must not go on with this one. */
		err = row->machine_id ? machine_boot_end_all(tx, row->machine_id) : 0;
	}
	if (!err)
		err = volume_update(tx, &volume);
	if (!err)
		err = event_add(tx, change->failed ? "error" : "warning",
				change->failed ? "disk-missing" : "disk-made-again", "server", row->machine_id,
				row->owner, "%s", change->text);
	return err;
}

void reclaim_record(struct store *store, const struct reclaim_volume *volume, bool failed, const char *text)
{
	struct change change = { .row = volume, .failed = failed, .text = text };
	int err = store_write(store, record_change, &change);

	if (err)
		log_error("store: %s: %s: this could not be recorded: %s", volume->owner, text, strerror(-err));
}

void reclaim_say_rebased(struct store *store, const struct reclaim_volume *volume, const char *text)
{
	inventory_event(store->inventory, "error", "disk-rebased", "server", volume->machine_id, volume->owner,
			"%.400s", text);
}

/* Opening a disk over it will be refused, and so will a restore. Here people learn of it before. */
static void check_layer(struct reclaim *r, const struct store_backend *backend, const struct reclaim_layer *layer)
{
	const struct snapshot *snapshot = &layer->snapshot;
	const struct reclaim_volume *row = &r->volumes[layer->volume];
	struct volume as_was = row->volume;
	struct volume_info info;

	memcpy(as_was.object, snapshot->object, sizeof(as_was.object));
	if (backend->info(r->store, &as_was, NULL, &info) != -ENOENT)
		return;
	log_error("store: %s: %s of its snapshot %s is missing: put it back (a backup)", row->owner, info.path,
		  snapshot->label);
	inventory_event(r->store->inventory, "error", "snapshot-missing", "server", row->machine_id, row->owner,
			"what snapshot %s keeps is missing: put %.300s back (a backup), or remove the snapshot",
			snapshot->label, info.path);
}

static bool is_kept_by(const struct reclaim_volume *volume, const struct store_backend *backend)
{
	return !strcmp(volume->volume.backend, backend->name);
}

struct unknown {
	struct names known, found;
};

static int take_unknown(void *arg, const char *object)
{
	struct unknown *unknown = arg;

	if (!names_have(&unknown->known, object))
		names_add(&unknown->found, object);
	return 0;
}

/* What may be all that is left of somebody's disk, say under an old backup of the inventory, stays, with a warning. */
static void reclaim_object(struct store *store, const struct store_backend *backend, const char *object,
			   struct strangers *strangers)
{
	if (backend->is_unused(store, object)) {
		log_info("store: %s: %s: removed, what made it had not been completed", backend->name, object);
		backend->remove(store, object);
		return;
	}
	log_warning("store: %s: %s belongs to no volume (is the inventory older than it?): delete it by hand if nobody "
		    "misses it",
		    backend->name, object);
	strangers_add(strangers, object);
}

/* Listed first, for the list must not change while it is walked. */
static int reclaim_unknown(struct reclaim *r, const struct store_backend *backend)
{
	struct store *store = r->store;
	struct unknown unknown = { .known = { 0 } };
	struct strangers strangers = { 0 };
	int err;

	for (size_t i = 0; i < r->volume_count; i++) {
		if (is_kept_by(&r->volumes[i], backend))
			names_add(&unknown.known, r->volumes[i].volume.object);
	}
	for (size_t i = 0; i < r->layer_count; i++) {
		if (is_kept_by(&r->volumes[r->layers[i].volume], backend))
			names_add(&unknown.known, r->layers[i].snapshot.object);
	}
	names_sort(&unknown.known);
	err = unknown.known.failed ? -ENOMEM : backend->list(store, take_unknown, &unknown);
	for (size_t i = 0; i < unknown.found.count && !err; i++)
		reclaim_object(store, backend, unknown.found.list[i], &strangers);
	strangers_tell(store, &strangers, "disk-unknown",
		       "files of disks that no volume has (is the inventory older?): delete by hand what nobody misses");
	names_free(&unknown.known);
	names_free(&unknown.found);
	return err;
}

static int reclaim_backend(struct reclaim *r, const struct store_backend *backend, struct reason *reason)
{
	struct reclaim_rows rows = {
		.volumes = calloc(r->volume_count + 1, sizeof(*rows.volumes)),
		.versions = r->versions,
		.version_count = r->version_count,
		.same_boot = r->same_boot,
	};
	int err = rows.volumes ? store_delete_discarded(r->store, backend, true) : -ENOMEM;

	if (err) {
		reason_set(reason, "what the inventory has given up could not be removed: %s", strerror(-err));
		goto out;
	}
	for (size_t i = 0; i < r->volume_count; i++) {
		if (is_kept_by(&r->volumes[i], backend))
			rows.volumes[rows.count++] = r->volumes[i];
	}
	for (size_t i = 0; i < rows.count; i++)
		backend->reclaim(r->store, &rows, &rows.volumes[i]);
	for (size_t i = 0; i < r->layer_count; i++) {
		if (is_kept_by(&r->volumes[r->layers[i].volume], backend))
			check_layer(r, backend, &r->layers[i]);
	}
	err = reclaim_unknown(r, backend);
	if (err)
		reason_set(reason, "what %s keeps cannot be listed: %s", backend->name, strerror(-err));
out:
	free(rows.volumes);
	return err;
}

static int keep_boot_id(struct inventory_tx *tx, void *arg)
{
	const struct reclaim *r = arg;

	return setting_set(tx, boot_id_setting, r->boot_id);
}

/* Disks that ephemeral boots left, and that nobody had synced: after a start of the host nobody knows what is in them. */
static int lose_unsynced(struct inventory_tx *tx, void *arg)
{
	const struct reclaim *r = arg;
	char before[BOOT_ID_TEXT];
	int lost;

	if (!setting_get(tx, boot_id_setting, before, sizeof(before)) && r->boot_id[0] && !strcmp(before, r->boot_id))
		return 0;
	lost = snapshot_lose_unsynced(tx);
	return lost <= 0 ?
		       lost :
		       event_add(tx, "info", "snapshots-lost", "server", 0, "",
				 "%d disk%s that ephemeral boots left went with the host's restart: nobody had had the "
				 "time to sync them",
				 lost, lost == 1 ? "" : "s");
}

int store_reclaim(struct store *store, struct reason *reason)
{
	struct reclaim r = { .store = store };
	int err;

	read_boot_id(r.boot_id);
	err = store_write(store, lose_unsynced, &r);
	if (!err)
		store_finish_flat(store);
	if (!err)
		err = store_read(store, read_rows, &r);
	if (err) {
		reason_set(reason, "the inventory could not be read: %s", strerror(-err));
		goto out;
	}
	names_sort(&r.version_files);
	for (size_t i = 0; i < r.version_count; i++)
		reclaim_image(&r, &r.versions[i]);
	err = empty_tmp(&r, reason);
	for (const struct store_backend *const *backend = store->backends; *backend && !err; backend++)
		err = reclaim_backend(&r, *backend, reason);
	if (err)
		goto out;
	warn_about_unknown_images(&r);
	err = store_settle_unfinished(store);
	if (!err)
		err = store_write(store, keep_boot_id, &r);
	if (err)
		reason_set(reason, "the inventory could not be written: %s", strerror(-err));
out:
	free(r.versions);
	free(r.volumes);
	free(r.layers);
	names_free(&r.version_files);
	return err;
}
