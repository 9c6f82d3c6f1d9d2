// SPDX-License-Identifier: GPL-2.0-or-later
/* Small named values. */
#include "inventory/db.h"

#include <errno.h>
#include <string.h>

enum { SETTING_MAX_TEXT = 4096 };

int setting_get(struct inventory_tx *tx, const char *name, char *value, size_t value_size)
{
	char text[SETTING_MAX_TEXT];
	struct query q;
	bool row;
	int err;

	query_begin(&q, tx, "SELECT value FROM setting WHERE name = ?");
	query_bind_text(&q, name, NAME_MAX_TEXT);
	row = query_row(&q);
	if (row)
		query_text(&q, text, sizeof(text));
	err = query_end(&q);
	if (err)
		return err;
	if (!row)
		return -ENOENT;
	if (strlen(text) >= value_size)
		return -EINVAL;
	memcpy(value, text, strlen(text) + 1);
	return 0;
}

int setting_set(struct inventory_tx *tx, const char *name, const char *value)
{
	struct query q;

	query_begin(&q, tx,
		    "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = "
		    "excluded.value");
	query_bind_text(&q, name, NAME_MAX_TEXT);
	query_bind_text(&q, value, SETTING_MAX_TEXT);
	return query_run(&q);
}
