/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What dhcp.c, process.c, refresh.c and status.c share. Private to them.
 *
 * Threads: the supervisor, the answers to IPv6 router solicitations and `hangup_due` live on the loop. The host file is
 * written by one inventory job at a time (`refreshing`, `again`: under the mutex). `plan` is changed by the main thread
 * only, under the mutex.
 */
#ifndef DHCP_PRIVATE_H
#define DHCP_PRIVATE_H

#include "base/buf.h"
#include "base/loop.h"
#include "base/reason.h"
#include "dhcp/addresses.h"
#include "dhcp/dhcp.h"
#include "dhcp/files.h"
#include "dhcp/plan.h"
#include "dhcp/router.h"
#include "dhcp/stale.h"
#include "dhcp/status.h"
#include "dhcp/supervisor.h"
#include "dhcp/watch.h"
#include "inventory/inventory.h"

#include <pthread.h>

struct dhcp {
	struct plan *plan; /* in force */
	struct inventory *inventory;
	struct loop *loop;
	struct supervisor *supervisor;			       /* the loop's */
	struct watch watch;				       /* the loop's */
	void (*seen)(void *arg, const struct dhcp_seen *seen); /* the loop's, as what follows */
	void *seen_arg;
	struct addresses *addresses;			   /* the loop's */
	struct no_router *no_routers[DHCP_INTERFACES_MAX]; /* the loop's */
	uint64_t exhausted_ms;				   /* the loop's: when that was said last */
	bool hangup_due;				   /* the loop's: to call refresh_tell when dnsmasq is up */
	struct dhcp_network networks[DHCP_INTERFACES_MAX]; /* the loop's: of the plan that dnsmasq was started for */
	unsigned network_count;
	char hosts_path[DHCP_PATH_BYTES], state_dir[DHCP_PATH_BYTES]; /* const */
	struct buf hosts;					      /* what was written last; the job's */
	struct inventory_job job;
	struct loop_msg hangup; /* to the loop: the host file has changed */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t wake;
	enum supervisor_state state;
	char line[DHCP_MESSAGE_TEXT]; /* dnsmasq's last words */
	unsigned restarts;
	int pid, refresh_err;
	enum dhcp_mode hosts_mode; /* what the host file is made for */
	bool refreshing, again, hanging_up, stopping, freed;
	bool hosts_changed;	   /* what hangup tells */
	struct stale_leases stale; /* what dnsmasq is to give up */
};

struct passwd;

/* process.c; main thread, once. */
void process_init(struct dhcp *d);
/* Starts dnsmasq for a plan, as user (NULL: ours), and waits until it is up. 0 or -errno with its own words. */
int process_start(struct dhcp *d, const struct plan *plan, const struct passwd *user, struct reason *reason);
/* Ends it, where it runs, and waits for that. */
void process_stop(struct dhcp *d);

/* refresh.c; main thread, once. */
void refresh_init(struct dhcp *d);
/* The host file is for this mode from now on. */
void refresh_set_mode(struct dhcp *d, enum dhcp_mode mode);
/* dhcp_refresh in any mode, waiting for the file. 0 or -errno with a sentence. Main thread. */
int refresh_write(struct dhcp *d, struct reason *reason);
/* dnsmasq is up: it reads the host file again, and gives up the leases that no longer fit. The loop. */
void refresh_tell(struct dhcp *d);

#endif
