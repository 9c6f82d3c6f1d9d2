// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: a machine that works on the next version of an image. */
#include "http/api_maintenance.h"

#include "boot/boot.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"
#include "inventory/maintenance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int api_set_maintenance(struct inventory_tx *tx, const struct machine *machine, json_t *json)
{
	struct maintenance maintenance;
	json_t *value;
	int err;

	if (machine->mode != MODE_MAINTENANCE)
		return json_object_set_new(json, "maintenance", json_null()) ? -ENOMEM : 0;
	err = maintenance_of(tx, machine->id, &maintenance);
	if (err)
		return err;
	value = json_pack("{s:I, s:o, s:s}", "since_ms", (json_int_t)maintenance.began_ms, "by",
			  http_text_json(maintenance.began_by), "own_mode", machine_mode_name(maintenance.mode));
	return json_object_set_new(json, "maintenance", value) ? -ENOMEM : 0;
}

static void reply_refused(struct request *request, int err, const struct reason *reason)
{
	reply_errno(request, err, reason->text,
		    err == -ENOENT && !strstr(reason->text, "sanbootctl") ?
			    "see the machines with: sanbootctl machine list" :
			    "");
}

static void reply_changed(struct request *request, const struct image_version *version, const struct reason *reason)
{
	char name[NAME_MAX_TEXT + 16] = "";

	if (version && version->number)
		snprintf(name, sizeof(name), "%s@%u", version->image, version->number);
	reply_json(request, 200,
		   json_pack("{s:o, s:o, s:o}", "machine", http_text_json(request->params[0]), "version",
			     json_text_or_null(name), "hint", http_text_json(reason->text)));
}

void handle_maintenance_begin(struct request *request)
{
	const char *image = api_text(request->json, "image");
	struct reason reason = { "" };
	int err = boot_maintenance_begin(request->http->config.boot, request->params[0], image[0] ? image : NULL,
					 request->actor, &reason);

	if (err)
		reply_refused(request, err, &reason);
	else
		reply_changed(request, NULL, &reason);
}

void handle_maintenance_end(struct request *request)
{
	const char *mode = api_text(request->json, "mode");
	struct image_version version;
	struct reason reason = { "" };
	int err = boot_maintenance_end(request->http->config.boot, request->params[0],
				       json_is_true(json_object_get(request->json, "discard")), mode[0] ? mode : NULL,
				       request->actor, &version, &reason);

	if (err)
		reply_refused(request, err, &reason);
	else
		reply_changed(request, &version, &reason);
}
