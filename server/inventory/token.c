// SPDX-License-Identifier: GPL-2.0-or-later
/* Tokens and logins: see token.h. */
#include "inventory/token.h"

#include "inventory/db.h"

#include "base/util.h"

#include <errno.h>
#include <string.h>

enum { HASH_MAX_TEXT = 129, TOKENS_MAX = 10000 };

static const char *const scopes[] = {
	[TOKEN_VIEWER] = "viewer", [TOKEN_OPERATOR] = "operator", [TOKEN_ADMINISTRATOR] = "administrator"
};

const char *token_scope_name(enum token_scope scope)
{
	return (unsigned)scope < array_len(scopes) ? scopes[scope] : "unknown";
}

bool token_scope_parse(const char *name, enum token_scope *scope)
{
	for (unsigned i = 0; i < array_len(scopes); i++) {
		if (strcmp(scopes[i], name))
			continue;
		*scope = (enum token_scope)i;
		return true;
	}
	return false;
}

/* Bounded: expired ones go, then the oldest of those that would have. */
static int make_room(struct inventory_tx *tx)
{
	struct query q;

	query_begin(&q, tx,
		    "DELETE FROM token WHERE expires_ms <> 0 AND (expires_ms <= ? OR id IN "
		    "(SELECT id FROM token WHERE expires_ms <> 0 ORDER BY created_ms DESC LIMIT -1 OFFSET ?))");
	query_bind(&q, tx->now_ms);
	query_bind(&q, TOKENS_MAX);
	return query_run(&q);
}

int token_insert(struct inventory_tx *tx, const char *hash, struct token *token)
{
	struct query q;
	int err = make_room(tx);

	if (err)
		return err;
	query_begin(&q, tx,
		    "INSERT INTO token (hash, label, scope, created_ms, created_by, expires_ms) VALUES (?, ?, ?, ?, ?, ?) "
		    "RETURNING id");
	query_bind_text(&q, hash, HASH_MAX_TEXT);
	query_bind_text(&q, token->label, sizeof(token->label));
	query_bind(&q, token->scope);
	query_bind(&q, tx->now_ms);
	query_bind_text(&q, token->created_by, sizeof(token->created_by));
	query_bind(&q, token->expires_ms);
	err = query_number(&q, &token->id);
	if (!err)
		token->created_ms = tx->now_ms;
	return err;
}

#define TOKEN_SELECT "SELECT id, label, scope, created_ms, created_by, expires_ms, used_ms FROM token "

static void token_read(struct query *q, struct token *token)
{
	memset(token, 0, sizeof(*token));
	token->id = query_int(q);
	query_text(q, token->label, sizeof(token->label));
	token->scope = (enum token_scope)query_int(q);
	token->created_ms = query_int(q);
	query_text(q, token->created_by, sizeof(token->created_by));
	token->expires_ms = query_int(q);
	token->used_ms = query_int(q);
}

static int token_one(struct query *q, struct token *token)
{
	struct token found;
	bool row = query_row(q);
	int err;

	if (row)
		token_read(q, &found);
	err = query_end_one(q, row);
	if (!err)
		*token = found;
	return err;
}

int token_find(struct inventory_tx *tx, const char *hash, struct token *token)
{
	struct query q;

	query_begin(&q, tx, TOKEN_SELECT "WHERE hash = ? AND (expires_ms = 0 OR expires_ms > ?)");
	query_bind_text(&q, hash, HASH_MAX_TEXT);
	query_bind(&q, tx->now_ms);
	return token_one(&q, token);
}

int token_by_id(struct inventory_tx *tx, int64_t id, struct token *token)
{
	struct query q;

	query_begin(&q, tx, TOKEN_SELECT "WHERE id = ? AND (expires_ms = 0 OR expires_ms > ?)");
	query_bind(&q, id);
	query_bind(&q, tx->now_ms);
	return token_one(&q, token);
}

int token_touch(struct inventory_tx *tx, int64_t id)
{
	struct query q;

	query_begin(&q, tx, "UPDATE token SET used_ms = ? WHERE id = ?");
	query_bind(&q, tx->now_ms);
	query_bind(&q, id);
	return query_run(&q);
}

int token_delete(struct inventory_tx *tx, int64_t id)
{
	struct query q;
	int err;

	query_begin(&q, tx, "DELETE FROM token WHERE id = ?");
	query_bind(&q, id);
	err = query_run(&q);
	if (err)
		return err;
	return query_changes(tx) ? 0 : -ENOENT;
}

int token_each(struct inventory_tx *tx, const char *prefix, int (*each)(void *arg, const struct token *token),
	       void *arg)
{
	const size_t len = strlen(prefix);
	struct token token;
	struct query q;
	int stop = 0, err;

	query_begin(&q, tx, TOKEN_SELECT "WHERE expires_ms = 0 OR expires_ms > ? ORDER BY id");
	query_bind(&q, tx->now_ms);
	while (!stop && query_row(&q)) {
		token_read(&q, &token);
		if (!strncmp(token.label, prefix, len))
			stop = each(arg, &token);
	}
	err = query_end(&q);
	return err ? err : stop;
}
