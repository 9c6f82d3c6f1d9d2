/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records of the inventory, of boot/ and of dhcp/ as JSON. Private to the folder; any thread; each returns a new reference, NULL
 * without memory.
 */
#ifndef HTTP_JSON_H
#define HTTP_JSON_H

#include "boot/boot.h"
#include "dhcp/status.h"
#include "inventory/inventory.h"

#include <jansson.h>

/* A text, or null where it is empty. */
json_t *json_text_or_null(const char *text);
/* A time in Unix milliseconds, or null where it is 0: not yet. */
json_t *json_time_or_null(int64_t unix_ms);
/* The lines of a text as an array. */
json_t *json_lines(const char *text);

/* "error" where its file could not be looked at; err: 0 or -errno. */
void json_set_file_error(json_t *object, int err);

json_t *api_event_json(const struct event *event);
/* All fields of a record that have a name in JSON. */
json_t *api_record_json(const struct field *table, const void *record);
/* Without what needs other tables: version, MACs, boots, sessions, disk, volumes. */
json_t *api_machine_json(const struct machine *machine);
enum { VOLUME_LABEL_TEXT = NAME_MAX_TEXT + 32 };
/* What a volume is called, also where it has no name of its own: MACHINE:0. machine: "" where it is not known. */
const char *api_volume_label(const struct volume *volume, const char *machine, unsigned lun,
			     char out[VOLUME_LABEL_TEXT]);
json_t *api_machine_boot_json(const struct machine_boot *boot, bool secrets);
json_t *api_session_json(const struct boot_session *session);
/* MACs by commas, as a list. */
json_t *api_cards_json(const char *cards);
json_t *api_waiting_json(const struct waiting *waiting);
json_t *api_version_json(const struct image_version *version, uint64_t allocated_bytes);
/* Without the leases, which need the machines. */
json_t *api_dhcp_json(const struct dhcp_status *dhcp);

#endif
