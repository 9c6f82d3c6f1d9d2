// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Machines and their MACs. A MAC belongs to one machine, unless a person says that it is shared; the first one that was
 * added is listed first. A host name is unique whatever its case. See inventory.h.
 */
#include "inventory/db.h"
#include "inventory/private.h"
#include "inventory/record.h"

#include "base/parse.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	TARGET_STATE_MAX_BYTES = 1 << 20,
};

/* The fields, in the order in which every statement has them: record.h. */
#define MACHINE_FIXED(F) F(iqn, TEXT, "iqn", NULL, FIXED, NULL, NULL)
#define MACHINE_FIELDS(F)                                                                      \
	F(name, TEXT, "name", "name", BY_PEOPLE, NULL, NULL)                                   \
	F(uuid, TEXT, "uuid", NULL, BY_SERVER, NULL, NULL)                                     \
	F(serial, TEXT, "serial", NULL, BY_SERVER, NULL, NULL)                                 \
	F(product, TEXT, "product", NULL, BY_SERVER, NULL, NULL)                               \
	F(mode, WORD, "mode", "mode", BY_PEOPLE_WHEN_OFF, "group", machine_mode_words)         \
	F(auth, WORD, "auth", "auth", BY_PEOPLE, NULL, policy_auth_words)                      \
	F(access_many, WORD, "access", "access", BY_PEOPLE, NULL, access_words)                \
	F(note, TEXT, "note", "note", BY_PEOPLE, NULL, NULL)                                   \
	F(address, TEXT, "address", NULL, BY_SERVER, NULL, NULL)                               \
	F(created_ms, TIME, "created_ms", NULL, BY_SERVER, NULL, NULL)                         \
	F(seen_ms, TIME, "seen_ms", NULL, BY_SERVER, NULL, NULL)                               \
	F(no_gateway, BOOL, "no_gateway", "no-gateway", BY_PEOPLE, NULL, NULL)                 \
	F(group_id, REFERENCE, NULL, "group", BY_PEOPLE, NULL, NULL)                           \
	F(boot, TEXT, "boot", "boot", BY_PEOPLE, "disk", NULL)                                 \
	F(boot_once, TEXT, "boot_once", "boot-once", BY_PEOPLE, NULL, NULL)                    \
	F(boot_once_token, TEXT, NULL, NULL, BY_SERVER, NULL, NULL)                            \
	F(multipath, BOOL, "multipath", "multipath", BY_PEOPLE, NULL, NULL)                    \
	F(lost_portals, TEXT, "lost_portals", NULL, BY_SERVER, NULL, NULL)                     \
	F(board_serial, TEXT, "board_serial", NULL, BY_SERVER, NULL, NULL)                     \
	F(secure_boot, WORD, "secure_boot", NULL, BY_SERVER, NULL, told_words)                 \
	F(setup_mode, WORD, "setup_mode", NULL, BY_SERVER, NULL, told_words)                   \
	F(cards, TEXT, NULL, NULL, BY_SERVER, NULL, NULL)                                      \
	F(boot_file_set, TEXT, "boot_file_set", "boot-file-set", BY_PEOPLE, "group", NULL)     \
	F(ring, TEXT, "ring", "ring", BY_PEOPLE, "group", NULL)                                \
	F(restore_points, TEXT, "restore_points", "restore-points", BY_PEOPLE, "policy", NULL) \
	F(templates, TEXT, "templates", "templates", BY_PEOPLE, "group", NULL)                 \
	F(instance, NUMBER, NULL, NULL, BY_SERVER, NULL, NULL)                                 \
	F(image_inherited, BOOL, NULL, NULL, BY_SERVER, NULL, NULL)
#define MACHINE_COLUMN(column, ...) ", machine." #column
#define MACHINE_ROW(...) RECORD_ROW(machine, __VA_ARGS__)
/* A machine, and behind it its system volume and its group. */
#define MACHINE_SELECT                                                                                        \
	"SELECT machine.id" MACHINE_FIXED(MACHINE_COLUMN) MACHINE_FIELDS(MACHINE_COLUMN)                      \
		VOLUME_JOINED_COLUMNS GROUP_JOINED_COLUMNS                                                    \
		" FROM machine JOIN attachment ON attachment.machine_id = machine.id AND attachment.lun = 0 " \
		"JOIN volume ON volume.id = attachment.volume_id "                                            \
		"LEFT JOIN machine_group ON machine_group.id = machine.group_id "

static const char *const access_words[] = { "one", "many", NULL };
static const char *const told_words[] = { "unknown", "off", "on", NULL };

const struct field machine_fields[] = {
	MACHINE_ROW(id, NUMBER, "id", NULL, FIXED, NULL, NULL) MACHINE_FIXED(MACHINE_ROW)
		MACHINE_FIELDS(MACHINE_ROW){ 0 },
};

static void machine_read(struct query *q, struct machine *m)
{
	memset(m, 0, sizeof(*m));
	record_read(q, machine_fields, m);
	record_read(q, volume_fields, &m->system);
	record_read(q, group_fields, &m->group);
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

	query_begin(&q, tx, MACHINE_SELECT "WHERE machine.id = ?");
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

int machine_by_mac(struct inventory_tx *tx, const char *mac, struct machine *machine)
{
	return machine_by_text(tx,
			       MACHINE_SELECT "JOIN machine_mac ON machine_mac.machine_id = machine.id WHERE mac = ?",
			       mac, PARSE_MAC_TEXT, machine);
}

int machine_identify(struct inventory_tx *tx, const char *mac, const char *uuid, struct machine *machine, bool *shared)
{
	struct query q;
	int64_t of_several;
	int err;

	query_begin(&q, tx, "SELECT coalesce(max(shared), 0) FROM machine_mac WHERE mac = ?");
	query_bind_text(&q, mac, PARSE_MAC_TEXT);
	err = query_number(&q, &of_several);
	if (err)
		return err;
	*shared = of_several != 0;
	if (!of_several)
		return machine_by_mac(tx, mac, machine);
	query_begin(&q, tx,
		    MACHINE_SELECT "JOIN machine_mac ON machine_mac.machine_id = machine.id WHERE mac = ? AND uuid = ? "
				   "AND uuid <> ''");
	query_bind_text(&q, mac, PARSE_MAC_TEXT);
	query_bind_text(&q, uuid, PARSE_UUID_TEXT);
	err = machine_one(&q, machine);
	/* Two of them with one UUID: it identifies neither. */
	return err == -ENOTUNIQ ? -ENOENT : err;
}

int machine_by_token(struct inventory_tx *tx, const char *mac, const char *token, struct machine *machine)
{
	struct query q;

	query_begin(&q, tx,
		    MACHINE_SELECT "JOIN machine_mac ON machine_mac.machine_id = machine.id WHERE mac = ? AND "
				   "boot_once_token = ? AND boot_once_token <> ''");
	query_bind_text(&q, mac, PARSE_MAC_TEXT);
	query_bind_text(&q, token, SECRET_TEXT);
	return machine_one(&q, machine);
}

int machine_by_card(struct inventory_tx *tx, const char *mac, struct machine *machine)
{
	return machine_by_text(tx, MACHINE_SELECT "WHERE instr(machine.cards, ?)", mac, PARSE_MAC_TEXT, machine);
}

int machine_by_iqn(struct inventory_tx *tx, const char *iqn, struct machine *machine)
{
	return machine_by_text(tx, MACHINE_SELECT "WHERE iqn = ?", iqn, IQN_MAX_TEXT, machine);
}

int machine_by_name(struct inventory_tx *tx, const char *name, struct machine *machine)
{
	return machine_by_text(tx, MACHINE_SELECT "WHERE lower(machine.name) = lower(?)", name, NAME_MAX_TEXT, machine);
}

int machine_by_uuid(struct inventory_tx *tx, const char *uuid, struct machine *machine)
{
	return machine_by_text(tx, MACHINE_SELECT "WHERE uuid = ? AND uuid <> ''", uuid, PARSE_UUID_TEXT, machine);
}

int machine_by_serial(struct inventory_tx *tx, const char *serial, struct machine *machine)
{
	return machine_by_text(tx, MACHINE_SELECT "WHERE machine.serial = ? AND machine.serial <> ''", serial,
			       SERIAL_TEXT, machine);
}

int machine_each(struct inventory_tx *tx, int (*each)(void *arg, const struct machine *machine), void *arg)
{
	struct machine machine;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, MACHINE_SELECT "ORDER BY lower(machine.name)");
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
	struct volume system = machine->system;
	struct query q;
	int64_t id;
	int err;

	if (!machine_valid(machine) || !machine->iqn[0] || system.kind != VOLUME_SYSTEM)
		return -EINVAL;
	if (!machine->instance)
		machine->instance = 1;
	query_begin(&q, tx,
		    "INSERT INTO machine (id" MACHINE_FIXED(RECORD_SQL_COLUMN)
			    MACHINE_FIELDS(RECORD_SQL_COLUMN) ") VALUES (NULL" MACHINE_FIXED(RECORD_SQL_VALUE)
				    MACHINE_FIELDS(RECORD_SQL_VALUE) ") RETURNING id");
	record_bind_insert(&q, machine_fields, machine);
	err = query_number(&q, &id);
	if (!err && mac[0])
		err = machine_add_mac(tx, id, mac);
	if (!err)
		err = volume_insert(tx, &system);
	if (!err)
		err = attachment_add(tx, id, 0, system.id);
	if (!err && machine->group_id)
		err = group_volume_settle(tx, id);
	if (!err && (machine->templates[0] || machine->group_id))
		err = who_am_i_settle(tx);
	if (err)
		return err;
	machine->id = id;
	machine->system.id = system.id;
	return 0;
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
	query_begin(&q, tx, "UPDATE machine SET id = id" MACHINE_FIELDS(RECORD_SQL_SET) " WHERE id = ?");
	record_bind_update(&q, machine_fields, machine);
	query_bind(&q, machine->id);
	err = query_run(&q);
	if (!err && strcmp(old.name, machine->name))
		tx->db->hint_pattern[0] = '\0';
	if (!err && old.group_id != machine->group_id)
		err = group_volume_settle(tx, machine->id);
	if (!err && (strcmp(old.templates, machine->templates) || old.group_id != machine->group_id))
		err = who_am_i_settle(tx);
	return err ? err : volume_update(tx, &machine->system);
}

/* Its row, and what goes with that; not its volumes. */
static int machine_delete_row(struct inventory_tx *tx, int64_t id)
{
	struct query q;
	int err;

	/* Conflicts with it and swaps for it are over: those that wait ask again in a moment. A refusal stays. */
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
	return err ? err : who_am_i_settle(tx);
}

int machine_delete(struct inventory_tx *tx, int64_t id)
{
	struct machine old;
	int err = machine_by_id(tx, id, &old);

	if (!err)
		err = machine_delete_row(tx, id);
	return err ? err : volume_delete(tx, old.system.id);
}

/* ---- the trash keeps its row as a JSON object by column (trash.c) ---- */

#define MACHINE_KEPT(column, ...) ", '" #column "', " #column
/* A column that is younger than the entry begins with nothing; a group may be gone, and is the only reference. */
#define MACHINE_TAKEN(column, kind, ...) ", " MACHINE_TAKEN_##kind("json_extract(record, '$." #column "')")
#define MACHINE_TAKEN_TEXT(value) "coalesce(" value ", '')"
#define MACHINE_TAKEN_WORD(value) "coalesce(" value ", 0)"
#define MACHINE_TAKEN_BOOL(value) MACHINE_TAKEN_WORD(value)
#define MACHINE_TAKEN_TIME(value) MACHINE_TAKEN_WORD(value)
#define MACHINE_TAKEN_NUMBER(value) "coalesce(" value ", 1)" /* instance */
#define MACHINE_TAKEN_REFERENCE(value) "(SELECT id FROM machine_group WHERE id = " value ")"

int machine_to_trash(struct inventory_tx *tx, int64_t id, const char *actor)
{
	struct query q;
	int err;

	query_begin(
		&q, tx,
		"INSERT INTO trash (id, name, record, macs, volume_id, removed_ms, removed_by) "
		"SELECT id, name, json_object('last_boot', last_boot" MACHINE_FIXED(MACHINE_KEPT) MACHINE_FIELDS(
			MACHINE_KEPT) "), "
				      "(SELECT coalesce(group_concat(mac, ' '), '') FROM (SELECT mac FROM machine_mac WHERE machine_id = "
				      "machine.id ORDER BY machine_mac.id)), (SELECT volume_id FROM attachment WHERE machine_id = machine.id AND lun = 0), ?, ? "
				      "FROM machine WHERE id = ?");
	query_bind(&q, tx->now_ms);
	query_bind_text(&q, actor, NAME_MAX_TEXT);
	query_bind(&q, id);
	err = query_run(&q);
	if (err || !query_changes(tx))
		return err ? err : -ENOENT;
	query_begin(
		&q, tx,
		"INSERT INTO trash_attachment (trash_id, lun, volume_id) SELECT machine_id, lun, volume_id FROM attachment "
		"WHERE machine_id = ? AND lun > 0 AND by_group = 0");
	query_bind(&q, id);
	err = query_run(&q);
	return err ? err : machine_delete_row(tx, id);
}

int machine_from_trash(struct inventory_tx *tx, int64_t id)
{
	struct query q;
	int err;

	query_begin(
		&q, tx,
		"INSERT INTO machine (id, last_boot" MACHINE_FIXED(RECORD_SQL_COLUMN) MACHINE_FIELDS(
			RECORD_SQL_COLUMN) ") SELECT id, json_extract(record, '$.last_boot')" MACHINE_FIXED(MACHINE_TAKEN)
			MACHINE_FIELDS(MACHINE_TAKEN) " FROM trash WHERE id = ?");
	query_bind(&q, id);
	err = query_run(&q);
	if (err || !query_changes(tx))
		return err ? err : -ENOENT;
	query_begin(
		&q, tx,
		"INSERT INTO attachment (machine_id, lun, volume_id) SELECT id, 0, volume_id FROM trash WHERE id = ?");
	query_bind(&q, id);
	return query_run(&q);
}

/* ---- MACs ---- */

int machine_add_mac(struct inventory_tx *tx, int64_t id, const char *mac)
{
	char canonical[PARSE_MAC_TEXT];
	struct query q;

	if (!parse_mac(mac, canonical))
		return -EINVAL;
	query_begin(&q, tx,
		    "INSERT INTO machine_mac (mac, machine_id, shared) "
		    "VALUES (?1, ?2, EXISTS (SELECT 1 FROM machine_mac WHERE mac = ?1 AND shared = 1))");
	query_bind_text(&q, canonical, sizeof(canonical));
	query_bind(&q, id);
	return query_run(&q);
}

/* How many machines have it, and whether this one does. */
static int mac_holders(struct inventory_tx *tx, int64_t id, const char *mac, int64_t *all, bool *its_own)
{
	struct query q;
	int64_t own;
	int err;

	query_begin(&q, tx, "SELECT count(*) FROM machine_mac WHERE mac = ?");
	query_bind_text(&q, mac, PARSE_MAC_TEXT);
	err = query_number(&q, all);
	if (err)
		return err;
	query_begin(&q, tx, "SELECT count(*) FROM machine_mac WHERE mac = ? AND machine_id = ?");
	query_bind_text(&q, mac, PARSE_MAC_TEXT);
	query_bind(&q, id);
	err = query_number(&q, &own);
	*its_own = !err && own;
	return err;
}

int machine_share_mac(struct inventory_tx *tx, int64_t id, const char *mac, bool shared)
{
	char canonical[PARSE_MAC_TEXT];
	struct machine machine;
	struct query q;
	int64_t holders;
	bool its_own;
	int err = parse_mac(mac, canonical) ? machine_by_id(tx, id, &machine) : -ENOENT;

	if (!err)
		err = mac_holders(tx, id, canonical, &holders, &its_own);
	if (err)
		return err;
	if (!its_own || (shared && !machine.uuid[0]) || (!shared && holders > 1))
		return !its_own ? -ENOENT : shared ? -EINVAL : -EBUSY;
	query_begin(&q, tx, "UPDATE machine_mac SET shared = ? WHERE mac = ?");
	query_bind(&q, shared);
	query_bind_text(&q, canonical, sizeof(canonical));
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
	query_begin(&q, tx, "DELETE FROM machine_mac WHERE mac = ? AND machine_id = ?");
	query_bind_text(&q, canonical, sizeof(canonical));
	query_bind(&q, id);
	return query_run(&q);
}

int machine_each_mac(struct inventory_tx *tx, int64_t id, enum mac_kind kind, int (*each)(void *arg, const char *mac),
		     void *arg)
{
	char mac[PARSE_MAC_TEXT];
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx,
		    "SELECT mac FROM machine_mac WHERE machine_id = ?1 AND (?2 = 0 OR shared = ?2 - 1) ORDER BY id");
	query_bind(&q, id);
	query_bind(&q, kind);
	while (!stop && query_row(&q)) {
		query_text(&q, mac, sizeof(mac));
		stop = each(arg, mac);
	}
	err = query_end(&q);
	return err ? err : stop;
}

/* ---- target state ---- */

int machine_scsi_state_save(struct inventory_tx *tx, int64_t machine_id, const void *blob, size_t len)
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

int machine_scsi_state_load(struct inventory_tx *tx, int64_t machine_id, void **blob, size_t *len)
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
