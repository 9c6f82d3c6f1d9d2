/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that are compiled into the program. The Makefile turns each folder into one table that ends with a NULL name;
 * names are relative to the folder, data is followed by a NUL that len does not count.
 */
#ifndef BASE_ASSETS_H
#define BASE_ASSETS_H

#include <stddef.h>

struct asset {
	const char *name;
	const unsigned char *data;
	size_t len; /* bytes */
};

extern const struct asset assets_web[];	   /* web/ */
extern const struct asset assets_ipxe[];   /* ipxe-scripts/ */
extern const struct asset assets_db[];	   /* db/, sorted by name */
extern const struct asset assets_golden[]; /* packaging/golden/ */
extern const struct asset assets_whoami[]; /* packaging/templates/ */

/* NULL where the table has no such name. */
const struct asset *asset_find(const struct asset *table, const char *name);

#endif
