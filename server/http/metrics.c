// SPDX-License-Identifier: GPL-2.0-or-later
/* GET /metrics: Prometheus text format 0.0.4. Counts only: no name, no address, no secret. */
#include "base/util.h"
#include "boot/boot.h"
#include "disk/disk.h"
#include "http/api_machines.h"
#include "http/routes.h"
#include "http/usage.h"
#include "store/store.h"

#include <string.h>

enum { MEASURING_MAX = 2 };

struct metrics_job {
	struct inventory_job job;
	struct policy policy;
	struct usage usage;
	unsigned waiting[WAIT_DENIED + 1];
};

static int count_waiting(void *arg, const struct waiting *waiting)
{
	struct metrics_job *metrics = arg;

	if ((unsigned)waiting->reason < array_len(metrics->waiting))
		metrics->waiting[waiting->reason]++;
	return 0;
}

static int run_metrics(struct inventory_tx *tx, struct inventory_job *job)
{
	struct metrics_job *metrics = container_of(job, struct metrics_job, job);
	int err = policy_get(tx, &metrics->policy);

	if (!err)
		err = waiting_each(tx, count_waiting, metrics);
	return err ? err : usage_read(tx, &metrics->usage);
}

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP sanbootd_%s %s\n# TYPE sanbootd_%s %s\n", name, help, name, type);
}

static void gauge(struct buf *out, const char *name, const char *help, unsigned long long value)
{
	head(out, name, "gauge", help);
	buf_printf(out, "sanbootd_%s %llu\n", name, value);
}

static void write_machines(struct buf *out, const json_t *machines)
{
	static const char *const states[] = { "running", "off", "failed" };
	unsigned count[array_len(states)] = { 0 };
	unsigned long long sessions = 0;
	json_t *machine;
	size_t i;

	json_array_foreach(machines, i, machine) {
		for (unsigned s = 0; s < array_len(states); s++)
			count[s] += !strcmp(api_text(machine, "state"), states[s]);
		sessions += json_array_size(json_object_get(machine, "sessions"));
	}
	head(out, "machines", "gauge", "Machines in the inventory, by state.");
	for (unsigned s = 0; s < array_len(states); s++)
		buf_printf(out, "sanbootd_machines{state=\"%s\"} %u\n", states[s], count[s]);
	gauge(out, "sessions", "iSCSI sessions of machines.", sessions);
}

static void write_volumes(struct buf *out, const struct usage *usage)
{
	head(out, "volumes", "gauge", "Volumes, by kind.");
	for (unsigned kind = 0; kind < VOLUME_KINDS; kind++)
		if (usage_shows(usage, kind))
			buf_printf(out, "sanbootd_volumes{kind=\"%s\"} %u\n", volume_kind_name((enum volume_kind)kind),
				   usage->count[kind]);
	head(out, "volume_bytes", "gauge", "Bytes that volumes take beyond their images, by kind.");
	for (unsigned kind = 0; kind < VOLUME_KINDS; kind++)
		if (usage_shows(usage, kind))
			buf_printf(out, "sanbootd_volume_bytes{kind=\"%s\"} %llu\n",
				   volume_kind_name((enum volume_kind)kind), (unsigned long long)usage->bytes[kind]);
	gauge(out, "saved_bytes", "Bytes saved because machines share golden images instead of having a copy each.",
	      usage->copied_bytes - usage->once_bytes);
}

static void write_space(struct buf *out, struct http *http, const struct policy *policy)
{
	struct store_space space;

	if (store_get_space(http->config.store, policy, &space))
		return;
	gauge(out, "images_bytes", "Bytes that golden images take on disk.", space.images_bytes);
	gauge(out, "children_bytes", "Bytes that the files of volumes take.", space.volumes_bytes);
	gauge(out, "state_free_bytes", "Bytes free on the file system of the state directory.", space.free_bytes);
	gauge(out, "state_total_bytes", "Size of that file system in bytes.", space.total_bytes);
	gauge(out, "reserve_bytes", "Bytes below which no new machine is enrolled.", space.reserve_bytes);
}

static void write_boots(struct buf *out, struct http *http)
{
	unsigned long long total = 0;
	unsigned booting, waiting;

	boot_turns(http->config.boot, &booting, &waiting);
	gauge(out, "booting", "Machines between their script and a system that stays.", booting);
	gauge(out, "waiting_for_turn", "Machines that wait for their turn (max-booting).", waiting);

	head(out, "boot_answers_total", "counter", "Answers to machines that asked for a script, by outcome.");
	for (unsigned i = 0; i < BOOT_OUTCOMES; i++) {
		unsigned long long count = atomic_load(&http->boot_outcomes[i]);

		total += count;
		buf_printf(out, "sanbootd_boot_answers_total{outcome=\"%s\"} %llu\n",
			   boot_outcome_name((enum boot_outcome)i), count);
	}
	head(out, "boot_answer_seconds", "summary", "Time from a machine's question to its script.");
	buf_printf(out, "sanbootd_boot_answer_seconds_sum %.3f\nsanbootd_boot_answer_seconds_count %llu\n",
		   (double)atomic_load(&http->boot_ms) / 1000.0, total);
}

static void write_cache(struct buf *out, struct disk_env *env)
{
	struct disk_cache_info info;

	if (!env)
		return;
	disk_env_cache_info(env, &info);
	gauge(out, "golden_cache_size_bytes", "Memory that golden data may take.", info.size_bytes);
	gauge(out, "golden_cache_used_bytes", "Memory that golden data takes.", info.used_bytes);
	head(out, "golden_read_bytes_total", "counter",
	     "Read of golden images by machines, by whether the golden cache had it.");
	buf_printf(
		out,
		"sanbootd_golden_read_bytes_total{cache=\"hit\"} %llu\nsanbootd_golden_read_bytes_total{cache=\"miss\"} %llu\n",
		(unsigned long long)info.hit_bytes, (unsigned long long)info.miss_bytes);
}

static void write_http(struct buf *out, struct http *http)
{
	unsigned streams;

	head(out, "http_requests_total", "counter", "Answered HTTP requests, by status.");
	for (unsigned code = 100; code < HTTP_STATUS_MAX; code++) {
		unsigned long long count = atomic_load(&http->answered[code]);

		if (count)
			buf_printf(out, "sanbootd_http_requests_total{code=\"%u\"} %llu\n", code, count);
	}
	pthread_mutex_lock(&http->lock);
	streams = http->stream_count;
	pthread_mutex_unlock(&http->lock);
	gauge(out, "http_event_streams", "Open event streams.", streams);
	gauge(out, "uptime_seconds", "Seconds since the start.", (time_monotonic_ms() - http->started_ms) / 1000);
}

/* Fills the body; or answers why not. */
static void measure(struct request *request)
{
	struct http *http = request->http;
	struct metrics_job metrics = { .job.run = run_metrics };
	struct buf *out = &request->reply.body;
	json_t *machines;

	if (!api_read(request, &metrics.job, "the inventory could not be read"))
		goto out;
	if (api_machines(http, NULL, false, false, &machines)) {
		reply_error(request, 500, "", "the machines could not be read");
		goto out;
	}
	head(out, "build_info", "gauge", "The version, as a label.");
	buf_printf(out, "sanbootd_build_info{version=\"%s\"} 1\n", SANBOOTD_VERSION);
	write_machines(out, machines);
	usage_measure(http, machines, &metrics.usage);
	json_decref(machines);
	head(out, "waiting", "gauge", "Machines that wait, by reason.");
	for (unsigned i = 0; i < array_len(metrics.waiting); i++)
		buf_printf(out, "sanbootd_waiting{reason=\"%s\"} %u\n", waiting_reason_name((enum waiting_reason)i),
			   metrics.waiting[i]);
	gauge(out, "image_versions", "Versions of golden images.", metrics.usage.version_count);
	gauge(out, "max_machines", "How many machines the policy allows.", metrics.policy.max_machines);
	write_volumes(out, &metrics.usage);
	write_space(out, http, &metrics.policy);
	write_boots(out, http);
	write_cache(out, http->config.disk_env);
	head(out, "readahead_bytes_total", "counter",
	     "Bytes of golden images read from the disk before machines asked for them.");
	buf_printf(out, "sanbootd_readahead_bytes_total %llu\n",
		   (unsigned long long)boot_read_ahead_bytes(http->config.boot));
	write_http(out, http);
	request->reply.status = 200;
	request->reply.type = "text/plain; version=0.0.4; charset=utf-8";
out:
	usage_fini(&metrics.usage);
}

void handle_metrics(struct request *request)
{
	/* Anybody may ask, and it looks at every machine: not more than a few at a time. */
	if (atomic_fetch_add(&request->http->measuring, 1) < MEASURING_MAX) {
		measure(request);
	} else {
		reply_error(request, 503, "", "too many are measuring at the same time");
		request->reply.retry_after_s = 1;
	}
	atomic_fetch_sub(&request->http->measuring, 1);
}
