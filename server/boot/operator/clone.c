// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A new machine with what is on another one's disk: see boot.h.
 *
 *     version <- A = pc-001's     becomes     version <- A (a layer, removed) <- B = pc-001's
 *                                                                             <- C = pc-009's
 *
 * Nothing of a disk is copied: what pc-001 had becomes a layer, as with a snapshot, and both go on in empty objects over it. It is
 * a snapshot of pc-001's that is removed from the beginning, and so goes once nothing stands on it; where pc-001 goes first it
 * becomes pc-009's (inventory/snapshot.h). One write job makes the objects and the rows: a crash leaves objects that nobody
 * wrote to. Of a snapshot the same without a new layer, also while pc-001 runs. Only where the chain would get too deep the clone
 * has a copy, which is announced before the job (store_copy_volume).
 */
#include "add.h"
#include "manage.h"

#include "base/util.h"
#include "inventory/snapshot.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LAYER_LABELS = 100 };

struct clone {
	struct manage
		m; /* first: manage_write's job is in it. Its machine: the one that is cloned; made: what that goes on in */
	const struct boot_machine_new *new;
	const char *label; /* NULL: what is on it now */
	struct policy policy;
	struct snapshot base;	/* what the clone stands on; id 0: its version alone */
	struct volume disk;	/* the clone's; object "": not made */
	struct volume copied;	/* object "": none was needed */
	struct machine machine; /* the clone */
	bool new_layer, too_deep;
};

static struct clone *clone_of(struct inventory_job *job)
{
	return container_of(container_of(job, struct manage, job), struct clone, m);
}

/* ---- what it stands on ---- */

static int check_source(struct clone *c)
{
	const struct machine *machine = &c->m.machine;

	if (machine->system.state == VOLUME_FAILED && !c->label)
		return reason_refuse(
			c->m.reason, -EIO,
			"the disk of %s failed: first lift that (state=ready), or clone one of its snapshots",
			machine->name);
	if (machine->mode == MODE_EPHEMERAL && !c->label)
		return reason_refuse(
			c->m.reason, -EINVAL,
			"%s begins each boot with a new disk: sanbootctl machine add %s MAC makes another one "
			"like it, or first sanbootctl machine set %s mode=persistent",
			machine->name, c->new->name, machine->name);
	return 0;
}

static int find_label(struct clone *c, struct inventory_tx *tx)
{
	const struct machine *machine = &c->m.machine;
	char shown[80];
	int err = snapshot_find(tx, machine->system.id, c->label, &c->base);

	if (err != -ENOENT && err != -EINVAL)
		return err;
	parse_clean_text(c->label, shown, sizeof(shown));
	return reason_refuse(c->m.reason, -ENOENT, "%s has no snapshot %s: sanbootctl machine snapshots %s shows all",
			     machine->name, shown, machine->name);
}

/* The row of the layer; a person may have taken a snapshot of that name. */
static int insert_layer(struct clone *c, struct inventory_tx *tx)
{
	int err = -EEXIST;

	for (unsigned i = 1; i <= LAYER_LABELS && err == -EEXIST; i++) {
		snprintf(c->base.label, sizeof(c->base.label), i == 1 ? "for-%.48s" : "for-%.48s-%u", c->new->name, i);
		err = snapshot_insert(tx, &c->base);
	}
	return err;
}

/* What is on it now becomes a layer, and it goes on over that. */
static int make_layer(struct clone *c, struct inventory_tx *tx)
{
	struct manage *m = &c->m;
	struct volume *system = &m->machine.system, next = *system;
	struct volume_info info;
	int err = store_volume_info(m->boot->store, system, NULL, &info);

	if (err)
		return reason_refuse(m->reason, err, "the disk of %s cannot be read: %s", m->machine.name,
				     err == -ENOENT ? "its file is missing" : strerror(-err));
	c->base = (struct snapshot){ .volume_id = system->id,
				     .parent_id = system->snapshot_id,
				     .version_id = system->version_id,
				     .size_bytes = info.virtual_bytes };
	memcpy(c->base.object, system->object, sizeof(c->base.object));
	err = store_snapshot_volume(m->boot->store, &next, system->object, &c->policy, m->machine.id, m->reason);
	if (err)
		return err;
	m->made = next;
	err = insert_layer(c, tx);
	if (err)
		return err;
	c->new_layer = true;
	*system = next;
	system->snapshot_id = c->base.id;
	return volume_update(tx, system);
}

/* c->base. Nobody has used what is there: then there is nothing to keep, and it is what that stands on. */
static int find_base(struct clone *c, struct inventory_tx *tx)
{
	const struct volume *system = &c->m.machine.system;

	c->base = (struct snapshot){ .version_id = system->version_id };
	c->new_layer = false;
	if (c->label)
		return find_label(c, tx);
	if (!system->fresh || !store_volume_is_unused(c->m.boot->store, system))
		return make_layer(c, tx);
	return system->snapshot_id ? snapshot_by_id(tx, system->snapshot_id, &c->base) : 0;
}

/* With the settings of the other one's. */
static struct volume disk_like(const struct volume *system, int64_t version_id)
{
	struct volume disk = { .kind = VOLUME_SYSTEM,
			       .version_id = version_id,
			       .size_bytes = system->size_bytes,
			       .physical_512 = system->physical_512 };

	memcpy(disk.backend, system->backend, sizeof(disk.backend));
	memcpy(disk.quota, system->quota, sizeof(disk.quota));
	return disk;
}

static int make_disk(struct clone *c, struct inventory_tx *tx)
{
	struct store *store = c->m.boot->store;
	struct image_version version;
	int err = find_base(c, tx);

	if (err)
		return err;
	c->disk = disk_like(&c->m.machine.system, c->base.version_id);
	if (!c->base.id) {
		err = version_by_id(tx, c->disk.version_id, &version);
		return err ? err : store_create_volume(store, &c->disk, &version, &c->policy, 0, c->m.reason);
	}
	err = store_snapshot_volume(store, &c->disk, c->base.object, &c->policy, 0, c->m.reason);
	c->disk.snapshot_id = err ? 0 : c->base.id;
	return err;
}

/* ---- the rows ---- */

/* What a copy of a machine has of it besides the disk. Its name, MACs, address and note are its own. */
static int clone_settings(struct clone *c, struct inventory_tx *tx)
{
	const struct machine *from = &c->m.machine;
	struct machine *to = &c->machine;

	to->mode = from->mode == MODE_EPHEMERAL || from->mode == MODE_MAINTENANCE ? MODE_PERSISTENT : from->mode;
	to->auth = from->auth;
	to->access_many = from->access_many;
	to->no_gateway = from->no_gateway;
	to->multipath = from->multipath;
	to->group_id = from->group_id;
	memcpy(to->boot, from->boot, sizeof(to->boot));
	memcpy(to->boot_file_set, from->boot_file_set, sizeof(to->boot_file_set));
	memcpy(to->restore_points, from->restore_points, sizeof(to->restore_points));
	memcpy(to->templates, from->templates, sizeof(to->templates));
	return machine_update(tx, to);
}

static int clone_note(struct clone *c, struct inventory_tx *tx)
{
	const struct manage *m = &c->m;
	char shown[80] = "";
	int err;

	if (c->label)
		parse_clean_text(c->label, shown, sizeof(shown));
	err = event_add(tx, "info", "cloned", m->actor, m->machine.id, m->machine.name, "%s has what was on it%s%s",
			c->machine.name, c->label ? " at snapshot " : "", shown);
	return err ? err :
		     event_add(tx, "info", "cloned", m->actor, c->machine.id, c->machine.name,
			       "it has what was on the disk of %s%s%s", m->machine.name,
			       c->label ? " at snapshot " : "", shown);
}

static int clone_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct clone *c = clone_of(job);
	struct manage *m = &c->m;
	struct volume none;
	bool stays;
	int err = machine_by_id(tx, m->machine.id, &m->machine);

	c->too_deep = false;
	if (!err)
		err = check_source(c);
	if (!err)
		err = policy_get(tx, &c->policy);
	if (!err)
		err = add_check_room(m, tx, &c->policy, 1);
	if (err)
		return err;
	if (c->copied.object[0]) {
		c->disk = c->copied;
		c->new_layer = false;
		err = discarded_forget(tx, c->copied.backend, c->copied.object);
	} else {
		err = make_disk(c, tx);
		c->too_deep = err == -EMLINK;
	}
	if (!err)
		err = add_enrol(m, tx, c->new, &c->policy, &c->disk, &c->machine, &none);
	if (!err)
		err = clone_settings(c, tx);
	/* Both stand on it by now. */
	if (!err && c->new_layer)
		err = snapshot_remove(tx, c->base.id, &stays);
	return err ? err : clone_note(c, tx);
}

/* ---- the sequence ---- */

static int clone_write(struct clone *c)
{
	int err;

	c->disk.object[0] = c->m.made.object[0] = '\0';
	err = manage_write(&c->m, clone_run);
	if (err && c->disk.object[0])
		store_delete_object(c->m.boot->store, &c->disk);
	return err;
}

/* What the other one has stays as it is. */
static int clone_copy(struct clone *c)
{
	struct store *store = c->m.boot->store;
	char from[NAME_MAX_TEXT];
	int err;

	memcpy(from, c->base.object, sizeof(from));
	c->copied = disk_like(&c->m.machine.system, c->base.version_id);
	err = store_copy_volume(store, &c->copied, from, &c->policy, 0, c->m.reason);
	if (err)
		return err;
	err = clone_write(c);
	if (err)
		store_delete_given_up(store);
	return err;
}

int boot_clone(struct boot *boot, const char *machine, const struct boot_machine_new *new, const char *snapshot,
	       const char *actor, struct machine *made, struct reason *reason)
{
	struct clone c = { .m = { .boot = boot, .actor = actor, .reason = reason }, .new = new, .label = snapshot };
	int err = manage_find(&c.m, machine);

	if (!err && (!new->name || !machine_name_valid(new->name)))
		err = reason_refuse(reason, -EINVAL, "name: expected letters, digits and '-', at most 63");
	if (!err)
		err = check_source(&c);
	if (!err && !snapshot)
		err = manage_begin_exclusive(&c.m);
	if (err)
		return err;
	err = clone_write(&c);
	if (err == -EMLINK && c.too_deep)
		err = clone_copy(&c);
	if (!snapshot)
		manage_end_exclusive(&c.m);
	if (err)
		return err;
	*made = c.machine;
	if (!new->mac_count)
		reason_set(reason, "it has no hardware yet; when it is there: sanbootctl machine mac add %s MAC",
			   made->name);
	return 0;
}
