// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: machines that are added before they are switched on, and those that are woken. */
#include "http/api.h"

#include "base/util.h"
#include "boot/boot.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ADD_MAX = 4096 };

/* Texts that are borrowed from the body. */
static const char *text_or_null(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && text[0] ? text : NULL;
}

/* NULL: it is as it should be; else what is wrong. */
static const char *read_macs(const json_t *macs, struct boot_machine_new *new)
{
	const json_t *mac;
	size_t i;

	if (!json_is_array(macs))
		return "\"macs\" must be a list of MAC addresses";
	if (json_array_size(macs) > BOOT_MACS_MAX)
		return "too many MAC addresses for one machine";
	json_array_foreach(macs, i, mac) {
		if (!json_is_string(mac))
			return "\"macs\" must be a list of MAC addresses";
		new->macs[new->mac_count++] = json_string_value(mac);
	}
	return NULL;
}

static const char *read_new(const json_t *object, struct boot_machine_new *new)
{
	static const char *const keys[] = { "name", "macs", "group", "image", "address", "note" };
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return "expected an object such as {\"name\": \"pc-1\", \"macs\": [\"52:54:00:12:34:56\"]}";
	json_object_foreach((json_t *)(uintptr_t)object, key, value) {
		bool known = false;

		for (size_t i = 0; i < array_len(keys); i++)
			known = known || !strcmp(keys[i], key);
		if (!known)
			return "there are no other keys than name, macs, group, image, address, note";
		if (strcmp(key, "macs") && !json_is_string(value) && !json_is_null(value))
			return "name, group, image, address and note must be texts";
	}
	*new = (struct boot_machine_new){ .name = text_or_null(object, "name"),
					  .group = text_or_null(object, "group"),
					  .image = text_or_null(object, "image"),
					  .address = text_or_null(object, "address"),
					  .note = text_or_null(object, "note") };
	return read_macs(json_object_get(object, "macs"), new);
}

/* Which one it was, for people and for programs. */
static void reply_refused(struct request *request, int err, size_t index, const char *reason)
{
	const json_t *one = json_array_get(json_object_get(request->json, "machines"), index);
	const char *name = text_or_null(one, "name");
	char text[1200];

	snprintf(text, sizeof(text), "machine %zu%s%s%s: %s", index + 1, name ? " (" : "", name ? name : "",
		 name ? ")" : "", reason);
	reply_json(request, reply_status_of(err),
		   json_pack("{s:o, s:s, s:I, s:o}", "error", http_text_json(text), "hint",
			     "nothing was changed: all of them are added, or none", "index", (json_int_t)index,
			     "reason", http_text_json(reason)));
}

static void reply_added(struct request *request, const struct machine *machines, unsigned count, bool dry_run)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list,
				      json_pack("{s:o, s:s, s:o}", "name", http_text_json(machines[i].name), "iqn",
						machines[i].iqn, "address", json_text_or_null(machines[i].address)));
	reply_json(request, dry_run ? 200 : 201, json_pack("{s:b, s:o}", "dry_run", dry_run, "added", list));
}

static void add_list(struct request *request, const struct boot_machine_new *list, unsigned count)
{
	bool dry_run = json_is_true(json_object_get(request->json, "dry_run"));
	struct machine *machines = calloc(count, sizeof(*machines));
	struct reason reason = { "" };
	unsigned failed = 0;
	int err = -ENOMEM;

	if (machines)
		err = boot_add_machines(request->http->config.boot, list, count, dry_run, request->actor, machines,
					&failed, &reason);
	if (err && failed < count && machines)
		reply_refused(request, err, failed, reason.text);
	else if (err)
		reply_errno(request, err, reason.text, "");
	else
		reply_added(request, machines, count, dry_run);
	free(machines);
}

void handle_machines_add(struct request *request)
{
	const json_t *machines = json_object_get(request->json, "machines"), *one;
	size_t count = json_array_size(machines), i;
	struct boot_machine_new *list;

	if (!count || count > ADD_MAX) {
		reply_error(request, 400,
			    "for example {\"machines\": [{\"name\": \"pc-1\", \"macs\": [\"52:54:00:12:34:56\"]}]}",
			    count ? "at most %d machines at once" : "no machine was named (at most %d)", ADD_MAX);
		return;
	}
	list = calloc(count, sizeof(*list));
	if (!list) {
		reply_errno(request, -ENOMEM, "", "");
		return;
	}
	json_array_foreach(machines, i, one) {
		const char *wrong = read_new(one, &list[i]);

		if (wrong) {
			reply_refused(request, -EINVAL, i, wrong);
			break;
		}
	}
	if (i == count)
		add_list(request, list, (unsigned)count);
	free(list);
}

void handle_machine_wake(struct request *request)
{
	struct reason reason = { "" };
	int err = boot_wake(request->http->config.boot, request->params[0], request->actor, &reason);

	if (err)
		reply_errno(request, err, reason.text,
			    err == -ENOENT ? "" : "see the server's interfaces with: ip address");
	else
		reply_json(request, 200,
			   json_pack("{s:o, s:o}", "woken", http_text_json(request->params[0]), "hint",
				     http_text_json(reason.text)));
}
