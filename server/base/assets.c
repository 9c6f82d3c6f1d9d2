// SPDX-License-Identifier: GPL-2.0-or-later
/* Look-up in the tables of compiled-in files. */
#include "base/assets.h"

#include <string.h>

const struct asset *asset_find(const struct asset *table, const char *name)
{
	for (; table->name; table++)
		if (!strcmp(table->name, name))
			return table;
	return NULL;
}
