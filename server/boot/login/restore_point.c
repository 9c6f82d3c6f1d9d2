// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Restore points: see restore_point.h. Nothing is copied: what the disk had becomes a layer, as with a snapshot that a
 * person takes (operator/snapshots.c). That older ones go makes no room at once: what stands on them is joined with them in
 * the background (operator/layers.c), which also keeps the chain short.
 */
#include "restore_point.h"

#include "inventory/effective.h"
#include "inventory/snapshot.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { POINT_LABELS = 100 };

static int point_skipped(struct inventory_tx *tx, const struct machine *machine, uint64_t number, const char *why)
{
	return event_add(tx, "warning", "restore-point-skipped", "server", machine->id, machine->name,
			 "no restore point before boot %llu: %.400s", (unsigned long long)number, why);
}

/* "boot-17"; a person may have taken one of that name. */
static int point_insert(struct inventory_tx *tx, struct snapshot *point)
{
	int err = -EEXIST;

	for (unsigned i = 1; i <= POINT_LABELS && err == -EEXIST; i++) {
		snprintf(point->label, sizeof(point->label), i == 1 ? "boot-%llu" : "boot-%llu-%u",
			 (unsigned long long)point->boot, i);
		err = snapshot_insert(tx, point);
	}
	return err;
}

static int point_rows(struct inventory_tx *tx, struct machine *machine, const struct volume *next, uint64_t number,
		      uint64_t size_bytes, unsigned keep)
{
	struct volume *system = &machine->system;
	struct snapshot point = { .volume_id = system->id,
				  .parent_id = system->snapshot_id,
				  .version_id = system->version_id,
				  .size_bytes = size_bytes,
				  .boot = number };
	int err;

	memcpy(point.object, system->object, sizeof(point.object));
	err = point_insert(tx, &point);
	if (err)
		return err;
	*system = *next;
	system->snapshot_id = point.id;
	err = volume_update(tx, system);
	return err ? err : snapshot_keep_points(tx, system->id, keep);
}

int boot_take_restore_point(struct boot *boot, struct inventory_tx *tx, struct machine *machine, uint64_t number,
			    struct volume *made)
{
	struct volume next = machine->system;
	struct reason reason = { "" };
	struct volume_info info;
	struct policy policy;
	unsigned keep;
	int err = policy_get(tx, &policy);

	if (err)
		return err;
	keep = effective_restore_points(machine, &policy);
	if (!keep || machine->system.fresh || machine->system.state != VOLUME_READY)
		return 0;
	/* iSCSI closes it first (boot_target_begin_needs_closed); it is open where that was set only now. */
	if (!disks_is_closed(&boot->disks, machine->system.id))
		return 0;
	err = store_volume_info(boot->store, &machine->system, NULL, &info);
	if (err || !info.clean)
		return point_skipped(
			tx, machine, number,
			err ? "its disk cannot be read" :
			      "the server was stopped while the disk was in use, and it was not closed in order");
	err = store_snapshot_volume(boot->store, &next, machine->system.object, &policy, machine->id, &reason);
	if (err)
		return point_skipped(tx, machine, number, reason.text);
	*made = next;
	return point_rows(tx, machine, &next, number, info.virtual_bytes, keep);
}
