// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Migration 7 makes a volume of each machine's disk. What the last daemon of schema 6 left behind (schema-6.sql), and a
 * crowd of machines of every shape, are migrated: each machine, disk, boot, MAC and event is as it was.
 */
#include "inventory/fixture.h"
#include "inventory/old_file.h"

#include "base/util.h"
#include "inventory/db.h"
#include "inventory/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DUMP "tests/unit/inventory/schema-6.sql"

enum { OLD_VERSION = 6, CROWD = 300, TEXT_BYTES = 1 << 20 };

/* What holds of one table before and after; the same where the table has not changed. */
static const struct view {
	const char *name, *before, *after;
} views[] = {
	{ "machine",
	  "SELECT id, name, iqn, uuid, serial, product, version_id, mode, state, state_reason, auth, access_many, "
	  "note, child, "
	  "child_fresh, address, created_ms, seen_ms, no_gateway, last_boot, group_id, boot, boot_once, "
	  "boot_once_token, "
	  "multipath, size_bytes, physical_512, quota FROM machine ORDER BY id",
	  "SELECT m.id, m.name, iqn, uuid, m.serial, product, version_id, mode, state, state_reason, auth, "
	  "access_many, m.note, "
	  "object, fresh, address, m.created_ms, seen_ms, no_gateway, last_boot, group_id, boot, boot_once, "
	  "boot_once_token, "
	  "multipath, size_bytes, physical_512, quota FROM machine AS m JOIN attachment AS a ON a.machine_id = m.id "
	  "AND lun = 0 "
	  "JOIN volume AS v ON v.id = a.volume_id ORDER BY m.id" },
	/* A system volume has no name and note of its own; one for each machine, and nothing else. */
	{ "volume", "SELECT '', 0, 'files', '', created_ms FROM machine ORDER BY id",
	  "SELECT name, kind, backend, note, created_ms FROM volume ORDER BY id" },
	{ "attachment", "SELECT count(*), 0, count(*) FROM machine",
	  "SELECT count(*), max(lun), (SELECT count(*) FROM volume) FROM attachment" },
	{ "discarded", "SELECT 'files', child, at_ms FROM discarded_child ORDER BY child",
	  "SELECT backend, object, at_ms FROM discarded_object ORDER BY object" },
	{ "sequences", "SELECT name, seq FROM sqlite_sequence ORDER BY name",
	  "SELECT name, seq FROM sqlite_sequence WHERE name NOT IN ('volume', 'token') ORDER BY name" },
	/* What was made before scopes is an operator's. */
	{ "token", "SELECT hash, label, 1, created_ms, expires_ms FROM token ORDER BY hash",
	  "SELECT hash, label, scope, created_ms, expires_ms FROM token ORDER BY hash" },
	{ "image", "SELECT * FROM image ORDER BY id", NULL },
	{ "image_version",
	  "SELECT id, image_id, number, published, file, format, size_bytes, sha256, inode, mtime_ns, created_ms, source, warnings FROM "
	  "image_version ORDER BY id",
	  NULL },
	{ "machine_mac", "SELECT id, mac, machine_id FROM machine_mac ORDER BY id", NULL },
	{ "machine_group", "SELECT id, name, priority, boot, note FROM machine_group ORDER BY id", NULL },
	{ "who-am-i", "SELECT id, '', 1 FROM machine ORDER BY id",
	  "SELECT id, templates, instance FROM machine ORDER BY id" },
	/* What a current boot runs on is known, and of those that ended it is not. */
	{ "boot",
	  "SELECT boot.*, CASE WHEN state = 1 THEN (SELECT version_id FROM machine WHERE id = machine_id) END FROM boot ORDER "
	  "BY machine_id, number",
	  "SELECT * FROM boot ORDER BY machine_id, number" },
	{ "boot_stage", "SELECT * FROM boot_stage ORDER BY machine_id, number, stage", NULL },
	{ "target_state", "SELECT machine_id, hex(state) FROM target_state ORDER BY machine_id", NULL },
	{ "waiting",
	  "SELECT number, mac, uuid, serial, product, address, reason, machine_id, first_ms, seen_ms FROM waiting "
	  "ORDER BY number",
	  NULL },
	{ "policy", "SELECT * FROM policy ORDER BY name", NULL },
	{ "setting", "SELECT * FROM setting ORDER BY name", NULL },
	{ "event", "SELECT * FROM event ORDER BY id", NULL },
	{ "broken references", "SELECT count(*) FROM pragma_foreign_key_check", NULL },
};

/* ---- the file, as somebody else reads and writes it ---- */

/* All rows as text: a line each, NULL and '' told apart. free(3). */
static char *rows(struct fixture *f, const char *sql)
{
	char *text = malloc(TEXT_BYTES);
	sqlite3_stmt *stmt = NULL;
	size_t len = 0;
	sqlite3 *db;

	assert_non_null(text);
	text[0] = '\0';
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(stmt); i++) {
			const unsigned char *column = sqlite3_column_text(stmt, i);

			len += (size_t)snprintf(text + len, TEXT_BYTES - len, "%s|",
						column ? (const char *)column : "NULL");
			assert_true(len < TEXT_BYTES);
		}
		len += (size_t)snprintf(text + len, TEXT_BYTES - len, "\n");
		assert_true(len < TEXT_BYTES);
	}
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return text;
}

/* Everything that the file holds, of whatever version. free(3). */
static char *everything(struct fixture *f)
{
	char *tables = rows(f, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"), *rest = tables,
	     *line;
	char *text = calloc(1, TEXT_BYTES);
	size_t len = 0;

	assert_non_null(text);
	while ((line = strsep(&rest, "\n")) && line[0]) {
		char sql[128], *table;

		snprintf(sql, sizeof(sql), "SELECT * FROM %.*s ORDER BY 1, 2", (int)strcspn(line, "|"), line);
		table = rows(f, sql);
		len += (size_t)snprintf(text + len, TEXT_BYTES - len, "%s\n%s", sql, table);
		assert_true(len < TEXT_BYTES);
		free(table);
	}
	free(tables);
	return text;
}

static int empty_setup(void **state)
{
	struct fixture *f;

	if (fixture_setup(state))
		return -1;
	f = *state;
	inventory_close(f->inventory);
	f->inventory = NULL;
	return unlink(f->path);
}

static void load_dump(struct fixture *f)
{
	char *sql = calloc(1, TEXT_BYTES);
	FILE *file = fopen(DUMP, "r");

	assert_non_null(sql);
	if (!file)
		fail_msg("%s: run this in the project's folder", DUMP);
	assert_true(fread(sql, 1, TEXT_BYTES - 1, file) > 1000);
	fclose(file);
	old_file_sql(f, sql);
	free(sql);
}

static void open_it(struct fixture *f)
{
	struct reason reason;

	if (inventory_open(f->path, &f->inventory, &reason))
		fail_msg("%s", reason.text);
}

static void close_it(struct fixture *f)
{
	inventory_close(f->inventory);
	f->inventory = NULL;
}

/* Fails with the first line that differs; cmocka prints no long ones. */
static void compare(const char *name, const char *before, const char *after)
{
	size_t same = 0;

	if (!strcmp(before, after))
		return;
	for (size_t i = 0; before[i] && before[i] == after[i]; i++) {
		if (before[i] == '\n')
			same = i + 1;
	}
	fail_msg("%s: %.*s has become %.*s", name, (int)min_u64(strcspn(before + same, "\n"), 300), before + same,
		 (int)min_u64(strcspn(after + same, "\n"), 300), after + same);
}

/* Migrates, and compares all that the views show; a second opening changes nothing. */
static void check_migration(struct fixture *f)
{
	char *before[array_len(views)], *after, *again;

	for (size_t i = 0; i < array_len(views); i++)
		before[i] = rows(f, views[i].before);
	assert_true(strlen(before[0]) > 100);
	open_it(f);
	close_it(f);
	for (size_t i = 0; i < array_len(views); i++) {
		after = rows(f, views[i].after ? views[i].after : views[i].before);
		compare(views[i].name, before[i], after);
		free(before[i]);
		free(after);
	}
	after = everything(f);
	open_it(f);
	close_it(f);
	again = everything(f);
	compare("opened once more", after, again);
	free(again);
	free(after);
}

/* ---- the real one ---- */

/* The dump is of the schema that the steps up to the old version make: else it would prove nothing. */
static void test_dump_is_schema_6(void **state)
{
	/* Steps of ALTER TABLE and the shell's .dump leave white space and the order of making different. */
	static const char shape[] =
		"SELECT m.name, c.name, c.type, c.\"notnull\", c.dflt_value, c.pk FROM sqlite_master AS m, "
		"pragma_table_info(m.name) AS c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' "
		"ORDER BY m.name, c.cid",
			  indexes[] =
				  "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name",
			  references[] =
				  "SELECT m.name, k.* FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS k "
				  "WHERE m.type = 'table' ORDER BY m.name, k.id";
	static const char *const what[] = { shape, indexes, references, "PRAGMA user_version",
					    "PRAGMA application_id" };
	struct fixture *f = *state;
	char *made[array_len(what)];

	old_file(f, OLD_VERSION);
	for (size_t i = 0; i < array_len(what); i++)
		made[i] = rows(f, what[i]);
	assert_int_equal(unlink(f->path), 0);
	load_dump(f);
	for (size_t i = 0; i < array_len(what); i++) {
		char *dumped = rows(f, what[i]);

		assert_string_equal(dumped, made[i]);
		free(dumped);
		free(made[i]);
	}
}

static void test_dump(void **state)
{
	struct fixture *f = *state;

	load_dump(f);
	check_migration(f);
}

static int find_all(struct inventory_tx *tx, void *arg)
{
	struct image_version version;
	struct machine anna, old, failed, made;
	struct machine_boot boot;
	struct volume volume;
	size_t len = 0;
	void *blob;
	unsigned lun;

	(void)arg;
	assert_int_equal(machine_by_mac(tx, "52:54:00:bb:00:02", &old), 0);
	assert_string_equal(old.name, "pc-002");
	assert_int_equal(old.id, 2);
	assert_int_equal(old.system.size_bytes, 16 << 20);
	assert_string_equal(old.system.quota, "20G");
	assert_true(old.system.physical_512 && old.system.fresh);
	assert_string_equal(old.boot, "local");
	assert_int_equal(volume_find(tx, "pc-002:0", &volume), 0);
	assert_int_equal(volume.id, old.system.id);
	assert_int_equal(attachment_lun(tx, old.id, volume.id, &lun), 0);
	assert_int_equal(lun, 0);
	assert_int_equal(machine_by_name(tx, "anna", &anna), 0);
	assert_int_equal(anna.auth, AUTH_MUTUAL);
	assert_true(anna.access_many && anna.no_gateway && anna.multipath);
	assert_int_equal(machine_boot_pending(tx, anna.id, &boot), 0);
	assert_int_equal(boot.version_id, 2);
	assert_int_equal(machine_by_id(tx, 6, &failed), 0);
	assert_int_equal(failed.system.state, VOLUME_FAILED);
	assert_string_equal(failed.system.state_reason, "its disk failed: Input/output error");
	assert_int_equal(machine_boot_current(tx, 7, &boot), 0);
	assert_true(boot.interrupted && boot.running);
	assert_int_equal(machine_scsi_state_load(tx, 1, &blob, &len), 0);
	assert_int_equal(len, 137);
	free(blob);
	assert_int_equal(version_find(tx, "debian", 1, &version), 0);
	assert_int_equal(version.machines, 6);
	assert_int_equal(version.volumes, 0);
	/* Machine 8 was removed: its number is gone for ever, and so are those of MACs. */
	made = make_machine(9, version.id);
	assert_int_equal(machine_insert(tx, &made, "52:54:00:aa:00:09"), 0);
	assert_int_equal(made.id, 9);
	assert_int_equal(made.system.id, 8); /* seven volumes there were */
	/* All hangs together as in a new file: with the machine go its disk, its boots, its target's state. */
	assert_int_equal(machine_delete(tx, 1), 0);
	assert_int_equal(machine_scsi_state_load(tx, 1, &blob, &len), -ENOENT);
	assert_int_equal(machine_boot_current(tx, 1, &boot), -ENOENT);
	assert_int_equal(machine_by_mac(tx, "52:54:00:aa:00:01", &old), -ENOENT);
	assert_int_equal(volume_by_id(tx, 1, &volume), -ENOENT);
	return 0;
}

static void test_dump_goes_on(void **state)
{
	struct fixture *f = *state;

	load_dump(f);
	open_it(f);
	assert_int_equal(in_write(f, find_all, NULL), 0);
}

/* ---- a crowd ---- */

/* Machines of every combination of the columns that move, some of them gone again, the highest of all among them. */
static void fill_crowd(struct fixture *f)
{
	char sql[2048];

	old_file_sql(
		f,
		"INSERT INTO image (id, name, is_default, last_number) VALUES (4, 'debian', 1, 2);"
		"INSERT INTO image_version VALUES (3, 4, 1, 1, 'debian@1.raw', 'raw', 4194304, 'aa', 1, 2, 3, '', ''),"
		"(5, 4, 2, 2, 'debian@2.raw', 'raw', 4194304, 'bb', 1, 2, 3, '', '');"
		"INSERT INTO machine_group (id, name) VALUES (2, 'lab');");
	snprintf(
		sql, sizeof(sql),
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
		"INSERT INTO machine (name, iqn, uuid, serial, product, version_id, mode, state, state_reason, auth, "
		"access_many, note, child, child_fresh, address, created_ms, seen_ms, no_gateway, last_boot, group_id, boot, "
		"size_bytes, physical_512, quota) SELECT 'pc-' || i, 'iqn.2026-11.test:' || i, '', 's' || i, 'product', "
		"CASE i %% 2 WHEN 0 THEN 3 ELSE 5 END, i / 2 %% 2, i / 4 %% 2, CASE i / 4 %% 2 WHEN 0 THEN '' ELSE 'why ' || i END, "
		"i %% 4, i / 8 %% 2, 'note ' || i, 'm' || i || '-child.qcow2', i / 16 %% 2, '10.0.0.' || i, 1000 + i, 2000 + i, "
		"i / 32 %% 2, i %% 3, CASE i %% 5 WHEN 0 THEN 2 END, '', CASE i %% 3 WHEN 0 THEN 0 ELSE i * 1048576 END, "
		"i / 3 %% 2, CASE i %% 6 WHEN 0 THEN '' WHEN 1 THEN 'none' ELSE i || 'G' END FROM n",
		CROWD);
	old_file_sql(f, sql);
	old_file_sql(
		f,
		"INSERT INTO machine_mac (mac, machine_id) SELECT 'mac-' || id, id FROM machine;"
		"INSERT INTO machine_mac (mac, machine_id) SELECT 'second-' || id, id FROM machine WHERE id % 7 = 0;"
		"INSERT INTO boot SELECT id, 1, 2, '', '', 'mac-' || id, '', 1, 2, 3, 0, NULL, 0, 1 FROM machine WHERE last_boot > 1;"
		"INSERT INTO boot SELECT id, last_boot, 1, 's', 'r', 'mac-' || id, 'a', 1, 2, 0, id % 2, NULL, 1, 2 FROM machine "
		"WHERE last_boot > 0;"
		"INSERT INTO boot_stage SELECT machine_id, number, 1, 5, 'x', 0, '' FROM boot;"
		"INSERT INTO target_state SELECT id, randomblob(100) FROM machine WHERE id % 3 = 0;"
		"INSERT INTO waiting (mac, uuid, serial, product, address, reason, machine_id, first_ms, seen_ms) "
		"SELECT 'waits-' || id, '', '', '', '', 1, id, 1, 2 FROM machine WHERE id % 50 = 0;"
		"INSERT INTO event (at_ms, level, kind, actor, machine_id, object, text) SELECT id, 'info', 'enrolled', 'machine', "
		"id, name, 'x' FROM machine;");
	old_file_sql(f, "PRAGMA foreign_keys = ON;"
			"INSERT INTO discarded_child SELECT child, id FROM machine WHERE id % 11 = 0 OR id > 290;"
			"DELETE FROM machine WHERE id % 11 = 0 OR id > 290;");
}

static int crowd_goes_on(struct inventory_tx *tx, void *arg)
{
	struct machine made = make_machine(CROWD + 1, 3);

	(void)arg;
	assert_int_equal(machine_insert(tx, &made, "52:54:00:aa:00:01"), 0);
	assert_int_equal(made.id, CROWD + 1);
	return 0;
}

static void test_crowd(void **state)
{
	struct fixture *f = *state;

	old_file(f, OLD_VERSION);
	fill_crowd(f);
	check_migration(f);
	open_it(f);
	assert_int_equal(in_write(f, crowd_goes_on, NULL), 0);
}

/* Nobody has ever been enrolled. */
static void test_nobody(void **state)
{
	struct fixture *f = *state;
	char *count;

	old_file(f, OLD_VERSION);
	open_it(f);
	close_it(f);
	count = rows(
		f,
		"SELECT (SELECT count(*) FROM volume), (SELECT count(*) FROM machine), (SELECT count(*) FROM attachment)");
	assert_string_equal(count, "0|0|0|\n");
	free(count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dump_is_schema_6, empty_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_dump, empty_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_dump_goes_on, empty_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_crowd, empty_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_nobody, empty_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
