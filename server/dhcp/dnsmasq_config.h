/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dnsmasq's configuration as text. Pure functions, private to dhcp/. */
#ifndef DHCP_DNSMASQ_CONFIG_H
#define DHCP_DNSMASQ_CONFIG_H

#include "base/buf.h"
#include "dhcp/dhcp.h"
#include "dhcp/network.h"

struct inventory_tx;

/*
 * The configuration file. networks: one for each interface of config. Range errors (not in any interface's subnet, first after
 * last, a lease that is no time) are -EINVAL with a sentence.
 */
int dnsmasq_make_config(const struct dhcp_config *config, const struct dhcp_network *networks, struct buf *text, char *reason,
			size_t reason_size);
/* The host file: a line for each machine with its MACs, its address where it has one, and its name. Inside an inventory job. */
int dnsmasq_make_hosts(struct inventory_tx *tx, struct buf *text);

/* Boot files by architecture (RFC 4578 §2.1); used for the configuration and to say which are missing. NULL ends. */
struct dnsmasq_boot_file {
	const char *tag;	 /* "bios" */
	const char *arches[4];	 /* option 93 values */
	const char *pxe_names[3]; /* dnsmasq's names of the architectures, for pxe-service */
	const char *file;
	const char *package; /* Debian's, that has it */
};
extern const struct dnsmasq_boot_file dnsmasq_boot_files[];

#endif
