// SPDX-License-Identifier: GPL-2.0-or-later
/* Who waits, images, policy, settings, tokens, events. */
#include "inventory/fixture.h"

#include "base/util.h"
#include "inventory/db.h"
#include "inventory/keep.h"
#include "inventory/token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { DAY_MS = 86400000 };

/* ---- who waits ---- */

static int put(struct inventory_tx *tx, unsigned n, enum waiting_reason reason, int64_t seen_ms, unsigned max,
	       int64_t *number)
{
	struct waiting w = { .reason = reason, .seen_ms = seen_ms, .product = "a board" };
	int err;

	make_mac(w.mac, n);
	err = waiting_put(tx, &w, max);
	if (number)
		*number = w.number;
	return err;
}

static int count_waiting(void *arg, const struct waiting *waiting)
{
	unsigned *counts = arg;

	counts[waiting->reason == WAIT_DENIED]++;
	return 0;
}

static int waiting(struct inventory_tx *tx, void *arg)
{
	int64_t number, again, now = 1000000000000;
	unsigned counts[2] = { 0, 0 };
	struct waiting w;

	(void)arg;
	assert_int_equal(put(tx, 1, WAIT_APPROVAL, now, 3, &number), 0);
	assert_int_equal(put(tx, 1, WAIT_NO_IMAGE, now + 5, 3, &again), 0);
	assert_int_equal(number, again);
	assert_int_equal(waiting_by_number(tx, number, &w), 0);
	assert_int_equal(w.first_ms, now);
	assert_int_equal(w.seen_ms, now + 5);
	assert_int_equal(w.reason, WAIT_NO_IMAGE);
	assert_string_equal(w.product, "a board");
	assert_int_equal(put(tx, 2, WAIT_APPROVAL, now + 1, 3, NULL), 0);
	assert_int_equal(put(tx, 3, WAIT_APPROVAL, now + 2, 3, NULL), 0);
	/* Full: newcomers wait outside, who is in may stay, also below a lowered limit. */
	assert_int_equal(put(tx, 4, WAIT_APPROVAL, now + 3, 3, NULL), -ENOSPC);
	assert_int_equal(put(tx, 2, WAIT_APPROVAL, now + 4, 1, NULL), 0);
	/* After a day the one that was seen longest ago makes room: number 3, then nobody. */
	assert_int_equal(put(tx, 4, WAIT_APPROVAL, now + 2 + DAY_MS, 3, NULL), -ENOSPC);
	assert_int_equal(put(tx, 4, WAIT_APPROVAL, now + 3 + DAY_MS, 3, NULL), 0);
	make_mac(w.mac, 3);
	assert_int_equal(waiting_by_mac(tx, w.mac, &w), -ENOENT);
	assert_int_equal(put(tx, 5, WAIT_APPROVAL, now + 3 + DAY_MS, 3, NULL), -ENOSPC);
	/* Those that were denied take no room from them, and are bounded for themselves. */
	for (unsigned n = 100; n < 140; n++)
		assert_int_equal(put(tx, n, WAIT_DENIED, now + n, 3, NULL), 0);
	assert_int_equal(waiting_each(tx, count_waiting, counts), 0);
	assert_int_equal(counts[0], 3);
	assert_int_equal(counts[1], 30);
	make_mac(w.mac, 109);
	assert_int_equal(waiting_by_mac(tx, w.mac, &w), -ENOENT);
	make_mac(w.mac, 110);
	assert_int_equal(waiting_by_mac(tx, w.mac, &w), 0);
	/* A denied one that is to wait again needs a place like any other. */
	assert_int_equal(put(tx, 110, WAIT_APPROVAL, now + 200, 3, NULL), -ENOSPC);
	assert_int_equal(waiting_remove(tx, w.mac), 0);
	assert_int_equal(waiting_remove(tx, w.mac), -ENOENT);
	assert_int_equal(waiting_by_number(tx, 9999, &w), -ENOENT);
	assert_int_equal(waiting_by_mac(tx, "a text that is much longer than a MAC", &w), -ENOENT);
	w = (struct waiting){ .mac = "52:54:00:00:00:77", .reason = (enum waiting_reason)9 };
	assert_int_equal(waiting_put(tx, &w, 100), -EINVAL);
	return 0;
}

static void test_waiting(void **state)
{
	assert_int_equal(in_write(*state, waiting, NULL), 0);
}

/* ---- images ---- */

static struct image_version version(const char *image, unsigned number)
{
	struct image_version v = { .number = number,
				   .format = "raw",
				   .size_bytes = 1 << 20,
				   .inode = UINT64_MAX,
				   .mtime_ns = 5,
				   .source = "a file" };

	snprintf(v.image, sizeof(v.image), "%s", image);
	snprintf(v.file, sizeof(v.file), "%s@%u.raw", image, number);
	memset(v.sha256, 'b', 64);
	return v;
}

static int images(struct inventory_tx *tx, void *arg)
{
	struct image_version a1 = version("a", 1), a2 = version("a", 2), b1 = version("b", 1), c1 = version("c", 1), v;
	struct machine m;
	unsigned number;

	(void)arg;
	assert_int_equal(version_default(tx, &v), -ENOENT);
	assert_int_equal(version_next_number(tx, "a", &number), 0);
	assert_int_equal(number, 1);
	a1.state = VERSION_PUBLISHED;
	assert_int_equal(version_insert(tx, &a1), 0);
	assert_int_equal(version_insert(tx, &a2), 0);
	b1.state = VERSION_PUBLISHED;
	assert_int_equal(version_insert(tx, &b1), 0);
	assert_int_equal(version_next_number(tx, "a", &number), 0);
	assert_int_equal(number, 3);
	/* The first image is the default; what is not published is not given out. */
	assert_int_equal(version_default(tx, &v), 0);
	assert_int_equal(v.id, a1.id);
	assert_true(v.is_default);
	assert_int_equal(v.inode, UINT64_MAX);
	assert_int_equal(version_publish(tx, a2.id), 0);
	assert_int_equal(version_default(tx, &v), 0);
	assert_int_equal(v.id, a2.id);
	/* Published again, an older one is the newest: that is how one goes back. */
	assert_int_equal(version_publish(tx, a1.id), 0);
	assert_int_equal(version_find(tx, "a", 0, &v), 0);
	assert_int_equal(v.id, a1.id);
	assert_true(v.is_newest);
	assert_int_equal(version_find(tx, "a", 2, &v), 0);
	assert_int_equal(v.state, VERSION_PUBLISHED);
	assert_false(v.is_newest);
	assert_int_equal(version_find(tx, "a", 9, &v), -ENOENT);
	assert_int_equal(version_find(tx, "no such", 0, &v), -ENOENT);
	assert_int_equal(version_publish(tx, 99), -ENOENT);
	assert_int_equal(image_set_default(tx, "b"), 0);
	assert_int_equal(version_default(tx, &v), 0);
	assert_int_equal(v.id, b1.id);
	assert_int_equal(image_set_default(tx, "no such"), -ENOENT);
	/* An image of which nothing is published gives nothing, and as the default neither. */
	assert_int_equal(version_insert(tx, &c1), 0);
	assert_int_equal(version_by_id(tx, c1.id, &v), 0);
	assert_false(v.is_newest);
	assert_int_equal(version_find(tx, "c", 0, &v), -ENOENT);
	assert_int_equal(image_set_default(tx, "c"), 0);
	assert_int_equal(version_default(tx, &v), -ENOENT);
	assert_int_equal(image_set_default(tx, "b"), 0);
	assert_int_equal(version_find(tx, "\xff", 0, &v), -ENOENT);
	assert_int_equal(version_set_identity(tx, b1.id,
					      "0000000000000000000000000000000000000000000000000000000000000000", 7, 8),
			 0);
	assert_int_equal(version_by_id(tx, b1.id, &v), 0);
	assert_int_equal(v.inode, 7);
	assert_int_equal(v.mtime_ns, 8);
	/* In use. */
	m = make_machine(1, b1.id);
	assert_int_equal(machine_insert(tx, &m, "52:54:00:00:00:01"), 0);
	assert_int_equal(version_by_id(tx, b1.id, &v), 0);
	assert_int_equal(v.machines, 1);
	assert_int_equal(version_delete(tx, b1.id), -EBUSY);
	assert_int_equal(machine_delete(tx, m.id), 0);
	assert_int_equal(version_delete(tx, b1.id), 0);
	assert_int_equal(version_delete(tx, b1.id), -ENOENT);
	assert_int_equal(image_set_default(tx, "b"), -ENOENT); /* the image went with its last version */
	assert_int_equal(version_default(tx, &v), -ENOENT);
	/* A number is not used again while the image lives. */
	assert_int_equal(version_delete(tx, a2.id), 0);
	assert_int_equal(version_next_number(tx, "a", &number), 0);
	assert_int_equal(number, 3);
	return 0;
}

static int bad_images(struct inventory_tx *tx, void *arg)
{
	struct image_version v = version("a", 1);

	(void)arg;
	assert_int_equal(version_insert(tx, &v), -EEXIST);
	v = version("../a", 5);
	assert_int_equal(version_insert(tx, &v), -EINVAL);
	v = version("a", 0);
	assert_int_equal(version_insert(tx, &v), -EINVAL);
	v = version("a", 5);
	strcpy(v.file, "../x");
	assert_int_equal(version_insert(tx, &v), -EINVAL);
	strcpy(v.file, ".x");
	assert_int_equal(version_insert(tx, &v), -EINVAL);
	v = version("a", 5);
	strcpy(v.format, "vmdk");
	assert_int_equal(version_insert(tx, &v), -EINVAL);
	return -EINVAL;
}

static void test_images(void **state)
{
	assert_int_equal(in_write(*state, images, NULL), 0);
	assert_int_equal(in_write(*state, bad_images, NULL), -EINVAL);
}

/* ---- policy ---- */

static int collect(void *arg, const char *key, const char *value)
{
	strcat(arg, key);
	strcat(arg, "=");
	strcat(arg, value);
	strcat(arg, "\n");
	return 0;
}

static int find_reserve(void *arg, const char *key, const char *value)
{
	if (!strcmp(key, "reserve"))
		snprintf(arg, 16, "%s", value);
	return 0;
}

static int policies(struct inventory_tx *tx, void *arg)
{
	static const char *const bad[][2] = {
		{ "enrol", "maybe" },	    { "enrol", "" },
		{ "name-pattern", "pc" },   { "auth", "policy" },
		{ "mode", "Persistent" },   { "max-machines", "0" },
		{ "max-machines", "-1" },   { "max-machines", "100001" },
		{ "max-waiting", "many" },  { "reserve", "91%" },
		{ "reserve", "5 %" },	    { "reserve", "20X" },
		{ "reserve", "" },	    { "quota", "1023K" },
		{ "quota", "0" },	    { "quota", "" },
		{ "menu-timeout", "3601" }, { "menu-default", "a b" },
		{ "max-booting", "-1" },    { "trash", "7" },
		{ "rollout-brake", "" },    { "rollout-min-boots", "0" },
		{ "rollout-drop", "101" },  { "rollout-wait", "90" },
		{ "rollout-wait", "m" },    { "rollout-wait", "0m" },
		{ "rollout-wait", "" },	    { "rollout-wait", "12345678m" },
		{ "mode", "group" },	    { "group", "a b" },
		{ "keep-snapshots", "7" },  { "keep-snapshots", "none" },
		{ "keep-idle", "0d" },	    { "keep-restore-points", "3" },
		{ "keep-versions", "0" },   { "keep-versions", "1001" },
		{ "keep-ephemeral", "0" },  { "keep-ephemeral", "17" },
		{ "keep-ephemeral", "1m" }, { "keep-ephemeral", "forever" },
		{ "low-space", "0%" },	    { "low-space", "91%" },
		{ "low-space", "0" },	    { "low-space", "little" },
	};
	char all[1024] = "", value[16] = "";
	struct reason reason = { "" };
	struct policy p;

	(void)arg;
	assert_int_equal(policy_each(tx, collect, all), 0);
	assert_string_equal(
		all,
		"enrol=auto\nname-pattern=pc-{n:03}\ngroup=none\nauth=chap\nmode=persistent\nmax-machines="
		"256\nmax-waiting=64\nmax-booting=512\nmenu-timeout=10\nmenu-default=disk\nreserve=5%\nquota=none\ntrash=7d\nrestore-points=0\n"
		"rollout-brake=stop\nrollout-min-boots=4\nrollout-drop=25\nrollout-wait=1h\n"
		"keep-restore-points=forever\nkeep-snapshots=forever\nkeep-ephemeral=none\nkeep-versions=forever\nkeep-idle=forever\nlow-space=none\n");
	assert_int_equal(policy_get(tx, &p), 0);
	assert_int_equal(p.enrol, ENROL_AUTO);
	assert_int_equal(p.auth, AUTH_CHAP);
	assert_int_equal(p.max_machines, 256);
	assert_int_equal(p.reserve_percent, 5);
	assert_int_equal(p.reserve_bytes, 0);
	assert_int_equal(policy_set(tx, "no-such", "x", &reason), -ENOENT);
	assert_non_null(strstr(reason.text, "name-pattern"));
	for (size_t i = 0; i < array_len(bad); i++) {
		assert_int_equal(policy_set(tx, bad[i][0], bad[i][1], &reason), -EINVAL);
		assert_non_null(strstr(reason.text, " must be "));
	}
	assert_int_equal(policy_set(tx, "enrol", "approve", &reason), 0);
	assert_int_equal(policy_set(tx, "auth", "none", &reason), 0);
	assert_int_equal(policy_set(tx, "mode", "ephemeral", &reason), 0);
	assert_int_equal(policy_set(tx, "reserve", "20G", &reason), 0);
	assert_int_equal(policy_set(tx, "max-machines", "1", &reason), 0);
	assert_int_equal(p.max_booting, 512);
	assert_string_equal(p.quota, "none");
	assert_int_equal(policy_set(tx, "quota", "20M", &reason), 0);
	assert_int_equal(policy_set(tx, "max-booting", "0", &reason), 0);
	assert_int_equal(p.rollout_wait_s, 3600);
	assert_false(p.rollout_back);
	assert_int_equal(policy_set(tx, "rollout-wait", "90m", &reason), 0);
	assert_int_equal(policy_set(tx, "rollout-brake", "back", &reason), 0);
	assert_int_equal(policy_get(tx, &p), 0);
	assert_int_equal(p.enrol, ENROL_APPROVE);
	assert_int_equal(p.auth, AUTH_NONE);
	assert_string_equal(p.mode, "ephemeral");
	assert_int_equal(p.reserve_bytes, 20ull << 30);
	assert_int_equal(p.reserve_percent, 0);
	assert_string_equal(p.quota, "20M");
	assert_int_equal(p.max_booting, 0);
	assert_int_equal(p.rollout_wait_s, 90 * 60);
	assert_true(p.rollout_back);
	assert_int_equal(policy_each(tx, find_reserve, value), 0);
	assert_string_equal(value, "20G");
	return 0;
}

static int rules(struct inventory_tx *tx, void *arg)
{
	struct reason reason = { "" };
	struct policy p;
	int64_t at_ms = -1;

	(void)arg;
	assert_int_equal(policy_get(tx, &p), 0);
	assert_int_equal(p.keep_snapshots_s | p.keep_points_s | p.keep_idle_s | p.keep_versions, 0);
	assert_int_equal(p.keep_ephemeral, 0);
	assert_int_equal(p.low_space_percent, 0);
	/* Other keys, and the same again, are no change of a rule. */
	assert_int_equal(policy_set(tx, "trash", "7d", &reason), 0);
	assert_int_equal(policy_set(tx, "restore-points", "3", &reason), 0);
	assert_int_equal(keep_rules_changed_at(tx, &at_ms), 0);
	assert_int_equal(at_ms, 0);
	assert_int_equal(policy_set(tx, "keep-snapshots", "90d", &reason), 0);
	assert_int_equal(keep_rules_changed_at(tx, &at_ms), 0);
	assert_true(at_ms > 0);
	assert_int_equal(policy_set(tx, "keep-restore-points", "12h", &reason), 0);
	assert_int_equal(policy_set(tx, "keep-idle", "180d", &reason), 0);
	assert_int_equal(policy_set(tx, "keep-versions", "3", &reason), 0);
	assert_int_equal(policy_set(tx, "keep-ephemeral", "2", &reason), 0);
	assert_int_equal(policy_set(tx, "low-space", "10%", &reason), 0);
	assert_int_equal(policy_get(tx, &p), 0);
	assert_int_equal(p.keep_snapshots_s, 90 * 86400);
	assert_int_equal(p.keep_points_s, 12 * 3600);
	assert_int_equal(p.keep_idle_s, 180 * 86400);
	assert_int_equal(p.keep_versions, 3);
	assert_int_equal(p.keep_ephemeral, 2);
	assert_int_equal(p.keep_ephemeral_s, 0);
	assert_int_equal(p.low_space_percent, 10);
	assert_int_equal(policy_set(tx, "keep-ephemeral", "1d", &reason), 0);
	assert_int_equal(policy_set(tx, "low-space", "20G", &reason), 0);
	assert_int_equal(policy_set(tx, "keep-snapshots", "forever", &reason), 0);
	assert_int_equal(policy_get(tx, &p), 0);
	assert_int_equal(p.keep_ephemeral, KEEP_EPHEMERAL_MAX);
	assert_int_equal(p.keep_ephemeral_s, 86400);
	assert_int_equal(p.low_space_percent, 0);
	assert_int_equal(p.low_space_bytes, 20ull << 30);
	assert_int_equal(p.keep_snapshots_s, 0);
	return 0;
}

static void test_retention_rules(void **state)
{
	assert_int_equal(in_write(*state, rules, NULL), 0);
}

static void test_policy(void **state)
{
	assert_int_equal(in_write(*state, policies, NULL), 0);
}

/* ---- settings and tokens ---- */

static int settings(struct inventory_tx *tx, void *arg)
{
	static char big[5000];
	char value[8];

	(void)arg;
	assert_int_equal(setting_get(tx, "iqn-prefix", value, sizeof(value)), -ENOENT);
	assert_int_equal(setting_set(tx, "iqn-prefix", "one"), 0);
	assert_int_equal(setting_set(tx, "iqn-prefix", "two"), 0);
	assert_int_equal(setting_get(tx, "iqn-prefix", value, sizeof(value)), 0);
	assert_string_equal(value, "two");
	assert_int_equal(setting_set(tx, "iqn-prefix", "too long for it"), 0);
	assert_int_equal(setting_get(tx, "iqn-prefix", value, sizeof(value)), -EINVAL);
	memset(big, 'x', sizeof(big) - 1);
	assert_int_equal(setting_set(tx, "big", big), -EINVAL);
	return 0;
}

static void test_settings(void **state)
{
	assert_int_equal(in_write(*state, settings, NULL), 0);
}

static int insert(struct inventory_tx *tx, const char *hash, const char *label, int64_t expires_ms)
{
	struct token token = { .scope = TOKEN_OPERATOR, .expires_ms = expires_ms, .created_by = "ctl" };

	snprintf(token.label, sizeof(token.label), "%s", label);
	return token_insert(tx, hash, &token);
}

static int has(struct inventory_tx *tx, const char *hash)
{
	struct token token;

	return token_find(tx, hash, &token);
}

static int list_labels(void *arg, const struct token *token)
{
	snprintf((char *)arg + strlen(arg), 100 - strlen(arg), "%s by %s;", token->label, token->created_by);
	return 0;
}

static int tokens(struct inventory_tx *tx, void *arg)
{
	struct token token;
	char labels[100] = "";

	(void)arg;
	assert_int_equal(insert(tx, "hash1", "session:x", tx->now_ms + 10000), 0);
	assert_int_equal(insert(tx, "hash2", "api:a", 0), 0);
	assert_int_equal(insert(tx, "hash2", "api:a", 0), -EEXIST);
	assert_int_equal(token_find(tx, "hash2", &token), 0);
	assert_string_equal(token.label, "api:a");
	assert_int_equal(token.scope, TOKEN_OPERATOR);
	assert_int_equal(token.used_ms, 0);
	assert_int_equal(has(tx, "hash3"), -ENOENT);
	tx->now_ms += 20000;
	assert_int_equal(has(tx, "hash1"), -ENOENT);
	assert_int_equal(token_touch(tx, token.id), 0);
	assert_int_equal(token_by_id(tx, token.id, &token), 0);
	assert_true(token.used_ms == tx->now_ms);
	assert_int_equal(insert(tx, "hash4", "session:y", tx->now_ms + 1), 0); /* clears out what has expired */
	assert_int_equal(token_by_id(tx, token.id - 1, &token), -ENOENT);
	assert_int_equal(token_each(tx, "api:", list_labels, labels), 0);
	assert_string_equal(labels, "api:a by ctl;");
	assert_int_equal(token_delete(tx, token.id), 0);
	assert_int_equal(token_delete(tx, token.id), -ENOENT);
	assert_int_equal(has(tx, "hash2"), -ENOENT);
	return 0;
}

static void test_tokens(void **state)
{
	assert_int_equal(in_write(*state, tokens, NULL), 0);
}

/* Each login leaves one: the oldest of those that end go, the others stay. */
static int many_tokens(struct inventory_tx *tx, void *arg)
{
	(void)arg;
	assert_int_equal(insert(tx, "lasting", "api", 0), 0);
	assert_int_equal(db_run(tx->db,
				"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001) "
				"INSERT INTO token (hash, label, scope, created_ms, created_by, expires_ms) "
				"SELECT 'hash' || i, 'web', 2, i, '', 9000000000000 FROM n"),
			 0);
	assert_int_equal(insert(tx, "newest", "web", tx->now_ms + 1000), 0);
	assert_int_equal(has(tx, "hash1"), -ENOENT);
	assert_int_equal(has(tx, "hash2"), 0);
	assert_int_equal(has(tx, "newest"), 0);
	assert_int_equal(has(tx, "lasting"), 0);
	return 0;
}

static void test_tokens_are_bounded(void **state)
{
	assert_int_equal(in_write(*state, many_tokens, NULL), 0);
}

/* ---- events ---- */

struct seen {
	unsigned count;
	int64_t first, last;
	struct event event;
};

static int see(void *arg, const struct event *event)
{
	struct seen *seen = arg;

	assert_true(event->id > seen->last);
	if (!seen->count++)
		seen->first = event->id;
	seen->last = event->id;
	seen->event = *event;
	return 0;
}

static int events(struct inventory_tx *tx, void *arg)
{
	struct seen seen = { 0 };
	char big[2000];

	(void)arg;
	for (int i = 1; i <= 10; i++)
		assert_int_equal(event_add(tx, "info", "enrolled", "machine", i & 1, "pc-001", "number %d", i), 0);
	assert_int_equal(event_each(tx, 0, 0, 100, see, &seen), 0);
	assert_int_equal(seen.count, 10);
	assert_string_equal(seen.event.text, "number 10");
	assert_int_equal(seen.event.at_ms, tx->now_ms);
	assert_int_equal(seen.event.machine_id, 0);
	seen = (struct seen){ 0 };
	assert_int_equal(event_each(tx, 0, 1, 100, see, &seen), 0);
	assert_int_equal(seen.count, 5);
	seen = (struct seen){ 0 };
	assert_int_equal(event_each(tx, -1, 0, 3, see, &seen), 0);
	assert_int_equal(seen.first, 8);
	assert_int_equal(seen.last, 10);
	seen = (struct seen){ 0 };
	assert_int_equal(event_each(tx, -1, 1, 2, see, &seen), 0);
	assert_int_equal(seen.first, 7);
	assert_int_equal(seen.last, 9);
	seen = (struct seen){ 0 };
	assert_int_equal(event_each(tx, 4, 0, 3, see, &seen), 0);
	assert_int_equal(seen.first, 5);
	assert_int_equal(seen.last, 7);
	assert_int_equal(event_add(tx, "shout", "x", "ctl", 0, "", "x"), -EINVAL);
	assert_int_equal(event_add(tx, "debug", "x", "ctl", 0, "", "x"), -EINVAL);
	/* A text that is too long, or no UTF-8, is told as far as it goes. */
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(event_add(tx, "warning", "x", "ctl", 0, "pc", "%s", big), 0);
	assert_int_equal(event_add(tx, "warning", "x", "ctl", 0, NULL, "latin1 \xe4 %s", "text"), 0);
	seen = (struct seen){ 0 };
	assert_int_equal(event_each(tx, 10, 0, 1, see, &seen), 0);
	assert_int_equal(strlen(seen.event.text), REASON_TEXT - 1);
	assert_string_equal(seen.event.text + REASON_TEXT - 5, "x...");
	assert_int_equal(event_each(tx, 11, 0, 1, see, &seen), 0);
	assert_string_equal(seen.event.text, "latin1 ? text");
	/* Cut between characters: what is told stays as it was written. */
	for (size_t i = 1; i + 2 < sizeof(big); i += 2)
		memcpy(big + i, "\xc3\xa4", 2);
	assert_int_equal(event_add(tx, "warning", "x", "ctl", 0, "pc", "%.1001s", big), 0);
	assert_int_equal(event_each(tx, 12, 0, 1, see, &seen), 0);
	assert_string_equal(seen.event.text + strlen(seen.event.text) - 5, "\xc3\xa4...");
	assert_null(strchr(seen.event.text, '?'));
	return 0;
}

static void test_events(void **state)
{
	assert_int_equal(in_write(*state, events, NULL), 0);
}

/* The trail is bounded: put in near the end of the numbers, not a hundred thousand times. */
static int trimmed(struct inventory_tx *tx, void *arg)
{
	struct seen seen = { 0 };

	(void)arg;
	assert_int_equal(event_add(tx, "info", "first", "ctl", 0, "", "1"), 0);
	assert_int_equal(event_add(tx, "info", "second", "ctl", 0, "", "2"), 0);
	assert_int_equal(db_run(tx->db, "INSERT INTO event (id, at_ms, level, kind, actor, object, text) VALUES "
					"(100000, 1, 'info', 'x', 'x', '', '')"),
			 0);
	assert_int_equal(event_add(tx, "info", "third", "ctl", 0, "", "3"), 0);
	assert_int_equal(event_each(tx, 0, 0, 10, see, &seen), 0);
	assert_int_equal(seen.first, 2);
	assert_int_equal(seen.last, 100001);
	assert_int_equal(event_add(tx, "info", "fourth", "ctl", 0, "", "4"), 0);
	seen = (struct seen){ 0 };
	assert_int_equal(event_each(tx, 0, 0, 10, see, &seen), 0);
	assert_int_equal(seen.first, 100000);
	return 0;
}

static void test_events_trimmed(void **state)
{
	assert_int_equal(in_write(*state, trimmed, NULL), 0);
}

static int last_event(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, -1, 0, 1, see, arg);
}

static void test_event_from_anywhere(void **state)
{
	struct fixture *f = *state;
	struct seen seen = { 0 };

	inventory_event(f->inventory, "warning", "login-refused", "machine", 0, "pc-001", "wrong secret from %s",
			"10.0.0.7");
	assert_int_equal(in_write(f, last_event, &seen), 0);
	assert_string_equal(seen.event.kind, "login-refused");
	assert_string_equal(seen.event.text, "wrong secret from 10.0.0.7");
	assert_string_equal(seen.event.object, "pc-001");
}

static void test_text_valid(void **state)
{
	static const char *const good[] = {
		"", "abc", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"
	};
	static const char *const bad[] = { "\x80",
					   "\xc3",
					   "\xc0\x80",
					   "\xe0\x80\x80",
					   "\xed\xa0\x80",
					   "\xf0\x80\x80\x80",
					   "\xf4\x90\x80\x80",
					   "\xf8\x88\x80\x80\x80",
					   "\xff",
					   "a\xe2\x82" };

	(void)state;
	for (size_t i = 0; i < array_len(good); i++)
		assert_true(db_text_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(db_text_valid(bad[i], strlen(bad[i])));
}

static void test_words(void **state)
{
	enum machine_mode mode;
	enum auth_kind auth;

	(void)state;
	assert_true(machine_mode_parse("ephemeral", &mode));
	assert_int_equal(mode, MODE_EPHEMERAL);
	assert_false(machine_mode_parse("", &mode));
	assert_true(machine_mode_parse("maintenance", &mode));
	assert_string_equal(machine_mode_name(mode), "maintenance");
	assert_true(policy_auth_parse("mutual", &auth));
	assert_int_equal(auth, AUTH_MUTUAL);
	assert_false(policy_auth_parse("CHAP", &auth));
	assert_string_equal(waiting_reason_name(WAIT_NO_IMAGE), "no-image");
	assert_string_equal(waiting_reason_name((enum waiting_reason)99), "unknown");
	assert_string_equal(policy_enrol_name(ENROL_DENY), "deny");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_waiting, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_images, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_policy, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_retention_rules, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_settings, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_tokens, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_tokens_are_bounded, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_events, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_events_trimmed, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_event_from_anywhere, fixture_setup, fixture_teardown),
		cmocka_unit_test(test_text_valid),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
