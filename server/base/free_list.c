// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that is used again: see free_list.h. */
#include "base/free_list.h"

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

void *free_list_get(struct free_list *free_list, size_t bytes)
{
	void *memory = free_list->first;

	assert(bytes >= sizeof(memory) && (!free_list->bytes || free_list->bytes == bytes));
	free_list->bytes = bytes;
	if (!memory)
		return malloc(bytes);
	free_list->first = next_of(memory);
	free_list->count--;
	ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
	prefetch(free_list->first, bytes);
	return memory;
}

void free_list_put(struct free_list *free_list, void *memory, unsigned keep)
{
	if (free_list->count >= keep) {
		free(memory);
		return;
	}
	memcpy(memory, &free_list->first, sizeof(free_list->first));
	ASAN_POISON_MEMORY_REGION((char *)memory + sizeof(memory), free_list->bytes - sizeof(memory));
	free_list->first = memory;
	free_list->count++;
}

void free_list_fini(struct free_list *free_list)
{
	while (free_list->first) {
		void *memory = free_list->first;

		free_list->first = next_of(memory);
		ASAN_UNPOISON_MEMORY_REGION(memory, free_list->bytes);
		free(memory);
	}
	free_list->count = 0;
}
