// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: groups of machines, and the entries that machines may boot. */
#include "http/api.h"

#include "base/util.h"
#include "boot/boot.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static json_t *group_json(const struct machine_group *group)
{
	return json_pack("{s:s, s:i, s:o, s:o, s:i}", "name", group->name, "priority", group->priority, "boot",
			 json_text_or_null(group->boot), "note", json_text_or_null(group->note), "machines",
			 (int)group->machines);
}

struct groups_job {
	struct inventory_job job;
	const char *which; /* NULL: all */
	json_t *groups;
};

static int add_group(void *arg, const struct machine_group *group)
{
	return json_array_append_new(arg, group_json(group)) ? -ENOMEM : 0;
}

static int run_groups(struct inventory_tx *tx, struct inventory_job *job)
{
	struct groups_job *groups = container_of(job, struct groups_job, job);
	struct machine_group group;
	int err;

	if (!groups->which)
		return group_each(tx, add_group, groups->groups);
	err = group_by_name(tx, groups->which, &group);
	return err ? err : add_group(groups->groups, &group);
}

void handle_groups(struct request *request)
{
	struct groups_job groups = { .job.run = run_groups, .groups = json_array() };

	if (api_read(request, &groups.job, "the groups could not be read"))
		reply_json(request, 200, json_pack("{s:O}", "groups", groups.groups));
	json_decref(groups.groups);
}

static void reply_group(struct request *request, const char *name)
{
	struct groups_job groups = { .job.run = run_groups, .which = name, .groups = json_array() };
	int err = inventory_read_wait(request->http->config.inventory, &groups.job);

	if (err == -ENOENT)
		reply_error(request, 404, "see the groups with: sanbootctl group list", "there is no group %s", name);
	else if (err)
		reply_errno(request, err, "the group could not be read", "see sanbootd's log");
	else
		reply_json(request, 200, json_incref(json_array_get(groups.groups, 0)));
	json_decref(groups.groups);
}

void handle_group(struct request *request)
{
	reply_group(request, request->params[0]);
}

/* One key after the other, in the order given. name: follows a new one. */
static bool set_keys(struct request *request, const json_t *body, char name[REQUEST_PARAM_TEXT], bool added)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)body, key, value) {
		char text[NOTE_TEXT];
		struct reason reason = { "" };
		int err;

		if (added && !strcmp(key, "name"))
			continue;
		if (!api_value_text(request, key, value, text))
			return false;
		err = boot_group_set(request->http->config.boot, name, key, text, request->actor, &reason);
		if (err) {
			reply_errno(request, err, reason.text, "");
			return false;
		}
		if (!strcmp(key, "name"))
			text_copy(name, REQUEST_PARAM_TEXT, text);
	}
	return true;
}

void handle_group_add(struct request *request)
{
	char name[REQUEST_PARAM_TEXT];
	struct reason reason = { "" };
	json_t *body = request_json(request);
	int err;

	if (!body)
		return;
	text_copy(name, sizeof(name), api_text(body, "name"));
	err = boot_group_add(request->http->config.boot, name, request->actor, &reason);
	if (err)
		reply_errno(request, err, reason.text,
			    name[0] ? "" : "for example {\"name\": \"lab\", \"boot\": \"menu\"}");
	else if (set_keys(request, body, name, true))
		reply_group(request, name);
	json_decref(body);
}

void handle_group_set(struct request *request)
{
	json_t *body = request_json(request);

	if (!body)
		return;
	if (!json_object_size(body))
		reply_error(request, 400, "for example {\"priority\": 10}", "no key was given");
	else if (set_keys(request, body, request->params[0], false))
		reply_group(request, request->params[0]);
	json_decref(body);
}

void handle_group_remove(struct request *request)
{
	struct reason reason = { "" };
	int err = boot_group_remove(request->http->config.boot, request->params[0], request->actor, &reason);

	if (err)
		reply_errno(request, err, reason.text, "");
	else
		reply_json(request, 200, json_pack("{s:o}", "removed", text_json(request->params[0])));
}

/* ---- files of the site's own ---- */

static void add_entry(void *arg, const char *name, const char *title, bool menu)
{
	json_array_append_new(arg, json_pack("{s:o, s:o, s:b}", "name", text_json(name), "title", text_json(title),
					     "menu", menu));
}

static void add_template(void *arg, const char *file)
{
	json_array_append_new(arg, text_json(file));
}

static void add_problem(void *arg, const struct boot_problem *problem)
{
	json_array_append_new(arg, json_pack("{s:o, s:o, s:o}", "file", text_json(problem->file), "line",
					     problem->line ? json_integer(problem->line) : json_null(), "reason",
					     text_json(problem->why.text)));
}

void api_add_site(struct http *http, json_t *status)
{
	json_t *entries = json_array(), *templates = json_array(), *problems = json_array();

	boot_each_entry(http->config.boot, add_entry, entries);
	boot_each_template(http->config.boot, add_template, templates);
	boot_each_problem(http->config.boot, add_problem, problems);
	json_object_set_new(status, "entries", entries);
	json_object_set_new(status, "templates", templates);
	json_object_set_new(status, "problems", problems);
}
