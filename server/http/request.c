// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests and answers: see request.h. */
#include "http/request.h"

#include "base/parse.h"
#include "base/util.h"
#include "http/stream.h"
#include "http/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPLY_BODY_MAX = 32 << 20 };

struct request *request_new(struct http *http, unsigned serves)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->http = http;
	request->serves = serves;
	request->refs = 1;
	request->started_ms = time_monotonic_ms();
	request->reply.fd = -1;
	buf_init(&request->body, HTTP_BODY_MAX);
	buf_init(&request->reply.body, REPLY_BODY_MAX);
	pthread_mutex_lock(&http->lock);
	http_ref(http);
	pthread_mutex_unlock(&http->lock);
	return request;
}

static void request_free(struct request *request)
{
	const struct range_ask *range = &request->range_ask;
	char *const texts[] = { request->target,	   request->host,	   request->origin,
				request->fetch_site,	   request->authorization, request->session,
				request->device,	   request->accept,	   request->last_event_id,
				request->content_type,	   range->range,	   range->if_range,
				range->if_match,	   range->if_none_match,   range->if_modified_since,
				range->if_unmodified_since };

	for (size_t i = 0; i < array_len(texts); i++)
		free(texts[i]);
	for (unsigned i = 0; i < request->arg_count; i++) {
		free(request->args[i].key);
		free(request->args[i].value);
	}
	if (request->reply.fd >= 0)
		close(request->reply.fd);
	if (request->reply.stream)
		stream_free(request->reply.stream);
	json_decref(request->json);
	buf_fini(&request->body);
	buf_fini(&request->reply.body);
	free(request);
}

void request_unref(struct request *request)
{
	struct http *http = request->http;
	bool last;

	pthread_mutex_lock(&http->lock);
	last = --request->refs == 0;
	pthread_mutex_unlock(&http->lock);
	if (!last)
		return;
	request_free(request);
	pthread_mutex_lock(&http->lock);
	http_unref(http);
}

int request_add_arg(struct request *request, const char *key, const char *value, size_t value_len)
{
	struct request_arg *arg = &request->args[request->arg_count];

	if (request->arg_count == REQUEST_ARGS_MAX || value_len > REQUEST_ARG_BYTES || strlen(key) > REQUEST_ARG_BYTES)
		return -E2BIG;
	if (memchr(value, '\0', value_len))
		return -EINVAL;
	arg->key = strdup(key);
	arg->value = strndup(value, value_len);
	if (!arg->key || !arg->value) {
		free(arg->key);
		free(arg->value);
		return -ENOMEM;
	}
	http_text_join_ipxe_bytes(arg->value);
	http_text_clean(arg->value);
	request->arg_count++;
	return 0;
}

const char *request_arg(const struct request *request, const char *key)
{
	for (unsigned i = 0; i < request->arg_count; i++)
		if (!strcmp(request->args[i].key, key))
			return request->args[i].value;
	return NULL;
}

bool request_arg_number(struct request *request, const char *key, int64_t fallback, int64_t min, int64_t max,
			int64_t *value)
{
	const char *text = request_arg(request, key);
	bool negative = text && text[0] == '-';
	uint64_t number;

	if (!text) {
		*value = fallback;
		return true;
	}
	if (parse_u64(text + negative, 0, INT64_MAX, &number)) {
		int64_t got = negative ? -(int64_t)number : (int64_t)number;

		if (got >= min && got <= max) {
			*value = got;
			return true;
		}
	}
	reply_error(request, 400, "", "%s must be a number from %lld to %lld", key, (long long)min, (long long)max);
	return false;
}

bool request_arg_true(const struct request *request, const char *key)
{
	const char *text = request_arg(request, key);

	return text && (!strcmp(text, "1") || !strcmp(text, "true") || !strcmp(text, "yes"));
}

json_t *request_json(struct request *request)
{
	json_error_t error;
	json_t *value;

	if (!request->body.len)
		return json_object();
	value = json_loadb(request->body.data, request->body.len, JSON_REJECT_DUPLICATES, &error);
	if (!value) {
		reply_error(request, 400, "send a JSON object, for example {\"mac\": \"52:54:00:12:34:56\"}",
			    "the body is no JSON: line %d: %s", error.line, error.text);
		return NULL;
	}
	if (!json_is_object(value)) {
		json_decref(value);
		reply_error(request, 400, "", "the body must be a JSON object");
		return NULL;
	}
	return value;
}

/* ---- answers ---- */

void reply_json(struct request *request, unsigned status, json_t *value)
{
	struct reply *reply = &request->reply;
	char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

	json_decref(value);
	buf_reset(&reply->body);
	if (text) {
		buf_add_string(&reply->body, text);
		buf_add_string(&reply->body, "\n");
	}
	if (!text || reply->body.failed) {
		buf_reset(&reply->body);
		buf_add_string(&reply->body, "{\"error\": \"out of memory\", \"hint\": \"try again later\"}\n");
		status = 503;
	}
	free(text);
	reply->status = status;
	reply->type = "application/json";
}

void reply_error(struct request *request, unsigned status, const char *hint, const char *format, ...)
{
	char text[1024];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len < 0)
		text[0] = '\0';
	reply_json(request, status,
		   json_pack("{s:o*, s:o*}", "error", http_text_json(text), "hint", http_text_json(hint)));
}

unsigned reply_status_of(int err)
{
	static const struct {
		int err;
		unsigned status;
	} table[] = {
		{ -EINVAL, 400 }, { -E2BIG, 400 },    { -ERANGE, 400 }, { -ENAMETOOLONG, 400 }, { -EACCES, 403 },
		{ -EPERM, 403 },  { -ENOENT, 404 },   { -EEXIST, 409 }, { -EBUSY, 409 },	{ -ENOTUNIQ, 409 },
		{ -ESTALE, 409 }, { -EALREADY, 409 }, { -EAGAIN, 503 }, { -ETIMEDOUT, 503 },	{ -ESHUTDOWN, 503 },
		{ -ENOMEM, 503 }, { -ENOSPC, 507 },   { -EDQUOT, 507 }, { -EMEDIUMTYPE, 400 },	{ -ENOTSUP, 400 },
	};

	for (size_t i = 0; i < array_len(table); i++)
		if (table[i].err == err)
			return table[i].status;
	return 500;
}

void reply_errno(struct request *request, int err, const char *reason, const char *hint)
{
	reply_error(request, reply_status_of(err), hint, "%s", reason && reason[0] ? reason : strerror(-err));
	if (request->reply.status == 503)
		request->reply.retry_after_s = 5;
}

void reply_text(struct request *request, unsigned status, const char *type, const char *text)
{
	buf_reset(&request->reply.body);
	buf_add_string(&request->reply.body, text);
	request->reply.status = status;
	request->reply.type = type;
}

void reply_redirect(struct request *request, const char *location)
{
	reply_text(request, 303, "text/plain; charset=utf-8", "");
	snprintf(request->reply.location, sizeof(request->reply.location), "%s", location);
}
