// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Machines that ask and get no disk yet. Anybody on the LAN can ask under any MAC, so their number is bounded: a
 * newcomer finds room only where an entry has not been seen for a day.
 */
#include "inventory/db.h"

#include "base/util.h"

#include <errno.h>

enum { DAY_MS = 86400 * 1000, DENIED_FACTOR = 10 };

#define WAITING_COLUMNS \
	"number, mac, uuid, serial, product, cards, address, reason, coalesce(machine_id, 0), first_ms, seen_ms"

static void waiting_read(struct query *q, struct waiting *w)
{
	*w = (struct waiting){ .number = query_int(q) };
	query_text(q, w->mac, sizeof(w->mac));
	query_text(q, w->uuid, sizeof(w->uuid));
	query_text(q, w->serial, sizeof(w->serial));
	query_text(q, w->product, sizeof(w->product));
	query_text(q, w->cards, sizeof(w->cards));
	query_text(q, w->address, sizeof(w->address));
	w->reason = (enum waiting_reason)query_int(q);
	w->machine_id = query_int(q);
	w->first_ms = query_int(q);
	w->seen_ms = query_int(q);
}

static int waiting_one(struct query *q, struct waiting *waiting)
{
	struct waiting found;
	bool row = query_row(q);
	int err;

	if (row)
		waiting_read(q, &found);
	err = query_end_one(q, row);
	if (!err)
		*waiting = found;
	return err;
}

int waiting_by_mac(struct inventory_tx *tx, const char *mac, struct waiting *waiting)
{
	struct query q;

	query_begin(&q, tx, "SELECT " WAITING_COLUMNS " FROM waiting WHERE mac = ?");
	query_bind_text(&q, mac, PARSE_MAC_TEXT);
	return waiting_one(&q, waiting);
}

int waiting_by_number(struct inventory_tx *tx, int64_t number, struct waiting *waiting)
{
	struct query q;

	query_begin(&q, tx, "SELECT " WAITING_COLUMNS " FROM waiting WHERE number = ?");
	query_bind(&q, number);
	return waiting_one(&q, waiting);
}

static int waiting_count(struct inventory_tx *tx, bool denied, int64_t *count)
{
	struct query q;

	query_begin(&q, tx, "SELECT count(*) FROM waiting WHERE CASE WHEN reason = ? THEN 1 ELSE 0 END = ?");
	query_bind(&q, WAIT_DENIED);
	query_bind(&q, denied);
	return query_number(&q, count);
}

/* Deletes at most `most` entries that were last seen before, oldest first. */
static int waiting_evict(struct inventory_tx *tx, bool denied, int64_t before_ms, int64_t most)
{
	struct query q;

	query_begin(&q, tx,
		    "DELETE FROM waiting WHERE number IN (SELECT number FROM waiting WHERE CASE WHEN reason = ? THEN 1 "
		    "ELSE 0 END = ? AND seen_ms < ? "
		    "ORDER BY seen_ms, number LIMIT ?)");
	query_bind(&q, WAIT_DENIED);
	query_bind(&q, denied);
	query_bind(&q, before_ms);
	query_bind(&q, most);
	return query_run(&q);
}

/* Makes room for one more of a kind (denied or not), which the newcomer is not yet. */
static int waiting_make_room(struct inventory_tx *tx, bool denied, int64_t now_ms, unsigned max)
{
	int64_t limit = denied ? (int64_t)max * DENIED_FACTOR : max, count;
	int err = waiting_count(tx, denied, &count);

	if (err || count < limit)
		return err;
	err = waiting_evict(tx, denied, denied ? INT64_MAX : now_ms - DAY_MS, count - limit + 1);
	if (!err)
		err = waiting_count(tx, denied, &count);
	if (err)
		return err;
	return count < limit ? 0 : -ENOSPC;
}

int waiting_put(struct inventory_tx *tx, struct waiting *waiting, unsigned max)
{
	int64_t now_ms = waiting->seen_ms ? waiting->seen_ms : tx->now_ms;
	struct waiting old, now;
	struct query q;
	bool row;
	int err;

	err = waiting_by_mac(tx, waiting->mac, &old);
	if (err && err != -ENOENT)
		return err;
	/* Those that already wait stay, also when the limit was lowered. */
	if (err || (old.reason == WAIT_DENIED) != (waiting->reason == WAIT_DENIED)) {
		err = waiting_make_room(tx, waiting->reason == WAIT_DENIED, now_ms, max);
		if (err)
			return err;
	}
	query_begin(
		&q, tx,
		"INSERT INTO waiting (mac, uuid, serial, product, cards, address, reason, machine_id, first_ms, seen_ms) "
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
		"ON CONFLICT (mac) DO UPDATE SET uuid = excluded.uuid, serial = excluded.serial, product = "
		"excluded.product, cards = excluded.cards, address = excluded.address, "
		"reason = excluded.reason, machine_id = excluded.machine_id, seen_ms = excluded.seen_ms "
		"RETURNING " WAITING_COLUMNS);
	query_bind_text(&q, waiting->mac, sizeof(waiting->mac));
	query_bind_text(&q, waiting->uuid, sizeof(waiting->uuid));
	query_bind_text(&q, waiting->serial, sizeof(waiting->serial));
	query_bind_text(&q, waiting->product, sizeof(waiting->product));
	query_bind_text(&q, waiting->cards, sizeof(waiting->cards));
	query_bind_text(&q, waiting->address, sizeof(waiting->address));
	query_bind(&q, waiting->reason);
	if (waiting->machine_id)
		query_bind(&q, waiting->machine_id);
	else
		query_bind_null(&q);
	query_bind(&q, now_ms);
	query_bind(&q, now_ms);
	row = query_row(&q);
	if (row)
		waiting_read(&q, &now);
	err = query_end(&q);
	if (err || !row)
		return err ? err : -EIO;
	*waiting = now;
	return 0;
}

int waiting_remove(struct inventory_tx *tx, const char *mac)
{
	struct query q;
	int err;

	query_begin(&q, tx, "DELETE FROM waiting WHERE mac = ?");
	query_bind_text(&q, mac, PARSE_MAC_TEXT);
	err = query_run(&q);
	if (err)
		return err == -EINVAL ? -ENOENT : err;
	return query_changes(tx) ? 0 : -ENOENT;
}

int waiting_each(struct inventory_tx *tx, int (*each)(void *arg, const struct waiting *waiting), void *arg)
{
	struct waiting waiting;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, "SELECT " WAITING_COLUMNS " FROM waiting ORDER BY number");
	while (!stop && query_row(&q)) {
		waiting_read(&q, &waiting);
		stop = each(arg, &waiting);
	}
	err = query_end(&q);
	return err ? err : stop;
}
