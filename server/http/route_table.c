// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of routes, from route_table.h. It names every handler, so it lies above them: only http.c, which hands it to
 * the endpoint, uses it.
 */
#include "http/routes.h"

enum {
	LISTENERS_BOOT = SERVES_BOOT,
	LISTENERS_WEB = SERVES_WEB | SERVES_CONTROL,
	LISTENERS_ANY = SERVES_BOOT | SERVES_WEB | SERVES_CONTROL
};

#define ROUTE(method, path, serves, access, run, handle) \
	{ method, path, LISTENERS_##serves, ACCESS_##access, RUN_##run, handle, NULL, NULL, 0, NULL },
#define API(method, path, access, handle, takes, status, answer, does)            \
	{ method, API_PATH path,   LISTENERS_WEB,    ACCESS_##access, RUN_WORKER, \
	  handle, &schema_##takes, &schema_##answer, status,	      does },
const struct route routes[] = {
#include "http/route_table.h"
	{ 0 },
};
