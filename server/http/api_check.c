// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: what would stop an image from booting as a clone, and mending it. */
#include "http/api.h"

#include "base/util.h"
#include "doctor/doctor.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static json_t *findings_json(const struct doctor_report *report)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < report->count; i++) {
		const struct doctor_finding *finding = &report->findings[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:b}", "code", finding->code, "severity",
						      doctor_severity_name(finding->severity), "what",
						      http_text_json(finding->what), "todo",
						      http_text_json(finding->todo), "sealable", finding->sealable));
	}
	return list;
}

static json_t *parts_json(const struct doctor_report *report)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < report->part_count; i++) {
		const struct doctor_part *part = &report->parts[i];

		json_array_append_new(list,
				      json_pack("{s:o, s:s, s:o, s:b, s:o}", "name", http_text_json(part->name),
						"holds", part->holds, "state", json_text_or_null(part->state),
						"looked_into", part->looked_into, "bytes",
						part->bytes ? json_integer((json_int_t)part->bytes) : json_null()));
	}
	return list;
}

static json_t *report_json(const char *name, const struct doctor_report *report)
{
	return json_pack("{s:o, s:b, s:o, s:o, s:i, s:o, s:o}", "image", http_text_json(name), "boots",
			 !doctor_stops_boot(report), "system", json_text_or_null(report->system), "initiator",
			 json_text_or_null(report->iscsi), "took_ms", (int)report->took_ms, "findings",
			 findings_json(report), "parts", parts_json(report));
}

struct find_job {
	struct inventory_job job;
	const char *name;
	unsigned number;
	struct image_version version;
};

/* The version that is named, or the one that new machines get. */
static int run_find(struct inventory_tx *tx, struct inventory_job *job)
{
	struct find_job *find = container_of(job, struct find_job, job);

	return version_find(tx, find->name, find->number, &find->version);
}

static void reply_report(struct request *request, const char *name, int err, const struct doctor_report *report,
			 const struct reason *reason)
{
	if (err)
		reply_errno(request, err, reason->text, "");
	else
		reply_json(request, 200, report_json(name, report));
}

/* The version that the path names; false: why not is answered. name: room for the image's. */
static bool find_version(struct request *request, struct find_job *find, char name[NAME_MAX_TEXT])
{
	int err;

	*find = (struct find_job){ .job.run = run_find, .name = name };
	if (!version_name_parse(request->params[0], name, &find->number)) {
		reply_error(request, 400, "an image is named NAME or NAME@VERSION, for example debian@2",
			    "this is no image name");
		return false;
	}
	err = inventory_read_wait(request->http->config.inventory, &find->job);
	if (err == -ENOENT)
		reply_error(request, 404, "see what there is with: sanbootctl image list",
			    "there is no image %s, or no version of it is published: name one with NAME@VERSION",
			    request->params[0]);
	else if (err)
		reply_errno(request, err, "", "");
	return !err;
}

void handle_image_check(struct request *request)
{
	struct doctor_report *report;
	char name[NAME_MAX_TEXT], text[NAME_MAX_TEXT + 16];
	struct reason reason = { "" };
	struct find_job find;
	int err;

	if (!find_version(request, &find, name))
		return;
	report = calloc(1, sizeof(*report));
	err = report ? store_check_version(request->http->config.store, &find.version, report, &reason) : -ENOMEM;
	snprintf(text, sizeof(text), "%s@%u", name, find.version.number);
	reply_report(request, text, err, report, &reason);
	free(report);
}

void handle_image_seal(struct request *request)
{
	char name[NAME_MAX_TEXT];
	struct reason reason = { "" };
	struct find_job find;
	uint64_t id;
	int err;

	if (!find_version(request, &find, name))
		return;
	err = store_seal_version(request->http->config.store, &find.version, request->actor, &id, &reason);
	if (err)
		reply_errno(request, err, reason.text, "");
	else
		reply_json(request, 202, json_pack("{s:I, s:s}", "import", (json_int_t)id, "name", name));
}

void handle_file_check(struct request *request)
{
	const char *path = request_arg(request, "path");
	struct doctor_report *report = NULL;
	struct reason reason = { "" };
	int err = api_check_path(request, path ? path : "", API_PATH_IMPORT, &reason);

	if (err) {
		reply_errno(request, err, reason.text, "for example /api/v1/file-check?path=/srv/debian.raw");
		return;
	}
	report = calloc(1, sizeof(*report));
	err = report ? store_check_file(path, report, &reason) : -ENOMEM;
	reply_report(request, path, err, report, &reason);
	free(report);
}
