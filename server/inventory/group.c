// SPDX-License-Identifier: GPL-2.0-or-later
/* Groups of machines: what they boot together, and who goes first. A machine is in one at most. See inventory.h. */
#include "inventory/db.h"
#include "inventory/private.h"
#include "inventory/record.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define GROUP_ROW(...) RECORD_ROW(machine_group, __VA_ARGS__)
#define GROUP_SELECT              \
	"SELECT id" GROUP_FIELDS( \
		RECORD_SQL_COLUMN) ", (SELECT count(*) FROM machine WHERE machine.group_id = machine_group.id) FROM machine_group "

const struct field group_fields[] = {
	GROUP_ROW(id, NUMBER, NULL, NULL, FIXED, NULL, NULL) GROUP_FIELDS(GROUP_ROW){ 0 },
};

static void group_read(struct query *q, struct machine_group *g)
{
	memset(g, 0, sizeof(*g));
	record_read(q, group_fields, g);
	g->machines = (unsigned)query_int(q);
}

/* One record, or -ENOENT; a text that no record can have finds none. */
static int group_one(struct query *q, struct machine_group *group)
{
	struct machine_group found;
	bool row = query_row(q);
	int err;

	if (row)
		group_read(q, &found);
	err = query_end_one(q, row);
	if (!err)
		*group = found;
	return err;
}

static bool group_valid(const struct machine_group *g)
{
	return group_name_valid(g->name) && g->priority >= -GROUP_PRIORITY_MAX && g->priority <= GROUP_PRIORITY_MAX;
}

bool group_name_valid(const char *name)
{
	return image_name_valid(name) && strcasecmp(name, "none");
}

int group_by_id(struct inventory_tx *tx, int64_t id, struct machine_group *group)
{
	struct query q;

	query_begin(&q, tx, GROUP_SELECT "WHERE id = ?");
	query_bind(&q, id);
	return group_one(&q, group);
}

int group_by_name(struct inventory_tx *tx, const char *name, struct machine_group *group)
{
	struct query q;

	query_begin(&q, tx, GROUP_SELECT "WHERE lower(name) = lower(?)");
	query_bind_text(&q, name, NAME_MAX_TEXT);
	return group_one(&q, group);
}

int group_each(struct inventory_tx *tx, int (*each)(void *arg, const struct machine_group *group), void *arg)
{
	struct machine_group group;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, GROUP_SELECT "ORDER BY lower(name)");
	while (!stop && query_row(&q)) {
		group_read(&q, &group);
		stop = each(arg, &group);
	}
	err = query_end(&q);
	return err ? err : stop;
}

int group_insert(struct inventory_tx *tx, struct machine_group *group)
{
	struct query q;

	if (!group_valid(group))
		return -EINVAL;
	query_begin(&q, tx,
		    "INSERT INTO machine_group (id" GROUP_FIELDS(RECORD_SQL_COLUMN) ") VALUES (NULL" GROUP_FIELDS(
			    RECORD_SQL_VALUE) ") RETURNING id");
	record_bind_insert(&q, group_fields, group);
	return query_number(&q, &group->id);
}

/* Policy names the group that new machines come into. */
static int group_rename_in_policy(struct inventory_tx *tx, const char *from, const char *to)
{
	struct query q;

	query_begin(&q, tx, "UPDATE policy SET value = ? WHERE name = 'group' AND lower(value) = lower(?)");
	query_bind_text(&q, to, NAME_MAX_TEXT);
	query_bind_text(&q, from, NAME_MAX_TEXT);
	return query_run(&q);
}

int group_update(struct inventory_tx *tx, const struct machine_group *group)
{
	struct machine_group old;
	struct query q;
	int err;

	if (!group_valid(group))
		return -EINVAL;
	err = group_by_id(tx, group->id, &old);
	if (err)
		return err;
	query_begin(&q, tx, "UPDATE machine_group SET id = id" GROUP_FIELDS(RECORD_SQL_SET) " WHERE id = ?");
	record_bind_update(&q, group_fields, group);
	query_bind(&q, group->id);
	err = query_run(&q);
	if (!err && strcmp(old.name, group->name))
		err = group_rename_in_policy(tx, old.name, group->name);
	return err ? err : who_am_i_settle(tx);
}

int group_delete(struct inventory_tx *tx, int64_t id)
{
	struct machine_group old;
	struct query q;
	int err = group_by_id(tx, id, &old);

	if (err)
		return err;
	query_begin(&q, tx, "UPDATE machine SET group_id = NULL WHERE group_id = ?");
	query_bind(&q, id);
	err = query_run(&q);
	if (err)
		return err;
	query_begin(&q, tx, "DELETE FROM machine_group WHERE id = ?");
	query_bind(&q, id);
	err = query_run(&q);
	if (!err)
		err = group_rename_in_policy(tx, old.name, "none");
	if (!err)
		err = group_volume_settle(tx, 0);
	return err ? err : who_am_i_settle(tx);
}

int version_of_group(struct inventory_tx *tx, const struct machine_group *group, struct image_version *version)
{
	return group->image[0] ? version_find(tx, group->image, 0, version) : version_default(tx, version);
}
