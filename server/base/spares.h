/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of one size that is taken and given back all the time: what came back last goes out first, because it is still
 * in the processor's caches, and without the cost of malloc. AddressSanitizer is told what is given back, and so sees
 * who still uses it. One thread.
 */
#ifndef BASE_SPARES_H
#define BASE_SPARES_H

#include <stddef.h>

/* Zero-initialise. */
struct spares {
	void *first; /* each begins with a pointer to the next */
	unsigned count;
	size_t bytes; /* of each */
};

/* Memory of so many bytes, at least a pointer's and always the same with one pool; not zeroed. NULL without memory. */
void *spares_get(struct spares *spares, size_t bytes);
/* Back to the pool, or freed where it has as many as `keep`. */
void spares_put(struct spares *spares, void *memory, unsigned keep);
void spares_fini(struct spares *spares);

#endif
