/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A second backend, "memory", which proves that nothing above store/backend.h knows files: its objects are pieces of
 * memory that outlive a store, as files do. A system volume's begins as a copy of its golden version. One store at a
 * time.
 */
#ifndef TESTS_STORE_MEMORY_BACKEND_H
#define TESTS_STORE_MEMORY_BACKEND_H

#include "store/backend.h"

extern const struct store_backend memory_backend;

/* All objects go; none is open. */
void memory_backend_clear(void);
/* An object goes behind the store's back, as a file that somebody deletes. */
void memory_backend_lose(const char *object);

#endif
