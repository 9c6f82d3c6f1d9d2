// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Volumes, which machine has which under which LUN, and objects that were given up. A machine's LUN is one volume, and
 * a volume is attached to a machine once: the schema holds both; that only shared ones and CDs have several machines is
 * held here. See inventory.h.
 */
#include "inventory/db.h"
#include "inventory/private.h"
#include "inventory/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	DISCARDED_KEPT_DAYS = 30,
	DAY_MS = 86400 * 1000,
};

#define VOLUME_SELECT "SELECT volume.id" VOLUME_FIXED(VOLUME_COLUMN) VOLUME_FIELDS(VOLUME_COLUMN) " FROM volume "
#define VOLUME_ROW(...) RECORD_ROW(volume, __VA_ARGS__)

static const char *const physical_words[] = { "4096", "512", NULL };
static const char *const volume_state_words[] = { [VOLUME_READY] = "ready", [VOLUME_FAILED] = "failed", NULL };

const struct field volume_fields[] = {
	VOLUME_ROW(id, NUMBER, "id", NULL, FIXED, NULL, NULL) VOLUME_FIXED(VOLUME_ROW) VOLUME_FIELDS(VOLUME_ROW){ 0 },
};

bool volume_kind_is_shared(enum volume_kind kind)
{
	return kind == VOLUME_SHARED || kind == VOLUME_CD;
}

bool volume_kind_is_read_only(enum volume_kind kind)
{
	return volume_kind_is_shared(kind) || kind == VOLUME_WHO_AM_I;
}

/* Some come and go with their machine, and have no name of their own. */
static bool volume_valid(const struct volume *v)
{
	bool of_machine = v->kind == VOLUME_SYSTEM || v->kind == VOLUME_WHO_AM_I;

	return of_machine ? !v->name[0] : volume_name_valid(v->name);
}

/* ---- lookups ---- */

static void volume_read(struct query *q, struct volume *volume)
{
	memset(volume, 0, sizeof(*volume));
	record_read(q, volume_fields, volume);
}

/* One record; -ENOENT where there is none. */
static int volume_one(struct query *q, struct volume *volume)
{
	struct volume found;
	bool row = query_row(q);
	int err;

	if (row)
		volume_read(q, &found);
	err = query_end_one(q, row);
	if (!err)
		*volume = found;
	return err;
}

int volume_by_id(struct inventory_tx *tx, int64_t id, struct volume *volume)
{
	struct query q;

	query_begin(&q, tx, VOLUME_SELECT "WHERE volume.id = ?");
	query_bind(&q, id);
	return volume_one(&q, volume);
}

int volume_by_name(struct inventory_tx *tx, const char *name, struct volume *volume)
{
	struct query q;

	query_begin(&q, tx, VOLUME_SELECT "WHERE lower(name) = lower(?) AND name <> ''");
	query_bind_text(&q, name, NAME_MAX_TEXT);
	return volume_one(&q, volume);
}

int volume_by_lun(struct inventory_tx *tx, int64_t machine_id, unsigned lun, struct volume *volume)
{
	struct query q;

	query_begin(&q, tx,
		    VOLUME_SELECT
		    "JOIN attachment ON attachment.volume_id = volume.id WHERE machine_id = ? AND lun = ?");
	query_bind(&q, machine_id);
	query_bind(&q, lun);
	return volume_one(&q, volume);
}

int volume_each(struct inventory_tx *tx, int (*each)(void *arg, const struct volume *volume), void *arg)
{
	struct volume volume;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, VOLUME_SELECT "ORDER BY id");
	while (!stop && query_row(&q)) {
		volume_read(&q, &volume);
		stop = each(arg, &volume);
	}
	err = query_end(&q);
	return err ? err : stop;
}

/* ---- changes ---- */

/* A time that never comes: nobody deletes it before the next start. */
#define RESERVED_MS INT64_MAX

static int object_give_up(struct inventory_tx *tx, const char *backend, const char *object, int64_t at_ms)
{
	struct query q;
	int err;

	/* Bounded: what was given up a month ago has long been deleted. */
	query_begin(&q, tx, "DELETE FROM discarded_object WHERE at_ms < ?");
	query_bind(&q, tx->now_ms - (int64_t)DISCARDED_KEPT_DAYS * DAY_MS);
	err = query_run(&q);
	if (err)
		return err;
	query_begin(&q, tx,
		    "INSERT INTO discarded_object (backend, object, at_ms) VALUES (?, ?, ?) "
		    "ON CONFLICT (backend, object) DO UPDATE SET at_ms = excluded.at_ms");
	query_bind_text(&q, backend, BACKEND_TEXT);
	query_bind_text(&q, object, NAME_MAX_TEXT);
	query_bind(&q, at_ms);
	return query_run(&q);
}

static int object_discard(struct inventory_tx *tx, const char *backend, const char *object)
{
	return object_give_up(tx, backend, object, tx->now_ms);
}

int object_reserve(struct inventory_tx *tx, const char *backend, const char *object)
{
	return object_give_up(tx, backend, object, RESERVED_MS);
}

/* What a snapshot has taken over stays. */
static int object_discard_unless_layer(struct inventory_tx *tx, int64_t volume_id, const char *backend,
				       const char *object)
{
	struct query q;
	int64_t layers;
	int err;

	query_begin(&q, tx, "SELECT count(*) FROM snapshot WHERE volume_id = ? AND object = ?");
	query_bind(&q, volume_id);
	query_bind_text(&q, object, NAME_MAX_TEXT);
	err = query_number(&q, &layers);
	return err || layers ? err : object_discard(tx, backend, object);
}

int volume_insert(struct inventory_tx *tx, struct volume *volume)
{
	struct volume made = *volume;
	struct query q;
	int err;

	if (!volume_valid(volume) || !volume->backend[0])
		return -EINVAL;
	if (!made.created_ms)
		made.created_ms = tx->now_ms;
	if (!made.serial[0] && made.kind != VOLUME_SYSTEM)
		memcpy(made.serial, made.object, strcspn(made.object, "."));
	query_begin(&q, tx,
		    "INSERT INTO volume (id" VOLUME_FIXED(RECORD_SQL_COLUMN)
			    VOLUME_FIELDS(RECORD_SQL_COLUMN) ") VALUES (NULL" VOLUME_FIXED(RECORD_SQL_VALUE)
				    VOLUME_FIELDS(RECORD_SQL_VALUE) ") RETURNING id");
	record_bind_insert(&q, volume_fields, &made);
	err = query_number(&q, &made.id);
	if (!err)
		*volume = made;
	return err;
}

int volume_update(struct inventory_tx *tx, const struct volume *volume)
{
	struct volume old;
	struct query q;
	int err;

	if (!volume_valid(volume))
		return -EINVAL;
	err = volume_by_id(tx, volume->id, &old);
	if (err)
		return err;
	query_begin(&q, tx, "UPDATE volume SET id = id" VOLUME_FIELDS(RECORD_SQL_SET) " WHERE id = ?");
	record_bind_update(&q, volume_fields, volume);
	query_bind(&q, volume->id);
	err = query_run(&q);
	if (!err && old.object[0] && strcmp(old.object, volume->object))
		err = object_discard_unless_layer(tx, volume->id, old.backend, old.object);
	if (!err && old.snapshot_id && old.snapshot_id != volume->snapshot_id)
		err = snapshots_sweep(tx);
	return err;
}

int volume_delete(struct inventory_tx *tx, int64_t id)
{
	struct volume old;
	struct query q;
	int err = volume_by_id(tx, id, &old);

	if (!err)
		err = snapshots_let_go(tx, id);
	if (err)
		return err;
	query_begin(&q, tx, "DELETE FROM volume WHERE id = ?");
	query_bind(&q, id);
	err = query_run(&q);
	if (err)
		return err == -ENOENT ? -EBUSY : err; /* a foreign key: it is attached */
	return old.object[0] ? object_discard(tx, old.backend, old.object) : 0;
}

/* ---- attachments ---- */

int attachment_add(struct inventory_tx *tx, int64_t machine_id, unsigned lun, int64_t volume_id)
{
	struct volume volume;
	struct query q;
	int64_t others;
	int err = volume_by_id(tx, volume_id, &volume);

	if (err)
		return err;
	if (lun > LUN_MAX || (volume.kind == VOLUME_SYSTEM) != (lun == 0))
		return -EINVAL;
	query_begin(&q, tx, "SELECT count(*) FROM attachment WHERE volume_id = ? AND machine_id <> ?");
	query_bind(&q, volume_id);
	query_bind(&q, machine_id);
	err = query_number(&q, &others);
	if (err)
		return err;
	if (others && !volume_kind_is_shared(volume.kind))
		return -EBUSY;
	query_begin(&q, tx, "INSERT INTO attachment (machine_id, lun, volume_id) VALUES (?, ?, ?)");
	query_bind(&q, machine_id);
	query_bind(&q, lun);
	query_bind(&q, volume_id);
	return query_run(&q);
}

int attachment_remove(struct inventory_tx *tx, int64_t machine_id, int64_t volume_id)
{
	struct query q;
	int64_t of_group;
	int err;

	query_begin(&q, tx,
		    "SELECT EXISTS (SELECT 1 FROM machine JOIN group_volume ON group_volume.group_id = machine.group_id "
		    "WHERE machine.id = ? AND volume_id = ?)");
	query_bind(&q, machine_id);
	query_bind(&q, volume_id);
	err = query_number(&q, &of_group);
	if (err || of_group)
		return err ? err : -EBUSY;
	query_begin(&q, tx, "DELETE FROM attachment WHERE machine_id = ? AND volume_id = ?");
	query_bind(&q, machine_id);
	query_bind(&q, volume_id);
	err = query_run(&q);
	return err ? err : query_changes(tx) ? 0 : -ENOENT;
}

int attachment_lun(struct inventory_tx *tx, int64_t machine_id, int64_t volume_id, unsigned *lun)
{
	struct query q;
	int64_t number;
	int err;

	query_begin(&q, tx, "SELECT lun FROM attachment WHERE machine_id = ? AND volume_id = ?");
	query_bind(&q, machine_id);
	query_bind(&q, volume_id);
	err = query_number(&q, &number);
	if (!err)
		*lun = (unsigned)number;
	return err;
}

int attachment_free_lun(struct inventory_tx *tx, int64_t machine_id, unsigned *lun)
{
	unsigned next = 1;
	struct query q;
	int err;

	query_begin(&q, tx, "SELECT lun FROM attachment WHERE machine_id = ? AND lun > 0 ORDER BY lun");
	query_bind(&q, machine_id);
	while (query_row(&q) && query_int(&q) == next)
		next++;
	err = query_end(&q);
	if (err)
		return err;
	if (next > LUN_MAX)
		return -ENOSPC;
	*lun = next;
	return 0;
}

int attachment_high_lun(struct inventory_tx *tx, int64_t machine_id, unsigned *lun)
{
	int64_t next = LUN_HIGHEST, taken;
	struct query q;
	int err;

	query_begin(&q, tx, "SELECT lun FROM attachment WHERE machine_id = ? AND lun <= ? ORDER BY lun DESC");
	query_bind(&q, machine_id);
	query_bind(&q, LUN_HIGHEST);
	while (query_row(&q) && (taken = query_int(&q)) == next)
		next = taken - 1;
	err = query_end(&q);
	if (err)
		return err;
	if (next < 1)
		return -ENOSPC;
	*lun = (unsigned)next;
	return 0;
}

int attachment_each(struct inventory_tx *tx, int64_t machine_id,
		    int (*each)(void *arg, unsigned lun, const struct volume *volume), void *arg)
{
	struct volume volume;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx,
		    "SELECT lun" VOLUME_JOINED_COLUMNS " FROM attachment JOIN volume ON volume.id = volume_id "
		    "WHERE machine_id = ? ORDER BY lun");
	query_bind(&q, machine_id);
	while (!stop && query_row(&q)) {
		unsigned lun = (unsigned)query_int(&q);

		volume_read(&q, &volume);
		stop = each(arg, lun, &volume);
	}
	err = query_end(&q);
	return err ? err : stop;
}

int attachment_each_machine(struct inventory_tx *tx, int64_t volume_id,
			    int (*each)(void *arg, int64_t machine_id, unsigned lun), void *arg)
{
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, "SELECT machine_id, lun FROM attachment WHERE volume_id = ? ORDER BY machine_id");
	query_bind(&q, volume_id);
	while (!stop && query_row(&q)) {
		int64_t machine_id = query_int(&q);

		stop = each(arg, machine_id, (unsigned)query_int(&q));
	}
	err = query_end(&q);
	return err ? err : stop;
}

/* ---- objects given up ---- */

int discarded_each(struct inventory_tx *tx, const char *backend, bool reserved,
		   int (*each)(void *arg, const char *object), void *arg)
{
	char object[NAME_MAX_TEXT];
	struct query q;
	int stop = 0, err;

	query_begin(
		&q, tx,
		"SELECT object FROM discarded_object AS given_up WHERE backend = ? AND at_ms <= ? AND NOT EXISTS (SELECT 1 FROM volume "
		"WHERE volume.backend = given_up.backend AND volume.object = given_up.object) AND NOT EXISTS (SELECT 1 FROM "
		"snapshot WHERE snapshot.object = given_up.object) ORDER BY object");
	query_bind_text(&q, backend, BACKEND_TEXT);
	query_bind(&q, reserved ? RESERVED_MS : RESERVED_MS - 1);
	while (!stop && query_row(&q)) {
		query_text(&q, object, sizeof(object));
		stop = each(arg, object);
	}
	err = query_end(&q);
	return err ? err : stop;
}

int discarded_forget(struct inventory_tx *tx, const char *backend, const char *object)
{
	struct query q;

	query_begin(&q, tx, "DELETE FROM discarded_object WHERE backend = ? AND object = ?");
	query_bind_text(&q, backend, BACKEND_TEXT);
	query_bind_text(&q, object, NAME_MAX_TEXT);
	return query_run(&q);
}
