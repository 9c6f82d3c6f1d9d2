// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The schema and its versions. PRAGMA application_id says that a file is ours, PRAGMA user_version which version it
 * has: 0 is an empty file, 1 is schema.sql, N is migrations/N-what.sql. A step and its version number are one
 * transaction: after a crash the file has the version from before or the one after. Runs on the main thread, before
 * anybody else has the file open.
 */
#include "base/assets.h"
#include "base/log.h"
#include "inventory/db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	APPLICATION_ID = 0x53424f54, /* "SBOT" */
	VERSION_DIGITS = 4,
};

/* "migrations/0002-what.sql" -> 2, "schema.sql" -> 1; 0 where it is neither. */
static unsigned asset_version(const char *name)
{
	static const char folder[] = "migrations/";
	unsigned version = 0;
	size_t len = strlen(name);

	if (!strcmp(name, "schema.sql"))
		return 1;
	if (strncmp(name, folder, sizeof(folder) - 1) || len < 5 || strcmp(name + len - 4, ".sql"))
		return 0;
	name += sizeof(folder) - 1;
	for (int i = 0; i < VERSION_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		version = version * 10 + (unsigned)(name[i] - '0');
	}
	return name[VERSION_DIGITS] == '-' && version >= 2 ? version : 0;
}

static const struct asset *asset_of_version(const struct asset *table, unsigned version)
{
	for (; table->name; table++) {
		if (asset_version(table->name) == version)
			return table;
	}
	return NULL;
}

static unsigned newest_version(const struct asset *table)
{
	unsigned version = 0;

	while (asset_of_version(table, version + 1))
		version++;
	return version;
}

/* The first column of the first row; false where there is none or it failed (*code says). */
static bool pragma(struct db *db, const char *sql, char *text, size_t size, int *code)
{
	sqlite3_stmt *stmt = NULL;
	bool row = false;

	*code = sqlite3_prepare_v2(db->sqlite, sql, -1, &stmt, NULL);
	if (*code == SQLITE_OK) {
		*code = sqlite3_step(stmt);
		row = *code == SQLITE_ROW;
	}
	if (row) {
		const unsigned char *column = sqlite3_column_text(stmt, 0);

		snprintf(text, size, "%s", column ? (const char *)column : "");
	}
	sqlite3_finalize(stmt);
	return row;
}

static long pragma_number(struct db *db, const char *sql, int *code)
{
	char text[32];

	return pragma(db, sql, text, sizeof(text), code) ? strtol(text, NULL, 10) : -1;
}

/* Is the file whole, ours and not from the future? *version: what it has. */
static int check_file(struct db *db, unsigned newest, const char *path, unsigned *version, struct reason *reason)
{
	char text[200];
	long id, has, tables;
	int code;

	/* With the indices: what a WAL of another state has changed may look whole page by page. */
	if (!pragma(db, "PRAGMA integrity_check(1)", text, sizeof(text), &code))
		return db_explain(db, path, code, reason);
	if (strcmp(text, "ok"))
		return db_explain_damage(path, text, reason);
	id = pragma_number(db, "PRAGMA application_id", &code);
	has = pragma_number(db, "PRAGMA user_version", &code);
	tables = pragma_number(db, "SELECT count(*) FROM sqlite_master", &code);
	if (id < 0 || has < 0 || tables < 0)
		return db_explain(db, path, code, reason);
	if (tables && id != APPLICATION_ID)
		return reason_refuse(reason, -EUCLEAN, "%s is an SQLite file of another program: move it away", path);
	if ((unsigned long)has > newest)
		return reason_refuse(reason, -EPROTONOSUPPORT,
				     "%s was written by a newer sanbootd (schema version %ld, this one knows %u): "
				     "install that version or a later one",
				     path, has, newest);
	if (tables && !has)
		return db_explain_damage(path, "it has tables, but no version", reason);
	*version = (unsigned)has;
	return 0;
}

static int migrate_step(struct db *db, const struct asset *asset, unsigned version, const char *path,
			struct reason *reason)
{
	char pragmas[128], text[64];
	int code, err;

	snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id = %d; PRAGMA user_version = %u", APPLICATION_ID,
		 version);
	code = sqlite3_exec(db->sqlite, "BEGIN EXCLUSIVE", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_exec(db->sqlite, (const char *)asset->data, NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_exec(db->sqlite, pragmas, NULL, NULL, NULL);
	if (code != SQLITE_OK)
		goto fail;
	if (pragma(db, "PRAGMA foreign_key_check", text, sizeof(text), &code)) {
		reason_set(reason,
			   "%s: %s leaves rows of \"%s\" that refer to nothing: restore a backup and report this", path,
			   asset->name, text);
		err = -EUCLEAN;
		goto out;
	}
	code = sqlite3_exec(db->sqlite, "COMMIT", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		return 0;
fail:
	err = db_explain(db, path, code, reason);
	if (err != -EUCLEAN && err != -EBUSY)
		reason_set(reason, "%s: %s: %s", path, asset->name, sqlite3_errmsg(db->sqlite));
out:
	sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

int migrate(struct db *db, const struct asset *table, const char *path, struct reason *reason)
{
	unsigned newest = newest_version(table), version = 0;
	int err;

	err = check_file(db, newest, path, &version, reason);
	if (err)
		return err;
	/* Only now: the file is ours. Its other connections find it so. */
	err = db_run(db, "PRAGMA journal_mode = WAL");
	if (err || version == newest)
		return err;
	/* Steps that make a table again must not cascade; each is checked as a whole before it commits. */
	err = db_run(db, "PRAGMA foreign_keys = OFF");
	for (unsigned next = version + 1; next <= newest && !err; next++) {
		const struct asset *asset = asset_of_version(table, next);

		err = migrate_step(db, asset, next, path, reason);
		if (!err && version)
			log_info("inventory: %s: migrated to schema version %u by %s", path, next, asset->name);
	}
	if (!err)
		err = db_run(db, "PRAGMA foreign_keys = ON");
	return err;
}
