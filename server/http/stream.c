// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The event stream: see stream.h.
 *
 *     written by http-events              read by libmicrohttpd's thread
 *     fill -> buffer ------------------> reader -> socket
 *                                         | empty: suspends the connection
 *          resumes it <-------------------+
 *
 * All fields are under http->lock.
 */
#include "http/stream.h"

#include "base/buf.h"
#include "base/util.h"
#include "http/json.h"
#include "inventory/inventory.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

enum {
	STREAM_FULL = 256 * 1024, /* no more until it has drained */
	STREAM_BATCH = 500,	  /* events read at once */
	STREAM_POLL_MS = 500,
	STREAM_KEEP_ALIVE_MS = 15000, /* so that a peer that is gone is noticed */
};

struct stream {
	struct http *http;
	struct stream *next;
	struct MHD_Connection *connection; /* NULL before it has a response */
	struct buf buf;
	int64_t sent_id;
	uint64_t written_ms;
	int64_t ends_ms; /* Unix; 0: never */
	bool suspended, ending, change_told;
};

struct batch_event {
	int64_t id;
	char *text;
};

/* Events of the inventory, formatted; a read job. */
struct batch {
	struct inventory_job job;
	int64_t after;
	unsigned max, count;
	struct batch_event events[STREAM_BATCH];
};

static int batch_add(void *arg, const struct event *event)
{
	struct batch *batch = arg;
	json_t *value = api_event_json(event);
	char *json = value ? json_dumps(value, JSON_COMPACT) : NULL;
	struct buf text;

	json_decref(value);
	if (!json || batch->count == STREAM_BATCH) {
		free(json);
		return -ENOMEM;
	}
	buf_init(&text, 64 * 1024);
	buf_printf(&text, "id: %lld\ndata: %s\n\n", (long long)event->id, json);
	free(json);
	batch->events[batch->count].id = event->id;
	batch->events[batch->count].text = buf_take(&text);
	return batch->events[batch->count++].text ? 0 : -ENOMEM;
}

static int batch_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct batch *batch = container_of(job, struct batch, job);

	return event_each(tx, batch->after, 0, batch->max, batch_add, batch);
}

static struct batch *batch_read(struct http *http, int64_t after, unsigned max)
{
	struct batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return NULL;
	batch->job.run = batch_run;
	batch->after = after;
	batch->max = max;
	inventory_read_wait(http->config.inventory, &batch->job);
	return batch;
}

static void batch_free(struct batch *batch)
{
	for (unsigned i = 0; batch && i < batch->count; i++)
		free(batch->events[i].text);
	free(batch);
}

/* ---- one stream ---- */

/* Under the lock. */
static void stream_wake(struct stream *stream)
{
	if (!stream->suspended)
		return;
	stream->suspended = false;
	MHD_resume_connection(stream->connection);
}

static void stream_write(struct stream *stream, const char *text)
{
	buf_add_string(&stream->buf, text);
	stream->written_ms = time_monotonic_ms();
	stream_wake(stream);
}

static ssize_t stream_read(void *arg, uint64_t pos, char *out, size_t max)
{
	struct stream *stream = arg;
	ssize_t got;

	(void)pos;
	pthread_mutex_lock(&stream->http->lock);
	if (stream->buf.len) {
		got = (ssize_t)(stream->buf.len < max ? stream->buf.len : max);
		memcpy(out, stream->buf.data, (size_t)got);
		buf_consume(&stream->buf, (size_t)got);
	} else if (stream->ending || stream->http->stopping) {
		got = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		stream->change_told = false;
		stream->suspended = true;
		MHD_suspend_connection(stream->connection);
		got = 0;
	}
	pthread_mutex_unlock(&stream->http->lock);
	return got;
}

int stream_new(struct http *http, int64_t after, int64_t ends_ms, struct stream **stream)
{
	struct stream *made;
	int err = 0;

	if (after < 0) {
		struct batch *newest = batch_read(http, -1, 1);

		after = newest && newest->count ? newest->events[0].id : 0;
		batch_free(newest);
	}
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->http = http;
	made->sent_id = after;
	made->ends_ms = ends_ms;
	made->written_ms = time_monotonic_ms();
	buf_init(&made->buf, 2 * STREAM_FULL);
	buf_add_string(&made->buf, "retry: 2000\n\n");
	pthread_mutex_lock(&http->lock);
	if (http->stream_count >= STREAMS_MAX || http->stopping) {
		err = -EAGAIN;
	} else {
		made->next = http->streams;
		http->streams = made;
		pthread_cond_signal(&http->streams_wake);
		http->stream_count++;
	}
	pthread_mutex_unlock(&http->lock);
	if (err) {
		buf_fini(&made->buf);
		free(made);
		return err;
	}
	*stream = made;
	return 0;
}

void stream_free(struct stream *stream)
{
	struct http *http = stream->http;

	pthread_mutex_lock(&http->lock);
	for (struct stream **at = &http->streams; *at; at = &(*at)->next) {
		if (*at != stream)
			continue;
		*at = stream->next;
		http->stream_count--;
		break;
	}
	pthread_mutex_unlock(&http->lock);
	buf_fini(&stream->buf);
	free(stream);
}

static void stream_free_response(void *arg)
{
	stream_free(arg);
}

struct MHD_Response *stream_response(struct stream *stream, struct MHD_Connection *connection)
{
	struct MHD_Response *response =
		MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 8192, stream_read, stream, stream_free_response);

	if (response) {
		pthread_mutex_lock(&stream->http->lock);
		stream->connection = connection;
		pthread_mutex_unlock(&stream->http->lock);
	}
	return response;
}

/* ---- the thread that feeds ---- */

/* The oldest position of a stream with room; INT64_MAX where nobody listens. */
static int64_t streams_position(struct http *http)
{
	int64_t position = INT64_MAX;

	for (struct stream *s = http->streams; s; s = s->next)
		if (s->buf.len < STREAM_FULL && s->sent_id < position)
			position = s->sent_id;
	return position;
}

static void stream_give(struct stream *stream, const struct batch *batch)
{
	for (unsigned i = 0; i < batch->count; i++) {
		const struct batch_event *event = &batch->events[i];

		if (event->id <= stream->sent_id)
			continue;
		if (stream->buf.len >= STREAM_FULL)
			return;
		stream_write(stream, event->text);
		stream->sent_id = event->id;
	}
}

/* Returns whether there may be more. */
static bool streams_feed(struct http *http)
{
	struct batch *batch;
	int64_t after;
	bool more;

	pthread_mutex_lock(&http->lock);
	after = streams_position(http);
	pthread_mutex_unlock(&http->lock);
	if (after == INT64_MAX)
		return false;
	batch = batch_read(http, after, STREAM_BATCH);
	if (!batch)
		return false;
	pthread_mutex_lock(&http->lock);
	for (struct stream *s = http->streams; s; s = s->next)
		stream_give(s, batch);
	more = batch->count == STREAM_BATCH && !http->stopping;
	pthread_mutex_unlock(&http->lock);
	batch_free(batch);
	return more;
}

static void streams_tell(struct http *http, bool changed)
{
	uint64_t now = time_monotonic_ms();
	int64_t unix_ms = time_unix_ms();

	for (struct stream *s = http->streams; s; s = s->next) {
		if (s->ends_ms && unix_ms >= s->ends_ms) {
			s->ending = true;
			stream_wake(s);
		} else if (changed && !s->change_told) {
			s->change_told = true;
			stream_write(s, "event: change\ndata: {}\n\n");
		} else if (now - s->written_ms >= STREAM_KEEP_ALIVE_MS && !s->buf.len) {
			stream_write(s, ": still here\n\n");
		}
	}
}

/* Until a client listens. A client that begins to listen asks for the present state itself. */
static void streams_sleep(struct http *http)
{
	pthread_mutex_lock(&http->lock);
	while (!http->streams && !http->stopping)
		pthread_cond_wait(&http->streams_wake, &http->lock);
	pthread_mutex_unlock(&http->lock);
}

static void *streams_main(void *arg)
{
	struct http *http = arg;
	uint64_t seen = 0;
	bool stopping = false;

	while (!stopping) {
		bool changed;

		streams_sleep(http);
		changed = inventory_wait_change(http->config.inventory, &seen, STREAM_POLL_MS);

		while (streams_feed(http))
			;
		pthread_mutex_lock(&http->lock);
		streams_tell(http, changed);
		stopping = http->stopping;
		pthread_mutex_unlock(&http->lock);
	}
	return NULL;
}

int streams_start(struct http *http)
{
	int err = pthread_create(&http->events_thread, NULL, streams_main, http);

	if (err)
		return -err;
	pthread_setname_np(http->events_thread, "http-events");
	http->feeding = true;
	return 0;
}

void streams_end(struct http *http)
{
	pthread_cond_signal(&http->streams_wake);
	for (struct stream *s = http->streams; s; s = s->next) {
		s->ending = true;
		stream_wake(s);
	}
}
