/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Authentication of a request: the control socket (everything, by file permission), an API token ("Authorization: Bearer"), or a person
 * who has logged in with the administrator's password (a cookie). Private to the folder; on workers, since it reads the
 * inventory.
 *
 * Of a token or a session only the SHA-256 is kept (token_* in the inventory), under a label that says what it is:
 * "api:NAME", or "session:" and a mark of the password that it was begun with, so that a new password ends all
 * sessions.
 */
#ifndef HTTP_AUTH_H
#define HTTP_AUTH_H

#include "http/request.h"

#define AUTH_COOKIE "sanbootd_session"

enum { AUTH_HASH_TEXT = 65, AUTH_TOKEN_CHARS = 40, AUTH_PASSWORD_MIN = 8, AUTH_PASSWORD_MAX = 256 };

/*
 * May this request do what its route does? Sets request->actor; or answers 401 or 403 and returns false. Where anybody
 * may, attempts to change something are counted: 415, 429.
 */
bool http_auth_check(struct request *request);
/* As http_auth_check by cookie, but for pages: no answer, no actor. */
bool http_auth_has_session(struct request *request);
/* Is an administrator's password set? */
bool http_auth_has_password(struct http *http);
/* Is this the one-time token that may set the password? */
bool http_auth_setup_token_fits(struct http *http, const char *token);

#endif
