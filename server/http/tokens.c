// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: its tokens. What one is, is shown once; then it is named by its number. */
#include "http/api.h"
#include "http/auth.h"

#include "base/secret.h"
#include "base/util.h"
#include "http/json.h"
#include "http/routes.h"
#include "inventory/token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { DAYS_MAX = 3650, DAYS_DEFAULT = 365, NAME_MAX_CHARS = 40 };

struct token_change {
	struct inventory_job job;
	char hash[AUTH_HASH_TEXT];
	struct token token;
	const char *actor;
};

/* ---- the list ---- */

struct tokens_job {
	struct inventory_job job;
	json_t *tokens;
};

static const char *name_of(const struct token *token)
{
	return token->label + strlen("api:");
}

static int add_token(void *arg, const struct token *token)
{
	json_t *json =
		json_pack("{s:I, s:s, s:s, s:I, s:o, s:o, s:o}", "id", (json_int_t)token->id, "name", name_of(token),
			  "scope", token_scope_name(token->scope), "created_ms", (json_int_t)token->created_ms,
			  "created_by", json_text_or_null(token->created_by), "expires_ms",
			  json_time_or_null(token->expires_ms), "used_ms", json_time_or_null(token->used_ms));

	return json_array_append_new(arg, json) ? -ENOMEM : 0;
}

static int run_list(struct inventory_tx *tx, struct inventory_job *job)
{
	return token_each(tx, "api:", add_token, container_of(job, struct tokens_job, job)->tokens);
}

void handle_tokens(struct request *request)
{
	struct tokens_job tokens = { .job.run = run_list, .tokens = json_array() };

	if (api_read(request, &tokens.job, "the tokens could not be read"))
		reply_json(request, 200, json_pack("{s:O}", "tokens", tokens.tokens));
	json_decref(tokens.tokens);
}

/* ---- one more ---- */

static int run_insert(struct inventory_tx *tx, struct inventory_job *job)
{
	struct token_change *change = container_of(job, struct token_change, job);
	int err = token_insert(tx, change->hash, &change->token);

	return err ? err :
		     event_add(tx, "info", "token-created", change->actor, 0, name_of(&change->token),
			       "API token #%lld was made, for %s", (long long)change->token.id,
			       token_scope_name(change->token.scope));
}

/* What the body asks for. False, and it is answered, where that is none. */
static bool take_new(struct request *request, struct token *token)
{
	const char *name = api_text(request->json, "name"), *scope = api_text(request->json, "scope");
	const json_t *given = json_object_get(request->json, "days");
	const int64_t days = json_is_integer(given) ? json_integer_value(given) : DAYS_DEFAULT;

	if (!image_name_valid(name) || strlen(name) > NAME_MAX_CHARS || days < 1 || days > DAYS_MAX) {
		reply_error(request, 400, "for example {\"name\": \"monitoring\", \"days\": 365}",
			    "a token needs a name (letters, digits, '-', '_', '.') and 1 to %d days", DAYS_MAX);
		return false;
	}
	token->scope = TOKEN_OPERATOR;
	if (scope[0] && !token_scope_parse(scope, &token->scope)) {
		reply_error(request, 400, "", "scope: expected viewer, operator or administrator");
		return false;
	}
	snprintf(token->label, sizeof(token->label), "api:%s", name);
	snprintf(token->created_by, sizeof(token->created_by), "%s", request->actor);
	token->expires_ms = time_unix_ms() + days * 86400 * 1000;
	return true;
}

void handle_token_create(struct request *request)
{
	struct token_change change = { .job.run = run_insert, .actor = request->actor };
	char text[AUTH_TOKEN_CHARS + 1];
	int err;

	if (!take_new(request, &change.token))
		return;
	secret_text(text, AUTH_TOKEN_CHARS);
	auth_hash(text, change.hash);
	err = inventory_write_wait(request->http->config.inventory, &change.job);
	if (err)
		reply_errno(request, err, "the token could not be stored", "");
	else
		reply_json(request, 201,
			   json_pack("{s:I, s:s, s:s, s:s, s:I}", "id", (json_int_t)change.token.id, "name",
				     name_of(&change.token), "token", text, "scope",
				     token_scope_name(change.token.scope), "expires_ms",
				     (json_int_t)change.token.expires_ms));
	explicit_bzero(text, sizeof(text));
}

/* ---- one less ---- */

static int run_remove(struct inventory_tx *tx, struct inventory_job *job)
{
	struct token_change *change = container_of(job, struct token_change, job);
	int err = change->hash[0] ? token_find(tx, change->hash, &change->token) :
				    token_by_id(tx, change->token.id, &change->token);

	if (!err && strncmp(change->token.label, "api:", 4))
		err = -ENOENT; /* a login ends by logging out */
	if (!err)
		err = token_delete(tx, change->token.id);
	return err ? err :
		     event_add(tx, "info", "token-removed", change->actor, 0, name_of(&change->token),
			       "API token #%lld was removed", (long long)change->token.id);
}

static void remove_token(struct request *request, struct token_change *change)
{
	int err;

	change->job.run = run_remove;
	change->actor = request->actor;
	err = inventory_write_wait(request->http->config.inventory, &change->job);
	if (err == -ENOENT) {
		reply_error(request, 404, "see them with: sanbootctl token list", "there is no such token");
	} else if (err) {
		reply_errno(request, err, "the token could not be removed", "see sanbootd's log");
	} else {
		http_auth_end_streams(request->http);
		reply_json(request, 200, json_pack("{s:s}", "removed", name_of(&change->token)));
	}
}

void handle_token_delete(struct request *request)
{
	struct token_change change = { 0 };

	auth_hash(api_text(request->json, "token"), change.hash);
	remove_token(request, &change);
}

void handle_token_revoke(struct request *request)
{
	const char *number = request->params[0] + (request->params[0][0] == '#');
	struct token_change change = { 0 };
	uint64_t id = 0;

	parse_u64(number, 1, INT64_MAX, &id); /* else there is none */
	change.token.id = (int64_t)id;
	remove_token(request, &change);
}
