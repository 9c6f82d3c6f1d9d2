/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records and their rows, by a table of fields (field.h). The table and the SQL come from one list, so that columns,
 * parameters and members cannot fall out of step:
 *
 *     #define THING_FIXED(F) F(iqn, TEXT, ...)			written once, when the row is made
 *     #define THING_FIELDS(F) F(name, TEXT, ...) F(note, TEXT, ...)	written by every update
 *
 * Every record has a first column "id". Private to inventory/.
 */
#ifndef INVENTORY_RECORD_H
#define INVENTORY_RECORD_H

#include "inventory/db.h"
#include "inventory/field.h"

/* One row of the table, for struct record; the member is called as its column. */
#define RECORD_ROW(record, column_, kind_, json_, key_, right_, nothing_, words_) \
	{ .column = #column_,                                                     \
	  .kind = FIELD_##kind_,                                                  \
	  .offset = offsetof(struct record, column_),                             \
	  .size = sizeof(((struct record *)0)->column_),                          \
	  .json = json_,                                                          \
	  .key = key_,                                                            \
	  .right = FIELD_##right_,                                                \
	  .nothing = nothing_,                                                    \
	  .words = words_ },

/* Pieces of SQL, one for each field: behind "SELECT id", "INSERT INTO t (id", "VALUES (NULL", "UPDATE t SET id = id". */
#define RECORD_SQL_COLUMN(column, ...) ", " #column
#define RECORD_SQL_VALUE(column, ...) ", ?"
#define RECORD_SQL_SET(column, ...) ", " #column " = ?"

/* The columns of the row that q is at, from the next one on, in the order of the table. */
void record_read(struct query *q, const struct field *table, void *record);
/* Binds what INSERT writes: all but the id. */
void record_bind_insert(struct query *q, const struct field *table, const void *record);
/* Binds what UPDATE writes: all but the id and what is fixed. */
void record_bind_update(struct query *q, const struct field *table, const void *record);

#endif
