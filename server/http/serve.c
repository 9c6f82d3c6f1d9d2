// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Between libmicrohttpd and the handlers: takes a request in, checks it, runs its handler where its route says, sends
 * the reply.
 *
 *     ARRIVING --RUN_NOW---------------------------------> ANSWERED -> GONE
 *         |                                                   ^
 *         +--RUN_WORKER, RUN_LATER--> SUSPENDED --finish------+
 *                                         |
 *                                         +--deadline, stop--> GIVEN_UP (503) -> GONE
 *
 * A request is referred to by libmicrohttpd until it is GONE, and by its handler while that works on it. Callbacks run on the
 * listener's thread, and never block.
 */
#include "http/serve.h"

#include "base/log.h"
#include "base/util.h"
#include "http/auth.h"
#include "http/head.h"
#include "http/proxy.h"
#include "http/reply.h"
#include "http/request.h"
#include "http/routes.h"
#include "http/tag.h"
#include "http/text.h"
#include "http/watch.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- running handlers ---- */

void request_finish(struct request *request)
{
	struct http *http = request->http;

	pthread_mutex_lock(&http->lock);
	if (request->state == REQUEST_SUSPENDED) {
		request->state = REQUEST_ANSWERED;
		watch_remove_request(http, request);
		MHD_resume_connection(request->connection);
	}
	pthread_mutex_unlock(&http->lock);
	request_unref(request);
}

static void work(struct pool_job *job)
{
	struct request *request = container_of(job, struct request, job);

	if (http_auth_check(request) && schema_take_body(request))
		request->route->handle(request);
	tag_answer(request);
	if (!request->reply.status)
		reply_error(request, 500, "", "nothing was answered");
}

/* After the pool has let go of the job, which is part of the request. */
static void work_done(struct pool_job *job)
{
	request_finish(container_of(job, struct request, job));
}

static enum MHD_Result send_reply(struct request *request, bool gave_up)
{
	bool stream = !gave_up && request->reply.stream;

	if (stream)
		connection_set_phase(request->http, request->link, CONNECTION_WORKING);
	else
		connection_set_answering(request->http, request->link,
					 watch_answer_ms(gave_up ? 0 : request->reply.fd_bytes));
	return reply_queue(request, gave_up);
}

static enum MHD_Result run(struct request *request)
{
	const struct route *route = request->route;
	struct http *http = request->http;
	bool stopping;

	if (!request->reply.status && route->run == RUN_NOW)
		route->handle(request);
	if (request->reply.status)
		return send_reply(request, false);
	connection_set_phase(http, request->link, CONNECTION_WORKING);
	pthread_mutex_lock(&http->lock);
	stopping = http->stopping;
	if (!stopping) {
		request->state = REQUEST_SUSPENDED;
		request->refs++;
		watch_add_request(http, request,
				  route->run == RUN_LATER ? HTTP_BOOT_DEADLINE_MS : HTTP_WORK_DEADLINE_MS);
		MHD_suspend_connection(request->connection);
	}
	pthread_mutex_unlock(&http->lock);
	if (stopping)
		return send_reply(request, true);
	if (route->run == RUN_LATER) {
		route->handle(request);
		return MHD_YES;
	}
	request->job.work = work;
	request->job.done = work_done;
	pool_submit(http->pool, POOL_SLOW, &request->job);
	return MHD_YES;
}

/* ---- taking a request in ---- */

static enum MHD_Result add_arg(void *arg, enum MHD_ValueKind kind, const char *key, size_t key_len, const char *value,
			       size_t value_len)
{
	struct request *request = arg;
	int err;

	(void)kind;
	if (strlen(key) != key_len)
		err = -EINVAL;
	else
		err = request_add_arg(request, key, value ? value : "", value ? value_len : 0);
	if (!err)
		return MHD_YES;
	if (err == -EINVAL)
		reply_error(request, 400, "", "the query contains a NUL");
	else
		reply_error(request, 400, "", "the query has more than %d arguments, or one of more than %d bytes",
			    REQUEST_ARGS_MAX, REQUEST_ARG_BYTES);
	return MHD_NO;
}

static char *copy_header(const struct request *request, const char *name)
{
	const char *value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);

	return value ? strdup(value) : NULL;
}

static void take_range(struct request *request)
{
	struct range_ask *ask = &request->range_ask;

	ask->range = copy_header(request, "Range");
	ask->if_range = copy_header(request, "If-Range");
	ask->if_match = copy_header(request, "If-Match");
	ask->if_none_match = copy_header(request, "If-None-Match");
	ask->if_modified_since = copy_header(request, "If-Modified-Since");
	ask->if_unmodified_since = copy_header(request, "If-Unmodified-Since");
}

static void take_headers(struct request *request)
{
	const char *cookie = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Cookie");
	const char *ours = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "X-Sanbootd");
	char session[128];

	request->host = copy_header(request, "Host");
	request->origin = copy_header(request, "Origin");
	request->fetch_site = copy_header(request, "Sec-Fetch-Site");
	request->authorization = copy_header(request, "Authorization");
	request->accept = copy_header(request, "Accept");
	request->last_event_id = copy_header(request, "Last-Event-ID");
	request->content_type = copy_header(request, "Content-Type");
	request->ours = ours && !strcmp(ours, "1");
	if (cookie && http_text_cookie(cookie, AUTH_COOKIE, session, sizeof(session)))
		request->session = strdup(session);
	if (cookie && http_text_cookie(cookie, AUTH_DEVICE_COOKIE, session, sizeof(session)))
		request->device = strdup(session);
	take_range(request);
}

struct fields {
	struct head_fields head;
	struct proxy_fields proxy;
};

static enum MHD_Result take_field(void *arg, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct fields *fields = arg;

	(void)kind;
	head_take_field(&fields->head, key, value);
	proxy_take_field(&fields->proxy, key, value);
	return MHD_YES;
}

/* Target and Host. False, and 400 is answered. The control socket has no host, so there it may be missing. */
static bool take_target(struct request *request, const struct head_fields *fields, const char *version)
{
	bool needed = strcmp(version, "HTTP/1.0") != 0 && !(request->serves & SERVES_CONTROL);
	struct reason reason = { "" };
	char *path, *host;
	unsigned status;

	if (!request->target) {
		reply_error(request, 414, "", "the address may have at most %d bytes", HTTP_URI_MAX);
		return false;
	}
	status = head_cut_target(request->target, &path, &host, &reason);
	if (!status && !head_check_host(fields, needed, &reason))
		status = 400;
	if (status) {
		reply_error(request, status, "", "%s", reason.text);
		return false;
	}
	request->path = path;
	if (host) {
		free(request->host);
		request->host = strdup(host);
	}
	return true;
}

static void take_addresses(struct request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct endpoint local = { .len = sizeof(local.addr) }, peer = { .len = sizeof(peer.addr) };
	char text[PARSE_ENDPOINT_TEXT];

	if (!info || (request->serves & SERVES_CONTROL))
		return;
	if (!getsockname(info->connect_fd, (struct sockaddr *)&local.addr, &local.len)) {
		endpoint_format_host(&local, request->server);
		snprintf(request->base_url, sizeof(request->base_url), "http://%s", endpoint_format(&local, text));
	}
	if (!getpeername(info->connect_fd, (struct sockaddr *)&peer.addr, &peer.len))
		endpoint_format_host(&peer, request->client);
}

static bool body_is_too_large(const struct head_fields *fields)
{
	uint64_t bytes;

	return fields->length && (!parse_u64(fields->length, 0, UINT64_MAX, &bytes) || bytes > HTTP_BODY_MAX);
}

static void answer_too_large(struct request *request)
{
	reply_error(request, 413, "", "the body may have at most %d bytes", HTTP_BODY_MAX);
}

/* Answered before the body: libmicrohttpd then reads no more of the connection, and closes it. */
static bool refuse_at_once(struct request *request, const struct head_fields *fields, const char *version)
{
	struct reason reason = { "" };
	unsigned status = head_check_framing(fields, version, &reason);

	if (status)
		reply_error(request, status, "", "%s", reason.text);
	else if (body_is_too_large(fields))
		answer_too_large(request);
	else
		return false;
	request->closing = true;
	return true;
}

static void find_route(struct request *request, const char *method, const struct proxy_fields *fields)
{
	char forwarded[PARSE_ENDPOINT_TEXT];
	const bool by_proxy = proxy_apply(request, fields, forwarded);

	request->route = route_find(request, method, request->path);
	/* What is known of machines goes by the address that really asks. */
	if (by_proxy && request->route && (request->route->serves & SERVES_WEB))
		memcpy(request->client, forwarded, sizeof(forwarded));
}

/* The head is there. What is wrong with it is answered after the body, unless that cannot be found or waited for. */
static enum MHD_Result begin(struct request *request, const char *method, const char *version)
{
	struct fields fields = { 0 };

	request->begun = true;
	snprintf(request->method, sizeof(request->method), "%s", method);
	MHD_get_connection_values(request->connection, MHD_HEADER_KIND, take_field, &fields);
	take_headers(request);
	take_addresses(request);
	if (refuse_at_once(request, &fields.head, version))
		return send_reply(request, false);
	if (take_target(request, &fields.head, version))
		find_route(request, method, &fields.proxy);
	if (request->route)
		MHD_get_connection_values_n(request->connection, MHD_GET_ARGUMENT_KIND, add_arg, request);
	return MHD_YES;
}

static enum MHD_Result take_body(struct request *request, const char *data, size_t *size)
{
	request->body_bytes += *size;
	if (request->body_bytes > 4 * (uint64_t)HTTP_BODY_MAX)
		return MHD_NO; /* a chunked body without end: its peer never stops sending to read an answer */
	if (request->body_bytes > HTTP_BODY_MAX)
		answer_too_large(request);
	else
		buf_add(&request->body, data, *size);
	*size = 0;
	return MHD_YES;
}

/* path, as libmicrohttpd has decoded it, ends at an encoded NUL: not looked at. */
static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
			      const char *version, const char *data, size_t *size, void **context)
{
	struct request *request = *context;
	struct http *http = ((struct listener *)arg)->http;
	enum request_state state;

	(void)connection;
	(void)path;
	if (!request)
		return MHD_NO;
	if (!request->begun)
		return begin(request, method, version);
	if (*size)
		return take_body(request, data, size);
	pthread_mutex_lock(&http->lock);
	state = request->state;
	pthread_mutex_unlock(&http->lock);
	if (state == REQUEST_ARRIVING)
		return run(request);
	return send_reply(request, state == REQUEST_GIVEN_UP);
}

static void *uri_seen(void *arg, const char *uri, struct MHD_Connection *connection)
{
	struct listener *listener = arg;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct request *request = request_new(listener->http, listener->serves);
	const bool fits = strlen(uri) <= HTTP_URI_MAX;

	if (request && fits)
		request->target = strdup(uri);
	if (request && fits && !request->target) {
		request_unref(request);
		request = NULL;
	}
	if (!request)
		return NULL;
	request->connection = connection;
	request->link = info ? info->socket_context : NULL;
	atomic_fetch_add(&listener->http->in_hand, 1);
	return request;
}

static void completed(void *arg, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode why)
{
	struct http *http = ((struct listener *)arg)->http;
	struct request *request = *context;

	(void)connection;
	(void)why;
	if (!request)
		return;
	*context = NULL;
	if (!request->closing)
		connection_set_phase(http, request->link, CONNECTION_RECEIVING);
	pthread_mutex_lock(&http->lock);
	if (request->state != REQUEST_GIVEN_UP)
		request->state = REQUEST_GONE;
	request->connection = NULL;
	pthread_mutex_unlock(&http->lock);
	atomic_fetch_sub(&http->in_hand, 1);
	request_unref(request);
}

static void connection_event(void *arg, struct MHD_Connection *connection, void **context,
			     enum MHD_ConnectionNotificationCode code)
{
	struct http *http = ((struct listener *)arg)->http;
	const union MHD_ConnectionInfo *info;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		connection_free(http, *context);
		*context = NULL;
		return;
	}
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	*context = info ? connection_new(http, info->connect_fd) : NULL;
}

static void __attribute__((format(printf, 2, 0))) mhd_log(void *arg, const char *format, va_list args)
{
	char text[512], escaped[1024];

	(void)arg;
	if (!log_enabled(LOG_LEVEL_DEBUG))
		return;
	vsnprintf(text, sizeof(text), format, args);
	log_debug("http: %s", log_escape(escaped, sizeof(escaped), text, strcspn(text, "\n")));
}

int serve_start(struct listener *listener)
{
	const bool control = listener->serves & SERVES_CONTROL;

	listener->daemon =
		MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
				 NULL, handle, listener, MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL,
				 MHD_OPTION_LISTEN_SOCKET, listener->fd, MHD_OPTION_CONNECTION_LIMIT,
				 (unsigned)HTTP_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
				 control ? 0U : (unsigned)HTTP_CONNECTIONS_PER_ADDRESS,
				 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY_PER_CONNECTION,
				 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S, MHD_OPTION_URI_LOG_CALLBACK,
				 uri_seen, listener, MHD_OPTION_NOTIFY_COMPLETED, completed, listener,
				 MHD_OPTION_NOTIFY_CONNECTION, connection_event, listener, MHD_OPTION_END);
	return listener->daemon ? 0 : -EIO;
}

void serve_quiesce(struct listener *listener)
{
	if (listener->daemon)
		MHD_quiesce_daemon(listener->daemon);
}

void serve_stop(struct listener *listener)
{
	if (listener->daemon)
		MHD_stop_daemon(listener->daemon);
	listener->daemon = NULL;
}
