// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The API: snapshots of volumes. machines/M/... is of the disk that a machine boots from; volumes/M:0/... is the same.
 */
#include "http/api_snapshots.h"

#include "base/util.h"
#include "boot/boot.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"
#include "inventory/snapshot.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOLUME_TEXT = REQUEST_PARAM_TEXT + 2 };

/* ---- reading ---- */

struct snapshots_job {
	struct inventory_job job;
	const char *which;
	struct volume volume;
	struct snapshot *list;
	unsigned count;
};

static int take_snapshot(void *arg, const struct snapshot *snapshot)
{
	struct snapshots_job *snapshots = arg;

	return array_append(&snapshots->list, &snapshots->count, snapshot, sizeof(*snapshot));
}

static int run_snapshots(struct inventory_tx *tx, struct inventory_job *job)
{
	struct snapshots_job *snapshots = container_of(job, struct snapshots_job, job);
	int err = volume_find(tx, snapshots->which, &snapshots->volume);

	return err ? err : snapshot_each(tx, snapshots->volume.id, take_snapshot, snapshots);
}

static json_t *snapshot_json(struct http *http, const struct volume *volume, const struct snapshot *snapshot)
{
	struct volume layer = *volume;
	struct volume_info info;
	json_t *json;
	int err;

	memcpy(layer.object, snapshot->object, sizeof(layer.object));
	err = store_volume_info(http->config.store, &layer, NULL, &info);
	json = json_pack("{s:o, s:o, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:o}", "label", http_text_json(snapshot->label),
			 "created_ms", json_time_or_null(snapshot->created_ms), "automatic", snapshot->automatic,
			 "removed", snapshot->removed, "current", volume->snapshot_id == snapshot->id, "boot",
			 (json_int_t)snapshot->boot, "left_by", (json_int_t)snapshot->left_by, "size_bytes",
			 (json_int_t)snapshot->size_bytes, "allocated_bytes", (json_int_t)info.allocated_bytes, "path",
			 json_text_or_null(info.path));
	json_set_file_error(json, err);
	return json;
}

int api_snapshots(struct http *http, const char *which, json_t **list)
{
	struct snapshots_job snapshots = { .job.run = run_snapshots, .which = which };
	json_t *json = json_array();
	int err = inventory_read_wait(http->config.inventory, &snapshots.job);

	for (unsigned i = 0; i < snapshots.count && !err; i++)
		json_array_append_new(json, snapshot_json(http, &snapshots.volume, &snapshots.list[i]));
	free(snapshots.list);
	if (err)
		json_decref(json);
	else
		*list = json;
	return err;
}

/* The volume that the path names. */
static const char *volume_of(const struct request *request, bool machine, char text[VOLUME_TEXT])
{
	snprintf(text, VOLUME_TEXT, "%s%s", request->params[0], machine ? ":0" : "");
	return text;
}

static void list_snapshots(struct request *request, bool machine)
{
	char volume[VOLUME_TEXT];
	json_t *list;
	int err = api_snapshots(request->http, volume_of(request, machine, volume), &list);

	if (err == -ENOENT || err == -EINVAL)
		reply_error(request, 404,
			    machine ? "see them with: sanbootctl machine list" :
				      "see them with: sanbootctl volume list",
			    "there is no %s %s", machine ? "machine" : "volume", request->params[0]);
	else if (err)
		reply_errno(request, err, "the snapshots could not be read", "see sanbootd's log");
	else
		reply_json(request, 200, json_pack("{s:o}", "snapshots", list));
}

void handle_machine_snapshots(struct request *request)
{
	list_snapshots(request, true);
}

void handle_volume_snapshots(struct request *request)
{
	list_snapshots(request, false);
}

/* ---- changing ---- */

typedef int change_snapshot(struct boot *boot, const char *volume, const char *label, const char *actor,
			    struct reason *reason);

static void change(struct request *request, bool machine, change_snapshot *run, const char *label, const char *verb,
		   unsigned status)
{
	char volume[VOLUME_TEXT];
	struct reason reason = { "" };
	int err = run(request->http->config.boot, volume_of(request, machine, volume), label, request->actor, &reason);

	if (err)
		reply_errno(request, err, reason.text,
			    err == -EBUSY && !strstr(reason.text, "sanbootctl") ?
				    "a snapshot is taken of, or restored to, a disk that is closed" :
				    "");
	else
		reply_json(request, status,
			   json_pack("{s:o, s:o}", verb, http_text_json(label), "hint", http_text_json(reason.text)));
}

/* With the label out of the body. */
static void change_by_body(struct request *request, bool machine, change_snapshot *run, const char *verb,
			   unsigned status)
{
	change(request, machine, run, api_text(request->json, "label"), verb, status);
}

void handle_machine_snapshot(struct request *request)
{
	change_by_body(request, true, boot_snapshot_take, "snapshot", 201);
}

void handle_volume_snapshot(struct request *request)
{
	change_by_body(request, false, boot_snapshot_take, "snapshot", 201);
}

void handle_machine_restore(struct request *request)
{
	change_by_body(request, true, boot_snapshot_restore, "restored", 200);
}

void handle_volume_restore(struct request *request)
{
	change_by_body(request, false, boot_snapshot_restore, "restored", 200);
}

void handle_machine_snapshot_remove(struct request *request)
{
	change(request, true, boot_snapshot_remove, request->params[1], "removed", 200);
}

void handle_volume_snapshot_remove(struct request *request)
{
	change(request, false, boot_snapshot_remove, request->params[1], "removed", 200);
}

/* ---- a version of it ---- */

void handle_machine_promote(struct request *request)
{
	const char *snapshot = api_text(request->json, "snapshot");
	struct reason reason = { "" };
	struct image_version version;
	char name[NAME_MAX_TEXT + 16];
	int err = boot_promote(request->http->config.boot, request->params[0], api_text(request->json, "image"),
			       snapshot[0] ? snapshot : NULL, request->actor, &version, &reason);

	if (err) {
		reply_errno(request, err, reason.text, "");
		return;
	}
	snprintf(name, sizeof(name), "%s@%u", version.image, version.number);
	reply_json(request, 201,
		   json_pack("{s:s, s:b, s:o}", "version", name, "published", version.state == VERSION_PUBLISHED,
			     "hint", http_text_json(reason.text)));
}
