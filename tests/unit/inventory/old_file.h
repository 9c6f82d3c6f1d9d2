/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of earlier versions of the schema, for the tests of migrations. */
#ifndef TESTS_INVENTORY_OLD_FILE_H
#define TESTS_INVENTORY_OLD_FILE_H

#include "inventory/fixture.h"

/* Makes a file of that version by its own steps. There is none; the inventory is closed, and stays so. */
void old_file(struct fixture *f, unsigned version);
/* Somebody else's change of it. */
void old_file_sql(struct fixture *f, const char *sql);

#endif
