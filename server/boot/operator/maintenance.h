/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Maintenance, as machine set M mode=... asks for it. Private to boot/. */
#ifndef BOOT_MAINTENANCE_H
#define BOOT_MAINTENANCE_H

#include "manage.h"

/* Does mode=MODE begin or end maintenance? */
bool manage_is_maintenance(const struct machine *machine, const char *mode);
/* Then: m->which and m->value as boot_set has them, m->machine found. As boot_set. */
int manage_set_maintenance(struct manage *m);

#endif
