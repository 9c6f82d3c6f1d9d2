/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client is given of a file: all of it, the part that it asks for (RFC 9110 §14), or nothing because of what it
 * has already (§13). Pure; any thread. Private to the folder.
 *
 * Of several ranges in one request the whole file is sent, which RFC 9110 §14.2 allows and whoever asks so must take:
 * no firmware and no loader asks for several, and one part out of them would be our guess.
 */
#ifndef HTTP_RANGE_H
#define HTTP_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RANGE_ETAG_TEXT = 64, RANGE_DATE_TEXT = 32, RANGE_DATE_UNKNOWN = -1 };

/* A file as it is now. */
struct range_file {
	uint64_t bytes;
	/*
	 * Since 1970; RANGE_DATE_UNKNOWN where seconds cannot tell whether it changed (RFC 9110 §8.8.2.2): it was
	 * modified just now, or in the future.
	 */
	int64_t modified_s;
	char etag[RANGE_ETAG_TEXT]; /* strong (RFC 9110 §8.8.1) */
};

/* Headers of a request, as they were sent; NULL where missing. */
struct range_ask {
	char *range, *if_range, *if_match, *if_none_match, *if_modified_since, *if_unmodified_since;
};

enum range_answer {
	RANGE_WHOLE = 200,
	RANGE_PART = 206,
	RANGE_NOT_MODIFIED = 304,
	RANGE_CHANGED = 412, /* the file is not the one that the client has a part of */
	RANGE_OUTSIDE = 416, /* nothing of the range is in the file */
};

/*
 * get: false for HEAD, to which ranges do not apply (RFC 9110 §14.2). RANGE_PART: *len bytes, at least one, from *first
 * on.
 */
enum range_answer range_choose(const struct range_ask *ask, const struct range_file *file, bool get, uint64_t *first,
			       uint64_t *len);

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7). Returns out. */
const char *range_format_date(int64_t seconds, char out[RANGE_DATE_TEXT]);

#endif
