/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CRC32C (Castagnoli), by isa-l: the digest of RFC 7143 §12.1 and the check of the disk journal. Any thread. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Start with seed 0; chain by giving the last result as the next seed. */
uint32_t crc32c(uint32_t seed, const void *data, size_t len);

#endif
