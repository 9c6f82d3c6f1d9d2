/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Authentication of a request: the control socket (everything, by file permission), an API token ("Authorization: Bearer"), or a person
 * who has logged in with the administrator's password (a cookie). Private to the folder; on workers, since it reads the
 * inventory.
 *
 * Of a token or a session only the SHA-256 is kept (token_* in the inventory), under a label that says what it is:
 * "api:NAME", or "session:" and a mark of the password that it was begun with, so that a new password ends all
 * sessions. What a token may do is its scope (inventory/token.h); a login is the administrator's.
 *
 * How often a password may be tried counts by address; and for browsers that have logged in before, which a second cookie shows,
 * each for itself: whoever guesses at the administrator's address does not lock the administrator out.
 */
#ifndef HTTP_AUTH_H
#define HTTP_AUTH_H

#include "http/request.h"

#define AUTH_COOKIE "sanbootd_session"
#define AUTH_DEVICE_COOKIE "sanbootd_device" /* of a browser that has logged in */

enum { AUTH_HASH_TEXT = 65, AUTH_TOKEN_CHARS = 40, AUTH_PASSWORD_MIN = 8, AUTH_PASSWORD_MAX = 256 };

/*
 * May this request do what its route does? Sets request->actor, scope and login_ends_ms; or answers 401 or 403 and
 * returns false. Where anybody may, attempts to change something are counted: 415, 429.
 */
bool http_auth_check(struct request *request);
/* Does this form come from a page of ours, and not too often? Or 403 or 429 is answered. */
bool http_auth_check_form(struct request *request);
/* Lower-case hex of the SHA-256 of a text. */
void auth_hash(const char *text, char hash[AUTH_HASH_TEXT]);
/* All event streams end: a client that may still listen connects again, and is authenticated again. */
void http_auth_end_streams(struct http *http);
/* As http_auth_check by cookie, but for pages: no answer, no actor. */
bool http_auth_has_session(struct request *request);
/* Is an administrator's password set? */
bool http_auth_has_password(struct http *http);
/* Is this the one-time token that may set the password? */
bool http_auth_setup_token_fits(struct http *http, const char *token);

#endif
