/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The head of a request: what its target names (RFC 9112 §3.2), which host it means, and whether what it says of its
 * body's length can be trusted (RFC 9112 §6). The one place that decides this, for boots, pages and the API alike:
 * libmicrohttpd takes nearly anything. Pure; any thread. Private to the folder.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "base/reason.h"

#include <stdbool.h>

/*
 * Cuts a request's target in place. *path: what it names, percent-decoded, several slashes as one, without the query.
 * *host: the authority of absolute-form, which counts instead of the Host header (RFC 9112 §3.2.2); NULL elsewhere.
 * 0, or the status to refuse it with, and why.
 */
unsigned head_cut_target(char *target, char **path, char **host, struct reason *reason);

/* What the fields say that matter here; all zero at first. Texts are borrowed. */
struct head_fields {
	unsigned hosts, codings;
	const char *host, *length, *coding;
	bool lengths_differ, bad_name;
};

void head_take_field(struct head_fields *fields, const char *name, const char *value);
/*
 * Does nothing contradict where the body ends? 0, or the status to refuse it with, and why; the connection has to be
 * closed then, as nobody knows where the next request begins.
 */
unsigned head_check_framing(const struct head_fields *fields, const char *version, struct reason *reason);
/* RFC 9112 §3.2: exactly one Host (needed: none is not enough), and well-formed. False with the reason. */
bool head_check_host(const struct head_fields *fields, bool needed, struct reason *reason);

#endif
