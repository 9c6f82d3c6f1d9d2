// SPDX-License-Identifier: GPL-2.0-or-later
/* See old_file.h. */
#include "inventory/old_file.h"

#include "base/assets.h"
#include "base/util.h"
#include "inventory/db.h"
#include "inventory/private.h"

#include <stdlib.h>
#include <string.h>

void old_file_sql(struct fixture *f, const char *sql)
{
	char *why = NULL;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
	sqlite3_close(db);
}

void old_file(struct fixture *f, unsigned version)
{
	struct asset table[32];
	size_t count = 0;
	struct reason reason;

	for (const struct asset *asset = assets_db; asset->name; asset++) {
		if (strncmp(asset->name, "migrations/", 11) || strtoul(asset->name + 11, NULL, 10) <= version)
			table[count++] = *asset;
		assert_true(count < array_len(table));
	}
	table[count] = (struct asset){ 0 };
	if (inventory_open_table(f->path, table, &f->inventory, &reason))
		fail_msg("%s", reason.text);
	inventory_close(f->inventory);
	f->inventory = NULL;
}
