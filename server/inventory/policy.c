// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policy: a table of keys, each with its default, what it accepts, and where it goes. Only what a person has set is
 * stored, as text.
 */
#include "inventory/db.h"
#include "inventory/keep.h"
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
	ROLLOUT_BOOTS_MAX = 1000,
	KEEP_VERSIONS_MAX = 1000,
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
	(void)p;
	return machine_name_pattern_valid(value);
}

static bool set_group(struct policy *p, const char *value)
{
	(void)p;
	return !strcmp(value, "none") || group_name_valid(value);
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
	enum machine_mode mode;

	(void)p;
	return machine_mode_parse(value, &mode) && (mode == MODE_PERSISTENT || mode == MODE_EPHEMERAL);
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

static bool set_quota(struct policy *p, const char *value)
{
	uint64_t bytes;

	(void)p;
	return quota_parse(value, &bytes);
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

static bool set_restore_points(struct policy *p, const char *value)
{
	unsigned count;

	(void)p;
	return restore_points_parse(value, &count);
}

static bool set_trash(struct policy *p, const char *value)
{
	return trash_time_parse(value, &p->trash_s);
}

static bool set_rollout_min_boots(struct policy *p, const char *value)
{
	return set_number(&p->rollout_min_boots, value, 1, ROLLOUT_BOOTS_MAX);
}

static bool set_rollout_drop(struct policy *p, const char *value)
{
	return set_number(&p->rollout_drop, value, 0, 100);
}

static bool set_rollout_wait(struct policy *p, const char *value)
{
	size_t len = strlen(value);
	char digits[8];
	uint64_t minutes;

	if (!len || value[len - 1] != 'm')
		return trash_time_parse(value, &p->rollout_wait_s);
	if (len > sizeof(digits))
		return false;
	snprintf(digits, sizeof(digits), "%.*s", (int)len - 1, value);
	if (!parse_u64(digits, 1, 60 * 24 * 365, &minutes))
		return false;
	p->rollout_wait_s = (unsigned)minutes * 60;
	return true;
}

static bool set_rollout_brake(struct policy *p, const char *value)
{
	p->rollout_back = !strcmp(value, "back");
	return p->rollout_back || !strcmp(value, "stop");
}

static bool set_keep_snapshots(struct policy *p, const char *value)
{
	return keep_time_parse(value, &p->keep_snapshots_s);
}

static bool set_keep_points(struct policy *p, const char *value)
{
	return keep_time_parse(value, &p->keep_points_s);
}

static bool set_keep_idle(struct policy *p, const char *value)
{
	return keep_time_parse(value, &p->keep_idle_s);
}

static bool set_keep_versions(struct policy *p, const char *value)
{
	p->keep_versions = 0;
	return !strcmp(value, "forever") || set_number(&p->keep_versions, value, 1, KEEP_VERSIONS_MAX);
}

static bool set_keep_ephemeral(struct policy *p, const char *value)
{
	return keep_ephemeral_parse(value, p);
}

static bool set_low_space(struct policy *p, const char *value)
{
	return keep_low_space_parse(value, p);
}

static const struct policy_key {
	const char *name, *initial, *expected;
	bool (*set)(struct policy *policy, const char *value); /* false: it is not valid */
} keys[] = {
	{ "enrol", "auto", "auto, approve or deny", set_enrol },
	{ "name-pattern", "pc-{n:03}", "a host name with one {n} or {n:03} in it", set_name_pattern },
	{ "group", "none", "the group of new machines, or none", set_group },
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
	{ "rollout-brake", "stop",
	  "stop (a rollout whose boots fail or are slow goes no further) or back (and its machines go back to the old version)",
	  set_rollout_brake },
	{ "rollout-min-boots", "4", "how many boots of a new version the brake wants to see, 1 to 1000",
	  set_rollout_min_boots },
	{ "rollout-drop", "25", "how far the share of boots that get to a steady system may fall, in percent, 0 to 100",
	  set_rollout_drop },
	{ "rollout-wait", "1h", "how long a step of a rollout has to prove itself, such as 30m, 12h or 2d, or none",
	  set_rollout_wait },
	{ "keep-restore-points", "forever",
	  "how long snapshots stay that the server took before a boot or a restore, such as 30d or 12h, or forever",
	  set_keep_points },
	{ "keep-snapshots", "forever", "how long snapshots stay that people took, such as 90d, or forever",
	  set_keep_snapshots },
	{ "keep-ephemeral", "none",
	  "how many last disks of each ephemeral machine stay (1 to 16), or for how long (12h, 2d), or none",
	  set_keep_ephemeral },
	{ "keep-versions", "forever",
	  "how many versions of an image stay that new machines do not get any more, 1 to 1000, or forever",
	  set_keep_versions },
	{ "keep-idle", "forever",
	  "after how long a machine that nobody has seen goes to the trash, such as 180d, or forever", set_keep_idle },
	{ "low-space", "none",
	  "below how much free space the trash, ephemeral disks and restore points go early: 1% to 90%, a size, or none",
	  set_low_space },
};

static const struct policy_key *key_find(const char *name)
{
	for (size_t i = 0; i < array_len(keys); i++) {
		if (!strcmp(keys[i].name, name))
			return &keys[i];
	}
	return NULL;
}

/* Those that are kept as they were said, too. The number of a row is that of its bit in policy.given. */
#define KEPT(key, member)                                                                  \
	{                                                                                  \
		key, offsetof(struct policy, member), sizeof(((struct policy *)0)->member) \
	}

static const struct kept {
	const char *key;
	size_t offset, size;
} kept[] = {
	KEPT("name-pattern", name_pattern),	KEPT("mode", mode),   KEPT("quota", quota),
	KEPT("restore-points", restore_points), KEPT("group", group),
};

static const struct kept *kept_find(const char *key)
{
	for (size_t i = 0; i < array_len(kept); i++) {
		if (!strcmp(kept[i].key, key))
			return &kept[i];
	}
	return NULL;
}

static bool key_take(const struct policy_key *key, struct policy *p, const char *value, bool given)
{
	const struct kept *text = kept_find(key->name);

	if (!key->set(p, value) || (text && strlen(value) >= text->size))
		return false;
	if (text)
		snprintf((char *)p + text->offset, text->size, "%s", value);
	if (text && given)
		p->given |= 1U << (text - kept);
	return true;
}

int policy_get(struct inventory_tx *tx, struct policy *policy)
{
	struct policy p = { 0 };
	struct query q;
	int err;

	for (size_t i = 0; i < array_len(keys); i++)
		key_take(&keys[i], &p, keys[i].initial, false);
	query_begin(&q, tx, "SELECT name, value FROM policy");
	while (query_row(&q)) {
		char name[NAME_MAX_TEXT], value[VALUE_MAX_TEXT];
		const struct policy_key *key;

		query_text(&q, name, sizeof(name));
		query_text(&q, value, sizeof(value));
		key = key_find(name);
		if (!key || !key_take(key, &p, value, true))
			log_warning("inventory: policy %s=%s is not valid: its default holds", name, value);
	}
	err = query_end(&q);
	if (!err)
		*policy = p;
	return err;
}

const char *policy_text(const struct policy *policy, const char *name, bool *given)
{
	const struct kept *text = kept_find(name);

	if (!text)
		return NULL;
	*given = policy->given & (1U << (text - kept));
	return (const char *)policy + text->offset;
}

bool policy_value_valid(const char *name, const char *value, const char **expected)
{
	const struct policy_key *key = key_find(name);
	struct policy scratch = { .given = 0 };

	*expected = key->expected;
	return key_take(key, &scratch, value, true);
}

/* Nobody may be sent into a group that there is not. */
static int check_group(struct inventory_tx *tx, const char *value, struct reason *reason)
{
	struct machine_group group;
	int err = strcmp(value, "none") ? group_by_name(tx, value, &group) : 0;

	return err == -ENOENT ?
		       reason_refuse(reason, -EINVAL, "there is no group %s; make it with: sanbootctl group add %s",
				     value, value) :
		       err;
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

/* Whoever deletes by these rules waits a while after that. */
static int policy_note_change(struct inventory_tx *tx, const struct policy_key *key, const char *value)
{
	char before[VALUE_MAX_TEXT];
	int err;

	if (!keep_is_rule(key->name))
		return 0;
	err = policy_read(tx, key, before);
	return err || !strcmp(before, value) ? err : keep_rules_changed(tx);
}

int policy_set(struct inventory_tx *tx, const char *key_name, const char *value, struct reason *reason)
{
	const struct policy_key *key = key_find(key_name);
	const char *expected;
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
	if (strlen(value) >= VALUE_MAX_TEXT || !policy_value_valid(key->name, value, &expected))
		return reason_refuse(reason, -EINVAL, "%s must be %s", key->name, key->expected);
	err = key->set == set_group ? check_group(tx, value, reason) : 0;
	if (err)
		return err;
	err = policy_note_change(tx, key, value);
	if (err)
		return reason_refuse(reason, err, "%s could not be stored: %s", key->name, strerror(-err));
	query_begin(&q, tx,
		    "INSERT INTO policy (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = "
		    "excluded.value");
	query_bind_text(&q, key->name, NAME_MAX_TEXT);
	query_bind_text(&q, value, VALUE_MAX_TEXT);
	err = query_run(&q);
	return err ? reason_refuse(reason, err, "%s could not be stored: %s", key->name, strerror(-err)) : 0;
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
