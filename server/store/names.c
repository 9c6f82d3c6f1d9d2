// SPDX-License-Identifier: GPL-2.0-or-later
/* A set of names: see names.h. */
#include "store/names.h"

#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 1 << 20 };

void names_add(struct names *names, const char *name)
{
	char **list = names->list;

	if (names->count == names->capacity) {
		size_t capacity = names->capacity ? 2 * names->capacity : 64;

		list = capacity <= NAMES_MAX ? reallocarray(list, capacity, sizeof(*list)) : NULL;
		if (list) {
			names->list = list;
			names->capacity = capacity;
		}
	}
	if (list)
		list[names->count] = strdup(name);
	if (list && list[names->count])
		names->count++;
	else
		names->failed = true;
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void names_sort(struct names *names)
{
	if (names->count)
		qsort(names->list, names->count, sizeof(*names->list), name_compare);
}

bool names_have(const struct names *names, const char *name)
{
	return names->count && bsearch(&name, names->list, names->count, sizeof(*names->list), name_compare);
}

void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
	*names = (struct names){ 0 };
}
