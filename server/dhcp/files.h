/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that dnsmasq reads and writes. Private to dhcp/; main thread (the host file: also the inventory's); blocks.
 * All: 0 or -errno with a sentence.
 */
#ifndef DHCP_FILES_H
#define DHCP_FILES_H

#include "base/buf.h"
#include "base/reason.h"
#include "dhcp/ipxe_files.h"
#include "dhcp/dhcp.h"
#include "dhcp/network.h"

struct passwd;

enum { DHCP_PATH_BYTES = 1024 };

/* Replaces the file at once. */
int dhcp_write_file(const char *path, const struct buf *text, struct reason *reason);
/*
 * The TFTP folder of one interface: a link to each of --ipxe-dir's files, boot.ipxe with this interface's address, and,
 * where a shim is served, autoexec.ipxe, which a signed iPXE loads from beside itself.
 */
int dhcp_make_tftp_root(const struct dhcp_config *config, const struct dhcp_network *network,
			const struct ipxe_files *files, struct reason *reason);
/*
 * The folder of the lease file, and the user that dnsmasq runs as: its own, unless a folder is closed to it. NULL:
 * ours.
 */
int dhcp_prepare_leases(const struct dhcp_config *config, const struct passwd **user, struct reason *reason);

#endif
