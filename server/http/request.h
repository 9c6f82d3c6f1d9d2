/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request and its answer. Private to the folder.
 *
 * Everything a handler needs is copied out of libmicrohttpd before it runs (arguments, the headers that matter,
 * addresses, the body), so that it may run on a worker, outlive its connection, and be tested without one. A handler
 * fills `reply` with one of the reply_ functions and returns.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "base/assets.h"
#include "base/buf.h"
#include "base/pool.h"
#include "http/core.h"
#include "http/range.h"
#include "inventory/inventory.h"
#include "inventory/token.h"

#include <jansson.h>

struct MHD_Connection;
struct route;

enum {
	REQUEST_ARGS_MAX = 32,
	REQUEST_ARG_BYTES = 1024,
	REQUEST_PARAMS_MAX = 2,
	REQUEST_PARAM_TEXT = 128,
	REQUEST_ACTOR_TEXT = 64,
	REQUEST_PREFIX_TEXT = 128
};

struct request_arg {
	char *key, *value; /* unescaped; valid UTF-8 without control characters */
};

struct reply {
	unsigned status; /* 0: not yet */
	const char *type;
	struct buf body;
	const struct asset *asset;	      /* instead of body */
	int fd;				      /* instead of body; -1: none */
	uint64_t fd_first, fd_bytes;	      /* which part of it */
	struct stream *stream;		      /* instead of body; owned */
	char location[256];		      /* redirect */
	char cookie[384], device_cookie[384]; /* Set-Cookie */
	char allow[64];			      /* 405 */
	/* of files; "" elsewhere */
	char etag[RANGE_ETAG_TEXT], modified[RANGE_DATE_TEXT], content_range[80];
	char tag[40]; /* ETag of an answer of the API */
	unsigned retry_after_s;
	bool page; /* an HTML page: with a content security policy */
};

enum request_state {
	REQUEST_ARRIVING,
	REQUEST_SUSPENDED, /* on a worker, or with boot/ */
	REQUEST_ANSWERED,  /* reply is complete */
	REQUEST_GIVEN_UP,  /* the deadline passed: 503; reply still belongs to the handler */
	REQUEST_GONE,	   /* libmicrohttpd is done with it */
};

struct request {
	struct http *http;
	unsigned serves; /* of the listener that it came through */
	const struct route *route;
	char method[8];
	const char *path;				     /* in target */
	char params[REQUEST_PARAMS_MAX][REQUEST_PARAM_TEXT]; /* what {} matched */
	struct request_arg args[REQUEST_ARGS_MAX];
	unsigned arg_count;
	struct buf body;
	json_t *json; /* the body, checked against its schema; NULL where the route takes none */
	/* headers; NULL where missing */
	struct range_ask range_ask;
	char *host, *origin, *fetch_site, *authorization, *session, *device, *accept, *last_event_id, *content_type;
	bool ours;			  /* "X-Sanbootd: 1" */
	bool secure;			  /* it came by TLS, to a proxy that is trusted */
	char prefix[REQUEST_PREFIX_TEXT]; /* below which such a proxy shows us: "/console"; "" */
	char client[PARSE_ENDPOINT_TEXT]; /* address without port; "" on the control socket */
	char server[PARSE_ENDPOINT_TEXT]; /* the address it reached, without port */
	char base_url[128];
	char actor[REQUEST_ACTOR_TEXT]; /* who, once that is known: "ctl", "web:admin", "token:LABEL" */
	enum token_scope scope;		/* what he may do; both are known once that is checked */
	int64_t login_ends_ms;		/* 0: never */
	struct reply reply;
	struct pool_job job;

	/* libmicrohttpd's side */
	struct MHD_Connection *connection;
	struct connection *link;
	char *target; /* as it was sent, NULL where it is too long; then cut into path and more */
	bool begun;
	bool closing; /* answered before its body was read: the connection ends */
	uint64_t body_bytes;
	uint64_t started_ms;

	/* under http->lock */
	unsigned refs;
	enum request_state state;
	uint64_t deadline_ms;
	struct request *next; /* in http->waiting */
};

struct request *request_new(struct http *http, unsigned serves);
/* Takes the lock. */
void request_unref(struct request *request);

/* Copies an argument in. -E2BIG: too many or too long; -EINVAL: a NUL inside. */
int request_add_arg(struct request *request, const char *key, const char *value, size_t value_len);
/* NULL where it was not given. */
const char *request_arg(const struct request *request, const char *key);
/* The argument as a number, fallback where it is missing; false (and 400 is answered) where it is none. */
bool request_arg_number(struct request *request, const char *key, int64_t fallback, int64_t min, int64_t max,
			int64_t *value);
bool request_arg_true(const struct request *request, const char *key); /* 1, true, yes */
/* The body as a JSON object (an empty body is {}); NULL, and 400 is answered. json_decref. */
json_t *request_json(struct request *request);

/* Takes the value. */
void reply_json(struct request *request, unsigned status, json_t *value);
/* {"error": ..., "hint": ...}; hint "" where there is nothing to do about it. */
void reply_error(struct request *request, unsigned status, const char *hint, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The status that fits -errno; reason "" gives strerror. */
void reply_errno(struct request *request, int err, const char *reason, const char *hint);
void reply_text(struct request *request, unsigned status, const char *type, const char *text);
void reply_redirect(struct request *request, const char *location);
unsigned reply_status_of(int err);

#endif
