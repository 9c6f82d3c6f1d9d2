/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set of names, sorted before it is searched. Private to store/. */
#ifndef STORE_NAMES_H
#define STORE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct names {
	char **list;
	size_t count, capacity;
	bool failed; /* no memory, or too many: names are missing */
};

void names_add(struct names *names, const char *name);
/* Once, after the last names_add and before the first names_have. */
void names_sort(struct names *names);
bool names_have(const struct names *names, const char *name);
void names_free(struct names *names);

#endif
