// SPDX-License-Identifier: GPL-2.0-or-later
/* Records as JSON: see json.h. */
#include "http/json.h"

#include "base/util.h"
#include "http/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *json_text_or_null(const char *text)
{
	return text[0] ? http_text_json(text) : json_null();
}

json_t *json_time_or_null(int64_t unix_ms)
{
	return unix_ms ? json_integer(unix_ms) : json_null();
}

json_t *json_lines(const char *text)
{
	json_t *lines = json_array();

	while (*text) {
		size_t len = strcspn(text, "\n");
		char line[1024];

		if (len && len < sizeof(line)) {
			memcpy(line, text, len);
			line[len] = '\0';
			json_array_append_new(lines, http_text_json(line));
		}
		text += len + (text[len] == '\n');
	}
	return lines;
}

void json_set_file_error(json_t *object, int err)
{
	if (err)
		json_object_set_new(object, "error",
				    json_string(err == -ENOENT ? "the file is missing" : strerror(-err)));
}

json_t *api_event_json(const struct event *event)
{
	return json_pack("{s:I, s:I, s:s, s:s, s:o, s:o, s:o, s:o}", "id", (json_int_t)event->id, "at_ms",
			 (json_int_t)event->at_ms, "level", event->level, "kind", event->kind, "actor",
			 http_text_json(event->actor), "machine_id",
			 event->machine_id ? json_integer(event->machine_id) : json_null(), "object",
			 json_text_or_null(event->object), "text", http_text_json(event->text));
}

static json_t *field_json(const struct field *field, const void *record)
{
	const char *text = (const char *)record + field->offset;

	switch (field->kind) {
	case FIELD_TEXT:
		return text[0] ? http_text_json(text) : field->nothing ? json_string(field->nothing) : json_null();
	case FIELD_TIME:
		return json_time_or_null(field_get(field, record));
	case FIELD_BOOL:
		return json_boolean(field_get(field, record));
	case FIELD_WORD:
		return json_string(field_word(field, record));
	case FIELD_BYTES_OF:
		return json_integer(strtol(field_word(field, record), NULL, 10));
	default:
		return json_integer(field_get(field, record));
	}
}

json_t *api_record_json(const struct field *table, const void *record)
{
	json_t *json = json_object();

	for (; json && table->column; table++) {
		if (table->json)
			json_object_set_new(json, table->json, field_json(table, record));
	}
	return json;
}

json_t *api_machine_json(const struct machine *m)
{
	static const char *const of_system[] = { "state_reason", "physical_block", "quota" };
	json_t *json = api_record_json(machine_fields, m), *system = api_record_json(volume_fields, &m->system);

	if (!json)
		return NULL;
	for (size_t i = 0; i < array_len(of_system); i++)
		json_object_set(json, of_system[i], json_object_get(system, of_system[i]));
	json_object_set_new(json, "state", json_string(m->system.state == VOLUME_FAILED ? "failed" : "off"));
	json_decref(system);
	return json;
}

const char *api_volume_label(const struct volume *volume, const char *machine, unsigned lun,
			     char out[VOLUME_LABEL_TEXT])
{
	if (volume->name[0])
		snprintf(out, VOLUME_LABEL_TEXT, "%s", volume->name);
	else if (machine[0])
		snprintf(out, VOLUME_LABEL_TEXT, "%s:%u", machine, lun);
	else
		snprintf(out, VOLUME_LABEL_TEXT, "#%lld", (long long)volume->id);
	return out;
}

json_t *api_machine_boot_json(const struct machine_boot *boot, bool secrets)
{
	static const char *const states[] = {
		[MACHINE_BOOT_PENDING] = "pending", [MACHINE_BOOT_CURRENT] = "current", [MACHINE_BOOT_ENDED] = "ended"
	};
	json_t *json = json_pack("{s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:b}", "number", (json_int_t)boot->number,
				 "state", states[boot->state], "mac", json_text_or_null(boot->mac), "address",
				 json_text_or_null(boot->address), "issued_ms", json_time_or_null(boot->issued_ms),
				 "started_ms", json_time_or_null(boot->started_ms), "ended_ms",
				 json_time_or_null(boot->ended_ms), "interrupted", boot->interrupted);

	if (json && secrets) {
		json_object_set_new(json, "secret", json_text_or_null(boot->secret));
		json_object_set_new(json, "reverse_secret", json_text_or_null(boot->reverse_secret));
	}
	return json;
}

json_t *api_session_json(const struct boot_session *s)
{
	return json_pack("{s:o, s:o, s:s, s:b, s:I, s:I, s:I, s:I, s:I}", "initiator", http_text_json(s->initiator),
			 "address", http_text_json(s->address), "portal", s->portal, "ipxe", s->ipxe, "since_ms",
			 (json_int_t)s->since_ms, "boot", (json_int_t)s->boot, "bytes_read", (json_int_t)s->bytes_read,
			 "bytes_written", (json_int_t)s->bytes_written, "commands", (json_int_t)s->commands);
}

json_t *api_cards_json(const char *cards)
{
	json_t *list = json_array();

	for (size_t len; *cards; cards += len + (cards[len] == ',')) {
		len = strcspn(cards, ",");
		json_array_append_new(list, json_stringn(cards, len));
	}
	return list;
}

json_t *api_waiting_json(const struct waiting *w)
{
	return json_pack("{s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:I, s:I}", "number", (json_int_t)w->number,
			 "mac", w->mac, "uuid", json_text_or_null(w->uuid), "serial", json_text_or_null(w->serial),
			 "product", json_text_or_null(w->product), "other_macs", api_cards_json(w->cards), "address",
			 json_text_or_null(w->address), "reason", waiting_reason_name(w->reason), "machine_id",
			 w->machine_id ? json_integer(w->machine_id) : json_null(), "first_ms", (json_int_t)w->first_ms,
			 "seen_ms", (json_int_t)w->seen_ms);
}

json_t *api_version_json(const struct image_version *v, uint64_t allocated_bytes)
{
	/* An identity is SHA-256 of all of it, or marked behind the digits: of its data (store/hash.h). */
	size_t digits = strcspn(v->sha256, ".");
	bool whole = !v->sha256[digits];
	char name[NAME_MAX_TEXT + 16], hash[IDENTITY_TEXT];
	json_t *json;

	snprintf(name, sizeof(name), "%s@%u", v->image, v->number);
	snprintf(hash, sizeof(hash), "%.*s", (int)digits, v->sha256);
	json = json_pack("{s:s, s:i, s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:i, s:i, s:i, s:I, s:o, s:o, s:o, s:o, s:o}",
			 "name", name, "version", (int)v->number, "state", version_state_name(v->state), "file",
			 http_text_json(v->file), "format", http_text_json(v->format), "size_bytes",
			 (json_int_t)v->size_bytes, "allocated_bytes", (json_int_t)allocated_bytes, "sha256",
			 json_text_or_null(whole ? hash : ""), "data_sha256", json_text_or_null(whole ? "" : hash),
			 "machines", (int)v->machines, "volumes", (int)v->volumes, "snapshots", (int)v->snapshots,
			 "created_ms", (json_int_t)v->created_ms, "note", json_text_or_null(v->note), "publish_at_ms",
			 json_time_or_null(v->publish_at_ms), "publish_by", json_text_or_null(v->publish_by), "source",
			 json_text_or_null(v->source), "warnings", json_lines(v->warnings));
	json_object_set_new(json, "parent", json_text_or_null(v->parent));
	json_object_set_new(json, "depth", json_integer(v->depth));
	return json;
}

static json_t *boot_file_json(const struct boot_kind *kind, const char *set, const char *file, const struct shim *shim)
{
	json_t *json =
		json_pack("{s:s, s:o, s:o, s:o}", "machines", kind->machines, "set", json_text_or_null(set), "file",
			  http_text_json(file), "starts", shim->name[0] ? http_text_json(shim->loader) : json_null());
	char text[SHIM_SENTENCE_TEXT];

	json_object_set_new(json, "secure_boot",
			    kind->shim.ending ? http_text_json(shim_describe(shim, text)) : json_null());
	return json;
}

json_t *api_dhcp_json(const struct dhcp_status *dhcp)
{
	json_t *json = json_pack("{s:s}", "mode", dhcp_mode_name(dhcp->mode)), *interfaces = json_array(),
	       *there = json_array(), *missing = json_array();

	for (unsigned i = 0; i < dhcp->interface_count; i++)
		json_array_append_new(interfaces, json_string(dhcp->interfaces[i]));
	for (unsigned k = 0; k < BOOT_KINDS; k++) {
		const struct boot_kind *kind = &dhcp_boot_kinds[k];
		for (unsigned s = 0; s <= dhcp->set_count; s++)
			if (dhcp->files[s].name[k][0])
				json_array_append_new(there,
						      boot_file_json(kind, s ? dhcp->sets[s - 1] : "",
								     dhcp->files[s].name[k], &dhcp->files[s].shim[k]));
		if (!dhcp->files[0].name[k][0])
			json_array_append_new(missing, json_pack("{s:s, s:s, s:s}", "machines", kind->machines, "file",
								 kind->names[0], "source", kind->source));
	}
	if (dhcp->state)
		json_object_update_new(json, json_pack("{s:s, s:i, s:i, s:o, s:O, s:b}", "state", dhcp->state, "pid",
						       dhcp->pid, "restarts", (int)dhcp->restarts, "message",
						       http_text_json(dhcp->message), "interfaces", interfaces, "tftp",
						       dhcp->tftp));
	if (dhcp->tftp)
		json_object_update_new(json,
				       json_pack("{s:O, s:O}", "boot_files", there, "missing_boot_files", missing));
	json_decref(interfaces);
	json_decref(there);
	json_decref(missing);
	return json;
}
