/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The API: what goes by itself. Private to the folder. */
#ifndef HTTP_API_RETENTION_H
#define HTTP_API_RETENTION_H

#include "http/api.h"

/* For whoever has just set one of its rules: what goes at the next run, and when. NULL: nothing does. Blocks. */
json_t *api_retention_next(struct http *http);

#endif
