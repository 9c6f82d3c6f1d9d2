// SPDX-License-Identifier: GPL-2.0-or-later
/* Snapshots of volumes: see snapshot.h. */
#include "inventory/snapshot.h"

#include "inventory/db.h"
#include "inventory/private.h"

#include <errno.h>
#include <string.h>

enum { AUTOMATIC_KEPT = 3 };

#define SNAPSHOT_SELECT                                                                                                                         \
	"SELECT id, volume_id, label, object, parent_id, version_id, size_bytes, automatic, removed, created_ms, boot, left_by, unsynced FROM " \
	"snapshot "

bool snapshot_label_valid(const char *label)
{
	return strlen(label) < NAME_MAX_TEXT && volume_name_valid(label);
}

static void snapshot_read(struct query *q, struct snapshot *s)
{
	*s = (struct snapshot){ .id = query_int(q) };
	s->volume_id = query_int(q);
	query_text(q, s->label, sizeof(s->label));
	query_text(q, s->object, sizeof(s->object));
	s->parent_id = query_int(q); /* NULL reads as 0 */
	s->version_id = query_int(q);
	s->size_bytes = (uint64_t)query_int(q);
	s->automatic = query_int(q);
	s->removed = query_int(q);
	s->created_ms = query_int(q);
	s->boot = (uint64_t)query_int(q);
	s->left_by = (uint64_t)query_int(q);
	s->unsynced = query_int(q);
}

static int snapshot_one(struct query *q, struct snapshot *snapshot)
{
	struct snapshot found;
	bool row = query_row(q);
	int err;

	if (row)
		snapshot_read(q, &found);
	err = query_end_one(q, row);
	if (!err)
		*snapshot = found;
	return err;
}

int snapshot_by_id(struct inventory_tx *tx, int64_t id, struct snapshot *snapshot)
{
	struct query q;

	query_begin(&q, tx, SNAPSHOT_SELECT "WHERE id = ?");
	query_bind(&q, id);
	return snapshot_one(&q, snapshot);
}

int snapshot_find(struct inventory_tx *tx, int64_t volume_id, const char *label, struct snapshot *snapshot)
{
	struct query q;

	query_begin(&q, tx, SNAPSHOT_SELECT "WHERE volume_id = ? AND lower(label) = lower(?) AND removed = 0");
	query_bind(&q, volume_id);
	query_bind_text(&q, label, NAME_MAX_TEXT);
	return snapshot_one(&q, snapshot);
}

int snapshot_each(struct inventory_tx *tx, int64_t volume_id, int (*each)(void *arg, const struct snapshot *snapshot),
		  void *arg)
{
	struct snapshot snapshot;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, SNAPSHOT_SELECT "WHERE ?1 = 0 OR volume_id = ?1 ORDER BY volume_id, id");
	query_bind(&q, volume_id);
	while (!stop && query_row(&q)) {
		snapshot_read(&q, &snapshot);
		stop = each(arg, &snapshot);
	}
	err = query_end(&q);
	return err ? err : stop;
}

static void bind_reference(struct query *q, int64_t id)
{
	if (id)
		query_bind(q, id);
	else
		query_bind_null(q);
}

int snapshot_insert(struct inventory_tx *tx, struct snapshot *snapshot)
{
	struct query q;
	int64_t id;
	int err;

	if (!snapshot_label_valid(snapshot->label))
		return -EINVAL;
	query_begin(
		&q, tx,
		"INSERT INTO snapshot (volume_id, label, object, parent_id, version_id, size_bytes, automatic, removed, created_ms, boot, left_by, unsynced) "
		"VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?) RETURNING id");
	query_bind(&q, snapshot->volume_id);
	query_bind_text(&q, snapshot->label, sizeof(snapshot->label));
	query_bind_text(&q, snapshot->object, sizeof(snapshot->object));
	bind_reference(&q, snapshot->parent_id);
	bind_reference(&q, snapshot->version_id);
	query_bind(&q, (int64_t)snapshot->size_bytes);
	query_bind(&q, snapshot->automatic);
	query_bind(&q, tx->now_ms);
	query_bind(&q, (int64_t)snapshot->boot);
	query_bind(&q, (int64_t)snapshot->left_by);
	query_bind(&q, snapshot->unsynced);
	err = query_number(&q, &id);
	if (err)
		return err;
	snapshot->id = id;
	snapshot->created_ms = tx->now_ms;
	return 0;
}

/* ---- going ---- */

#define NOTHING_STANDS_ON_IT                                                                                \
	"removed = 1 AND NOT EXISTS (SELECT 1 FROM volume AS upper WHERE upper.snapshot_id = snapshot.id) " \
	"AND NOT EXISTS (SELECT 1 FROM snapshot AS upper WHERE upper.parent_id = snapshot.id)"

/* Of all volumes: what stood on a layer may be another volume than the one whose it is. */
int snapshots_sweep(struct inventory_tx *tx)
{
	struct query q;
	int err, gone;

	/* One that goes may have been the last that stood on another, which then goes, too. */
	do {
		query_begin(
			&q, tx,
			"INSERT INTO discarded_object (backend, object, at_ms) SELECT backend, snapshot.object, ? FROM snapshot "
			"JOIN volume ON volume.id = volume_id WHERE " NOTHING_STANDS_ON_IT
			" ON CONFLICT (backend, object) DO UPDATE SET at_ms = excluded.at_ms");
		query_bind(&q, tx->now_ms);
		err = query_run(&q);
		if (err)
			return err;
		query_begin(&q, tx, "DELETE FROM snapshot WHERE " NOTHING_STANDS_ON_IT);
		err = query_run(&q);
		gone = query_changes(tx);
	} while (!err && gone);
	return err;
}

/* What other volumes stand on becomes theirs. What it stands on itself is next, as that has become its upper's by then. */
static int snapshots_pass_on(struct inventory_tx *tx, int64_t volume_id)
{
	struct query q;
	int err, passed;

	do {
		query_begin(
			&q, tx,
			"UPDATE snapshot SET volume_id = next.id FROM (SELECT base.id AS base_id, coalesce((SELECT min(upper.id) "
			"FROM volume AS upper WHERE upper.snapshot_id = base.id), (SELECT min(upper.volume_id) FROM snapshot AS "
			"upper WHERE upper.parent_id = base.id AND upper.volume_id <> base.volume_id)) AS id FROM snapshot AS base "
			"WHERE base.volume_id = ?) AS next WHERE snapshot.id = next.base_id AND next.id IS NOT NULL");
		query_bind(&q, volume_id);
		err = query_run(&q);
		passed = query_changes(tx);
	} while (!err && passed);
	return err;
}

int snapshots_let_go(struct inventory_tx *tx, int64_t volume_id)
{
	struct query q;
	int err;

	query_begin(&q, tx, "UPDATE volume SET snapshot_id = NULL WHERE id = ? AND snapshot_id IS NOT NULL");
	query_bind(&q, volume_id);
	err = query_run(&q);
	if (err)
		return err;
	query_begin(&q, tx, "UPDATE snapshot SET removed = 1 WHERE volume_id = ?");
	query_bind(&q, volume_id);
	err = query_run(&q);
	if (!err)
		err = snapshots_sweep(tx);
	return err ? err : snapshots_pass_on(tx, volume_id);
}

int snapshot_remove(struct inventory_tx *tx, int64_t id, bool *stays)
{
	struct snapshot snapshot;
	struct query q;
	int err = snapshot_by_id(tx, id, &snapshot);

	if (err)
		return err;
	query_begin(&q, tx, "UPDATE snapshot SET removed = 1 WHERE id = ?");
	query_bind(&q, id);
	err = query_run(&q);
	if (!err)
		err = snapshots_sweep(tx);
	if (err)
		return err;
	err = snapshot_by_id(tx, id, &snapshot);
	if (!err || err == -ENOENT)
		*stays = !err;
	return err == -ENOENT ? 0 : err;
}

int snapshot_keep_points(struct inventory_tx *tx, int64_t volume_id, unsigned keep)
{
	struct query q;
	int err;

	query_begin(
		&q, tx,
		"UPDATE snapshot SET removed = 1 WHERE volume_id = ?1 AND boot > 0 AND removed = 0 AND id NOT IN (SELECT id "
		"FROM snapshot WHERE volume_id = ?1 AND boot > 0 AND removed = 0 ORDER BY id DESC LIMIT ?2)");
	query_bind(&q, volume_id);
	query_bind(&q, keep);
	err = query_run(&q);
	return err ? err : snapshots_sweep(tx);
}

int snapshot_keep_automatic(struct inventory_tx *tx, int64_t volume_id, int64_t wanted)
{
	struct query q;
	int err;

	query_begin(
		&q, tx,
		"UPDATE snapshot SET removed = 1 WHERE volume_id = ?1 AND automatic = 1 AND removed = 0 AND id <> ?2 AND id NOT "
		"IN (SELECT id FROM snapshot WHERE volume_id = ?1 AND automatic = 1 AND removed = 0 ORDER BY id DESC LIMIT ?3)");
	query_bind(&q, volume_id);
	query_bind(&q, wanted);
	query_bind(&q, AUTOMATIC_KEPT);
	err = query_run(&q);
	return err ? err : snapshots_sweep(tx);
}

int snapshot_keep_left(struct inventory_tx *tx, int64_t volume_id, unsigned keep)
{
	struct query q;
	int err;

	query_begin(
		&q, tx,
		"UPDATE snapshot SET removed = 1 WHERE volume_id = ?1 AND left_by > 0 AND removed = 0 AND id NOT IN (SELECT id "
		"FROM snapshot WHERE volume_id = ?1 AND left_by > 0 AND removed = 0 ORDER BY id DESC LIMIT ?2)");
	query_bind(&q, volume_id);
	query_bind(&q, keep);
	err = query_run(&q);
	return err ? err : snapshots_sweep(tx);
}

int snapshot_set_synced(struct inventory_tx *tx, int64_t id)
{
	struct query q;

	query_begin(&q, tx, "UPDATE snapshot SET unsynced = 0 WHERE id = ?");
	query_bind(&q, id);
	return query_run(&q);
}

int snapshot_lose_unsynced(struct inventory_tx *tx)
{
	struct query q;
	int lost, err;

	query_begin(&q, tx, "UPDATE snapshot SET removed = 1, unsynced = 0 WHERE unsynced = 1 AND removed = 0");
	err = query_run(&q);
	lost = query_changes(tx);
	if (!err && lost)
		err = snapshots_sweep(tx);
	return err ? err : lost;
}

/* ---- two that become one ---- */

/* The volumes that stand on upper, or on what stands on it. */
#define VOLUMES_ABOVE(what)                                                                                 \
	"(WITH RECURSIVE above (id) AS (SELECT upper.id UNION SELECT snapshot.id FROM snapshot JOIN above " \
	"ON snapshot.parent_id = above.id) SELECT " what " FROM above JOIN volume ON volume.snapshot_id = above.id)"
/* Whoever opens upper while it is replaced has to be kept from it: one volume is claimed for that. */
#define PAIR_CONDITION                                                                                            \
	"lower.removed = 1 AND lower.parent_id IS NULL AND upper.parent_id = lower.id AND upper.version_id IS "   \
	"lower.version_id AND NOT EXISTS (SELECT 1 FROM volume WHERE volume.snapshot_id = lower.id) AND (SELECT " \
	"count(*) FROM snapshot AS other WHERE other.parent_id = lower.id) = 1 AND " VOLUMES_ABOVE("count(*)") " <= 1"

int snapshot_find_pair(struct inventory_tx *tx, int64_t after, struct snapshot_pair *pair)
{
	struct query q;
	int64_t lower = 0, upper = 0, above = 0;
	bool row;
	int err;

	query_begin(
		&q, tx,
		"SELECT lower.id, upper.id, " VOLUMES_ABOVE(
			"coalesce(max(volume.id), 0)") " FROM snapshot AS lower, snapshot AS upper WHERE upper.volume_id > ? AND " PAIR_CONDITION
						       " ORDER BY upper.volume_id, lower.id LIMIT 1");
	query_bind(&q, after);
	row = query_row(&q);
	if (row) {
		lower = query_int(&q);
		upper = query_int(&q);
		above = query_int(&q);
	}
	err = query_end_one(&q, row);
	pair->above_id = above;
	if (!err)
		err = snapshot_by_id(tx, lower, &pair->lower);
	return err ? err : snapshot_by_id(tx, upper, &pair->upper);
}

int snapshot_join_pair(struct inventory_tx *tx, const struct snapshot_pair *pair)
{
	struct query q;
	int err;

	query_begin(
		&q, tx,
		"UPDATE snapshot SET parent_id = NULL WHERE id = ? AND object = ? AND EXISTS (SELECT 1 FROM snapshot AS "
		"lower, snapshot AS upper WHERE lower.id = ? AND upper.id = snapshot.id AND " PAIR_CONDITION
		" AND " VOLUMES_ABOVE("coalesce(max(volume.id), ?)") " = ?)");
	query_bind(&q, pair->upper.id);
	query_bind_text(&q, pair->upper.object, sizeof(pair->upper.object));
	query_bind(&q, pair->lower.id);
	query_bind(&q, pair->above_id);
	query_bind(&q, pair->above_id);
	err = query_run(&q);
	if (err || !query_changes(tx))
		return err ? err : -ESTALE;
	return snapshots_sweep(tx);
}
