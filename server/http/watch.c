// SPDX-License-Identifier: GPL-2.0-or-later
/* Deadlines and lingering: see watch.h. Everything here is under http->lock; "http-watch" holds it but for its naps. */
#include "http/watch.h"

#include "base/util.h"
#include "http/request.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	WATCH_NAP_MS = 500,
	WATCH_NAP_LINGER_MS = 20,
	LINGER_MS = 3000,
	LINGER_TURN_BYTES = 256 * 1024, /* dropped of one connection at a time */
};

struct connection {
	struct connection *next;
	int fd;
	enum connection_phase phase;
	uint64_t since_ms;
	uint64_t answer_ms; /* in which its answer has to be taken */
	bool answered;	    /* at least one request of it was answered whole */
};

struct connection *connection_new(struct http *http, int fd)
{
	struct connection *made = calloc(1, sizeof(*made));

	if (!made)
		return NULL;
	made->fd = fd;
	made->since_ms = time_monotonic_ms();
	pthread_mutex_lock(&http->lock);
	made->next = http->connections;
	http->connections = made;
	pthread_cond_signal(&http->watch_wake);
	pthread_mutex_unlock(&http->lock);
	return made;
}

void connection_set_phase(struct http *http, struct connection *connection, enum connection_phase phase)
{
	if (!connection)
		return;
	pthread_mutex_lock(&http->lock);
	if (phase == CONNECTION_RECEIVING && connection->phase == CONNECTION_ANSWERING)
		connection->answered = true;
	connection->phase = phase;
	connection->since_ms = time_monotonic_ms();
	pthread_mutex_unlock(&http->lock);
}

uint64_t watch_answer_ms(uint64_t file_bytes)
{
	return HTTP_ANSWER_MS + file_bytes / HTTP_ANSWER_BYTES_PER_MS;
}

void connection_set_answering(struct http *http, struct connection *connection, uint64_t answer_ms)
{
	if (!connection)
		return;
	pthread_mutex_lock(&http->lock);
	connection->answer_ms = answer_ms;
	pthread_mutex_unlock(&http->lock);
	connection_set_phase(http, connection, CONNECTION_ANSWERING);
}

/* Under the lock. Only where a reset would be sent: bytes unread, or a peer still sending what we refused to read. */
static void linger(struct http *http, const struct connection *connection)
{
	int unread = 0, fd;

	if (http->stopping || http->linger_count == array_len(http->linger_fds))
		return;
	if (connection->answered && connection->phase == CONNECTION_RECEIVING &&
	    (ioctl(connection->fd, FIONREAD, &unread) || !unread))
		return;
	fd = fcntl(connection->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return;
	shutdown(fd, SHUT_WR);
	http->linger_fds[http->linger_count] = fd;
	http->linger_until_ms[http->linger_count++] = (int64_t)time_monotonic_ms() + LINGER_MS;
	pthread_cond_signal(&http->watch_wake);
}

void connection_free(struct http *http, struct connection *connection)
{
	if (!connection)
		return;
	pthread_mutex_lock(&http->lock);
	for (struct connection **at = &http->connections; *at; at = &(*at)->next) {
		if (*at == connection) {
			*at = connection->next;
			break;
		}
	}
	linger(http, connection);
	pthread_mutex_unlock(&http->lock);
	free(connection);
}

void watch_add_request(struct http *http, struct request *request, unsigned deadline_ms)
{
	request->deadline_ms = time_monotonic_ms() + deadline_ms;
	request->next = http->waiting;
	http->waiting = request;
	pthread_cond_signal(&http->watch_wake);
}

void watch_remove_request(struct http *http, struct request *request)
{
	for (struct request **at = &http->waiting; *at; at = &(*at)->next) {
		if (*at == request) {
			*at = request->next;
			return;
		}
	}
}

/* ---- the thread ---- */

static void watch_requests(struct http *http, uint64_t now)
{
	struct request **at = &http->waiting;

	while (*at) {
		struct request *request = *at;

		if (!http->stopping && request->deadline_ms > now) {
			at = &request->next;
			continue;
		}
		*at = request->next;
		request->state = REQUEST_GIVEN_UP;
		MHD_resume_connection(request->connection);
	}
}

static void watch_connections(struct http *http, uint64_t now)
{
	for (struct connection *c = http->connections; c; c = c->next) {
		uint64_t age = now - c->since_ms;

		if ((c->phase == CONNECTION_RECEIVING && age > HTTP_REQUEST_MS) ||
		    (c->phase == CONNECTION_ANSWERING && age > c->answer_ms))
			shutdown(c->fd, SHUT_RDWR);
	}
}

/* True when the peer has closed, or has had its time. */
static bool linger_drop(int fd)
{
	char bytes[16384];

	for (int turn = 0; turn < LINGER_TURN_BYTES; turn += (int)sizeof(bytes)) {
		ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (!got || (got < 0 && errno != EAGAIN && errno != EINTR))
			return true;
		if (got < 0)
			return false;
	}
	return false;
}

static void watch_lingering(struct http *http, uint64_t now)
{
	for (unsigned i = 0; i < http->linger_count;) {
		if (!linger_drop(http->linger_fds[i]) && http->linger_until_ms[i] > (int64_t)now && !http->stopping) {
			i++;
			continue;
		}
		close(http->linger_fds[i]);
		http->linger_count--;
		http->linger_fds[i] = http->linger_fds[http->linger_count];
		http->linger_until_ms[i] = http->linger_until_ms[http->linger_count];
	}
}

static void watch_nap(struct http *http)
{
	struct timespec until;
	unsigned nap_ms = http->linger_count ? WATCH_NAP_LINGER_MS : WATCH_NAP_MS;

	/* With nothing to watch the processor may sleep, too. */
	if (!http->connections && !http->waiting && !http->linger_count) {
		pthread_cond_wait(&http->watch_wake, &http->lock);
		return;
	}
	until = time_monotonic_in(nap_ms);
	pthread_cond_timedwait(&http->watch_wake, &http->lock, &until);
}

static void *watch_main(void *arg)
{
	struct http *http = arg;

	pthread_mutex_lock(&http->lock);
	while (!http->stopping) {
		uint64_t now = time_monotonic_ms();

		watch_requests(http, now);
		watch_connections(http, now);
		watch_lingering(http, now);
		if (!http->stopping)
			watch_nap(http);
	}
	watch_requests(http, 0);
	watch_lingering(http, 0);
	pthread_mutex_unlock(&http->lock);
	return NULL;
}

int watch_start(struct http *http)
{
	int err = pthread_create(&http->watch_thread, NULL, watch_main, http);

	if (err)
		return -err;
	pthread_setname_np(http->watch_thread, "http-watch");
	http->watching = true;
	return 0;
}
