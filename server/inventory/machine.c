// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Machines and their MACs. A MAC belongs to one machine; the first one that was added is listed first. A host name is
 * unique whatever its case. See inventory.h.
 */
#include "inventory/db.h"
#include "inventory/private.h"

#include "base/parse.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	TARGET_STATE_MAX_BYTES = 1 << 20,
	DISCARDED_KEPT_DAYS = 30,
	DAY_MS = 86400 * 1000,
};

#define MACHINE_COLUMNS                                                                                       \
	"machine.id, machine.name, iqn, uuid, serial, product, version_id, mode, state, state_reason, auth, " \
	"access_many, "                                                                                       \
	"note, child, child_fresh, address, machine.created_ms, machine.seen_ms, no_gateway, group_id, "       \
	"machine.boot, boot_once, boot_once_token, multipath, size_bytes, physical_512, quota"

static void machine_read(struct query *q, struct machine *m)
{
	*m = (struct machine){ .id = query_int(q) };
	query_text(q, m->name, sizeof(m->name));
	query_text(q, m->iqn, sizeof(m->iqn));
	query_text(q, m->uuid, sizeof(m->uuid));
	query_text(q, m->serial, sizeof(m->serial));
	query_text(q, m->product, sizeof(m->product));
	m->version_id = query_int(q);
	m->mode = (enum machine_mode)query_int(q);
	m->state = (enum machine_state)query_int(q);
	query_text(q, m->state_reason, sizeof(m->state_reason));
	m->auth = (enum auth_kind)query_int(q);
	m->access_many = query_int(q);
	query_text(q, m->note, sizeof(m->note));
	query_text(q, m->child, sizeof(m->child));
	m->child_fresh = query_int(q);
	query_text(q, m->address, sizeof(m->address));
	m->created_ms = query_int(q);
	m->seen_ms = query_int(q);
	m->no_gateway = query_int(q);
	m->group_id = query_int(q);
	query_text(q, m->boot, sizeof(m->boot));
	query_text(q, m->boot_once, sizeof(m->boot_once));
	query_text(q, m->boot_once_token, sizeof(m->boot_once_token));
	m->multipath = query_int(q);
	m->size_bytes = (uint64_t)query_int(q);
	m->physical_512 = query_int(q);
	query_text(q, m->quota, sizeof(m->quota));
}

/* What insert and update bind alike, in the order of their SQL. */
static void machine_bind(struct query *q, const struct machine *m)
{
	query_bind_text(q, m->name, sizeof(m->name));
	query_bind_text(q, m->uuid, sizeof(m->uuid));
	query_bind_text(q, m->serial, sizeof(m->serial));
	query_bind_text(q, m->product, sizeof(m->product));
	query_bind(q, m->version_id);
	query_bind(q, m->mode);
	query_bind(q, m->state);
	query_bind_text(q, m->state_reason, sizeof(m->state_reason));
	query_bind(q, m->auth);
	query_bind(q, m->access_many);
	query_bind_text(q, m->note, sizeof(m->note));
	query_bind_text(q, m->child, sizeof(m->child));
	query_bind(q, m->child_fresh);
	query_bind_text(q, m->address, sizeof(m->address));
	query_bind(q, m->created_ms);
	query_bind(q, m->seen_ms);
	query_bind(q, m->no_gateway);
	if (m->group_id)
		query_bind(q, m->group_id);
	else
		query_bind_null(q);
	query_bind_text(q, m->boot, sizeof(m->boot));
	query_bind_text(q, m->boot_once, sizeof(m->boot_once));
	query_bind_text(q, m->boot_once_token, sizeof(m->boot_once_token));
	query_bind(q, m->multipath);
	query_bind(q, (int64_t)m->size_bytes);
	query_bind(q, m->physical_512);
	query_bind_text(q, m->quota, sizeof(m->quota));
}

static bool machine_valid(const struct machine *m)
{
	char uuid[PARSE_UUID_TEXT];

	return machine_name_valid(m->name) && (!m->uuid[0] || (parse_uuid(m->uuid, uuid) && !strcmp(uuid, m->uuid)));
}

/* ---- lookups ---- */

/* One record, or -ENOENT; -ENOTUNIQ where a second one follows. A text that no record can have finds none. */
static int machine_one(struct query *q, struct machine *machine)
{
	struct machine found;
	int err, rows = 0;

	while (rows < 2 && query_row(q)) {
		if (!rows++)
			machine_read(q, &found);
	}
	err = query_end(q);
	if (err == -EINVAL)
		return -ENOENT;
	if (err)
		return err;
	if (rows != 1)
		return rows ? -ENOTUNIQ : -ENOENT;
	*machine = found;
	return 0;
}

int machine_by_id(struct inventory_tx *tx, int64_t id, struct machine *machine)
{
	struct query q;

	query_begin(&q, tx, "SELECT " MACHINE_COLUMNS " FROM machine WHERE id = ?");
	query_bind(&q, id);
	return machine_one(&q, machine);
}

/* sql has one ?, for the text. */
static int machine_by_text(struct inventory_tx *tx, const char *sql, const char *text, size_t size,
			   struct machine *machine)
{
	struct query q;

	query_begin(&q, tx, sql);
	query_bind_text(&q, text, size);
	return machine_one(&q, machine);
}

#define MACHINE_WHERE(condition) "SELECT " MACHINE_COLUMNS " FROM machine " condition

int machine_by_mac(struct inventory_tx *tx, const char *mac, struct machine *machine)
{
	return machine_by_text(tx,
			       MACHINE_WHERE("JOIN machine_mac ON machine_mac.machine_id = machine.id WHERE mac = ?"),
			       mac, PARSE_MAC_TEXT, machine);
}

int machine_by_iqn(struct inventory_tx *tx, const char *iqn, struct machine *machine)
{
	return machine_by_text(tx, MACHINE_WHERE("WHERE iqn = ?"), iqn, IQN_MAX_TEXT, machine);
}

int machine_by_name(struct inventory_tx *tx, const char *name, struct machine *machine)
{
	return machine_by_text(tx, MACHINE_WHERE("WHERE lower(name) = lower(?)"), name, NAME_MAX_TEXT, machine);
}

int machine_by_uuid(struct inventory_tx *tx, const char *uuid, struct machine *machine)
{
	return machine_by_text(tx, MACHINE_WHERE("WHERE uuid = ? AND uuid <> ''"), uuid, PARSE_UUID_TEXT, machine);
}

int machine_by_serial(struct inventory_tx *tx, const char *serial, struct machine *machine)
{
	return machine_by_text(tx, MACHINE_WHERE("WHERE serial = ? AND serial <> ''"), serial, SERIAL_TEXT, machine);
}

int machine_find(struct inventory_tx *tx, const char *text, struct machine *machine)
{
	char mac[PARSE_MAC_TEXT];
	uint64_t id;

	if (text[0] == '#')
		return parse_u64(text + 1, 1, INT64_MAX, &id) ? machine_by_id(tx, (int64_t)id, machine) : -ENOENT;
	/* No machine's name is a MAC (machine_name_valid). */
	if (parse_mac(text, mac))
		return machine_by_mac(tx, mac, machine);
	return machine_by_name(tx, text, machine);
}

int machine_each(struct inventory_tx *tx, int (*each)(void *arg, const struct machine *machine), void *arg)
{
	struct machine machine;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, "SELECT " MACHINE_COLUMNS " FROM machine ORDER BY lower(name)");
	while (!stop && query_row(&q)) {
		machine_read(&q, &machine);
		stop = each(arg, &machine);
	}
	err = query_end(&q);
	return err ? err : stop;
}

int machine_count(struct inventory_tx *tx, unsigned *count)
{
	struct query q;
	int64_t number;
	int err;

	query_begin(&q, tx, "SELECT count(*) FROM machine");
	err = query_number(&q, &number);
	if (!err)
		*count = (unsigned)number;
	return err;
}

/* ---- changes ---- */

int machine_insert(struct inventory_tx *tx, struct machine *machine, const char *mac)
{
	struct query q;
	int64_t id;
	int err;

	if (!machine_valid(machine) || !machine->iqn[0])
		return -EINVAL;
	query_begin(&q, tx,
		    "INSERT INTO machine (name, uuid, serial, product, version_id, mode, state, state_reason, auth, "
		    "access_many, note, child, child_fresh, address, created_ms, seen_ms, no_gateway, "
		    "group_id, boot, boot_once, boot_once_token, multipath, size_bytes, physical_512, quota, iqn) "
		    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id");
	machine_bind(&q, machine);
	query_bind_text(&q, machine->iqn, sizeof(machine->iqn));
	err = query_number(&q, &id);
	if (!err)
		err = machine_add_mac(tx, id, mac);
	if (!err)
		machine->id = id;
	return err;
}

/* Remembers that a committed change has given up this child: store deletes its file. */
static int child_discard(struct inventory_tx *tx, const char *child)
{
	struct query q;
	int err;

	/* Bounded: what was given up a month ago has long been deleted. */
	query_begin(&q, tx, "DELETE FROM discarded_child WHERE at_ms < ?");
	query_bind(&q, tx->now_ms - (int64_t)DISCARDED_KEPT_DAYS * DAY_MS);
	err = query_run(&q);
	if (err)
		return err;
	query_begin(&q, tx,
		    "INSERT INTO discarded_child (child, at_ms) VALUES (?, ?) ON CONFLICT (child) DO UPDATE SET at_ms "
		    "= excluded.at_ms");
	query_bind_text(&q, child, NAME_MAX_TEXT);
	query_bind(&q, tx->now_ms);
	return query_run(&q);
}

int machine_update(struct inventory_tx *tx, const struct machine *machine)
{
	struct machine old;
	struct query q;
	int err;

	if (!machine_valid(machine))
		return -EINVAL;
	err = machine_by_id(tx, machine->id, &old);
	if (err)
		return err;
	query_begin(&q, tx,
		    "UPDATE machine SET name = ?, uuid = ?, serial = ?, product = ?, version_id = ?, mode = ?, state = "
		    "?, state_reason = ?, auth = ?, "
		    "access_many = ?, note = ?, child = ?, child_fresh = ?, address = ?, created_ms = "
		    "?, seen_ms = ?, no_gateway = ?, group_id = ?, boot = ?, boot_once = ?, boot_once_token = ?, "
		    "multipath = ?, size_bytes = ?, physical_512 = ?, quota = ? "
		    "WHERE id = ?");
	machine_bind(&q, machine);
	query_bind(&q, machine->id);
	err = query_run(&q);
	if (!err && strcmp(old.name, machine->name))
		tx->db->hint_pattern[0] = '\0';
	if (!err && old.child[0] && strcmp(old.child, machine->child))
		err = child_discard(tx, old.child);
	return err;
}

int machine_delete(struct inventory_tx *tx, int64_t id)
{
	struct machine old;
	struct query q;
	int err = machine_by_id(tx, id, &old);

	if (err)
		return err;
	/* A conflict with it, or a swap for it, is none any more: who waits asks again in a moment. A refusal stays. */
	query_begin(&q, tx, "DELETE FROM waiting WHERE machine_id = ? AND reason <> ?");
	query_bind(&q, id);
	query_bind(&q, WAIT_DENIED);
	err = query_run(&q);
	if (err)
		return err;
	query_begin(&q, tx, "DELETE FROM machine WHERE id = ?");
	query_bind(&q, id);
	err = query_run(&q);
	tx->db->hint_pattern[0] = '\0';
	if (!err && old.child[0])
		err = child_discard(tx, old.child);
	return err;
}

/* ---- MACs ---- */

int machine_add_mac(struct inventory_tx *tx, int64_t id, const char *mac)
{
	char canonical[PARSE_MAC_TEXT];
	struct query q;

	if (!parse_mac(mac, canonical))
		return -EINVAL;
	query_begin(&q, tx, "INSERT INTO machine_mac (mac, machine_id) VALUES (?, ?)");
	query_bind_text(&q, canonical, sizeof(canonical));
	query_bind(&q, id);
	return query_run(&q);
}

int machine_remove_mac(struct inventory_tx *tx, int64_t id, const char *mac)
{
	char canonical[PARSE_MAC_TEXT];
	struct query q;
	int64_t others;
	int err;

	if (!parse_mac(mac, canonical))
		return -ENOENT;
	query_begin(&q, tx,
		    "SELECT (SELECT count(*) FROM machine_mac AS other WHERE other.machine_id = this.machine_id) - 1 "
		    "FROM machine_mac AS this WHERE machine_id = ? AND mac = ?");
	query_bind(&q, id);
	query_bind_text(&q, canonical, sizeof(canonical));
	err = query_number(&q, &others);
	if (err)
		return err;
	if (!others)
		return -EBUSY;
	query_begin(&q, tx, "DELETE FROM machine_mac WHERE mac = ?");
	query_bind_text(&q, canonical, sizeof(canonical));
	return query_run(&q);
}

int machine_each_mac(struct inventory_tx *tx, int64_t id, int (*each)(void *arg, const char *mac), void *arg)
{
	char mac[PARSE_MAC_TEXT];
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, "SELECT mac FROM machine_mac WHERE machine_id = ? ORDER BY id");
	query_bind(&q, id);
	while (!stop && query_row(&q)) {
		query_text(&q, mac, sizeof(mac));
		stop = each(arg, mac);
	}
	err = query_end(&q);
	return err ? err : stop;
}

/* ---- children given up ---- */

int discarded_each(struct inventory_tx *tx, int (*each)(void *arg, const char *child), void *arg)
{
	char child[NAME_MAX_TEXT];
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx,
		    "SELECT child FROM discarded_child WHERE child NOT IN (SELECT child FROM machine) ORDER BY child");
	while (!stop && query_row(&q)) {
		query_text(&q, child, sizeof(child));
		stop = each(arg, child);
	}
	err = query_end(&q);
	return err ? err : stop;
}

int discarded_forget(struct inventory_tx *tx, const char *child)
{
	struct query q;

	query_begin(&q, tx, "DELETE FROM discarded_child WHERE child = ?");
	query_bind_text(&q, child, NAME_MAX_TEXT);
	return query_run(&q);
}

/* ---- target state ---- */

int target_state_save(struct inventory_tx *tx, int64_t machine_id, const void *blob, size_t len)
{
	struct query q;

	if (len > TARGET_STATE_MAX_BYTES)
		return -EINVAL;
	if (!len) {
		query_begin(&q, tx, "DELETE FROM target_state WHERE machine_id = ?");
		query_bind(&q, machine_id);
		return query_run(&q);
	}
	query_begin(&q, tx,
		    "INSERT INTO target_state (machine_id, state) VALUES (?, ?) ON CONFLICT (machine_id) DO UPDATE SET "
		    "state = excluded.state");
	query_bind(&q, machine_id);
	query_bind_blob(&q, blob, len);
	return query_run(&q);
}

int target_state_load(struct inventory_tx *tx, int64_t machine_id, void **blob, size_t *len)
{
	struct query q;
	void *copy = NULL;
	size_t copy_len = 0;
	int err;

	query_begin(&q, tx, "SELECT state FROM target_state WHERE machine_id = ?");
	query_bind(&q, machine_id);
	if (query_row(&q))
		copy = query_blob(&q, &copy_len);
	err = query_end(&q);
	if (err) {
		free(copy);
		return err;
	}
	if (!copy)
		return -ENOENT;
	*blob = copy;
	*len = copy_len;
	return 0;
}
