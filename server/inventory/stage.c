// SPDX-License-Identifier: GPL-2.0-or-later
/* Stages of boots: see stage.h. They go with their boot (a foreign key), so they are bounded as boots are. */
#include "inventory/stage.h"

#include "base/util.h"
#include "inventory/db.h"

#include <errno.h>

int stage_put(struct inventory_tx *tx, const struct stage_record *record, bool replace)
{
	struct query q;

	if (replace)
		query_begin(&q, tx,
			    "INSERT INTO boot_stage (machine_id, number, stage, at_ms, detail) VALUES (?, ?, ?, ?, ?) "
			    "ON CONFLICT (machine_id, number, stage) DO UPDATE SET at_ms = excluded.at_ms, "
			    "detail = excluded.detail, stuck_ms = 0, why = ''");
	else
		query_begin(&q, tx,
			    "INSERT INTO boot_stage (machine_id, number, stage, at_ms, detail) VALUES (?, ?, ?, ?, ?) "
			    "ON CONFLICT (machine_id, number, stage) DO NOTHING");
	query_bind(&q, record->machine_id);
	query_bind(&q, (int64_t)record->number);
	query_bind(&q, record->stage);
	query_bind(&q, record->at_ms);
	query_bind_text(&q, record->detail, sizeof(record->detail));
	return query_run(&q);
}

int stage_set_stuck(struct inventory_tx *tx, const struct stage_record *record)
{
	struct query q;
	int err;

	query_begin(&q, tx,
		    "UPDATE boot_stage SET stuck_ms = ?, why = ? WHERE machine_id = ? AND number = ? AND stage = ?");
	query_bind(&q, record->stuck_ms);
	query_bind_text(&q, record->why, sizeof(record->why));
	query_bind(&q, record->machine_id);
	query_bind(&q, (int64_t)record->number);
	query_bind(&q, record->stage);
	err = query_run(&q);
	return err ? err : query_changes(tx) ? 0 : -ENOENT;
}

int stage_clear(struct inventory_tx *tx, int64_t machine_id, uint64_t number)
{
	struct query q;

	query_begin(&q, tx, "DELETE FROM boot_stage WHERE machine_id = ? AND number = ?");
	query_bind(&q, machine_id);
	query_bind(&q, (int64_t)number);
	return query_run(&q);
}

int stage_each(struct inventory_tx *tx, int64_t machine_id, uint64_t number,
	       int (*each)(void *arg, const struct stage_record *record), void *arg)
{
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx,
		    "SELECT stage, at_ms, detail, stuck_ms, why FROM boot_stage WHERE machine_id = ? AND number = ? "
		    "ORDER BY stage");
	query_bind(&q, machine_id);
	query_bind(&q, (int64_t)number);
	while (!stop && query_row(&q)) {
		struct stage_record record = { .machine_id = machine_id, .number = number };

		record.stage = (enum stage)query_int(&q);
		record.at_ms = query_int(&q);
		query_text(&q, record.detail, sizeof(record.detail));
		record.stuck_ms = query_int(&q);
		query_text(&q, record.why, sizeof(record.why));
		stop = each(arg, &record);
	}
	err = query_end(&q);
	return err ? err : stop;
}

const char *stage_name(enum stage stage)
{
	static const char *const names[STAGES] = {
		[STAGE_DHCP] = "dhcp",
		[STAGE_BOOT_FILE] = "boot-file",
		[STAGE_WAITED] = "waited",
		[STAGE_SCRIPT] = "script",
		[STAGE_IPXE_LOGIN] = "ipxe-login",
		[STAGE_FIRST_READ] = "first-read",
		[STAGE_LOADER_DONE] = "loader-done",
		[STAGE_KERNEL_LOGIN] = "kernel-login",
		[STAGE_STEADY] = "steady",
	};

	return (unsigned)stage < array_len(names) ? names[stage] : "unknown";
}
