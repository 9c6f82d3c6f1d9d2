/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dnsmasq's configuration as text. Pure functions, private to dhcp/. */
#ifndef DHCP_DNSMASQ_CONFIG_H
#define DHCP_DNSMASQ_CONFIG_H

#include "base/buf.h"
#include "base/reason.h"
#include "dhcp/ipxe_files.h"
#include "dhcp/dhcp.h"
#include "dhcp/network.h"
#include "dhcp/ranges.h"

/*
 * The configuration file; with DHCP_OFF, for TFTP alone. networks: one for each interface of config; ranges: config's,
 * in full mode. -EINVAL with a sentence where an option does not fit.
 *
 * Each iPXE gets boot.ipxe by TFTP, whatever it was built with: the script itself sees whether this iPXE has HTTP.
 * Everything else gets the iPXE for its architecture: by TFTP, or as a URL where the firmware said HTTPClient. files: those of
 * --ipxe-dir, then those of each set, which are for machines that the host file tags with it.
 */
int dnsmasq_make_config(const struct dhcp_config *config, const struct dhcp_network *networks,
			const struct dhcp_ranges *ranges, const struct ipxe_files *files, struct buf *text,
			struct reason *reason);

#endif
