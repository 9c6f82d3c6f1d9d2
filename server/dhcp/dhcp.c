// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DHCP by dnsmasq: starts it with a checked plan, swaps plans. The host file is refresh.c's; private.h says which
 * thread has what.
 *
 * dhcp_start, dhcp_reload and dhcp_stop run on the main thread and wait for the loop.
 */
#include "dhcp/private.h"

#include "base/log.h"
#include "base/util.h"
#include "dhcp/command.h"
#include "dhcp/hosts.h"
#include "dhcp/owner.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	READY_MS = 10000,
	FIRST_DELAY_MS = 500,
	LONGEST_DELAY_MS = 30000,
	EXHAUSTED_EVERY_MS = 600000,
	DHCP_PORT = 67,
	TFTP_PORT = 69
};

/* ---- dnsmasq ---- */

/* Its words, and what they do not say: who has the port. */
static void explain(const char *line, char *text, size_t text_size)
{
	unsigned port = strstr(line, "DHCP") ? DHCP_PORT : TFTP_PORT;
	char owner[300];

	snprintf(text, text_size, "%s", line[0] ? line : "it says nothing");
	if (!strstr(line, "in use"))
		return;
	if (owner_of_udp_port(port, owner, sizeof(owner)))
		snprintf(text, text_size, "%s; UDP port %u is taken by %s: stop it, or use another --dhcp mode", line,
			 port, owner);
	else
		snprintf(text, text_size, "%s; another program has UDP port %u (ss -ulpn 'sport = :%u' names it): stop it, or use another --dhcp mode", line,
			 port, port);
}

static void on_state(void *arg, enum supervisor_state state, const char *line)
{
	struct dhcp *d = arg;
	char text[sizeof(d->line)];
	bool was_up;

	if (state == SUPERVISOR_BACKING_OFF)
		explain(line, text, sizeof(text));
	else
		snprintf(text, sizeof(text), "%s", line);
	pthread_mutex_lock(&d->mutex);
	was_up = d->state == SUPERVISOR_UP;
	d->state = state;
	memcpy(d->line, text, sizeof(text));
	if (d->supervisor) {
		d->restarts = supervisor_restarts(d->supervisor);
		d->pid = supervisor_pid(d->supervisor);
	}
	pthread_cond_broadcast(&d->wake);
	pthread_mutex_unlock(&d->mutex);
	if (state == SUPERVISOR_UP) {
		log_info("dnsmasq is up");
		if (d->hangup_due)
			supervisor_signal(d->supervisor, SIGHUP);
		d->hangup_due = false;
	} else if (was_up && state == SUPERVISOR_BACKING_OFF) {
		log_error("dnsmasq went down and is being restarted: %s", text);
	}
}

static void on_seen(void *arg, const struct dhcp_seen *seen)
{
	struct dhcp *d = arg;

	if (d->seen)
		d->seen(d->seen_arg, seen);
}

static void on_said(void *arg, const char *line)
{
	struct dhcp *d = arg;

	watch_line(&d->watch, line, time_unix_ms());
}

/* Somebody invents MACs, or the range is too small: said now and then. */
static void on_exhausted(void *arg, const char *interface, const char *mac, unsigned strangers)
{
	struct dhcp *d = arg;
	uint64_t now = time_monotonic_ms();

	if (d->exhausted_ms && now - d->exhausted_ms < EXHAUSTED_EVERY_MS)
		return;
	d->exhausted_ms = now;
	inventory_event(d->inventory, "warning", "dhcp-exhausted", "server", 0, interface,
			"no address is left on %s for %s: in the last two minutes %u packets came from MACs that are neither "
			"enrolled nor waiting. Somebody invents MACs, or --dhcp-range is too small; enrolled machines keep "
			"their addresses",
			interface, mac, strangers);
}

struct start_call {
	struct dhcp *d;
	const struct plan *plan;
	struct supervisor_config config;
	int err;
};

static void start_on_loop(void *arg)
{
	struct start_call *call = arg;
	struct dhcp *d = call->d;
	const struct dhcp_config *config = &call->plan->config;

	for (unsigned i = 0; config->mode == DHCP_FULL && i < config->interface_count; i++) {
		int err = no_router_start(d->loop, config->interfaces[i], &d->no_routers[i]);

		if (err)
			log_warning("iPXE will wait 13 s for an IPv6 router on %s: cannot tell it that there is none: %s", config->interfaces[i],
				    strerror(-err));
	}
	d->seen = config->seen;
	d->seen_arg = config->seen_arg;
	call->err = supervisor_new(&call->config, &d->supervisor);
	if (!call->err)
		supervisor_start(d->supervisor);
}

/* The first start decides: up, or refused with dnsmasq's own words. */
static int wait_until_up(struct dhcp *d, struct reason *reason)
{
	struct timespec deadline = time_monotonic_in(READY_MS);
	int err = 0;

	pthread_mutex_lock(&d->mutex);
	while (d->state == SUPERVISOR_STARTING || d->state == SUPERVISOR_STOPPED)
		if (pthread_cond_timedwait(&d->wake, &d->mutex, &deadline))
			break;
	if (d->state != SUPERVISOR_UP)
		err = reason_refuse(reason, -EIO, "dnsmasq does not start: %s",
				    d->line[0] ? d->line : "it says nothing");
	pthread_mutex_unlock(&d->mutex);
	return err;
}

static int start_process(struct dhcp *d, const struct plan *plan, const struct passwd *user, struct reason *reason)
{
	char conf[DHCP_PATH_BYTES];
	struct command_line line;
	struct start_call call = { .d = d, .plan = plan };
	int err;

	plan_conf_path(plan, conf, sizeof(conf));
	err = command_make(conf, user, &line, reason);
	if (err)
		return err;
	call.config = (struct supervisor_config){
		.name = "dnsmasq",
		.argv = line.argv,
		.ready_text = "started, version",
		.first_delay_ms = FIRST_DELAY_MS,
		.longest_delay_ms = LONGEST_DELAY_MS,
		.loop = d->loop,
		.changed = on_state,
		.said = on_said,
		.arg = d,
	};
	loop_call(d->loop, start_on_loop, &call);
	if (call.err)
		return reason_refuse(reason, call.err, "cannot start dnsmasq: %s", strerror(-call.err));
	return wait_until_up(d, reason);
}

static void stop_on_loop(void *arg)
{
	struct dhcp *d = arg;

	for (unsigned i = 0; i < DHCP_INTERFACES_MAX; i++) {
		no_router_stop(d->no_routers[i]);
		d->no_routers[i] = NULL;
	}
	if (d->supervisor)
		supervisor_stop(d->supervisor);
}

static void on_freed(void *arg)
{
	struct dhcp *d = arg;

	pthread_mutex_lock(&d->mutex);
	d->freed = true;
	pthread_cond_broadcast(&d->wake);
	pthread_mutex_unlock(&d->mutex);
}

static void free_on_loop(void *arg)
{
	struct dhcp *d = arg;

	supervisor_free(d->supervisor, on_freed, d);
	d->supervisor = NULL;
}

static void stop_process(struct dhcp *d)
{
	bool supervised = d->supervisor != NULL;

	loop_call(d->loop, stop_on_loop, d);
	if (!supervised)
		return;
	pthread_mutex_lock(&d->mutex);
	while (d->state != SUPERVISOR_STOPPED)
		pthread_cond_wait(&d->wake, &d->mutex);
	d->freed = false;
	pthread_mutex_unlock(&d->mutex);
	loop_call(d->loop, free_on_loop, d);
	pthread_mutex_lock(&d->mutex);
	while (!d->freed)
		pthread_cond_wait(&d->wake, &d->mutex);
	d->pid = 0;
	d->restarts = 0;
	pthread_mutex_unlock(&d->mutex);
}

/* ---- start, reload, stop ---- */

/* Files, then the process. Where that fails the caller stops or goes back. */
static int put_in_force(struct dhcp *d, const struct plan *plan, struct reason *reason)
{
	const struct passwd *user = NULL;
	int err;

	if (!plan->runs)
		return 0;
	err = plan_write(plan, reason);
	if (!err && plan->config.mode == DHCP_FULL)
		err = refresh_write(d, reason);
	if (!err)
		err = files_prepare_leases(&plan->config, &user, reason);
	return err ? err : start_process(d, plan, user, reason);
}

static void take_plan(struct dhcp *d, struct plan *plan)
{
	struct plan *old;

	pthread_mutex_lock(&d->mutex);
	old = d->plan;
	d->plan = plan;
	pthread_mutex_unlock(&d->mutex);
	plan_free(old);
	if (plan->config.mode == DHCP_FULL && hosts_release(d->inventory, &plan->ranges))
		log_error("machines keep addresses that are in no --dhcp-range");
	/* What changed while this plan was not in force yet. */
	dhcp_refresh(d);
	if (plan->runs)
		boot_files_log_missing(plan->config.ipxe_dir, &plan->files);
}

static void end_strays(const struct plan *plan)
{
	char conf[DHCP_PATH_BYTES], argument[DHCP_PATH_BYTES + 16];

	plan_conf_path(plan, conf, sizeof(conf));
	snprintf(argument, sizeof(argument), "--conf-file=%s", conf);
	owner_end_strays(argument);
}

int dhcp_start(const struct dhcp_config *config, struct dhcp **dhcp, struct reason *reason)
{
	struct dhcp *d = calloc(1, sizeof(*d));
	struct plan *plan = NULL;
	int err;

	if (!d)
		return -ENOMEM;
	d->inventory = config->inventory;
	d->loop = config->loop;
	pthread_mutex_init(&d->mutex, NULL);
	cond_init_monotonic(&d->wake);
	d->watch = (struct watch){ .seen = on_seen, .exhausted = on_exhausted, .neighbour = dhcp_neighbour, .arg = d };
	refresh_init(d);
	snprintf(d->hosts_path, sizeof(d->hosts_path), "%s/dnsmasq.hosts", config->runtime_dir);
	/* Before the question to the network, which takes its time: whatever can be wrong here. */
	err = plan_new(config, &plan, reason);
	if (!err)
		end_strays(plan);
	if (!err)
		err = plan_check_alone(plan, NULL, reason);
	if (!err)
		err = put_in_force(d, plan, reason);
	if (err) {
		dhcp_stop(d);
		plan_free(plan);
		return err;
	}
	take_plan(d, plan);
	*dhcp = d;
	return 0;
}

static bool same_place(const struct dhcp_config *a, const struct dhcp_config *b)
{
	return a->inventory == b->inventory && a->loop == b->loop && !strcmp(a->state_dir, b->state_dir) &&
	       !strcmp(a->runtime_dir, b->runtime_dir);
}

int dhcp_reload(struct dhcp *d, const struct dhcp_config *config, struct reason *reason)
{
	struct reason why;
	struct plan *plan;
	int err;

	if (!same_place(config, &d->plan->config))
		return reason_refuse(reason, -EINVAL, "another state-dir or runtime-dir needs a restart");
	err = plan_new(config, &plan, reason);
	if (err)
		return err;
	if (plan_same(plan, d->plan)) {
		take_plan(d, plan);
		return 0;
	}
	err = plan_check_alone(plan, d->plan, reason);
	if (!err) {
		stop_process(d);
		err = put_in_force(d, plan, reason);
		if (!err) {
			take_plan(d, plan);
			return 0;
		}
		stop_process(d);
		if (put_in_force(d, d->plan, &why))
			log_error("dnsmasq with the configuration that was in force: %s", why.text);
	}
	plan_free(plan);
	return err;
}

void dhcp_stop(struct dhcp *d)
{
	pthread_mutex_lock(&d->mutex);
	d->stopping = true;
	while (d->refreshing || d->hanging_up)
		pthread_cond_wait(&d->wake, &d->mutex);
	pthread_mutex_unlock(&d->mutex);
	stop_process(d);
	plan_free(d->plan);
	buf_fini(&d->hosts);
	pthread_cond_destroy(&d->wake);
	pthread_mutex_destroy(&d->mutex);
	free(d);
}

/* ---- status ---- */

void dhcp_status(struct dhcp *d, struct buf *json)
{
	static const char *const modes[] = { [DHCP_OFF] = "off", [DHCP_PROXY] = "proxy", [DHCP_FULL] = "full" };
	const struct dhcp_config *config;

	/*
	 * The plan stays while the mutex is held; only this and dhcp_reload, seldom, wait for the lease file to be
	 * read.
	 */
	pthread_mutex_lock(&d->mutex);
	config = &d->plan->config;
	buf_printf(json, "{\"mode\": \"%s\", \"state\": \"%s\", \"pid\": %d, \"restarts\": %u", modes[config->mode],
		   supervisor_state_name(d->state), d->pid, d->restarts);
	/*
	 * dnsmasq's words have been escaped to printable ASCII without backslashes other than our own \x; quotes are
	 * left to be seen to.
	 */
	buf_add_string(json, ", \"message\": \"");
	for (const char *c = d->line; *c; c++)
		buf_printf(json, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	buf_add_string(json, "\", \"interfaces\": [");
	for (unsigned i = 0; i < config->interface_count; i++)
		buf_printf(json, "%s\"%s\"", i ? ", " : "", config->interfaces[i]);
	buf_printf(json, "], \"tftp\": %s", d->plan->runs ? "true" : "false");
	if (d->plan->runs) {
		buf_add_string(json, ", ");
		boot_files_json(&d->plan->files, json);
	}
	if (config->mode == DHCP_FULL) {
		buf_add_string(json, ", ");
		files_leases_json(config->state_dir, json);
	}
	buf_add_string(json, "}");
	pthread_mutex_unlock(&d->mutex);
}
