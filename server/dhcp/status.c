// SPDX-License-Identifier: GPL-2.0-or-later
/* See status.h. */
#include "dhcp/status.h"

#include "dhcp/leases.h"
#include "dhcp/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *dhcp_mode_name(enum dhcp_mode mode)
{
	static const char *const names[] = { [DHCP_OFF] = "off", [DHCP_PROXY] = "proxy", [DHCP_FULL] = "full" };

	return names[mode];
}

void dhcp_get_status(struct dhcp *d, struct dhcp_status *status)
{
	const struct dhcp_config *config;

	*status = (struct dhcp_status){ 0 };
	/*
	 * The plan stays while the mutex is held; only this and dhcp_reload, seldom, wait for the lease file to be
	 * read.
	 */
	pthread_mutex_lock(&d->mutex);
	config = &d->plan->config;
	status->mode = config->mode;
	status->state = supervisor_state_name(d->state);
	status->pid = d->pid;
	status->restarts = d->restarts;
	memcpy(status->message, d->line, sizeof(status->message));
	for (; status->interface_count < config->interface_count; status->interface_count++)
		snprintf(status->interfaces[status->interface_count], DHCP_INTERFACE_TEXT, "%s",
			 config->interfaces[status->interface_count]);
	status->tftp = d->plan->runs;
	memcpy(status->files, d->plan->files, sizeof(status->files));
	for (; status->set_count < config->set_count; status->set_count++)
		snprintf(status->sets[status->set_count], DHCP_SET_TEXT, "%s", config->sets[status->set_count].name);
	if (config->mode == DHCP_FULL)
		leases_read(config->state_dir, &status->leases, &status->lease_count);
	pthread_mutex_unlock(&d->mutex);
}

void dhcp_status_free(struct dhcp_status *status)
{
	free(status->leases);
	status->leases = NULL;
	status->lease_count = 0;
}
