// SPDX-License-Identifier: GPL-2.0-or-later
/* Text of peers: see text.h. */
#include "http/text.h"

#include "base/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Bytes of the well-formed character at text (RFC 3629 §4); 0 where there is none. */
static size_t character_bytes(const unsigned char *text)
{
	static const struct {
		unsigned char first, last, second_min, second_max, bytes;
	} forms[] = {
		{ 0x01, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (text[0] < forms[i].first || text[0] > forms[i].last)
			continue;
		if (forms[i].bytes > 1 && (text[1] < forms[i].second_min || text[1] > forms[i].second_max))
			return 0;
		/* A NUL is no continuation byte, so this never reads beyond the end. */
		for (size_t b = 2; b < forms[i].bytes; b++)
			if ((text[b] & 0xc0) != 0x80)
				return 0;
		return forms[i].bytes;
	}
	return 0;
}

static void clean(char *text, bool keep_lines)
{
	while (*text) {
		unsigned char c = (unsigned char)*text;
		size_t bytes = character_bytes((unsigned char *)text);
		bool control = c < 0x20 || c == 0x7f;

		if (control && keep_lines && (c == '\n' || c == '\t'))
			control = false;
		if (!bytes || control) {
			*text++ = '?';
			continue;
		}
		text += bytes;
	}
}

char *http_text_clean(char *text)
{
	clean(text, false);
	return text;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789ABCDEFabcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return !at ? -1 : at - digits < 16 ? (int)(at - digits) : (int)(at - digits) - 6;
}

/* False: there is nothing to join. */
static bool join_ipxe_bytes(char *text)
{
	bool joined = false;
	char *to = text;

	for (const char *at = text; *at; to++) {
		int high = -1, low = -1;

		if (!strncasecmp(at,
				 "\xff"
				 "FFFF",
				 5)) {
			high = hex_digit(at[5]);
			low = high < 8 ? -1 : hex_digit(at[6]);
		}
		*to = low < 0 ? *at : (char)(high << 4 | low);
		joined = joined || low >= 0;
		at += low < 0 ? 1 : 7;
	}
	*to = '\0';
	return joined;
}

void http_text_join_ipxe_bytes(char *text)
{
	for (int times = 0; times < 2 && join_ipxe_bytes(text); times++)
		;
}

void http_text_copy(char *out, size_t out_size, const char *text)
{
	size_t len = strlen(text);

	if (len >= out_size) {
		len = out_size - 1;
		while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(out, text, len);
	out[len] = '\0';
}

json_t *http_text_json(const char *text)
{
	char *copy = strdup(text);
	json_t *value = NULL;

	if (copy) {
		clean(copy, true);
		value = json_string(copy);
	}
	free(copy);
	return value;
}

bool http_text_is_host(const char *host)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t len;
	uint64_t port;

	if (strlen(host) > 255)
		return false;
	if (host[0] == '[') {
		len = strspn(host + 1, "0123456789abcdefABCDEF:.") + 1;
		if (len < 3 || host[len] != ']')
			return false;
		len++;
	} else {
		len = strspn(host, name);
	}
	if (!len)
		return false;
	return !host[len] || (host[len] == ':' && parse_u64(host + len + 1, 0, 65535, &port));
}

bool http_text_same_origin(const char *origin, const char *host)
{
	size_t scheme = !strncmp(origin, "https://", 8) ? 8 : !strncmp(origin, "http://", 7) ? 7 : 0;

	return scheme && !strcasecmp(origin + scheme, host);
}

bool http_text_cookie(const char *header, const char *name, char *out, size_t out_size)
{
	size_t name_len = strlen(name);

	while (*header) {
		size_t len;

		header += strspn(header, " ;");
		len = strcspn(header, ";");
		if (len > name_len && header[name_len] == '=' && !strncmp(header, name, name_len)) {
			const char *value = header + name_len + 1;
			size_t value_len = len - name_len - 1;

			if (!value_len || value_len >= out_size)
				return false;
			memcpy(out, value, value_len);
			out[value_len] = '\0';
			return true;
		}
		header += len;
	}
	return false;
}

bool http_text_path_climbs(const char *path)
{
	while (true) {
		size_t len = strcspn(path, "/");

		if (len == 2 && !memcmp(path, "..", 2))
			return true;
		if (!path[len])
			return false;
		path += len + 1;
	}
}
