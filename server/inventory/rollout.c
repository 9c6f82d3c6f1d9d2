// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rollouts and their steps: what people and the brake do with them (see rollout.h). Invariants: of an image at most one is
 * running or stopped (the schema holds that); its version is to be tested until the step of 100 percent publishes it, and
 * again after it was stopped or undone, so that new machines never get what is in doubt.
 */
#include "inventory/rollout.h"

#include "base/util.h"
#include "inventory/db.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_open(const struct rollout *r)
{
	return r->state == ROLLOUT_RUNNING || r->state == ROLLOUT_STOPPED;
}

/* What changes of a rollout once it has begun. */
static int rollout_update(struct inventory_tx *tx, const struct rollout *r)
{
	struct query q;

	query_begin(&q, tx,
		    "UPDATE rollout SET state = ?, back = ?, steps_begun = ?, proven_ms = ?, since_ms = ?, ended_ms = ?, "
		    "why = ? WHERE id = ?");
	query_bind(&q, r->state);
	query_bind(&q, r->back);
	query_bind(&q, r->steps_begun);
	query_bind(&q, r->proven_ms);
	query_bind(&q, r->since_ms);
	query_bind(&q, r->ended_ms);
	query_bind_text(&q, r->why, sizeof(r->why));
	query_bind(&q, r->id);
	return query_run(&q);
}

/* ---- what may begin ---- */

static int check_version(struct inventory_tx *tx, struct rollout *r, struct reason *reason)
{
	struct image_version v, old;
	struct rollout other;
	int err = version_by_id(tx, r->version_id, &v);

	if (err)
		return err;
	memcpy(r->image, v.image, sizeof(r->image));
	r->number = v.number;
	if (v.state == VERSION_RETIRED)
		return reason_refuse(reason, -ESTALE,
				     "%s@%u is retired: take it back first with: sanbootctl image set %s@%u state=test",
				     v.image, v.number, v.image, v.number);
	if (v.is_newest)
		return reason_refuse(reason, -ESTALE, "%s@%u is published: new machines get it already", v.image,
				     v.number);
	err = version_find(tx, v.image, 0, &old);
	if (err == -ENOENT)
		return reason_refuse(
			reason, -ESTALE,
			"nothing of %s is published yet, to go back to: publish it without rings (sanbootctl image publish "
			"%s@%u)",
			v.image, v.image, v.number);
	if (err)
		return err;
	r->old_version_id = old.id;
	r->old_number = old.number;
	err = rollout_of(tx, v.image, &other);
	if (err || !is_open(&other))
		return err == -ENOENT ? 0 : err;
	return reason_refuse(
		reason, -ESTALE,
		"%s@%u is being rolled out already (sanbootctl image rings %s): first end that with: sanbootctl "
		"image rollout undo %s, or: sanbootctl image publish %s@%u",
		other.image, other.number, other.image, other.image, other.image, other.number);
}

/* Among themselves. */
static int check_step(const struct rollout *r, unsigned i, struct reason *reason)
{
	const struct rollout_step *step = &r->steps[i];

	if (step->ring[0] && !rollout_ring_valid(step->ring))
		return reason_refuse(reason, -EINVAL,
				     "a ring's name is made of letters, digits, '-', '_' and '.', at most 63, and is not "
				     "none or group");
	if (!step->ring[0] && (step->percent < 1 || step->percent > 100))
		return reason_refuse(reason, -EINVAL, "step %u: expected a ring, or 1 to 100 percent", i + 1);
	for (unsigned before = 0; before < i; before++) {
		const struct rollout_step *other = &r->steps[before];

		if (step->ring[0] && !strcasecmp(step->ring, other->ring))
			return reason_refuse(reason, -EINVAL, "step %u: ring %s has had its step already", i + 1,
					     step->ring);
		if (!other->ring[0] && other->percent == 100)
			return reason_refuse(reason, -EINVAL, "step %u: nobody is left after all (100 %%)", i + 1);
		if (!step->ring[0] && !other->ring[0] && step->percent <= other->percent)
			return reason_refuse(reason, -EINVAL, "step %u: %u %% is not more than the %u %% before it",
					     i + 1, step->percent, other->percent);
		if (step->at_ms && other->at_ms >= step->at_ms)
			return reason_refuse(reason, -EINVAL, "step %u: its time is not after that of step %u", i + 1,
					     before + 1);
	}
	return 0;
}

static int check_steps(struct inventory_tx *tx, const struct rollout *r, struct reason *reason)
{
	if (!r->step_count || r->step_count > ROLLOUT_STEPS_MAX)
		return reason_refuse(reason, -EINVAL, "a rollout has 1 to %d steps", ROLLOUT_STEPS_MAX);
	for (unsigned i = 0; i < r->step_count; i++) {
		int err = check_step(r, i, reason);

		if (err)
			return err;
		if (r->steps[i].at_ms && r->steps[i].at_ms <= tx->now_ms)
			return reason_refuse(reason, -EINVAL,
					     "step %u: that time is over: name a later one, or none, to begin as soon as "
					     "the step before has proven itself",
					     i + 1);
		if (r->steps[i].at_ms > tx->now_ms + (int64_t)366 * 24 * 3600 * 1000)
			return reason_refuse(reason, -EINVAL, "step %u: that time is more than a year away", i + 1);
	}
	return 0;
}

struct reached {
	const struct rollout *rollout;
	unsigned in_ring[ROLLOUT_STEPS_MAX], keep[ROLLOUT_STEPS_MAX]; /* keep: of those, with a disk that stays */
	unsigned movable, keepers;
};

static int count_reached(void *arg, const struct rollout_place *place)
{
	struct reached *reached = arg;
	bool keeps = place->standing == ROLLOUT_KEEPS_DISK;

	for (unsigned i = 0; i < reached->rollout->step_count; i++) {
		const char *ring = reached->rollout->steps[i].ring;

		if (!ring[0] || strcasecmp(ring, place->ring))
			continue;
		reached->in_ring[i]++;
		reached->keep[i] += keeps;
	}
	reached->movable +=
		place->standing == ROLLOUT_GETS || place->standing == ROLLOUT_LATER || place->standing == ROLLOUT_HAS;
	reached->keepers += keeps;
	return 0;
}

/* Each ring has machines, and somebody can get it. */
static int check_machines(struct inventory_tx *tx, const struct rollout *r, struct reason *reason)
{
	struct reached reached = { .rollout = r };
	int err = rollout_each_machine(tx, r, count_reached, &reached);

	for (unsigned i = 0; i < r->step_count && !err; i++) {
		const char *ring = r->steps[i].ring;

		if (ring[0] && !reached.in_ring[i])
			return reason_refuse(
				reason, -EINVAL,
				"no machine of %s is in ring %s: put some into it with: sanbootctl machine set M ring=%s, or: "
				"sanbootctl group set G ring=%s",
				r->image, ring, ring, ring);
		if (ring[0] && reached.keep[i] == reached.in_ring[i])
			return reason_refuse(
				reason, -EINVAL,
				"all machines of %s in ring %s keep what is on their disks, and would not get it: --persistent "
				"includes them (what is on a disk becomes a snapshot before), or make some ephemeral with: "
				"sanbootctl machine set M mode=ephemeral",
				r->image, ring);
	}
	if (err || reached.movable)
		return err;
	return reason_refuse(
		reason, -EINVAL,
		reached.keepers ?
			"all machines that it reaches keep what is on their disks: --persistent includes them, "
			"and makes a snapshot of each disk before; or publish it without rings: machines get it "
			"when they are reset" :
			"none of the steps reaches a machine of this image: publish it without rings");
}

/* Fills in all but the id. */
static int check_rollout(struct inventory_tx *tx, struct rollout *r, struct reason *reason)
{
	struct query q;
	int err = check_version(tx, r, reason);

	if (!err)
		err = check_steps(tx, r, reason);
	if (err)
		return err;
	query_begin(&q, tx, "SELECT image_id FROM image_version WHERE id = ?");
	query_bind(&q, r->version_id);
	err = query_number(&q, &r->image_id);
	r->state = ROLLOUT_RUNNING;
	r->began_ms = r->since_ms = tx->now_ms;
	return err ? err : check_machines(tx, r, reason);
}

/* ---- it begins ---- */

static int insert_rows(struct inventory_tx *tx, struct rollout *r, const char *actor)
{
	struct query q;
	int err;

	query_begin(&q, tx,
		    "INSERT INTO rollout (image_id, version_id, old_version_id, state, persistent, since_ms, began_ms, "
		    "began_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id");
	query_bind(&q, r->image_id);
	query_bind(&q, r->version_id);
	query_bind(&q, r->old_version_id);
	query_bind(&q, r->state);
	query_bind(&q, r->persistent);
	query_bind(&q, r->since_ms);
	query_bind(&q, r->began_ms);
	query_bind_text(&q, actor, sizeof(r->began_by));
	err = query_number(&q, &r->id);
	for (unsigned i = 0; i < r->step_count && !err; i++) {
		query_begin(&q, tx,
			    "INSERT INTO rollout_step (rollout_id, number, ring, percent, at_ms) VALUES (?, ?, ?, ?, ?)");
		query_bind(&q, r->id);
		query_bind(&q, i);
		query_bind_text(&q, r->steps[i].ring, sizeof(r->steps[i].ring));
		query_bind(&q, r->steps[i].ring[0] ? 0 : r->steps[i].percent);
		query_bind(&q, r->steps[i].at_ms);
		err = query_run(&q);
	}
	return err;
}

/* Who has it keeps it, whatever an earlier rollout of it said. */
static int forget_earlier(struct inventory_tx *tx, int64_t version_id)
{
	struct query q;

	query_begin(&q, tx, "UPDATE rollout SET back = 0 WHERE version_id = ? AND back = 1");
	query_bind(&q, version_id);
	return query_run(&q);
}

/* Nobody gets it who does not name it, or is in reach; what was planned for it is done with. */
static int set_to_test(struct inventory_tx *tx, int64_t version_id)
{
	struct query q;

	query_begin(
		&q, tx,
		"UPDATE image_version SET published = 0, unpublished = ?, publish_at_ms = 0, publish_by = '' WHERE id = ?");
	query_bind(&q, VERSION_TEST);
	query_bind(&q, version_id);
	return query_run(&q);
}

/* New machines get the old version again, also where a person has taken it away meanwhile. */
static int publish_old(struct inventory_tx *tx, const struct rollout *r)
{
	struct image_version old = { .is_newest = false };
	int err = set_to_test(tx, r->version_id);

	if (!err && r->old_version_id)
		err = version_by_id(tx, r->old_version_id, &old);
	if (err || !r->old_version_id || old.is_newest)
		return err;
	return version_publish(tx, r->old_version_id);
}

int rollout_begin_step(struct inventory_tx *tx, struct rollout *r)
{
	struct rollout_step *step = &r->steps[r->steps_begun];
	char who[ROLLOUT_WHO_TEXT];
	struct query q;
	int err;

	step->begun_ms = tx->now_ms;
	r->steps_begun++;
	r->proven_ms = 0;
	query_begin(&q, tx, "UPDATE rollout_step SET begun_ms = ? WHERE rollout_id = ? AND number = ?");
	query_bind(&q, step->begun_ms);
	query_bind(&q, r->id);
	query_bind(&q, r->steps_begun - 1);
	err = query_run(&q);
	if (!err)
		err = rollout_update(tx, r);
	if (!err && rollout_step_is_for_all(step))
		err = version_publish(tx, r->version_id);
	return err ? err :
		     event_add(tx, "info", "rollout-step", "server", 0, r->image,
			       "%s@%u goes to %s, step %u of %u: each gets it at its next boot%s", r->image, r->number,
			       rollout_who(step, who), r->steps_begun, r->step_count,
			       rollout_step_is_for_all(step) ? "; new machines get it, too" : "");
}

int rollout_begin(struct inventory_tx *tx, struct rollout *r, const char *actor, struct reason *reason)
{
	int err = check_rollout(tx, r, reason);

	if (!err)
		err = forget_earlier(tx, r->version_id);
	if (!err)
		err = insert_rows(tx, r, actor);
	if (!err)
		err = set_to_test(tx, r->version_id);
	if (!err)
		err = event_add(tx, "info", "rollout-began", actor, 0, r->image,
				"%s@%u is rolled out in %u step%s, from %s@%u%s", r->image, r->number, r->step_count,
				r->step_count == 1 ? "" : "s", r->image, r->old_number,
				r->persistent ? "; persistent disks become a snapshot before" : "");
	return err || r->steps[0].at_ms ? err : rollout_begin_step(tx, r);
}

/* ---- it ends, or stops ---- */

#define IN_STATE(state) (1u << (state))

/* The last one, in one of these states; else a sentence. */
static int find_rollout(struct inventory_tx *tx, const char *image, unsigned states, const char *what,
			struct rollout *r, struct reason *reason)
{
	int err = rollout_of(tx, image, r);

	if (!err && states & IN_STATE(r->state))
		return 0;
	if (!err)
		return reason_refuse(reason, -ENOENT, "the rollout of %s@%u is %s: it cannot be %s", image, r->number,
				     rollout_state_name(r->state), what);
	return err == -ENOENT ? reason_refuse(reason, err, "nothing of %s is or was rolled out", image) : err;
}

int rollout_stop(struct inventory_tx *tx, const char *image, const char *why, bool back, const char *actor,
		 struct reason *reason)
{
	struct rollout r;
	int err = find_rollout(tx, image, IN_STATE(ROLLOUT_RUNNING), "stopped", &r, reason);

	if (err)
		return err;
	r.state = ROLLOUT_STOPPED;
	r.ended_ms = tx->now_ms;
	r.back = back;
	snprintf(r.why, sizeof(r.why), "%s", why[0] ? why : "a person stopped it");
	err = rollout_update(tx, &r);
	if (!err)
		err = publish_old(tx, &r);
	return err ? err :
		     event_add(tx, why[0] ? "warning" : "info", "rollout-stopped", actor, 0, r.image,
			       "the rollout of %s@%u is stopped at step %u of %u: %.300s; %s", r.image, r.number,
			       r.steps_begun, r.step_count, r.why,
			       back ? "machines that have it go back at their next boot" :
				      "nobody else gets it, and who has it keeps it");
}

/* Those that went back get it again. */
static int forget_back(struct inventory_tx *tx, const struct rollout *r)
{
	struct query q;

	query_begin(&q, tx, "DELETE FROM rollout_machine WHERE rollout_id = ? AND back_ms > 0 AND got_ms < back_ms");
	query_bind(&q, r->id);
	return query_run(&q);
}

int rollout_resume(struct inventory_tx *tx, const char *image, const char *actor, struct reason *reason)
{
	struct rollout r;
	int err = find_rollout(tx, image, IN_STATE(ROLLOUT_STOPPED), "resumed", &r, reason);

	if (err)
		return err;
	r.state = ROLLOUT_RUNNING;
	r.back = false;
	r.ended_ms = 0;
	r.since_ms = tx->now_ms;
	r.proven_ms = 0;
	r.why[0] = '\0';
	err = rollout_update(tx, &r);
	if (!err)
		err = forget_back(tx, &r);
	if (!err && rollout_is_for_all(&r))
		err = version_publish(tx, r.version_id);
	return err ? err :
		     event_add(tx, "info", "rollout-resumed", actor, 0, r.image,
			       "the rollout of %s@%u goes on; its boots until now do not count any more", r.image,
			       r.number);
}

int rollout_undo(struct inventory_tx *tx, const char *image, const char *actor, struct reason *reason)
{
	struct rollout r;
	int err =
		find_rollout(tx, image, IN_STATE(ROLLOUT_RUNNING) | IN_STATE(ROLLOUT_STOPPED) | IN_STATE(ROLLOUT_DONE),
			     "undone", &r, reason);

	if (err)
		return err;
	if (!r.old_version_id)
		return reason_refuse(reason, -ESTALE, "the version before %s@%u has been removed", r.image, r.number);
	r.state = ROLLOUT_UNDONE;
	r.ended_ms = tx->now_ms;
	r.back = true;
	err = rollout_update(tx, &r);
	if (!err)
		err = publish_old(tx, &r);
	return err ? err :
		     event_add(tx, "info", "rollout-undone", actor, 0, r.image,
			       "the rollout of %s@%u is undone: new machines get %s@%u, and those that have it go back at "
			       "their next boot",
			       r.image, r.number, r.image, r.old_number);
}

int rollout_set_proven(struct inventory_tx *tx, struct rollout *r)
{
	const struct rollout_step *step = &r->steps[r->steps_begun - 1];
	char who[ROLLOUT_WHO_TEXT];
	bool last = r->steps_begun == r->step_count;
	int err;

	r->proven_ms = tx->now_ms;
	if (last && rollout_step_is_for_all(step)) {
		r->state = ROLLOUT_DONE;
		r->ended_ms = tx->now_ms;
	}
	err = rollout_update(tx, r);
	if (err)
		return err;
	if (r->state == ROLLOUT_DONE)
		return event_add(tx, "info", "rollout-done", "server", 0, r->image,
				 "the rollout of %s@%u is done; who has not booted since gets it at the next boot",
				 r->image, r->number);
	if (last)
		return event_add(tx, "info", "rollout-proven", "server", 0, r->image,
				 "%s@%u has proven itself (%s); all get it with: sanbootctl image publish %s@%u",
				 r->image, r->number, rollout_who(step, who), r->image, r->number);
	return event_add(tx, "info", "rollout-proven", "server", 0, r->image, "%s@%u has proven itself (%s)", r->image,
			 r->number, rollout_who(step, who));
}

/* ---- for what publishes by hand, and changes states ---- */

int rollout_check_publish(struct inventory_tx *tx, const struct image_version *version, struct reason *reason)
{
	struct rollout r;
	int err = rollout_of(tx, version->image, &r);

	if (err || !is_open(&r) || r.version_id == version->id)
		return err == -ENOENT ? 0 : err;
	return reason_refuse(
		reason, -ESTALE,
		"%s@%u is being rolled out (sanbootctl image rings %s): first end that with: sanbootctl image "
		"rollout undo %s, or: sanbootctl image publish %s@%u",
		r.image, r.number, r.image, r.image, r.image, r.number);
}

int rollout_note_published(struct inventory_tx *tx, const struct image_version *version, bool *ended)
{
	struct query q;
	int err;

	query_begin(&q, tx,
		    "UPDATE rollout SET state = ?1, back = 0, ended_ms = ?2 WHERE version_id = ?3 AND state IN (0, 1)");
	query_bind(&q, ROLLOUT_DONE);
	query_bind(&q, tx->now_ms);
	query_bind(&q, version->id);
	err = query_run(&q);
	*ended = !err && query_changes(tx);
	if (!err)
		err = forget_earlier(tx, version->id);
	if (err)
		return err;
	query_begin(
		&q, tx,
		"UPDATE rollout SET state = ?1 WHERE state = ?2 AND version_id <> ?3 AND image_id = (SELECT image_id FROM "
		"image_version WHERE id = ?3)");
	query_bind(&q, ROLLOUT_REPLACED);
	query_bind(&q, ROLLOUT_DONE);
	query_bind(&q, version->id);
	return query_run(&q);
}

int rollout_check_unused(struct inventory_tx *tx, const struct image_version *version, struct reason *reason)
{
	struct rollout r;
	int err = rollout_of(tx, version->image, &r);

	if (err || !is_open(&r) || (r.version_id != version->id && r.old_version_id != version->id))
		return err == -ENOENT ? 0 : err;
	return reason_refuse(reason, -ESTALE,
			     "%s@%u is %s a rollout (sanbootctl image rings %s): first end that with: sanbootctl image "
			     "rollout undo %s",
			     version->image, version->number,
			     r.version_id == version->id ? "the new version of" : "what machines go back to after",
			     r.image, r.image);
}
