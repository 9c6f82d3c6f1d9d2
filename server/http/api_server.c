// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: the server as a whole, its policy, its events. */
#include "http/api.h"
#include "http/api_machines.h"
#include "http/api_retention.h"

#include "base/util.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/stream.h"
#include "http/text.h"
#include "http/usage.h"
#include "inventory/keep.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS_MAX = 1000, EVENTS_DEFAULT = 100 };

/* ---- status ---- */

struct counts_job {
	struct inventory_job job;
	struct policy policy;
	struct usage usage;
	unsigned waiting, versions, images, default_found;
	char default_image[NAME_MAX_TEXT];
	char last_image[NAME_MAX_TEXT];
};

static int count_waiting(void *arg, const struct waiting *waiting)
{
	struct counts_job *counts = arg;

	counts->waiting += waiting->reason != WAIT_DENIED;
	return 0;
}

static int count_version(void *arg, const struct image_version *version)
{
	struct counts_job *counts = arg;

	counts->versions++;
	if (strcmp(counts->last_image, version->image))
		counts->images++;
	memcpy(counts->last_image, version->image, sizeof(counts->last_image));
	if (version->is_default)
		memcpy(counts->default_image, version->image, sizeof(counts->default_image));
	return 0;
}

static int run_counts(struct inventory_tx *tx, struct inventory_job *job)
{
	struct counts_job *counts = container_of(job, struct counts_job, job);
	int err = policy_get(tx, &counts->policy);

	if (!err)
		err = waiting_each(tx, count_waiting, counts);
	if (!err)
		err = version_each(tx, count_version, counts);
	return err ? err : usage_read(tx, &counts->usage);
}

/* How many of the machines are in each state. */
static json_t *machine_counts(const json_t *machines)
{
	unsigned running = 0, off = 0, failed = 0;
	json_t *machine;
	size_t i;

	json_array_foreach(machines, i, machine) {
		const char *state = api_text(machine, "state");

		running += !strcmp(state, "running");
		off += !strcmp(state, "off");
		failed += !strcmp(state, "failed");
	}
	return json_pack("{s:i, s:i, s:i, s:i}", "total", (int)json_array_size(machines), "running", (int)running,
			 "off", (int)off, "failed", (int)failed);
}

/* ---- files of the site's own ---- */

static void add_entry(void *arg, const char *name, const char *title, bool menu)
{
	json_array_append_new(arg, json_pack("{s:o, s:o, s:b}", "name", http_text_json(name), "title",
					     http_text_json(title), "menu", menu));
}

static void add_template(void *arg, const char *file)
{
	json_array_append_new(arg, http_text_json(file));
}

static void add_problem(void *arg, const struct boot_problem *problem)
{
	json_array_append_new(arg, json_pack("{s:o, s:o, s:o}", "file", http_text_json(problem->file), "line",
					     problem->line ? json_integer(problem->line) : json_null(), "reason",
					     http_text_json(problem->why.text)));
}

static void add_site(struct http *http, json_t *status)
{
	json_t *entries = json_array(), *templates = json_array(), *problems = json_array();

	boot_each_entry(http->config.boot, add_entry, entries);
	boot_each_template(http->config.boot, add_template, templates);
	boot_each_problem(http->config.boot, add_problem, problems);
	json_object_set_new(status, "entries", entries);
	json_object_set_new(status, "templates", templates);
	json_object_set_new(status, "problems", problems);
}

/* What main knows of itself, and of dnsmasq. */
static json_t *facts_json(const struct http_facts *facts, const json_t *machines)
{
	json_t *portals = json_array(), *dhcp = api_dhcp_json(&facts->dhcp);

	for (unsigned i = 0; i < facts->portal_count; i++) {
		char text[PARSE_ENDPOINT_TEXT];

		json_array_append_new(portals, json_string(endpoint_format(&facts->portals[i], text)));
	}
	if (facts->dhcp.mode == DHCP_FULL) {
		json_object_set_new(dhcp, "leases", json_array());
		api_join_leases(&facts->dhcp, machines, json_object_get(dhcp, "leases"));
	}
	return json_pack("{s:s, s:I, s:o, s:o}", "version", facts->version, "started_ms", (json_int_t)facts->started_ms,
			 "portals", portals, "dhcp", dhcp);
}

/* What was counted: of machines, images and volumes; and the room that is left. */
static void add_counts(json_t *status, const struct counts_job *counts, const json_t *machines,
		       const struct store_space *space)
{
	json_object_set_new(status, "machines", machine_counts(machines));
	json_object_set_new(status, "waiting", json_integer(counts->waiting));
	json_object_set_new(status, "images",
			    json_pack("{s:i, s:i, s:o}", "names", (int)counts->images, "versions",
				      (int)counts->versions, "default", json_text_or_null(counts->default_image)));
	json_object_set_new(status, "space",
			    json_pack("{s:I, s:I, s:I, s:I, s:I}", "total_bytes", (json_int_t)space->total_bytes,
				      "free_bytes", (json_int_t)space->free_bytes, "reserve_bytes",
				      (json_int_t)space->reserve_bytes, "images_bytes", (json_int_t)space->images_bytes,
				      "children_bytes", (json_int_t)space->volumes_bytes));
	json_object_set_new(status, "volumes", usage_volumes_json(&counts->usage));
	json_object_set_new(status, "snapshots", usage_snapshots_json(&counts->usage));
	json_object_set_new(status, "sharing", usage_sharing_json(&counts->usage));
	json_object_set_new(status, "enrol", json_string(policy_enrol_name(counts->policy.enrol)));
}

static void add_warning(void *arg, const char *text)
{
	json_array_append_new(arg, http_text_json(text));
}

static void add_warnings(struct http *http, json_t *status)
{
	json_t *warnings = json_array();

	store_each_warning(http->config.store, add_warning, warnings);
	json_object_set_new(status, "warnings", warnings);
}

void handle_status(struct request *request)
{
	struct http *http = request->http;
	struct counts_job counts = { .job.run = run_counts };
	struct store_space space;
	struct http_facts facts;
	json_t *status, *machines;
	int err;

	if (!api_read(request, &counts.job, "the inventory could not be read"))
		goto out;
	err = store_get_space(http->config.store, &counts.policy, &space);
	if (err) {
		reply_errno(request, err, "the space of the state directory could not be read", "see sanbootd's log");
		goto out;
	}
	err = api_machines(http, NULL, false, false, &machines);
	if (err) {
		reply_errno(request, err, "the machines could not be read", "see sanbootd's log");
		goto out;
	}
	usage_measure(http, machines, &counts.usage);
	api_get_facts(http, &facts);
	status = facts_json(&facts, machines);
	api_facts_free(&facts);
	json_object_set_new(status, "now_ms", json_integer(time_unix_ms()));
	json_object_set_new(status, "uptime_s",
			    json_integer((json_int_t)((time_monotonic_ms() - http->started_ms) / 1000)));
	json_object_set_new(status, "http", json_string(http->listeners[0].address));
	add_counts(status, &counts, machines, &space);
	add_site(http, status);
	add_warnings(http, status);
	json_decref(machines);
	reply_json(request, 200, status);
out:
	usage_fini(&counts.usage);
}

/* ---- policy ---- */

struct policy_job {
	struct inventory_job job;
	json_t *values; /* to set, or what was read */
	const char *actor;
	struct reason reason;
};

static int read_policy_value(void *arg, const char *key, const char *value)
{
	uint64_t number;
	bool count =
		(!strncmp(key, "max-", 4) || !strcmp(key, "menu-timeout")) && parse_u64(value, 0, UINT32_MAX, &number);

	return json_object_set_new(arg, key, count ? json_integer((json_int_t)number) : http_text_json(value));
}

static int run_policy_get(struct inventory_tx *tx, struct inventory_job *job)
{
	return policy_each(tx, read_policy_value, container_of(job, struct policy_job, job)->values);
}

static int run_policy_set(struct inventory_tx *tx, struct inventory_job *job)
{
	struct policy_job *policy = container_of(job, struct policy_job, job);
	const char *key;
	json_t *value;

	json_object_foreach(policy->values, key, value) {
		char text[256];
		int err = -EINVAL;

		if (!api_scalar_text(value, text, sizeof(text)))
			reason_set(&policy->reason, "the value of a policy is a text or a number");
		else
			err = policy_set(tx, key, text, &policy->reason);
		if (!err)
			err = event_add(tx, "info", "policy-changed", policy->actor, 0, key, "%s=%s", key, text);
		if (err)
			return err;
	}
	return 0;
}

/* next: what else the answer says, by the name retention; taken; NULL: nothing. */
static void reply_policy(struct request *request, json_t *next)
{
	struct policy_job policy = { .job.run = run_policy_get, .values = json_object() };

	if (api_read(request, &policy.job, "the policy could not be read")) {
		if (next)
			json_object_set(policy.values, "retention", next);
		reply_json(request, 200, json_incref(policy.values));
	}
	json_decref(policy.values);
	json_decref(next);
}

void handle_policy_get(struct request *request)
{
	reply_policy(request, NULL);
}

static bool sets_retention(const json_t *values)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)values, key, value) {
		if (keep_is_rule(key))
			return true;
	}
	return false;
}

void handle_policy_set(struct request *request)
{
	struct policy_job policy = { .job.run = run_policy_set, .actor = request->actor };
	int err;

	policy.values = request->json;
	if (!json_object_size(policy.values)) {
		reply_error(request, 400, "for example {\"enrol\": \"approve\"}", "no policy key was given");
		return;
	}
	err = inventory_write_wait(request->http->config.inventory, &policy.job);
	if (err)
		reply_error(request, err == -ENOENT ? 400 : reply_status_of(err),
			    "see the keys and their values with: sanbootctl policy show", "%s",
			    policy.reason.text[0] ? policy.reason.text : strerror(-err));
	else
		reply_policy(request, sets_retention(policy.values) ? api_retention_next(request->http) : NULL);
}

/* ---- events ---- */

struct events_job {
	struct inventory_job job;
	json_t *events;
	const char *machine;
	int64_t after, max;
};

static int add_event(void *arg, const struct event *event)
{
	return json_array_append_new(arg, api_event_json(event)) ? -ENOMEM : 0;
}

static int run_events(struct inventory_tx *tx, struct inventory_job *job)
{
	struct events_job *events = container_of(job, struct events_job, job);
	struct machine machine = { .id = 0 };
	int err = events->machine ? machine_find(tx, events->machine, &machine) : 0;

	return err ? err : event_each(tx, events->after, machine.id, (unsigned)events->max, add_event, events->events);
}

static void stream_events(struct request *request, int64_t after)
{
	uint64_t last;
	int err;

	/* A browser that comes back says what it has seen (WHATWG HTML §9.2.4). */
	if (request->last_event_id && parse_u64(request->last_event_id, 0, INT64_MAX, &last))
		after = (int64_t)last;
	err = stream_new(request->http, after, request->login_ends_ms, &request->reply.stream);
	if (err) {
		reply_errno(request, err, "too many event streams are open", "ask again later, or poll with ?after=ID");
		return;
	}
	request->reply.status = 200;
	request->reply.type = "text/event-stream";
}

void handle_events(struct request *request)
{
	struct events_job events = { .job.run = run_events, .machine = request_arg(request, "machine") };

	if (!request_arg_number(request, "after", -1, -1, INT64_MAX, &events.after) ||
	    !request_arg_number(request, "max", EVENTS_DEFAULT, 1, EVENTS_MAX, &events.max))
		return;
	if (request->accept && strstr(request->accept, "text/event-stream")) {
		stream_events(request, events.after);
		return;
	}
	events.events = json_array();
	if (api_read(request, &events.job, "no such events could be read"))
		reply_json(request, 200, json_pack("{s:O}", "events", events.events));
	json_decref(events.events);
}
