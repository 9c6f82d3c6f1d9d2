// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: what went on, in the last hour and the last month. */
#include "http/api.h"

#include "base/util.h"
#include "boot/boot.h"
#include "http/routes.h"

#include <errno.h>
#include <string.h>

enum { MONTH_STEP_MS = 600 * 1000 };

static json_t *activity_json(const struct activity *a)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "at_ms", (json_int_t)a->at_ms, "running",
			 (json_int_t)a->running, "booting", (json_int_t)a->booting, "boots", (json_int_t)a->boots,
			 "read_bytes", (json_int_t)a->read_bytes, "written_bytes", (json_int_t)a->written_bytes,
			 "free_bytes", a->free_bytes ? json_integer((json_int_t)a->free_bytes) : json_null());
}

struct month_job {
	struct inventory_job job;
	json_t *samples;
};

static int add_sample(void *arg, const struct activity *activity)
{
	return json_array_append_new(arg, activity_json(activity)) ? -ENOMEM : 0;
}

static int run_month(struct inventory_tx *tx, struct inventory_job *job)
{
	return activity_each(tx, 0, add_sample, container_of(job, struct month_job, job)->samples);
}

static void reply_samples(struct request *request, int64_t step_ms, json_t *samples)
{
	reply_json(request, 200, json_pack("{s:I, s:O}", "step_ms", (json_int_t)step_ms, "samples", samples));
}

void handle_activity(struct request *request)
{
	const char *span = request_arg(request, "span");
	struct month_job month = { .job.run = run_month };
	struct activity hour[BOOT_HOUR];
	unsigned count;

	if (span && strcmp(span, "hour") && strcmp(span, "month")) {
		reply_error(request, 400, "", "span is hour (every ten seconds) or month (every ten minutes)");
		return;
	}
	month.samples = json_array();
	if (span && !strcmp(span, "month")) {
		if (api_read(request, &month.job, "what went on could not be read"))
			reply_samples(request, MONTH_STEP_MS, month.samples);
	} else {
		count = boot_last_hour(request->http->config.boot, hour);
		for (unsigned i = 0; i < count; i++)
			add_sample(month.samples, &hour[i]);
		reply_samples(request, BOOT_HOUR_STEP_MS, month.samples);
	}
	json_decref(month.samples);
}
