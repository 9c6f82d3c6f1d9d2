/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of inventory/ (and their tests) tell each other. */
#ifndef INVENTORY_PRIVATE_H
#define INVENTORY_PRIVATE_H

#include "inventory/inventory.h"

struct asset;

/* inventory_open with another table of schemas: tests of migrations. */
int inventory_open_table(const char *path, const struct asset *table, struct inventory **inventory, char *reason,
			 size_t reason_size);
/* One line in the log. */
void event_log(const struct event *event);

#endif
