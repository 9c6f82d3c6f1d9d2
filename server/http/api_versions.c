// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: what people do with a version of an image. Who gets it is the inventory's (enum version_state). */
#include "http/api.h"

#include "base/util.h"
#include "http/api_rollouts.h"
#include "http/json.h"
#include "http/routes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One version, by name: what is done with it, and what is answered. */
struct version_change {
	struct inventory_job job;
	struct request *request;
	char image[NAME_MAX_TEXT];
	unsigned number;
	int64_t at_ms; /* publish; -1: now */
	struct published published;
	struct reason reason;
};

/* The path has to name a version. False: answered. */
static bool parse_version(struct request *request, struct version_change *change)
{
	change->request = request;
	if (!api_parse_image(request, change->image, &change->number))
		return false;
	if (change->number)
		return true;
	reply_error(request, 400, "for example debian@2; see the versions with: sanbootctl image versions NAME",
		    "say which version: NAME@VERSION");
	return false;
}

/* Runs the job. False: answered. */
static bool change_write(struct version_change *change)
{
	struct request *request = change->request;
	int err = inventory_write_wait(request->http->config.inventory, &change->job);

	if (!err)
		return true;
	if (err == -ENOENT && !change->reason.text[0])
		api_reply_no_image(request);
	else
		reply_errno(request, err, change->reason.text, "");
	return false;
}

/* ---- publishing ---- */

static int run_publish(struct inventory_tx *tx, struct inventory_job *job)
{
	struct version_change *change = container_of(job, struct version_change, job);
	struct published *published = &change->published;
	int err = version_find(tx, change->image, change->number, &published->version);

	if (err)
		return err;
	if (change->at_ms < 0)
		return version_publish_by(tx, published->version.id, change->request->actor, published,
					  &change->reason);
	err = version_plan(tx, published->version.id, change->at_ms, change->request->actor, &change->reason);
	if (err)
		return err;
	err = version_find(tx, change->image, 0, &published->newest);
	return err == -ENOENT ? 0 : err;
}

static void reply_published(struct request *request, const struct version_change *change)
{
	const struct published *published = &change->published;
	const char *key = change->at_ms < 0 ? "published" : change->at_ms ? "planned" : "not_planned";
	char text[NAME_MAX_TEXT + 16], newest[NAME_MAX_TEXT + 16] = "";
	const char *hint = "";
	json_t *json;

	snprintf(text, sizeof(text), "%s@%u", change->image, change->number);
	if (published->newest.id)
		snprintf(newest, sizeof(newest), "%s@%u", change->image, published->newest.number);
	if (change->at_ms < 0 && published->others)
		hint = "machines keep the version that they were made from until they are reset (sanbootctl machine reset M)";
	if (change->at_ms < 0 && published->ends_rollout)
		hint = "its rollout is done: machines get it at their next boot, but those that keep what is on their disks";
	if (change->at_ms > 0)
		hint = "sanbootctl image publish NAME@V --at none takes it back";
	json = json_pack("{s:s, s:o, s:s}", key, text, "new_machines_get", json_text_or_null(newest), "hint", hint);
	if (change->at_ms < 0)
		json_object_set_new(json, "machines_on_other_versions", json_integer(published->others));
	if (change->at_ms < 0)
		json_object_set_new(json, "ends_rollout", json_boolean(published->ends_rollout));
	if (change->at_ms > 0)
		json_object_set_new(json, "at_ms", json_integer(change->at_ms));
	reply_json(request, 200, json);
}

void handle_image_publish(struct request *request)
{
	struct version_change change = { .job.run = run_publish, .at_ms = -1 };
	const json_t *at = json_object_get(request->json, "at_ms");

	if (!parse_version(request, &change))
		return;
	if (at && json_integer_value(at) < 0) {
		reply_error(request, 400, "in milliseconds since 1970, UTC", "at_ms is no time");
		return;
	}
	if (at)
		change.at_ms = json_integer_value(at);
	if (json_object_get(request->json, "steps") && at) {
		reply_error(request, 400, "give its first step the time",
			    "steps have times of their own: not at_ms, too");
		return;
	}
	if (json_object_get(request->json, "steps")) {
		api_begin_rollout(request, change.image, change.number);
		return;
	}
	if (json_is_true(json_object_get(request->json, "dry_run")) && change.at_ms != 0) {
		api_try_publish(request, change.image, change.number, change.at_ms);
		return;
	}
	if (!change_write(&change))
		return;
	if (at)
		boot_look_at_plans(request->http->config.boot);
	reply_published(request, &change);
}

/* ---- its state, and what is noted about it ---- */

static int run_set(struct inventory_tx *tx, struct inventory_job *job)
{
	struct version_change *change = container_of(job, struct version_change, job);
	const json_t *body = change->request->json;
	const char *actor = change->request->actor;
	struct image_version version;
	enum version_state state;
	int err = version_find(tx, change->image, change->number, &version);

	if (!err && json_object_get(body, "state")) {
		if (!version_state_parse(api_text(body, "state"), &state))
			return reason_refuse(&change->reason, -EINVAL, "state: expected draft, test or retired");
		err = version_set_state(tx, version.id, state, actor, &change->reason);
	}
	if (!err && json_object_get(body, "note"))
		err = version_set_note(tx, version.id, api_text(body, "note"), actor, &change->reason);
	return err;
}

void handle_version_set(struct request *request)
{
	struct version_change change = { .job.run = run_set };

	if (parse_version(request, &change) && change_write(&change))
		handle_image(request);
}
