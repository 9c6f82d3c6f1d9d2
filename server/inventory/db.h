/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SQL for the files of this folder: a connection with its prepared statements, and one statement being used. Private to
 * inventory/.
 *
 * A query collects its first error: binds and columns after it do nothing, and query_end tells. SQL is given as a
 * string literal, by whose address the prepared statement is cached; values are always bound, never printed into it.
 */
#ifndef INVENTORY_DB_H
#define INVENTORY_DB_H

#include "base/reason.h"
#include "inventory/inventory.h"

#include <sqlite3.h>

struct asset;

enum { DB_STATEMENTS = 256 }; /* a power of two, and more than there are statements in this folder */

struct db_statement {
	const char *sql; /* the literal's address is the key */
	sqlite3_stmt *stmt;
	bool in_use;
};

/* One connection belongs to one thread. */
struct db {
	sqlite3 *sqlite;
	struct db_statement statements[DB_STATEMENTS];
	/* machine_next_name: all numbers below are taken for this pattern. Cleared by whatever could free one. */
	char hint_pattern[NAME_MAX_TEXT];
	unsigned hint_number;
};

/* A line for the log, once what it tells is committed. */
struct event_line {
	struct event_line *next;
	struct event event;
};

struct inventory_tx {
	struct db *db;
	bool writable;
	int64_t now_ms;		  /* one time for all that a job writes */
	struct event_line *lines; /* newest first */
};

/* 0 or -errno with a sentence. read_only: PRAGMA query_only. */
int db_open(struct db *db, const char *path, bool read_only, struct reason *reason);
void db_close(struct db *db);
/* Why opening or migrating failed: writes the sentence, returns -errno. */
int db_explain(struct db *db, const char *path, int code, struct reason *reason);
int db_explain_damage(const char *path, const char *what, struct reason *reason);
/* Runs one or more statements without values. 0 or -errno, logged. */
int db_run(struct db *db, const char *sql);

/*
 * Brings the file to the newest version of the table (schema.sql, migrations/NNNN-what.sql), each step in one
 * transaction. 0 or -errno with a sentence.
 */
int migrate(struct db *db, const struct asset *table, const char *path, struct reason *reason);

struct query {
	struct inventory_tx *tx;
	sqlite3_stmt *stmt;
	struct db_statement *cached; /* NULL: not cached, finalized at the end */
	int next;		     /* bind: the next parameter; after a row: the next column */
	int err;
};

void query_begin(struct query *q, struct inventory_tx *tx, const char *sql);
void query_bind(struct query *q, int64_t value);
/* size: of the array that holds it; a text without NUL in it, or not UTF-8, is -EINVAL. Borrowed until query_end. */
void query_bind_text(struct query *q, const char *text, size_t size);
void query_bind_blob(struct query *q, const void *data, size_t len);
void query_bind_null(struct query *q);
/* True: a row is there, columns are read in order. False: the end, or an error. */
bool query_row(struct query *q);
int64_t query_int(struct query *q);
void query_text(struct query *q, char *out, size_t size);
/* A copy: free(3). NULL without memory, or empty (the error says). */
void *query_blob(struct query *q, size_t *len);
/* Gives the statement back. 0 or the first error: -EEXIST (unique), -EINVAL (check), -ENOENT (foreign key), ... */
int query_end(struct query *q);
/* The same for a look-up: also -ENOENT where no row was found, or where no row can have such a key. */
int query_end_one(struct query *q, bool found);
/* For what returns no row: steps and ends. */
int query_run(struct query *q);
/* For what returns one number: steps, reads, ends. -ENOENT: no row. */
int query_number(struct query *q, int64_t *value);
/* Rows that the last INSERT, UPDATE or DELETE changed. */
int query_changes(const struct inventory_tx *tx);

/* Is the text UTF-8? */
bool db_text_valid(const char *text, size_t len);

#endif
