// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * GET /boot.ipxe and GET /boot: what a machine asks. The server's address in a script is that of the socket which the
 * machine reached, never the Host header.
 */
#include "http/script_paths.h"

#include "base/util.h"
#include "http/routes.h"
#include "http/serve.h"
#include "http/text.h"

#include <errno.h>
#include <string.h>

void http_make_ask(const struct request *request, struct boot_ask *ask)
{
	const struct {
		const char *key;
		char *to;
		size_t size;
	} fields[] = {
		{ "mac", ask->mac, sizeof(ask->mac) },
		{ "uuid", ask->uuid, sizeof(ask->uuid) },
		{ "serial", ask->serial, sizeof(ask->serial) },
		{ "manufacturer", ask->manufacturer, sizeof(ask->manufacturer) },
		{ "product", ask->product, sizeof(ask->product) },
		{ "asset", ask->asset, sizeof(ask->asset) },
		{ "platform", ask->platform, sizeof(ask->platform) },
		{ "buildarch", ask->buildarch, sizeof(ask->buildarch) },
		{ "version", ask->version, sizeof(ask->version) },
		{ "error", ask->error, sizeof(ask->error) },
		{ "errno", ask->error, sizeof(ask->error) },
		{ "attempt", ask->attempt, sizeof(ask->attempt) },
		{ "choose", ask->choose, sizeof(ask->choose) },
		{ "board", ask->board_serial, sizeof(ask->board_serial) },
		{ "sb", ask->secure_boot, sizeof(ask->secure_boot) },
		{ "sm", ask->setup_mode, sizeof(ask->setup_mode) },
		{ "cards", ask->cards, sizeof(ask->cards) },
	};

	memset(ask, 0, sizeof(*ask));
	/* Too long values are cut: a MAC or a UUID is then invalid, and the other fields only describe the machine. */
	for (size_t i = 0; i < array_len(fields); i++) {
		const char *value = request_arg(request, fields[i].key);

		if (value)
			http_text_copy(fields[i].to, fields[i].size, value);
	}
	http_text_copy(ask->client, sizeof(ask->client), request->client);
	http_text_copy(ask->server, sizeof(ask->server), request->server);
	http_text_copy(ask->base_url, sizeof(ask->base_url), request->base_url);
}

static void answered(void *arg, const struct boot_answer *answer)
{
	struct request *request = arg;
	struct reply *reply = &request->reply;

	buf_add(&reply->body, buf_text(&answer->script), answer->script.len);
	reply->type = "text/plain; charset=utf-8";
	reply->status = answer->status >= 100 && answer->status < HTTP_STATUS_MAX ? (unsigned)answer->status : 500;
	if (reply->status == 503)
		reply->retry_after_s = 5;
	atomic_fetch_add(&request->http->boot_outcomes[answer->outcome], 1);
	atomic_fetch_add(&request->http->boot_ms, time_monotonic_ms() - request->started_ms);
	request_finish(request);
}

void handle_boot(struct request *request)
{
	struct boot_ask ask;

	http_make_ask(request, &ask);
	boot_request(request->http->config.boot, &ask, answered, request);
}

static void taken(void *arg, int err)
{
	struct request *request = arg;

	if (!err)
		reply_text(request, 200, "text/plain; charset=utf-8", "ok\n");
	else if (err == -ENOENT)
		reply_error(request, 404, "", "this is not what the machine is to boot once");
	else
		reply_error(request, 503, "ask again", "it could not be recorded");
	request_finish(request);
}

void handle_boot_taken(struct request *request)
{
	const char *mac = request_arg(request, "mac"), *token = request_arg(request, "token");

	boot_taken(request->http->config.boot, mac ? mac : "", token ? token : "", request->client, taken, request);
}

void handle_first_script(struct request *request)
{
	struct reply *reply = &request->reply;
	int err = boot_first_script(request->http->config.boot, request->base_url, &reply->body);

	if (err || reply->body.failed) {
		reply_errno(request, err ? err : -ENOMEM, "the first boot script could not be made", "");
		return;
	}
	reply->status = 200;
	reply->type = "text/plain; charset=utf-8";
	boot_seen_fetch(request->http->config.boot, request->client, "boot.ipxe");
}
