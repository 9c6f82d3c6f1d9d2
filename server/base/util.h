/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What C lacks: container_of, array_len, alignment, clocks, arrays that grow, memory that has to be there. */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define array_len(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Zeroed memory for what carries a question or an answer from one thread to another: few bytes, and without them
 * somebody would wait for ever (server/design.md, "Memory that is not there").
 */
static inline void *alloc_or_abort(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		abort();
	return memory;
}

/*
 * Appends a copy of item to an array on the heap. array: the address of the pointer to it, which is NULL while count is
 * 0. 0, or -ENOMEM and nothing has changed. For what is read once: each time all of it may be moved.
 */
static inline int array_append(void *array, unsigned *count, const void *item, size_t item_size)
{
	void *old, *more;

	memcpy(&old, array, sizeof(old));
	more = realloc(old, (*count + 1) * item_size);
	if (!more)
		return -ENOMEM;
	memcpy((char *)more + *count * item_size, item, item_size);
	memcpy(array, &more, sizeof(more));
	++*count;
	/* It went into the array by memcpy. */
	return 0; /* cppcheck-suppress memleak */
}

static inline uint64_t align_down(uint64_t x, uint64_t unit)
{
	return x - x % unit;
}

static inline uint64_t align_up(uint64_t x, uint64_t unit)
{
	return align_down(x + unit - 1, unit);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Milliseconds of a clock that never goes back. */
static inline uint64_t time_monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* For waits with a limit, which end with time_monotonic_in: somebody may set the time of day meanwhile. */
static inline void cond_init_monotonic(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

/* The moment in so many milliseconds, on that clock, for pthread_cond_timedwait. */
static inline struct timespec time_monotonic_in(unsigned timeout_ms)
{
	uint64_t end = time_monotonic_ms() + timeout_ms;

	return (struct timespec){ .tv_sec = (time_t)(end / 1000), .tv_nsec = (long)(end % 1000) * 1000000 };
}

/* Milliseconds since 1970, as the inventory keeps all its times. */
static inline int64_t time_unix_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
