// SPDX-License-Identifier: GPL-2.0-or-later
/* What the files of the API share: see api.h. */
#include "http/api.h"

#include "http/listen.h"

#include <stdio.h>
#include <string.h>

/* Thousands of leases are told in full. */
enum { MAIN_STATUS_MAX = 4 << 20 };

bool api_read(struct request *request, struct inventory_job *job, const char *what)
{
	int err = inventory_read_wait(request->http->config.inventory, job);

	if (err)
		reply_errno(request, err, what, "see sanbootd's log");
	return !err;
}

const char *api_text(const json_t *body, const char *key)
{
	const char *text = json_string_value(json_object_get(body, key));

	return text ? text : "";
}

bool api_scalar_text(const json_t *value, char *out, size_t out_size)
{
	int len;

	if (json_is_string(value))
		len = snprintf(out, out_size, "%s", json_string_value(value));
	else if (json_is_integer(value))
		len = snprintf(out, out_size, "%lld", (long long)json_integer_value(value));
	else if (json_is_boolean(value))
		len = snprintf(out, out_size, "%s", json_is_true(value) ? "true" : "false");
	else
		return false;
	return len >= 0 && (size_t)len < out_size;
}

bool api_value_text(struct request *request, const char *key, const json_t *value, char text[NOTE_TEXT])
{
	if (api_scalar_text(value, text, NOTE_TEXT))
		return true;
	reply_error(request, 400, "", "the value of %s must be a text of at most %d bytes", key, NOTE_TEXT - 1);
	return false;
}

json_t *api_main_status(struct http *http)
{
	json_t *status = NULL;
	struct buf text;

	buf_init(&text, MAIN_STATUS_MAX);
	if (http->config.status)
		http->config.status(http->config.status_arg, &text);
	if (text.len && !text.failed)
		status = json_loadb(text.data, text.len, 0, NULL);
	buf_fini(&text);
	if (!json_is_object(status)) {
		json_decref(status);
		status = json_object();
	}
	return status;
}

json_t *api_portals(const json_t *main_status)
{
	json_t *portals = json_array();
	json_t *portal;
	size_t i;

	json_array_foreach(json_object_get(main_status, "portals"), i, portal) {
		struct endpoint bound, address;
		char text[PARSE_ENDPOINT_TEXT];

		if (!json_is_string(portal) || !parse_endpoint(json_string_value(portal), &bound))
			continue;
		listen_public_address(&bound, &address);
		json_array_append_new(portals, json_string(endpoint_format(&address, text)));
	}
	return portals;
}
