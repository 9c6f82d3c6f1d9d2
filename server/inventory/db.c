// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SQL underneath the inventory: see db.h. A connection is used by the thread that owns it and no other
 * (SQLITE_OPEN_NOMUTEX).
 */
#include "inventory/db.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BUSY_TIMEOUT_MS = 5000, JOURNAL_LIMIT_BYTES = 16 << 20 };

static int db_errno(sqlite3 *sqlite, int code)
{
	int extended = sqlite ? sqlite3_extended_errcode(sqlite) : code;

	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_CONSTRAINT:
		if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY ||
		    extended == SQLITE_CONSTRAINT_ROWID)
			return -EEXIST;
		return extended == SQLITE_CONSTRAINT_FOREIGNKEY ? -ENOENT : -EINVAL;
	case SQLITE_TOOBIG:
	case SQLITE_RANGE:
	case SQLITE_MISMATCH:
		return -EINVAL;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	default:
		return -EIO;
	}
}

int db_run(struct db *db, const char *sql)
{
	int code = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
	int err = db_errno(db->sqlite, code);

	if (err)
		log_error("inventory: %.40s: %s", sql, sqlite3_errmsg(db->sqlite));
	return err;
}

/* Is there a WAL beside it with something in it? What is read of it when it belongs to another state makes no sense. */
static bool has_wal(const char *path)
{
	char wal[PATH_MAX + 8];
	struct stat st;

	snprintf(wal, sizeof(wal), "%s-wal", path);
	return !stat(wal, &st) && st.st_size > 0;
}

int db_explain_damage(const char *path, const char *what, struct reason *reason)
{
	if (has_wal(path))
		return reason_refuse(
			reason, -EUCLEAN,
			"%s and %s-wal make no sense together (%s): if you have put back the one without the other, put "
			"back both of the same backup, or, for a backup that has no -wal, move %s-wal and %s-shm away "
			"and start again; else it is damaged: keep a copy of both, and restore a backup; the machines' "
			"disks in children/ are not touched",
			path, path, what, path, path);
	return reason_refuse(
		reason, -EUCLEAN,
		"%s is damaged (%s): keep a copy of it and of its -wal file, then restore a backup, or try \"sqlite3 "
		"%s .recover\" into a new file; the machines' disks in children/ are not touched",
		path, what, path);
}

int db_explain(struct db *db, const char *path, int code, struct reason *reason)
{
	int err = db_errno(db->sqlite, code);
	const char *what = db->sqlite ? sqlite3_errmsg(db->sqlite) : sqlite3_errstr(code);

	if (err == -EUCLEAN)
		return db_explain_damage(path, what, reason);
	if (err == -EBUSY)
		reason_set(reason, "%s is locked by another process: end it (\"fuser %s\" says which)", path, path);
	else
		reason_set(reason, "%s: %s", path, what);
	return err ? err : -EIO;
}

int db_open(struct db *db, const char *path, bool read_only, struct reason *reason)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (read_only ? 0 : SQLITE_OPEN_CREATE);
	char limit[64];
	int code, err;

	*db = (struct db){ 0 };
	code = sqlite3_open_v2(path, &db->sqlite, flags, NULL);
	if (code != SQLITE_OK)
		goto fail;
	sqlite3_extended_result_codes(db->sqlite, 1);
	sqlite3_busy_timeout(db->sqlite, BUSY_TIMEOUT_MS);
	/* Triggers and views of a file that is not ours must not run code. */
	sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	snprintf(limit, sizeof(limit), "PRAGMA journal_size_limit = %d", JOURNAL_LIMIT_BYTES);
	code = sqlite3_exec(db->sqlite,
			    "PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON"
			    "; PRAGMA foreign_keys = ON",
			    NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_exec(db->sqlite, limit, NULL, NULL, NULL);
	if (code == SQLITE_OK && read_only)
		code = sqlite3_exec(db->sqlite, "PRAGMA query_only = ON", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		return 0;
fail:
	err = db_explain(db, path, code, reason);
	db_close(db);
	return err;
}

void db_close(struct db *db)
{
	for (size_t i = 0; i < DB_STATEMENTS; i++)
		sqlite3_finalize(db->statements[i].stmt);
	sqlite3_close(db->sqlite);
	*db = (struct db){ 0 };
}

/* The statement that holds sql, or the free place where it belongs; NULL when the table is full. */
static struct db_statement *db_cached(struct db *db, const char *sql)
{
	size_t at = ((uintptr_t)sql >> 4) * 0x9e3779b1u % DB_STATEMENTS;

	for (size_t i = 0; i < DB_STATEMENTS; i++) {
		struct db_statement *cached = &db->statements[(at + i) % DB_STATEMENTS];

		if (!cached->sql || cached->sql == sql)
			return cached;
	}
	return NULL;
}

static void query_fail(struct query *q, int code)
{
	if (q->err)
		return;
	q->err = db_errno(q->tx->db->sqlite, code);
	/* What a caller asked for and may not have is an answer, not a fault of the system. */
	if (q->err != -EEXIST && q->err != -EINVAL && q->err != -ENOENT)
		log_error("inventory: %s", sqlite3_errmsg(q->tx->db->sqlite));
}

void query_begin(struct query *q, struct inventory_tx *tx, const char *sql)
{
	struct db_statement *cached = db_cached(tx->db, sql);
	int code;

	*q = (struct query){ .tx = tx, .next = 1 };
	if (cached && cached->sql && !cached->in_use) {
		q->stmt = cached->stmt;
		q->cached = cached;
		cached->in_use = true;
		return;
	}
	code = sqlite3_prepare_v3(tx->db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->stmt, NULL);
	if (code != SQLITE_OK) {
		query_fail(q, code);
		if (!q->err || q->err == -EINVAL)
			q->err = -EIO; /* our SQL does not fit the file */
		return;
	}
	if (cached && !cached->sql) {
		*cached = (struct db_statement){ .sql = sql, .stmt = q->stmt, .in_use = true };
		q->cached = cached;
	}
}

void query_bind(struct query *q, int64_t value)
{
	int code;

	if (q->err)
		return;
	code = sqlite3_bind_int64(q->stmt, q->next++, value);
	if (code != SQLITE_OK)
		query_fail(q, code);
}

bool db_text_valid(const char *text, size_t len)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)text, *end = s + len;

	while (s < end) {
		unsigned more = *s < 0x80	    ? 0 :
				(*s & 0xe0) == 0xc0 ? 1 :
				(*s & 0xf0) == 0xe0 ? 2 :
				(*s & 0xf8) == 0xf0 ? 3 :
						      4;
		uint32_t point = more ? *s & (0x3fu >> more) : *s;

		if (more == 4 || (size_t)(end - s) <= more)
			return false;
		s++;
		for (unsigned i = 0; i < more; i++, s++) {
			if ((*s & 0xc0) != 0x80)
				return false;
			point = point << 6 | (*s & 0x3f);
		}
		if (point < least[more] || (point >= 0xd800 && point < 0xe000) || point > 0x10ffff)
			return false;
	}
	return true;
}

void query_bind_text(struct query *q, const char *text, size_t size)
{
	size_t len;
	int code;

	if (q->err)
		return;
	len = strnlen(text, size);
	if (len == size || !db_text_valid(text, len)) {
		q->err = -EINVAL;
		return;
	}
	code = sqlite3_bind_text(q->stmt, q->next++, text, (int)len, SQLITE_STATIC);
	if (code != SQLITE_OK)
		query_fail(q, code);
}

void query_bind_blob(struct query *q, const void *data, size_t len)
{
	int code;

	if (q->err)
		return;
	code = sqlite3_bind_blob64(q->stmt, q->next++, data, len, SQLITE_STATIC);
	if (code != SQLITE_OK)
		query_fail(q, code);
}

void query_bind_null(struct query *q)
{
	if (!q->err)
		sqlite3_bind_null(q->stmt, q->next++);
}

bool query_row(struct query *q)
{
	int code;

	if (q->err)
		return false;
	q->next = 0;
	code = sqlite3_step(q->stmt);
	if (code == SQLITE_ROW)
		return true;
	if (code != SQLITE_DONE)
		query_fail(q, code);
	return false;
}

int64_t query_int(struct query *q)
{
	assert(q->next < sqlite3_column_count(q->stmt));
	return sqlite3_column_int64(q->stmt, q->next++);
}

void query_text(struct query *q, char *out, size_t size)
{
	const unsigned char *text;
	int len;

	assert(q->next < sqlite3_column_count(q->stmt));
	text = sqlite3_column_text(q->stmt, q->next);
	len = sqlite3_column_bytes(q->stmt, q->next++);
	if (!text || (size_t)len >= size || strlen((const char *)text) != (size_t)len) {
		/* Only what was checked gets in: this file was changed by others. */
		if (!q->err)
			q->err = text ? -EUCLEAN : -EIO;
		out[0] = '\0';
		return;
	}
	memcpy(out, text, (size_t)len + 1);
}

void *query_blob(struct query *q, size_t *len)
{
	size_t bytes;
	void *copy;

	assert(q->next < sqlite3_column_count(q->stmt));
	bytes = (size_t)sqlite3_column_bytes(q->stmt, q->next);
	if (!bytes)
		return NULL;
	copy = malloc(bytes);
	if (!copy) {
		q->err = -ENOMEM;
		return NULL;
	}
	memcpy(copy, sqlite3_column_blob(q->stmt, q->next++), bytes);
	*len = bytes;
	return copy;
}

int query_end(struct query *q)
{
	if (q->cached) {
		sqlite3_reset(q->stmt);
		sqlite3_clear_bindings(q->stmt);
		q->cached->in_use = false;
	} else {
		sqlite3_finalize(q->stmt);
	}
	q->stmt = NULL;
	q->cached = NULL;
	return q->err;
}

int query_end_one(struct query *q, bool found)
{
	int err = query_end(q);

	if (err)
		return err == -EINVAL ? -ENOENT : err;
	return found ? 0 : -ENOENT;
}

int query_run(struct query *q)
{
	while (query_row(q))
		;
	return query_end(q);
}

int query_number(struct query *q, int64_t *value)
{
	int64_t found = 0;
	bool row = query_row(q);
	int err;

	if (row)
		found = query_int(q);
	err = query_end(q);
	if (err)
		return err;
	if (!row)
		return -ENOENT;
	*value = found;
	return 0;
}

int query_changes(const struct inventory_tx *tx)
{
	return sqlite3_changes(tx->db->sqlite);
}
