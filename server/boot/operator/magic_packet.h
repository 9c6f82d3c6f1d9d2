/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The magic packet, and where it goes. Private to boot/. */
#ifndef BOOT_MAGIC_PACKET_H
#define BOOT_MAGIC_PACKET_H

#include "base/reason.h"

/*
 * Sends that of a network card (mac: in the inventory's notation): where address (IPv4, "" not known) lies in the network
 * of one of our interfaces, to that one's broadcast address; where it does not, to all interfaces, and through the router
 * to the last address of its /24, which is that network's directed broadcast address unless it is of another size. 0, or
 * -errno with a sentence where nothing could be sent. where: "eth1 (10.0.0.255)", for people.
 */
int magic_packet_send(const char *mac, const char *address, char *where, unsigned where_size, struct reason *reason);

#endif
