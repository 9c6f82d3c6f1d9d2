// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages (compiled in, from web/), boot files from the iPXE directory, the health check. */
#include "base/log.h"
#include "boot/boot.h"
#include "http/auth.h"
#include "http/routes.h"
#include "http/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void reply_asset(struct request *request, const char *name)
{
	static const struct {
		const char *suffix, *type;
	} types[] = {
		{ ".html", "text/html; charset=utf-8" },
		{ ".css", "text/css; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" },
		{ ".svg", "image/svg+xml" },
	};
	const struct asset *asset = asset_find(assets_web, name);
	const char *suffix = strrchr(name, '.');

	if (!asset || !suffix) {
		reply_error(request, 404, "", "there is nothing at this address");
		return;
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(suffix, types[i].suffix))
			continue;
		request->reply.type = types[i].type;
		request->reply.page = i == 0;
	}
	request->reply.asset = asset;
	request->reply.status = 200;
}

void handle_asset(struct request *request)
{
	reply_asset(request, request->path + 1);
}

void handle_index(struct request *request)
{
	if ((request->serves & SERVES_CONTROL) || http_auth_has_session(request))
		reply_asset(request, "index.html");
	else
		reply_redirect(request, "/login");
}

void handle_login_page(struct request *request)
{
	if (http_auth_has_session(request))
		reply_redirect(request, "/");
	else
		reply_asset(request, http_auth_has_password(request->http) ? "login.html" : "unset.html");
}

void handle_setup_page(struct request *request)
{
	const char *token = request_arg(request, "token");

	/* No form that would be refused. */
	if (token && http_auth_setup_token_fits(request->http, token)) {
		reply_asset(request, "setup.html");
		return;
	}
	reply_asset(request, "used.html");
	if (request->reply.asset)
		request->reply.status = 410;
}

static int run_health(struct inventory_tx *tx, struct inventory_job *job)
{
	struct policy policy;

	(void)job;
	return policy_get(tx, &policy);
}

void handle_health(struct request *request)
{
	struct inventory_job job = { .run = run_health };

	if (inventory_read_wait(request->http->config.inventory, &job))
		reply_text(request, 503, "text/plain; charset=utf-8", "the inventory cannot be read\n");
	else
		reply_text(request, 200, "text/plain; charset=utf-8", "ok\n");
}

/* False: there is no such regular file that could be read. */
static bool reply_file(struct request *request, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	request->reply.fd = fd;
	request->reply.fd_bytes = (uint64_t)st.st_size;
	request->reply.type = "application/octet-stream";
	request->reply.status = 200;
	return true;
}

/*
 * What a newer iPXE that came by HTTP looks for beside itself, and one that a shim started needs. The site's own file
 * goes first.
 */
static void reply_autoexec(struct request *request)
{
	struct reply *reply = &request->reply;

	buf_printf(&reply->body,
		   "#!ipxe\n"
		   ":again\n"
		   "dhcp || goto failed\n"
		   "chain --replace --autofree %s/boot.ipxe || goto failed\n"
		   ":failed\n"
		   "echo SANBOOTD no boot.ipxe from %s; asking again in 5 seconds\n"
		   "sleep 5 ||\n"
		   "goto again\n",
		   request->base_url, request->base_url);
	reply->status = reply->body.failed ? 500 : 200;
	reply->type = "text/plain; charset=utf-8";
}

/*
 * Only names that cannot climb, under the one directory; what the administrator linked there (Debian links ipxe.efi to
 * /boot) is meant to be served.
 */
void handle_ipxe_file(struct request *request)
{
	const char *directory = request->params[0], *name = request->params[1];
	char path[4096];

	if (!http_text_is_file_name(directory) || (name[0] && !http_text_is_file_name(name)) ||
	    snprintf(path, sizeof(path), "%s/%s%s%s", request->http->ipxe_dir, directory, name[0] ? "/" : "", name) >=
		    (int)sizeof(path)) {
		reply_error(request, 404, "", "there is no such boot file");
		return;
	}
	if (reply_file(request, path))
		boot_seen_fetch(request->http->config.boot, request->client, name[0] ? name : directory);
	else if (!strcmp(name[0] ? name : directory, "autoexec.ipxe"))
		reply_autoexec(request);
	else
		reply_error(request, 404, "boot files come from --ipxe-dir (package ipxe)",
			    "there is no boot file %s%s%s", directory, name[0] ? "/" : "", name);
}

/* Each part a plain name: nothing climbs, nothing is hidden. */
static bool path_is_plain(const char *path)
{
	char part[REQUEST_PARAM_TEXT];

	while (true) {
		size_t len = strcspn(path, "/");

		if (len >= sizeof(part))
			return false;
		memcpy(part, path, len);
		part[len] = '\0';
		if (!http_text_is_file_name(part))
			return false;
		if (!path[len])
			return true;
		path += len + 1;
	}
}

/* What entries load: the administrator's folder, links and all, read-only. */
void handle_boot_file(struct request *request)
{
	const char *name = request->path + strlen(BOOT_FILES_PATH);
	char path[4096];

	if (path_is_plain(name) &&
	    snprintf(path, sizeof(path), "%s/%s", request->http->boot_files, name) < (int)sizeof(path) &&
	    reply_file(request, path))
		return;
	log_warning("http: %s asks for the boot file %.200s, which %s does not have", request->client,
		    path_is_plain(name) ? name : "?", request->http->boot_files);
	reply_error(request, 404, "it is looked for in --boot-files", "there is no such boot file");
}
