// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policy: a table of keys, each with its default, what it accepts, and where it goes. Only what a person has set is
 * stored, as text.
 */
#include "inventory/db.h"
#include "inventory/trash.h"

#include "base/log.h"
#include "base/parse.h"
#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	VALUE_MAX_TEXT = 128,
	MACHINES_MAX = 100000,
	WAITING_MAX = 10000,
	RESERVE_PERCENT_MAX = 90,
	QUOTA_MIN = 1 << 20,
	MENU_TIMEOUT_MAX = 3600,
};

static bool set_enrol(struct policy *p, const char *value)
{
	for (int kind = ENROL_AUTO; kind <= ENROL_DENY; kind++) {
		if (!strcmp(value, policy_enrol_name((enum enrol_kind)kind))) {
			p->enrol = (enum enrol_kind)kind;
			return true;
		}
	}
	return false;
}

static bool set_name_pattern(struct policy *p, const char *value)
{
	if (!machine_name_pattern_valid(value))
		return false;
	snprintf(p->name_pattern, sizeof(p->name_pattern), "%s", value);
	return true;
}

static bool set_auth(struct policy *p, const char *value)
{
	enum auth_kind auth;

	if (!policy_auth_parse(value, &auth) || auth == AUTH_POLICY)
		return false;
	p->auth = auth;
	return true;
}

static bool set_mode(struct policy *p, const char *value)
{
	return machine_mode_parse(value, &p->mode);
}

static bool set_number(unsigned *number, const char *value, uint64_t min, uint64_t max)
{
	uint64_t parsed;

	if (!parse_u64(value, min, max, &parsed))
		return false;
	*number = (unsigned)parsed;
	return true;
}

static bool set_max_machines(struct policy *p, const char *value)
{
	return set_number(&p->max_machines, value, 1, MACHINES_MAX);
}

static bool set_max_waiting(struct policy *p, const char *value)
{
	return set_number(&p->max_waiting, value, 1, WAITING_MAX);
}

static bool set_max_booting(struct policy *p, const char *value)
{
	return set_number(&p->max_booting, value, 0, MACHINES_MAX);
}

static bool set_reserve(struct policy *p, const char *value)
{
	uint64_t bytes = 0;
	unsigned percent = 0;

	if (parse_percent(value, &percent)) {
		if (percent > RESERVE_PERCENT_MAX)
			return false;
	} else if (!parse_size(value, &bytes)) {
		return false;
	}
	p->reserve_bytes = bytes;
	p->reserve_percent = percent;
	return true;
}

/* Less than that leaves no room for the maps. */
bool quota_parse(const char *text, uint64_t *bytes)
{
	uint64_t parsed = 0;

	if (strcmp(text, "none") && (!parse_size(text, &parsed) || parsed < QUOTA_MIN))
		return false;
	*bytes = parsed;
	return true;
}

uint64_t quota_of(const struct volume *volume, const struct policy *policy)
{
	uint64_t bytes = policy->quota_bytes;

	if (volume->quota[0] && !quota_parse(volume->quota, &bytes))
		log_warning("inventory: volume #%lld: quota=%s is not valid: the policy's holds", (long long)volume->id,
			    volume->quota);
	return bytes;
}

static bool set_quota(struct policy *p, const char *value)
{
	return quota_parse(value, &p->quota_bytes);
}

static bool set_menu_timeout(struct policy *p, const char *value)
{
	uint64_t parsed;

	if (!parse_u64(value, 0, MENU_TIMEOUT_MAX, &parsed))
		return false;
	p->menu_timeout = (unsigned)parsed;
	return true;
}

static bool set_menu_default(struct policy *p, const char *value)
{
	if (!image_name_valid(value))
		return false;
	snprintf(p->menu_default, sizeof(p->menu_default), "%s", value);
	return true;
}

bool restore_points_parse(const char *text, unsigned *count)
{
	return set_number(count, text, 0, RESTORE_POINTS_MAX);
}

unsigned restore_points_of(const struct machine *machine, const struct policy *policy)
{
	unsigned count = policy->restore_points;

	if (machine->mode == MODE_EPHEMERAL)
		return 0;
	if (machine->restore_points[0] && !restore_points_parse(machine->restore_points, &count))
		log_warning("inventory: machine %s: restore-points=%s is not valid: the policy's holds", machine->name,
			    machine->restore_points);
	return count;
}

static bool set_restore_points(struct policy *p, const char *value)
{
	return restore_points_parse(value, &p->restore_points);
}

static bool set_trash(struct policy *p, const char *value)
{
	return trash_time_parse(value, &p->trash_s);
}

static const struct policy_key {
	const char *name, *initial, *expected;
	bool (*set)(struct policy *policy, const char *value);
} keys[] = {
	{ "enrol", "auto", "auto, approve or deny", set_enrol },
	{ "name-pattern", "pc-{n:03}", "a host name with one {n} or {n:03} in it", set_name_pattern },
	{ "auth", "chap", "none, chap or mutual", set_auth },
	{ "mode", "persistent", "persistent or ephemeral", set_mode },
	{ "max-machines", "256", "a number from 1 to 100000", set_max_machines },
	{ "max-waiting", "64", "a number from 1 to 10000", set_max_waiting },
	{ "max-booting", "512", "a number up to 100000; 0: no limit", set_max_booting },
	{ "menu-timeout", "10", "seconds until a menu takes its default, 0 to 3600; 0: never", set_menu_timeout },
	{ "menu-default", "disk", "disk, local or the name of an entry", set_menu_default },
	{ "reserve", "5%", "a size such as 20G, or 0% to 90% of the file system", set_reserve },
	{ "quota", "none",
	  "the most that one machine's disk may take on the server, such as 20G (1M at least), or none", set_quota },
	{ "trash", "7d", "how long a removed machine's disk is kept, such as 7d or 12h, or none", set_trash },
	{ "restore-points", "0", "how many states before a boot each machine keeps, 0 to 5; 0: none",
	  set_restore_points },
};

static const struct policy_key *key_find(const char *name)
{
	for (size_t i = 0; i < array_len(keys); i++) {
		if (!strcmp(keys[i].name, name))
			return &keys[i];
	}
	return NULL;
}

int policy_get(struct inventory_tx *tx, struct policy *policy)
{
	struct policy p = { 0 };
	struct query q;
	int err;

	for (size_t i = 0; i < array_len(keys); i++)
		keys[i].set(&p, keys[i].initial);
	query_begin(&q, tx, "SELECT name, value FROM policy");
	while (query_row(&q)) {
		char name[NAME_MAX_TEXT], value[VALUE_MAX_TEXT];
		const struct policy_key *key;

		query_text(&q, name, sizeof(name));
		query_text(&q, value, sizeof(value));
		key = key_find(name);
		if (!key || !key->set(&p, value))
			log_warning("inventory: policy %s=%s is not valid: its default holds", name, value);
	}
	err = query_end(&q);
	if (!err)
		*policy = p;
	return err;
}

int policy_set(struct inventory_tx *tx, const char *key_name, const char *value, struct reason *reason)
{
	const struct policy_key *key = key_find(key_name);
	struct policy scratch = { 0 };
	struct query q;
	int err;

	if (!key) {
		char shown[64];

		parse_clean_text(key_name, shown, sizeof(shown));
		reason_set(reason, "there is no policy %s; there are", shown);
		for (size_t i = 0; i < array_len(keys); i++)
			reason_append(reason, "%s %s", i ? "," : "", keys[i].name);
		return -ENOENT;
	}
	if (strlen(value) >= VALUE_MAX_TEXT || !key->set(&scratch, value))
		return reason_refuse(reason, -EINVAL, "%s must be %s", key->name, key->expected);
	query_begin(&q, tx,
		    "INSERT INTO policy (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = "
		    "excluded.value");
	query_bind_text(&q, key->name, NAME_MAX_TEXT);
	query_bind_text(&q, value, VALUE_MAX_TEXT);
	err = query_run(&q);
	return err ? reason_refuse(reason, err, "%s could not be stored: %s", key->name, strerror(-err)) : 0;
}

static int policy_read(struct inventory_tx *tx, const struct policy_key *key, char value[VALUE_MAX_TEXT])
{
	struct query q;
	int err;

	snprintf(value, VALUE_MAX_TEXT, "%s", key->initial);
	query_begin(&q, tx, "SELECT value FROM policy WHERE name = ?");
	query_bind_text(&q, key->name, NAME_MAX_TEXT);
	if (query_row(&q))
		query_text(&q, value, VALUE_MAX_TEXT);
	err = query_end(&q);
	return err;
}

int policy_each(struct inventory_tx *tx, int (*each)(void *arg, const char *key, const char *value), void *arg)
{
	char text[VALUE_MAX_TEXT];

	for (size_t i = 0; i < array_len(keys); i++) {
		int err = policy_read(tx, &keys[i], text);

		if (!err)
			err = each(arg, keys[i].name, text);
		if (err)
			return err;
	}
	return 0;
}
