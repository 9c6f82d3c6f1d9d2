// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Jobs: one transaction for all that is queued, a savepoint for each, done after the commit; readers; changes that are
 * waited for.
 */
#include "inventory/fixture.h"

#include "base/loop.h"
#include "base/util.h"
#include "inventory/db.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MANY = 256 };

static int one_version(struct inventory_tx *tx, void *arg)
{
	*(int64_t *)arg = make_version(tx, 1);
	return 0;
}

struct enrol_job {
	struct inventory_job job;
	unsigned n;
	int64_t version_id;
	int result; /* what run returns */
	int err;    /* what done was told */
	atomic_uint *left;
};

static int enrol_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct enrol_job *e = container_of(job, struct enrol_job, job);
	struct machine m = make_machine(e->n, e->version_id);
	struct machine_boot boot = { .secret = "secret" };
	char mac[PARSE_MAC_TEXT];
	int err = machine_next_name(tx, "pc-{n:03}", m.name);

	make_mac(mac, e->n);
	if (!err)
		err = machine_insert(tx, &m, mac);
	boot.machine_id = m.id;
	if (!err)
		err = machine_boot_issue(tx, &boot);
	if (!err)
		err = event_add(tx, "info", "enrolled", "machine", m.id, m.name, "from %s", mac);
	return err ? err : e->result;
}

static void enrol_done(struct inventory_job *job, int err)
{
	struct enrol_job *e = container_of(job, struct enrol_job, job);

	e->err = err;
	atomic_fetch_sub(e->left, 1);
}

static int count_machines(struct inventory_tx *tx, void *arg)
{
	return machine_count(tx, arg);
}

static void wait_for_zero(atomic_uint *left)
{
	while (atomic_load(left))
		sched_yield();
}

struct gate_job {
	struct inventory_job job;
	pthread_mutex_t mutex;
};

/* Holds the writer: what is queued behind it makes the next batch. */
static int gate_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct gate_job *gate = container_of(job, struct gate_job, job);

	(void)tx;
	pthread_mutex_lock(&gate->mutex);
	pthread_mutex_unlock(&gate->mutex);
	return 0;
}

static void count_change(void *arg)
{
	atomic_fetch_add((atomic_uint *)arg, 1);
}

/* 256 machines that are switched on together: one commit, every third refused without harm to the others. */
static void test_many_at_once(void **state)
{
	struct fixture *f = *state;
	struct enrol_job *jobs = calloc(MANY, sizeof(*jobs));
	struct gate_job gate = { .job.run = gate_run, .mutex = PTHREAD_MUTEX_INITIALIZER };
	atomic_uint left = MANY, changes = 0;
	int64_t version_id;
	unsigned count, failed = 0;

	assert_int_equal(in_write(f, one_version, &version_id), 0);
	inventory_on_change(f->inventory, count_change, &changes);
	pthread_mutex_lock(&gate.mutex);
	inventory_write(f->inventory, &gate.job);
	for (unsigned n = 0; n < MANY; n++) {
		jobs[n] = (struct enrol_job){ .job = { .run = enrol_run, .done = enrol_done },
					      .n = n,
					      .version_id = version_id,
					      .left = &left,
					      .err = 99 };
		jobs[n].result = n % 3 ? 0 : -ECANCELED;
		inventory_write(f->inventory, &jobs[n].job);
	}
	pthread_mutex_unlock(&gate.mutex);
	wait_for_zero(&left);
	assert_in_range(changes, 1, 2); /* two where the writer took the gate's job together with the first of them */
	for (unsigned n = 0; n < MANY; n++) {
		assert_int_equal(jobs[n].err, jobs[n].result);
		failed += jobs[n].result != 0;
	}
	assert_int_equal(in_read(f, count_machines, &count), 0);
	assert_int_equal(count, MANY - failed);
	free(jobs);
}

struct writer {
	struct fixture *f;
	unsigned from;
	int64_t version_id;
	atomic_uint *left;
};

static int enrol_one(struct inventory_tx *tx, void *arg)
{
	return enrol_run(tx, arg);
}

static void *writer_thread(void *arg)
{
	struct writer *w = arg;

	for (unsigned n = w->from; n < w->from + 32; n++) {
		struct enrol_job e = { .n = n, .version_id = w->version_id };
		unsigned count;

		assert_int_equal(in_write(w->f, enrol_one, &e.job), 0);
		/* What was committed is seen by every reader from now on. */
		assert_int_equal(in_read(w->f, count_machines, &count), 0);
		assert_true(count > n - w->from);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct writer writers[8];
	pthread_t threads[8];
	int64_t version_id;
	unsigned count;

	assert_int_equal(in_write(*state, one_version, &version_id), 0);
	for (unsigned i = 0; i < array_len(threads); i++) {
		writers[i] = (struct writer){ .f = *state, .from = i * 32, .version_id = version_id };
		assert_int_equal(pthread_create(&threads[i], NULL, writer_thread, &writers[i]), 0);
	}
	for (unsigned i = 0; i < array_len(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(in_read(*state, count_machines, &count), 0);
	assert_int_equal(count, 256);
}

/* ---- done ---- */

struct loop_job {
	struct inventory_job job;
	struct loop *loop;
	bool on_loop;
	atomic_bool finished;
};

static int nothing(struct inventory_tx *tx, struct inventory_job *job)
{
	(void)tx;
	(void)job;
	return -EXDEV;
}

static void done_on_loop(struct inventory_job *job, int err)
{
	struct loop_job *l = container_of(job, struct loop_job, job);

	assert_int_equal(err, -EXDEV);
	l->on_loop = loop_current() == l->loop;
	l->finished = true;
}

static void test_done_on_loop(void **state)
{
	struct fixture *f = *state;
	struct loop *loop = loop_new(0);
	struct loop_job jobs[2];

	for (int i = 0; i < 2; i++) {
		jobs[i] = (struct loop_job){ .job = { .run = nothing, .done = done_on_loop, .loop = loop },
					     .loop = loop };
		if (i)
			inventory_read(f->inventory, &jobs[i].job);
		else
			inventory_write(f->inventory, &jobs[i].job);
		while (!jobs[i].finished)
			loop_run_once(loop, true);
		assert_true(jobs[i].on_loop);
	}
	loop_free(loop);
}

/* A done may queue the next job; close runs that too. */
struct chain {
	struct inventory_job job;
	struct fixture *f;
	unsigned left;
};

static void chain_done(struct inventory_job *job, int err)
{
	struct chain *c = container_of(job, struct chain, job);

	(void)err;
	if (!c->left--)
		return;
	if (c->left & 1)
		inventory_write(c->f->inventory, &c->job);
	else
		inventory_read(c->f->inventory, &c->job);
}

static void test_close_runs_what_is_queued(void **state)
{
	struct chain chain = { .job = { .run = nothing, .done = chain_done }, .f = *state, .left = 50 };

	inventory_write(chain.f->inventory, &chain.job);
	fixture_reopen(chain.f);
	assert_int_equal(chain.left, (unsigned)-1);
}

/* ---- readers, and what they may ---- */

static int write_something(struct inventory_tx *tx, void *arg)
{
	(void)arg;
	return setting_set(tx, "name", "value");
}

static void test_readers_do_not_write(void **state)
{
	assert_int_equal(in_read(*state, write_something, NULL), -EROFS);
	assert_int_equal(in_write(*state, write_something, NULL), 0);
}

struct two_reads {
	struct fixture *f;
	int first, second;
};

static int read_twice(struct inventory_tx *tx, void *arg)
{
	struct two_reads *reads = arg;
	char value[16];

	reads->first = setting_get(tx, "name", value, sizeof(value));
	assert_int_equal(in_write(reads->f, write_something, NULL), 0);
	reads->second = setting_get(tx, "name", value, sizeof(value));
	return 0;
}

/* What is committed while a reader reads does not change what it reads. */
static void test_readers_see_one_state(void **state)
{
	struct two_reads reads = { .f = *state };

	assert_int_equal(in_read(reads.f, read_twice, &reads), 0);
	assert_int_equal(reads.first, -ENOENT);
	assert_int_equal(reads.second, -ENOENT);
	assert_int_equal(in_read(reads.f, read_twice, &reads), 0);
	assert_int_equal(reads.first, 0);
}

/* ---- changes ---- */

static int write_and_fail(struct inventory_tx *tx, void *arg)
{
	int err = setting_set(tx, "name", arg);

	assert_int_equal(err, 0);
	return -ECANCELED;
}

static int read_setting(struct inventory_tx *tx, void *arg)
{
	return setting_get(tx, "name", arg, 16);
}

static void test_changes(void **state)
{
	struct fixture *f = *state;
	atomic_uint changes = 0;
	uint64_t seen = 0, before;
	char other[] = "other", value[16];

	inventory_on_change(f->inventory, count_change, &changes);
	assert_true(inventory_wait_change(f->inventory, &seen, 0)); /* "seen 0" is always behind */
	before = time_monotonic_ms();
	assert_false(inventory_wait_change(f->inventory, &seen, 50));
	assert_true(time_monotonic_ms() - before >= 45);
	assert_int_equal(in_write(f, write_something, NULL), 0);
	assert_true(inventory_wait_change(f->inventory, &seen, 10000));
	assert_int_equal(changes, 1);
	/* Neither a read nor what was undone is a change. */
	assert_int_equal(in_write(f, write_and_fail, other), -ECANCELED);
	assert_int_equal(in_write(f, read_setting, value), 0);
	assert_string_equal(value, "value");
	assert_false(inventory_wait_change(f->inventory, &seen, 0));
	assert_int_equal(changes, 1);
}

/* ---- a transaction that breaks ---- */

struct full_job {
	struct inventory_job job;
	bool fill;
	int err;
	atomic_uint *left;
};

/* A megabyte: more than the file may grow by. */
static int fill_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct full_job *full = container_of(job, struct full_job, job);
	static char big[1 << 20];

	memset(big, 'x', sizeof(big));
	return full->fill ? machine_scsi_state_save(tx, 1, big, sizeof(big)) : setting_set(tx, "small", "value");
}

static void full_done(struct inventory_job *job, int err)
{
	struct full_job *full = container_of(job, struct full_job, job);

	full->err = err;
	atomic_fetch_sub(full->left, 1);
}

static int limit_pages(struct inventory_tx *tx, void *arg)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %d", *(int *)arg);
	return db_run(tx->db, sql);
}

/* The disk is full in the middle of a batch: nobody is told that a change is durable which is not, and life goes on. */
static void test_full(void **state)
{
	struct fixture *f = *state;
	struct enrol_job e = { .n = 1 };
	struct full_job jobs[16];
	atomic_uint left = array_len(jobs);
	char value[16];
	int pages = 60, no_limit = 1 << 30;
	unsigned failed = 0;

	assert_int_equal(in_write(f, one_version, &e.version_id), 0);
	assert_int_equal(in_write(f, enrol_one, &e.job), 0);
	assert_int_equal(in_write(f, limit_pages, &pages), 0);
	for (unsigned i = 0; i < array_len(jobs); i++) {
		jobs[i] = (struct full_job){ .job = { .run = fill_run, .done = full_done },
					     .fill = i == 7,
					     .left = &left };
		inventory_write(f->inventory, &jobs[i].job);
	}
	wait_for_zero(&left);
	for (unsigned i = 0; i < array_len(jobs); i++)
		failed += jobs[i].err != 0;
	assert_int_equal(jobs[7].err, -ENOSPC);
	assert_int_equal(jobs[15].err, 0);
	assert_true(failed <= 8);
	assert_int_equal(in_write(f, limit_pages, &no_limit), 0);
	fixture_reopen(f);
	assert_int_equal(in_read(f, read_setting, value), -ENOENT);
}

static int machine_of_no_version(struct inventory_tx *tx, void *arg)
{
	struct machine m = make_machine(7, 99);

	(void)arg;
	assert_int_equal(db_run(tx->db, "PRAGMA defer_foreign_keys = ON"), 0);
	return machine_insert(tx, &m, "52:54:00:00:00:07");
}

/* A commit that is refused leaves no transaction behind. */
static void test_commit_refused(void **state)
{
	char value[16];

	assert_int_not_equal(in_write(*state, machine_of_no_version, NULL), 0);
	assert_int_equal(in_write(*state, write_something, NULL), 0);
	assert_int_equal(in_read(*state, read_setting, value), 0);
}

/* A commit that cannot be written: whoever waits for it is told, nothing of it is there, and life goes on. */
static void test_commit_fails(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit, none = { 0 };
	char value[16];

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	none.rlim_max = limit.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_not_equal(in_write(f, write_something, NULL), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(in_read(f, read_setting, value), -ENOENT);
	assert_int_equal(in_write(f, write_something, NULL), 0);
	assert_int_equal(in_read(f, read_setting, value), 0);
}

/* ---- a transaction that is gone ---- */

struct batch_job {
	struct inventory_job job;
	unsigned n;
	pthread_mutex_t *gate;
	int err;
	atomic_uint *left;
};

enum { BATCH = 9, BREAKS = 4 };

/* What SQLite does by itself after some errors of the disk. */
static int break_run(struct inventory_tx *tx, struct inventory_job *job)
{
	struct batch_job *b = container_of(job, struct batch_job, job);
	char name[16];
	int err;

	if (b->n == 0) { /* the others are queued behind it, and make the next batch */
		pthread_mutex_lock(b->gate);
		pthread_mutex_unlock(b->gate);
	}
	snprintf(name, sizeof(name), "job-%u", b->n);
	err = setting_set(tx, name, "value");
	if (!err)
		err = event_add(tx, "info", "job", "test", 0, name, "was here");
	if (b->n == BREAKS)
		assert_int_equal(db_run(tx->db, "ROLLBACK"), 0);
	return err;
}

static void break_done(struct inventory_job *job, int err)
{
	struct batch_job *b = container_of(job, struct batch_job, job);

	b->err = err;
	atomic_fetch_sub(b->left, 1);
}

static int check_settings(struct inventory_tx *tx, void *arg)
{
	struct batch_job *jobs = arg;

	for (unsigned n = 0; n < BATCH; n++) {
		char name[16], value[16];

		snprintf(name, sizeof(name), "job-%u", n);
		assert_int_equal(setting_get(tx, name, value, sizeof(value)), jobs[n].err ? -ENOENT : 0);
	}
	return 0;
}

/* Who was told "done" is in the file, who was told "failed" is not. */
static void test_broken_transaction(void **state)
{
	struct fixture *f = *state;
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	struct batch_job jobs[BATCH];
	atomic_uint left = BATCH;

	pthread_mutex_lock(&gate);
	for (unsigned n = 0; n < BATCH; n++) {
		jobs[n] = (struct batch_job){
			.job = { .run = break_run, .done = break_done }, .n = n, .gate = &gate, .left = &left
		};
		inventory_write(f->inventory, &jobs[n].job);
	}
	pthread_mutex_unlock(&gate);
	wait_for_zero(&left);
	for (unsigned n = 0; n < BATCH; n++)
		assert_true(n > BREAKS ? jobs[n].err == 0 : n == 0 || jobs[n].err == -EIO);
	assert_int_equal(jobs[BREAKS].err, -EIO);
	assert_int_equal(in_read(f, check_settings, jobs), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_many_at_once, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_threads, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_done_on_loop, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_close_runs_what_is_queued, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_readers_do_not_write, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_readers_see_one_state, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_changes, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_commit_refused, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_commit_fails, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_broken_transaction, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_full, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
