/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries by the id of a machine or a volume, made when they are first asked for. The table's owner guards it.
 * Private to boot/.
 */
#ifndef BOOT_ID_TABLE_H
#define BOOT_ID_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum { ID_TABLE_BUCKETS = 256 };

/* The first member of an entry. */
struct id_entry {
	struct id_entry *next;
	int64_t id;
};

struct id_table {
	struct id_entry *buckets[ID_TABLE_BUCKETS]; /* zeroes: empty */
};

/* NULL: there is none. */
void *id_table_find(const struct id_table *table, int64_t id);
/* That one, or a new one of size bytes, zeroes but for its head. NULL: no memory. */
void *id_table_get(struct id_table *table, int64_t id, size_t size);
/* Frees it; nothing where there is none. */
void id_table_remove(struct id_table *table, int64_t id);
void id_table_fini(struct id_table *table);

#endif
