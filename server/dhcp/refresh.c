// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host file in step with the inventory, and the leases with it: see private.h. One job reads the inventory and writes
 * the file where that is another than before, and looks which leases no longer fit; then the loop tells dnsmasq (SIGHUP, and
 * a DHCPRELEASE for each of those). A change that comes while a job is under way has it run once more.
 */
#include "dhcp/private.h"

#include "base/log.h"
#include "base/util.h"
#include "dhcp/hosts.h"
#include "dhcp/leases.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOSTS_MAX_BYTES = 4 << 20 };

static const struct dhcp_network *refresh_network(const struct dhcp *d, struct in_addr address)
{
	for (unsigned i = 0; i < d->network_count; i++)
		if (dhcp_network_has(&d->networks[i], address))
			return &d->networks[i];
	return NULL;
}

static void refresh_release(const struct dhcp *d, const struct stale_lease *lease)
{
	const struct dhcp_network *network = refresh_network(d, lease->address);
	char address[INET_ADDRSTRLEN];
	int err = network ? dhcp_release(network, lease->mac, lease->address) : 0;

	inet_ntop(AF_INET, &lease->address, address, sizeof(address));
	if (err)
		log_error("dnsmasq cannot be told that %s does not have %s any more: %s", lease->mac, address,
			  strerror(-err));
	else if (network)
		log_info("%s does not have %s any more", lease->mac, address);
}

void refresh_tell(struct dhcp *d)
{
	struct stale_leases stale;
	bool changed;

	pthread_mutex_lock(&d->mutex);
	stale = d->stale;
	d->stale.count = 0;
	changed = d->hosts_changed;
	d->hosts_changed = false;
	pthread_mutex_unlock(&d->mutex);
	/* It looks at signals before packets: by the release it knows whose the address is. */
	if (changed)
		supervisor_signal(d->supervisor, SIGHUP);
	for (unsigned i = 0; i < stale.count; i++)
		refresh_release(d, &stale.list[i]);
}

static void on_hangup(struct loop_msg *msg)
{
	struct dhcp *d = container_of(msg, struct dhcp, hangup);
	bool up;

	pthread_mutex_lock(&d->mutex);
	d->hanging_up = false;
	up = d->state == SUPERVISOR_UP;
	pthread_cond_broadcast(&d->wake);
	pthread_mutex_unlock(&d->mutex);
	/* Before it is up the signal would end it. */
	if (d->supervisor && up)
		refresh_tell(d);
	else
		d->hangup_due = true;
}

/* *changed: the file is another one now. text becomes d->hosts; what that was goes into text. */
static int refresh_put(struct dhcp *d, struct buf *text, bool *changed)
{
	struct buf before = d->hosts;
	struct reason reason;
	int err;

	*changed = text->len != before.len || memcmp(buf_text(text), buf_text(&before), text->len) ||
		   access(d->hosts_path, F_OK);
	err = *changed ? dhcp_write_file(d->hosts_path, text, &reason) : 0;
	if (err) {
		log_error("%s", reason.text);
		return err;
	}
	d->hosts = *text;
	*text = before;
	return 0;
}

/* A lease that is not seen, because the file is being written, is seen at the next change. */
static void refresh_find_stale(const struct dhcp *d, const char *before, struct stale_leases *stale)
{
	struct dhcp_lease *leases;
	unsigned count;

	stale->count = 0;
	leases_read(d->state_dir, &leases, &count);
	if (stale_find(buf_text(&d->hosts), before, leases, count, stale))
		log_error("no memory to look which leases are over");
	free(leases);
}

static void refresh_post(struct dhcp *d, bool changed, const struct stale_leases *stale)
{
	if (!changed && !stale->count)
		return;
	pthread_mutex_lock(&d->mutex);
	d->hosts_changed = d->hosts_changed || changed;
	for (unsigned i = 0; i < stale->count && d->stale.count < STALE_MAX; i++)
		d->stale.list[d->stale.count++] = stale->list[i];
	if (!d->hanging_up) {
		d->hanging_up = true;
		loop_post(d->loop, &d->hangup);
	}
	pthread_mutex_unlock(&d->mutex);
}

static int refresh_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct dhcp *d = container_of(job, struct dhcp, job);
	struct stale_leases stale;
	enum dhcp_mode mode;
	struct buf text;
	bool changed;
	int err;

	pthread_mutex_lock(&d->mutex);
	mode = d->hosts_mode;
	pthread_mutex_unlock(&d->mutex);
	buf_init(&text, HOSTS_MAX_BYTES);
	err = mode == DHCP_PROXY ? hosts_make_tags(tx, &text) : hosts_make(tx, &text);
	if (err)
		log_error("dnsmasq's host file: %s", strerror(-err));
	else
		err = refresh_put(d, &text, &changed);
	if (!err) {
		refresh_find_stale(d, buf_text(&text), &stale);
		refresh_post(d, changed, &stale);
	}
	buf_fini(&text);
	return err;
}

static void refresh_done(struct inventory_job *job, int err)
{
	struct dhcp *d = container_of(job, struct dhcp, job);
	bool again;

	pthread_mutex_lock(&d->mutex);
	again = d->again && !d->stopping;
	d->again = false;
	d->refreshing = again;
	d->refresh_err = err;
	pthread_cond_broadcast(&d->wake);
	pthread_mutex_unlock(&d->mutex);
	if (again)
		inventory_read(d->inventory, job);
}

/* always: also while no plan with a host file is in force. */
static void refresh(struct dhcp *d, bool always)
{
	bool submit = false;

	pthread_mutex_lock(&d->mutex);
	if (always || (d->plan && plan_has_hosts(d->plan))) {
		submit = !d->refreshing && !d->stopping;
		d->again = d->refreshing;
		d->refreshing = d->refreshing || submit;
	}
	pthread_mutex_unlock(&d->mutex);
	if (submit)
		inventory_read(d->inventory, &d->job);
}

void dhcp_refresh(struct dhcp *d)
{
	refresh(d, false);
}

void refresh_set_mode(struct dhcp *d, enum dhcp_mode mode)
{
	pthread_mutex_lock(&d->mutex);
	d->hosts_mode = mode;
	pthread_mutex_unlock(&d->mutex);
}

int refresh_write(struct dhcp *d, struct reason *reason)
{
	int err;

	refresh(d, true);
	pthread_mutex_lock(&d->mutex);
	while (d->refreshing)
		pthread_cond_wait(&d->wake, &d->mutex);
	err = d->refresh_err;
	pthread_mutex_unlock(&d->mutex);
	return err ? reason_refuse(reason, err, "cannot write %s: %s", d->hosts_path, strerror(-err)) : 0;
}

void refresh_init(struct dhcp *d)
{
	d->hangup.run = on_hangup;
	d->job = (struct inventory_job){ .run = refresh_run, .done = refresh_done };
	buf_init(&d->hosts, HOSTS_MAX_BYTES);
}
