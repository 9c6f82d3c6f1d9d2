// SPDX-License-Identifier: GPL-2.0-or-later
/* Parts of files: see range.h. */
#include "http/range.h"

#include "base/parse.h"
#include "base/util.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* ---- dates ---- */

const char *range_format_date(int64_t seconds, char out[RANGE_DATE_TEXT])
{
	time_t time = (time_t)seconds;
	struct tm tm;

	out[0] = '\0';
	/* Nobody sets a locale: the names are English. */
	if (gmtime_r(&time, &tm) && !strftime(out, RANGE_DATE_TEXT, "%a, %d %b %Y %H:%M:%S GMT", &tm))
		out[0] = '\0';
	return out;
}

/* Any of the three forms of RFC 9110 §5.6.7. False: none of them. */
static bool parse_date(const char *text, int64_t *seconds)
{
	static const char *const forms[] = {
		"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", /* RFC 850's */
		"%a %b %d %H:%M:%S %Y",					  /* asctime(3)'s */
	};

	for (size_t i = 0; i < array_len(forms); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(text, forms[i], &tm);

		if (end && !*end) {
			*seconds = timegm(&tm);
			return true;
		}
	}
	return false;
}

/* ---- entity tags ---- */

/* Is the tag one of a list, or the list "*"? weak: W/"x" counts as "x" (RFC 9110 §8.8.3.2). */
static bool tag_is_listed(const char *list, const char *etag, bool weak)
{
	if (!strcmp(list, "*"))
		return true;
	while (true) {
		bool is_weak;
		const char *end;
		size_t len;

		list += strspn(list, " \t,");
		is_weak = !strncmp(list, "W/", 2);
		list += is_weak ? 2 : 0;
		end = *list == '"' ? strchr(list + 1, '"') : NULL;
		if (!end)
			return false;
		len = (size_t)(end + 1 - list);
		if ((weak || !is_weak) && len == strlen(etag) && !memcmp(list, etag, len))
			return true;
		list = end + 1;
	}
}

/* ---- conditions, in the order of RFC 9110 §13.2.2 ---- */

/* Was it modified after the date? A text that is no date is no condition. */
static bool modified_since(const struct range_file *file, const char *date, bool otherwise)
{
	int64_t seconds;

	if (!parse_date(date, &seconds))
		return otherwise;
	return file->modified_s == RANGE_DATE_UNKNOWN || file->modified_s > seconds;
}

static bool has_changed(const struct range_ask *ask, const struct range_file *file)
{
	if (ask->if_match)
		return !tag_is_listed(ask->if_match, file->etag, false);
	return ask->if_unmodified_since && modified_since(file, ask->if_unmodified_since, false);
}

static bool is_known(const struct range_ask *ask, const struct range_file *file)
{
	if (ask->if_none_match)
		return tag_is_listed(ask->if_none_match, file->etag, true);
	return ask->if_modified_since && !modified_since(file, ask->if_modified_since, true);
}

/* §13.1.5: the very tag, or the very date, which the client has from us. */
static bool range_still_fits(const struct range_ask *ask, const struct range_file *file)
{
	char date[RANGE_DATE_TEXT];

	if (!ask->if_range)
		return true;
	if (ask->if_range[0] == '"')
		return !strcmp(ask->if_range, file->etag);
	return file->modified_s != RANGE_DATE_UNKNOWN &&
	       !strcmp(ask->if_range, range_format_date(file->modified_s, date));
}

/* ---- the range ---- */

/* Takes digits; what no 64 bits hold is as large as can be. False: there are none. */
static bool take_digits(const char **text, uint64_t *value)
{
	size_t len;
	char digits[32];

	while ((*text)[0] == '0' && (*text)[1] == '0')
		++*text;
	len = strspn(*text, "0123456789");
	if (!len)
		return false;
	snprintf(digits, sizeof(digits), "%.*s", len < sizeof(digits) ? (int)len : 0, *text);
	if (!parse_u64(digits, 0, UINT64_MAX, value))
		*value = UINT64_MAX;
	*text += len;
	return true;
}

/* One range-spec (RFC 9110 §14.1.1). False: it is none. *suffix: *last counts from the end. */
static bool take_range(const char **text, uint64_t *first, uint64_t *last, bool *suffix)
{
	*suffix = !take_digits(text, first);
	if (**text != '-')
		return false;
	++*text;
	if (take_digits(text, last))
		return *suffix || *last >= *first;
	*last = UINT64_MAX;
	return !*suffix;
}

/* The one range of the header. False: another unit, malformed, or several; it is ignored then (§14.2). */
static bool parse_range(const char *text, uint64_t *first, uint64_t *last, bool *suffix)
{
	bool found = false;

	if (strncasecmp(text, "bytes=", 6))
		return false;
	text += 6;
	while (true) {
		/* A list may have empty elements (§5.6.1.2). */
		text += strspn(text, " \t,");
		if (!*text)
			return found;
		if (found || !take_range(&text, first, last, suffix))
			return false;
		found = true;
		text += strspn(text, " \t");
		if (*text && *text != ',')
			return false;
	}
}

static enum range_answer choose_part(const char *range, uint64_t bytes, uint64_t *first, uint64_t *len)
{
	uint64_t from, last;
	bool suffix;

	if (!parse_range(range, &from, &last, &suffix))
		return RANGE_WHOLE;
	if (suffix && last && !bytes)
		return RANGE_WHOLE; /* satisfiable, but Content-Range has no way to say "nothing" */
	if (suffix) {
		from = last < bytes ? bytes - last : 0;
		last = last ? UINT64_MAX : 0;
		if (!last)
			return RANGE_OUTSIDE;
	}
	if (from >= bytes)
		return RANGE_OUTSIDE;
	*first = from;
	*len = (last < bytes ? last : bytes - 1) - from + 1;
	return RANGE_PART;
}

enum range_answer range_choose(const struct range_ask *ask, const struct range_file *file, bool get, uint64_t *first,
			       uint64_t *len)
{
	if (has_changed(ask, file))
		return RANGE_CHANGED;
	if (is_known(ask, file))
		return RANGE_NOT_MODIFIED;
	if (!get || !ask->range || !range_still_fits(ask, file))
		return RANGE_WHOLE;
	return choose_part(ask->range, file->bytes, first, len);
}
