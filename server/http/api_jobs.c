// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: imports and exports, how far they are, and their end. */
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

/* ---- as JSON ---- */

static json_t *job_json(const struct job_status *status, const char *number)
{
	static const char *const stages[] = {
		[JOB_QUEUED] = "queued",	 [JOB_RECEIVING] = "receiving", [JOB_CHECKING] = "checking",
		[JOB_CONVERTING] = "converting", [JOB_HASHING] = "hashing",	[JOB_DONE] = "done",
		[JOB_FAILED] = "failed"
	};

	return json_pack("{s:I, s:s, s:b, s:o, s:i, s:o, s:I, s:I, s:I, s:o}", number, (json_int_t)status->id, "stage",
			 stages[status->stage], "canceled", status->canceled, "name", http_text_json(status->name),
			 "percent", (int)status->percent, "text", http_text_json(status->text), "bytes_done",
			 (json_int_t)status->bytes_done, "bytes_total", (json_int_t)status->bytes_total, "bytes_per_s",
			 (json_int_t)status->bytes_per_s, "seconds_left",
			 status->seconds_left < 0 ? json_null() : json_integer(status->seconds_left));
}

static void add_version(struct http *http, const struct job_status *status, json_t *json)
{
	struct version_job version = { .job.run = run_version_by_id, .id = status->version_id };
	char name[NAME_MAX_TEXT + 16] = "";
	bool published = false;

	if (status->stage == JOB_DONE && status->kind == JOB_IMPORT &&
	    !inventory_read_wait(http->config.inventory, &version.job)) {
		snprintf(name, sizeof(name), "%s@%u", version.version.image, version.version.number);
		published = version.version.state == VERSION_PUBLISHED;
	}
	json_object_set_new(json, "version", json_text_or_null(name));
	json_object_set_new(json, "published", json_boolean(published));
	json_object_set_new(json, "warnings", json_lines(status->warnings));
	json_object_set_new(json, "changes", json_lines(status->changes));
}

static json_t *import_json(struct http *http, const struct job_status *status)
{
	json_t *json = job_json(status, "import");

	json_object_set_new(json, "source", http_text_json(status->source));
	add_version(http, status, json);
	return json;
}

static json_t *any_json(struct http *http, const struct job_status *status)
{
	json_t *json = job_json(status, "job");

	json_object_set_new(json, "kind", json_string(status->kind == JOB_EXPORT ? "export" : "import"));
	json_object_set_new(json, "file", http_text_json(status->source));
	add_version(http, status, json);
	return json;
}

/* ---- asking, canceling ---- */

static bool job_number(struct request *request, uint64_t *id)
{
	if (parse_u64(request->params[0], 1, UINT64_MAX, id))
		return true;
	reply_error(request, 404, "see them with: sanbootctl image jobs", "an import or export goes by its number");
	return false;
}

typedef json_t *job_as_json(struct http *http, const struct job_status *status);

static void reply_one(struct request *request, job_as_json *as_json)
{
	struct job_status status;
	uint64_t id;

	if (!job_number(request, &id))
		return;
	if (store_job_status(request->http->config.store, id, &status))
		reply_error(request, 404, "the last 32 are remembered, until sanbootd is restarted",
			    "there is no such import or export");
	else
		reply_json(request, 200, as_json(request->http, &status));
}

static void reply_all(struct request *request, const char *key, bool exports, job_as_json *as_json)
{
	struct job_status *list = calloc(JOBS_KEPT, sizeof(*list));
	json_t *all = json_array();
	unsigned count = list ? store_job_list(request->http->config.store, list) : 0;

	for (unsigned i = 0; i < count; i++)
		if (exports || list[i].kind != JOB_EXPORT)
			json_array_append_new(all, as_json(request->http, &list[i]));
	if (list)
		reply_json(request, 200, json_pack("{s:O}", key, all));
	else
		reply_errno(request, -ENOMEM, "", "");
	json_decref(all);
	free(list);
}

static void cancel(struct request *request, job_as_json *as_json)
{
	struct reason reason = { "" };
	uint64_t id;
	int err;

	if (!job_number(request, &id))
		return;
	err = store_job_cancel(request->http->config.store, id, request->actor, &reason);
	if (err)
		reply_errno(request, err, reason.text, "see what there is with: sanbootctl image jobs");
	else
		reply_one(request, as_json);
}

void handle_import(struct request *request)
{
	reply_one(request, import_json);
}

void handle_imports(struct request *request)
{
	reply_all(request, "imports", false, import_json);
}

void handle_import_cancel(struct request *request)
{
	cancel(request, import_json);
}

void handle_job(struct request *request)
{
	reply_one(request, any_json);
}

void handle_jobs(struct request *request)
{
	reply_all(request, "jobs", true, any_json);
}

void handle_job_cancel(struct request *request)
{
	cancel(request, any_json);
}

/* ---- what is sent ---- */

void handle_import_data(struct request *request)
{
	struct reason reason = { "" };
	uint64_t id;
	int64_t offset;
	int err;

	if (!job_number(request, &id) || !request_arg_number(request, "offset", -1, 0, INT64_MAX, &offset))
		return;
	if (offset < 0) {
		reply_error(request, 400, "the first piece has offset=0", "say where this piece belongs: offset=N");
		return;
	}
	err = store_upload_write(request->http->config.store, id, (uint64_t)offset, request->body.data,
				 request->body.len, &reason);
	if (err)
		reply_errno(request, err, reason.text, "see how far it is with: GET /api/v1/imports/N");
	else
		reply_json(request, 200,
			   json_pack("{s:I, s:I}", "import", (json_int_t)id, "bytes_done",
				     (json_int_t)offset + (json_int_t)request->body.len));
}

void handle_import_end(struct request *request)
{
	struct reason reason = { "" };
	uint64_t id;
	int err;

	if (!job_number(request, &id))
		return;
	err = store_upload_end(request->http->config.store, id, &reason);
	if (err)
		reply_errno(request, err, reason.text, "");
	else
		reply_one(request, import_json);
}

/* ---- exports ---- */

struct find_job {
	struct inventory_job job;
	const char *image;
	unsigned number;
	struct image_version version;
};

static int run_find(struct inventory_tx *tx, struct inventory_job *job)
{
	struct find_job *find = container_of(job, struct find_job, job);

	return version_find(tx, find->image, find->number, &find->version);
}

static int export_image(struct request *request, const char *image, const struct store_export *how, uint64_t *id,
			struct reason *reason)
{
	char name[NAME_MAX_TEXT];
	struct find_job find = { .job.run = run_find, .image = name };
	int err;

	if (!version_name_parse(image, name, &find.number))
		return reason_refuse(reason, -EINVAL, "image: expected NAME or NAME@V");
	err = inventory_read_wait(request->http->config.inventory, &find.job);
	if (err == -ENOENT)
		return reason_refuse(reason, err, "there is no %.80s%s: sanbootctl image list shows all", image,
				     find.number ? "" : ", or nothing of it is published");
	return err ? err : store_export_version(request->http->config.store, &find.version, how, id, reason);
}

void handle_export(struct request *request)
{
	const json_t *body = request->json;
	const char *image = api_text(body, "image"), *machine = api_text(body, "machine");
	struct store_export how = { .format = store_export_format(api_text(body, "format")),
				    .path = api_text(body, "path"),
				    .force = json_is_true(json_object_get(body, "force")),
				    .actor = request->actor };
	struct reason reason = { "" };
	uint64_t id;
	int err = api_check_path(request, how.path, API_PATH_EXPORT, &reason);

	if (!err && !how.format)
		err = reason_refuse(&reason, -EINVAL, "format: expected %s", store_export_formats());
	if (!err && !image[0] == !machine[0])
		err = reason_refuse(&reason, -EINVAL, "say which image, or which machine's disk");
	if (!err && image[0])
		err = export_image(request, image, &how, &id, &reason);
	else if (!err)
		err = boot_export(request->http->config.boot, machine, &how, &id, &reason);
	if (err)
		reply_errno(request, err, reason.text, "");
	else
		reply_json(request, 202, json_pack("{s:I}", "job", (json_int_t)id));
}
