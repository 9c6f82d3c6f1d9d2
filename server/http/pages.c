// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages (compiled in, from web/), the health check. */
#include "http/pages.h"

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

static void add_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		const char *escaped = *text == '<' ? "&lt;" :
				      *text == '>' ? "&gt;" :
				      *text == '&' ? "&amp;" :
				      *text == '"' ? "&quot;" :
						     NULL;

		if (escaped)
			buf_add_string(out, escaped);
		else
			buf_add(out, text, 1);
	}
}

void reply_page_with_error(struct request *request, const char *name, unsigned status, const char *error)
{
	static const char place[] = "role=\"alert\">";
	const struct asset *asset = asset_find(assets_web, name);
	const char *page = asset ? (const char *)asset->data : "";
	const char *at = strstr(page, place);
	struct buf *out = &request->reply.body;

	buf_reset(out);
	if (at) {
		at += sizeof(place) - 1;
		buf_add(out, page, (size_t)(at - page));
		page = at;
	}
	add_escaped(out, error);
	buf_add_string(out, page);
	request->reply.status = status;
	request->reply.type = "text/html; charset=utf-8";
	request->reply.page = true;
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
		reply_redirect(request, "login"); /* relative: a proxy may show us below some path */
}

void handle_login_page(struct request *request)
{
	if (http_auth_has_session(request))
		reply_redirect(request, "./");
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
