// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Images and their versions. What new machines get is the version that was published last of the image that is the
 * default.
 */
#include "inventory/db.h"

#include "base/util.h"

#include <errno.h>
#include <string.h>

#define VERSION_COLUMNS                                                                                                                                  \
	"image_version.id, image.name, number, CASE WHEN published > 0 THEN 2 ELSE unpublished END, file, format, size_bytes, sha256, inode, mtime_ns, " \
	"image_version.created_ms, source, warnings, is_default, "                                                                                       \
	"published > 0 AND published = (SELECT max(published) FROM image_version AS v WHERE v.image_id = image.id), "                                    \
	"(SELECT count(*) FROM volume WHERE volume.version_id = image_version.id AND kind = 0 AND volume.id NOT IN "                                     \
	"(SELECT volume_id FROM trash)), "                                                                                                               \
	"(SELECT count(*) FROM volume WHERE volume.version_id = image_version.id AND kind <> 0), "                                                       \
	"(SELECT count(*) FROM snapshot WHERE snapshot.version_id = image_version.id), "                                                                 \
	"(SELECT count(*) FROM trash JOIN volume ON volume.id = trash.volume_id "                                                                        \
	"WHERE volume.version_id = image_version.id), "                                                                                                  \
	"parent_id, coalesce((SELECT image.name || '@' || parent.number FROM image_version AS parent JOIN image ON "                                     \
	"image.id = parent.image_id WHERE parent.id = image_version.parent_id), ''), "                                                                   \
	"(WITH RECURSIVE below (id) AS (VALUES (image_version.id) UNION ALL SELECT lower.parent_id FROM image_version AS lower "                         \
	"JOIN below ON lower.id = below.id WHERE lower.parent_id IS NOT NULL) SELECT count(*) FROM below), "                                             \
	"(SELECT count(*) FROM image_version AS upper WHERE upper.parent_id = image_version.id), "                                                       \
	"ifnull((SELECT v.number FROM image_version AS v WHERE v.image_id = image.id AND v.published > 0 "                                               \
	"ORDER BY v.published DESC LIMIT 1), 0), note, publish_at_ms, publish_by, "                                                                      \
	"(SELECT count(*) FROM rollout WHERE state IN (0, 1) AND image_version.id IN (version_id, old_version_id))"
#define VERSION_FROM " FROM image_version JOIN image ON image.id = image_version.image_id "

static void version_read(struct query *q, struct image_version *v)
{
	*v = (struct image_version){ .id = query_int(q) };
	query_text(q, v->image, sizeof(v->image));
	v->number = (unsigned)query_int(q);
	v->state = (enum version_state)query_int(q);
	query_text(q, v->file, sizeof(v->file));
	query_text(q, v->format, sizeof(v->format));
	v->size_bytes = (uint64_t)query_int(q);
	query_text(q, v->sha256, sizeof(v->sha256));
	v->inode = (uint64_t)query_int(q);
	v->mtime_ns = query_int(q);
	v->created_ms = query_int(q);
	query_text(q, v->source, sizeof(v->source));
	query_text(q, v->warnings, sizeof(v->warnings));
	v->is_default = query_int(q);
	v->is_newest = query_int(q);
	v->machines = (unsigned)query_int(q);
	v->volumes = (unsigned)query_int(q);
	v->snapshots = (unsigned)query_int(q);
	v->trashed = (unsigned)query_int(q);
	v->parent_id = query_int(q);
	query_text(q, v->parent, sizeof(v->parent));
	v->depth = (unsigned)query_int(q);
	v->versions = (unsigned)query_int(q);
	v->newest = (unsigned)query_int(q);
	query_text(q, v->note, sizeof(v->note));
	v->publish_at_ms = query_int(q);
	query_text(q, v->publish_by, sizeof(v->publish_by));
	v->rollouts = (unsigned)query_int(q);
}

static int version_one(struct query *q, struct image_version *version)
{
	struct image_version found;
	bool row = query_row(q);
	int err;

	if (row)
		version_read(q, &found);
	err = query_end_one(q, row);
	if (!err)
		*version = found;
	return err;
}

int version_by_id(struct inventory_tx *tx, int64_t id, struct image_version *version)
{
	struct query q;

	query_begin(&q, tx, "SELECT " VERSION_COLUMNS VERSION_FROM "WHERE image_version.id = ?");
	query_bind(&q, id);
	return version_one(&q, version);
}

int version_find(struct inventory_tx *tx, const char *image, unsigned number, struct image_version *version)
{
	struct query q;

	if (number) {
		query_begin(&q, tx, "SELECT " VERSION_COLUMNS VERSION_FROM "WHERE image.name = ? AND number = ?");
		query_bind_text(&q, image, NAME_MAX_TEXT);
		query_bind(&q, number);
	} else {
		query_begin(&q, tx,
			    "SELECT " VERSION_COLUMNS VERSION_FROM
			    "WHERE image.name = ? AND published > 0 ORDER BY published DESC LIMIT 1");
		query_bind_text(&q, image, NAME_MAX_TEXT);
	}
	return version_one(&q, version);
}

int version_newest_given(struct inventory_tx *tx, const char *image, struct image_version *version)
{
	struct query q;

	query_begin(&q, tx,
		    "SELECT " VERSION_COLUMNS VERSION_FROM
		    "WHERE image.name = ? AND (published > 0 OR unpublished = 1) ORDER BY number DESC LIMIT 1");
	query_bind_text(&q, image, NAME_MAX_TEXT);
	return version_one(&q, version);
}

int version_planned(struct inventory_tx *tx, struct image_version *version)
{
	struct query q;

	query_begin(&q, tx,
		    "SELECT " VERSION_COLUMNS VERSION_FROM
		    "WHERE publish_at_ms > 0 ORDER BY publish_at_ms, image_version.id LIMIT 1");
	return version_one(&q, version);
}

int version_default(struct inventory_tx *tx, struct image_version *version)
{
	struct query q;

	query_begin(&q, tx,
		    "SELECT " VERSION_COLUMNS VERSION_FROM
		    "WHERE is_default = 1 AND published > 0 ORDER BY published DESC LIMIT 1");
	return version_one(&q, version);
}

int version_each(struct inventory_tx *tx, int (*each)(void *arg, const struct image_version *version), void *arg)
{
	struct image_version version;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, "SELECT " VERSION_COLUMNS VERSION_FROM "ORDER BY image.name, number");
	while (!stop && query_row(&q)) {
		version_read(&q, &version);
		stop = each(arg, &version);
	}
	err = query_end(&q);
	return err ? err : stop;
}

int image_find_similar(struct inventory_tx *tx, const char *name, char similar[NAME_MAX_TEXT])
{
	struct query q;
	bool found;

	query_begin(&q, tx, "SELECT name FROM image WHERE name = ?1 COLLATE NOCASE ORDER BY name = ?1 DESC LIMIT 1");
	query_bind_text(&q, name, NAME_MAX_TEXT);
	found = query_row(&q);
	if (found)
		query_text(&q, similar, NAME_MAX_TEXT);
	return query_end_one(&q, found);
}

int version_next_number(struct inventory_tx *tx, const char *image, unsigned *number)
{
	struct query q;
	int64_t last = 0;
	int err;

	query_begin(&q, tx, "SELECT last_number FROM image WHERE name = ?");
	query_bind_text(&q, image, NAME_MAX_TEXT);
	err = query_number(&q, &last);
	if (err && err != -ENOENT)
		return err;
	*number = (unsigned)last + 1;
	return 0;
}

/* The image's row, made where it is new; the default where there is none and machines may get it. */
static int image_make(struct inventory_tx *tx, const char *name, unsigned number, bool published, int64_t *id)
{
	struct query q;

	query_begin(&q, tx,
		    "INSERT INTO image (name, is_default, last_number) VALUES (?, CASE WHEN ? AND NOT EXISTS (SELECT 1 "
		    "FROM image WHERE is_default = 1) THEN 1 ELSE 0 END, ?) "
		    "ON CONFLICT (name) DO UPDATE SET last_number = CASE WHEN excluded.last_number > image.last_number "
		    "THEN excluded.last_number "
		    "ELSE image.last_number END RETURNING id");
	query_bind_text(&q, name, NAME_MAX_TEXT);
	query_bind(&q, published);
	query_bind(&q, number);
	return query_number(&q, id);
}

int version_insert(struct inventory_tx *tx, struct image_version *v)
{
	struct query q;
	char similar[NAME_MAX_TEXT];
	int64_t image_id, id;
	int err;

	if (!image_name_valid(v->image) || !v->number || !v->file[0] || strchr(v->file, '/') || v->file[0] == '.')
		return -EINVAL;
	/* Two that only their case tells apart would be taken for each other. Where both are there since long, both go on. */
	err = image_find_similar(tx, v->image, similar);
	if (err && err != -ENOENT)
		return err;
	if (!err && strcmp(similar, v->image))
		return -ENOTUNIQ;
	err = image_make(tx, v->image, v->number, v->state == VERSION_PUBLISHED, &image_id);
	if (err)
		return err;
	query_begin(&q, tx,
		    "INSERT INTO image_version (image_id, number, file, format, size_bytes, sha256, inode, mtime_ns, "
		    "created_ms, source, warnings, note, unpublished, parent_id) "
		    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id");
	query_bind(&q, image_id);
	query_bind(&q, v->number);
	query_bind_text(&q, v->file, sizeof(v->file));
	query_bind_text(&q, v->format, sizeof(v->format));
	query_bind(&q, (int64_t)v->size_bytes);
	query_bind_text(&q, v->sha256, sizeof(v->sha256));
	query_bind(&q, (int64_t)v->inode);
	query_bind(&q, v->mtime_ns);
	query_bind(&q, v->created_ms ? v->created_ms : tx->now_ms);
	query_bind_text(&q, v->source, sizeof(v->source));
	query_bind_text(&q, v->warnings, sizeof(v->warnings));
	query_bind_text(&q, v->note, sizeof(v->note));
	query_bind(&q, v->state == VERSION_PUBLISHED ? VERSION_TEST : v->state);
	if (v->parent_id)
		query_bind(&q, v->parent_id);
	else
		query_bind_null(&q);
	err = query_number(&q, &id);
	if (!err && v->state == VERSION_PUBLISHED)
		err = version_publish(tx, id);
	if (!err)
		v->id = id;
	return err;
}

int version_publish(struct inventory_tx *tx, int64_t id)
{
	struct query q;
	int err;

	query_begin(
		&q, tx,
		"UPDATE image_version SET published = (SELECT max(published) + 1 FROM image_version), publish_at_ms = 0, "
		"publish_by = '' WHERE id = ?");
	query_bind(&q, id);
	err = query_run(&q);
	if (err || !query_changes(tx))
		return err ? err : -ENOENT;
	/* The first image that is published is what machines get. */
	query_begin(&q, tx,
		    "UPDATE image SET is_default = 1 WHERE id = (SELECT image_id FROM image_version WHERE id = ?) AND NOT "
		    "EXISTS (SELECT 1 FROM image WHERE is_default = 1)");
	query_bind(&q, id);
	return query_run(&q);
}

int version_set_identity(struct inventory_tx *tx, int64_t id, const char *sha256, uint64_t inode, int64_t mtime_ns)
{
	struct query q;
	int err;

	query_begin(&q, tx, "UPDATE image_version SET sha256 = ?, inode = ?, mtime_ns = ? WHERE id = ?");
	query_bind_text(&q, sha256, sizeof(((struct image_version *)0)->sha256));
	query_bind(&q, (int64_t)inode);
	query_bind(&q, mtime_ns);
	query_bind(&q, id);
	err = query_run(&q);
	return err ? err : query_changes(tx) ? 0 : -ENOENT;
}

/* It is the last one of an image that a group has. */
static int check_groups(struct inventory_tx *tx, const struct image_version *version)
{
	struct query q;
	int64_t groups;
	int err;

	query_begin(&q, tx,
		    "SELECT count(*) FROM machine_group WHERE image = ?1 AND NOT EXISTS (SELECT 1 FROM image_version JOIN "
		    "image ON image.id = image_id WHERE image.name = ?1 AND image_version.id <> ?2)");
	query_bind_text(&q, version->image, sizeof(version->image));
	query_bind(&q, version->id);
	err = query_number(&q, &groups);
	return err ? err : groups ? -EBUSY : 0;
}

int version_delete(struct inventory_tx *tx, int64_t id)
{
	struct image_version version;
	struct query q;
	int err = version_by_id(tx, id, &version);

	if (!err)
		err = check_groups(tx, &version);
	if (err)
		return err;
	if (version.machines || version.volumes || version.snapshots || version.trashed || version.versions ||
	    version.rollouts)
		return -EBUSY;
	query_begin(&q, tx, "DELETE FROM image_version WHERE id = ?");
	query_bind(&q, id);
	err = query_run(&q);
	if (err)
		return err;
	query_begin(&q, tx,
		    "DELETE FROM image WHERE name = ? AND NOT EXISTS (SELECT 1 FROM image_version WHERE image_id = "
		    "image.id)");
	query_bind_text(&q, version.image, sizeof(version.image));
	return query_run(&q);
}

int image_set_default(struct inventory_tx *tx, const char *image)
{
	struct query q;
	int64_t id;
	int err;

	query_begin(&q, tx, "SELECT id FROM image WHERE name = ?");
	query_bind_text(&q, image, NAME_MAX_TEXT);
	err = query_number(&q, &id);
	if (err)
		return err == -EINVAL ? -ENOENT : err;
	query_begin(&q, tx, "UPDATE image SET is_default = 0 WHERE is_default = 1 AND id <> ?");
	query_bind(&q, id);
	err = query_run(&q);
	if (err)
		return err;
	query_begin(&q, tx, "UPDATE image SET is_default = 1 WHERE id = ? AND is_default = 0");
	query_bind(&q, id);
	return query_run(&q);
}
