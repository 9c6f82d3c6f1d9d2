/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is an asker who it claims to be? Where it is on-link, the kernel's neighbour table knows the MAC behind its address.
 * Private to boot/.
 */
#ifndef BOOT_NEIGHBOUR_H
#define BOOT_NEIGHBOUR_H

enum neighbour {
	NEIGHBOUR_MATCH,    /* on-link, and the table shows the claimed MAC */
	NEIGHBOUR_OTHER,    /* on-link, and the table shows another MAC */
	NEIGHBOUR_MISSING,  /* on-link, and the table has no entry */
	NEIGHBOUR_OWN,	    /* one of the server's own addresses */
	NEIGHBOUR_OFF_LINK, /* behind a router, or on a link without MACs: nothing can be checked */
};

/*
 * address: numeric, IPv4 or IPv6. Asks the kernel by rtnetlink: two small questions, no table is dumped, no disk is
 * waited for. Any thread. 0, or -errno where the address is none or the kernel does not answer: then nothing is known,
 * and no secret may be given.
 */
int neighbour_check(const char *address, const char *mac, enum neighbour *result);

#endif
