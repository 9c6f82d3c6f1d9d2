/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /api/v1/events as a stream of server-sent events (WHATWG HTML §9.2). Private to the folder.
 *
 * Every event of the inventory is a message `id: N` / `data: {...}`. After any commit, `event: change` says that lists
 * may look different now. One thread ("http-events") reads the inventory once for all streams and fills their buffers;
 * a reader that is slow is given more when it has taken what it has, so each stream's memory is bounded.
 */
#ifndef HTTP_STREAM_H
#define HTTP_STREAM_H

#include "http/core.h"

struct MHD_Connection;
struct MHD_Response;

enum { STREAMS_MAX = 64 };

/*
 * after < 0: only what comes from now on; ends_ms: when the login of whoever listens ends (Unix; 0: never). -EAGAIN: too many
 * streams. Blocks: on a worker.
 */
int stream_new(struct http *http, int64_t after, int64_t ends_ms, struct stream **stream);
/* Unlists it and frees it. No response may use it any more. */
void stream_free(struct stream *stream);
/* Takes the stream over: it is freed with the response. NULL without memory (the stream stays the caller's). */
struct MHD_Response *stream_response(struct stream *stream, struct MHD_Connection *connection);

/* The thread that feeds. */
int streams_start(struct http *http);
/* Under the lock: every stream ends after what it holds. */
void streams_end(struct http *http);

#endif
