// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The inventory's threads: one writer, a few readers, each with a connection of its own.
 *
 * The writer takes the whole queue at once and makes one transaction of it, each job in a savepoint:
 *
 *     BEGIN  { SAVEPOINT  run  RELEASE or ROLLBACK TO }...  COMMIT  log the events  wake the waiters  done...
 *
 * so that 256 machines that are switched on together cost one fsync. Some errors of SQLite (a full disk, an I/O error)
 * end the whole transaction: then every job that ran in it failed, and the rest of the queue goes into a new one.
 *
 * `mutex` guards the queues, unfinished, generation, stopping and changed. Everything else belongs to one thread.
 */
#include "inventory/inventory.h"

#include "base/assets.h"
#include "base/log.h"
#include "base/util.h"
#include "inventory/db.h"
#include "inventory/private.h"
#include "inventory/room.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READERS = 2 };

struct job_queue {
	struct inventory_job *first, **last;
	pthread_cond_t wake;
};

struct reader {
	struct inventory *inventory;
	struct db db;
	pthread_t thread;
	bool running;
};

struct inventory {
	pthread_mutex_t mutex;
	struct job_queue writes, reads;
	pthread_cond_t changed_cond;
	pthread_cond_t idle_cond;
	size_t unfinished;   /* jobs that are queued, running, or whose done has not returned (or been posted) */
	uint64_t generation; /* of what is committed; starts at 1, so that "seen 0" is always behind */
	bool stopping;
	void (*changed)(void *arg);
	void *changed_arg;
	struct db db; /* the writer's */
	struct room room;
	pthread_t writer;
	bool writer_running;
	struct reader readers[READERS];
};

static void queue_init(struct job_queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
	pthread_cond_init(&queue->wake, NULL);
}

static void queue_put(struct inventory *inventory, struct job_queue *queue, struct inventory_job *job)
{
	job->next = NULL;
	job->err = 0;
	job->changed = false;
	pthread_mutex_lock(&inventory->mutex);
	*queue->last = job;
	queue->last = &job->next;
	inventory->unfinished++;
	pthread_cond_signal(&queue->wake);
	pthread_mutex_unlock(&inventory->mutex);
}

/* Waits for jobs: all of them, or one. NULL: stopping and none left. */
static struct inventory_job *queue_take(struct inventory *inventory, struct job_queue *queue, bool all)
{
	struct inventory_job *job;

	pthread_mutex_lock(&inventory->mutex);
	while (!queue->first && !inventory->stopping)
		pthread_cond_wait(&queue->wake, &inventory->mutex);
	job = queue->first;
	if (job && all) {
		queue->first = NULL;
	} else if (job) {
		queue->first = job->next;
		job->next = NULL;
	}
	if (!queue->first)
		queue->last = &queue->first;
	pthread_mutex_unlock(&inventory->mutex);
	return job;
}

static void job_post_done(struct loop_msg *msg)
{
	struct inventory_job *job = container_of(msg, struct inventory_job, msg);

	job->done(job, job->err);
}

/* The job is its owner's again. */
static void job_finish(struct inventory *inventory, struct inventory_job *job)
{
	if (job->done && job->loop) {
		job->msg.run = job_post_done;
		loop_post(job->loop, &job->msg);
	} else if (job->done) {
		job->done(job, job->err);
	}
	pthread_mutex_lock(&inventory->mutex);
	if (!--inventory->unfinished)
		pthread_cond_signal(&inventory->idle_cond);
	pthread_mutex_unlock(&inventory->mutex);
}

/* ---- the writer ---- */

static void lines_drop(struct inventory_tx *tx, struct event_line *until)
{
	while (tx->lines != until) {
		struct event_line *line = tx->lines;

		tx->lines = line->next;
		free(line);
	}
}

void event_log(const struct event *event)
{
	enum log_level level = LOG_LEVEL_INFO;
	char text[4 * REASON_TEXT], object[4 * NAME_MAX_TEXT];

	log_parse_level(event->level, &level);
	log_escape(text, sizeof(text), event->text, strlen(event->text));
	log_escape(object, sizeof(object), event->object, strlen(event->object));
	log_write(level, "%s%s%s: %s (%s)", object, object[0] ? ": " : "", event->kind, text, event->actor);
}

/* Oldest first, now that they are committed. */
static void lines_log(struct inventory_tx *tx)
{
	struct event_line *line, *next, *oldest = NULL;

	for (line = tx->lines; line; line = next) {
		next = line->next;
		line->next = oldest;
		oldest = line;
	}
	for (line = oldest; line; line = next) {
		next = line->next;
		event_log(&line->event);
		free(line);
	}
	tx->lines = NULL;
}

/* Runs one job in its savepoint. False: the transaction itself is gone. */
static bool writer_run_job(struct inventory_tx *tx, struct inventory_job *job)
{
	struct db *db = tx->db;
	struct event_line *mark = tx->lines;
	int before = sqlite3_total_changes(db->sqlite);

	job->err = db_run(db, "SAVEPOINT job");
	if (job->err)
		return !sqlite3_get_autocommit(db->sqlite);
	tx->now_ms = time_unix_ms();
	job->err = job->run(tx, job);
	if (sqlite3_get_autocommit(db->sqlite)) {
		if (!job->err)
			job->err = -EIO;
		return false;
	}
	if (job->err) {
		db->hint_pattern[0] = '\0';
		lines_drop(tx, mark);
		db_run(db, "ROLLBACK TO job");
	} else {
		job->changed = sqlite3_total_changes(db->sqlite) != before;
	}
	db_run(db, "RELEASE job");
	return !sqlite3_get_autocommit(db->sqlite);
}

static void jobs_fail(struct inventory_job *first, const struct inventory_job *end, int err)
{
	for (struct inventory_job *job = first; job != end; job = job->next) {
		if (!job->err)
			job->err = err;
		job->changed = false;
	}
}

/*
 * One transaction. Returns the first job that did not run in it (NULL: all did); *changed: anything that is now
 * committed.
 */
static struct inventory_job *writer_transaction(struct inventory *inventory, struct inventory_job *first, bool *changed)
{
	struct inventory_tx tx = { .db = &inventory->db, .writable = true };
	struct inventory_job *job = first;
	bool alive = true;
	int err = db_run(tx.db, "BEGIN IMMEDIATE");

	if (err) {
		jobs_fail(first, NULL, err);
		return NULL;
	}
	for (; job && alive; job = job->next)
		alive = writer_run_job(&tx, job);
	err = alive ? db_run(tx.db, "COMMIT") : -EIO;
	if (err) {
		if (!sqlite3_get_autocommit(tx.db->sqlite))
			db_run(tx.db, "ROLLBACK");
		tx.db->hint_pattern[0] = '\0';
		lines_drop(&tx, NULL);
		jobs_fail(first, job, err);
		return job;
	}
	for (struct inventory_job *j = first; j != job; j = j->next)
		*changed |= j->changed;
	lines_log(&tx);
	return job;
}

static void writer_tell_change(struct inventory *inventory)
{
	void (*changed)(void *arg);
	void *arg;

	pthread_mutex_lock(&inventory->mutex);
	inventory->generation++;
	changed = inventory->changed;
	arg = inventory->changed_arg;
	pthread_cond_broadcast(&inventory->changed_cond);
	pthread_mutex_unlock(&inventory->mutex);
	if (changed)
		changed(arg);
}

static void *writer_main(void *arg)
{
	struct inventory *inventory = arg;
	struct inventory_job *batch, *job, *next;

	while ((batch = queue_take(inventory, &inventory->writes, true))) {
		bool changed = false;

		for (job = batch; job;)
			job = writer_transaction(inventory, job, &changed);
		room_keep(&inventory->room);
		if (changed)
			writer_tell_change(inventory);
		for (job = batch; job; job = next) {
			next = job->next; /* done may free the job, or queue it again */
			job_finish(inventory, job);
		}
	}
	return NULL;
}

/* ---- readers ---- */

static void *reader_main(void *arg)
{
	struct reader *reader = arg;
	struct inventory *inventory = reader->inventory;
	struct inventory_job *job;

	while ((job = queue_take(inventory, &inventory->reads, false))) {
		struct inventory_tx tx = { .db = &reader->db };

		tx.now_ms = time_unix_ms();
		job->err = db_run(tx.db, "BEGIN");
		if (!job->err) {
			job->err = job->run(&tx, job);
			db_run(tx.db, "COMMIT");
		}
		lines_drop(&tx, NULL);
		job_finish(inventory, job);
	}
	return NULL;
}

/* ---- open and close ---- */

/* The file holds secrets: it, and with it -wal and -shm, is for us alone. */
static int inventory_make_file(const char *path, struct reason *reason)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err = 0;

	if (fd < 0 || fchmod(fd, 0600))
		err = reason_refuse(reason, -errno, "%s: cannot be opened: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return err;
}

static int inventory_start(struct inventory *inventory)
{
	int err = pthread_create(&inventory->writer, NULL, writer_main, inventory);

	if (err)
		return -err;
	inventory->writer_running = true;
	pthread_setname_np(inventory->writer, "inv-write");
	for (int i = 0; i < READERS; i++) {
		struct reader *reader = &inventory->readers[i];

		err = pthread_create(&reader->thread, NULL, reader_main, reader);
		if (err)
			return -err;
		reader->running = true;
		pthread_setname_np(reader->thread, "inv-read");
	}
	return 0;
}

int inventory_open_table(const char *path, const struct asset *table, struct inventory **inventory,
			 struct reason *reason)
{
	struct inventory *made = calloc(1, sizeof(*made));
	int err;

	if (!made)
		return reason_refuse(reason, -ENOMEM, "%s: no memory", path);
	pthread_mutex_init(&made->mutex, NULL);
	queue_init(&made->writes);
	queue_init(&made->reads);
	pthread_cond_init(&made->idle_cond, NULL);
	cond_init_monotonic(&made->changed_cond);
	made->generation = 1;
	made->room.db_fd = made->room.wal_fd = -1;
	reason->text[0] = '\0';
	err = inventory_make_file(path, reason);
	if (!err)
		room_init(&made->room, path);
	if (!err)
		err = db_open(&made->db, path, false, reason);
	if (!err)
		err = migrate(&made->db, table, path, reason);
	if (!err)
		room_keep(&made->room);
	for (int i = 0; i < READERS && !err; i++) {
		made->readers[i].inventory = made;
		err = db_open(&made->readers[i].db, path, true, reason);
	}
	if (!err)
		err = inventory_start(made);
	if (err) {
		reason_default(reason, err, "%s: %s", path, strerror(-err));
		inventory_close(made);
		return err;
	}
	*inventory = made;
	return 0;
}

int inventory_open(const char *path, struct inventory **inventory, struct reason *reason)
{
	return inventory_open_table(path, assets_db, inventory, reason);
}

void inventory_close(struct inventory *inventory)
{
	if (!inventory)
		return;
	pthread_mutex_lock(&inventory->mutex);
	while (inventory->unfinished) /* a done may have queued more */
		pthread_cond_wait(&inventory->idle_cond, &inventory->mutex);
	inventory->stopping = true;
	pthread_cond_broadcast(&inventory->writes.wake);
	pthread_cond_broadcast(&inventory->reads.wake);
	pthread_cond_broadcast(&inventory->changed_cond);
	pthread_mutex_unlock(&inventory->mutex);
	for (int i = 0; i < READERS; i++) {
		if (inventory->readers[i].running)
			pthread_join(inventory->readers[i].thread, NULL);
	}
	if (inventory->writer_running)
		pthread_join(inventory->writer, NULL);
	assert(!inventory->unfinished);
	for (int i = 0; i < READERS; i++)
		db_close(&inventory->readers[i].db);
	db_close(&inventory->db); /* the last one: empties the WAL into the file */
	room_fini(&inventory->room);
	pthread_cond_destroy(&inventory->writes.wake);
	pthread_cond_destroy(&inventory->reads.wake);
	pthread_cond_destroy(&inventory->changed_cond);
	pthread_cond_destroy(&inventory->idle_cond);
	pthread_mutex_destroy(&inventory->mutex);
	free(inventory);
}

/* ---- asking ---- */

void inventory_write(struct inventory *inventory, struct inventory_job *job)
{
	queue_put(inventory, &inventory->writes, job);
}

void inventory_read(struct inventory *inventory, struct inventory_job *job)
{
	queue_put(inventory, &inventory->reads, job);
}

struct wait_job {
	struct inventory_job job;
	struct inventory_job *inner;
	pthread_mutex_t mutex; /* guards finished */
	pthread_cond_t cond;
	bool finished;
	int err;
};

static int wait_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct wait_job *wait = container_of(job, struct wait_job, job);

	return wait->inner->run(tx, wait->inner);
}

static void wait_done(struct inventory_job *job, int err)
{
	struct wait_job *wait = container_of(job, struct wait_job, job);

	pthread_mutex_lock(&wait->mutex);
	wait->err = err;
	wait->finished = true;
	pthread_cond_signal(&wait->cond);
	pthread_mutex_unlock(&wait->mutex);
}

static int queue_wait(struct inventory *inventory, struct job_queue *queue, struct inventory_job *inner)
{
	struct wait_job wait = { .job = { .run = wait_run, .done = wait_done }, .inner = inner };

	/* A loop must not wait; the inventory's own threads would wait for themselves. */
	assert(!loop_current() && !pthread_equal(pthread_self(), inventory->writer));
	pthread_mutex_init(&wait.mutex, NULL);
	pthread_cond_init(&wait.cond, NULL);
	queue_put(inventory, queue, &wait.job);
	pthread_mutex_lock(&wait.mutex);
	while (!wait.finished)
		pthread_cond_wait(&wait.cond, &wait.mutex);
	pthread_mutex_unlock(&wait.mutex);
	pthread_cond_destroy(&wait.cond);
	pthread_mutex_destroy(&wait.mutex);
	return wait.err;
}

int inventory_write_wait(struct inventory *inventory, struct inventory_job *job)
{
	return queue_wait(inventory, &inventory->writes, job);
}

int inventory_read_wait(struct inventory *inventory, struct inventory_job *job)
{
	return queue_wait(inventory, &inventory->reads, job);
}

struct call {
	struct inventory_job job;
	int (*run)(struct inventory_tx *tx, void *arg);
	void *arg;
};

static int call_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct call *call = container_of(job, struct call, job);

	return call->run(tx, call->arg);
}

int inventory_write_call(struct inventory *inventory, int (*run)(struct inventory_tx *tx, void *arg), void *arg)
{
	struct call call = { .job.run = call_run, .run = run, .arg = arg };

	return inventory_write_wait(inventory, &call.job);
}

int inventory_read_call(struct inventory *inventory, int (*run)(struct inventory_tx *tx, void *arg), void *arg)
{
	struct call call = { .job.run = call_run, .run = run, .arg = arg };

	return inventory_read_wait(inventory, &call.job);
}

bool inventory_wait_change(struct inventory *inventory, uint64_t *seen, unsigned timeout_ms)
{
	struct timespec until = time_monotonic_in(timeout_ms);
	bool changed;

	pthread_mutex_lock(&inventory->mutex);
	while (inventory->generation == *seen && !inventory->stopping) {
		if (pthread_cond_timedwait(&inventory->changed_cond, &inventory->mutex, &until))
			break;
	}
	changed = inventory->generation != *seen;
	*seen = inventory->generation;
	pthread_mutex_unlock(&inventory->mutex);
	return changed;
}

void inventory_on_change(struct inventory *inventory, void (*changed)(void *arg), void *arg)
{
	pthread_mutex_lock(&inventory->mutex);
	inventory->changed = changed;
	inventory->changed_arg = arg;
	pthread_mutex_unlock(&inventory->mutex);
}
