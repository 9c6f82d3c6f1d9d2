// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A version that stands on others becomes one file:
 *
 *     debian@1 <- lab@1 <- lab@2 <- machines        becomes        lab@2' <- machines
 *
 * The new file, lab@2', is qcow2 like the old one and gets its name: what stands on it names that, and says nothing of what lies
 * below. Who has the old files open reads on in them; the next one opens the new one, which reads the same: that is looked at
 * before. Versions never change, so both are made and compared while machines use them.
 *
 *     tmp/FILE.flat made, synced, compared, hashed    crash: tmp/ is emptied
 *     announced in the inventory                      crash: the file is still the old one: forgotten
 *     renamed over images/FILE, in the job that       crash between them: the file is the announced one: done at the
 *     changes the row                                 start; until then it is good under both identities (verify.c)
 */
#include "store/store.h"

#include "base/log.h"
#include "disk/qcow2.h"
#include "store/hash.h"
#include "store/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct flatten {
	struct store *store;
	const struct image_version *version;
	const struct qcow2_step *step;
	struct reason *reason;
	struct version_flat flat;
	struct image_version below; /* while they are looked at */
	struct policy policy;
	uint64_t bytes; /* that the chain takes */
	char tmp[PATH_MAX], path[PATH_MAX];
};

/* ---- what it stands on ---- */

static int flatten_read_below(struct inventory_tx *tx, void *arg)
{
	struct flatten *f = arg;

	return version_by_id(tx, f->below.parent_id, &f->below);
}

/* Nothing that changed behind the server's back becomes a good version by that. */
static int flatten_verify(struct flatten *f)
{
	int err = store_verify_version(f->store, f->version, f->reason);

	f->below = *f->version;
	f->bytes = store_version_allocated(f->store, f->version);
	while (!err && f->below.parent_id) {
		err = store_read(f->store, flatten_read_below, f);
		if (!err)
			err = store_verify_version(f->store, &f->below, f->reason);
		if (!err)
			f->bytes += store_version_allocated(f->store, &f->below);
	}
	return err;
}

/* ---- the new file ---- */

static bool flatten_hashes(void *arg, unsigned percent)
{
	const struct flatten *f = arg;

	(void)percent;
	return f->step->step(f->step->arg, 0);
}

static int flatten_identify(struct flatten *f)
{
	struct progress progress = { flatten_hashes, f };
	int fd = open(f->tmp, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	int err = fd < 0 || fchmod(fd, 0444) || fsync(fd) || fstat(fd, &st) ? -errno : 0;

	if (!err)
		err = hash_file(fd, (uint64_t)st.st_size, hash_kind_for(fd, (uint64_t)st.st_size), &progress,
				f->flat.sha256);
	if (fd >= 0)
		close(fd);
	if (err)
		return reason_refuse(f->reason, err, "%.300s cannot be made durable: %s", f->tmp, strerror(-err));
	f->flat.version_id = f->version->id;
	f->flat.inode = st.st_ino;
	f->flat.mtime_ns = stat_mtime_ns(&st);
	return 0;
}

static int flatten_make(struct flatten *f)
{
	int err = store_check_space(f->store, &f->policy, f->bytes, f->reason);

	if (!err)
		err = qcow2_copy_flat(f->path, f->tmp, f->step, f->reason);
	if (!err)
		err = flatten_identify(f);
	if (!err)
		err = qcow2_compare(f->path, f->tmp, f->step, f->reason);
	return err ? err : flatten_verify(f);
}

/* ---- the change ---- */

static int flatten_announce(struct inventory_tx *tx, void *arg)
{
	const struct flatten *f = arg;

	return version_flat_announce(tx, &f->flat);
}

static int flatten_switch(struct inventory_tx *tx, void *arg)
{
	const struct flatten *f = arg;
	char folder[PATH_MAX];
	int err = version_flat_done(tx, &f->flat);

	if (!err && rename(f->tmp, f->path))
		err = -errno;
	return err ? err : store_sync_path(store_path(f->store, "images", NULL, folder));
}

static int flatten_change(struct flatten *f)
{
	int err = store_write(f->store, flatten_announce, f);

	if (!err)
		err = store_write(f->store, flatten_switch, f);
	if (err) /* announced, and perhaps renamed: whoever looks at that next finds out */
		store_finish_flat(f->store);
	return err ? reason_refuse(f->reason, err, "the inventory could not be changed: %s", strerror(-err)) : 0;
}

int store_flatten_version(struct store *store, const struct image_version *version, const struct qcow2_step *step,
			  struct reason *reason)
{
	struct flatten f = { .store = store, .version = version, .step = step, .reason = reason };
	char name[NAME_MAX + 1];
	int err;

	if (strcmp(version->format, "qcow2") || !version->parent_id || !version->sha256[0])
		return reason_refuse(reason, -EINVAL, "%s@%u stands on nothing, or is not known yet", version->image,
				     version->number);
	snprintf(name, sizeof(name), "%s.flat", version->file);
	store_path(store, "tmp", name, f.tmp);
	store_path(store, "images", version->file, f.path);
	err = store_get_policy(store, &f.policy);
	if (!err)
		err = flatten_verify(&f);
	if (err)
		return reason_default(reason, err, "what it stands on cannot be looked at: %s", strerror(-err));
	store_unlink(f.tmp);
	err = flatten_make(&f);
	if (!err)
		err = flatten_change(&f);
	store_unlink(f.tmp);
	return err;
}

/* ---- afterwards ---- */

struct finish {
	struct version_flat flat;
	struct image_version version;
};

static int finish_find(struct inventory_tx *tx, void *arg)
{
	struct finish *finish = arg;
	int err = version_flat_next(tx, finish->flat.version_id + 1, &finish->flat);

	return err ? err : version_by_id(tx, finish->flat.version_id, &finish->version);
}

static int finish_done(struct inventory_tx *tx, void *arg)
{
	const struct finish *finish = arg;

	return version_flat_done(tx, &finish->flat);
}

static int finish_forget(struct inventory_tx *tx, void *arg)
{
	const struct finish *finish = arg;

	return version_flat_forget(tx, finish->flat.version_id);
}

void store_finish_flat(struct store *store)
{
	struct finish finish = { .flat.version_id = 0 };
	char path[PATH_MAX], folder[PATH_MAX];
	struct stat st;
	int err = 0;

	while (!err && !(err = store_read(store, finish_find, &finish))) {
		bool there = !stat(store_path(store, "images", finish.version.file, path), &st) &&
			     st.st_ino == finish.flat.inode && stat_mtime_ns(&st) == finish.flat.mtime_ns;

		if (there)
			err = store_sync_path(store_path(store, "images", NULL, folder));
		if (!err)
			err = store_write(store, there ? finish_done : finish_forget, &finish);
	}
	if (err != -ENOENT)
		log_error("store: %s@%u: what was to become one file is looked at again later: %s",
			  finish.version.image, finish.version.number, strerror(-err));
}
