/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Maintenance as the API tells it. Private to the folder. */
#ifndef HTTP_API_MAINTENANCE_H
#define HTTP_API_MAINTENANCE_H

#include "http/api.h"

/* Sets "maintenance" of a machine's JSON: null where it is in none. Inside a job. 0 or -errno. */
int api_set_maintenance(struct inventory_tx *tx, const struct machine *machine, json_t *json);

#endif
