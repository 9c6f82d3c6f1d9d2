// SPDX-License-Identifier: GPL-2.0-or-later
/* The head of a request: see head.h. */
#include "http/head.h"

#include "http/text.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* ---- the target ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place, up to the query. A '%' that begins no escape stands for itself: boot files may be named so. */
static bool decode_path(char *path)
{
	const char *from = path;
	char *to = path;

	while (*from && *from != '?') {
		char c = *from++;

		if (c == '%' && hex_digit(from[0]) >= 0 && hex_digit(from[1]) >= 0) {
			c = (char)(hex_digit(from[0]) << 4 | hex_digit(from[1]));
			from += 2;
			if (!c)
				return false;
		}
		/* Who joins "http://server/" and "/ipxe/x" means one slash, and UEFI HTTP boot follows no redirect. */
		if (c != '/' || to == path || to[-1] != '/')
			*to++ = c;
	}
	*to = '\0';
	return true;
}

unsigned head_cut_target(char *target, char **path, char **host, struct reason *reason)
{
	static const char scheme[] = "http://";
	char *rest = target, *authority = NULL;

	if (!strncasecmp(target, scheme, sizeof(scheme) - 1)) {
		size_t len = strcspn(target + sizeof(scheme) - 1, "/?");

		authority = target;
		rest = target + sizeof(scheme) - 1 + len;
		memmove(authority, target + sizeof(scheme) - 1, len);
		authority[len] = '\0';
		if (!http_text_is_host(authority))
			return reason_refuse(reason, 400, "the host in the address is no host name and no address");
		if (*rest != '/') { /* RFC 9110 §4.2.3: an empty path is "/"; the scheme has left room for it */
			rest = authority + len + 1;
			memcpy(rest, "/", 2);
		}
	} else if (*target != '/' && strcmp(target, "*")) {
		return reason_refuse(reason, 400, "an address begins with / or http://");
	}
	if (!decode_path(rest))
		return reason_refuse(reason, 400, "the address contains a NUL");
	*path = rest;
	*host = authority;
	return 0;
}

/* ---- the fields ---- */

/* RFC 9110 §5.1: with a space in it ("Content-Length :") others might take it for a field that we do not see. */
static bool is_token(const char *name)
{
	static const char legal[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return name[0] && !name[strspn(name, legal)];
}

void head_take_field(struct head_fields *fields, const char *name, const char *value)
{
	value = value ? value : "";
	if (!is_token(name)) {
		fields->bad_name = true;
	} else if (!strcasecmp(name, "Host")) {
		fields->hosts++;
		fields->host = value;
	} else if (!strcasecmp(name, "Content-Length")) {
		fields->lengths_differ = fields->lengths_differ || (fields->length && strcmp(fields->length, value));
		fields->length = value;
	} else if (!strcasecmp(name, "Transfer-Encoding")) {
		fields->codings++;
		fields->coding = value;
	}
}

unsigned head_check_framing(const struct head_fields *fields, const char *version, struct reason *reason)
{
	if (fields->bad_name)
		return reason_refuse(reason, 400, "the name of a header has a character that none may have");
	if (fields->lengths_differ)
		return reason_refuse(reason, 400, "two Content-Length headers contradict each other");
	if (!fields->codings)
		return 0;
	if (fields->length)
		return reason_refuse(reason, 400, "Content-Length and Transfer-Encoding contradict each other");
	if (strcmp(version, "HTTP/1.0") == 0)
		return reason_refuse(reason, 400, "HTTP/1.0 has no Transfer-Encoding");
	/* RFC 9112 §6.1: 501 for a coding that is not understood; also where chunked stands last behind it. */
	if (fields->codings > 1 || strcasecmp(fields->coding, "chunked"))
		return reason_refuse(reason, 501, "the only Transfer-Encoding that is understood is chunked");
	return 0;
}

bool head_check_host(const struct head_fields *fields, bool needed, struct reason *reason)
{
	if (fields->hosts > 1 || (!fields->hosts && needed))
		return reason_refuse(reason, false, "the request must have exactly one Host header");
	if (fields->hosts && !http_text_is_host(fields->host))
		return reason_refuse(reason, false, "the Host header is no host name and no address");
	return true;
}
