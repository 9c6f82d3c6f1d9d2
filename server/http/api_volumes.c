// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The API: volumes. What the inventory knows is read in one job, files are looked at after it. What people do with them
 * is one call of boot/, which says why where it refuses, and after success what to do next ("hint").
 */
#include "http/api_snapshots.h"

#include "base/util.h"
#include "boot/boot.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"
#include "store/store.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_TEXT = 32 };

/* ---- reading ---- */

struct volume_ref {
	struct volume volume;
	struct image_version version; /* id 0: none */
	json_t *json;		      /* borrowed from the array */
};

struct volumes_job {
	struct inventory_job job;
	const char *which; /* NULL: all */
	struct inventory_tx *tx;
	json_t *volumes;
	json_t *machines;	     /* of the volume at hand; borrowed */
	char machine[NAME_MAX_TEXT]; /* its last one; "" */
	unsigned lun;		     /* there */
	struct volume_ref *refs;
	unsigned count;
};

static int add_holder(void *arg, int64_t machine_id, unsigned lun)
{
	struct volumes_job *volumes = arg;
	struct machine machine;
	int err = machine_by_id(volumes->tx, machine_id, &machine);

	if (err)
		return err;
	memcpy(volumes->machine, machine.name, sizeof(volumes->machine));
	volumes->lun = lun;
	return json_array_append_new(volumes->machines,
				     json_pack("{s:s, s:I, s:i}", "machine", machine.name, "machine_id",
					       (json_int_t)machine_id, "lun", (int)lun)) ?
		       -ENOMEM :
		       0;
}

/* The parts of a volume that lie in other tables. */
static int add_volume_relations(struct volumes_job *volumes, struct volume_ref *ref)
{
	char image[NAME_MAX_TEXT + 16] = "", label[VOLUME_LABEL_TEXT];
	int err;

	volumes->machine[0] = '\0';
	volumes->lun = 0;
	volumes->machines = json_array();
	json_object_set_new(ref->json, "machines", volumes->machines);
	err = attachment_each_machine(volumes->tx, ref->volume.id, add_holder, volumes);
	if (!err && ref->volume.version_id)
		err = version_by_id(volumes->tx, ref->volume.version_id, &ref->version);
	if (err)
		return err;
	if (ref->version.id)
		snprintf(image, sizeof(image), "%s@%u", ref->version.image, ref->version.number);
	json_object_set_new(ref->json, "image", json_text_or_null(image));
	json_object_set_new(ref->json, "label",
			    http_text_json(api_volume_label(&ref->volume, volumes->machine, volumes->lun, label)));
	json_object_set_new(ref->json, "read_only", json_boolean(volume_kind_is_read_only(ref->volume.kind)));
	return 0;
}

static int add_volume(void *arg, const struct volume *volume)
{
	struct volumes_job *volumes = arg;
	const struct volume_ref ref = { .volume = *volume, .json = api_record_json(volume_fields, volume) };
	int err = json_array_append_new(volumes->volumes, ref.json) ? -ENOMEM : 0;

	if (!err)
		err = array_append(&volumes->refs, &volumes->count, &ref, sizeof(ref));
	return err ? err : add_volume_relations(volumes, &volumes->refs[volumes->count - 1]);
}

static int run_volumes(struct inventory_tx *tx, struct inventory_job *job)
{
	struct volumes_job *volumes = container_of(job, struct volumes_job, job);
	struct volume volume;
	int err;

	volumes->tx = tx;
	if (!volumes->which)
		return volume_each(tx, add_volume, volumes);
	err = volume_find(tx, volumes->which, &volume);
	return err ? err : add_volume(volumes, &volume);
}

/* What is stored of it: after the transaction. */
static void add_stored(struct http *http, const struct volume_ref *ref)
{
	const bool shared = volume_kind_is_shared(ref->volume.kind);
	struct volume_info info = { 0 };
	int err = shared && !ref->version.id ? -ENOENT :
					       store_volume_info(http->config.store, &ref->volume,
								 ref->version.id ? &ref->version : NULL, &info);

	json_object_set_new(ref->json, "virtual_bytes", json_integer((json_int_t)info.virtual_bytes));
	json_object_set_new(ref->json, "allocated_bytes", json_integer((json_int_t)info.allocated_bytes));
	json_object_set_new(ref->json, "format", json_text_or_null(info.format));
	json_object_set_new(ref->json, "path", json_text_or_null(info.path));
	/* A golden file is only read: other tools may read it at any time. */
	json_object_set_new(ref->json, "clean",
			    json_boolean(!err && info.clean &&
					 (volume_kind_is_read_only(ref->volume.kind) ||
					  boot_volume_is_closed(http->config.boot, ref->volume.id))));
	json_set_file_error(ref->json, err);
}

/* All, or one. 0 or -errno; *list is taken by the caller. */
static int read_volumes(struct http *http, const char *which, json_t **list)
{
	struct volumes_job volumes = { .job.run = run_volumes, .which = which, .volumes = json_array() };
	int err = inventory_read_wait(http->config.inventory, &volumes.job);

	for (unsigned i = 0; i < volumes.count && !err; i++)
		add_stored(http, &volumes.refs[i]);
	free(volumes.refs);
	if (err)
		json_decref(volumes.volumes);
	else
		*list = volumes.volumes;
	return err;
}

void handle_volumes(struct request *request)
{
	json_t *list;
	int err = read_volumes(request->http, NULL, &list);

	if (err)
		reply_errno(request, err, "the volumes could not be read", "see sanbootd's log");
	else
		reply_json(request, 200, json_pack("{s:o}", "volumes", list));
}

static void reply_unread(struct request *request, const char *which, int err)
{
	if (err == -ENOENT || err == -EINVAL)
		reply_error(request, 404, "see them with: sanbootctl volume list", "there is no volume %s", which);
	else
		reply_errno(request, err, "the volume could not be read", "see sanbootd's log");
}

/* All about a volume; hint: what to do next, "" or NULL. */
static void reply_volume(struct request *request, unsigned status, const char *which, const char *hint)
{
	json_t *list, *volume, *snapshots;
	int err = read_volumes(request->http, which, &list);

	if (err) {
		reply_unread(request, which, err);
		return;
	}
	volume = json_array_get(list, 0);
	if (json_is_false(json_object_get(volume, "read_only")) && !api_snapshots(request->http, which, &snapshots))
		json_object_set_new(volume, "snapshots", snapshots);
	if (hint)
		json_object_set_new(volume, "hint", http_text_json(hint));
	reply_json(request, status, json_incref(volume));
	json_decref(list);
}

void handle_volume(struct request *request)
{
	reply_volume(request, 200, request->params[0], NULL);
}

/* ---- changing ---- */

/* With why it was refused; or with the volume as it is now, and what to do next. */
static void reply_changed(struct request *request, int err, const char *which, const struct reason *said)
{
	if (err)
		reply_errno(request, err, said->text, "");
	else
		reply_volume(request, 200, which, said->text);
}

static void reply_made(struct request *request, int err, int64_t volume_id, const struct reason *said)
{
	char id[SIZE_TEXT];

	if (err) {
		reply_errno(request, err, said->text, "");
		return;
	}
	snprintf(id, sizeof(id), "#%lld", (long long)volume_id);
	reply_volume(request, 201, id, said->text);
}

/* Where it is missing: -1. Answers where it is no LUN; which ones are allowed is for boot/ to say. */
static bool body_lun(struct request *request, const json_t *body, int *lun)
{
	const json_t *value = json_object_get(body, "lun");
	json_int_t number = json_integer_value(value);

	*lun = -1;
	if (!value || json_is_null(value))
		return true;
	if (!json_is_integer(value) || number < 0 || number > INT_MAX) {
		reply_error(request, 400, "leave it out to take the lowest one that is free",
			    "lun: expected a number from 1 to %d", LUN_MAX);
		return false;
	}
	*lun = (int)number;
	return true;
}

/* "20G", or bytes as a number; 0 where it is missing. */
static bool body_size(struct request *request, const json_t *body, uint64_t *bytes)
{
	const json_t *value = json_object_get(body, "size");
	char text[SIZE_TEXT];

	*bytes = 0;
	if (!value || json_is_null(value))
		return true;
	if (api_scalar_text(value, text, sizeof(text)) && parse_size(text, bytes) && *bytes)
		return true;
	reply_error(request, 400, "", "size: expected a multiple of 4 KiB, such as 20G");
	return false;
}

static bool body_kind(struct request *request, const json_t *body, enum volume_kind *kind)
{
	const char *text = api_text(body, "kind");

	*kind = VOLUME_DATA;
	if (!text[0] && !json_object_get(body, "kind"))
		return true;
	if (volume_kind_parse(text, kind) && (*kind == VOLUME_DATA || volume_kind_is_shared(*kind)))
		return true;
	reply_error(request, 400, "", "kind: expected data, shared or cd");
	return false;
}

static void create_volume(struct request *request, const struct boot_volume_new *create)
{
	struct reason reason = { "" };
	int64_t volume_id = 0;
	int err = boot_volume_create(request->http->config.boot, create, request->actor, &volume_id, &reason);

	reply_made(request, err, volume_id, &reason);
}

void handle_volume_create(struct request *request)
{
	const json_t *body = request->json;
	struct boot_volume_new create = { .machine = json_string_value(json_object_get(body, "machine")),
					  .name = json_string_value(json_object_get(body, "name")),
					  .from = json_string_value(json_object_get(body, "image")) };

	if (!json_object_size(body))
		reply_error(request, 400,
			    "for example {\"machine\": \"pc-001\", \"size\": \"20G\"}, or {\"name\": \"tools\", \"kind\": "
			    "\"shared\", \"image\": \"tools@1\"}",
			    "say which volume to make");
	else if (body_kind(request, body, &create.kind) && body_lun(request, body, &create.lun) &&
		 body_size(request, body, &create.size_bytes))
		create_volume(request, &create);
}

void handle_volume_copy(struct request *request)
{
	struct reason reason = { "" };
	int64_t volume_id = 0;
	int err = boot_volume_copy(request->http->config.boot, request->params[0], api_text(request->json, "name"),
				   request->actor, &volume_id, &reason);

	reply_made(request, err, volume_id, &reason);
}

void handle_volume_attach(struct request *request)
{
	struct reason reason = { "" };
	int err, lun;

	if (!body_lun(request, request->json, &lun))
		return;
	err = boot_volume_attach(request->http->config.boot, request->params[0], api_text(request->json, "machine"),
				 lun, request->actor, &reason);
	reply_changed(request, err, request->params[0], &reason);
}

/* For afterwards: MACHINE:LUN does not name it any more once that machine has lost it. */
static bool find_id(struct request *request, char id[SIZE_TEXT])
{
	json_t *list;
	int err = read_volumes(request->http, request->params[0], &list);

	if (err) {
		reply_unread(request, request->params[0], err);
		return false;
	}
	snprintf(id, SIZE_TEXT, "#%lld", (long long)json_integer_value(json_object_get(json_array_get(list, 0), "id")));
	json_decref(list);
	return true;
}

/* The machine that is to lose it: named in the body, or in MACHINE:LUN; NULL: the only one that has it. */
static const char *loser(const struct request *request, const json_t *body, char machine[REQUEST_PARAM_TEXT])
{
	const char *named = json_string_value(json_object_get(body, "machine")), *volume = request->params[0];
	const char *colon = strrchr(volume, ':'); /* the last: the machine may be named by a MAC */

	if (named || !colon)
		return named;
	memcpy(machine, volume, (size_t)(colon - volume));
	machine[colon - volume] = '\0';
	return machine;
}

void handle_volume_detach(struct request *request)
{
	const json_t *body = request->json;
	char machine[REQUEST_PARAM_TEXT], id[SIZE_TEXT];
	struct reason reason = { "" };
	int err;

	if (!find_id(request, id))
		return;
	err = boot_volume_detach(request->http->config.boot, request->params[0], loser(request, body, machine),
				 json_is_true(json_object_get(body, "force")), request->actor, &reason);
	reply_changed(request, err, id, &reason);
}

void handle_volume_remove(struct request *request)
{
	struct reason reason = { "" };
	int err = boot_volume_remove(request->http->config.boot, request->params[0], request->actor, &reason);

	if (err)
		reply_errno(request, err, reason.text, "");
	else
		reply_json(request, 200, json_pack("{s:o}", "removed", http_text_json(request->params[0])));
}

static int set_key(struct request *request, const char *key, const char *text, struct reason *reason)
{
	int err = boot_volume_set(request->http->config.boot, request->params[0], key, text, request->actor, reason);

	if (!err && !strcmp(key, "name") && !strpbrk(request->params[0], "#:"))
		http_text_copy(request->params[0], sizeof(request->params[0]), text);
	return err;
}

static int rehearse(struct request *request, const struct boot_setting *settings, unsigned count, struct reason *reason)
{
	return boot_rehearse_volume_set(request->http->config.boot, request->params[0], settings, count, reason);
}

void handle_volume_set(struct request *request)
{
	struct reason said = { "" };

	if (!json_object_size(request->json))
		reply_error(request, 400, "for example {\"size\": \"40G\"}", "no key was given");
	else
		reply_changed(request, api_set_keys(request, rehearse, set_key, &said), request->params[0], &said);
}
