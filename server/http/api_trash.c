// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: machines that were removed. */
#include "http/api.h"

#include "base/util.h"
#include "boot/boot.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"
#include "inventory/trash.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct trash_job {
	struct inventory_job job;
	struct inventory_tx *tx;
	int64_t kept_ms;
	json_t *list;
	struct volume *volumes; /* of the list, in its order */
	unsigned count;
};

static json_t *macs_json(const char *text)
{
	json_t *macs = json_array();
	char copy[TRASH_MACS_TEXT], *rest = copy;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *mac = strsep(&rest, " "); mac; mac = strsep(&rest, " "))
		json_array_append_new(macs, json_string(mac));
	return macs;
}

static int add_entry(void *arg, const struct trash_entry *entry)
{
	struct trash_job *trash = arg;
	char image[NAME_MAX_TEXT + 16] = "";
	struct image_version version;
	int err = version_by_id(trash->tx, entry->system.version_id, &version);

	if (err)
		return err;
	snprintf(image, sizeof(image), "%s@%u", version.image, version.number);
	err = array_append(&trash->volumes, &trash->count, &entry->system, sizeof(entry->system));
	if (err)
		return err;
	return json_array_append_new(trash->list,
				     json_pack("{s:I, s:o, s:o, s:s, s:I, s:o, s:o}", "id", (json_int_t)entry->id,
					       "name", http_text_json(entry->name), "macs", macs_json(entry->macs),
					       "image", image, "removed_ms", (json_int_t)entry->removed_ms,
					       "removed_by", http_text_json(entry->removed_by), "expires_ms",
					       json_time_or_null(trash->kept_ms ? entry->removed_ms + trash->kept_ms :
										  0))) ?
		       -ENOMEM :
		       0;
}

static int run_list(struct inventory_tx *tx, struct inventory_job *job)
{
	struct trash_job *trash = container_of(job, struct trash_job, job);
	struct policy policy;
	int err = policy_get(tx, &policy);

	trash->tx = tx;
	trash->kept_ms = (int64_t)policy.trash_s * 1000;
	return err ? err : trash_each(tx, add_entry, trash);
}

/* Their files are looked at once the inventory has been read. */
static void add_files(struct http *http, struct trash_job *trash)
{
	for (unsigned i = 0; i < trash->count; i++) {
		json_t *entry = json_array_get(trash->list, i);
		struct volume_info info = { 0 };
		int err = store_volume_info(http->config.store, &trash->volumes[i], NULL, &info);

		json_object_set_new(entry, "allocated_bytes", json_integer((json_int_t)info.allocated_bytes));
		json_object_set_new(entry, "path", json_text_or_null(info.path));
		json_set_file_error(entry, err);
	}
}

void handle_trash(struct request *request)
{
	struct trash_job trash = { .job.run = run_list, .list = json_array() };

	if (api_read(request, &trash.job, "the trash could not be read")) {
		add_files(request->http, &trash);
		reply_json(request, 200, json_pack("{s:O}", "trash", trash.list));
	}
	json_decref(trash.list);
	free(trash.volumes);
}

void handle_trash_restore(struct request *request)
{
	struct reason reason = { "" };
	struct machine machine;
	int err = boot_trash_restore(request->http->config.boot, request->params[0], api_text(request->json, "name"),
				     request->actor, &machine, &reason);

	if (err)
		reply_errno(request, err, reason.text, "");
	else
		reply_json(request, 200,
			   json_pack("{s:o, s:o}", "restored", http_text_json(machine.name), "hint",
				     http_text_json(reason.text)));
}

void handle_trash_delete(struct request *request)
{
	struct reason reason = { "" };
	int err = boot_trash_delete(request->http->config.boot, request->params[0], request->actor, &reason);

	if (err)
		reply_errno(request, err, reason.text, "");
	else
		reply_json(request, 200, json_pack("{s:o}", "removed", http_text_json(request->params[0])));
}
