/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What dnsmasq serves by TFTP. Private to dhcp/; main thread; blocks. */
#ifndef DHCP_TFTP_H
#define DHCP_TFTP_H

#include "base/reason.h"
#include "dhcp/dhcp.h"
#include "dhcp/ipxe_files.h"
#include "dhcp/network.h"

/*
 * The TFTP folder of one interface: a link to each of --ipxe-dir's files and of those of each set (files, as in plan.h), boot.ipxe with this interface's address, and
 * beside each loader autoexec.ipxe, which iPXE for UEFI asks for before all else. 0 or -errno with a sentence.
 */
int tftp_make_root(const struct dhcp_config *config, const struct dhcp_network *network, const struct ipxe_files *files,
		   struct reason *reason);

#endif
