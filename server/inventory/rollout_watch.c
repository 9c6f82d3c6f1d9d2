// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The brake at work: gathers the boots of a rollout's versions, stops it or begins its next step (see rollout.h). Of a
 * machine at most its last three boots on a version count, so that one that is broken by itself stops nothing alone; of a
 * version at most the last 2000.
 */
#include "inventory/rollout.h"

#include "base/util.h"
#include "inventory/db.h"
#include "inventory/stage.h"

#include <errno.h>
#include <stdlib.h>

enum { BOOTS_MAX = 2000, BOOTS_OF_MACHINE = 3, LOOK_AGAIN_MS = 30000 };

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

#define BOOTS_OF_VERSION                                                                                                  \
	"SELECT b.started_ms, b.ended_ms, b.running, b.interrupted, "                                                     \
	"(SELECT at_ms FROM boot_stage AS s WHERE s.machine_id = b.machine_id AND s.number = b.number AND stage = ?5), "  \
	"(SELECT at_ms FROM boot_stage AS s WHERE s.machine_id = b.machine_id AND s.number = b.number AND stage = ?6), "  \
	"(SELECT stuck_ms FROM boot_stage AS s WHERE s.machine_id = b.machine_id AND s.number = b.number ORDER BY stage " \
	"DESC LIMIT 1), "                                                                                                 \
	"(SELECT issued_ms FROM boot AS next WHERE next.machine_id = b.machine_id AND next.state = 0) "                   \
	"FROM (SELECT *, row_number() OVER (PARTITION BY machine_id ORDER BY number DESC) AS turn FROM "                  \
	"(SELECT machine_id, number, state, started_ms, ended_ms, running, interrupted FROM boot WHERE ran_version_id = " \
	"?1 AND started_ms >= ?2 ORDER BY started_ms DESC LIMIT ?3)) AS b WHERE turn <= ?4"

static void read_boot(struct query *q, struct brake_boot *boot)
{
	int64_t asked_ms;

	*boot = (struct brake_boot){ .started_ms = query_int(q) };
	boot->ended_ms = query_int(q);
	boot->running = query_int(q);
	boot->interrupted = query_int(q);
	boot->script_ms = query_int(q);
	boot->steady_ms = query_int(q);
	boot->stuck_ms = query_int(q);
	asked_ms = query_int(q);
	boot->asked_ms = asked_ms > boot->started_ms ? asked_ms : 0;
}

/* Boots on a version since then. *good: how many of them began at or after from_ms and got to a steady system. */
static int count_boots(struct inventory_tx *tx, int64_t version_id, int64_t since_ms, struct brake_side *side,
		       int64_t from_ms, unsigned *good)
{
	int64_t *durations = calloc(BOOTS_MAX, sizeof(*durations));
	struct brake_boot boot;
	struct query q;
	int err;

	*side = (struct brake_side){ .steady = 0 };
	*good = 0;
	if (!durations)
		return -ENOMEM;
	query_begin(&q, tx, BOOTS_OF_VERSION);
	query_bind(&q, version_id);
	query_bind(&q, since_ms);
	query_bind(&q, BOOTS_MAX);
	query_bind(&q, BOOTS_OF_MACHINE);
	query_bind(&q, STAGE_SCRIPT);
	query_bind(&q, STAGE_STEADY);
	while (query_row(&q)) {
		enum brake_outcome outcome;

		read_boot(&q, &boot);
		outcome = brake_outcome(&boot, tx->now_ms);
		if (outcome == BRAKE_STEADY)
			durations[side->steady++] = brake_duration_ms(&boot);
		side->failed += outcome == BRAKE_FAILED;
		*good += outcome == BRAKE_STEADY && boot.started_ms >= from_ms;
	}
	err = query_end(&q);
	side->median_ms = brake_median(durations, side->steady);
	free(durations);
	return err;
}

/* *in_step: boots of the new version that got there, of those since its last step began. */
static int facts_of(struct inventory_tx *tx, const struct rollout *r, struct brake_facts *facts, unsigned *in_step)
{
	int64_t step_ms = r->steps_begun ? later(r->steps[r->steps_begun - 1].begun_ms, r->since_ms) : r->since_ms;
	unsigned unused;
	int err = count_boots(tx, r->version_id, r->since_ms, &facts->new, step_ms, in_step);

	return err ? err : count_boots(tx, r->old_version_id, 0, &facts->old, 0, &unused);
}

int rollout_facts(struct inventory_tx *tx, const struct rollout *rollout, struct brake_facts *facts)
{
	unsigned unused;

	return facts_of(tx, rollout, facts, &unused);
}

/* ---- steps ---- */

struct progress {
	unsigned have, wait; /* machines that the steps until now reach */
};

static int count_progress(void *arg, const struct rollout_place *place)
{
	struct progress *progress = arg;

	progress->have += place->standing == ROLLOUT_HAS;
	progress->wait += place->standing == ROLLOUT_GETS;
	return 0;
}

/* Enough boots that got there; or, where there are fewer machines than that, one of each and none that failed. */
static int has_proof(struct inventory_tx *tx, const struct rollout *r, const struct policy *policy,
		     const struct brake_facts *facts, unsigned in_step, bool *proof)
{
	struct progress progress = { 0 };
	int err = 0;

	*proof = in_step && in_step >= policy->rollout_min_boots;
	if (*proof || !in_step)
		return 0;
	err = rollout_each_machine(tx, r, count_progress, &progress);
	*proof = !err && !progress.wait && in_step >= progress.have && !facts->new.failed;
	return err;
}

static int step_on(struct inventory_tx *tx, struct rollout *r, const struct policy *policy,
		   const struct brake_facts *facts, unsigned in_step)
{
	const struct rollout_step *last = r->steps_begun ? &r->steps[r->steps_begun - 1] : NULL;
	const struct rollout_step *next = r->steps_begun < r->step_count ? &r->steps[r->steps_begun] : NULL;
	bool proof = false;
	int err = 0;

	if (last && !r->proven_ms &&
	    tx->now_ms >= later(last->begun_ms, r->since_ms) + (int64_t)policy->rollout_wait_s * 1000)
		err = has_proof(tx, r, policy, facts, in_step, &proof);
	if (!err && proof)
		err = rollout_set_proven(tx, r);
	if (err || !next || r->state != ROLLOUT_RUNNING)
		return err;
	if (next->at_ms ? tx->now_ms >= next->at_ms : r->proven_ms != 0)
		err = rollout_begin_step(tx, r);
	return err;
}

static int look_at(struct inventory_tx *tx, struct rollout *r, const struct policy *policy)
{
	struct brake_rule rule = { .min_boots = policy->rollout_min_boots, .drop_points = policy->rollout_drop };
	struct brake_facts facts;
	struct reason why = { "" }, unused = { "" };
	enum brake_verdict verdict;
	unsigned in_step;
	int err = facts_of(tx, r, &facts, &in_step);

	if (err)
		return err;
	verdict = brake_judge(&facts, &rule, &why);
	if (verdict == BRAKE_SHARE || verdict == BRAKE_SLOW)
		return rollout_stop(tx, r->image, why.text, policy->rollout_back, "server", &unused);
	return step_on(tx, r, policy, &facts, in_step);
}

/* The first behind that one. One by one, as a look changes the rows. -ENOENT: there is no more. */
static int find_running(struct inventory_tx *tx, int64_t after, int64_t *id, char image[NAME_MAX_TEXT])
{
	struct query q;
	bool row;

	query_begin(&q, tx,
		    "SELECT rollout.id, image.name FROM rollout JOIN image ON image.id = image_id WHERE state = ? AND "
		    "rollout.id > ? ORDER BY rollout.id LIMIT 1");
	query_bind(&q, ROLLOUT_RUNNING);
	query_bind(&q, after);
	row = query_row(&q);
	if (row) {
		*id = query_int(&q);
		query_text(&q, image, NAME_MAX_TEXT);
	}
	return query_end_one(&q, row);
}

static int64_t next_look(const struct rollout *r, int64_t now_ms)
{
	int64_t next_ms = now_ms + LOOK_AGAIN_MS;

	if (r->steps_begun < r->step_count && r->steps[r->steps_begun].at_ms > now_ms)
		next_ms = sooner(next_ms, r->steps[r->steps_begun].at_ms);
	return next_ms;
}

int rollout_look(struct inventory_tx *tx, int64_t *next_ms)
{
	char image[NAME_MAX_TEXT];
	struct policy policy;
	struct rollout r;
	int64_t id = 0;
	int err = policy_get(tx, &policy);

	*next_ms = 0;
	while (!err) {
		err = find_running(tx, id, &id, image);
		if (!err)
			err = rollout_of(tx, image, &r);
		if (!err)
			err = look_at(tx, &r, &policy);
		if (!err)
			*next_ms = *next_ms ? sooner(*next_ms, next_look(&r, tx->now_ms)) : next_look(&r, tx->now_ms);
	}
	return err == -ENOENT ? 0 : err;
}
