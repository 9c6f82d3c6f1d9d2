// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: the head of a request. The first line is the target, the others are "NAME:VALUE". A target that is taken has
 * a path without empty parts that means the same when it is written out again, and a host that is one; fields that are
 * taken leave no doubt about where the body ends.
 */
#include "http/head.h"
#include "http/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every byte but '/' as an escape. */
static void check_again(const char *path)
{
	char *text = malloc(3 * strlen(path) + 1), *to = text, *again, *host;
	struct reason reason = { "" };

	for (const char *at = path; *at; at++) {
		if (*at == '/')
			*to++ = '/';
		else
			to += sprintf(to, "%%%02x", (unsigned char)*at);
	}
	*to = '\0';
	if (head_cut_target(text, &again, &host, &reason) || host || strcmp(again, path) != 0)
		abort();
	free(text);
}

static void check_target(char *target)
{
	char *path = NULL, *host = NULL;
	struct reason reason = { "" };
	unsigned status = head_cut_target(target, &path, &host, &reason);

	if (status) {
		if (status != 400 || !reason.text[0] || path || host)
			abort();
		return;
	}
	if (host && !http_text_is_host(host))
		abort();
	if (!strcmp(path, "*"))
		return;
	if (path[0] != '/' || strstr(path, "//"))
		abort();
	check_again(path);
}

static void check_fields(char *rest)
{
	struct head_fields fields = { 0 };
	struct reason reason = { "" };
	unsigned status;

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		char *value = strchr(line, ':');

		if (value)
			*value++ = '\0';
		head_take_field(&fields, line, value);
	}
	status = head_check_framing(&fields, "HTTP/1.1", &reason);
	if (status ? !reason.text[0] : fields.codings && (fields.length || strcasecmp(fields.coding, "chunked") != 0))
		abort();
	if (fields.codings && !head_check_framing(&fields, "HTTP/1.0", &reason))
		abort();
	if (head_check_host(&fields, true, &reason) && (fields.hosts != 1 || !http_text_is_host(fields.host)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest = text, *target;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	target = strsep(&rest, "\n");
	if (rest)
		check_fields(rest);
	check_target(target);
	free(text);
	return 0;
}
