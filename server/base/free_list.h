/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A free list: memory of one size that is taken and given back all the time: what came back last goes out first, because it is still
 * in the processor's caches, and without the cost of malloc. AddressSanitizer is told what is given back, and so sees
 * who still uses it. One thread.
 */
#ifndef BASE_FREE_LIST_H
#define BASE_FREE_LIST_H

#include <stddef.h>

/* Zero-initialise. */
struct free_list {
	void *first; /* each begins with a pointer to the next */
	unsigned count;
	size_t bytes; /* of each */
};

/* Memory of so many bytes, at least a pointer's and always the same with one list; not zeroed. NULL without memory. */
void *free_list_get(struct free_list *free_list, size_t bytes);
/* Back to the list, or freed where it has as many as `keep`. */
void free_list_put(struct free_list *free_list, void *memory, unsigned keep);
void free_list_fini(struct free_list *free_list);

#endif
