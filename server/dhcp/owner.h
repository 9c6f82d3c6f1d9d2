/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who on this host has a UDP port. Private to dhcp/. Blocks for as long as reading /proc takes. */
#ifndef DHCP_OWNER_H
#define DHCP_OWNER_H

#include <stdbool.h>
#include <stddef.h>

/* "kea-dhcp4 (process 1234)"; false where nobody has it, or it cannot be seen. */
bool owner_of_udp_port(unsigned port, char *text, size_t text_size);

#endif
