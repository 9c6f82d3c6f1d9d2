// SPDX-License-Identifier: GPL-2.0-or-later
/* ETags of the API's answers: see tag.h. */
#include "http/tag.h"

#include "base/secret.h"
#include "http/routes.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

enum { TAG_BYTES = 16 };

/* A list of tags, weak ones too: whether the bytes are the same is all that is compared. */
static bool is_named(const char *list, const char *tag)
{
	return !strcmp(list, "*") || strstr(list, tag);
}

void tag_answer(struct request *request)
{
	struct reply *reply = &request->reply;
	unsigned char digest[32];
	char hex[2 * TAG_BYTES + 1];

	if (strcmp(request->method, "GET") != 0 || reply->status != 200 || !request->route->answer || reply->stream ||
	    !reply->body.len)
		return;
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, reply->body.data, reply->body.len, digest))
		return;
	secret_hex(hex, digest, TAG_BYTES);
	snprintf(reply->tag, sizeof(reply->tag), "\"%s\"", hex);
	if (request->range_ask.if_none_match && is_named(request->range_ask.if_none_match, reply->tag)) {
		buf_reset(&reply->body);
		reply->status = 304;
	}
}
