/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a proxy says of whom it asks for: X-Forwarded-For, -Proto, -Host and -Prefix, believed only of those that the
 * configuration names (trusted-proxy). Private to the folder; libmicrohttpd's thread.
 */
#ifndef HTTP_PROXY_H
#define HTTP_PROXY_H

#include "http/request.h"

/* The last of each: what a proxy adds to what its client sent comes behind it. Texts are borrowed; all NULL at first. */
struct proxy_fields {
	const char *client, *scheme, *host, *prefix;
};

void proxy_take_field(struct proxy_fields *fields, const char *name, const char *value);
/*
 * Where request->client is such a proxy: host, secure and prefix become what it says, as far as that is well-formed, and
 * the prefix is taken off request->path. True: forwarded has the address of who asked it, which the caller uses for
 * what is no boot: a machine's own address has to be seen.
 */
bool proxy_apply(struct request *request, const struct proxy_fields *fields, char forwarded[PARSE_ENDPOINT_TEXT]);

#endif
