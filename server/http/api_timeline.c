// SPDX-License-Identifier: GPL-2.0-or-later
/* The timeline of a boot as JSON, and where it is stuck. Inside a read job. */
#include "http/api.h"

#include "boot/boot.h"
#include "http/text.h"

#include <errno.h>

struct stages_arg {
	json_t *list;
	struct boot_stage_record last;
};

static int add_stage(void *arg, const struct boot_stage_record *record)
{
	struct stages_arg *stages = arg;
	json_t *json = json_pack("{s:s, s:I}", "stage", boot_stage_name(record->stage), "at_ms",
				 (json_int_t)record->at_ms);

	if (json)
		json_object_set_new(json, "detail", text_json(record->detail));
	stages->last = *record;
	return json_array_append_new(stages->list, json) ? -ENOMEM : 0;
}

/* The stage that did not come. */
static enum boot_stage stage_after(enum boot_stage stage)
{
	if (stage == STAGE_BOOT_FILE)
		return STAGE_SCRIPT;
	return stage < STAGE_STEADY ? (enum boot_stage)(stage + 1) : STAGE_STEADY;
}

int api_timeline(struct inventory_tx *tx, const struct boot_record *boot, json_t *json)
{
	struct stages_arg stages = { .list = json_array() };
	int err = boot_stage_each(tx, boot->machine_id, boot->number, add_stage, &stages);
	const struct boot_stage_record *last = &stages.last;

	if (err) {
		json_decref(stages.list);
		return err;
	}
	json_object_set_new(json, "timeline", stages.list);
	if (last->stuck_ms && last->stage < STAGE_STEADY && boot->state != BOOT_ENDED)
		json_object_set_new(json, "stuck",
				    json_pack("{s:s, s:s, s:I, s:o, s:s}", "stage", boot_stage_name(last->stage),
					      "next", boot_stage_name(stage_after(last->stage)), "since_ms",
					      (json_int_t)last->at_ms, "why", text_json(last->why), "hint",
					      boot_stage_hint(last->stage)));
	else
		json_object_set_new(json, "stuck", json_null());
	return 0;
}
