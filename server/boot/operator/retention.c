// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does what the plan says, step by step: see boot/retention.h. Each step is one write job with its event, which first looks
 * whether the thing is still what was planned for and the rules are still the same; so whoever takes a rule back while this
 * runs keeps the rest. A step that is refused is left for the next run.
 */
#include "boot/retention.h"

#include "manage.h"
#include "retention_facts.h"
#include "retention_plan.h"
#include "trash.h"

#include "base/log.h"
#include "base/util.h"
#include "inventory/keep.h"
#include "inventory/snapshot.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct retention_run {
	struct boot *boot;
	const char *actor;
	int64_t changed_ms; /* when the rules changed last, as the plan was made */
	const struct retention_item *item;
	struct reason reason;
};

/* -ESTALE: another rule holds by now. */
static int same_rules(struct inventory_tx *tx, const struct retention_run *run)
{
	int64_t changed_ms;
	int err = keep_rules_changed_at(tx, &changed_ms);

	return err ? err : changed_ms == run->changed_ms ? 0 : -ESTALE;
}

/* ---- snapshots ---- */

static int snapshot_run(struct inventory_tx *tx, void *arg)
{
	struct retention_run *run = arg;
	const struct retention_item *item = run->item;
	struct snapshot snapshot;
	bool stays;
	int err = same_rules(tx, run);

	if (!err)
		err = snapshot_by_id(tx, item->id, &snapshot);
	if (!err && snapshot.removed)
		err = -ENOENT;
	if (!err)
		err = snapshot_remove(tx, item->id, &stays);
	return err ? err :
		     event_add(tx, "info", "snapshot-removed", run->actor, 0, item->owner, "snapshot %s%s (%s: %s)",
			       item->label, stays ? "; its file goes once nothing stands on it" : "", item->rule,
			       item->why);
}

/* What the event says besides. */
enum { BECAUSE_TEXT = RETENTION_WHY_TEXT + RETENTION_RULE_TEXT + 2 };

static const char *because(const struct retention_item *item, char text[BECAUSE_TEXT])
{
	snprintf(text, BECAUSE_TEXT, "%s: %s", item->rule, item->why);
	return text;
}

/* ---- versions ---- */

static int version_check(struct inventory_tx *tx, void *arg, const struct image_version *version)
{
	char needed[RETENTION_WHY_TEXT];
	int err = same_rules(tx, arg);

	if (err)
		return err;
	retention_version_needed(version, needed);
	return needed[0] ? -ENOENT : 0;
}

static int remove_version(struct retention_run *run)
{
	char why[BECAUSE_TEXT];
	const struct store_removal removal = { .version_id = run->item->id,
					       .actor = run->actor,
					       .why = because(run->item, why),
					       .check = version_check,
					       .arg = run };

	return store_remove_version_if(run->boot->store, &removal, &run->reason);
}

/* ---- machines ---- */

static int rules_check(struct inventory_tx *tx, void *arg)
{
	return same_rules(tx, arg);
}

static int remove_machine(struct retention_run *run)
{
	char why[BECAUSE_TEXT];
	const struct manage_expiry expiry = { .id = run->item->id,
					      .since_ms = run->item->since_ms,
					      .why = because(run->item, why),
					      .check = rules_check,
					      .arg = run };

	return run->item->kind == RETENTION_TRASH ? boot_trash_expire(run->boot, &expiry, run->actor, &run->reason) :
						    boot_remove_idle(run->boot, &expiry, run->actor, &run->reason);
}

/* ---- the run ---- */

static int do_step(struct retention_run *run)
{
	int err;

	run->reason.text[0] = '\0';
	switch (run->item->kind) {
	case RETENTION_TRASH:
	case RETENTION_IDLE:
		return remove_machine(run);
	case RETENTION_VERSION:
		return remove_version(run);
	default:
		err = inventory_write_call(run->boot->inventory, snapshot_run, run);
		if (!err)
			store_delete_given_up(run->boot->store);
		return err;
	}
}

static void note_step(struct retention *plan, struct retention_item *item, const struct retention_run *run, int err)
{
	if (!err) {
		item->outcome = RETENTION_GONE;
		plan->gone++;
		plan->gone_bytes += item->bytes;
		return;
	}
	item->outcome = RETENTION_REFUSED;
	plan->refused++;
	snprintf(item->why, sizeof(item->why), "%.*s", (int)sizeof(item->why) - 1,
		 run->reason.text[0] ? run->reason.text :
		 err == -ENOENT	     ? "it is another one by now, or gone" :
				       strerror(-err));
	if (err != -ENOENT)
		log_warning("retention: %s %s %s stays: %s", retention_kind_name(item->kind), item->owner, item->label,
			    item->why);
}

static void do_steps(struct retention_run *run, struct retention *plan, unsigned limit_ms)
{
	uint64_t until_ms = time_monotonic_ms() + limit_ms;

	for (unsigned i = 0; i < plan->due && !plan->unfinished; i++) {
		struct retention_item *item = &plan->list[i];
		int err;

		run->item = item;
		err = do_step(run);
		if (err == -ESTALE || atomic_load(&run->boot->stopping) ||
		    (limit_ms && i + 1 < plan->due && time_monotonic_ms() > until_ms))
			plan->unfinished = true;
		if (err != -ESTALE)
			note_step(plan, item, run, err);
	}
}

static int run_retention(struct boot *boot, const char *actor, bool by_hand, unsigned limit_ms, struct retention *plan,
			 struct reason *reason)
{
	struct retention_run run = { .boot = boot, .actor = actor };
	int err = retention_facts(boot, plan);

	if (err)
		return reason_refuse(reason, err, "what there is cannot be read: %s", strerror(-err));
	run.changed_ms = plan->changed_ms;
	if (by_hand)
		plan->changed_ms = 0;
	retention_plan(plan);
	if (!plan->grace_ms)
		do_steps(&run, plan, limit_ms);
	return 0;
}

int boot_plan_retention(struct boot *boot, struct retention *plan, struct reason *reason)
{
	int err = retention_facts(boot, plan);

	if (err)
		return reason_refuse(reason, err, "what there is cannot be read: %s", strerror(-err));
	retention_plan(plan);
	return 0;
}

int boot_run_retention(struct boot *boot, const char *actor, unsigned limit_ms, struct retention *plan,
		       struct reason *reason)
{
	return run_retention(boot, actor, true, limit_ms, plan, reason);
}

void boot_retention_chore(struct boot *boot)
{
	struct reason reason = { "" };
	struct retention plan = { .list = NULL };

	if (run_retention(boot, "retention", false, 0, &plan, &reason))
		log_error("retention: %s", reason.text);
	else if (plan.gone)
		log_info("retention: %u of %u that were due have gone", plan.gone, plan.due);
	retention_fini(&plan);
}
