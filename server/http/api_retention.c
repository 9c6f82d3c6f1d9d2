// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: what goes by itself, when and why; and now. */
#include "http/api_retention.h"

#include "boot/retention.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"

#include <stdio.h>

/* A request has a minute. Whoever wants more asks again. */
enum { RUN_LIMIT_MS = 20 * 1000 };

static const char *const outcome_words[] = {
	[RETENTION_WAITS] = "waits", [RETENTION_GONE] = "gone", [RETENTION_REFUSED] = "refused"
};

static json_t *item_json(const struct retention_item *item)
{
	char name[NAME_MAX_TEXT + 16];

	if (item->kind == RETENTION_VERSION)
		snprintf(name, sizeof(name), "%s@%u", item->owner, item->number);
	else
		snprintf(name, sizeof(name), "%s", item->owner);
	return json_pack("{s:s, s:I, s:o, s:o, s:o, s:I, s:b, s:o, s:b, s:s, s:o, s:s}", "kind",
			 retention_kind_name(item->kind), "id", (json_int_t)item->id, "name", http_text_json(name),
			 "label", json_text_or_null(item->label), "since_ms", json_time_or_null(item->since_ms),
			 "bytes", (json_int_t)item->bytes, "stood_on", item->stood_on, "due_ms",
			 json_time_or_null(item->due_ms), "early", item->early, "rule", item->rule, "why",
			 http_text_json(item->why), "outcome", outcome_words[item->outcome]);
}

static json_t *plan_json(const struct retention *plan)
{
	json_t *items = json_array();

	for (unsigned i = 0; i < plan->count; i++)
		json_array_append_new(items, item_json(&plan->list[i]));
	return json_pack("{s:I, s:o, s:I, s:I, s:I, s:i, s:I, s:o}", "now_ms", (json_int_t)plan->now_ms,
			 "not_before_ms", json_time_or_null(plan->grace_ms), "total_bytes",
			 (json_int_t)plan->total_bytes, "free_bytes", (json_int_t)plan->free_bytes, "low_bytes",
			 (json_int_t)plan->low_bytes, "due", (int)plan->due, "due_bytes", (json_int_t)plan->due_bytes,
			 "items", items);
}

void handle_retention(struct request *request)
{
	struct reason reason = { "" };
	struct retention plan;
	int err = boot_plan_retention(request->http->config.boot, &plan, &reason);

	if (err)
		reply_errno(request, err, reason.text, "see sanbootd's log");
	else
		reply_json(request, 200, plan_json(&plan));
	retention_fini(&plan);
}

void handle_retention_run(struct request *request)
{
	struct reason reason = { "" };
	struct retention plan;
	int err = boot_run_retention(request->http->config.boot, request->actor, RUN_LIMIT_MS, &plan, &reason);
	json_t *json;

	if (err) {
		reply_errno(request, err, reason.text, "see sanbootd's log");
	} else {
		json = plan_json(&plan);
		json_object_set_new(json, "gone", json_integer(plan.gone));
		json_object_set_new(json, "gone_bytes", json_integer((json_int_t)plan.gone_bytes));
		json_object_set_new(json, "refused", json_integer(plan.refused));
		json_object_set_new(json, "unfinished", json_boolean(plan.unfinished));
		reply_json(request, 200, json);
	}
	retention_fini(&plan);
}

json_t *api_retention_next(struct http *http)
{
	struct reason reason = { "" };
	struct retention plan;
	json_t *json = NULL;

	/* The rule is set; that nobody can say what it does is in the log, and retention show tries again. */
	if (!boot_plan_retention(http->config.boot, &plan, &reason) && plan.due)
		json = json_pack("{s:i, s:I, s:I}", "due", (int)plan.due, "due_bytes", (json_int_t)plan.due_bytes,
				 "not_before_ms", (json_int_t)(plan.grace_ms ? plan.grace_ms : plan.now_ms));
	retention_fini(&plan);
	return json;
}
