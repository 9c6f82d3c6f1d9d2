/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the API share; it knows none of them. Private to the folder; on workers. */
#ifndef HTTP_API_H
#define HTTP_API_H

#include "http/request.h"

/* Runs a read or write job and answers where it fails (what: "the machines could not be read"). */
bool api_read(struct request *request, struct inventory_job *job, const char *what);
/* "" where the member is missing or no string. */
const char *api_text(const json_t *body, const char *key);
/* What main knows; to be freed. */
void api_get_facts(struct http *http, struct http_facts *facts);
void api_facts_free(struct http_facts *facts);
/* The portals with wildcard addresses replaced by one under which this host is reached. */
json_t *api_portals(const struct http_facts *facts);
/* A string, number or boolean as text; false for anything else. */
bool api_scalar_text(const json_t *value, char *out, size_t out_size);
/* The value of a key that is set; answers 400 where it is none. */
bool api_value_text(struct request *request, const char *key, const json_t *value, char text[NOTE_TEXT]);

/* The snapshots of a volume, as volume_find names it. 0 or -errno; -ENOENT: there is no such volume. */
int api_snapshots(struct http *http, const char *which, json_t **list);
/* Answers with all about a volume; hint: what to do next, "" or NULL. */
void api_reply_volume(struct request *request, unsigned status, const char *which, const char *hint);
/* Answers with all about the machine that the path names; hint: what to do next, or "". */
void api_reply_machine(struct request *request, const char *hint);

#endif
