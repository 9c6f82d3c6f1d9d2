// SPDX-License-Identifier: GPL-2.0-or-later
/* See when.h. */
#include "ctl/when.h"

#include "base/parse.h"
#include "base/util.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Exactly `digits` of them. */
static bool take_number(const char **text, unsigned digits, int min, int max, int *number)
{
	int value = 0;

	for (unsigned i = 0; i < digits; i++) {
		if (**text < '0' || **text > '9')
			return false;
		value = value * 10 + *(*text)++ - '0';
	}
	*number = value;
	return value >= min && value <= max;
}

static bool take_char(const char **text, const char *of)
{
	return **text && strchr(of, **text) && (*text)++;
}

/* "22:30" or "22:30:15", to the end. */
static bool take_clock(const char *text, struct tm *tm)
{
	tm->tm_sec = 0;
	if (!take_number(&text, 2, 0, 23, &tm->tm_hour) || !take_char(&text, ":") ||
	    !take_number(&text, 2, 0, 59, &tm->tm_min))
		return false;
	if (take_char(&text, ":") && !take_number(&text, 2, 0, 59, &tm->tm_sec))
		return false;
	return !*text;
}

/* mktime makes 2 March of 30 February, and another hour of one that summer time leaves out: not what was meant. */
static bool to_time(struct tm tm, int64_t *at_ms)
{
	struct tm made = tm;
	time_t at;

	made.tm_isdst = -1;
	at = mktime(&made);
	if (at < 0 || made.tm_mday != tm.tm_mday || made.tm_mon != tm.tm_mon || made.tm_hour != tm.tm_hour ||
	    made.tm_min != tm.tm_min)
		return false;
	*at_ms = (int64_t)at * 1000;
	return true;
}

static bool parse_from_now(const char *text, int64_t now_ms, int64_t *at_ms)
{
	static const struct {
		char letter;
		int64_t ms;
	} units[] = { { 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 } };
	size_t digits = strspn(text, "0123456789");
	char number[8];
	uint64_t count;

	if (!digits || digits >= sizeof(number) || !text[digits] || text[digits + 1])
		return false;
	memcpy(number, text, digits);
	number[digits] = '\0';
	for (size_t i = 0; i < array_len(units); i++) {
		if (units[i].letter == text[digits] && parse_u64(number, 1, 1000000, &count)) {
			*at_ms = now_ms + (int64_t)count * units[i].ms;
			return true;
		}
	}
	return false;
}

/* "2027-01-04": moves text behind it. */
static bool take_date(const char **text, struct tm *tm)
{
	int year, month;

	if (!take_number(text, 4, 1971, 9999, &year) || !take_char(text, "-") || !take_number(text, 2, 1, 12, &month) ||
	    !take_char(text, "-") || !take_number(text, 2, 1, 31, &tm->tm_mday))
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	return true;
}

bool when_parse(const char *text, int64_t now_ms, int64_t *at_ms)
{
	time_t now = (time_t)(now_ms / 1000);
	struct tm tm;

	localtime_r(&now, &tm);
	if (text[0] == '+')
		return parse_from_now(text + 1, now_ms, at_ms);
	if (take_clock(text, &tm)) {
		if (to_time(tm, at_ms) && *at_ms > now_ms)
			return true;
		tm.tm_mday++;
		tm.tm_isdst = -1;
		now = mktime(&tm); /* the day after, also where a month ends */
		*at_ms = (int64_t)now * 1000;
		return now > 0;
	}
	if (!take_date(&text, &tm) || !take_char(&text, " T") || !take_clock(text, &tm))
		return false;
	return to_time(tm, at_ms);
}

/* How many days before today a day was; -1: it is none. */
static int days_before(const char *name, const struct tm *today)
{
	static const char *const days[] = {
		"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"
	};

	if (!strcasecmp(name, "today"))
		return 0;
	if (!strcasecmp(name, "yesterday"))
		return 1;
	for (int day = 0; day < (int)array_len(days); day++)
		if (!strcasecmp(name, days[day]))
			return today->tm_wday == day ? 7 : (today->tm_wday - day + 7) % 7;
	return -1;
}

bool when_parse_end(const char *text, int64_t now_ms, int64_t *end_ms)
{
	time_t now = (time_t)(now_ms / 1000);
	struct tm tm;
	int days;

	localtime_r(&now, &tm);
	days = days_before(text, &tm);
	if (days < 0 && (!take_date(&text, &tm) || (*text && (!take_char(&text, " T") || !take_clock(text, &tm)))))
		return false;
	if (days >= 0 || !*text) {
		tm.tm_hour = 23;
		tm.tm_min = 59;
	}
	tm.tm_sec = 59;
	if (days > 0) {
		/* The first of a month less one is a day, too. */
		tm.tm_mday -= days;
		tm.tm_isdst = -1;
		*end_ms = (int64_t)mktime(&tm) * 1000 + 999;
		return true;
	}
	if (!to_time(tm, end_ms))
		return false;
	*end_ms += 999;
	return true;
}
