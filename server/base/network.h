/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A network as ADDR/BITS, or one address of it. Any thread. */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include <stdbool.h>

struct network {
	unsigned char address[16]; /* IPv4 as IPv6 sees it (RFC 4291 §2.5.5.2); beyond bits all zero */
	unsigned bits;
};

/* "10.0.0.0/24", "fd00::/8", or an address alone; nothing may stand beyond the bits. Written only on success. */
bool network_parse(const char *text, struct network *network);
/* Does this address, without a port, lie in it? False where it is none. */
bool network_has(const struct network *network, const char *address);

#endif
