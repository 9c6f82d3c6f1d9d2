// SPDX-License-Identifier: GPL-2.0-or-later
/* Entries by id: see id_table.h. */
#include "id_table.h"

#include <stdlib.h>

/* Where the entry is linked, or would be. */
static struct id_entry **find_link(struct id_table *table, int64_t id)
{
	struct id_entry **at = &table->buckets[(uint64_t)id % ID_TABLE_BUCKETS];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

void *id_table_find(const struct id_table *table, int64_t id)
{
	return *find_link((struct id_table *)table, id);
}

void *id_table_get(struct id_table *table, int64_t id, size_t size)
{
	struct id_entry **at = find_link(table, id), *made;

	if (*at)
		return *at; // cppcheck-suppress identicalInnerCondition ; the loop that ends so is find_link's
	made = calloc(1, size);
	if (made) {
		made->id = id;
		*at = made;
	}
	return made;
}

void id_table_remove(struct id_table *table, int64_t id)
{
	struct id_entry **at = find_link(table, id), *entry = *at;

	if (!entry)
		return;
	*at = entry->next;
	free(entry);
}

void id_table_fini(struct id_table *table)
{
	for (unsigned i = 0; i < ID_TABLE_BUCKETS; i++) {
		for (struct id_entry *entry = table->buckets[i], *next; entry; entry = next) {
			next = entry->next;
			free(entry);
		}
		table->buckets[i] = NULL;
	}
}
