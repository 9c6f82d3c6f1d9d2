// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The trash: see trash.h. What a machine was is kept as one text (machine.c knows its columns); its system volume stays as it
 * is, with nobody to have it, and keeps its image version and its snapshots.
 */
#include "inventory/trash.h"

#include "inventory/db.h"
#include "inventory/private.h"
#include "inventory/record.h"

#include "base/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HOUR_S = 3600, DAY_S = 86400, TRASH_DAYS_MAX = 3650 };

#define TRASH_SELECT                                                                      \
	"SELECT trash.id, trash.name, macs, removed_ms, removed_by" VOLUME_JOINED_COLUMNS \
	" FROM trash JOIN volume ON volume.id = volume_id "

bool trash_time_parse(const char *text, unsigned *seconds)
{
	size_t len = strlen(text);
	char digits[16];
	uint64_t number;
	unsigned unit = len && text[len - 1] == 'h' ? HOUR_S : DAY_S;

	if (!strcmp(text, "none")) {
		*seconds = 0;
		return true;
	}
	if (len < 2 || len > sizeof(digits) || (text[len - 1] != 'h' && text[len - 1] != 'd'))
		return false;
	snprintf(digits, sizeof(digits), "%.*s", (int)len - 1, text);
	if (!parse_u64(digits, 1, (uint64_t)TRASH_DAYS_MAX * DAY_S / unit, &number))
		return false;
	*seconds = (unsigned)number * unit;
	return true;
}

static void trash_read(struct query *q, struct trash_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->id = query_int(q);
	query_text(q, entry->name, sizeof(entry->name));
	query_text(q, entry->macs, sizeof(entry->macs));
	entry->removed_ms = query_int(q);
	query_text(q, entry->removed_by, sizeof(entry->removed_by));
	record_read(q, volume_fields, &entry->system);
}

/* One entry, or -ENOENT. */
static int trash_one(struct query *q, struct trash_entry *entry)
{
	struct trash_entry found;
	bool row = query_row(q);
	int err;

	if (row)
		trash_read(q, &found);
	err = query_end_one(q, row);
	if (!err)
		*entry = found;
	return err;
}

static int trash_by_id(struct inventory_tx *tx, int64_t id, struct trash_entry *entry)
{
	struct query q;

	query_begin(&q, tx, TRASH_SELECT "WHERE trash.id = ?");
	query_bind(&q, id);
	return trash_one(&q, entry);
}

int trash_find(struct inventory_tx *tx, const char *text, struct trash_entry *entry)
{
	struct query q;
	uint64_t id;

	if (text[0] == '#')
		return parse_u64(text + 1, 1, INT64_MAX, &id) ? trash_by_id(tx, (int64_t)id, entry) : -ENOENT;
	query_begin(&q, tx,
		    TRASH_SELECT "WHERE lower(trash.name) = lower(?) ORDER BY removed_ms DESC, trash.id DESC LIMIT 1");
	query_bind_text(&q, text, NAME_MAX_TEXT);
	return trash_one(&q, entry);
}

int trash_each(struct inventory_tx *tx, int (*each)(void *arg, const struct trash_entry *entry), void *arg)
{
	struct trash_entry entry;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, TRASH_SELECT "ORDER BY removed_ms, trash.id");
	while (!stop && query_row(&q)) {
		trash_read(&q, &entry);
		stop = each(arg, &entry);
	}
	err = query_end(&q);
	return err ? err : stop;
}

int trash_put(struct inventory_tx *tx, int64_t machine_id, const char *actor)
{
	return machine_to_trash(tx, machine_id, actor);
}

/* ---- back again ---- */

/* Those that are still nobody's. -EADDRNOTAVAIL: none is. */
static int trash_restore_macs(struct inventory_tx *tx, const struct trash_entry *entry, struct trash_restored *restored)
{
	char macs[TRASH_MACS_TEXT];
	unsigned got = 0;
	size_t len = 0;
	char *rest = macs;

	memcpy(macs, entry->macs, sizeof(macs));
	if (!macs[0])
		return 0; /* it had none */
	for (char *mac = strsep(&rest, " "); mac; mac = strsep(&rest, " ")) {
		int err = machine_add_mac(tx, entry->id, mac);

		if (err && err != -EEXIST)
			return err;
		if (err)
			len += (size_t)snprintf(restored->others + len, sizeof(restored->others) - len, "%s%s",
						len ? " " : "", mac);
		else
			got++;
	}
	return got ? 0 : -EADDRNOTAVAIL;
}

struct trash_volumes {
	struct {
		unsigned lun;
		int64_t volume_id;
	} list[LUN_MAX];
	unsigned count;
};

static int trash_list_volumes(struct inventory_tx *tx, int64_t id, struct trash_volumes *volumes)
{
	struct query q;

	volumes->count = 0;
	query_begin(&q, tx, "SELECT lun, volume_id FROM trash_attachment WHERE trash_id = ? ORDER BY lun");
	query_bind(&q, id);
	while (volumes->count < LUN_MAX && query_row(&q)) {
		volumes->list[volumes->count].lun = (unsigned)query_int(&q);
		volumes->list[volumes->count++].volume_id = query_int(&q);
	}
	return query_end(&q);
}

static int trash_restore_volumes(struct inventory_tx *tx, int64_t id, unsigned *lost)
{
	struct trash_volumes volumes;
	int err = trash_list_volumes(tx, id, &volumes);

	for (unsigned i = 0; i < volumes.count && !err; i++) {
		err = attachment_add(tx, id, volumes.list[i].lun, volumes.list[i].volume_id);
		if (err == -EBUSY || err == -ENOENT) {
			++*lost;
			err = 0;
		}
	}
	return err;
}

static int trash_forget(struct inventory_tx *tx, int64_t id)
{
	struct query q;

	query_begin(&q, tx, "DELETE FROM trash WHERE id = ?");
	query_bind(&q, id);
	return query_run(&q);
}

/* Another machine may have the name that it had: its row is made with the one that it gets. */
static int trash_rename(struct inventory_tx *tx, int64_t id, const char *name)
{
	struct machine taken;
	struct query q;
	int err = machine_by_name(tx, name, &taken);

	if (err != -ENOENT)
		return err ? err : -EEXIST;
	query_begin(&q, tx, "UPDATE trash SET record = json_set(record, '$.name', ?) WHERE id = ?");
	query_bind_text(&q, name, NAME_MAX_TEXT);
	query_bind(&q, id);
	return query_run(&q);
}

int trash_restore(struct inventory_tx *tx, int64_t id, const char *name, struct trash_restored *restored)
{
	struct trash_entry entry;
	int err = trash_by_id(tx, id, &entry);

	memset(restored, 0, sizeof(*restored));
	if (!err)
		err = trash_rename(tx, id, name[0] ? name : entry.name);
	if (!err)
		err = machine_from_trash(tx, id);
	if (!err)
		err = trash_restore_macs(tx, &entry, restored);
	if (!err)
		err = trash_restore_volumes(tx, id, &restored->volumes_lost);
	if (!err)
		err = group_volume_settle(tx, id);
	if (!err)
		err = who_am_i_settle(tx);
	if (!err)
		err = trash_forget(tx, id);
	return err ? err : machine_by_id(tx, id, &restored->machine);
}

int trash_delete(struct inventory_tx *tx, int64_t id)
{
	struct trash_entry entry;
	int err = trash_by_id(tx, id, &entry);

	if (!err)
		err = trash_forget(tx, id);
	return err ? err : volume_delete(tx, entry.system.id);
}
