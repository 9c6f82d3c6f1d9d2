// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A machine's disk becomes a version of an image: see boot.h.
 *
 *     debian@1 <- the machine's disk      becomes      debian@1 <- snapshot = lab@1 <- the machine's disk
 *                                                                             lab@1 <- disks of other machines
 *
 * The snapshot's object and the version's file are one file under two names, which nobody writes to any more; so each may go
 * without the other. Where the snapshot stands on earlier ones, the version is a copy without them; where too many versions that were promoted lie below it,
 * a copy on the first one.
 */
#include "promote.h"

#include "manage.h"

#include "base/log.h"
#include "base/util.h"
#include "inventory/snapshot.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct promotion {
	struct manage m; /* the machine; its job is not used */
	const char *image, *label;
	struct snapshot snapshot;
	struct volume layer;  /* the machine's volume, with the object that becomes the version */
	struct volume copied; /* object "": none was needed */
	struct image_version version;
	bool linked, too_deep;
};

/* ---- the snapshot ---- */

static int promote_find_run(struct inventory_tx *tx, void *arg)
{
	struct promotion *p = arg;
	char shown[80];
	int err = snapshot_find(tx, p->m.machine.system.id, p->label, &p->snapshot);

	if (!err)
		return 0;
	parse_clean_text(p->label, shown, sizeof(shown));
	return err == -ENOENT ? reason_refuse(p->m.reason, err,
					      "%s has no snapshot %s: sanbootctl machine snapshots %s shows all",
					      p->m.machine.name, shown, p->m.machine.name) :
				err;
}

static int promote_find(struct promotion *p)
{
	int err = inventory_read_call(p->m.boot->inventory, promote_find_run, p);

	if (err)
		return reason_default(p->m.reason, err, "the inventory cannot be read: %s", strerror(-err));
	p->layer = p->m.machine.system;
	p->layer.version_id = p->snapshot.version_id;
	memcpy(p->layer.object, p->snapshot.object, sizeof(p->layer.object));
	/* What an ephemeral boot left may not be on the disk yet. */
	err = p->snapshot.unsynced ? store_sync_volume(p->m.boot->store, &p->layer) : 0;
	return err ? reason_refuse(p->m.reason, err, "snapshot %s cannot be made durable: %s", p->label,
				   strerror(-err)) :
		     0;
}

struct promote_number {
	const char *image;
	unsigned number;
};

static int promote_number_run(struct inventory_tx *tx, void *arg)
{
	struct promote_number *next = arg;

	return version_next_number(tx, next->image, &next->number);
}

/* Of what is there now: its machine is off. Its label says what became of it. */
static int promote_take(struct promotion *p, char label[NAME_MAX_TEXT])
{
	struct promote_number next = { .image = p->image };
	char volume[NAME_MAX_TEXT + 4];
	int err = inventory_read_call(p->m.boot->inventory, promote_number_run, &next);

	if (err)
		return reason_refuse(p->m.reason, err, "the inventory cannot be read: %s", strerror(-err));
	snprintf(volume, sizeof(volume), "%s:0", p->m.machine.name);
	for (unsigned i = 1; i < 100; i++) {
		if (i == 1)
			snprintf(label, NAME_MAX_TEXT, "as-%.40s-%u", p->image, next.number);
		else
			snprintf(label, NAME_MAX_TEXT, "as-%.40s-%u-%u", p->image, next.number, i);
		err = boot_snapshot_take(p->m.boot, volume, label, p->m.actor, p->m.reason);
		if (err != -EEXIST)
			break;
	}
	p->label = label;
	return err;
}

/* ---- the version ---- */

static int promote_insert(struct promotion *p, struct inventory_tx *tx)
{
	struct image_version *version = &p->version, published;
	int err = version_find(tx, version->image, 0, &published);

	if (err && err != -ENOENT)
		return err;
	version->state = err ? VERSION_PUBLISHED : VERSION_TEST;
	err = version_insert(tx, version);
	if (err == -ENOTUNIQ)
		return reason_refuse(p->m.reason, -EEXIST,
				     "there is an image whose name differs from %s only in upper and lower case",
				     p->image);
	return err ? err :
		     event_add(tx, "info", "image-promoted", p->m.actor, p->m.machine.id, p->m.machine.name,
			       "%s@%u is what was on it at snapshot %s%s", version->image, version->number, p->label,
			       version->state == VERSION_PUBLISHED ? "" : "; not published yet");
}

static int promote_run(struct inventory_tx *tx, void *arg)
{
	struct promotion *p = arg;
	struct snapshot now;
	int err = snapshot_by_id(tx, p->snapshot.id, &now);

	if (err)
		return err;
	p->version = (struct image_version){ .number = 0 };
	snprintf(p->version.image, sizeof(p->version.image), "%s", p->image);
	snprintf(p->version.source, sizeof(p->version.source), "%s, snapshot %s", p->m.machine.name, p->label);
	err = version_next_number(tx, p->image, &p->version.number);
	if (err)
		return err;
	p->layer.version_id = now.version_id;
	err = store_promote_object(p->m.boot->store, p->copied.object[0] ? &p->copied : &p->layer, &p->version,
				   p->m.reason);
	p->too_deep = err == -EMLINK;
	if (err)
		return err;
	p->linked = true;
	return promote_insert(p, tx);
}

static int promote_write(struct promotion *p)
{
	int err;

	p->m.reason->text[0] = '\0';
	p->linked = false;
	err = inventory_write_call(p->m.boot->inventory, promote_run, p);
	if (p->linked)
		store_promote_end(p->m.boot->store, &p->version, !err);
	return reason_default(p->m.reason, err, "the inventory could not be changed: %s", strerror(-err));
}

/* Without the earlier snapshots below it, or the versions. What it is called goes again: the version's name stays. */
static int promote_copy(struct promotion *p, bool whole)
{
	int err;

	p->copied = p->layer;
	err = manage_copy_for_version(&p->m, &p->copied, whole);
	if (err) {
		p->copied.object[0] = '\0';
		return err;
	}
	err = promote_write(p);
	store_delete_object(p->m.boot->store, &p->copied);
	store_delete_given_up(p->m.boot->store);
	return err;
}

int boot_promote(struct boot *boot, const char *machine, const char *image, const char *snapshot, const char *actor,
		 struct image_version *version, struct reason *reason)
{
	struct promotion p = { .m = { .boot = boot, .actor = actor, .reason = reason },
			       .image = image,
			       .label = snapshot };
	char label[NAME_MAX_TEXT];
	int err;

	if (strlen(image) >= NAME_MAX_TEXT || !image_name_valid(image))
		return reason_refuse(reason, -EINVAL,
				     "image: expected letters, digits, '-', '_' and '.', at most 63, for example lab");
	err = manage_find(&p.m, machine);
	if (!err && !snapshot)
		err = promote_take(&p, label);
	if (!err)
		err = promote_find(&p);
	if (!err)
		err = promote_write(&p);
	if (err == -EMLINK && p.too_deep && p.snapshot.parent_id)
		err = promote_copy(&p, false);
	if (err == -EMLINK && p.too_deep)
		err = promote_copy(&p, true);
	if (err)
		return err;
	*version = p.version;
	reason_set(reason,
		   version->state == VERSION_PUBLISHED ? "new machines get it" :
							 "publish it with: sanbootctl image publish %s@%u",
		   version->image, version->number);
	return 0;
}

/* ---- what they are known by ---- */

static int identify_take(void *arg, const struct image_version *version)
{
	struct image_version *next = arg;

	if (version->sha256[0] || version->id <= next->id)
		return 0;
	*next = *version;
	return 1;
}

static int identify_find(struct inventory_tx *tx, void *arg)
{
	int err = version_each(tx, identify_take, arg);

	return err < 0 ? err : err == 1 ? 0 : -ENOENT;
}

void boot_identify_versions(struct boot *boot)
{
	struct image_version version = { .id = 0 };

	while (!atomic_load(&boot->stopping) && !inventory_read_call(boot->inventory, identify_find, &version)) {
		int err = store_identify_version(boot->store, &version);

		if (err && err != -ECANCELED)
			log_warning("%s@%u: its SHA-256 could not be taken: %s", version.image, version.number,
				    strerror(-err));
	}
}
