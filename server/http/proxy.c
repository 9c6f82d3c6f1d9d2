// SPDX-License-Identifier: GPL-2.0-or-later
/* Forwarded headers: see proxy.h. */
#include "http/proxy.h"

#include "base/util.h"
#include "http/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void proxy_take_field(struct proxy_fields *fields, const char *name, const char *value)
{
	const struct {
		const char *name, **to;
	} known[] = { { "X-Forwarded-For", &fields->client },
		      { "X-Forwarded-Proto", &fields->scheme },
		      { "X-Forwarded-Host", &fields->host },
		      { "X-Forwarded-Prefix", &fields->prefix } };

	for (size_t i = 0; i < array_len(known); i++)
		if (!strcasecmp(name, known[i].name))
			*known[i].to = value ? value : "";
}

static bool is_trusted(const struct http_proxies *proxies, const char *address)
{
	for (unsigned i = 0; i < proxies->count; i++)
		if (network_has(&proxies->list[i], address))
			return true;
	return false;
}

/* Is it an address at all? Then out has it. */
static bool take_address(const char *text, size_t len, char out[PARSE_ENDPOINT_TEXT])
{
	static const struct network any = { .bits = 0 };
	char address[PARSE_ENDPOINT_TEXT];

	if (len >= sizeof(address))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	if (!network_has(&any, address))
		return false;
	memcpy(out, address, len + 1);
	return true;
}

/* The last one of the list that is no proxy of ours: what stands before it anybody may have written. */
static bool find_client(const struct http_proxies *proxies, const char *list, char out[PARSE_ENDPOINT_TEXT])
{
	size_t end = strlen(list);
	bool found = false;

	while (end) {
		size_t begin, stop = end;

		while (end && list[end - 1] != ',')
			end--;
		begin = end + strspn(list + end, " \t");
		while (stop > begin && (list[stop - 1] == ' ' || list[stop - 1] == '\t'))
			stop--;
		if (begin >= stop || !take_address(list + begin, stop - begin, out))
			return found;
		found = true;
		if (!is_trusted(proxies, out))
			return true;
		end -= end != 0; /* the comma */
	}
	return found;
}

/* "/console": no slash at its end, nothing that would have to be escaped in an address, a header or a page. */
static bool prefix_is_valid(const char *prefix)
{
	static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
	size_t len = strlen(prefix);

	return prefix[0] == '/' && len > 1 && len < REQUEST_PREFIX_TEXT && prefix[len - 1] != '/' &&
	       strspn(prefix, legal) == len && !strstr(prefix, "//") && !http_text_path_climbs(prefix);
}

/* A proxy may have taken it off itself, or not. */
static void take_prefix(struct request *request, const char *prefix)
{
	size_t len = strlen(prefix);

	while (len > 1 && prefix[len - 1] == '/')
		len--;
	if (len >= sizeof(request->prefix))
		return;
	memcpy(request->prefix, prefix, len);
	request->prefix[len] = '\0';
	if (!prefix_is_valid(request->prefix))
		request->prefix[0] = '\0';
	else if (request->path && !strncmp(request->path, request->prefix, len) && request->path[len] == '/')
		request->path += len;
}

bool proxy_apply(struct request *request, const struct proxy_fields *fields, char forwarded[PARSE_ENDPOINT_TEXT])
{
	const struct http_proxies *proxies = &request->http->config.trusted_proxies;

	if (!is_trusted(proxies, request->client))
		return false;
	request->secure = fields->scheme && !strcasecmp(fields->scheme, "https");
	if (fields->host && http_text_is_host(fields->host)) {
		char *host = strdup(fields->host);

		if (host) {
			free(request->host);
			request->host = host;
		}
	}
	if (fields->prefix)
		take_prefix(request, fields->prefix);
	return fields->client && find_client(proxies, fields->client, forwarded);
}
