// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What there is that a rule may take: see retention_facts.h. Rows are read in one job; files are looked at afterwards.
 *
 * A snapshot that something stands on gives nothing back when it goes: its layer is joined with what stands on it
 * (layers.c). Those of machines in the trash go with them, and are not listed.
 */
#include "retention_facts.h"

#include "retention_plan.h"

#include "base/util.h"
#include "boot/internal.h"
#include "inventory/keep.h"
#include "inventory/snapshot.h"
#include "inventory/trash.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An object that goes with an item. */
struct facts_object {
	unsigned item;
	struct volume volume;
};

struct facts_version {
	unsigned item;
	struct image_version version;
};

struct facts {
	struct boot *boot;
	struct inventory_tx *tx;
	struct retention *plan;
	struct snapshot *snapshots;
	unsigned snapshot_count;
	struct facts_object *objects;
	unsigned object_count;
	struct facts_version *versions;
	unsigned version_count;
};

static int add_item(struct facts *f, const struct retention_item *item)
{
	return array_append(&f->plan->list, &f->plan->count, item, sizeof(*item));
}

/* Of the item that was added last. */
static int add_object(struct facts *f, const struct volume *volume, const char *object)
{
	struct facts_object of = { .item = f->plan->count - 1, .volume = *volume };

	snprintf(of.volume.object, sizeof(of.volume.object), "%s", object);
	return object[0] ? array_append(&f->objects, &f->object_count, &of, sizeof(of)) : 0;
}

/* ---- the trash ---- */

static int add_trash(void *arg, const struct trash_entry *entry)
{
	struct facts *f = arg;
	struct retention_item item = { .kind = RETENTION_TRASH, .id = entry->id, .since_ms = entry->removed_ms };
	int err;

	snprintf(item.owner, sizeof(item.owner), "%s", entry->name);
	item.owner_id = entry->id;
	err = add_item(f, &item);
	if (!err)
		err = add_object(f, &entry->system, entry->system.object);
	for (unsigned i = 0; i < f->snapshot_count && !err; i++) {
		if (f->snapshots[i].volume_id == entry->system.id)
			err = add_object(f, &entry->system, f->snapshots[i].object);
	}
	return err;
}

/* ---- snapshots ---- */

static int take_snapshot(void *arg, const struct snapshot *snapshot)
{
	struct facts *f = arg;

	return array_append(&f->snapshots, &f->snapshot_count, snapshot, sizeof(*snapshot));
}

static int take_machine(void *arg, int64_t machine_id, unsigned lun)
{
	(void)lun;
	*(int64_t *)arg = machine_id;
	return 1;
}

/* What people call a volume; "": it is in the trash. */
static int name_volume(struct inventory_tx *tx, const struct volume *volume, char name[NAME_MAX_TEXT])
{
	struct machine machine;
	int64_t machine_id = 0;
	int err;

	snprintf(name, NAME_MAX_TEXT, "%s", volume->name);
	if (volume->kind != VOLUME_SYSTEM)
		return 0;
	err = attachment_each_machine(tx, volume->id, take_machine, &machine_id);
	if (err < 0 || !machine_id)
		return err < 0 ? err : 0;
	err = machine_by_id(tx, machine_id, &machine);
	if (!err)
		snprintf(name, NAME_MAX_TEXT, "%s", machine.name);
	return err;
}

static bool is_stood_on(const struct facts *f, const struct volume *volume, const struct snapshot *snapshot)
{
	bool stood_on = volume->snapshot_id == snapshot->id;

	for (unsigned i = 0; i < f->snapshot_count && !stood_on; i++)
		stood_on = f->snapshots[i].parent_id == snapshot->id;
	return stood_on;
}

static int add_snapshot(struct facts *f, const struct volume *volume, const char *name, const struct snapshot *s)
{
	struct retention_item item = {
		.kind = s->left_by		? RETENTION_EPHEMERAL :
			s->boot || s->automatic ? RETENTION_POINT :
						  RETENTION_SNAPSHOT,
		.id = s->id,
		.owner_id = volume->id,
		.since_ms = s->created_ms,
		.stood_on = is_stood_on(f, volume, s),
	};
	int err;

	snprintf(item.owner, sizeof(item.owner), "%s", name);
	snprintf(item.label, sizeof(item.label), "%s", s->label);
	err = add_item(f, &item);
	return err || item.stood_on ? err : add_object(f, volume, s->object);
}

/* They are in the order of their volumes. */
static int add_snapshots(struct facts *f)
{
	char name[NAME_MAX_TEXT] = "";
	struct volume volume = { .id = 0 };
	int err = 0;

	for (unsigned i = 0; i < f->snapshot_count && !err; i++) {
		const struct snapshot *s = &f->snapshots[i];

		if (s->removed)
			continue;
		if (s->volume_id != volume.id) {
			err = volume_by_id(f->tx, s->volume_id, &volume);
			if (!err)
				err = name_volume(f->tx, &volume, name);
		}
		if (!err && name[0])
			err = add_snapshot(f, &volume, name, s);
	}
	return err;
}

/* ---- versions and machines ---- */

static int add_version(void *arg, const struct image_version *version)
{
	struct facts *f = arg;
	struct facts_version of = { .version = *version };
	struct retention_item item = {
		.kind = RETENTION_VERSION,
		.id = version->id,
		.number = version->number,
		.since_ms = version->created_ms,
		.in_turn = version->is_newest || version->publish_at_ms || version->state == VERSION_DRAFT ||
			   version->state == VERSION_TEST,
	};
	int err;

	snprintf(item.owner, sizeof(item.owner), "%s", version->image);
	retention_version_needed(version, item.needed);
	err = add_item(f, &item);
	of.item = f->plan->count - 1;
	return err ? err : array_append(&f->versions, &f->version_count, &of, sizeof(of));
}

static int add_machine(void *arg, const struct machine *machine)
{
	struct facts *f = arg;
	struct retention_item item = {
		.kind = RETENTION_IDLE,
		.id = machine->id,
		.owner_id = machine->id,
		.since_ms = machine->seen_ms > machine->created_ms ? machine->seen_ms : machine->created_ms,
	};

	snprintf(item.owner, sizeof(item.owner), "%s", machine->name);
	if (!disks_is_closed(&f->boot->disks, machine->system.id) ||
	    presence_resume_left_ms(&f->boot->presence, machine->id))
		snprintf(item.needed, sizeof(item.needed), "it runs");
	return add_item(f, &item);
}

static int read_rows(struct inventory_tx *tx, void *arg)
{
	struct facts *f = arg;
	int err = policy_get(tx, &f->plan->policy);

	f->tx = tx;
	if (!err)
		err = keep_rules_changed_at(tx, &f->plan->changed_ms);
	if (!err)
		err = snapshot_each(tx, 0, take_snapshot, f);
	if (!err)
		err = trash_each(tx, add_trash, f);
	if (!err)
		err = add_snapshots(f);
	if (!err)
		err = version_each(tx, add_version, f);
	/* Without that rule there is nothing to be said of them. */
	if (!err && f->plan->policy.keep_idle_s)
		err = machine_each(tx, add_machine, f);
	return err;
}

/* ---- files ---- */

/* 0 where a file cannot be looked at: it goes all the same. */
static void measure(struct facts *f)
{
	struct retention_item *list = f->plan->list;
	struct volume_info info;

	for (unsigned i = 0; i < f->object_count; i++) {
		if (!store_volume_info(f->boot->store, &f->objects[i].volume, NULL, &info))
			list[f->objects[i].item].bytes += info.allocated_bytes;
	}
	for (unsigned i = 0; i < f->version_count; i++)
		list[f->versions[i].item].bytes = store_version_allocated(f->boot->store, &f->versions[i].version);
}

int retention_facts(struct boot *boot, struct retention *plan)
{
	struct facts f = { .boot = boot, .plan = plan };
	struct store_space space;
	int err;

	*plan = (struct retention){ .now_ms = time_unix_ms() };
	err = inventory_read_call(boot->inventory, read_rows, &f);
	if (!err)
		err = store_get_space(boot->store, &plan->policy, &space);
	if (!err) {
		plan->total_bytes = space.total_bytes;
		plan->free_bytes = space.free_bytes;
		measure(&f);
	}
	free(f.snapshots);
	free(f.objects);
	free(f.versions);
	return err;
}
