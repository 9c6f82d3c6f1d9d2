/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * API tokens and page logins: only a SHA-256 of what their owner shows is kept. Inside a job, like everything of
 * inventory.h.
 */
#ifndef INVENTORY_TOKEN_H
#define INVENTORY_TOKEN_H

#include "inventory/inventory.h"

/* What may be done with it; each may do what those before it may. */
enum token_scope {
	TOKEN_VIEWER,	     /* look */
	TOKEN_OPERATOR,	     /* change all but passwords and tokens */
	TOKEN_ADMINISTRATOR, /* everything */
};

enum { TOKEN_LABEL_TEXT = 64 };

struct token {
	int64_t id;
	char label[TOKEN_LABEL_TEXT];
	enum token_scope scope;
	int64_t created_ms, expires_ms; /* 0: never */
	int64_t used_ms;		/* not more exact than a minute; 0: not yet */
	char created_by[TOKEN_LABEL_TEXT];
};

const char *token_scope_name(enum token_scope scope);
bool token_scope_parse(const char *name, enum token_scope *scope);

/* In: label, scope, expires_ms, created_by; out: id. Those that have expired go, and the oldest of far too many. */
int token_insert(struct inventory_tx *tx, const char *hash, struct token *token);
/* -ENOENT: no such token, or expired. */
int token_find(struct inventory_tx *tx, const char *hash, struct token *token);
int token_by_id(struct inventory_tx *tx, int64_t id, struct token *token);
/* It was used now. */
int token_touch(struct inventory_tx *tx, int64_t id);
/* -ENOENT */
int token_delete(struct inventory_tx *tx, int64_t id);
/* Those that have not expired and whose label begins with prefix, the oldest first. each returns 0 to go on. */
int token_each(struct inventory_tx *tx, const char *prefix, int (*each)(void *arg, const struct token *token),
	       void *arg);

#endif
