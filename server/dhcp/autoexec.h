/* SPDX-License-Identifier: GPL-2.0-or-later */
/* autoexec.ipxe, which iPXE for UEFI looks for beside itself. Any thread. */
#ifndef DHCP_AUTOEXEC_H
#define DHCP_AUTOEXEC_H

#include "base/buf.h"

/*
 * A script that asks DHCP and goes on with the script at url, the network card in use first, then each of the first four: one
 * may be in a network of somebody else's, where DHCP answers, too. from: who is asked, for the screen.
 */
void dhcp_make_autoexec(struct buf *script, const char *url, const char *from);

#endif
