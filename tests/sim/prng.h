/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers that follow from a seed (splitmix64), so that a history can be had again. */
#ifndef SIM_PRNG_H
#define SIM_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct prng {
	uint64_t state;
};

static inline uint64_t prng_next(struct prng *prng)
{
	uint64_t z = prng->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* 0 to n - 1. */
static inline uint64_t prng_below(struct prng *prng, uint64_t n)
{
	return prng_next(prng) % n;
}

static inline bool prng_percent(struct prng *prng, unsigned percent)
{
	return prng_below(prng, 100) < percent;
}

#endif
