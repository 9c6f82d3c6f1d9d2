// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Volumes of groups, and which machines have them by that: see inventory.h. The attachments follow from who is in which
 * group, whatever changed it (group_volume_settle), and are marked, so that they go again and a machine's own stay.
 */
#include "inventory/db.h"
#include "inventory/private.h"
#include "inventory/record.h"

#include <errno.h>
#include <string.h>

int group_volume_each(struct inventory_tx *tx, int64_t group_id, int (*each)(void *arg, const struct volume *volume),
		      void *arg)
{
	struct volume volume;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx,
		    "SELECT 0" VOLUME_JOINED_COLUMNS " FROM group_volume JOIN volume ON volume.id = volume_id "
		    "WHERE group_id = ? ORDER BY lower(volume.name)");
	query_bind(&q, group_id);
	while (!stop && query_row(&q)) {
		query_int(&q);
		memset(&volume, 0, sizeof(volume));
		record_read(&q, volume_fields, &volume);
		stop = each(arg, &volume);
	}
	err = query_end(&q);
	return err ? err : stop;
}

int group_volume_find(struct inventory_tx *tx, int64_t volume_id, int64_t group_id, int64_t *found_id)
{
	struct query q;

	query_begin(
		&q, tx,
		"SELECT group_id FROM group_volume WHERE volume_id = ?1 AND ?2 IN (0, group_id) ORDER BY group_id LIMIT 1");
	query_bind(&q, volume_id);
	query_bind(&q, group_id);
	return query_number(&q, found_id);
}

int group_lun_each(struct inventory_tx *tx, int64_t machine_id, int64_t group_id,
		   int (*each)(void *arg, const struct group_lun *lun), void *arg)
{
	struct query q;
	int stop = 0, err;

	query_begin(
		&q, tx,
		"SELECT machine_id, lun, volume_id FROM attachment JOIN machine ON machine.id = machine_id WHERE by_group = 1 "
		"AND ?1 IN (0, machine_id) AND ?2 IN (0, machine.group_id) ORDER BY machine_id, lun");
	query_bind(&q, machine_id);
	query_bind(&q, group_id);
	while (!stop && query_row(&q)) {
		struct group_lun lun = { .machine_id = query_int(&q) };

		lun.lun = (unsigned)query_int(&q);
		lun.volume_id = query_int(&q);
		stop = each(arg, &lun);
	}
	err = query_end(&q);
	return err ? err : stop;
}

/* ---- what follows from it ---- */

static void bind_machines(struct query *q, int64_t machine_id)
{
	query_bind(q, machine_id);
	query_bind(q, machine_id ? machine_id : INT64_MAX);
}

static int drop(struct inventory_tx *tx, int64_t machine_id)
{
	struct query q;

	query_begin(&q, tx,
		    "DELETE FROM attachment WHERE by_group = 1 AND machine_id BETWEEN ? AND ? AND NOT EXISTS "
		    "(SELECT 1 FROM machine JOIN group_volume ON group_volume.group_id = machine.group_id "
		    "WHERE machine.id = attachment.machine_id AND group_volume.volume_id = attachment.volume_id)");
	bind_machines(&q, machine_id);
	return query_run(&q);
}

static int add(struct inventory_tx *tx, int64_t machine_id, int64_t volume_id)
{
	struct query q;
	unsigned lun;
	int err = attachment_free_lun(tx, machine_id, &lun);

	if (!err)
		err = attachment_add(tx, machine_id, lun, volume_id);
	if (err)
		return err == -ENOSPC ? 0 : err;
	query_begin(&q, tx, "UPDATE attachment SET by_group = 1 WHERE machine_id = ? AND volume_id = ?");
	query_bind(&q, machine_id);
	query_bind(&q, volume_id);
	return query_run(&q);
}

/* One after the other: the statement that finds them must not see its own changes. */
static int add_missing(struct inventory_tx *tx, int64_t machine_id)
{
	int64_t at_machine = 0, at_volume = 0;

	for (;;) {
		struct query q;
		int err;

		query_begin(
			&q, tx,
			"SELECT machine.id, volume_id FROM machine JOIN group_volume ON group_volume.group_id = machine.group_id "
			"WHERE machine.id BETWEEN max(?1, ?3) AND ?2 AND (machine.id > ?3 OR volume_id > ?4) AND NOT EXISTS "
			"(SELECT 1 FROM attachment WHERE attachment.machine_id = machine.id AND attachment.volume_id = "
			"group_volume.volume_id) ORDER BY machine.id, volume_id LIMIT 1");
		bind_machines(&q, machine_id);
		query_bind(&q, at_machine);
		query_bind(&q, at_volume);
		at_machine = 0;
		if (query_row(&q)) {
			at_machine = query_int(&q);
			at_volume = query_int(&q);
		}
		err = query_end(&q);
		if (!err && at_machine)
			err = add(tx, at_machine, at_volume);
		if (err || !at_machine)
			return err;
	}
}

int group_volume_settle(struct inventory_tx *tx, int64_t machine_id)
{
	int err = drop(tx, machine_id);

	return err ? err : add_missing(tx, machine_id);
}

int group_volume_set(struct inventory_tx *tx, int64_t group_id, const int64_t *volume_ids, unsigned count)
{
	struct query q;
	int err;

	query_begin(&q, tx, "DELETE FROM group_volume WHERE group_id = ?");
	query_bind(&q, group_id);
	err = query_run(&q);
	for (unsigned i = 0; i < count && !err; i++) {
		struct volume volume;

		err = volume_by_id(tx, volume_ids[i], &volume);
		if (err)
			return err;
		if (!volume_kind_is_shared(volume.kind))
			return -EINVAL;
		query_begin(&q, tx,
			    "INSERT INTO group_volume (group_id, volume_id) VALUES (?, ?) ON CONFLICT DO NOTHING");
		query_bind(&q, group_id);
		query_bind(&q, volume_ids[i]);
		err = query_run(&q);
	}
	return err ? err : group_volume_settle(tx, 0);
}
