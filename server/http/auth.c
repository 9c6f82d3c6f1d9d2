// SPDX-License-Identifier: GPL-2.0-or-later
/* Logins, tokens, passwords: see auth.h. */
#include "http/auth.h"

#include "base/log.h"
#include "base/secret.h"
#include "base/util.h"
#include "http/api.h"
#include "http/limiter.h"
#include "http/routes.h"
#include "http/stream.h"
#include "http/text.h"

#include <crypt.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PASSWORD_HASH_TEXT = 256,
	SESSION_HOURS = 12,
	HASHING_MAX = 2, /* at the same time */
	LABEL_TEXT = 64,
};

/* Lower-case hex of the SHA-256 of a text. */
static void auth_hash(const char *text, char hash[AUTH_HASH_TEXT])
{
	unsigned char digest[32];

	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), digest))
		abort(); /* SHA-256 cannot fail */
	secret_hex(hash, digest, sizeof(digest));
}

/* ---- what the inventory keeps ---- */

struct token_job {
	struct inventory_job job;
	char hash[AUTH_HASH_TEXT], label[LABEL_TEXT];
	int64_t expires_ms;
	char password[PASSWORD_HASH_TEXT]; /* crypt(5) */
	const char *actor, *called; /* who made or removed an API token, and how it is called; NULL: it is a login's */
};

static int read_password(struct inventory_tx *tx, struct token_job *token)
{
	int err = setting_get(tx, "admin-password", token->password, sizeof(token->password));

	if (err == -ENOENT)
		token->password[0] = '\0';
	return err == -ENOENT ? 0 : err;
}

static int run_check(struct inventory_tx *tx, struct inventory_job *job)
{
	struct token_job *token = container_of(job, struct token_job, job);
	int err = read_password(tx, token);

	return err ? err : token_check(tx, token->hash, token->label, sizeof(token->label));
}

static int run_read_password(struct inventory_tx *tx, struct inventory_job *job)
{
	return read_password(tx, container_of(job, struct token_job, job));
}

static int run_insert(struct inventory_tx *tx, struct inventory_job *job)
{
	struct token_job *token = container_of(job, struct token_job, job);

	int err = token_insert(tx, token->hash, token->label, token->expires_ms);

	if (err || !token->actor)
		return err;
	return event_add(tx, "info", "token-created", token->actor, 0, token->called, "an API token was made");
}

static int run_delete(struct inventory_tx *tx, struct inventory_job *job)
{
	struct token_job *token = container_of(job, struct token_job, job);

	int err = token_delete(tx, token->hash);

	if (err || !token->actor)
		return err;
	return event_add(tx, "info", "token-removed", token->actor, 0, "", "an API token was removed");
}

/* "session:" and a mark of the password in force. */
static void session_label(const char *password_hash, char label[LABEL_TEXT])
{
	char hash[AUTH_HASH_TEXT];

	auth_hash(password_hash, hash);
	snprintf(label, LABEL_TEXT, "session:%.16s", hash);
}

static int check_token(struct http *http, const char *text, struct token_job *token)
{
	*token = (struct token_job){ .job.run = run_check };
	auth_hash(text, token->hash);
	return inventory_read_wait(http->config.inventory, &token->job);
}

static bool session_is_valid(struct http *http, const char *session)
{
	struct token_job token;
	char label[LABEL_TEXT];

	if (!session || check_token(http, session, &token) || !token.password[0])
		return false;
	session_label(token.password, label);
	return !strcmp(label, token.label);
}

bool http_auth_has_session(struct request *request)
{
	return session_is_valid(request->http, request->session);
}

bool http_auth_has_password(struct http *http)
{
	struct token_job token = { .job.run = run_read_password };

	return !inventory_read_wait(http->config.inventory, &token.job) && token.password[0];
}

/* ---- authentication ---- */

static bool check_bearer(struct request *request)
{
	struct token_job token;
	const char *text = request->authorization + strlen("Bearer ");

	if (strncasecmp(request->authorization, "Bearer ", strlen("Bearer ")) ||
	    check_token(request->http, text, &token) || strncmp(token.label, "api:", 4)) {
		reply_error(request, 401, "make one on the server with: sanbootctl token create NAME",
			    "this token is not valid, or has expired");
		return false;
	}
	snprintf(request->actor, sizeof(request->actor), "token:%.*s", LABEL_TEXT - 8, token.label + 4);
	return true;
}

/*
 * A browser sends the cookie with whatever makes it ask; so what changes something must show that a page of ours asked:
 * a header that no other site can send without our consent, and, where the browser says it, the same origin.
 */
static bool check_same_site(struct request *request)
{
	if (request->ours &&
	    (!request->origin || (request->host && http_text_same_origin(request->origin, request->host))) &&
	    (!request->fetch_site || !strcmp(request->fetch_site, "same-origin") ||
	     !strcmp(request->fetch_site, "none")))
		return true;
	reply_error(request, 403,
		    "programs send \"Authorization: Bearer TOKEN\"; pages send the header \"X-Sanbootd: 1\"",
		    "a change that comes with a cookie must come from this server's own pages");
	return false;
}

static void reply_too_often(struct request *request, unsigned seconds)
{
	reply_error(request, 429, "wait a moment", "too many attempts");
	request->reply.retry_after_s = seconds;
}

/* Public requests that change something: JSON, which no form of another site can send. */
static bool check_public_post(struct request *request)
{
	const char *type = request->content_type ? request->content_type : "";

	if (request->ours || !strncasecmp(type, "application/json", strlen("application/json")))
		return true;
	reply_error(request, 415, "send \"Content-Type: application/json\"", "the body must be JSON");
	return false;
}

static bool check_attempt(struct request *request)
{
	unsigned wait_s;

	if (!check_public_post(request))
		return false;
	wait_s = limiter_try(request->http->limiter, request->client, time_monotonic_ms());
	if (wait_s)
		reply_too_often(request, wait_s);
	return !wait_s;
}

bool http_auth_check(struct request *request)
{
	bool reads = !strcmp(request->method, "GET") || !strcmp(request->method, "HEAD");

	if (request->route->access == ACCESS_PUBLIC)
		return reads || check_attempt(request);
	if (request->serves & SERVES_CONTROL) {
		snprintf(request->actor, sizeof(request->actor), "ctl");
		return true;
	}
	if (request->authorization)
		return check_bearer(request);
	if (!session_is_valid(request->http, request->session)) {
		reply_error(request, 401, "log in at /login, or send \"Authorization: Bearer TOKEN\"", "not logged in");
		return false;
	}
	snprintf(request->actor, sizeof(request->actor), "web:admin");
	return reads || check_same_site(request);
}

/* ---- passwords ---- */

/*
 * crypt(3) under the bound on how many at once; false where that is reached or it failed. setting: a hash, or a salt.
 */
static bool hash_password(struct http *http, const char *password, const char *setting, char out[PASSWORD_HASH_TEXT])
{
	struct crypt_data *data = NULL;
	const char *hash = NULL;

	if (atomic_fetch_add(&http->hashing, 1) < HASHING_MAX)
		data = calloc(1, sizeof(*data));
	if (data)
		hash = crypt_rn(password, setting, data, (int)sizeof(*data));
	if (hash)
		snprintf(out, PASSWORD_HASH_TEXT, "%s", hash);
	if (data)
		explicit_bzero(data, sizeof(*data));
	free(data);
	atomic_fetch_sub(&http->hashing, 1);
	return hash;
}

static void begin_session(struct request *request, const char *password_hash)
{
	struct token_job token = { .job.run = run_insert,
				   .expires_ms = time_unix_ms() + SESSION_HOURS * 3600 * 1000LL };
	char session[AUTH_TOKEN_CHARS + 1];
	int err;

	secret_text(session, AUTH_TOKEN_CHARS);
	auth_hash(session, token.hash);
	session_label(password_hash, token.label);
	err = inventory_write_wait(request->http->config.inventory, &token.job);
	if (err) {
		reply_errno(request, err, "the login could not be stored", "");
		return;
	}
	snprintf(request->reply.cookie, sizeof(request->reply.cookie),
		 AUTH_COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d", session, SESSION_HOURS * 3600);
	explicit_bzero(session, sizeof(session));
	reply_json(request, 200, json_pack("{s:s}", "user", "admin"));
}

static void log_in(struct request *request, const char *password)
{
	struct token_job token = { .job.run = run_read_password };
	char hash[PASSWORD_HASH_TEXT] = "";
	int err = inventory_read_wait(request->http->config.inventory, &token.job);

	if (err) {
		reply_errno(request, err, "the inventory could not be read", "");
		return;
	}
	if (!token.password[0]) {
		reply_error(request, 403,
			    "open the one-time address from sanbootd's log, or run on the server: sanbootctl password",
			    "no administrator password is set yet");
		return;
	}
	if (strlen(password) <= AUTH_PASSWORD_MAX && !hash_password(request->http, password, token.password, hash)) {
		reply_too_often(request, 1);
		return;
	}
	if (strlen(hash) != strlen(token.password) || !secret_equal(hash, token.password, strlen(hash))) {
		log_warning("login refused: wrong password from %s", request->client);
		inventory_event(request->http->config.inventory, "warning", "login-refused", "web", 0, "",
				"wrong administrator password from %s", request->client);
		reply_error(request, 401, "", "wrong password");
		return;
	}
	limiter_forget(request->http->limiter, request->client);
	begin_session(request, token.password);
}

void handle_login(struct request *request)
{
	log_in(request, api_text(request->json, "password"));
}

struct password_job {
	struct inventory_job job;
	char hash[PASSWORD_HASH_TEXT];
	const char *actor;
	bool only_first; /* setup: not where one is set */
};

static int run_set_password(struct inventory_tx *tx, struct inventory_job *job)
{
	struct password_job *password = container_of(job, struct password_job, job);
	char there[PASSWORD_HASH_TEXT];
	int err;

	if (password->only_first && !setting_get(tx, "admin-password", there, sizeof(there)) && there[0])
		return -EEXIST;
	err = setting_set(tx, "admin-password", password->hash);
	return err ? err :
		     event_add(tx, "info", "password-set", password->actor, 0, "admin",
			       "the administrator's password was set; all logins ended");
}

/* Stores a new password; false, and it is answered, where it is not good enough or cannot be stored. */
static bool set_password(struct request *request, const char *password, bool only_first, char hash[PASSWORD_HASH_TEXT])
{
	struct password_job job = { .job.run = run_set_password, .actor = request->actor, .only_first = only_first };
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];
	int err;

	if (strlen(password) < AUTH_PASSWORD_MIN || strlen(password) > AUTH_PASSWORD_MAX) {
		reply_error(request, 400, "", "the password must have %d to %d characters", AUTH_PASSWORD_MIN,
			    AUTH_PASSWORD_MAX);
		return false;
	}
	if (!crypt_gensalt_rn("$y$", 0, NULL, 0, salt, (int)sizeof(salt)) ||
	    !hash_password(request->http, password, salt, job.hash)) {
		reply_too_often(request, 1);
		return false;
	}
	err = inventory_write_wait(request->http->config.inventory, &job.job);
	if (err) {
		reply_errno(request, err,
			    err == -EEXIST ? "an administrator password is set already" :
					     "the password could not be stored",
			    err == -EEXIST ? "log in at /login; forgotten? on the server: sanbootctl password" : "");
		return false;
	}
	memcpy(hash, job.hash, PASSWORD_HASH_TEXT);
	return true;
}

bool http_auth_setup_token_fits(struct http *http, const char *token)
{
	bool fits;

	pthread_mutex_lock(&http->lock);
	fits = http->setup_token[0] && strlen(token) == HTTP_SETUP_TOKEN &&
	       secret_equal(token, http->setup_token, HTTP_SETUP_TOKEN);
	pthread_mutex_unlock(&http->lock);
	return fits;
}

static void end_setup(struct http *http)
{
	pthread_mutex_lock(&http->lock);
	explicit_bzero(http->setup_token, sizeof(http->setup_token));
	pthread_mutex_unlock(&http->lock);
}

/* A client that may still listen connects again, and is authenticated again. */
static void end_streams(struct http *http)
{
	pthread_mutex_lock(&http->lock);
	streams_end(http);
	pthread_mutex_unlock(&http->lock);
}

void handle_logout(struct request *request)
{
	struct token_job token = { .job.run = run_delete };

	if (request->session) {
		auth_hash(request->session, token.hash);
		inventory_write_wait(request->http->config.inventory, &token.job);
		end_streams(request->http);
	}
	snprintf(request->reply.cookie, sizeof(request->reply.cookie),
		 AUTH_COOKIE "=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
	reply_json(request, 200, json_object());
}

void handle_setup(struct request *request)
{
	char hash[PASSWORD_HASH_TEXT];

	snprintf(request->actor, sizeof(request->actor), "web:setup");
	if (!http_auth_setup_token_fits(request->http, api_text(request->json, "token"))) {
		reply_error(request, 403,
			    "use the address from sanbootd's latest start, or run on the server: sanbootctl password",
			    "this one-time address is not valid any more");
	} else if (set_password(request, api_text(request->json, "password"), true, hash)) {
		end_setup(request->http);
		limiter_forget(request->http->limiter, request->client);
		begin_session(request, hash);
	}
}

void handle_password(struct request *request)
{
	char hash[PASSWORD_HASH_TEXT];

	if (set_password(request, api_text(request->json, "password"), false, hash)) {
		end_setup(request->http);
		end_streams(request->http);
		if (request->session && !request->authorization && !(request->serves & SERVES_CONTROL))
			begin_session(request, hash); /* the person who changed it stays logged in */
		else
			reply_json(request, 200, json_pack("{s:b}", "set", true));
	}
}

/* ---- API tokens ---- */

static bool label_is_valid(const char *label)
{
	return image_name_valid(label) && strlen(label) <= 40;
}

void handle_token_create(struct request *request)
{
	struct token_job token = { .job.run = run_insert };
	char text[AUTH_TOKEN_CHARS + 1];
	const char *label = api_text(request->json, "name");
	const json_t *given = json_object_get(request->json, "days");
	const int64_t days = json_is_integer(given) ? json_integer_value(given) : 365;
	int err;

	if (!label_is_valid(label) || days < 1 || days > 3650) {
		reply_error(request, 400, "for example {\"name\": \"monitoring\", \"days\": 365}",
			    "a token needs a name (letters, digits, '-', '_', '.') and 1 to 3650 days");
		return;
	}
	secret_text(text, AUTH_TOKEN_CHARS);
	auth_hash(text, token.hash);
	snprintf(token.label, sizeof(token.label), "api:%s", label);
	token.expires_ms = time_unix_ms() + days * 86400 * 1000;
	token.actor = request->actor;
	token.called = label;
	err = inventory_write_wait(request->http->config.inventory, &token.job);
	if (err) {
		reply_errno(request, err, "the token could not be stored", "");
		return;
	}
	reply_json(request, 201,
		   json_pack("{s:s, s:s, s:I}", "name", label, "token", text, "expires_ms",
			     (json_int_t)token.expires_ms));
	explicit_bzero(text, sizeof(text));
}

void handle_token_delete(struct request *request)
{
	struct token_job token = { .job.run = run_delete, .actor = request->actor };
	int err;

	auth_hash(api_text(request->json, "token"), token.hash);
	err = inventory_write_wait(request->http->config.inventory, &token.job);
	if (err) {
		reply_errno(request, err, err == -ENOENT ? "there is no such token" : "", "");
	} else {
		end_streams(request->http);
		reply_json(request, 200, json_pack("{s:b}", "removed", true));
	}
}
