// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The API: publication in rings. What is shown is read in the same job that changes something, so a dry run is that job, undone:
 * it says what would be, with the same checks.
 */
#include "http/api_rollouts.h"

#include "base/util.h"
#include "boot/boot.h"
#include "http/api.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"
#include "inventory/rollout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One rollout, by its image: what is done with it, and what is answered. */
struct rollout_job {
	struct inventory_job job;
	struct inventory_tx *tx;
	struct request *request;
	char image[NAME_MAX_TEXT];
	unsigned number; /* a version; 0: none was named */
	int64_t at_ms;	 /* publishing without steps; -1: now */
	bool dry_run;
	struct rollout rollout;
	json_t *json;	  /* the answer */
	json_t *machines; /* borrowed: of json */
	int64_t *ids;	  /* of these machines, in their order */
	unsigned count;
	unsigned reached[ROLLOUT_STEPS_MAX], have[ROLLOUT_STEPS_MAX]; /* by the first step that reaches them */
	struct reason reason;
};

/* ---- what is shown ---- */

static json_t *version_text(const char *image, unsigned number)
{
	char text[NAME_MAX_TEXT + 16];

	snprintf(text, sizeof(text), "%s@%u", image, number);
	return number ? json_string(text) : json_null();
}

static int add_machine(void *arg, const struct rollout_place *place)
{
	struct rollout_job *r = arg;

	if (place->step >= 0) {
		r->reached[place->step]++;
		r->have[place->step] += place->standing == ROLLOUT_HAS;
	}
	if (json_array_append_new(r->machines, json_pack("{s:s, s:o, s:o, s:o, s:s}", "name", place->machine->name,
							 "ring", json_text_or_null(place->ring), "image",
							 version_text(r->rollout.image, place->number), "step",
							 place->step < 0 ? json_null() : json_integer(place->step + 1),
							 "standing", rollout_standing_name(place->standing))))
		return -ENOMEM;
	return array_append(&r->ids, &r->count, &place->machine->id, sizeof(place->machine->id));
}

static json_t *steps_json(const struct rollout_job *r)
{
	const struct rollout *rollout = &r->rollout;
	json_t *steps = json_array();

	for (unsigned i = 0; i < rollout->step_count; i++) {
		const struct rollout_step *step = &rollout->steps[i];
		bool last = i + 1 == rollout->steps_begun;
		char who[ROLLOUT_WHO_TEXT];

		json_array_append_new(steps,
				      json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:i, s:i}", "who",
						rollout_who(step, who), "ring", json_text_or_null(step->ring),
						"percent", step->ring[0] ? json_null() : json_integer(step->percent),
						"at_ms", json_time_or_null(step->at_ms), "begun_ms",
						json_time_or_null(step->begun_ms), "proven_ms",
						json_time_or_null(last ? rollout->proven_ms : 0), "machines",
						(int)r->reached[i], "have", (int)r->have[i]));
	}
	return steps;
}

static json_t *side_json(const struct brake_side *side)
{
	return json_pack("{s:i, s:i, s:o}", "steady", (int)side->steady, "failed", (int)side->failed, "median_ms",
			 side->median_ms ? json_integer(side->median_ms) : json_null());
}

/* What is compared, and by which rule. */
static int set_boots(struct rollout_job *r)
{
	struct brake_facts facts;
	struct policy policy;
	int err = rollout_facts(r->tx, &r->rollout, &facts);

	if (!err)
		err = policy_get(r->tx, &policy);
	if (err)
		return err;
	json_object_set_new(r->json, "boots",
			    json_pack("{s:o, s:o}", "new", side_json(&facts.new), "old", side_json(&facts.old)));
	json_object_set_new(r->json, "rule",
			    json_pack("{s:i, s:i, s:i, s:s}", "min_boots", (int)policy.rollout_min_boots, "drop",
				      (int)policy.rollout_drop, "wait_s", (int)policy.rollout_wait_s, "brake",
				      policy.rollout_back ? "back" : "stop"));
	return 0;
}

static int set_machines(struct rollout_job *r)
{
	r->machines = json_array();
	json_object_set_new(r->json, "machines", r->machines);
	return rollout_each_machine(r->tx, &r->rollout, add_machine, r);
}

/* All of r->rollout into r->json. Inside the job. */
static int show(struct rollout_job *r)
{
	const struct rollout *rollout = &r->rollout;
	int err;

	r->json =
		json_pack("{s:b, s:o, s:s, s:o, s:s, s:o, s:b, s:b, s:o, s:s, s:o}", "dry_run", r->dry_run, "rollout",
			  version_text(rollout->image, rollout->number), "image", rollout->image, "from",
			  version_text(rollout->image, rollout->old_number), "state",
			  rollout_state_name(rollout->state), "why", json_text_or_null(rollout->why), "persistent",
			  rollout->persistent, "back", rollout->back, "began_ms", json_time_or_null(rollout->began_ms),
			  "began_by", rollout->began_by, "ended_ms", json_time_or_null(rollout->ended_ms));
	if (!r->json)
		return -ENOMEM;
	err = set_machines(r);
	json_object_set_new(r->json, "steps", steps_json(r));
	return err ? err : set_boots(r);
}

static int by_id(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

/* Who runs just now: they get nothing before their next boot. Outside of the job. */
static int set_running(struct rollout_job *r)
{
	struct boot_sessions sessions;
	int err = boot_list_sessions(r->request->http->config.boot, 0, &sessions);
	int64_t *running = err ? NULL : calloc(sessions.count + 1, sizeof(*running));

	if (err)
		return err;
	if (!running) {
		free(sessions.list);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < sessions.count; i++)
		running[i] = sessions.list[i].machine_id;
	qsort(running, sessions.count, sizeof(*running), by_id);
	for (unsigned i = 0; i < r->count; i++)
		json_object_set_new(json_array_get(r->machines, i), "running",
				    json_boolean(
					    bsearch(&r->ids[i], running, sessions.count, sizeof(*running), by_id)));
	free(running);
	free(sessions.list);
	return 0;
}

static void set_hint(struct rollout_job *r)
{
	char hint[256] = "";

	if (r->dry_run)
		snprintf(hint, sizeof(hint), "nothing was changed");
	else if (r->rollout.state == ROLLOUT_RUNNING)
		snprintf(hint, sizeof(hint), "see how far it is with: sanbootctl image rings %s", r->rollout.image);
	else if (r->rollout.state == ROLLOUT_STOPPED)
		snprintf(hint, sizeof(hint),
			 "go on with: sanbootctl image rollout resume %s; or take it back with: sanbootctl image rollout undo %s",
			 r->rollout.image, r->rollout.image);
	json_object_set_new(r->json, "hint", json_string(hint));
}

/* Runs the job and answers. */
static void run_and_reply(struct rollout_job *r, bool write)
{
	struct inventory *inventory = r->request->http->config.inventory;
	int err = write ? inventory_write_wait(inventory, &r->job) : inventory_read_wait(inventory, &r->job);

	if (err == -ECANCELED && r->dry_run)
		err = 0;
	if (!err && write && !r->dry_run)
		boot_look_at_plans(r->request->http->config.boot);
	if (!err)
		err = set_running(r);
	if (err == -ENOENT && !r->reason.text[0]) {
		api_reply_no_image(r->request);
	} else if (err) {
		reply_errno(r->request, err, r->reason.text, "");
	} else {
		set_hint(r);
		reply_json(r->request, 200, json_incref(r->json));
	}
	json_decref(r->json);
	free(r->ids);
}

/* ---- it begins ---- */

static int take_step(const json_t *json, struct rollout_step *step, unsigned number, struct reason *reason)
{
	const json_t *ring = json_object_get(json, "ring"), *percent = json_object_get(json, "percent"),
		     *at = json_object_get(json, "at_ms");

	if (!ring == !percent || (ring && !json_is_string(ring)) || (percent && !json_is_integer(percent)) ||
	    (at && !json_is_null(at) && !json_is_integer(at)))
		return reason_refuse(reason, -EINVAL,
				     "step %u: expected {\"ring\": NAME} or {\"percent\": NUMBER}, and \"at_ms\" where it "
				     "has a time",
				     number);
	if (ring && strlen(json_string_value(ring)) >= sizeof(step->ring))
		return reason_refuse(reason, -EINVAL, "step %u: that ring's name is too long", number);
	if (ring && !json_string_value(ring)[0])
		return reason_refuse(reason, -EINVAL, "step %u: which ring?", number);
	if (percent && (json_integer_value(percent) < 1 || json_integer_value(percent) > 100))
		return reason_refuse(reason, -EINVAL, "step %u: expected a ring, or 1 to 100 percent", number);
	if (at && json_is_integer(at) && json_integer_value(at) <= 0)
		return reason_refuse(reason, -EINVAL, "step %u: that time is over: name a later one", number);
	snprintf(step->ring, sizeof(step->ring), "%s", ring ? json_string_value(ring) : "");
	step->percent = percent ? (unsigned)json_integer_value(percent) : 0;
	step->at_ms = at ? json_integer_value(at) : 0;
	return 0;
}

static int take_steps(const json_t *body, struct rollout *rollout, struct reason *reason)
{
	const json_t *steps = json_object_get(body, "steps"), *step;
	size_t i;

	if (json_array_size(steps) > ROLLOUT_STEPS_MAX || !json_array_size(steps))
		return reason_refuse(reason, -EINVAL, "a rollout has 1 to %d steps", ROLLOUT_STEPS_MAX);
	json_array_foreach(steps, i, step) {
		int err = take_step(step, &rollout->steps[i], (unsigned)i + 1, reason);

		if (err)
			return err;
	}
	rollout->step_count = (unsigned)json_array_size(steps);
	rollout->persistent = json_is_true(json_object_get(body, "persistent"));
	return 0;
}

static int run_begin(struct inventory_tx *tx, struct inventory_job *job)
{
	struct rollout_job *r = container_of(job, struct rollout_job, job);
	struct image_version version;
	int err = version_find(tx, r->image, r->number, &version);

	r->tx = tx;
	r->rollout.version_id = version.id;
	if (!err)
		err = rollout_begin(tx, &r->rollout, r->request->actor, &r->reason);
	if (!err)
		err = rollout_of(tx, r->image, &r->rollout);
	if (!err)
		err = show(r);
	return err ? err : r->dry_run ? -ECANCELED : 0;
}

static void job_of(struct rollout_job *r, struct request *request, const char *image,
		   int (*run)(struct inventory_tx *tx, struct inventory_job *job))
{
	*r = (struct rollout_job){ .job.run = run, .request = request };
	snprintf(r->image, sizeof(r->image), "%s", image);
	r->dry_run = json_is_true(json_object_get(request->json, "dry_run"));
}

void api_begin_rollout(struct request *request, const char *image, unsigned number)
{
	struct rollout_job r;
	int err;

	job_of(&r, request, image, run_begin);
	r.number = number;
	err = take_steps(request->json, &r.rollout, &r.reason);
	if (err)
		reply_errno(request, err, r.reason.text,
			    "for example {\"steps\": [{\"ring\": \"canary\"}, {\"percent\": 25}, {\"percent\": 100}]}");
	else
		run_and_reply(&r, true);
}

/* ---- publishing that is only tried ---- */

/* Publishing by hand gives it to new machines; to those that are there, only where it ends a rollout. */
static int run_try(struct inventory_tx *tx, struct inventory_job *job)
{
	struct rollout_job *r = container_of(job, struct rollout_job, job);
	struct published published;
	int err = version_find(tx, r->image, r->number, &published.version);

	r->tx = tx;
	if (!err && r->at_ms > 0)
		err = version_plan(tx, published.version.id, r->at_ms, r->request->actor, &r->reason);
	if (!err)
		err = version_publish_by(tx, published.version.id, r->request->actor, &published, &r->reason);
	if (!err)
		err = rollout_of(tx, r->image, &r->rollout);
	if (err == -ENOENT ||
	    (!err && (r->rollout.version_id != published.version.id || r->rollout.state != ROLLOUT_DONE))) {
		r->rollout = (struct rollout){ .version_id = published.version.id, .number = r->number };
		memcpy(r->rollout.image, published.version.image, sizeof(r->rollout.image));
		err = 0;
	}
	if (err)
		return err;
	r->json =
		json_pack("{s:b, s:o, s:s, s:o, s:o}", "dry_run", true, "published", version_text(r->image, r->number),
			  "image", r->image, "new_machines_get", version_text(r->image, published.newest.number),
			  "at_ms", json_time_or_null(r->at_ms > 0 ? r->at_ms : 0));
	err = set_machines(r);
	return err ? err : -ECANCELED;
}

void api_try_publish(struct request *request, const char *image, unsigned number, int64_t at_ms)
{
	struct rollout_job r;

	job_of(&r, request, image, run_try);
	r.number = number;
	r.at_ms = at_ms;
	run_and_reply(&r, true);
}

/* ---- one that is there ---- */

static int run_show(struct inventory_tx *tx, struct inventory_job *job)
{
	struct rollout_job *r = container_of(job, struct rollout_job, job);
	int err = rollout_of(tx, r->image, &r->rollout);

	r->tx = tx;
	if (err == -ENOENT)
		return reason_refuse(
			&r->reason, err,
			"nothing of %s is or was rolled out: begin with: sanbootctl image publish %s@V --ring "
			"RING --then 25%%,100%%",
			r->image, r->image);
	return err ? err : show(r);
}

/* NAME, or NAME@V, which is the same here. False: answered. */
static bool begin_job(struct rollout_job *r, struct request *request,
		      int (*run)(struct inventory_tx *tx, struct inventory_job *job))
{
	char image[NAME_MAX_TEXT];
	unsigned number;

	if (!api_parse_image(request, image, &number))
		return false;
	job_of(r, request, image, run);
	r->number = number;
	return true;
}

void handle_rollout(struct request *request)
{
	struct rollout_job r;

	if (begin_job(&r, request, run_show))
		run_and_reply(&r, false);
}

/* Who names a version means that one. */
static int check_number(struct rollout_job *r, struct inventory_tx *tx)
{
	int err = r->number ? rollout_of(tx, r->image, &r->rollout) : 0;

	if (!err && r->number && r->number != r->rollout.number)
		return reason_refuse(&r->reason, -ENOENT, "what is rolled out of %s is %s@%u", r->image, r->image,
				     r->rollout.number);
	return err == -ENOENT ? 0 : err; /* what follows says that there is none */
}

static int run_stop(struct inventory_tx *tx, struct inventory_job *job)
{
	struct rollout_job *r = container_of(job, struct rollout_job, job);
	int err = check_number(r, tx);

	if (!err)
		err = rollout_stop(tx, r->image, "", false, r->request->actor, &r->reason);

	return err ? err : run_show(tx, job);
}

static int run_resume(struct inventory_tx *tx, struct inventory_job *job)
{
	struct rollout_job *r = container_of(job, struct rollout_job, job);
	int err = check_number(r, tx);

	if (!err)
		err = rollout_resume(tx, r->image, r->request->actor, &r->reason);

	return err ? err : run_show(tx, job);
}

static int run_undo(struct inventory_tx *tx, struct inventory_job *job)
{
	struct rollout_job *r = container_of(job, struct rollout_job, job);
	int err = check_number(r, tx);

	if (!err)
		err = rollout_undo(tx, r->image, r->request->actor, &r->reason);

	return err ? err : run_show(tx, job);
}

static void change(struct request *request, int (*run)(struct inventory_tx *tx, struct inventory_job *job))
{
	struct rollout_job r;

	if (begin_job(&r, request, run))
		run_and_reply(&r, true);
}

void handle_rollout_stop(struct request *request)
{
	change(request, run_stop);
}

void handle_rollout_resume(struct request *request)
{
	change(request, run_resume);
}

void handle_rollout_undo(struct request *request)
{
	change(request, run_undo);
}
