// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: machines that wait for a person's word. */
#include "http/api.h"

#include "base/util.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"
#include "http/vendors.h"

#include <errno.h>

struct waiting_job {
	struct inventory_job job;
	struct inventory_tx *tx;
	const struct vendors *vendors; /* NULL: nothing is known of them */
	json_t *list;
};

/* Reads the list of makers when it is first wanted: the start does not wait for it. */
static const struct vendors *known_vendors(struct http *http)
{
	const struct vendors *vendors;

	pthread_mutex_lock(&http->vendors_lock);
	if (!http->vendors)
		http->vendors = vendors_new(VENDORS_DIRECTORY);
	vendors = http->vendors;
	pthread_mutex_unlock(&http->vendors_lock);
	return vendors;
}

static int add_waiting(void *arg, const struct waiting *waiting)
{
	struct waiting_job *job = arg;
	json_t *json = api_waiting_json(waiting);
	struct machine machine;
	const char *vendor;

	if (json && waiting->machine_id && !machine_by_id(job->tx, waiting->machine_id, &machine))
		json_object_set_new(json, "machine", json_string(machine.name));
	vendor = job->vendors ? vendors_find(job->vendors, waiting->mac) : NULL;
	json_object_set_new(json, "vendor", vendor ? http_text_json(vendor) : json_null());
	return json_array_append_new(job->list, json) ? -ENOMEM : 0;
}

static int run_waiting(struct inventory_tx *tx, struct inventory_job *job)
{
	struct waiting_job *waiting = container_of(job, struct waiting_job, job);

	waiting->tx = tx;
	return waiting_each(tx, add_waiting, waiting);
}

void handle_waiting(struct request *request)
{
	struct waiting_job waiting = {
		.job.run = run_waiting,
		.vendors = known_vendors(request->http),
		.list = json_array(),
	};

	if (api_read(request, &waiting.job, "the list of those who wait could not be read"))
		reply_json(request, 200, json_pack("{s:O}", "waiting", waiting.list));
	json_decref(waiting.list);
}
