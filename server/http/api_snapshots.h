/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Snapshots as the API tells them. Private to the folder; on workers. */
#ifndef HTTP_API_SNAPSHOTS_H
#define HTTP_API_SNAPSHOTS_H

#include "http/api.h"

/* The snapshots of a volume, as volume_find names it. 0 or -errno; -ENOENT: there is no such volume. */
int api_snapshots(struct http *http, const char *which, json_t **list);

#endif
