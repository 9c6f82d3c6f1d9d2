// SPDX-License-Identifier: GPL-2.0-or-later
/* The policy's rules for what goes by itself, as text; and when they last changed: see keep.h. */
#include "inventory/keep.h"

#include "inventory/db.h"
#include "inventory/trash.h"

#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LOW_SPACE_PERCENT_MAX = 90 };

static const char changed_setting[] = "retention-changed";

bool keep_time_parse(const char *text, unsigned *seconds)
{
	if (strcmp(text, "forever"))
		return strcmp(text, "none") && trash_time_parse(text, seconds);
	*seconds = 0;
	return true;
}

bool keep_ephemeral_parse(const char *text, struct policy *policy)
{
	uint64_t count = 0;
	unsigned seconds = 0;

	if (strcmp(text, "none") && !parse_u64(text, 1, KEEP_EPHEMERAL_MAX, &count)) {
		if (!trash_time_parse(text, &seconds))
			return false;
		count = KEEP_EPHEMERAL_MAX;
	}
	policy->keep_ephemeral = (unsigned)count;
	policy->keep_ephemeral_s = seconds;
	return true;
}

bool keep_low_space_parse(const char *text, struct policy *policy)
{
	uint64_t bytes = 0;
	unsigned percent = 0;

	if (strcmp(text, "none")) {
		if (parse_percent(text, &percent)) {
			if (!percent || percent > LOW_SPACE_PERCENT_MAX)
				return false;
		} else if (!parse_size(text, &bytes) || !bytes) {
			return false;
		}
	}
	policy->low_space_bytes = bytes;
	policy->low_space_percent = percent;
	return true;
}

bool keep_is_rule(const char *key)
{
	return !strcmp(key, "trash") || !strncmp(key, "keep-", 5) || !strcmp(key, "low-space");
}

int keep_rules_changed(struct inventory_tx *tx)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, tx->now_ms);
	return setting_set(tx, changed_setting, text);
}

int keep_rules_changed_at(struct inventory_tx *tx, int64_t *at_ms)
{
	char text[24];
	uint64_t number = 0;
	int err = setting_get(tx, changed_setting, text, sizeof(text));

	if (err && err != -ENOENT)
		return err;
	if (!err && !parse_u64(text, 0, INT64_MAX, &number))
		return -EUCLEAN;
	*at_ms = (int64_t)number;
	return 0;
}
