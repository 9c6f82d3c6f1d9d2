// SPDX-License-Identifier: GPL-2.0-or-later
/* The API: a new machine with what is on another one's disk. */
#include "http/api.h"

#include "boot/boot.h"
#include "http/json.h"
#include "http/routes.h"
#include "http/text.h"

#include <errno.h>
#include <string.h>

/* NULL: it is as it should be; else what is wrong. Texts are borrowed from the body. */
static const char *read_clone(const json_t *body, struct boot_machine_new *new)
{
	const json_t *macs = json_object_get(body, "macs"), *mac;
	size_t i;

	new->name = api_text(body, "name");
	if (json_array_size(macs) > BOOT_MACS_MAX)
		return "too many MAC addresses for one machine";
	json_array_foreach(macs, i, mac) {
		if (!json_is_string(mac))
			return "\"macs\" must be a list of MAC addresses";
		new->macs[new->mac_count++] = json_string_value(mac);
	}
	return NULL;
}

void handle_machine_clone(struct request *request)
{
	const char *snapshot = api_text(request->json, "snapshot");
	struct boot_machine_new new = { .mac_count = 0 };
	struct reason reason = { "" };
	struct machine made;
	const char *wrong = read_clone(request->json, &new);
	int err;

	if (wrong) {
		reply_error(request, 400, "for example {\"name\": \"pc-009\", \"macs\": [\"52:54:00:12:34:56\"]}", "%s",
			    wrong);
		return;
	}
	err = boot_clone(request->http->config.boot, request->params[0], &new, snapshot[0] ? snapshot : NULL,
			 request->actor, &made, &reason);
	if (err) {
		reply_errno(request, err, reason.text,
			    err == -EBUSY && !strstr(reason.text, "sanbootctl") ?
				    "a machine is cloned while it is off, or of one of its snapshots" :
				    "");
		return;
	}
	reply_json(request, 201,
		   json_pack("{s:o, s:s, s:o}", "name", http_text_json(made.name), "iqn", made.iqn, "hint",
			     http_text_json(reason.text)));
}
