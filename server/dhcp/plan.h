/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A configuration that has been checked, with all that follows from it. Private to dhcp/; main thread. */
#ifndef DHCP_PLAN_H
#define DHCP_PLAN_H

#include "base/buf.h"
#include "base/reason.h"
#include "dhcp/ipxe_files.h"
#include "dhcp/dhcp.h"
#include "dhcp/network.h"
#include "dhcp/ranges.h"

struct plan {
	struct dhcp_config config; /* its texts are the plan's */
	struct dhcp_network networks[DHCP_INTERFACES_MAX];
	struct dhcp_ranges ranges;		    /* full mode */
	struct ipxe_files files[1 + DHCP_SETS_MAX]; /* of --ipxe-dir; of each set */
	struct buf text;			    /* dnsmasq's configuration */
	bool runs;				    /* dnsmasq has something to do: interfaces are named */
};

/*
 * Finds interfaces and boot files, makes the configuration, has dnsmasq test it. 0 or -errno with a sentence, and
 * nothing to free.
 */
int plan_new(const struct dhcp_config *config, struct plan **plan, struct reason *reason);
void plan_free(struct plan *plan); /* NULL: nothing */
/* Would dnsmasq and its files be the same? */
bool plan_same(const struct plan *a, const struct plan *b);
/*
 * Full mode: -EADDRINUSE with a sentence where another DHCP server answers on an interface that `now` (NULL: nothing)
 * does not serve in full mode: there, the answer would be our own. Blocks up to 3 s.
 */
int plan_check_alone(const struct plan *plan, const struct plan *now, struct reason *reason);
/* Does dnsmasq read the host file? */
bool plan_has_hosts(const struct plan *plan);
/* Writes dnsmasq.conf and the TFTP folders. */
int plan_write(const struct plan *plan, struct reason *reason);
/* Where dnsmasq.conf is. */
void plan_conf_path(const struct plan *plan, char *path, size_t path_size);

#endif
