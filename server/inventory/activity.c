// SPDX-License-Identifier: GPL-2.0-or-later
/* See activity.h. */
#include "inventory/activity.h"

#include "inventory/db.h"

int activity_add(struct inventory_tx *tx, const struct activity *activity)
{
	struct query q;
	int err;

	query_begin(&q, tx,
		    "INSERT OR REPLACE INTO activity (at_ms, running, booting, boots, read_bytes, written_bytes, "
		    "free_bytes) VALUES (?, ?, ?, ?, ?, ?, ?)");
	query_bind(&q, activity->at_ms);
	query_bind(&q, activity->running);
	query_bind(&q, activity->booting);
	query_bind(&q, activity->boots);
	query_bind(&q, (int64_t)activity->read_bytes);
	query_bind(&q, (int64_t)activity->written_bytes);
	query_bind(&q, (int64_t)activity->free_bytes);
	err = query_run(&q);
	if (err)
		return err;
	query_begin(&q, tx, "DELETE FROM activity WHERE at_ms <= ?");
	query_bind(&q, activity->at_ms - ACTIVITY_KEPT_MS);
	return query_run(&q);
}

int activity_each(struct inventory_tx *tx, int64_t since_ms, int (*each)(void *arg, const struct activity *activity),
		  void *arg)
{
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx,
		    "SELECT at_ms, running, booting, boots, read_bytes, written_bytes, free_bytes FROM activity "
		    "WHERE at_ms > ? ORDER BY at_ms");
	query_bind(&q, since_ms);
	while (!stop && query_row(&q)) {
		struct activity activity = { .at_ms = query_int(&q) };

		activity.running = (unsigned)query_int(&q);
		activity.booting = (unsigned)query_int(&q);
		activity.boots = (unsigned)query_int(&q);
		activity.read_bytes = (uint64_t)query_int(&q);
		activity.written_bytes = (uint64_t)query_int(&q);
		activity.free_bytes = (uint64_t)query_int(&q);
		stop = each(arg, &activity);
	}
	err = query_end(&q);
	return err ? err : stop;
}
