/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Talks to sanbootd: HTTP over its control socket, or to --url with a token. Private to the folder. */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include "ctl/ctl.h"

#include <jansson.h>

/*
 * One request. path: "/api/v1/status"; body: taken, NULL for none. True, and *answer is an object (json_decref), on a
 * 2xx; otherwise what was refused and what to do about it was said, and *answer is NULL.
 */
bool client_call(const struct ctl *ctl, const char *method, const char *path, json_t *body, json_t **answer);
/* The same with bytes as the body. */
bool client_put(const struct ctl *ctl, const char *path, const void *data, size_t len, json_t **answer);
/*
 * The same with a list in its body. Where one entry of it was refused, nothing is said, and *refused is what the server said
 * ("index", from 0, and "reason"); else NULL.
 */
bool client_call_list(const struct ctl *ctl, const char *method, const char *path, json_t *body, json_t **answer,
		      json_t **refused);
/* The same as client_call, and prints the answer where --json was given. An exit code. */
int client_do(const struct ctl *ctl, const char *method, const char *path, json_t *body, json_t **answer);
/* The same; without --json the answer goes to show. Takes path, too (free(3)). An exit code. */
int client_show(const struct ctl *ctl, const char *method, char *path, json_t *body,
		void (*show)(const struct ctl *ctl, const json_t *answer));
/* The same where the answer is not shown: says what was done, and what to do next ("hint"). An exit code. */
int client_act(const struct ctl *ctl, const char *method, char *path, json_t *body, const char *done);
/* "/api/v1/" + the pieces, each escaped, with '/' between; the list ends with the first NULL. free(3). */
char *client_path(const char *first, ...) __attribute__((sentinel));
/* The arguments from first on, KEY=VALUE each, as an object. NULL where one is none (said). */
json_t *client_assignments(const struct ctl *ctl, unsigned first);
/*
 * Follows an event stream until it ends: event is called with each message's data. True: it was open, and ended; false:
 * refused (said, unless quiet).
 */
bool client_follow(const struct ctl *ctl, const char *path, bool quiet, void (*event)(void *arg, json_t *data),
		   void *arg);
/* Pretty-prints to standard output. */
void client_print(const json_t *value);

#endif
