/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Big-endian integers as they lie on a wire or in a file.
 *
 * Each type is an array of bytes with alignment 1, so a struct made of them has no padding and can be laid over
 * any buffer, and a forgotten byte swap does not compile: the only way in and out is get and put.
 */
#ifndef BASE_BE_H
#define BASE_BE_H

#include <stdint.h>

struct be16 {
	uint8_t b[2];
};
struct be24 {
	uint8_t b[3];
};
struct be32 {
	uint8_t b[4];
};
struct be64 {
	uint8_t b[8];
};

static inline uint16_t be16_get(struct be16 v)
{
	return (uint16_t)((v.b[0] << 8) | v.b[1]);
}

static inline uint32_t be24_get(struct be24 v)
{
	return ((uint32_t)v.b[0] << 16) | ((uint32_t)v.b[1] << 8) | v.b[2];
}

static inline uint32_t be32_get(struct be32 v)
{
	return ((uint32_t)v.b[0] << 24) | ((uint32_t)v.b[1] << 16) | ((uint32_t)v.b[2] << 8) | v.b[3];
}

static inline uint64_t be64_get(struct be64 v)
{
	uint64_t x = 0;

	for (int i = 0; i < 8; i++)
		x = (x << 8) | v.b[i];
	return x;
}

static inline struct be16 be16_put(uint16_t x)
{
	return (struct be16){ { (uint8_t)(x >> 8), (uint8_t)x } };
}

static inline struct be24 be24_put(uint32_t x)
{
	return (struct be24){ { (uint8_t)(x >> 16), (uint8_t)(x >> 8), (uint8_t)x } };
}

static inline struct be32 be32_put(uint32_t x)
{
	return (struct be32){ { (uint8_t)(x >> 24), (uint8_t)(x >> 16), (uint8_t)(x >> 8), (uint8_t)x } };
}

static inline struct be64 be64_put(uint64_t x)
{
	struct be64 v;

	for (int i = 7; i >= 0; i--, x >>= 8)
		v.b[i] = (uint8_t)x;
	return v;
}

#endif
