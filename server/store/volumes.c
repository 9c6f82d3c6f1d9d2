// SPDX-License-Identifier: GPL-2.0-or-later
/* Volumes: each call finds the backend that keeps it. See store.h and backend.h. */
#include "store/store.h"

#include "base/log.h"
#include "base/secret.h"
#include "base/util.h"
#include "store/backend.h"
#include "store/private.h"
#include "store/shared.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	NAME_RANDOM_CHARS = 12,	      /* 60 bits */
	VOLUME_FIRST_BYTES = 1 << 20, /* what a new volume may take at once */
	VOLUME_UNIT_BYTES = 4096,
};

const struct store_backend *store_backend_find(const struct store *store, const char *name)
{
	for (const struct store_backend *const *backend = store->backends; *backend; backend++) {
		if (!strcmp((*backend)->name, name))
			return *backend;
	}
	return NULL;
}

/* The backend of a volume; NULL, said and logged, where this server has none of that name. */
static const struct store_backend *backend_of(const struct store *store, const struct volume *volume,
					      struct reason *reason)
{
	const struct store_backend *backend = store_backend_find(store, volume->backend);

	if (!backend)
		reason_set(reason, "this sanbootd has no backend \"%s\", which keeps volume #%lld", volume->backend,
			   (long long)volume->id);
	return backend;
}

const char *store_default_backend(const struct store *store)
{
	return store->backends[0]->name;
}

/* ---- making, changing, deleting ---- */

static void name_object(struct volume *volume, const struct store_backend *backend, int64_t machine_hint)
{
	char random[NAME_RANDOM_CHARS + 1], hint[32] = "";

	secret_text(random, NAME_RANDOM_CHARS);
	if (machine_hint > 0)
		snprintf(hint, sizeof(hint), "%lld", (long long)machine_hint);
	snprintf(volume->object, sizeof(volume->object), "%s%s-%s%s", volume->kind == VOLUME_SYSTEM ? "m" : "d", hint,
		 random, backend->suffix);
}

static int check_new(const struct volume *volume, const struct image_version *version, struct reason *reason)
{
	if (volume_kind_is_shared(volume->kind))
		return reason_refuse(reason, -EINVAL,
				     "a %s volume is a golden version as it is: nothing is made for it",
				     volume_kind_name(volume->kind));
	if (version ||
	    (volume->size_bytes && volume->size_bytes % VOLUME_UNIT_BYTES == 0 && volume->size_bytes <= STORE_SIZE_MAX))
		return 0;
	return reason_refuse(reason, -EINVAL, "size: expected a multiple of 4 KiB from 4K to 16T, such as 20G");
}

int store_create_volume(struct store *store, struct volume *volume, const struct image_version *version,
			const struct policy *policy, int64_t machine_hint, struct reason *reason)
{
	struct volume made = *volume;
	const struct store_backend *backend;
	int err;

	if (!made.backend[0])
		snprintf(made.backend, sizeof(made.backend), "%s", store_default_backend(store));
	volume->object[0] = '\0';
	backend = backend_of(store, &made, reason);
	if (!backend)
		return -EINVAL;
	err = check_new(&made, version, reason);
	if (!err)
		err = store_check_space(store, policy, VOLUME_FIRST_BYTES, reason);
	if (err)
		return err;
	name_object(&made, backend, machine_hint);
	err = backend->create(store, &made, version, reason);
	if (err)
		return err;
	if (version && made.size_bytes)
		err = backend->grow(store, made.object, made.size_bytes, reason);
	if (err) {
		backend->remove(store, made.object);
		return err;
	}
	made.fresh = true;
	*volume = made;
	return 0;
}

/* A new object beside those that a volume has or had. */
static const struct store_backend *begin_beside(struct store *store, struct volume *volume, uint64_t more_bytes,
						const struct policy *policy, int64_t machine_hint, int *err,
						struct reason *reason)
{
	const struct store_backend *backend = backend_of(store, volume, reason);

	volume->object[0] = '\0';
	*err = backend ? store_check_space(store, policy, more_bytes, reason) : -EINVAL;
	if (*err)
		return NULL;
	name_object(volume, backend, machine_hint);
	return backend;
}

/* It is made: as large as it has to be, and nobody's yet. */
static int end_beside(struct store *store, const struct store_backend *backend, struct volume *made,
		      struct volume *volume, struct reason *reason)
{
	int err = made->size_bytes ? backend->grow(store, made->object, made->size_bytes, reason) : 0;

	if (err) {
		backend->remove(store, made->object);
		return err;
	}
	*volume = *made;
	return 0;
}

int store_snapshot_volume(struct store *store, struct volume *volume, const char *layer, const struct policy *policy,
			  int64_t machine_hint, struct reason *reason)
{
	struct volume made = *volume;
	int err;
	const struct store_backend *backend =
		begin_beside(store, &made, VOLUME_FIRST_BYTES, policy, machine_hint, &err, reason);

	if (backend)
		err = backend->snapshot(store, &made, layer, reason);
	if (err)
		return err;
	made.fresh = true;
	return end_beside(store, backend, &made, volume, reason);
}

static int reserve_object(struct inventory_tx *tx, void *arg)
{
	const struct volume *volume = arg;

	return object_reserve(tx, volume->backend, volume->object);
}

static int copy_object(struct store *store, struct volume *volume, const char *from, const struct policy *policy,
		       int64_t machine_hint, bool whole, struct reason *reason)
{
	struct volume made = *volume, source = *volume;
	const struct store_backend *backend;
	struct volume_info info;
	int err;

	snprintf(source.object, sizeof(source.object), "%s", from);
	err = store_volume_info(store, &source, NULL, &info);
	if (err) {
		reason_set(reason, "%.300s cannot be read: %s", info.path, strerror(-err));
		return err;
	}
	backend = begin_beside(store, &made, VOLUME_FIRST_BYTES + info.allocated_bytes + info.layers_bytes, policy,
			       machine_hint, &err, reason);
	if (!backend)
		return err;
	if (whole && !backend->copy_whole)
		return reason_refuse(reason, -ENOTSUP, "what keeps this volume (%s) cannot copy all that it stands on",
				     backend->name);
	err = store_write(store, reserve_object, &made);
	if (err) {
		reason_set(reason, "the inventory cannot be written: %s", strerror(-err));
		return err;
	}
	err = (whole ? backend->copy_whole : backend->copy)(store, &made, from, reason);
	if (err)
		return err;
	made.fresh = false; /* unlike a new one it cannot be made again */
	return end_beside(store, backend, &made, volume, reason);
}

int store_copy_volume(struct store *store, struct volume *volume, const char *from, const struct policy *policy,
		      int64_t machine_hint, struct reason *reason)
{
	return copy_object(store, volume, from, policy, machine_hint, false, reason);
}

int store_copy_whole(struct store *store, struct volume *volume, const char *from, const struct policy *policy,
		     int64_t machine_hint, struct reason *reason)
{
	return copy_object(store, volume, from, policy, machine_hint, true, reason);
}

int store_replace_object(struct store *store, const struct volume *volume, const char *object, struct reason *reason)
{
	const struct store_backend *backend = backend_of(store, volume, reason);

	return backend ? backend->replace(store, object, volume->object, reason) : -EINVAL;
}

int store_grow_volume(struct store *store, const struct volume *volume, uint64_t size_bytes, struct reason *reason)
{
	const struct store_backend *backend = backend_of(store, volume, reason);

	if (!backend)
		return -EINVAL;
	return size_bytes ? backend->grow(store, volume->object, size_bytes, reason) : 0;
}

int store_lift_volume(struct store *store, const struct volume *volume, struct reason *reason)
{
	const struct store_backend *backend = backend_of(store, volume, reason);

	return backend ? backend->lift(store, volume->object, reason) : -EINVAL;
}

int store_sync_volume(struct store *store, const struct volume *volume)
{
	const struct store_backend *backend = store_backend_find(store, volume->backend);

	return backend ? backend->sync(store, volume->object) : -EINVAL;
}

bool store_volume_is_unused(struct store *store, const struct volume *volume)
{
	const struct store_backend *backend = store_backend_find(store, volume->backend);

	return backend && backend->is_unused && backend->is_unused(store, volume->object);
}

void store_delete_object(struct store *store, const struct volume *volume)
{
	const struct store_backend *backend = store_backend_find(store, volume->backend);

	if (backend && volume->object[0])
		backend->remove(store, volume->object);
	else
		log_error("store: an object without a name or a backend (\"%s\") was to be deleted", volume->backend);
}

int store_volume_info(struct store *store, const struct volume *volume, const struct image_version *version,
		      struct volume_info *info)
{
	const struct store_backend *backend = store_backend_find(store, volume->backend);

	*info = (struct volume_info){ 0 };
	return backend ? backend->info(store, volume, version, info) : -ENOENT;
}

int store_check_volume(struct store *store, const struct volume *volume, const struct image_version *version,
		       const char *layer, uint64_t *identity, struct reason *reason)
{
	const struct store_backend *backend = backend_of(store, volume, reason);

	*identity = 0;
	return backend ? backend->check(store, volume, version, layer, identity, reason) : -EINVAL;
}

/* ---- opening and closing ---- */

void store_open_volume(struct store *store, struct loop *loop, const struct volume *volume,
		       const struct image_version *version, const struct store_open *how,
		       void (*opened)(void *arg, const struct disk_opened *result), void *arg)
{
	struct reason reason;
	const struct store_backend *backend = backend_of(store, volume, &reason);

	if (!backend)
		disk_open_refuse(loop, reason.text, opened, arg);
	else if (volume_kind_is_shared(volume->kind))
		shared_open(store, backend, loop, volume, version, how, opened, arg);
	else
		backend->open(store, loop, volume, version, how, opened, arg);
}

void store_close_volume(struct store *store, struct disk *disk, void (*closed)(void *arg, int err), void *arg)
{
	if (!shared_close(store, disk, closed, arg))
		disk_close(disk, closed, arg);
}
