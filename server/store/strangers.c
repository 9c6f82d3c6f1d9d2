// SPDX-License-Identifier: GPL-2.0-or-later
/* Files that nobody knows: see strangers.h. */
#include "store/strangers.h"

#include "store/private.h"

#include <stdio.h>
#include <string.h>

void strangers_add(struct strangers *strangers, const char *name)
{
	size_t len = strlen(strangers->some);

	strangers->count++;
	strangers->cut |= len + strlen(name) + 8 >= sizeof(strangers->some);
	if (!strangers->cut)
		snprintf(strangers->some + len, sizeof(strangers->some) - len, "%s%s", len ? ", " : "", name);
}

void strangers_tell(struct store *store, const struct strangers *strangers, const char *kind, const char *what)
{
	if (strangers->count)
		inventory_event(store->inventory, "warning", kind, "server", 0, "", "%u %s: %s%s", strangers->count,
				what, strangers->some, strangers->cut ? ", ..." : "");
}
