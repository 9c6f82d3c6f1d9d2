// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * UUIDs and serial numbers that identify nobody, because several boards were seen with the same one. Learnt, so small
 * values of the inventory: a setting for each kind, a line for each text, the one that was learnt last at its end. Both are
 * bounded: the oldest go, and are learnt again where they still matter.
 *
 * No machine and nobody who waits has a text that is listed here.
 */
#include "inventory/db.h"

#include "base/buf.h"

#include <errno.h>
#include <string.h>

enum { HARDWARE_LIST_TEXT = 4000 };

static const char *hardware_setting(enum hardware_id id)
{
	return id == HARDWARE_UUID ? "shared-uuids" : "shared-serials";
}

/* The lines; "" where nothing has been learnt. */
static int hardware_list(struct inventory_tx *tx, enum hardware_id id, char list[HARDWARE_LIST_TEXT])
{
	int err = setting_get(tx, hardware_setting(id), list, HARDWARE_LIST_TEXT);

	if (err == -ENOENT)
		list[0] = '\0';
	return err == -ENOENT ? 0 : err;
}

static bool hardware_has(const char *list, const char *text)
{
	size_t len = strlen(text);

	for (const char *line = list; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (strcspn(line, "\n") == len && !memcmp(line, text, len))
			return true;
	return false;
}

int hardware_is_shared(struct inventory_tx *tx, enum hardware_id id, const char *text, bool *shared)
{
	char list[HARDWARE_LIST_TEXT];
	int err = text[0] ? hardware_list(tx, id, list) : 0;

	if (!err)
		*shared = text[0] && hardware_has(list, text);
	return err;
}

static int hardware_forget(struct inventory_tx *tx, const char *sql, const char *text)
{
	struct query q;

	query_begin(&q, tx, sql);
	query_bind_text(&q, text, SERIAL_TEXT);
	return query_run(&q);
}

int hardware_set_shared(struct inventory_tx *tx, enum hardware_id id, const char *text)
{
	char list[HARDWARE_LIST_TEXT];
	const char *kept = list;
	struct buf lines;
	int err;

	if (!text[0] || strlen(text) >= SERIAL_TEXT || strchr(text, '\n'))
		return -EINVAL;
	err = hardware_list(tx, id, list);
	if (err)
		return err;
	while (strlen(kept) + strlen(text) + 2 > HARDWARE_LIST_TEXT) {
		kept += strcspn(kept, "\n");
		kept += *kept == '\n';
	}
	buf_init(&lines, HARDWARE_LIST_TEXT);
	if (!hardware_has(list, text)) {
		buf_printf(&lines, "%s%s\n", kept, text);
		err = lines.failed ? -ENOMEM : setting_set(tx, hardware_setting(id), buf_text(&lines));
	}
	buf_fini(&lines);
	if (err)
		return err;
	err = hardware_forget(tx,
			      id == HARDWARE_UUID ? "UPDATE machine SET uuid = '' WHERE uuid = ?" :
						    "UPDATE machine SET serial = '' WHERE serial = ?",
			      text);
	return err ? err :
		     hardware_forget(tx,
				     id == HARDWARE_UUID ? "UPDATE waiting SET uuid = '' WHERE uuid = ?" :
							   "UPDATE waiting SET serial = '' WHERE serial = ?",
				     text);
}
