/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other processes: who on this host has a UDP port, and what an earlier sanbootd left behind. Private to dhcp/. Blocks
 * for as long as reading /proc takes.
 */
#ifndef DHCP_OWNER_H
#define DHCP_OWNER_H

#include <stdbool.h>
#include <stddef.h>

/* "kea-dhcp4 (process 1234)"; false where nobody has it, or it cannot be seen. */
bool owner_of_udp_port(unsigned port, char *text, size_t text_size);

/*
 * Ends what runs in our network and file tree with this argument on its command line: a dnsmasq of an earlier sanbootd,
 * killed in the very moment in which it started one. Main thread; waits for the end, up to 5 s.
 */
void owner_end_strays(const char *argument);

#endif
