// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that is used again: see spares.h. */
#include "base/spares.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_LINE = 64, PREFETCH_BYTES = 4 * CACHE_LINE };

#ifdef __SANITIZE_ADDRESS__
static const bool keeps = false;
#else
static const bool keeps = true;
#endif

void *spares_get(struct spares *spares, size_t bytes)
{
	void *memory = spares->first;

	assert(bytes >= sizeof(memory));
	if (!memory)
		return malloc(bytes);
	memcpy(&spares->first, memory, sizeof(memory));
	spares->count--;
	/* The next one has not been used for longer. */
	for (size_t at = 0; at < bytes && at < PREFETCH_BYTES; at += CACHE_LINE)
		__builtin_prefetch((const char *)spares->first + at, 1);
	return memory;
}

void spares_put(struct spares *spares, void *memory, unsigned keep)
{
	if (!keeps || spares->count >= keep) {
		free(memory);
		return;
	}
	memcpy(memory, &spares->first, sizeof(memory));
	spares->first = memory;
	spares->count++;
}

void spares_fini(struct spares *spares)
{
	while (spares->first) {
		void *memory = spares->first;

		memcpy(&spares->first, memory, sizeof(memory));
		free(memory);
	}
	spares->count = 0;
}
