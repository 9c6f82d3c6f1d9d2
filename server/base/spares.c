// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that is used again: see spares.h. */
#include "base/spares.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define WITH_ASAN
#endif
#elif defined(__SANITIZE_ADDRESS__) /* gcc */
#define WITH_ASAN
#endif

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

enum { CACHE_LINE = 64, PREFETCH_BYTES = 4 * CACHE_LINE };

static void *next_of(const void *memory)
{
	void *next;

	memcpy(&next, memory, sizeof(next));
	return next;
}

/* For the piece that is taken next: nobody has used it for longer, so the caches may have lost it. */
static void prefetch(const char *memory, size_t bytes)
{
	for (size_t at = 0; memory && at < bytes && at < PREFETCH_BYTES; at += CACHE_LINE)
		__builtin_prefetch(memory + at, 1);
}

void *spares_get(struct spares *spares, size_t bytes)
{
	void *memory = spares->first;

	assert(bytes >= sizeof(memory) && (!spares->bytes || spares->bytes == bytes));
	spares->bytes = bytes;
	if (!memory)
		return malloc(bytes);
	spares->first = next_of(memory);
	spares->count--;
	ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
	prefetch(spares->first, bytes);
	return memory;
}

void spares_put(struct spares *spares, void *memory, unsigned keep)
{
	if (spares->count >= keep) {
		free(memory);
		return;
	}
	memcpy(memory, &spares->first, sizeof(spares->first));
	ASAN_POISON_MEMORY_REGION((char *)memory + sizeof(memory), spares->bytes - sizeof(memory));
	spares->first = memory;
	spares->count++;
}

void spares_fini(struct spares *spares)
{
	while (spares->first) {
		void *memory = spares->first;

		spares->first = next_of(memory);
		ASAN_UNPOISON_MEMORY_REGION(memory, spares->bytes);
		free(memory);
	}
	spares->count = 0;
}
