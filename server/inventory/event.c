// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events: a bounded audit trail. An event is committed with the change that it tells of, and then inventory.c logs it.
 */
#include "inventory/db.h"
#include "inventory/private.h"

#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS_KEPT = 100000 };

#define EVENT_COLUMNS "id, at_ms, level, kind, actor, coalesce(machine_id, 0), object, text"

/* Copies text, "..." at its end where it does not fit, '?' for bytes that are not UTF-8. */
static void copy_text(char *out, size_t size, const char *text)
{
	size_t len = strnlen(text, size);

	if (len == size)
		len = size - 4;
	/* Not in the middle of a character. */
	while (len && len == size - 4 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	memcpy(out, text, len);
	out[len] = '\0';
	if (text[len])
		strcat(out, "...");
	if (db_text_valid(out, strlen(out)))
		return;
	for (char *c = out; *c; c++) {
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	}
}

static void event_fill(struct event *event, const char *level, const char *kind, const char *actor, int64_t machine_id,
		       const char *object, const char *format, va_list args)
{
	char text[2 * REASON_TEXT];

	*event = (struct event){ .machine_id = machine_id };
	vsnprintf(text, sizeof(text), format, args);
	copy_text(event->level, sizeof(event->level), level);
	copy_text(event->kind, sizeof(event->kind), kind);
	copy_text(event->actor, sizeof(event->actor), actor);
	copy_text(event->object, sizeof(event->object), object ? object : "");
	copy_text(event->text, sizeof(event->text), text);
}

static int event_insert(struct inventory_tx *tx, const struct event *filled)
{
	struct event_line *line;
	enum log_level level;
	struct query q;
	int64_t id;
	int err;

	if (!log_parse_level(filled->level, &level) || level == LOG_LEVEL_DEBUG)
		return -EINVAL;
	line = malloc(sizeof(*line));
	if (!line)
		return -ENOMEM;
	*line = (struct event_line){ .event = *filled };
	query_begin(&q, tx,
		    "INSERT INTO event (at_ms, level, kind, actor, machine_id, object, text) VALUES (?, ?, ?, ?, ?, ?, "
		    "?) RETURNING id");
	query_bind(&q, filled->at_ms ? filled->at_ms : tx->now_ms);
	query_bind_text(&q, filled->level, sizeof(filled->level));
	query_bind_text(&q, filled->kind, sizeof(filled->kind));
	query_bind_text(&q, filled->actor, sizeof(filled->actor));
	if (filled->machine_id)
		query_bind(&q, filled->machine_id);
	else
		query_bind_null(&q);
	query_bind_text(&q, filled->object, sizeof(filled->object));
	query_bind_text(&q, filled->text, sizeof(filled->text));
	err = query_number(&q, &id);
	if (!err) {
		query_begin(&q, tx, "DELETE FROM event WHERE id <= ?");
		query_bind(&q, id - EVENTS_KEPT);
		err = query_run(&q);
	}
	if (err) {
		free(line);
		return err;
	}
	line->next = tx->lines;
	tx->lines = line;
	return 0;
}

int event_add(struct inventory_tx *tx, const char *level, const char *kind, const char *actor, int64_t machine_id,
	      const char *object, const char *format, ...)
{
	struct event event;
	va_list args;

	va_start(args, format);
	event_fill(&event, level, kind, actor, machine_id, object, format, args);
	va_end(args);
	return event_insert(tx, &event);
}

struct event_job {
	struct inventory_job job;
	struct event event;
};

static int event_job_run(struct inventory_tx *tx, struct inventory_job *job)
{
	return event_insert(tx, &container_of(job, struct event_job, job)->event);
}

static void event_job_done(struct inventory_job *job, int err)
{
	struct event_job *event_job = container_of(job, struct event_job, job);

	if (err) {
		log_error("inventory: an event could not be recorded: %s", strerror(-err));
		event_log(&event_job->event);
	}
	free(event_job);
}

void inventory_event(struct inventory *inventory, const char *level, const char *kind, const char *actor,
		     int64_t machine_id, const char *object, const char *format, ...)
{
	struct event_job *job = calloc(1, sizeof(*job));
	va_list args;

	if (!job) {
		log_error("inventory: no memory for an event: %s", kind);
		return;
	}
	va_start(args, format);
	event_fill(&job->event, level, kind, actor, machine_id, object, format, args);
	va_end(args);
	job->event.at_ms = time_unix_ms();
	job->job.run = event_job_run;
	job->job.done = event_job_done;
	inventory_write(inventory, &job->job);
}

int event_each(struct inventory_tx *tx, int64_t after, int64_t machine_id, unsigned max,
	       int (*each)(void *arg, const struct event *event), void *arg)
{
	struct event event;
	struct query q;
	int stop = 0, err;

	if (after >= 0)
		query_begin(&q, tx,
			    "SELECT " EVENT_COLUMNS
			    " FROM event WHERE id > ?1 AND (?2 = 0 OR machine_id = ?2) ORDER BY id LIMIT ?3");
	else
		query_begin(&q, tx,
			    "SELECT * FROM (SELECT " EVENT_COLUMNS
			    " FROM event WHERE id > ?1 AND (?2 = 0 OR machine_id = ?2) "
			    "ORDER BY id DESC LIMIT ?3) AS newest ORDER BY id");
	query_bind(&q, after);
	query_bind(&q, machine_id);
	query_bind(&q, max);
	while (!stop && query_row(&q)) {
		event = (struct event){ .id = query_int(&q) };
		event.at_ms = query_int(&q);
		query_text(&q, event.level, sizeof(event.level));
		query_text(&q, event.kind, sizeof(event.kind));
		query_text(&q, event.actor, sizeof(event.actor));
		event.machine_id = query_int(&q);
		query_text(&q, event.object, sizeof(event.object));
		query_text(&q, event.text, sizeof(event.text));
		stop = each(arg, &event);
	}
	err = query_end(&q);
	return err ? err : stop;
}
