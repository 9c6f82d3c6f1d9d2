// SPDX-License-Identifier: GPL-2.0-or-later
/* CRC32C by isa-l, whose function neither inverts its seed nor its result: done here, so that results chain. */
#include "base/crc32c.h"

#include <isa-l/crc.h>
#include <limits.h>

uint32_t crc32c(uint32_t seed, const void *data, size_t len)
{
	const unsigned char *bytes = data;
	uint32_t crc = ~seed;

	while (len > 0) {
		size_t part = len > INT_MAX ? INT_MAX : len;

		crc = crc32_iscsi((unsigned char *)bytes, (int)part, crc);
		bytes += part;
		len -= part;
	}
	return ~crc;
}
