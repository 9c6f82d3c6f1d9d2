// SPDX-License-Identifier: GPL-2.0-or-later
/* Machines in maintenance: see maintenance.h. */
#include "inventory/maintenance.h"

#include "inventory/db.h"
#include "inventory/private.h"
#include "inventory/record.h"

#include <errno.h>
#include <string.h>

#define MAINTENANCE_COLUMNS "machine_id, volume_id, mode, instance, began_ms, began_by"

static void maintenance_read(struct query *q, struct maintenance *m)
{
	*m = (struct maintenance){ .machine_id = query_int(q) };
	m->volume_id = query_int(q);
	m->mode = (enum machine_mode)query_int(q);
	m->instance = query_int(q);
	m->began_ms = query_int(q);
	query_text(q, m->began_by, sizeof(m->began_by));
}

int maintenance_of(struct inventory_tx *tx, int64_t machine_id, struct maintenance *maintenance)
{
	struct maintenance found;
	struct query q;
	bool row;
	int err;

	query_begin(&q, tx, "SELECT " MAINTENANCE_COLUMNS " FROM maintenance WHERE machine_id = ?");
	query_bind(&q, machine_id);
	row = query_row(&q);
	if (row)
		maintenance_read(&q, &found);
	err = query_end_one(&q, row);
	if (!err)
		*maintenance = found;
	return err;
}

int maintenance_each(struct inventory_tx *tx,
		     int (*each)(void *arg, const struct maintenance *maintenance, const struct volume *aside),
		     void *arg)
{
	struct maintenance maintenance;
	struct volume aside;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx,
		    "SELECT " MAINTENANCE_COLUMNS VOLUME_JOINED_COLUMNS
		    " FROM maintenance JOIN volume ON volume.id = volume_id ORDER BY machine_id");
	while (!stop && query_row(&q)) {
		maintenance_read(&q, &maintenance);
		memset(&aside, 0, sizeof(aside));
		record_read(&q, volume_fields, &aside);
		stop = each(arg, &maintenance, &aside);
	}
	err = query_end(&q);
	return err ? err : stop;
}

int maintenance_count_others(struct inventory_tx *tx, const char *image, int64_t machine_id, unsigned *count,
			     char name[NAME_MAX_TEXT])
{
	struct query q;
	int64_t others = 0;
	bool row;
	int err;

	query_begin(
		&q, tx,
		"SELECT count(*), coalesce(min(machine.name), '') FROM maintenance JOIN machine ON machine.id = "
		"maintenance.machine_id JOIN attachment ON attachment.machine_id = machine.id AND lun = 0 JOIN volume ON "
		"volume.id = attachment.volume_id JOIN image_version ON image_version.id = volume.version_id JOIN image ON "
		"image.id = image_id WHERE image.name = ? AND machine.id <> ?");
	query_bind_text(&q, image, NAME_MAX_TEXT);
	query_bind(&q, machine_id);
	row = query_row(&q);
	if (row) {
		others = query_int(&q);
		query_text(&q, name, NAME_MAX_TEXT);
	}
	err = query_end_one(&q, row);
	if (!err)
		*count = (unsigned)others;
	return err;
}

/* Its system volume is another one. */
static int give_system(struct inventory_tx *tx, int64_t machine_id, int64_t volume_id)
{
	struct query q;
	int err;

	query_begin(&q, tx, "UPDATE attachment SET volume_id = ? WHERE machine_id = ? AND lun = 0");
	query_bind(&q, volume_id);
	query_bind(&q, machine_id);
	err = query_run(&q);
	return err ? err : query_changes(tx) ? 0 : -ENOENT;
}

int maintenance_begin(struct inventory_tx *tx, struct machine *machine, struct volume *work, const char *actor)
{
	struct query q;
	int err;

	query_begin(&q, tx, "INSERT INTO maintenance (" MAINTENANCE_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?)");
	query_bind(&q, machine->id);
	query_bind(&q, machine->system.id);
	query_bind(&q, machine->mode);
	query_bind(&q, machine->instance);
	query_bind(&q, tx->now_ms);
	query_bind_text(&q, actor, ACTOR_TEXT);
	err = query_run(&q);
	if (!err)
		err = volume_insert(tx, work);
	if (!err)
		err = give_system(tx, machine->id, work->id);
	if (err)
		return err;
	machine->system = *work;
	machine->mode = MODE_MAINTENANCE;
	machine->instance++; /* cloud-init begins anew on it */
	return machine_update(tx, machine);
}

int maintenance_end(struct inventory_tx *tx, struct machine *machine, enum machine_mode mode)
{
	struct maintenance maintenance;
	int64_t work_id = machine->system.id;
	struct query q;
	int err = maintenance_of(tx, machine->id, &maintenance);

	if (!err)
		err = volume_by_id(tx, maintenance.volume_id, &machine->system);
	if (!err)
		err = give_system(tx, machine->id, maintenance.volume_id);
	if (err)
		return err;
	query_begin(&q, tx, "DELETE FROM maintenance WHERE machine_id = ?");
	query_bind(&q, machine->id);
	err = query_run(&q);
	machine->mode = mode;
	machine->instance = maintenance.instance; /* its own disk is no new one */
	if (!err)
		err = machine_update(tx, machine);
	return err ? err : volume_delete(tx, work_id);
}
