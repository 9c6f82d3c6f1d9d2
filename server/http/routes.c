// SPDX-License-Identifier: GPL-2.0-or-later
/* Finds the route of a request, in the table that the endpoint was given. */
#include "http/routes.h"

#include <stdio.h>
#include <string.h>

enum match { MATCH_NO, MATCH_YES, MATCH_LONG };

static enum match match_path(const char *pattern, const char *path, char params[REQUEST_PARAMS_MAX][REQUEST_PARAM_TEXT])
{
	enum match match = MATCH_YES;
	unsigned n = 0;

	while (*pattern) {
		size_t len;

		if (!strcmp(pattern, "*"))
			return *path ? match : MATCH_NO;
		if (*pattern != '{') {
			if (*pattern++ != *path++)
				return MATCH_NO;
			continue;
		}
		len = strcspn(path, "/");
		if (!len || n == REQUEST_PARAMS_MAX)
			return MATCH_NO;
		if (len >= REQUEST_PARAM_TEXT) {
			match = MATCH_LONG;
		} else {
			memcpy(params[n], path, len);
			params[n][len] = '\0';
		}
		n++;
		path += len;
		pattern = strchr(pattern, '}') + 1;
	}
	return *path ? MATCH_NO : match;
}

static bool method_fits(const struct route *route, const char *method)
{
	if (!strcmp(route->method, method))
		return true;
	/* HEAD must be as safe as GET (RFC 9110 §9.3.2), and /boot enrols. */
	return !strcmp(method, "HEAD") && !strcmp(route->method, "GET") && route->run != RUN_LATER;
}

const struct route *route_find(struct request *request, const char *method, const char *path)
{
	char *allow = request->reply.allow;
	const size_t size = sizeof(request->reply.allow);
	bool found = false;

	for (const struct route *route = request->http->routes; route->pattern; route++) {
		enum match match;

		if (!(route->serves & request->serves))
			continue;
		match = match_path(route->pattern, path, request->params);
		if (match == MATCH_NO)
			continue;
		if (match == MATCH_LONG) {
			reply_error(request, 414, "", "the path names something longer than any name here");
			return NULL;
		}
		if (method_fits(route, method)) {
			allow[0] = '\0';
			return route;
		}
		found = true;
		if (!strstr(allow, route->method))
			snprintf(allow + strlen(allow), size - strlen(allow), "%s%s", allow[0] ? ", " : "",
				 route->method);
	}
	if (found)
		reply_error(request, 405, "", "%s is not possible here, only %s", method, allow);
	else
		reply_error(request, 404, "the API is under /api/v1/, boot scripts are at /boot.ipxe",
			    "there is nothing at this address");
	return NULL;
}
