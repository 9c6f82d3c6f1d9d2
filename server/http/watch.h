/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What libmicrohttpd leaves to us about time and about closing. Private to the folder.
 *
 * - A suspended request has a deadline, after which it is answered 503.
 * - A connection must deliver a request within HTTP_REQUEST_MS (libmicrohttpd itself only counts idle time, so a byte
 * now and then would hold it for ever), and take its answer within HTTP_ANSWER_MS, and more for large files.
 * - A connection that is closed with bytes unread would be reset by the kernel, and the peer would lose the answer that
 * says why (RFC 9112 §9.6): it lingers, reading and dropping a bounded amount, on a duplicate of its descriptor.
 */
#ifndef HTTP_WATCH_H
#define HTTP_WATCH_H

#include "http/core.h"

enum connection_phase {
	CONNECTION_RECEIVING, /* waiting for a whole request */
	CONNECTION_WORKING,   /* suspended, or a stream: no deadline of its own */
	CONNECTION_ANSWERING,
};

int watch_start(struct http *http);

/*
 * libmicrohttpd's thread: a connection began, changed its phase, is about to be closed (its descriptor is still valid).
 * NULL without memory.
 */
struct connection *connection_new(struct http *http, int fd);
void connection_set_phase(struct http *http, struct connection *connection, enum connection_phase phase);
/* CONNECTION_ANSWERING, and the time in which the answer has to be taken. */
void connection_set_answering(struct http *http, struct connection *connection, uint64_t answer_ms);
/* That time, for an answer with so many bytes of a file. */
uint64_t watch_answer_ms(uint64_t file_bytes);
void connection_free(struct http *http, struct connection *connection);

/* Under the lock: into the list of those with a deadline, and out. */
void watch_add_request(struct http *http, struct request *request, unsigned deadline_ms);
void watch_remove_request(struct http *http, struct request *request);

#endif
