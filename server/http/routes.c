// SPDX-License-Identifier: GPL-2.0-or-later
/* Every path that is answered, in one table. Literal paths stand before patterns that would match them too. */
#include "http/routes.h"

#include <stdio.h>
#include <string.h>

enum { BOOT = SERVES_BOOT, WEB = SERVES_WEB | SERVES_CONTROL, ANY = SERVES_BOOT | SERVES_WEB | SERVES_CONTROL };

static const struct route routes[] = {
	{ "GET", "/boot", BOOT, ACCESS_PUBLIC, RUN_LATER, handle_boot },
	{ "GET", "/boot.ipxe", BOOT, ACCESS_PUBLIC, RUN_NOW, handle_first_script },
	{ "GET", "/boot/taken", BOOT, ACCESS_PUBLIC, RUN_LATER, handle_boot_taken },
	{ "GET", BOOT_FILES_PATH "*", BOOT, ACCESS_PUBLIC, RUN_WORKER, handle_boot_file },
	{ "GET", "/ipxe/{}", BOOT, ACCESS_PUBLIC, RUN_WORKER, handle_ipxe_file },
	{ "GET", "/ipxe/{}/{}", BOOT, ACCESS_PUBLIC, RUN_WORKER, handle_ipxe_file },
	{ "GET", "/healthz", ANY, ACCESS_PUBLIC, RUN_WORKER, handle_health },
	{ "GET", "/metrics", ANY, ACCESS_PUBLIC, RUN_WORKER, handle_metrics },

	{ "GET", "/", WEB, ACCESS_PUBLIC, RUN_WORKER, handle_index },
	{ "GET", "/app.css", WEB, ACCESS_PUBLIC, RUN_NOW, handle_asset },
	{ "GET", "/app.js", WEB, ACCESS_PUBLIC, RUN_NOW, handle_asset },
	{ "GET", "/enter.js", WEB, ACCESS_PUBLIC, RUN_NOW, handle_asset },
	{ "GET", "/icon.svg", WEB, ACCESS_PUBLIC, RUN_NOW, handle_asset },
	{ "GET", "/login", WEB, ACCESS_PUBLIC, RUN_WORKER, handle_login_page },
	{ "GET", "/setup", WEB, ACCESS_PUBLIC, RUN_WORKER, handle_setup_page },

	{ "POST", "/api/v1/login", WEB, ACCESS_PUBLIC, RUN_WORKER, handle_login },
	{ "POST", "/api/v1/setup", WEB, ACCESS_PUBLIC, RUN_WORKER, handle_setup },
	{ "POST", "/api/v1/logout", WEB, ACCESS_LOGIN, RUN_WORKER, handle_logout },
	{ "POST", "/api/v1/password", WEB, ACCESS_LOGIN, RUN_WORKER, handle_password },
	{ "POST", "/api/v1/tokens", WEB, ACCESS_LOGIN, RUN_WORKER, handle_token_create },
	{ "DELETE", "/api/v1/tokens", WEB, ACCESS_LOGIN, RUN_WORKER, handle_token_delete },

	{ "GET", "/api/v1/status", WEB, ACCESS_LOGIN, RUN_WORKER, handle_status },
	{ "GET", "/api/v1/policy", WEB, ACCESS_LOGIN, RUN_WORKER, handle_policy_get },
	{ "PATCH", "/api/v1/policy", WEB, ACCESS_LOGIN, RUN_WORKER, handle_policy_set },
	{ "GET", "/api/v1/events", WEB, ACCESS_LOGIN, RUN_WORKER, handle_events },
	{ "GET", "/api/v1/waiting", WEB, ACCESS_LOGIN, RUN_WORKER, handle_waiting },

	{ "GET", "/api/v1/groups", WEB, ACCESS_LOGIN, RUN_WORKER, handle_groups },
	{ "POST", "/api/v1/groups", WEB, ACCESS_LOGIN, RUN_WORKER, handle_group_add },
	{ "GET", "/api/v1/groups/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_group },
	{ "PATCH", "/api/v1/groups/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_group_set },
	{ "DELETE", "/api/v1/groups/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_group_remove },

	{ "GET", "/api/v1/images", WEB, ACCESS_LOGIN, RUN_WORKER, handle_images },
	{ "POST", "/api/v1/images", WEB, ACCESS_LOGIN, RUN_WORKER, handle_image_import },
	{ "GET", "/api/v1/imports/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_import },
	{ "GET", "/api/v1/images/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_image },
	{ "DELETE", "/api/v1/images/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_image_remove },
	{ "POST", "/api/v1/images/{}/publish", WEB, ACCESS_LOGIN, RUN_WORKER, handle_image_publish },
	{ "POST", "/api/v1/images/{}/default", WEB, ACCESS_LOGIN, RUN_WORKER, handle_image_default },

	{ "GET", "/api/v1/machines", WEB, ACCESS_LOGIN, RUN_WORKER, handle_machines },
	{ "POST", "/api/v1/machines/approve", WEB, ACCESS_LOGIN, RUN_WORKER, handle_approve },
	{ "POST", "/api/v1/machines/deny", WEB, ACCESS_LOGIN, RUN_WORKER, handle_deny },
	{ "GET", "/api/v1/machines/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_machine },
	{ "PATCH", "/api/v1/machines/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_machine_set },
	{ "DELETE", "/api/v1/machines/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_machine_remove },
	{ "POST", "/api/v1/machines/{}/release", WEB, ACCESS_LOGIN, RUN_WORKER, handle_machine_release },
	{ "POST", "/api/v1/machines/{}/reset", WEB, ACCESS_LOGIN, RUN_WORKER, handle_machine_reset },
	{ "POST", "/api/v1/machines/{}/swap", WEB, ACCESS_LOGIN, RUN_WORKER, handle_machine_swap },
	{ "POST", "/api/v1/machines/{}/macs", WEB, ACCESS_LOGIN, RUN_WORKER, handle_machine_mac_add },
	{ "GET", "/api/v1/machines/{}/snapshots", WEB, ACCESS_LOGIN, RUN_WORKER, handle_machine_snapshots },
	{ "POST", "/api/v1/machines/{}/snapshots", WEB, ACCESS_LOGIN, RUN_WORKER, handle_machine_snapshot },
	{ "DELETE", "/api/v1/machines/{}/snapshots/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_machine_snapshot_remove },
	{ "POST", "/api/v1/machines/{}/restore", WEB, ACCESS_LOGIN, RUN_WORKER, handle_machine_restore },
	{ "DELETE", "/api/v1/machines/{}/macs/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_machine_mac_remove },

	{ "GET", "/api/v1/volumes", WEB, ACCESS_LOGIN, RUN_WORKER, handle_volumes },
	{ "POST", "/api/v1/volumes", WEB, ACCESS_LOGIN, RUN_WORKER, handle_volume_create },
	{ "GET", "/api/v1/volumes/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_volume },
	{ "PATCH", "/api/v1/volumes/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_volume_set },
	{ "DELETE", "/api/v1/volumes/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_volume_remove },
	{ "POST", "/api/v1/volumes/{}/attach", WEB, ACCESS_LOGIN, RUN_WORKER, handle_volume_attach },
	{ "POST", "/api/v1/volumes/{}/detach", WEB, ACCESS_LOGIN, RUN_WORKER, handle_volume_detach },
	{ "GET", "/api/v1/volumes/{}/snapshots", WEB, ACCESS_LOGIN, RUN_WORKER, handle_volume_snapshots },
	{ "POST", "/api/v1/volumes/{}/snapshots", WEB, ACCESS_LOGIN, RUN_WORKER, handle_volume_snapshot },
	{ "DELETE", "/api/v1/volumes/{}/snapshots/{}", WEB, ACCESS_LOGIN, RUN_WORKER, handle_volume_snapshot_remove },
	{ "POST", "/api/v1/volumes/{}/restore", WEB, ACCESS_LOGIN, RUN_WORKER, handle_volume_restore },
	{ "POST", "/api/v1/volumes/{}/copy", WEB, ACCESS_LOGIN, RUN_WORKER, handle_volume_copy },
	{ NULL, NULL, 0, ACCESS_PUBLIC, RUN_NOW, NULL },
};

enum match { MATCH_NO, MATCH_YES, MATCH_LONG };

static enum match match_path(const char *pattern, const char *path, char params[REQUEST_PARAMS_MAX][REQUEST_PARAM_TEXT])
{
	enum match match = MATCH_YES;
	unsigned n = 0;

	while (*pattern) {
		size_t len;

		if (!strcmp(pattern, "*"))
			return *path ? match : MATCH_NO;
		if (strncmp(pattern, "{}", 2)) {
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
		pattern += 2;
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

	for (const struct route *route = routes; route->pattern; route++) {
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
