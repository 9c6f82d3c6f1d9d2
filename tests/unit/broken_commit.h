/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes of the inventory that run to their end and then do not commit: for the tests of whoever has to clean up then.
 */
#ifndef UNIT_BROKEN_COMMIT_H
#define UNIT_BROKEN_COMMIT_H

#include "cmocka_all.h"

#include "store/store.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>

/* Somebody else's change of the store's inventory. */
__attribute__((format(printf, 2, 3))) static inline void inventory_sql(struct store *store, const char *format, ...)
{
	char text[512], *wrong = NULL;
	sqlite3 *db;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert_int_equal(sqlite3_open(store_inventory_path(store), &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 60000);
	if (sqlite3_exec(db, text, NULL, NULL, &wrong))
		fail_msg("%s: %s", text, wrong);
	sqlite3_close(db);
}

/* What records an event of this kind runs to its end, and then does not commit. */
static inline void break_commit(struct store *store, const char *kind)
{
	inventory_sql(
		store,
		"CREATE TABLE never (id INTEGER REFERENCES event (id) DEFERRABLE INITIALLY DEFERRED);"
		"CREATE TRIGGER no_commit AFTER INSERT ON event WHEN NEW.kind = '%s' BEGIN INSERT INTO never VALUES (-1); END",
		kind);
}

static inline void mend_commit(struct store *store)
{
	inventory_sql(store, "DROP TRIGGER no_commit; DROP TABLE never");
}

#endif
