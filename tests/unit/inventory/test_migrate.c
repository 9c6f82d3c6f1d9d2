// SPDX-License-Identifier: GPL-2.0-or-later
/* The file's versions, and files that are not ours, damaged, or from the future. */
#include "inventory/fixture.h"

#include "base/assets.h"
#include "base/util.h"
#include "inventory/db.h"
#include "inventory/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASSET(name, text)                                           \
	{                                                           \
		name, (const unsigned char *)text, sizeof(text) - 1 \
	}

static const struct asset version_1[] = {
	ASSET("schema.sql", "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT NOT NULL) STRICT;"
			    "CREATE TABLE b (a_id INTEGER NOT NULL REFERENCES a (id) ON DELETE CASCADE) STRICT;"
			    "INSERT INTO a VALUES (1, 'one'); INSERT INTO b VALUES (1);"),
	{ 0, 0, 0 },
};

/* As the tables come: migrations sort before schema.sql. The second makes a table again that others refer to. */
static const struct asset version_3[] = {
	ASSET("migrations/0002-add.sql", "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 7;"),
	ASSET("migrations/0003-again.sql",
	      "CREATE TABLE a2 (id INTEGER PRIMARY KEY, x TEXT NOT NULL, z INTEGER NOT NULL) STRICT;"
	      "INSERT INTO a2 SELECT id, x, y FROM a; DROP TABLE a; ALTER TABLE a2 RENAME TO a;"),
	ASSET("schema.sql", "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT NOT NULL) STRICT;"
			    "CREATE TABLE b (a_id INTEGER NOT NULL REFERENCES a (id) ON DELETE CASCADE) STRICT;"
			    "INSERT INTO a VALUES (1, 'one'); INSERT INTO b VALUES (1);"),
	{ 0, 0, 0 },
};

static const struct asset broken_2[] = {
	ASSET("migrations/0002-broken.sql",
	      "UPDATE a SET x = 'changed'; CREATE TABLE c (x TEXT) STRICT; SELECT nonsense;"),
	ASSET("schema.sql", "CREATE TABLE a (x TEXT) STRICT;"),
	{ 0, 0, 0 },
};

static const struct asset dangling_2[] = {
	ASSET("migrations/0002-dangling.sql", "DELETE FROM a;"),
	ASSET("schema.sql", "CREATE TABLE a (x TEXT) STRICT;"),
	{ 0, 0, 0 },
};

static int open_table(struct fixture *f, const struct asset *table, struct reason *reason)
{
	return inventory_open_table(f->path, table, &f->inventory, reason);
}

/* One number out of the file, as somebody else reads it. */
static int ask(struct fixture *f, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;
	int value = -1;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return value;
}

static void change(struct fixture *f, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
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

static void close_it(struct fixture *f)
{
	inventory_close(f->inventory);
	f->inventory = NULL;
}

static void test_from_old(void **state)
{
	struct fixture *f = *state;
	struct reason reason;

	assert_int_equal(open_table(f, version_1, &reason), 0);
	close_it(f);
	assert_int_equal(ask(f, "PRAGMA user_version"), 1);
	assert_int_equal(open_table(f, version_3, &reason), 0);
	close_it(f);
	assert_int_equal(ask(f, "PRAGMA user_version"), 3);
	assert_int_equal(ask(f, "SELECT z FROM a WHERE x = 'one'"), 7);
	assert_int_equal(ask(f, "SELECT count(*) FROM b"), 1); /* no cascade while the table was made again */
	assert_int_equal(open_table(f, version_3, &reason), 0);
	close_it(f);
}

static void test_from_nothing(void **state)
{
	struct fixture *f = *state;
	struct reason reason;
	struct stat st;

	assert_int_equal(open_table(f, version_3, &reason), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	close_it(f);
	assert_int_equal(ask(f, "PRAGMA user_version"), 3);
	assert_int_equal(ask(f, "SELECT z FROM a"), 7);
}

static void test_newer(void **state)
{
	struct fixture *f = *state;
	struct reason reason;

	assert_int_equal(open_table(f, version_3, &reason), 0);
	close_it(f);
	assert_int_equal(open_table(f, version_1, &reason), -EPROTONOSUPPORT);
	assert_non_null(strstr(reason.text, "newer sanbootd"));
	assert_non_null(strstr(reason.text, "3"));
}

static void test_broken_migration(void **state)
{
	struct fixture *f = *state;
	struct reason reason;

	assert_int_equal(open_table(f, version_1, &reason), 0);
	close_it(f);
	assert_int_not_equal(open_table(f, broken_2, &reason), 0);
	assert_non_null(strstr(reason.text, "0002-broken.sql"));
	assert_non_null(strstr(reason.text, "nonsense"));
	assert_int_equal(open_table(f, dangling_2, &reason), -EUCLEAN);
	assert_non_null(strstr(reason.text, "refer to nothing"));
	/* Nothing of either is left. */
	assert_int_equal(ask(f, "PRAGMA user_version"), 1);
	assert_int_equal(ask(f, "SELECT count(*) FROM a WHERE x = 'one'"), 1);
	assert_int_equal(ask(f, "SELECT count(*) FROM sqlite_master WHERE name = 'c'"), 0);
	assert_int_equal(open_table(f, version_1, &reason), 0);
	close_it(f);
}

static void test_foreign(void **state)
{
	struct fixture *f = *state;
	struct reason reason;
	FILE *file;

	change(f, "CREATE TABLE theirs (x)");
	assert_int_equal(inventory_open(f->path, &f->inventory, &reason), -EUCLEAN);
	assert_non_null(strstr(reason.text, "another program"));
	assert_int_equal(ask(f, "SELECT count(*) FROM theirs"), 0);
	assert_int_equal(unlink(f->path), 0);

	/* Ours by its mark, and of no version: schema.sql is not run over somebody's tables. */
	change(f, "CREATE TABLE theirs (x); PRAGMA application_id = 1396854612");
	assert_int_equal(inventory_open(f->path, &f->inventory, &reason), -EUCLEAN);
	assert_non_null(strstr(reason.text, "no version"));
	assert_int_equal(unlink(f->path), 0);

	file = fopen(f->path, "w");
	for (int i = 0; i < 5000; i++)
		fputs("this is no database\n", file);
	fclose(file);
	assert_int_equal(inventory_open(f->path, &f->inventory, &reason), -EUCLEAN);
	assert_non_null(strstr(reason.text, "damaged"));
	assert_non_null(strstr(reason.text, "backup"));
}

static void test_corrupt(void **state)
{
	struct fixture *f = *state;
	char garbage[4096];
	struct reason reason;
	int fd;

	assert_int_equal(inventory_open(f->path, &f->inventory, &reason), 0);
	close_it(f);
	memset(garbage, 0x5a, sizeof(garbage));
	fd = open(f->path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, garbage, sizeof(garbage), 4096 * 3), sizeof(garbage));
	close(fd);
	assert_int_equal(inventory_open(f->path, &f->inventory, &reason), -EUCLEAN);
	assert_non_null(strstr(reason.text, "damaged"));
}

/*
 * A backup of the database was put back beside the WAL of what it was put back for: SQLite reads the WAL's pages into
 * it.
 */
static void test_wal_of_another_state(void **state)
{
	struct fixture *f = *state;
	char command[600];
	struct reason reason;
	sqlite3 *db;

	assert_int_equal(inventory_open(f->path, &f->inventory, &reason), 0);
	close_it(f);
	change(f,
	       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO setting (name, "
	       "value) SELECT 'name' || i, 'a value of some length, so that there are many pages' FROM n");
	snprintf(command, sizeof(command), "cp %s %s.old", f->path, f->path);
	assert_int_equal(system(command), 0);
	change(f, "UPDATE setting SET name = 'y' || name");
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE setting SET name = 'x' || name WHERE rowid % 200 = 0", NULL, NULL,
				      NULL),
			 SQLITE_OK);
	snprintf(command, sizeof(command), "cp %s-wal %s.wal", f->path, f->path);
	assert_int_equal(system(command), 0);
	sqlite3_close(db);
	snprintf(command, sizeof(command), "cd %s && rm -f *-shm *-room && mv %s.old %s && mv %s.wal %s-wal", f->dir,
		 f->path, f->path, f->path, f->path);
	assert_int_equal(system(command), 0);
	assert_int_equal(inventory_open(f->path, &f->inventory, &reason), -EUCLEAN);
	assert_non_null(strstr(reason.text, "-wal make no sense together"));
	assert_non_null(strstr(reason.text, "put back both"));
}

static void test_unreachable(void **state)
{
	struct fixture *f = *state;
	char path[128];
	struct reason reason;

	snprintf(path, sizeof(path), "%s/no/such/folder.db", f->dir);
	assert_int_equal(inventory_open(path, &f->inventory, &reason), -ENOENT);
	assert_non_null(strstr(reason.text, path));
}

/* The schema as it is compiled in: tables and indexes are there, and it is STRICT throughout. */
static void test_real_schema(void **state)
{
	struct fixture *f = *state;
	struct reason reason;

	assert_int_equal(inventory_open(f->path, &f->inventory, &reason), 0);
	close_it(f);
	assert_int_equal(ask(f, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
				"AND sql NOT LIKE '%STRICT'"),
			 0);
	assert_true(ask(f, "SELECT count(*) FROM sqlite_master WHERE type = 'table'") >= 12);
	assert_true(ask(f, "PRAGMA user_version") >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_from_old, empty_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_from_nothing, empty_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_newer, empty_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_broken_migration, empty_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_foreign, empty_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_corrupt, empty_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_wal_of_another_state, empty_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_unreachable, empty_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_real_schema, empty_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
