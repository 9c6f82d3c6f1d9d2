// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of machines, images and volumes: what is one, and which host name is free. A host name is one DNS label
 * (RFC 1123 §2.1) that cannot be taken for a MAC.
 */
#include "inventory/db.h"

#include "base/parse.h"
#include "base/util.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	LABEL_MAX = 63, /* RFC 1035 §2.3.4 */
	NUMBER_DIGITS_MAX = 9,
	NUMBERS_MAX = 1000000, /* far beyond max-machines: ends the search */
};

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool machine_name_valid(const char *name)
{
	char mac[PARSE_MAC_TEXT];
	size_t len = strnlen(name, LABEL_MAX + 1);

	if (!len || len > LABEL_MAX || name[0] == '-' || name[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_alnum(name[i]) && name[i] != '-')
			return false;
	}
	return !parse_mac(name, mac);
}

bool image_name_valid(const char *name)
{
	size_t len = strnlen(name, LABEL_MAX + 1);

	if (!len || len > LABEL_MAX || name[0] == '.' || name[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_alnum(name[i]) && !strchr("-_.", name[i]))
			return false;
	}
	return true;
}

bool volume_name_valid(const char *name)
{
	return image_name_valid(name) && !strchr(name, ':');
}

bool version_name_parse(const char *text, char name[NAME_MAX_TEXT], unsigned *number)
{
	const char *at = strchr(text, '@');
	size_t len = at ? (size_t)(at - text) : strlen(text);
	uint64_t got = 0;

	if (len >= NAME_MAX_TEXT || (at && !parse_u64(at + 1, 1, UINT32_MAX, &got)))
		return false;
	memcpy(name, text, len);
	name[len] = '\0';
	*number = (unsigned)got;
	return image_name_valid(name);
}

struct pattern {
	size_t before; /* characters in front of the number */
	const char *after;
	int width; /* of the number, filled with zeroes; 0: as it is */
};

static bool pattern_parse(const char *text, struct pattern *pattern)
{
	const char *open = strstr(text, "{n");
	struct pattern p = { 0 };
	const char *at;

	if (!open)
		return false;
	p.before = (size_t)(open - text);
	at = open + 2;
	if (at[0] == ':' && at[1] == '0' && at[2] >= '1' && at[2] <= '0' + NUMBER_DIGITS_MAX) {
		p.width = at[2] - '0';
		at += 3;
	}
	if (*at != '}' || strpbrk(at + 1, "{}"))
		return false;
	p.after = at + 1;
	*pattern = p;
	return true;
}

static bool pattern_name(const char *text, const struct pattern *p, unsigned number, char name[NAME_MAX_TEXT])
{
	int len = snprintf(name, NAME_MAX_TEXT, "%.*s%0*u%s", (int)p->before, text, p->width, number, p->after);

	return len > 0 && len < NAME_MAX_TEXT && machine_name_valid(name);
}

bool machine_name_pattern_valid(const char *pattern)
{
	char name[NAME_MAX_TEXT];
	struct pattern p;

	/* Where the longest number fits, all do. */
	return strnlen(pattern, NAME_MAX_TEXT) < NAME_MAX_TEXT && pattern_parse(pattern, &p) &&
	       pattern_name(pattern, &p, NUMBERS_MAX - 1, name);
}

static int name_is_taken(struct inventory_tx *tx, const char *name, bool *taken)
{
	struct query q;
	int64_t found;
	int err;

	query_begin(&q, tx, "SELECT EXISTS (SELECT 1 FROM machine WHERE lower(name) = lower(?))");
	query_bind_text(&q, name, NAME_MAX_TEXT);
	err = query_number(&q, &found);
	*taken = found;
	return err;
}

int machine_next_name(struct inventory_tx *tx, const char *pattern, char name[NAME_MAX_TEXT])
{
	struct db *db = tx->db;
	bool known = !strcmp(db->hint_pattern, pattern);
	char candidate[NAME_MAX_TEXT];
	struct pattern p;

	assert(tx->writable); /* a reader's hint would be of an older state */
	if (!machine_name_pattern_valid(pattern) || !pattern_parse(pattern, &p))
		return -EINVAL;
	for (unsigned number = known ? db->hint_number : 1; number < NUMBERS_MAX; number++) {
		bool taken = false;
		int err;

		if (!pattern_name(pattern, &p, number, candidate))
			continue; /* looks like a MAC */
		err = name_is_taken(tx, candidate, &taken);
		if (err)
			return err;
		if (taken)
			continue;
		memcpy(db->hint_pattern, pattern, strlen(pattern) + 1);
		db->hint_number = number;
		memcpy(name, candidate, sizeof(candidate));
		return 0;
	}
	return -ENOSPC;
}
