// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: images, their versions, imports. */
#include "http/api.h"

#include "base/util.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSIONS_MAX = 4096 };

/* "NAME" or "NAME@V"; number 0 where there is none. Answers 400 where it is neither. */
static bool parse_image(struct request *request, const char *text, char name[NAME_MAX_TEXT], unsigned *number)
{
	if (version_name_parse(text, name, number))
		return true;
	reply_error(request, 400, "an image is named NAME or NAME@VERSION, for example debian@2",
		    "this is no image name");
	return false;
}

/* ---- lists ---- */

struct versions_job {
	struct inventory_job job;
	const char *name; /* NULL: all */
	unsigned number;  /* 0: all */
	struct image_version *list;
	unsigned count;
};

static int add_version(void *arg, const struct image_version *version)
{
	struct versions_job *versions = arg;

	if ((versions->name && strcmp(versions->name, version->image)) ||
	    (versions->number && versions->number != version->number))
		return 0;
	if (versions->count == VERSIONS_MAX)
		return -E2BIG;
	return array_append(&versions->list, &versions->count, version, sizeof(*version));
}

static int run_versions(struct inventory_tx *tx, struct inventory_job *job)
{
	return version_each(tx, add_version, container_of(job, struct versions_job, job));
}

static json_t *find_image(json_t *images, const struct image_version *version)
{
	json_t *image;
	size_t i;

	json_array_foreach(images, i, image)
		if (!strcmp(api_text(image, "name"), version->image))
			return image;
	image = json_pack("{s:s, s:b, s:n, s:i, s:I, s:[]}", "name", version->image, "default", version->is_default,
			  "published", "machines", 0, "allocated_bytes", (json_int_t)0, "versions");
	json_array_append_new(images, image);
	return image;
}

static void add_to_image(struct http *http, json_t *images, const struct image_version *version)
{
	uint64_t bytes = store_version_allocated(http->config.store, version);
	json_t *image = find_image(images, version), *described;
	struct read_set_info learnt;

	store_get_read_set_info(http->config.store, version, &learnt);
	described = api_version_json(version, bytes);
	json_object_set_new(described, "boots_learnt", json_integer(learnt.boots));
	json_object_set_new(described, "boot_bytes", json_integer((json_int_t)learnt.needed_bytes));
	json_array_append_new(json_object_get(image, "versions"), described);
	if (version->is_newest)
		json_object_set_new(image, "published", json_integer(version->number));
	json_object_set_new(image, "machines",
			    json_integer(json_integer_value(json_object_get(image, "machines")) + version->machines));
	json_object_set_new(image, "allocated_bytes",
			    json_integer(json_integer_value(json_object_get(image, "allocated_bytes")) +
					 (json_int_t)bytes));
}

static json_t *images_json(struct http *http, const struct versions_job *versions)
{
	json_t *images = json_array();

	for (unsigned i = 0; i < versions->count; i++)
		add_to_image(http, images, &versions->list[i]);
	return images;
}

void handle_images(struct request *request)
{
	struct versions_job versions = { .job.run = run_versions };

	if (api_read(request, &versions.job, "the images could not be read"))
		reply_json(request, 200, json_pack("{s:o}", "images", images_json(request->http, &versions)));
	free(versions.list);
}

static void reply_no_image(struct request *request)
{
	reply_error(request, 404, "see what there is with: sanbootctl image list", "there is no image %s",
		    request->params[0]);
}

void handle_image(struct request *request)
{
	char name[NAME_MAX_TEXT];
	struct versions_job versions = { .job.run = run_versions, .name = name };
	json_t *images;

	if (!parse_image(request, request->params[0], name, &versions.number) ||
	    !api_read(request, &versions.job, "the image could not be read"))
		return;
	images = images_json(request->http, &versions);
	if (json_array_size(images))
		reply_json(request, 200, json_incref(json_array_get(images, 0)));
	else
		reply_no_image(request);
	json_decref(images);
	free(versions.list);
}

/* ---- imports ---- */

void handle_image_import(struct request *request)
{
	const json_t *body = request->json;
	const char *path = api_text(body, "path"), *name = api_text(body, "name");
	struct reason reason = { "" };
	uint64_t id;
	int err;

	if (path[0] != '/' || !image_name_valid(name)) {
		reply_error(request, 400,
			    "for example {\"path\": \"/srv/debian.qcow2\", \"name\": \"debian\", \"default\": true}",
			    path[0] != '/' ?
				    "path must be the absolute path of a file on the server" :
				    "name must be letters, digits, '-', '_' and '.', not starting with '.' or '-'");
		return;
	}
	err = store_import(request->http->config.store, path, name,
			   json_is_true(json_object_get(body, "default")) ? IMPORT_AS_DEFAULT :
			   json_is_true(json_object_get(body, "volume"))  ? IMPORT_FOR_VOLUMES :
									    IMPORT_FOR_MACHINES,
			   request->actor, &id, &reason);
	if (err)
		reply_errno(request, err, reason.text, "");
	else
		reply_json(request, 202, json_pack("{s:I, s:s}", "import", (json_int_t)id, "name", name));
}

struct version_job {
	struct inventory_job job;
	struct image_version version;
	int64_t id;
};

static int run_version_by_id(struct inventory_tx *tx, struct inventory_job *job)
{
	struct version_job *wanted = container_of(job, struct version_job, job);

	return version_by_id(tx, wanted->id, &wanted->version);
}

static json_t *import_json(struct http *http, const struct import_status *status)
{
	static const char *const stages[] = {
		[IMPORT_QUEUED] = "queued",   [IMPORT_CHECKING] = "checking", [IMPORT_CONVERTING] = "converting",
		[IMPORT_HASHING] = "hashing", [IMPORT_DONE] = "done",	      [IMPORT_FAILED] = "failed"
	};
	struct version_job version = { .job.run = run_version_by_id, .id = status->version_id };
	char name[NAME_MAX_TEXT + 16] = "";
	bool published = false;

	if (status->stage == IMPORT_DONE && !inventory_read_wait(http->config.inventory, &version.job)) {
		snprintf(name, sizeof(name), "%s@%u", version.version.image, version.version.number);
		published = version.version.state == VERSION_PUBLISHED;
	}
	return json_pack("{s:I, s:s, s:b, s:o, s:o, s:i, s:o, s:o, s:b, s:o, s:o}", "import", (json_int_t)status->id,
			 "stage", stages[status->stage], "canceled", status->canceled, "name",
			 http_text_json(status->name), "source", http_text_json(status->source), "percent",
			 (int)status->percent, "text", http_text_json(status->text), "version", json_text_or_null(name),
			 "published", published, "warnings", json_lines(status->warnings), "changes",
			 json_lines(status->changes));
}

static bool parse_import(struct request *request, uint64_t *id)
{
	if (parse_u64(request->params[0], 1, UINT64_MAX, id))
		return true;
	reply_error(request, 404, "see them with: sanbootctl image imports", "an import goes by its number");
	return false;
}

static void reply_import(struct request *request, uint64_t id)
{
	struct import_status status;

	if (store_import_status(request->http->config.store, id, &status))
		reply_error(request, 404, "the last 32 imports are remembered, until sanbootd is restarted",
			    "there is no such import");
	else
		reply_json(request, 200, import_json(request->http, &status));
}

void handle_import(struct request *request)
{
	uint64_t id;

	if (parse_import(request, &id))
		reply_import(request, id);
}

void handle_imports(struct request *request)
{
	struct import_status *list = calloc(IMPORTS_KEPT, sizeof(*list));
	json_t *imports = json_array();
	unsigned count = list ? store_import_list(request->http->config.store, list) : 0;

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(imports, import_json(request->http, &list[i]));
	if (list)
		reply_json(request, 200, json_pack("{s:O}", "imports", imports));
	else
		reply_errno(request, -ENOMEM, "", "");
	json_decref(imports);
	free(list);
}

void handle_import_cancel(struct request *request)
{
	struct reason reason = { "" };
	uint64_t id;
	int err;

	if (!parse_import(request, &id))
		return;
	err = store_import_cancel(request->http->config.store, id, request->actor, &reason);
	if (err)
		reply_errno(request, err, reason.text, "see what there is with: sanbootctl image imports");
	else
		reply_import(request, id);
}

/* ---- changes ---- */

struct publish_job {
	struct inventory_job job;
	const char *image, *actor;
	unsigned number, older;		      /* older: machines that stay on other versions */
	struct image_version version, newest; /* newest: what new machines get now */
};

static int count_older(void *arg, const struct image_version *version)
{
	struct publish_job *publish = arg;

	if (!strcmp(version->image, publish->image) && version->number != publish->number)
		publish->older += version->machines;
	return 0;
}

static int run_publish(struct inventory_tx *tx, struct inventory_job *job)
{
	struct publish_job *publish = container_of(job, struct publish_job, job);
	int err = version_find(tx, publish->image, publish->number, &publish->version);

	publish->older = 0;
	if (!err)
		err = version_publish(tx, publish->version.id);
	if (!err)
		err = version_each(tx, count_older, publish);
	if (!err)
		err = version_find(tx, publish->image, 0, &publish->newest);
	if (err)
		return err;
	return event_add(tx, "info", "image-published", publish->actor, 0, publish->image,
			 "%s@%u is published; new machines get %s@%u; %u machine%s on other versions", publish->image,
			 publish->number, publish->image, publish->newest.number, publish->older,
			 publish->older == 1 ? " stays" : "s stay");
}

void handle_image_publish(struct request *request)
{
	struct publish_job publish = { .job.run = run_publish, .actor = request->actor };
	char name[NAME_MAX_TEXT], text[NAME_MAX_TEXT + 16], newest[NAME_MAX_TEXT + 16];
	int err;

	if (!parse_image(request, request->params[0], name, &publish.number))
		return;
	if (!publish.number) {
		reply_error(request, 400, "for example debian@2; see the versions with: sanbootctl image versions NAME",
			    "say which version: NAME@VERSION");
		return;
	}
	publish.image = name;
	err = inventory_write_wait(request->http->config.inventory, &publish.job);
	if (err == -ENOENT) {
		reply_no_image(request);
		return;
	}
	if (err) {
		reply_errno(request, err, "", "");
		return;
	}
	snprintf(text, sizeof(text), "%s@%u", name, publish.number);
	snprintf(newest, sizeof(newest), "%s@%u", name, publish.newest.number);
	reply_json(request, 200,
		   json_pack("{s:s, s:s, s:i, s:s}", "published", text, "new_machines_get", newest,
			     "machines_on_other_versions", (int)publish.older, "hint",
			     publish.older ? "machines keep the version that they were made from until they are reset "
					     "(sanbootctl machine reset M)" :
					     ""));
}

struct default_job {
	struct inventory_job job;
	const char *image, *actor;
};

static int run_default(struct inventory_tx *tx, struct inventory_job *job)
{
	struct default_job *wanted = container_of(job, struct default_job, job);
	int err = image_set_default(tx, wanted->image);

	return err ? err :
		     event_add(tx, "info", "image-default", wanted->actor, 0, wanted->image, "new machines get %s",
			       wanted->image);
}

void handle_image_default(struct request *request)
{
	struct default_job wanted = { .job.run = run_default, .actor = request->actor };
	char name[NAME_MAX_TEXT];
	unsigned number;
	int err;

	if (!parse_image(request, request->params[0], name, &number))
		return;
	if (number) {
		reply_error(request, 400, "publish a version with: sanbootctl image publish NAME@V",
			    "the default is an image, not one of its versions");
		return;
	}
	wanted.image = name;
	err = inventory_write_wait(request->http->config.inventory, &wanted.job);
	if (err == -ENOENT)
		reply_no_image(request);
	else if (err)
		reply_errno(request, err, "", "");
	else
		reply_json(request, 200, json_pack("{s:s}", "default", name));
}

/* What keeps a version, and what to do about that. */
static bool version_is_free(struct request *request, const struct image_version *version)
{
	const struct {
		unsigned count;
		const char *one, *several, *hint;
	} uses[] = {
		{ version->machines, " machine is made from", " machines are made from",
		  "reset or remove these machines first; see them with: sanbootctl machine list" },
		{ version->trashed, " machine in the trash is made from", " machines in the trash are made from",
		  "empty the trash first: sanbootctl machine trash empty" },
		{ version->volumes, " volume stands on", " volumes stand on",
		  "remove them first; see them with: sanbootctl volume list" },
		{ version->versions, " version that was promoted stands on", " versions that were promoted stand on",
		  "remove those first, with their machines; see them with: sanbootctl image list" },
		{ version->snapshots, " snapshot stands on", " snapshots stand on",
		  "remove them first; see them with: sanbootctl machine snapshots M" },
	};

	for (size_t i = 0; i < array_len(uses); i++) {
		if (!uses[i].count)
			continue;
		reply_error(request, 409, uses[i].hint, "%u%s %s@%u", uses[i].count,
			    uses[i].count == 1 ? uses[i].one : uses[i].several, version->image, version->number);
		return false;
	}
	return true;
}

/* Unless all of them can be removed, none is. */
static bool versions_are_free(struct request *request, const struct versions_job *versions)
{
	for (unsigned i = 0; i < versions->count; i++)
		if (!version_is_free(request, &versions->list[i]))
			return false;
	return true;
}

void handle_image_remove(struct request *request)
{
	char name[NAME_MAX_TEXT];
	struct reason reason = { "" };
	struct versions_job versions = { .job.run = run_versions, .name = name };
	int err = 0;

	if (!parse_image(request, request->params[0], name, &versions.number) ||
	    !api_read(request, &versions.job, "the image could not be read"))
		return;
	if (!versions.count) {
		reply_no_image(request);
		goto out;
	}
	if (!versions_are_free(request, &versions))
		goto out;
	for (unsigned i = 0; i < versions.count && !err; i++)
		err = store_remove_version(request->http->config.store, versions.list[i].id, request->actor, &reason);
	if (err)
		reply_errno(request, err, reason.text, "");
	else
		reply_json(request, 200,
			   json_pack("{s:s, s:i}", "removed", request->params[0], "versions", (int)versions.count));
out:
	free(versions.list);
}
