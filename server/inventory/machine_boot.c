// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Boots of a machine: at most one is pending, at most one current (two partial indexes hold that), the others have
 * ended.
 *
 *     machine_boot_issue -> PENDING --_begin--> CURRENT --_begin of the next, _end_all--> ENDED
 *                              `--_end_all--> gone
 *
 * A number is never used twice for a machine. An ended boot has no secret any more.
 */
#include "inventory/db.h"

#include "base/util.h"

#include <errno.h>

enum { ENDED_KEPT = 64 }; /* boots of a machine, for people who look back */

#define BOOT_COLUMNS                                                                                         \
	"machine_id, number, state, secret, reverse_secret, mac, address, issued_ms, started_ms, ended_ms, " \
	"interrupted, version_id, running, auth, ran_version_id"

static void boot_read(struct query *q, struct machine_boot *b)
{
	*b = (struct machine_boot){ .machine_id = query_int(q) };
	b->number = (uint64_t)query_int(q);
	b->state = (enum machine_boot_state)query_int(q);
	query_text(q, b->secret, sizeof(b->secret));
	query_text(q, b->reverse_secret, sizeof(b->reverse_secret));
	query_text(q, b->mac, sizeof(b->mac));
	query_text(q, b->address, sizeof(b->address));
	b->issued_ms = query_int(q);
	b->started_ms = query_int(q);
	b->ended_ms = query_int(q);
	b->interrupted = query_int(q);
	b->version_id = query_int(q);
	b->running = query_int(q);
	b->auth = (enum auth_kind)query_int(q);
	b->ran_version_id = query_int(q);
}

static int boot_in_state(struct inventory_tx *tx, int64_t machine_id, enum machine_boot_state state,
			 struct machine_boot *boot)
{
	struct machine_boot found;
	struct query q;
	bool row;
	int err;

	query_begin(&q, tx, "SELECT " BOOT_COLUMNS " FROM boot WHERE machine_id = ? AND state = ?");
	query_bind(&q, machine_id);
	query_bind(&q, state);
	row = query_row(&q);
	if (row)
		boot_read(&q, &found);
	err = query_end(&q);
	if (err)
		return err;
	if (!row)
		return -ENOENT;
	*boot = found;
	return 0;
}

int machine_boot_pending(struct inventory_tx *tx, int64_t machine_id, struct machine_boot *boot)
{
	return boot_in_state(tx, machine_id, MACHINE_BOOT_PENDING, boot);
}

int machine_boot_current(struct inventory_tx *tx, int64_t machine_id, struct machine_boot *boot)
{
	return boot_in_state(tx, machine_id, MACHINE_BOOT_CURRENT, boot);
}

static int boot_trim(struct inventory_tx *tx, int64_t machine_id, uint64_t newest)
{
	struct query q;

	query_begin(&q, tx, "DELETE FROM boot WHERE machine_id = ? AND state = ? AND number <= ?");
	query_bind(&q, machine_id);
	query_bind(&q, MACHINE_BOOT_ENDED);
	query_bind(&q, (int64_t)newest - ENDED_KEPT);
	return query_run(&q);
}

int machine_boot_issue(struct inventory_tx *tx, struct machine_boot *boot)
{
	struct query q;
	int64_t number;
	int err;

	query_begin(&q, tx, "UPDATE machine SET last_boot = last_boot + 1 WHERE id = ? RETURNING last_boot");
	query_bind(&q, boot->machine_id);
	err = query_number(&q, &number);
	if (err)
		return err;
	query_begin(&q, tx,
		    "INSERT INTO boot (" BOOT_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, NULL, 0, 0, "
		    "NULL)");
	query_bind(&q, boot->machine_id);
	query_bind(&q, number);
	query_bind(&q, MACHINE_BOOT_PENDING);
	query_bind_text(&q, boot->secret, sizeof(boot->secret));
	query_bind_text(&q, boot->reverse_secret, sizeof(boot->reverse_secret));
	query_bind_text(&q, boot->mac, sizeof(boot->mac));
	query_bind_text(&q, boot->address, sizeof(boot->address));
	query_bind(&q, boot->issued_ms ? boot->issued_ms : tx->now_ms);
	err = query_run(&q);
	if (!err)
		err = boot_trim(tx, boot->machine_id, (uint64_t)number);
	if (err)
		return err;
	boot->number = (uint64_t)number;
	boot->state = MACHINE_BOOT_PENDING;
	if (!boot->issued_ms)
		boot->issued_ms = tx->now_ms;
	return 0;
}

static int boot_end_current(struct inventory_tx *tx, int64_t machine_id)
{
	struct query q;

	query_begin(&q, tx,
		    "UPDATE boot SET state = ?, secret = '', reverse_secret = '', ended_ms = ? WHERE machine_id = ? "
		    "AND state = ?");
	query_bind(&q, MACHINE_BOOT_ENDED);
	query_bind(&q, tx->now_ms);
	query_bind(&q, machine_id);
	query_bind(&q, MACHINE_BOOT_CURRENT);
	return query_run(&q);
}

int machine_boot_begin(struct inventory_tx *tx, int64_t machine_id, uint64_t number)
{
	struct machine_boot pending;
	struct query q;
	int err = machine_boot_pending(tx, machine_id, &pending);

	if (err == -ENOENT || (!err && pending.number != number))
		return -ESTALE;
	if (!err)
		err = boot_end_current(tx, machine_id);
	if (err)
		return err;
	query_begin(&q, tx, "UPDATE boot SET state = ?, started_ms = ? WHERE machine_id = ? AND number = ?");
	query_bind(&q, MACHINE_BOOT_CURRENT);
	query_bind(&q, tx->now_ms);
	query_bind(&q, machine_id);
	query_bind(&q, (int64_t)number);
	return query_run(&q);
}

int machine_boot_end_all(struct inventory_tx *tx, int64_t machine_id)
{
	struct query q;
	int err = boot_end_current(tx, machine_id);

	if (err)
		return err;
	query_begin(&q, tx, "DELETE FROM boot WHERE machine_id = ? AND state = ?");
	query_bind(&q, machine_id);
	query_bind(&q, MACHINE_BOOT_PENDING);
	return query_run(&q);
}

int machine_boot_set_interrupted(struct inventory_tx *tx, int64_t machine_id, uint64_t number)
{
	struct query q;
	int err;

	query_begin(&q, tx, "UPDATE boot SET interrupted = 1 WHERE machine_id = ? AND number = ?");
	query_bind(&q, machine_id);
	query_bind(&q, (int64_t)number);
	err = query_run(&q);
	return err ? err : query_changes(tx) ? 0 : -ENOENT;
}

int machine_boot_set_auth(struct inventory_tx *tx, int64_t machine_id, uint64_t number, enum auth_kind auth)
{
	struct query q;

	query_begin(&q, tx, "UPDATE boot SET auth = ? WHERE machine_id = ? AND number = ?");
	query_bind(&q, auth);
	query_bind(&q, machine_id);
	query_bind(&q, (int64_t)number);
	return query_run(&q);
}

int machine_boot_set_version(struct inventory_tx *tx, int64_t machine_id, uint64_t number, int64_t version_id)
{
	struct query q;

	query_begin(&q, tx, "UPDATE boot SET ran_version_id = ? WHERE machine_id = ? AND number = ?");
	query_bind(&q, version_id);
	query_bind(&q, machine_id);
	query_bind(&q, (int64_t)number);
	return query_run(&q);
}

int machine_boot_set_running(struct inventory_tx *tx, int64_t machine_id, uint64_t number, bool running)
{
	struct query q;
	int err;

	query_begin(&q, tx, "UPDATE boot SET running = ? WHERE machine_id = ? AND number = ?");
	query_bind(&q, running);
	query_bind(&q, machine_id);
	query_bind(&q, (int64_t)number);
	err = query_run(&q);
	if (err)
		return err;
	/* One that ran for months without asking for a script was seen until now. */
	query_begin(&q, tx, "UPDATE machine SET seen_ms = ? WHERE id = ?");
	query_bind(&q, tx->now_ms);
	query_bind(&q, machine_id);
	return query_run(&q);
}

int machine_boot_saw_running(struct inventory_tx *tx)
{
	struct query q;

	query_begin(
		&q, tx,
		"UPDATE machine SET seen_ms = ? WHERE id IN (SELECT machine_id FROM boot WHERE running = 1 AND state = ?)");
	query_bind(&q, tx->now_ms);
	query_bind(&q, MACHINE_BOOT_CURRENT);
	return query_run(&q);
}

int machine_boot_each_running(struct inventory_tx *tx, int (*each)(void *arg, int64_t machine_id), void *arg)
{
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, "SELECT machine_id FROM boot WHERE running = 1 AND state = ?");
	query_bind(&q, MACHINE_BOOT_CURRENT);
	while (!stop && query_row(&q))
		stop = each(arg, query_int(&q));
	err = query_end(&q);
	return err ? err : stop;
}

int machine_boot_choose(struct inventory_tx *tx, int64_t machine_id, uint64_t number, int64_t version_id)
{
	struct query q;
	int err;

	query_begin(&q, tx, "UPDATE boot SET version_id = ? WHERE machine_id = ? AND number = ? AND state = ?");
	if (version_id)
		query_bind(&q, version_id);
	else
		query_bind_null(&q);
	query_bind(&q, machine_id);
	query_bind(&q, (int64_t)number);
	query_bind(&q, MACHINE_BOOT_PENDING);
	err = query_run(&q);
	return err ? err : query_changes(tx) ? 0 : -ESTALE;
}

int machine_boot_each(struct inventory_tx *tx, int64_t machine_id, unsigned max,
		      int (*each)(void *arg, const struct machine_boot *boot), void *arg)
{
	struct machine_boot boot;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, "SELECT " BOOT_COLUMNS " FROM boot WHERE machine_id = ? ORDER BY number DESC LIMIT ?");
	query_bind(&q, machine_id);
	query_bind(&q, max);
	while (!stop && query_row(&q)) {
		boot_read(&q, &boot);
		stop = each(arg, &boot);
	}
	err = query_end(&q);
	return err ? err : stop;
}
