// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DHCP by dnsmasq: puts checked plans in force. The process is process.c's, the host file refresh.c's; private.h says
 * which thread has what.
 *
 * dhcp_start, dhcp_reload and dhcp_stop run on the main thread and wait for the loop.
 */
#include "dhcp/private.h"

#include "base/log.h"
#include "base/util.h"
#include "dhcp/hosts.h"
#include "dhcp/owner.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Files, then the process. Where that fails the caller stops or goes back. */
static int put_in_force(struct dhcp *d, const struct plan *plan, struct reason *reason)
{
	const struct passwd *user = NULL;
	int err;

	if (!plan->runs)
		return 0;
	err = plan_write(plan, reason);
	if (!err && plan_has_hosts(plan)) {
		refresh_set_mode(d, plan->config.mode);
		err = refresh_write(d, reason);
	}
	if (!err)
		err = dhcp_prepare_leases(&plan->config, &user, reason);
	return err ? err : process_start(d, plan, user, reason);
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
	if (!plan->runs)
		return;
	if (plan->config.mode != DHCP_OFF)
		hosts_check_sets(d->inventory, plan->config.sets, plan->config.set_count);
	ipxe_files_log(plan->config.ipxe_dir, NULL, &plan->files[0]);
	for (unsigned i = 0; i < plan->config.set_count; i++)
		ipxe_files_log(plan->config.sets[i].directory, plan->config.sets[i].name, &plan->files[1 + i]);
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
	process_init(d);
	refresh_init(d);
	snprintf(d->state_dir, sizeof(d->state_dir), "%s", config->state_dir);
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
		process_stop(d);
		err = put_in_force(d, plan, reason);
		if (!err) {
			take_plan(d, plan);
			return 0;
		}
		process_stop(d);
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
	process_stop(d);
	plan_free(d->plan);
	buf_fini(&d->hosts);
	pthread_cond_destroy(&d->wake);
	pthread_mutex_destroy(&d->mutex);
	free(d);
}
