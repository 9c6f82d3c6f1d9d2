// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Work that was interrupted: see unfinished.h. A row of the table setting for each, "unfinished-KIND-ID", with a line for each text;
 * the file comes last, for its name may have line ends in it.
 */
#include "inventory/unfinished.h"

#include "inventory/db.h"

#include "base/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { KEY_TEXT = 64, VALUE_TEXT = ACTOR_TEXT + UNFINISHED_NAME_TEXT + UNFINISHED_DETAIL_TEXT + UNFINISHED_FILE_TEXT };

static const char prefix[] = "unfinished-";

static void make_key(char key[KEY_TEXT], const char *kind, int64_t id)
{
	snprintf(key, KEY_TEXT, "%s%s-%lld", prefix, kind, (long long)id);
}

int unfinished_put(struct inventory_tx *tx, const struct unfinished *what)
{
	char key[KEY_TEXT], value[VALUE_TEXT];
	struct query q;

	make_key(key, what->kind, what->id);
	snprintf(value, sizeof(value), "%s\n%s\n%s\n%s", what->actor, what->name, what->detail, what->file);
	query_begin(&q, tx,
		    "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = "
		    "excluded.value");
	query_bind_text(&q, key, sizeof(key));
	query_bind_text(&q, value, sizeof(value));
	return query_run(&q);
}

int unfinished_forget(struct inventory_tx *tx, const char *kind, int64_t id)
{
	char key[KEY_TEXT];
	struct query q;

	make_key(key, kind, id);
	query_begin(&q, tx, "DELETE FROM setting WHERE name = ?");
	query_bind_text(&q, key, sizeof(key));
	return query_run(&q);
}

static const char *take_line(const char *from, char *out, size_t size)
{
	size_t len = strcspn(from, "\n");

	snprintf(out, size, "%.*s", (int)len, from);
	return from + len + (from[len] == '\n');
}

/* False: it is none of ours. */
static bool read_row(struct query *q, struct unfinished *what)
{
	char key[KEY_TEXT], value[VALUE_TEXT];
	const char *at, *dash;
	uint64_t id;

	query_text(q, key, sizeof(key));
	query_text(q, value, sizeof(value));
	dash = strrchr(key, '-');
	if (!dash || dash < key + sizeof(prefix) || !parse_u64(dash + 1, 0, INT64_MAX, &id))
		return false;
	snprintf(what->kind, sizeof(what->kind), "%.*s", (int)(dash - key - (sizeof(prefix) - 1)),
		 key + sizeof(prefix) - 1);
	what->id = (int64_t)id;
	at = take_line(value, what->actor, sizeof(what->actor));
	at = take_line(at, what->name, sizeof(what->name));
	at = take_line(at, what->detail, sizeof(what->detail));
	snprintf(what->file, sizeof(what->file), "%s", at);
	return true;
}

int unfinished_each(struct inventory_tx *tx, int (*each)(void *arg, const struct unfinished *what), void *arg)
{
	struct unfinished what;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, "SELECT name, value FROM setting WHERE name GLOB 'unfinished-*' ORDER BY name");
	while (!stop && query_row(&q))
		stop = read_row(&q, &what) ? each(arg, &what) : 0;
	err = query_end(&q);
	return err ? err : stop;
}
