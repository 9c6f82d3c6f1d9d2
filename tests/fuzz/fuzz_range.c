// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: Range and the conditions beside it. The first line is the file's size, then a line for each header (Range,
 * If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since; empty: not sent). What is chosen lies in
 * the file, and only what the headers ask for is chosen.
 */
#include "base/parse.h"
#include "http/range.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct range_ask *ask, const struct range_file *file)
{
	uint64_t first = 1, len = 1;
	enum range_answer answer = range_choose(ask, file, true, &first, &len);

	if (answer == RANGE_PART && (!len || first >= file->bytes || len > file->bytes - first))
		abort();
	if (answer != RANGE_PART && (first != 1 || len != 1))
		abort();
	if ((answer == RANGE_PART || answer == RANGE_OUTSIDE) &&
	    (!ask->range || strncasecmp(ask->range, "bytes=", 6) != 0))
		abort();
	if (answer == RANGE_PART && ask->if_range && ask->if_range[0] == '"' && strcmp(ask->if_range, file->etag) != 0)
		abort();
	if (answer == RANGE_CHANGED && !ask->if_match && !ask->if_unmodified_since)
		abort();
	answer = range_choose(ask, file, false, &first, &len);
	if (answer == RANGE_PART || answer == RANGE_OUTSIDE)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct range_file file = { .modified_s = 784111777, .etag = "\"1-a.0\"" };
	char *text = malloc(size + 1), *rest = text, *line;
	struct range_ask ask = { 0 };
	char **const headers[] = { &ask.range,	       &ask.if_range,	       &ask.if_match,
				   &ask.if_none_match, &ask.if_modified_since, &ask.if_unmodified_since };

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	line = strsep(&rest, "\n");
	if (!parse_u64(line, 0, UINT64_MAX, &file.bytes))
		file.bytes = 1000;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]) && rest; i++) {
		line = strsep(&rest, "\n");
		*headers[i] = *line ? line : NULL;
	}
	check(&ask, &file);
	file.modified_s = RANGE_DATE_UNKNOWN;
	check(&ask, &file);
	free(text);
	return 0;
}
