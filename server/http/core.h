/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all of http/ shares: the running endpoint. Private to the folder.
 *
 * Threads: one of libmicrohttpd per listener (its callbacks), the workers of `pool` (routes that block), "http-watch"
 * (deadlines, lingering sockets) and "http-events" (the event stream). `lock` guards the state of every request that is
 * said to be under it, the connections, the streams, `stopping` and the setup token; it is never held over a call that
 * blocks. Lock order: `lock`, then libmicrohttpd's own (suspend and resume are called under it, its callbacks are
 * called with none).
 */
#ifndef HTTP_CORE_H
#define HTTP_CORE_H

#include "boot/boot.h"
#include "http/http.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct MHD_Daemon;
struct connection;
struct limiter;
struct pool;
struct request;
struct route;
struct stream;
struct vendors;

/* What a listener serves, and who comes through it. */
enum { SERVES_BOOT = 1, SERVES_WEB = 2, SERVES_CONTROL = 4 };

enum {
	HTTP_LISTENERS_MAX = 32,
	HTTP_STATUS_MAX = 600,
	HTTP_BODY_MAX = 1 << 20, /* bytes of a request's body */
	HTTP_URI_MAX = 8192,	 /* bytes, query included */
	HTTP_MEMORY_PER_CONNECTION = 48 * 1024,
	HTTP_CONNECTIONS = 1024, /* per listener */
	HTTP_CONNECTIONS_PER_ADDRESS = 512,
	HTTP_WORKERS = 8,
	HTTP_IDLE_S = 20,		/* nothing moves */
	HTTP_REQUEST_MS = 30000,	/* for a request to arrive whole */
	HTTP_ANSWER_MS = 10 * 60000,	/* for an answer to be taken */
	HTTP_ANSWER_BYTES_PER_MS = 128, /* and so much more for a file: 1 Mbit/s, boot.wim to a whole room */
	HTTP_BOOT_DEADLINE_MS = 10000,
	HTTP_WORK_DEADLINE_MS = 60000,
	HTTP_SETUP_TOKEN = 32,
};

struct listener {
	struct http *http;
	struct MHD_Daemon *daemon;
	int fd; /* -1 once it is closed */
	unsigned serves;
	char address[PARSE_ENDPOINT_TEXT + 128]; /* "ADDR:PORT", or the control socket's path */
	struct endpoint endpoint;
};

struct http {
	struct http_config config; /* endpoints are NULL after the start; texts are ours */
	char *control_path, *ipxe_dir, *boot_files;
	struct {
		char name[DHCP_SET_TEXT];
		char *directory;
	} sets[DHCP_SETS_MAX];
	unsigned set_count;
	const struct route *routes; /* routes.h; handed in, so that what finds a route knows no handler */
	struct listener listeners[HTTP_LISTENERS_MAX];
	unsigned listener_count;
	struct pool *pool;
	struct limiter *limiter;
	uint64_t started_ms; /* monotonic */
	atomic_uint hashing; /* passwords being hashed at this moment: each takes tens of milliseconds and 16 MiB */

	atomic_uint measuring; /* GET /metrics being answered */

	pthread_mutex_t vendors_lock;
	struct vendors *vendors; /* read when somebody first asks who waits */

	/* for /metrics */
	atomic_ullong answered[HTTP_STATUS_MAX];
	atomic_ullong boot_outcomes[BOOT_OUTCOMES];
	atomic_ullong boot_ms;
	atomic_uint in_hand; /* requests between their first byte and the end of their answer */

	pthread_mutex_t lock;
	pthread_cond_t watch_wake, streams_wake; /* something to watch; somebody who listens */
	unsigned refs; /* the owner, and one per request: an answer of boot/ may come after http_stop */
	bool stopping;
	char setup_token[HTTP_SETUP_TOKEN + 1]; /* "" when none is valid */
	char setup_url[PARSE_ENDPOINT_TEXT + HTTP_SETUP_TOKEN + 64];
	struct request *waiting; /* suspended, with a deadline */
	struct connection *connections;
	struct stream *streams;
	unsigned stream_count;
	pthread_t watch_thread, events_thread;
	bool watching, feeding;
	int linger_fds[64]; /* see watch.c */
	int64_t linger_until_ms[64];
	unsigned linger_count;
};

/* Copies the texts of config; no thread and no listener yet, one reference. NULL without memory. */
struct http *http_new(const struct http_config *config, const struct route *routes);
/* Under the lock. */
void http_ref(struct http *http);
/* Under the lock, which it gives back; the last one frees. */
void http_unref(struct http *http);

#endif
