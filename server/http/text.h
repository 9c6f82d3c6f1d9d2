/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text of peers made fit for JSON and for people. Private to the folder; any thread. */
#ifndef HTTP_TEXT_H
#define HTTP_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes that are no UTF-8 (RFC 3629), and control characters, become '?'; in place. Returns text. */
char *http_text_clean(char *text);
/*
 * iPXE before 2020 escapes the byte xx, from 80 on, as %FFFFFFxx, which is unescaped to the byte FF and "FFFFxx": that
 * becomes xx again; in place. (FF is in no UTF-8, so it means nothing else.) Twice: what `chain` reads as FF and "FFFFxx", it escapes
 * once more for the request.
 */
void http_text_join_ipxe_bytes(char *text);
/* Copies what fits, never cutting a character in two. */
void http_text_copy(char *out, size_t out_size, const char *text);
/* A JSON string, cleaned where that is needed; line breaks and tabs stay. NULL without memory. */
json_t *http_text_json(const char *text);
/*
 * RFC 9110 §7.2, RFC 3986 §3.2.2, strictly: a name of letters, digits, '-', '_', '.', or an address, [IPv6] in
 * brackets; then nothing or ":PORT".
 */
bool http_text_is_host(const char *host);
/* Is an Origin header ("http://HOST", or https where a proxy ends TLS) the same as the Host that was asked? */
bool http_text_same_origin(const char *origin, const char *host);
/* The value of one cookie of a Cookie header, copied to out; false where it is missing or too long. */
bool http_text_cookie(const char *header, const char *name, char *out, size_t out_size);
/* Has the path a part ".."? */
bool http_text_path_climbs(const char *path);

#endif
