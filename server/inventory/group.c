// SPDX-License-Identifier: GPL-2.0-or-later
/* Groups of machines: what they boot together, and who goes first. A machine is in one at most. See inventory.h. */
#include "inventory/db.h"
#include "inventory/private.h"

#include <errno.h>
#include <strings.h>

#define GROUP_COLUMNS                                                      \
	"id, name, priority, boot, note, boot_file_set, templates, ring, " \
	"(SELECT count(*) FROM machine WHERE machine.group_id = machine_group.id)"

static void group_read(struct query *q, struct machine_group *g)
{
	*g = (struct machine_group){ .id = query_int(q) };
	query_text(q, g->name, sizeof(g->name));
	g->priority = (int)query_int(q);
	query_text(q, g->boot, sizeof(g->boot));
	query_text(q, g->note, sizeof(g->note));
	query_text(q, g->boot_file_set, sizeof(g->boot_file_set));
	query_text(q, g->templates, sizeof(g->templates));
	query_text(q, g->ring, sizeof(g->ring));
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

static void group_bind(struct query *q, const struct machine_group *g)
{
	query_bind_text(q, g->name, sizeof(g->name));
	query_bind(q, g->priority);
	query_bind_text(q, g->boot, sizeof(g->boot));
	query_bind_text(q, g->note, sizeof(g->note));
	query_bind_text(q, g->boot_file_set, sizeof(g->boot_file_set));
	query_bind_text(q, g->templates, sizeof(g->templates));
	query_bind_text(q, g->ring, sizeof(g->ring));
}

bool group_name_valid(const char *name)
{
	return image_name_valid(name) && strcasecmp(name, "none");
}

int group_by_id(struct inventory_tx *tx, int64_t id, struct machine_group *group)
{
	struct query q;

	query_begin(&q, tx, "SELECT " GROUP_COLUMNS " FROM machine_group WHERE id = ?");
	query_bind(&q, id);
	return group_one(&q, group);
}

int group_by_name(struct inventory_tx *tx, const char *name, struct machine_group *group)
{
	struct query q;

	query_begin(&q, tx, "SELECT " GROUP_COLUMNS " FROM machine_group WHERE lower(name) = lower(?)");
	query_bind_text(&q, name, NAME_MAX_TEXT);
	return group_one(&q, group);
}

int group_each(struct inventory_tx *tx, int (*each)(void *arg, const struct machine_group *group), void *arg)
{
	struct machine_group group;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, "SELECT " GROUP_COLUMNS " FROM machine_group ORDER BY lower(name)");
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
	query_begin(
		&q, tx,
		"INSERT INTO machine_group (name, priority, boot, note, boot_file_set, templates, ring) VALUES (?, ?, ?, ?, ?, ?, ?) "
		"RETURNING id");
	group_bind(&q, group);
	return query_number(&q, &group->id);
}

int group_update(struct inventory_tx *tx, const struct machine_group *group)
{
	struct query q;
	int err;

	if (!group_valid(group))
		return -EINVAL;
	query_begin(
		&q, tx,
		"UPDATE machine_group SET name = ?, priority = ?, boot = ?, note = ?, boot_file_set = ?, templates = ?, "
		"ring = ? WHERE id = ?");
	group_bind(&q, group);
	query_bind(&q, group->id);
	err = query_run(&q);
	if (err)
		return err;
	return query_changes(tx) ? who_am_i_settle(tx) : -ENOENT;
}

int group_delete(struct inventory_tx *tx, int64_t id)
{
	struct query q;
	int err;

	query_begin(&q, tx, "UPDATE machine SET group_id = NULL WHERE group_id = ?");
	query_bind(&q, id);
	err = query_run(&q);
	if (err)
		return err;
	query_begin(&q, tx, "DELETE FROM machine_group WHERE id = ?");
	query_bind(&q, id);
	err = query_run(&q);
	if (err)
		return err;
	return query_changes(tx) ? who_am_i_settle(tx) : -ENOENT;
}
