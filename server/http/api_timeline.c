// SPDX-License-Identifier: GPL-2.0-or-later
/* The timeline of a boot as JSON, and where it is stuck. Inside a read job. */
#include "http/api_machines.h"

#include "boot/boot.h"
#include "http/text.h"

#include <errno.h>

struct stages_arg {
	json_t *list;
	struct stage_record last;
};

static int add_stage(void *arg, const struct stage_record *record)
{
	struct stages_arg *stages = arg;
	json_t *json = json_pack("{s:s, s:I}", "stage", stage_name(record->stage), "at_ms", (json_int_t)record->at_ms);

	if (json)
		json_object_set_new(json, "detail", http_text_json(record->detail));
	stages->last = *record;
	return json_array_append_new(stages->list, json) ? -ENOMEM : 0;
}

/* The stage that did not come. */
static enum stage stage_after(enum stage stage)
{
	if (stage == STAGE_BOOT_FILE)
		return STAGE_SCRIPT; /* waiting is no stage that must come */
	return stage < STAGE_STEADY ? (enum stage)(stage + 1) : STAGE_STEADY;
}

static json_t *stuck_json(const struct stage_record *last)
{
	if (!last->stuck_ms || last->stage >= STAGE_STEADY)
		return json_null();
	return json_pack("{s:s, s:s, s:I, s:o, s:s}", "stage", stage_name(last->stage), "next",
			 stage_name(stage_after(last->stage)), "since_ms", (json_int_t)last->at_ms, "why",
			 http_text_json(last->why), "hint", boot_stage_hint(last->stage, last->why));
}

int api_timeline(struct inventory_tx *tx, const struct machine_boot *boot, json_t *json)
{
	struct stages_arg stages = { .list = json_array() };
	int err = stage_each(tx, boot->machine_id, boot->number, add_stage, &stages);

	if (err) {
		json_decref(stages.list);
		return err;
	}
	json_object_set_new(json, "timeline", stages.list);
	json_object_set_new(json, "stuck", boot->state != MACHINE_BOOT_ENDED ? stuck_json(&stages.last) : json_null());
	return 0;
}

/* When the shown boot was heard of last. */
static int64_t last_ms(const json_t *machine)
{
	const json_t *timeline = json_object_get(machine, "timeline");
	const json_t *last = json_array_get(timeline, json_array_size(timeline) - 1);

	return json_integer_value(json_object_get(last, "at_ms"));
}

void api_arriving(struct boot *boot, json_t *machine)
{
	struct stage_record records[STAGE_WAITED + 1];
	json_t *mac;
	size_t i;

	json_array_foreach(json_object_get(machine, "macs"), i, mac) {
		struct stages_arg stages = { 0 };
		unsigned count = boot_arriving(boot, json_string_value(mac), records);

		/* It only asked for its script, perhaps while it runs: that is no power-on. */
		if (!count || records[0].stage == STAGE_WAITED || records[0].at_ms < last_ms(machine))
			continue;
		stages.list = json_array();
		for (unsigned r = 0; r < count; r++)
			add_stage(&stages, &records[r]);
		json_object_set_new(machine, "timeline", stages.list);
		json_object_set_new(machine, "stuck", stuck_json(&stages.last));
	}
}
