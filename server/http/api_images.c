// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: images, their versions, imports. */
#include "http/api.h"

#include "base/util.h"
#include "http/json.h"
#include "http/routes.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSIONS_MAX = 4096 };

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
	image = json_pack("{s:s, s:b, s:o, s:i, s:i, s:I, s:[]}", "name", version->image, "default",
			  version->is_default, "published",
			  version->newest ? json_integer(version->newest) : json_null(), "machines", 0, "outdated", 0,
			  "allocated_bytes", (json_int_t)0, "versions");
	json_array_append_new(images, image);
	return image;
}

static void add_to(json_t *object, const char *key, json_int_t more)
{
	json_object_set_new(object, key, json_integer(json_integer_value(json_object_get(object, key)) + more));
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
	add_to(image, "machines", version->machines);
	add_to(image, "outdated", version_is_outdated(version) ? version->machines : 0);
	add_to(image, "allocated_bytes", (json_int_t)bytes);
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

void handle_image(struct request *request)
{
	char name[NAME_MAX_TEXT];
	struct versions_job versions = { .job.run = run_versions, .name = name };
	json_t *images;

	if (!api_parse_image(request, name, &versions.number) ||
	    !api_read(request, &versions.job, "the image could not be read"))
		return;
	images = images_json(request->http, &versions);
	if (json_array_size(images))
		reply_json(request, 200, json_incref(json_array_get(images, 0)));
	else
		api_reply_no_image(request);
	json_decref(images);
	free(versions.list);
}

/* ---- imports ---- */

static enum import_use import_use(const json_t *body)
{
	return json_is_true(json_object_get(body, "default")) ? IMPORT_AS_DEFAULT :
	       json_is_true(json_object_get(body, "volume"))  ? IMPORT_FOR_VOLUMES :
								IMPORT_FOR_MACHINES;
}

void handle_image_import(struct request *request)
{
	const json_t *body = request->json;
	const char *path = api_text(body, "path"), *name = api_text(body, "name"), *upload = api_text(body, "upload");
	struct reason reason = { "" };
	uint64_t id;
	int err;

	if (!image_name_valid(name)) {
		reply_error(request, 400,
			    "for example {\"path\": \"/srv/debian.qcow2\", \"name\": \"debian\", \"default\": true}",
			    "name must be letters, digits, '-', '_' and '.', not starting with '.' or '-'");
		return;
	}
	err = upload[0] ? 0 : api_check_path(request, path, API_PATH_IMPORT, &reason);
	if (!err && upload[0] && path[0])
		err = reason_refuse(&reason, -EINVAL,
				    "path is a file of the server's, upload one that is sent: not both");
	if (!err && upload[0])
		err = store_upload(request->http->config.store, upload, name,
				   (uint64_t)json_integer_value(json_object_get(body, "size_bytes")), import_use(body),
				   request->actor, &id, &reason);
	else if (!err)
		err = store_import(request->http->config.store, path, name, import_use(body), request->actor, &id,
				   &reason);
	if (err)
		reply_errno(request, err, reason.text, "");
	else
		reply_json(request, 202, json_pack("{s:I, s:s}", "import", (json_int_t)id, "name", name));
}

/* ---- an empty one ---- */

void handle_image_create(struct request *request)
{
	const json_t *body = request->json;
	struct image_version version;
	struct reason reason = { "" };
	char text[NAME_MAX_TEXT + 16], size[32];
	uint64_t size_bytes = 0;
	int err = 0;

	if (!api_scalar_text(json_object_get(body, "size"), size, sizeof(size)) || !parse_size(size, &size_bytes))
		err = reason_refuse(&reason, -EINVAL, "size: expected a size such as 64G");
	if (!err)
		err = store_create_image(request->http->config.store, api_text(body, "name"), size_bytes,
					 request->actor, &version, &reason);
	if (err) {
		reply_errno(request, err, reason.text, "");
		return;
	}
	snprintf(text, sizeof(text), "%s@%u", version.image, version.number);
	reply_json(request, 201,
		   json_pack("{s:s, s:s, s:I, s:s}", "name", text, "state", version_state_name(version.state),
			     "size_bytes", (json_int_t)version.size_bytes, "hint",
			     "give it to a machine to install into: sanbootctl machine set M image=NAME@V"));
}

/* ---- changes ---- */

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

	if (!api_parse_image(request, name, &number))
		return;
	if (number) {
		reply_error(request, 400, "publish a version with: sanbootctl image publish NAME@V",
			    "the default is an image, not one of its versions");
		return;
	}
	wanted.image = name;
	err = inventory_write_wait(request->http->config.inventory, &wanted.job);
	if (err == -ENOENT)
		api_reply_no_image(request);
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
		{ version->rollouts, " rollout needs", " rollouts need",
		  "end it first; see it with: sanbootctl image rings NAME" },
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

	if (!api_parse_image(request, name, &versions.number) ||
	    !api_read(request, &versions.job, "the image could not be read"))
		return;
	if (!versions.count) {
		api_reply_no_image(request);
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
