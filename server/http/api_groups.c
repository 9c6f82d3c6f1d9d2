// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: groups of machines. */
#include "http/api.h"

#include "base/util.h"
#include "boot/boot.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct groups_job {
	struct inventory_job job;
	const char *which; /* NULL: all */
	struct inventory_tx *tx;
	json_t *groups;
};

static int add_volume(void *arg, const struct volume *volume)
{
	return json_array_append_new(arg, http_text_json(volume->name)) ? -ENOMEM : 0;
}

static int add_group(void *arg, const struct machine_group *group)
{
	struct groups_job *groups = arg;
	json_t *json = api_record_json(group_fields, group), *volumes = json_array();

	json_object_set_new(json, "volumes", volumes);
	json_object_set_new(json, "machines", json_integer(group->machines));
	if (json_array_append_new(groups->groups, json))
		return -ENOMEM;
	return group_volume_each(groups->tx, group->id, add_volume, volumes);
}

static int run_groups(struct inventory_tx *tx, struct inventory_job *job)
{
	struct groups_job *groups = container_of(job, struct groups_job, job);
	struct machine_group group;
	int err;

	groups->tx = tx;
	if (!groups->which)
		return group_each(tx, add_group, groups);
	err = group_by_name(tx, groups->which, &group);
	return err ? err : add_group(groups, &group);
}

void handle_groups(struct request *request)
{
	struct groups_job groups = { .job.run = run_groups, .groups = json_array() };

	if (api_read(request, &groups.job, "the groups could not be read"))
		reply_json(request, 200, json_pack("{s:O}", "groups", groups.groups));
	json_decref(groups.groups);
}

static void reply_group(struct request *request, const char *name, const char *hint)
{
	struct groups_job groups = { .job.run = run_groups, .which = name, .groups = json_array() };
	int err = inventory_read_wait(request->http->config.inventory, &groups.job);

	if (!err && hint[0])
		json_object_set_new(json_array_get(groups.groups, 0), "hint", http_text_json(hint));
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
	reply_group(request, request->params[0], "");
}

static int set_key(struct request *request, const char *key, const char *text, struct reason *reason)
{
	int err = boot_group_set(request->http->config.boot, request->params[0], key, text, request->actor, reason);

	if (!err && !strcmp(key, "name"))
		http_text_copy(request->params[0], sizeof(request->params[0]), text);
	return err;
}

static int rehearse(struct request *request, const struct boot_setting *settings, unsigned count, struct reason *reason)
{
	return boot_rehearse_group_set(request->http->config.boot, request->params[0], false, settings, count, reason);
}

/* Would a group of that name, with all of this, be made? */
static int rehearse_new(struct request *request, struct reason *reason)
{
	struct api_settings *settings = api_settings_take(request, reason);
	const struct boot_setting *list;
	unsigned count;
	int err;

	if (!settings)
		return -EINVAL;
	list = api_settings_list(settings, &count);
	err = boot_rehearse_group_set(request->http->config.boot, request->params[0], true, list, count, reason);
	api_settings_free(settings);
	return err;
}

static void set_and_reply(struct request *request)
{
	struct reason said = { "" };
	int err = api_set_keys(request, rehearse, set_key, &said);

	if (err)
		reply_errno(request, err, said.text, "");
	else
		reply_group(request, request->params[0], said.text);
}

void handle_group_add(struct request *request)
{
	char *name = request->params[0]; /* the path names none */
	struct reason reason = { "" };
	int err;

	http_text_copy(name, sizeof(request->params[0]), api_text(request->json, "name"));
	json_object_del(request->json, "name"); /* it has that one */
	err = json_object_size(request->json) ? rehearse_new(request, &reason) : 0;
	if (!err)
		err = boot_group_add(request->http->config.boot, name, request->actor, &reason);
	if (err) {
		reply_errno(request, err, reason.text,
			    name[0] ? "" : "for example {\"name\": \"lab\", \"boot\": \"menu\"}");
		return;
	}
	set_and_reply(request);
}

void handle_group_set(struct request *request)
{
	if (!json_object_size(request->json))
		reply_error(request, 400, "for example {\"priority\": 10}", "no key was given");
	else
		set_and_reply(request);
}

void handle_group_remove(struct request *request)
{
	struct reason reason = { "" };
	int err = boot_group_remove(request->http->config.boot, request->params[0], request->actor, &reason);

	if (err)
		reply_errno(request, err, reason.text, "");
	else
		reply_json(request, 200,
			   json_pack("{s:o, s:o}", "removed", http_text_json(request->params[0]), "hint",
				     http_text_json(reason.text)));
}
