// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What goes by itself, when and why: see retention_plan.h. For each item:
 *
 *     needed by somebody                      stays
 *     more of its kind are newer than stay    goes now
 *     its time is over, or will be            goes then
 *     neither: the rule says for ever         stays
 *
 * Then, where room is short: of the kinds that may go early, in the order of enum retention_kind and oldest first, those
 * that give room back, until there is enough. Nothing goes before the grace of the last change of a rule is over.
 */
#include "retention_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S, TIME_TEXT = 16 };

static const struct kind {
	const char *name, *rule, *why_time, *why_count;
} kinds[RETENTION_KINDS] = {
	[RETENTION_TRASH] = { "trash", "trash", "its time in the trash is over", "" },
	[RETENTION_EPHEMERAL] = { "ephemeral-disk", "keep-ephemeral", "it was kept for so long",
				  "later disks of this machine are kept" },
	[RETENTION_POINT] = { "restore-point", "keep-restore-points", "it is older than that", "" },
	[RETENTION_SNAPSHOT] = { "snapshot", "keep-snapshots", "it is older than that", "" },
	[RETENTION_VERSION] = { "version", "keep-versions", "",
				"new machines do not get it, nothing stands on it, and later versions are kept" },
	[RETENTION_IDLE] = { "machine", "keep-idle", "nobody has seen it for so long; it goes to the trash", "" },
};

const char *retention_kind_name(enum retention_kind kind)
{
	return kinds[kind].name;
}

void retention_fini(struct retention *plan)
{
	free(plan->list);
	plan->list = NULL;
	plan->count = 0;
}

void retention_version_needed(const struct image_version *v, char needed[RETENTION_WHY_TEXT])
{
	unsigned others = v->volumes + v->versions;

	needed[0] = '\0';
	if (v->is_newest)
		snprintf(needed, RETENTION_WHY_TEXT, "new machines get it");
	else if (v->publish_at_ms)
		snprintf(needed, RETENTION_WHY_TEXT, "it is to be published");
	else if (v->state == VERSION_DRAFT || v->state == VERSION_TEST)
		snprintf(needed, RETENTION_WHY_TEXT, "it is %s",
			 v->state == VERSION_DRAFT ? "a draft" : "there to be tested");
	else if (v->machines || v->trashed)
		snprintf(needed, RETENTION_WHY_TEXT, "machines have it, also in the trash");
	else if (others)
		snprintf(needed, RETENTION_WHY_TEXT, "volumes or later versions stand on it");
	else if (v->snapshots)
		snprintf(needed, RETENTION_WHY_TEXT, "snapshots stand on it");
}

/* ---- the rules ---- */

static const char *time_text(unsigned seconds, char text[TIME_TEXT])
{
	if (seconds % DAY_S)
		snprintf(text, TIME_TEXT, "%uh", seconds / HOUR_S);
	else
		snprintf(text, TIME_TEXT, "%ud", seconds / DAY_S);
	return text;
}

struct rule {
	unsigned keep;	/* so many of an owner stay; 0: any number */
	unsigned age_s; /* 0: for ever */
	bool at_once;	/* none stay */
};

static struct rule rule_of(const struct policy *p, enum retention_kind kind)
{
	switch (kind) {
	case RETENTION_TRASH:
		return (struct rule){ .age_s = p->trash_s, .at_once = !p->trash_s };
	case RETENTION_EPHEMERAL:
		return (struct rule){ .keep = p->keep_ephemeral,
				      .age_s = p->keep_ephemeral_s,
				      .at_once = !p->keep_ephemeral };
	case RETENTION_POINT:
		return (struct rule){ .age_s = p->keep_points_s };
	case RETENTION_SNAPSHOT:
		return (struct rule){ .age_s = p->keep_snapshots_s };
	case RETENTION_VERSION:
		return (struct rule){ .keep = p->keep_versions };
	default:
		return (struct rule){ .age_s = p->keep_idle_s };
	}
}

static void write_rule(struct retention_item *item, const struct rule *rule)
{
	const char *key = kinds[item->kind].rule;
	char text[TIME_TEXT];

	if (rule->at_once)
		snprintf(item->rule, sizeof(item->rule), "%s=none", key);
	else if (rule->age_s)
		snprintf(item->rule, sizeof(item->rule), "%s=%s", key, time_text(rule->age_s, text));
	else if (rule->keep)
		snprintf(item->rule, sizeof(item->rule), "%s=%u", key, rule->keep);
	else
		snprintf(item->rule, sizeof(item->rule), "%s=forever", key);
}

static void stays(struct retention_item *item, const char *why)
{
	item->due_ms = 0;
	snprintf(item->why, sizeof(item->why), "%s", why);
}

static void goes(struct retention_item *item, int64_t due_ms, const char *why)
{
	item->due_ms = due_ms;
	snprintf(item->why, sizeof(item->why), "%s", why);
}

/* newer: so many of the same owner, of its kind, are. */
static void plan_item(const struct retention *plan, struct retention_item *item, unsigned newer)
{
	const struct rule rule = rule_of(&plan->policy, item->kind);
	const struct kind *kind = &kinds[item->kind];

	item->early = false;
	item->outcome = RETENTION_WAITS;
	write_rule(item, &rule);
	if (item->needed[0])
		stays(item, item->needed);
	else if (item->kind == RETENTION_IDLE && rule.age_s && !plan->policy.trash_s)
		stays(item, "with trash=none it would be gone at once: set trash=7d, or remove it by hand");
	else if (rule.at_once)
		goes(item, plan->now_ms, kind->why_time);
	else if (rule.keep && newer >= rule.keep)
		goes(item, plan->now_ms, kind->why_count);
	else if (rule.age_s)
		goes(item, item->since_ms + (int64_t)rule.age_s * 1000, kind->why_time);
	else
		stays(item, rule.keep ? "it is one of the last ones" : "it stays until a person removes it");
}

/* ---- room ---- */

static int64_t next_run_ms(const struct retention *plan)
{
	return plan->grace_ms ? plan->grace_ms : plan->now_ms;
}

static bool is_due(const struct retention *plan, const struct retention_item *item)
{
	return item->due_ms && item->due_ms <= next_run_ms(plan);
}

/* What is due counts first: it goes in any case. The list is in the order of kinds, oldest first. */
static void plan_room(struct retention *plan)
{
	uint64_t room = plan->free_bytes;

	for (unsigned i = 0; i < plan->count; i++)
		room += is_due(plan, &plan->list[i]) ? plan->list[i].bytes : 0;
	for (unsigned i = 0; i < plan->count && room < plan->low_bytes; i++) {
		struct retention_item *item = &plan->list[i];

		if (item->kind > RETENTION_POINT || item->needed[0] || is_due(plan, item) || !item->bytes)
			continue;
		goes(item, next_run_ms(plan), "less room is left than low-space says");
		item->early = true;
		snprintf(item->rule, sizeof(item->rule), "low-space");
		room += item->bytes;
	}
}

static uint64_t low_bytes(const struct retention *plan)
{
	const struct policy *p = &plan->policy;

	return p->low_space_bytes ? p->low_space_bytes : plan->total_bytes / 100 * p->low_space_percent;
}

/* ---- order ---- */

static int compare(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static int same_owner(const struct retention_item *a, const struct retention_item *b)
{
	int order = compare(a->kind, b->kind);

	if (!order)
		order = compare(a->owner_id, b->owner_id);
	return order ? order : strcmp(a->owner, b->owner);
}

static void sort(struct retention *plan, int (*order)(const void *first, const void *second))
{
	if (plan->count)
		qsort(plan->list, plan->count, sizeof(*plan->list), order);
}

/* By owner, the newest first: of versions that is the highest number. */
static int by_owner(const void *first, const void *second)
{
	const struct retention_item *a = first, *b = second;
	int order = same_owner(a, b);

	if (!order)
		order = compare(b->number, a->number);
	if (!order)
		order = compare(b->since_ms, a->since_ms);
	return order ? order : compare(b->id, a->id);
}

static int by_age(const void *first, const void *second)
{
	const struct retention_item *a = first, *b = second;
	int order = compare(a->kind, b->kind);

	if (!order)
		order = compare(a->since_ms, b->since_ms);
	return order ? order : compare(a->id, b->id);
}

/* What is due at the next run, in order of kind; what is due later, in order of time; the rest. due_ms tells which. */
static int by_turn(const void *first, const void *second)
{
	const struct retention_item *a = first, *b = second;
	int order = compare(!a->due_ms, !b->due_ms);

	if (!order)
		order = compare(a->due_ms, b->due_ms);
	return order ? order : by_age(a, b);
}

static void count_due(struct retention *plan)
{
	plan->due = 0;
	plan->due_bytes = 0;
	for (unsigned i = 0; i < plan->count; i++) {
		struct retention_item *item = &plan->list[i];

		if (!is_due(plan, item))
			continue;
		item->due_ms = next_run_ms(plan);
		plan->due++;
		plan->due_bytes += item->bytes;
	}
}

void retention_plan(struct retention *plan)
{
	unsigned newer = 0;

	plan->grace_ms = plan->changed_ms ? plan->changed_ms + RETENTION_GRACE_MS : 0;
	if (plan->grace_ms <= plan->now_ms)
		plan->grace_ms = 0;
	plan->low_bytes = low_bytes(plan);
	sort(plan, by_owner);
	for (unsigned i = 0; i < plan->count; i++) {
		struct retention_item *item = &plan->list[i];

		if (!i || same_owner(item, item - 1))
			newer = 0;
		plan_item(plan, item, newer);
		/* What new machines get, or are to get, is none of those that are kept for going back. */
		newer += !(item->kind == RETENTION_VERSION && item->in_turn);
	}
	sort(plan, by_age);
	plan_room(plan);
	count_due(plan);
	sort(plan, by_turn);
}
