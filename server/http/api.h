/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What several files of the API need. Private to the folder; on workers. */
#ifndef HTTP_API_H
#define HTTP_API_H

#include "http/request.h"

/* Runs a read or write job and answers where it fails (what: "the machines could not be read"). */
bool api_read(struct request *request, struct inventory_job *job, const char *what);
/* "" where the member is missing or no string. */
const char *api_text(const json_t *body, const char *key);
/* What main says of itself (version, start, portals, dhcp): an object, empty where it is no JSON. */
json_t *api_main_status(struct http *http);
/* The portals with wildcard addresses replaced by one under which this host is reached. */
json_t *api_portals(const json_t *main_status);
/*
 * Gives each machine "lease": {"address", "expires_ms": 0 for ever}, or null; and each lease of main_status "machine":
 * a name, or null for who is not enrolled. machines: all of them, or those that matter.
 */
void api_join_leases(const json_t *main_status, const json_t *machines);
/* A string, number or boolean as text; false for anything else. */
bool api_scalar_text(const json_t *value, char *out, size_t out_size);
/* The value of a key that is set; answers 400 where it is none. */
bool api_value_text(struct request *request, const char *key, const json_t *value, char text[NOTE_TEXT]);

/* The site's entries and templates, and what is wrong with its files. */
void api_add_site(struct http *http, json_t *status);
/*
 * All machines, or one, with all that the API says of them. which NULL: all. -ENOENT. Sessions and disks are looked up
 * after the inventory was read. detail: boots and events too; secrets: their secrets.
 */
int api_machines(struct http *http, const char *which, bool detail, bool secrets, json_t **machines);

/* The snapshots of a volume, as volume_find names it. 0 or -errno; -ENOENT: there is no such volume. */
int api_snapshots(struct http *http, const char *which, json_t **list);
/* Answers with all about a volume; hint: what to do next, "" or NULL. */
void api_reply_volume(struct request *request, unsigned status, const char *which, const char *hint);

/* Answers with all about the machine that the path names; hint: what to do next, or "". */
void api_reply_machine(struct request *request, const char *hint);

/* Adds "timeline" and "stuck" (null: it is not) of a boot to its object. Inside a read job; 0 or -errno. */
int api_timeline(struct inventory_tx *tx, const struct boot_record *boot, json_t *json);
/* In their place, what was seen of a machine (its object with "macs") that has not got a script since. */
void api_arriving(struct boot *boot, json_t *machine);

#endif
