// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host file in step with the inventory: see private.h. One job reads the inventory and writes the file where that
 * is another than before; then the loop tells dnsmasq (SIGHUP). A change that comes while a job is under way has it run once more.
 */
#include "dhcp/private.h"

#include "base/log.h"
#include "base/util.h"
#include "dhcp/hosts.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HOSTS_MAX_BYTES = 4 << 20 };

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
		supervisor_signal(d->supervisor, SIGHUP);
	else
		d->hangup_due = true;
}

static int refresh_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct dhcp *d = container_of(job, struct dhcp, job);
	struct buf text;
	struct reason reason;
	int err;

	buf_init(&text, HOSTS_MAX_BYTES);
	err = hosts_make(tx, &text);
	if (err) {
		log_error("dnsmasq's host file: %s", strerror(-err));
	} else if (text.len != d->hosts.len || memcmp(buf_text(&text), buf_text(&d->hosts), text.len) ||
		   access(d->hosts_path, F_OK)) {
		err = dhcp_write_file(d->hosts_path, &text, &reason);
		if (err) {
			log_error("%s", reason.text);
		} else {
			buf_fini(&d->hosts);
			d->hosts = text;
			buf_init(&text, HOSTS_MAX_BYTES);
			pthread_mutex_lock(&d->mutex);
			if (!d->hanging_up) {
				d->hanging_up = true;
				loop_post(d->loop, &d->hangup);
			}
			pthread_mutex_unlock(&d->mutex);
		}
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

/* always: also while no plan in full mode is in force. */
static void refresh(struct dhcp *d, bool always)
{
	bool submit = false;

	pthread_mutex_lock(&d->mutex);
	if (always || (d->plan && d->plan->config.mode == DHCP_FULL)) {
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
