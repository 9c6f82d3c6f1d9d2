// SPDX-License-Identifier: GPL-2.0-or-later
/* Networks: see network.h. */
#include "base/network.h"

#include "base/parse.h"

#include <arpa/inet.h>
#include <string.h>

enum { V4_PREFIX = 96 };

/* The bits that the text's kind of address has; 0: it is none. */
static unsigned parse_address(const char *text, unsigned char address[16])
{
	memset(address, 0, 16);
	if (inet_pton(AF_INET, text, address + 12) == 1) {
		address[10] = address[11] = 0xff;
		return 32;
	}
	return inet_pton(AF_INET6, text, address) == 1 ? 128 : 0;
}

/* Are the first bits of two addresses the same? */
static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned rest = bits % 8;

	return !memcmp(a, b, bits / 8) && (!rest || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0);
}

bool network_parse(const char *text, struct network *network)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	struct network made;
	char address[INET6_ADDRSTRLEN];
	unsigned width;
	uint64_t bits;

	if (len >= sizeof(address))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	width = parse_address(address, made.address);
	bits = width;
	if (!width || (slash && !parse_u64(slash + 1, 0, width, &bits)))
		return false;
	made.bits = (unsigned)bits + (width == 32 ? V4_PREFIX : 0);
	for (unsigned bit = made.bits; bit < 128; bit++)
		if (made.address[bit / 8] & (0x80 >> bit % 8))
			return false;
	*network = made;
	return true;
}

bool network_has(const struct network *network, const char *address)
{
	unsigned char parsed[16];

	return parse_address(address, parsed) && same_bits(network->address, parsed, network->bits);
}
