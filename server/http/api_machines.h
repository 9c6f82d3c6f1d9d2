/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Machines as the API tells them, and their parts. Private to the folder; on workers. */
#ifndef HTTP_API_MACHINES_H
#define HTTP_API_MACHINES_H

#include "http/api.h"

/*
 * All machines, or one, with all that the API says of them. which NULL: all. -ENOENT. Sessions and disks are looked up
 * after the inventory was read. detail: boots and events too; secrets: their secrets.
 */
int api_machines(struct http *http, const char *which, bool detail, bool secrets, json_t **machines);
/* Answers with all about the machine that the path names; hint: what to do next, or "". */
void api_reply_machine(struct request *request, const char *hint);

/* Adds "timeline" and "stuck" (null: it is not) of a boot to its object. Inside a read job; 0 or -errno. */
int api_timeline(struct inventory_tx *tx, const struct machine_boot *boot, json_t *json);
/* In their place, what was seen of a machine (its object with "macs") that has not got a script since. */
void api_arriving(struct boot *boot, json_t *machine);

/*
 * Gives each machine "lease": {"address", "expires_ms": 0 for ever}, or null. machines: all of them, or those that
 * matter. leases: where it is not NULL, all of dhcp's are added to it, with "machine": a name, or null where it is
 * not enrolled.
 */
void api_join_leases(const struct dhcp_status *dhcp, const json_t *machines, json_t *leases);

#endif
