// SPDX-License-Identifier: GPL-2.0-or-later
/* Replies on their way out: their headers, and where their bytes come from. */
#include "http/reply.h"

#include "http/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Scripts and styles only from files of ours, nothing from elsewhere, in nobody's frame. */
static const char content_policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

static const char gave_up_json[] =
	"{\"error\": \"no answer in time\", \"hint\": \"ask again in a few seconds; what was begun goes on\"}\n";

static struct MHD_Response *make_response(struct request *request)
{
	struct reply *reply = &request->reply;
	struct MHD_Response *response;

	if (reply->stream) {
		response = stream_response(reply->stream, request->connection);
		if (response)
			reply->stream = NULL;
		return response;
	}
	if (reply->fd >= 0) {
		response = MHD_create_response_from_fd_at_offset64(reply->fd_bytes, reply->fd, reply->fd_first);
		if (response)
			reply->fd = -1;
		return response;
	}
	if (reply->asset)
		return MHD_create_response_from_buffer(reply->asset->len, (void *)(uintptr_t)reply->asset->data,
						       MHD_RESPMEM_PERSISTENT);
	/* The request outlives its answer: the body need not be copied. */
	return MHD_create_response_from_buffer(reply->body.len, (void *)(uintptr_t)buf_text(&reply->body),
					       MHD_RESPMEM_PERSISTENT);
}

static void add(struct MHD_Response *response, const char *name, const char *value)
{
	if (value[0])
		MHD_add_response_header(response, name, value);
}

static void add_headers(struct request *request, struct MHD_Response *response)
{
	const struct reply *reply = &request->reply;
	char number[16];

	add(response, "Content-Type", reply->type ? reply->type : "");
	add(response, "Cache-Control", (reply->asset && !reply->page) || reply->etag[0] ? "no-cache" : "no-store");
	add(response, "X-Content-Type-Options", "nosniff");
	/* To nobody else. With no-referrer forms of a page would send "Origin: null", as those of another site can. */
	add(response, "Referrer-Policy", reply->page ? "same-origin" : "no-referrer");
	add(response, "Location", reply->location);
	add(response, "Set-Cookie", reply->cookie);
	add(response, "Set-Cookie", reply->device_cookie);
	add(response, "Allow", reply->allow);
	add(response, "Accept-Ranges", reply->etag[0] ? "bytes" : "");
	add(response, "ETag", reply->etag[0] ? reply->etag : reply->tag);
	add(response, "Last-Modified", reply->modified);
	add(response, "Content-Range", reply->content_range);
	if (reply->type && !strcmp(reply->type, "text/event-stream"))
		add(response, "X-Accel-Buffering", "no"); /* nginx would keep events until it has a page of them */
	if (reply->page)
		add(response, "Content-Security-Policy", content_policy);
	if (reply->status == 401)
		add(response, "WWW-Authenticate", "Bearer realm=\"sanbootd\"");
	if (reply->retry_after_s) {
		snprintf(number, sizeof(number), "%u", reply->retry_after_s);
		add(response, "Retry-After", number);
	}
}

static struct MHD_Response *make_gave_up(void)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(sizeof(gave_up_json) - 1, (void *)(uintptr_t)gave_up_json,
						MHD_RESPMEM_PERSISTENT);

	if (response) {
		add(response, "Content-Type", "application/json");
		add(response, "Cache-Control", "no-store");
		add(response, "Retry-After", "5");
	}
	return response;
}

enum MHD_Result reply_queue(struct request *request, bool gave_up)
{
	unsigned status = gave_up ? 503 : request->reply.status;
	struct MHD_Response *response = gave_up ? make_gave_up() : make_response(request);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	if (!gave_up)
		add_headers(request, response);
	/* HTTP/1.0 clients, and those that sent a body we did not read, are closed by libmicrohttpd itself. */
	result = MHD_queue_response(request->connection, status, response);
	MHD_destroy_response(response);
	if (status < HTTP_STATUS_MAX)
		atomic_fetch_add(&request->http->answered[status], 1);
	return result;
}
