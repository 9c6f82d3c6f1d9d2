// SPDX-License-Identifier: GPL-2.0-or-later
/* dnsmasq as a process: starts it for a plan, waits until it is up, hears what it says, ends it. See private.h. */
#include "dhcp/private.h"

#include "base/log.h"
#include "base/util.h"
#include "dhcp/command.h"
#include "dhcp/owner.h"

#include <errno.h>
#include <stdio.h>
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

/* dnsmasq's own words, and the program that has the port, which they do not name. */
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
		snprintf(text, text_size,
			 "%s; another program has UDP port %u (ss -ulpn 'sport = :%u' names it): stop it, or use another --dhcp mode",
			 line, port, port);
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
			refresh_tell(d);
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

	dhcp_watch_line(&d->watch, line, time_unix_ms());
}

/* Somebody invents MACs, or the range is too small: said now and then. */
static void on_exhausted(void *arg, const char *interface, const char *mac, unsigned strangers)
{
	struct dhcp *d = arg;
	uint64_t now = time_monotonic_ms();

	if (d->exhausted_ms && now - d->exhausted_ms < EXHAUSTED_EVERY_MS)
		return;
	d->exhausted_ms = now;
	inventory_event(
		d->inventory, "warning", "dhcp-exhausted", "server", 0, interface,
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
			log_warning("iPXE will wait 13 s for an IPv6 router on %s: cannot tell it that there is none: %s",
				    config->interfaces[i], strerror(-err));
	}
	memcpy(d->networks, call->plan->networks, sizeof(d->networks));
	d->network_count = config->interface_count;
	if (config->moved && config->interface_count &&
	    addresses_watch(d->loop, d->networks, d->network_count, config->moved, config->moved_arg, &d->addresses))
		log_warning(
			"a change of the server's addresses will not be noticed: after one, systemctl reload sanbootd");
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

int process_start(struct dhcp *d, const struct plan *plan, const struct passwd *user, struct reason *reason)
{
	char conf[DHCP_PATH_BYTES];
	struct command_line line;
	struct start_call call = { .d = d, .plan = plan };
	int err;

	plan_conf_path(plan, conf, sizeof(conf));
	err = dnsmasq_command_make(conf, user, &line, reason);
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
	addresses_stop(d->addresses);
	d->addresses = NULL;
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

void process_stop(struct dhcp *d)
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

void process_init(struct dhcp *d)
{
	d->watch = (struct watch){ .seen = on_seen, .exhausted = on_exhausted, .neighbour = dhcp_neighbour, .arg = d };
}
