/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is said of dnsmasq to people: facts, which http/ turns into JSON. */
#ifndef DHCP_STATUS_H
#define DHCP_STATUS_H

#include "dhcp/ipxe_files.h"
#include "dhcp/dhcp.h"

enum { DHCP_MESSAGE_TEXT = 512, DHCP_NAME_TEXT = 256, DHCP_INTERFACE_TEXT = 16 };

struct dhcp_lease {
	char mac[64]; /* as dnsmasq writes it: that of a machine is in our notation */
	char address[INET_ADDRSTRLEN];
	char name[DHCP_NAME_TEXT]; /* that the machine gave itself; "" none */
	int64_t expires_ms;	   /* 0: never */
};

struct dhcp_status {
	enum dhcp_mode mode;
	const char *state; /* of dnsmasq: "up"; NULL: there is nothing to say but the mode */
	int pid;	   /* 0: none */
	unsigned restarts;
	char message[DHCP_MESSAGE_TEXT]; /* dnsmasq's last words, printable ASCII */
	char interfaces[DHCP_INTERFACES_MAX][DHCP_INTERFACE_TEXT];
	unsigned interface_count;
	bool tftp;				    /* boot files are served by it */
	struct ipxe_files files[1 + DHCP_SETS_MAX]; /* which ones, where it is so: of --ipxe-dir, of each set */
	char sets[DHCP_SETS_MAX][DHCP_SET_TEXT];
	unsigned set_count;
	struct dhcp_lease *leases; /* in full mode, at most 16384 */
	unsigned lease_count;
};

const char *dhcp_mode_name(enum dhcp_mode mode);
/* Any thread; reads the lease file. To be given to dhcp_status_free. */
void dhcp_get_status(struct dhcp *dhcp, struct dhcp_status *status);
void dhcp_status_free(struct dhcp_status *status);

#endif
