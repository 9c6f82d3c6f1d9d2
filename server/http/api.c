// SPDX-License-Identifier: GPL-2.0-or-later
/* What the files of the API share: see api.h. */
#include "http/api.h"

#include "http/listen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

bool api_parse_image(struct request *request, char name[NAME_MAX_TEXT], unsigned *number)
{
	if (version_name_parse(request->params[0], name, number))
		return true;
	reply_error(request, 400, "an image is named NAME or NAME@VERSION, for example debian@2",
		    "this is no image name");
	return false;
}

void api_reply_no_image(struct request *request)
{
	reply_error(request, 404, "see what there is with: sanbootctl image list", "there is no image %s",
		    request->params[0]);
}

bool api_scalar_text(const json_t *value, char *out, size_t out_size)
{
	int len;

	if (json_is_string(value))
		len = snprintf(out, out_size, "%s", json_string_value(value));
	else if (json_is_integer(value))
		len = snprintf(out, out_size, "%lld", (long long)json_integer_value(value));
	else if (json_is_boolean(value))
		len = snprintf(out, out_size, "%s", json_is_true(value) ? "yes" : "no");
	else
		return false;
	return len >= 0 && (size_t)len < out_size;
}

void api_get_facts(struct http *http, struct http_facts *facts)
{
	http->config.facts(http->config.facts_arg, facts);
}

void api_facts_free(struct http_facts *facts)
{
	dhcp_status_free(&facts->dhcp);
}

json_t *api_portals(const struct http_facts *facts)
{
	json_t *portals = json_array();

	for (unsigned i = 0; i < facts->portal_count; i++) {
		struct endpoint address;
		char text[PARSE_ENDPOINT_TEXT];

		listen_public_address(&facts->portals[i], &address);
		json_array_append_new(portals, json_string(endpoint_format(&address, text)));
	}
	return portals;
}
