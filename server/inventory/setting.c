// SPDX-License-Identifier: GPL-2.0-or-later
/* Small named values, and the hashes of tokens that open the API. */
#include "inventory/db.h"

#include "base/util.h"

#include <errno.h>
#include <string.h>

enum { SETTING_MAX_TEXT = 4096, HASH_MAX_TEXT = 129, TOKENS_MAX = 10000 };

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

int token_insert(struct inventory_tx *tx, const char *hash, const char *label, int64_t expires_ms)
{
	struct query q;
	int err;

	/* Bounded: expired ones go, then the oldest of those that would have. */
	query_begin(&q, tx,
		    "DELETE FROM token WHERE expires_ms <> 0 AND (expires_ms <= ? OR hash IN "
		    "(SELECT hash FROM token WHERE expires_ms <> 0 ORDER BY created_ms DESC LIMIT -1 OFFSET ?))");
	query_bind(&q, tx->now_ms);
	query_bind(&q, TOKENS_MAX);
	err = query_run(&q);
	if (err)
		return err;
	query_begin(&q, tx, "INSERT INTO token (hash, label, created_ms, expires_ms) VALUES (?, ?, ?, ?)");
	query_bind_text(&q, hash, HASH_MAX_TEXT);
	query_bind_text(&q, label, NAME_MAX_TEXT);
	query_bind(&q, tx->now_ms);
	query_bind(&q, expires_ms);
	return query_run(&q);
}

int token_check(struct inventory_tx *tx, const char *hash, char *label, size_t label_size)
{
	char text[NAME_MAX_TEXT];
	struct query q;
	bool row;
	int err;

	query_begin(&q, tx, "SELECT label FROM token WHERE hash = ? AND (expires_ms = 0 OR expires_ms > ?)");
	query_bind_text(&q, hash, HASH_MAX_TEXT);
	query_bind(&q, tx->now_ms);
	row = query_row(&q);
	if (row)
		query_text(&q, text, sizeof(text));
	err = query_end(&q);
	if (err)
		return err == -EINVAL ? -ENOENT : err;
	if (!row)
		return -ENOENT;
	if (strlen(text) >= label_size)
		return -EINVAL;
	memcpy(label, text, strlen(text) + 1);
	return 0;
}

int token_delete(struct inventory_tx *tx, const char *hash)
{
	struct query q;
	int err;

	query_begin(&q, tx, "DELETE FROM token WHERE hash = ?");
	query_bind_text(&q, hash, HASH_MAX_TEXT);
	err = query_run(&q);
	if (err)
		return err == -EINVAL ? -ENOENT : err;
	return query_changes(tx) ? 0 : -ENOENT;
}
