// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * After a start, files and rows agree. What a crash leaves behind is known for certain, and only that is deleted:
 *
 *  - tmp/ holds nothing that anybody needs, but: a version's file that is missing in images/ (its removal did not
 * commit) goes back;
 *  - a file in images/ without a row that still has its second name in tmp/ is an import that did not commit;
 *  - a boot set whose version is gone (learn.c);
 *  - a child that a committed change gave up is named in the inventory (discarded_each);
 *  - a child without a row that was never written to is an enrolment that did not commit.
 *
 * Other files without rows may be all that is left of somebody's disk, say under an old backup of the inventory: they
 * stay, with a warning. Fresh children that are missing, or that a loss of power may have damaged, are made again:
 * nobody has logged in to them yet. Main thread, before anything else runs.
 */
#include "store/store.h"

#include "base/log.h"
#include "base/util.h"
#include "disk/qcow2.h"
#include "store/private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BOOT_ID_TEXT = 64, NAMES_MAX = 1 << 20 };

static const char boot_id_setting[] = "host-boot-id";
static const char journal_suffix[] = ".journal";

/* A set of names, sorted before it is searched. */
struct names {
	char **list;
	size_t count, capacity;
	bool failed;
};

static void names_add(struct names *names, const char *name)
{
	char **list = names->list;

	if (names->count == names->capacity) {
		size_t capacity = names->capacity ? 2 * names->capacity : 64;

		list = capacity <= NAMES_MAX ? reallocarray(list, capacity, sizeof(*list)) : NULL;
		if (list) {
			names->list = list;
			names->capacity = capacity;
		}
	}
	if (list)
		list[names->count] = strdup(name);
	if (list && list[names->count])
		names->count++;
	else
		names->failed = true;
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_sort(struct names *names)
{
	if (names->count)
		qsort(names->list, names->count, sizeof(*names->list), name_compare);
}

static bool names_have(const struct names *names, const char *name)
{
	return names->count && bsearch(&name, names->list, names->count, sizeof(*names->list), name_compare);
}

static void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
	*names = (struct names){ 0 };
}

struct reclaim {
	struct store *store;
	struct image_version *versions;
	size_t version_count, version_capacity;
	struct machine *machines;
	size_t machine_count, machine_capacity;
	struct names version_files, children, discarded;
	bool same_boot; /* the host has not started again since: what was written is still there */
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

static int take_machine(void *arg, const struct machine *machine)
{
	struct reclaim *r = arg;

	if (!machine->child[0])
		return 0;
	if (!grow((void **)&r->machines, r->machine_count, &r->machine_capacity, sizeof(*machine)))
		return -ENOMEM;
	r->machines[r->machine_count++] = *machine;
	names_add(&r->children, machine->child);
	return 0;
}

static int take_discarded(void *arg, const char *child)
{
	struct reclaim *r = arg;

	names_add(&r->discarded, child);
	return 0;
}

static int read_rows(struct inventory_tx *tx, void *arg)
{
	struct reclaim *r = arg;
	char before[BOOT_ID_TEXT];
	int err = version_each(tx, take_version, r);

	if (!err)
		err = machine_each(tx, take_machine, r);
	if (!err)
		err = discarded_each(tx, take_discarded, r);
	if (!err && (r->version_files.failed || r->children.failed || r->discarded.failed))
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

static const struct image_version *version_of(const struct reclaim *r, int64_t id)
{
	for (size_t i = 0; i < r->version_count; i++) {
		if (r->versions[i].id == id)
			return &r->versions[i];
	}
	return NULL;
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

/* A file of tmp/ with a second name: takes that one too, where no row knows it. */
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

static int empty_tmp(struct reclaim *r, char *reason, size_t reason_size)
{
	char path[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir(store_path(r->store, "tmp", NULL, path));

	if (!dir) {
		int err = -errno;

		snprintf(reason, reason_size, "%s: %s", path, strerror(-err));
		return err;
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
	char path[PATH_MAX], owner[NAME_MAX + 1];
	struct dirent *entry;
	DIR *dir = opendir(store_path(r->store, "images", NULL, path));

	while (dir && (entry = readdir(dir))) {
		/* A boot set belongs to its image, and is worth nothing without it. */
		if (store_is_boot_set(entry->d_name, owner)) {
			if (!names_have(&r->version_files, owner))
				store_unlink(store_path(r->store, "images", entry->d_name, path));
			continue;
		}
		if (entry->d_name[0] != '.' && !names_have(&r->version_files, entry->d_name))
			log_warning("store: images/%s is in no inventory: import it again, or delete it",
				    entry->d_name);
	}
	if (dir)
		closedir(dir);
}

/* ---- children ---- */

/* Is the file there, and still the one that was made for this machine? */
static bool child_is_sound(struct reclaim *r, const struct machine *machine, const struct image_version *version,
			   struct qcow2_info *info)
{
	char path[PATH_MAX], backing[160], reason[REASON_TEXT];

	snprintf(backing, sizeof(backing), "../images/%s", version->file);
	return !qcow2_read_info(store_path(r->store, "children", machine->child, path), info, reason, sizeof(reason)) &&
	       info->size_bytes >= version->size_bytes && !strcmp(info->backing, backing);
}

struct change {
	struct machine machine;
	bool failed; /* else: made again */
	const char *text;
};

static int record_change(struct inventory_tx *tx, void *arg)
{
	struct change *change = arg;
	struct machine *machine = &change->machine;
	int err = machine_by_id(tx, machine->id, machine);

	if (err)
		return err;
	if (change->failed) {
		machine->state = MACHINE_FAILED;
		snprintf(machine->state_reason, sizeof(machine->state_reason), "%s", change->text);
	} else {
		machine->child_fresh = true;
		err = boot_end_all(tx, machine->id); /* what runs from the old one must not go on with this one */
	}
	if (!err)
		err = machine_update(tx, machine);
	if (!err)
		err = event_add(tx, change->failed ? "error" : "warning",
				change->failed ? "disk-missing" : "disk-made-again", "server", machine->id,
				machine->name, "%s", change->text);
	return err;
}

static void record(struct reclaim *r, const struct machine *machine, bool failed, const char *text)
{
	struct change change = { .machine = *machine, .failed = failed, .text = text };
	int err = store_write(r->store, record_change, &change);

	if (err)
		log_error("store: %s: %s: this could not be recorded: %s", machine->name, text, strerror(-err));
}

static int make_again(struct reclaim *r, const struct machine *machine, const struct image_version *version)
{
	char reason[REASON_TEXT];
	int err;

	store_delete_child(r->store, machine->child);
	err = store_create_child(r->store, machine->child, version, NULL, reason, sizeof(reason));
	if (!err)
		err = store_grow_child(r->store, machine->child, machine->size_bytes, reason, sizeof(reason));
	if (err)
		log_error("store: %s: its disk could not be made again: %s", machine->name, reason);
	return err;
}

static void reclaim_machine(struct reclaim *r, const struct machine *machine)
{
	const struct image_version *version = version_of(r, machine->version_id);
	struct qcow2_info info = { .clean = false };
	char path[PATH_MAX];
	bool sound;

	if (!version || !store_file_name_valid(machine->child))
		return;
	sound = child_is_sound(r, machine, version, &info);
	if (machine->child_fresh) {
		/* Made without a sync: after a loss of power its pages may be anything. */
		if (!sound || !r->same_boot)
			make_again(r, machine, version);
		return;
	}
	if (machine->mode == MODE_EPHEMERAL && (!sound || (!r->same_boot && !info.clean))) {
		if (!make_again(r, machine, version))
			record(r, machine, false,
			       "its disk, kept for one boot only, was lost with the server's power: it starts with a "
			       "new one");
		return;
	}
	if (access(store_path(r->store, "children", machine->child, path), F_OK) && errno == ENOENT &&
	    machine->state == MACHINE_READY)
		record(r, machine, true,
		       "its disk is missing in children/: put the file back (a backup), or reset the machine");
}

static int forget_discarded(struct inventory_tx *tx, void *arg)
{
	struct reclaim *r = arg;

	for (size_t i = 0; i < r->discarded.count; i++) {
		int err = discarded_forget(tx, r->discarded.list[i]);

		if (err)
			return err;
	}
	return setting_set(tx, boot_id_setting, r->boot_id);
}

/* How long the file of a new child for a disk of that size is; 0 where it cannot be told. */
static uint64_t new_child_bytes(struct reclaim *r, uint64_t size_bytes)
{
	char path[PATH_MAX], reason[REASON_TEXT];
	struct qcow2_create how = { .path = path, .size_bytes = size_bytes };
	struct stat st = { .st_size = 0 };

	store_path(r->store, "tmp", "measure", path);
	if (!qcow2_create(&how, reason, sizeof(reason)) && stat(path, &st))
		st.st_size = 0;
	store_unlink(path);
	return (uint64_t)st.st_size;
}

/* Was it made, and then nothing more? Its enrolment did not commit. The first write to a disk makes its file longer. */
static bool child_is_unused(struct reclaim *r, const char *name)
{
	char path[PATH_MAX], reason[REASON_TEXT];
	struct qcow2_info info;
	struct stat st;

	if (stat(store_path(r->store, "children", name, path), &st) || !S_ISREG(st.st_mode))
		return false;
	if (!st.st_blocks)
		return true; /* cut down in the middle of its making */
	return !qcow2_read_info(path, &info, reason, sizeof(reason)) && info.clean &&
	       (uint64_t)st.st_size <= new_child_bytes(r, info.size_bytes);
}

static void reclaim_unknown_child(struct reclaim *r, const char *name)
{
	size_t len = strlen(name), suffix = sizeof(journal_suffix) - 1;
	char path[PATH_MAX], owner[NAME_MAX + 1];

	if (len > suffix && len <= NAME_MAX && !strcmp(name + len - suffix, journal_suffix)) {
		snprintf(owner, sizeof(owner), "%.*s", (int)(len - suffix), name);
		/* It belongs to its child, and goes when that went. */
		if (!names_have(&r->children, owner) && access(store_path(r->store, "children", owner, path), F_OK))
			store_unlink(store_path(r->store, "children", name, path));
		return;
	}
	if (child_is_unused(r, name)) {
		log_info("store: children/%s: removed, the enrolment that made it had not been completed", name);
		store_delete_child(r->store, name);
		return;
	}
	log_warning("store: children/%s belongs to no machine (is the inventory older than it?): delete it by hand if "
		    "nobody misses it",
		    name);
}

static int reclaim_children(struct reclaim *r, char *reason, size_t reason_size)
{
	char path[PATH_MAX];
	struct names found = { 0 };
	struct dirent *entry;
	DIR *dir;
	int err = 0;

	for (size_t i = 0; i < r->discarded.count; i++)
		store_delete_child(r->store, r->discarded.list[i]);
	for (size_t i = 0; i < r->machine_count; i++)
		reclaim_machine(r, &r->machines[i]);
	dir = opendir(store_path(r->store, "children", NULL, path));
	if (!dir) {
		err = -errno;
		snprintf(reason, reason_size, "%s: %s", path, strerror(-err));
		return err;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.' && !names_have(&r->children, entry->d_name))
			names_add(&found, entry->d_name);
	}
	closedir(dir);
	/* Sorted: a child comes before its journal. */
	names_sort(&found);
	for (size_t i = 0; i < found.count; i++)
		reclaim_unknown_child(r, found.list[i]);
	names_free(&found);
	return 0;
}

int store_reclaim(struct store *store, char *reason, size_t reason_size)
{
	struct reclaim r = { .store = store };
	int err;

	read_boot_id(r.boot_id);
	err = store_read(store, read_rows, &r);
	if (err) {
		snprintf(reason, reason_size, "the inventory could not be read: %s", strerror(-err));
		goto out;
	}
	names_sort(&r.version_files);
	names_sort(&r.children);
	names_sort(&r.discarded);
	for (size_t i = 0; i < r.version_count; i++)
		reclaim_image(&r, &r.versions[i]);
	err = empty_tmp(&r, reason, reason_size);
	if (!err)
		err = reclaim_children(&r, reason, reason_size);
	if (err)
		goto out;
	warn_about_unknown_images(&r);
	err = store_write(store, forget_discarded, &r);
	if (err)
		snprintf(reason, reason_size, "the inventory could not be written: %s", strerror(-err));
out:
	free(r.versions);
	free(r.machines);
	names_free(&r.version_files);
	names_free(&r.children);
	names_free(&r.discarded);
	return err;
}
