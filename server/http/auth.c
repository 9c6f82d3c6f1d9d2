// SPDX-License-Identifier: GPL-2.0-or-later
/* Logins, tokens, passwords: see auth.h. */
#include "http/auth.h"

#include "base/log.h"
#include "base/secret.h"
#include "base/util.h"
#include "http/api.h"
#include "http/device.h"
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
	HASHING_MAX = 2,  /* at the same time */
	TOUCH_MS = 60000, /* last uses are not more exact */
};

void auth_hash(const char *text, char hash[AUTH_HASH_TEXT])
{
	unsigned char digest[32];

	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), digest))
		abort(); /* SHA-256 cannot fail */
	secret_hex(hash, digest, sizeof(digest));
}

/* ---- what the inventory keeps ---- */

struct token_job {
	struct inventory_job job;
	char hash[AUTH_HASH_TEXT];
	struct token token;
	char password[PASSWORD_HASH_TEXT]; /* crypt(5) */
	const char *client;		   /* whose login begins */
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

	return err ? err : token_find(tx, token->hash, &token->token);
}

static int run_read_password(struct inventory_tx *tx, struct inventory_job *job)
{
	return read_password(tx, container_of(job, struct token_job, job));
}

static int run_touch(struct inventory_tx *tx, struct inventory_job *job)
{
	return token_touch(tx, container_of(job, struct token_job, job)->token.id);
}

static int run_begin(struct inventory_tx *tx, struct inventory_job *job)
{
	struct token_job *token = container_of(job, struct token_job, job);
	int err = token_insert(tx, token->hash, &token->token);

	return err ? err :
		     event_add(tx, "info", "login", "web:admin", 0, "admin", "the administrator logged in from %s",
			       token->client);
}

static int run_end(struct inventory_tx *tx, struct inventory_job *job)
{
	struct token_job *token = container_of(job, struct token_job, job);
	int err = token_find(tx, token->hash, &token->token);

	return err ? err : token_delete(tx, token->token.id);
}

/* "session:" and a mark of the password in force. */
static void session_label(const char *password_hash, char label[TOKEN_LABEL_TEXT])
{
	char hash[AUTH_HASH_TEXT];

	auth_hash(password_hash, hash);
	snprintf(label, TOKEN_LABEL_TEXT, "session:%.16s", hash);
}

static int check_token(struct http *http, const char *text, struct token_job *token)
{
	*token = (struct token_job){ .job.run = run_check };
	auth_hash(text, token->hash);
	return inventory_read_wait(http->config.inventory, &token->job);
}

/* expires_ms may be NULL. */
static bool session_is_valid(struct http *http, const char *session, int64_t *expires_ms)
{
	struct token_job token;
	char label[TOKEN_LABEL_TEXT];

	if (!session || check_token(http, session, &token) || !token.password[0])
		return false;
	session_label(token.password, label);
	if (expires_ms)
		*expires_ms = token.token.expires_ms;
	return !strcmp(label, token.token.label);
}

bool http_auth_has_session(struct request *request)
{
	return session_is_valid(request->http, request->session, NULL);
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
	    check_token(request->http, text, &token) || strncmp(token.token.label, "api:", 4)) {
		reply_error(request, 401, "make one on the server with: sanbootctl token create NAME",
			    "this token is not valid, or has expired");
		return false;
	}
	snprintf(request->actor, sizeof(request->actor), "token:%.*s", TOKEN_LABEL_TEXT - 8, token.token.label + 4);
	request->scope = token.token.scope;
	request->login_ends_ms = token.token.expires_ms;
	if (time_unix_ms() - token.token.used_ms >= TOUCH_MS) {
		token.job = (struct inventory_job){ .run = run_touch };
		inventory_write_wait(request->http->config.inventory, &token.job);
	}
	return true;
}

/*
 * What the browser says of where a request comes from. Sec-Fetch-Site no page can set, and it holds behind any proxy; browsers
 * that do not send it (or over plain HTTP) say the Origin.
 */
static bool is_same_origin(const struct request *request)
{
	if (request->fetch_site && !strcmp(request->fetch_site, "same-origin"))
		return true;
	return (!request->fetch_site || !strcmp(request->fetch_site, "none")) && request->origin && request->host &&
	       http_text_same_origin(request->origin, request->host);
}

/*
 * A browser sends the cookie with whatever makes it ask; so what changes something must show that a page of ours asked:
 * a header that no other site can send without our consent, and, where the browser says it, the same origin.
 */
static bool check_same_site(struct request *request)
{
	if (request->ours && (is_same_origin(request) || (!request->origin && !request->fetch_site)))
		return true;
	reply_error(request, 403,
		    "programs send \"Authorization: Bearer TOKEN\"; pages send the header \"X-Sanbootd: 1\"; a proxy "
		    "has to pass the Host header on, or to be named (trusted-proxy in sanbootd.conf)",
		    "a change that comes with a cookie must come from this server's own pages");
	return false;
}

static void reply_too_often(struct request *request, unsigned seconds)
{
	reply_error(request, 429,
		    "a browser that has logged in before is not held up by others; on the server there is sanbootctl",
		    "too many attempts from your address: try again in %u s", seconds);
	request->reply.retry_after_s = seconds;
}

static void reply_busy(struct request *request)
{
	reply_error(request, 429, "", "others are logging in at this moment: try again in 1 s");
	request->reply.retry_after_s = 1;
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

/* As whom attempts count. A browser that has logged in before counts for itself: others at its address do not hold it up. */
static const char *limited_as(struct request *request, char device[DEVICE_KEY_TEXT])
{
	struct token_job password = { .job.run = run_read_password };
	bool known = request->device && !inventory_read_wait(request->http->config.inventory, &password.job) &&
		     device_is_ours(request->device, password.password, device);

	return known ? device : request->client;
}

static bool check_limit(struct request *request)
{
	char device[DEVICE_KEY_TEXT];
	unsigned wait_s = limiter_try(request->http->limiter, limited_as(request, device), time_monotonic_ms());

	if (wait_s)
		reply_too_often(request, wait_s);
	return !wait_s;
}

bool http_auth_check_form(struct request *request)
{
	if (is_same_origin(request))
		return check_limit(request);
	reply_error(request, 403, "",
		    "this form was sent from another site, or by a browser that does not say from where");
	return false;
}

static enum token_scope scope_needed(const struct request *request, bool reads)
{
	if (request->route->access == ACCESS_ADMIN)
		return TOKEN_ADMINISTRATOR;
	return reads ? TOKEN_VIEWER : TOKEN_OPERATOR;
}

static bool check_scope(struct request *request, bool reads)
{
	enum token_scope needed = scope_needed(request, reads);

	if (request->scope >= needed)
		return true;
	reply_error(request, 403, "make another one on the server with: sanbootctl token create NAME --scope SCOPE",
		    "this token is a %s's, and this takes %s's", token_scope_name(request->scope),
		    needed == TOKEN_OPERATOR ? "an operator" : "an administrator");
	return false;
}

/* Who is it? Not whether he may. */
static bool check_who(struct request *request, bool reads)
{
	request->scope = TOKEN_ADMINISTRATOR;
	if (request->serves & SERVES_CONTROL) {
		snprintf(request->actor, sizeof(request->actor), "ctl");
		return true;
	}
	if (request->authorization)
		return check_bearer(request);
	if (!session_is_valid(request->http, request->session, &request->login_ends_ms)) {
		reply_error(request, 401, "log in at /login, or send \"Authorization: Bearer TOKEN\"", "not logged in");
		return false;
	}
	snprintf(request->actor, sizeof(request->actor), "web:admin");
	return reads || check_same_site(request);
}

bool http_auth_check(struct request *request)
{
	bool reads = !strcmp(request->method, "GET") || !strcmp(request->method, "HEAD");

	if (request->route->access == ACCESS_FORM)
		return true; /* its handler answers with a page, and asks http_auth_check_form */
	if (request->route->access == ACCESS_PUBLIC)
		return reads || (check_public_post(request) && check_limit(request));
	return check_who(request, reads) && check_scope(request, reads);
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

/* TLS, as far as we know: a trusted proxy says so, or the page that sends this. */
static bool is_secure(const struct request *request)
{
	return request->secure ||
	       (request->origin && !strncmp(request->origin, "https://", 8) && is_same_origin(request));
}

static void set_cookie(const struct request *request, char *out, size_t out_size, const char *name, const char *value,
		       unsigned max_age_s)
{
	snprintf(out, out_size, "%s=%s; Path=%s/; HttpOnly; SameSite=Strict; Max-Age=%u%s", name, value,
		 request->prefix, max_age_s, is_secure(request) ? "; Secure" : "");
}

static void begin_session(struct request *request, const char *password_hash)
{
	struct token_job token = { .job.run = run_begin,
				   .client = request->client,
				   .token = { .scope = TOKEN_ADMINISTRATOR,
					      .created_by = "web:admin",
					      .expires_ms = time_unix_ms() + SESSION_HOURS * 3600 * 1000LL } };
	char session[AUTH_TOKEN_CHARS + 1], device[DEVICE_TEXT];
	int err;

	secret_text(session, AUTH_TOKEN_CHARS);
	auth_hash(session, token.hash);
	session_label(password_hash, token.token.label);
	err = inventory_write_wait(request->http->config.inventory, &token.job);
	if (err) {
		reply_errno(request, err, "the login could not be stored", "");
		return;
	}
	set_cookie(request, request->reply.cookie, sizeof(request->reply.cookie), AUTH_COOKIE, session,
		   SESSION_HOURS * 3600);
	device_make(password_hash, device);
	set_cookie(request, request->reply.device_cookie, sizeof(request->reply.device_cookie), AUTH_DEVICE_COOKIE,
		   device, DEVICE_DAYS * 86400);
	explicit_bzero(session, sizeof(session));
	reply_json(request, 200, json_pack("{s:s}", "user", "admin"));
}

static void log_in(struct request *request, const char *password)
{
	struct token_job token = { .job.run = run_read_password };
	char hash[PASSWORD_HASH_TEXT] = "", device[DEVICE_KEY_TEXT];
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
		reply_busy(request);
		return;
	}
	if (strlen(hash) != strlen(token.password) || !secret_equal(hash, token.password, strlen(hash))) {
		log_warning("login refused: wrong password from %s", request->client);
		inventory_event(request->http->config.inventory, "warning", "login-refused", "web", 0, "",
				"wrong administrator password from %s", request->client);
		reply_error(request, 401, "", "wrong password");
		return;
	}
	limiter_forget(request->http->limiter, limited_as(request, device));
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
		reply_busy(request);
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

void http_auth_end_streams(struct http *http)
{
	pthread_mutex_lock(&http->lock);
	streams_end(http);
	pthread_mutex_unlock(&http->lock);
}

void handle_logout(struct request *request)
{
	struct token_job token = { .job.run = run_end };

	if (request->session) {
		auth_hash(request->session, token.hash);
		inventory_write_wait(request->http->config.inventory, &token.job);
		http_auth_end_streams(request->http);
	}
	set_cookie(request, request->reply.cookie, sizeof(request->reply.cookie), AUTH_COOKIE, "", 0);
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
		http_auth_end_streams(request->http);
		if (request->session && !request->authorization && !(request->serves & SERVES_CONTROL))
			begin_session(request, hash); /* the person who changed it stays logged in */
		else
			reply_json(request, 200, json_pack("{s:b}", "set", true));
	}
}
