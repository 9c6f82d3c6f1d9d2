// SPDX-License-Identifier: GPL-2.0-or-later
/* Versions that stood on another one, and then on nothing: see inventory.h. */
#include "inventory/db.h"

#include <errno.h>
#include <string.h>

int version_find_deep(struct inventory_tx *tx, unsigned depth, int64_t after, struct image_version *version)
{
	struct query q;
	int64_t id;
	int err;

	query_begin(
		&q, tx,
		"SELECT id FROM image_version AS deep WHERE id > ? AND parent_id IS NOT NULL AND sha256 <> '' AND (WITH "
		"RECURSIVE below (id) AS (VALUES (deep.id) UNION ALL SELECT lower.parent_id FROM image_version AS lower "
		"JOIN below ON lower.id = below.id WHERE lower.parent_id IS NOT NULL) SELECT count(*) FROM below) >= ? "
		"ORDER BY id LIMIT 1");
	query_bind(&q, after);
	query_bind(&q, depth);
	err = query_number(&q, &id);
	return err ? err : version_by_id(tx, id, version);
}

int version_flat_announce(struct inventory_tx *tx, const struct version_flat *flat)
{
	struct query q;

	query_begin(
		&q, tx,
		"INSERT INTO version_flat (version_id, sha256, inode, mtime_ns) VALUES (?, ?, ?, ?) ON CONFLICT (version_id) "
		"DO UPDATE SET sha256 = excluded.sha256, inode = excluded.inode, mtime_ns = excluded.mtime_ns");
	query_bind(&q, flat->version_id);
	query_bind_text(&q, flat->sha256, sizeof(flat->sha256));
	query_bind(&q, (int64_t)flat->inode);
	query_bind(&q, flat->mtime_ns);
	return query_run(&q);
}

static void flat_read(struct query *q, struct version_flat *flat)
{
	flat->version_id = query_int(q);
	query_text(q, flat->sha256, sizeof(flat->sha256));
	flat->inode = (uint64_t)query_int(q);
	flat->mtime_ns = query_int(q);
}

int version_flat_next(struct inventory_tx *tx, int64_t from, struct version_flat *flat)
{
	struct version_flat found;
	struct query q;
	bool row;
	int err;

	query_begin(&q, tx,
		    "SELECT version_id, sha256, inode, mtime_ns FROM version_flat WHERE version_id >= ? ORDER BY "
		    "version_id LIMIT 1");
	query_bind(&q, from);
	row = query_row(&q);
	if (row)
		flat_read(&q, &found);
	err = query_end_one(&q, row);
	if (!err)
		*flat = found;
	return err;
}

int version_flat_forget(struct inventory_tx *tx, int64_t version_id)
{
	struct query q;

	query_begin(&q, tx, "DELETE FROM version_flat WHERE version_id = ?");
	query_bind(&q, version_id);
	return query_run(&q);
}

int version_flat_done(struct inventory_tx *tx, const struct version_flat *flat)
{
	struct image_version version;
	struct query q;
	int err = version_by_id(tx, flat->version_id, &version);

	if (err)
		return err;
	query_begin(&q, tx, "UPDATE image_version SET parent_id = NULL WHERE id = ?");
	query_bind(&q, flat->version_id);
	err = query_run(&q);
	if (!err)
		err = version_set_identity(tx, flat->version_id, flat->sha256, flat->inode, flat->mtime_ns);
	if (!err)
		err = version_flat_forget(tx, flat->version_id);
	return err ? err :
		     event_add(tx, "info", "image-flattened", "server", 0, version.image,
			       "%s@%u stands on %s no more: it is one file now", version.image, version.number,
			       version.parent[0] ? version.parent : "others");
}
