/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dnsmasq's configuration as text. Pure functions, private to dhcp/. */
#ifndef DHCP_DNSMASQ_CONFIG_H
#define DHCP_DNSMASQ_CONFIG_H

#include "base/buf.h"
#include "dhcp/boot_files.h"
#include "dhcp/dhcp.h"
#include "dhcp/network.h"

struct inventory_tx;

/*
 * The configuration file; with DHCP_OFF, for TFTP alone. networks: one for each interface of config. Range errors (not in any interface's
 * subnet, first after last, a lease that is no time) are -EINVAL with a sentence.
 *
 * Each iPXE gets boot.ipxe by TFTP, whatever it was built with: the script itself sees whether this iPXE has HTTP. Everything else gets the
 * iPXE for its architecture: by TFTP, or as a URL where the firmware said HTTPClient.
 */
int dnsmasq_make_config(const struct dhcp_config *config, const struct dhcp_network *networks, const struct boot_files *files, struct buf *text,
			char *reason, size_t reason_size);
/* The host file: a line for each machine with its MACs, its address where it has one, and its name. Inside an inventory job. */
int dnsmasq_make_hosts(struct inventory_tx *tx, struct buf *text);

#endif
