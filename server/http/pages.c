// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages (compiled in, from web/), the health check. */
#include "http/auth.h"
#include "http/routes.h"

#include <string.h>

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
