// SPDX-License-Identifier: GPL-2.0-or-later
/* base: byte order, buffers, CRC32C, descriptors, loops and their mailboxes, the worker pool with its lanes. */
#include "cmocka_all.h"

#include "base/be.h"
#include "base/buf.h"
#include "base/crc32c.h"
#include "base/fd_table.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/reason.h"
#include "base/secret.h"
#include "base/util.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <uv.h>

static void test_be(void **state)
{
	(void)state;
	assert_int_equal(be16_get(be16_put(0x1234)), 0x1234);
	assert_int_equal(be24_get(be24_put(0x123456)), 0x123456);
	assert_true(be32_get(be32_put(0x89abcdef)) == 0x89abcdef);
	assert_true(be64_get(be64_put(0x89abcdef01234567ull)) == 0x89abcdef01234567ull);
	assert_int_equal(be32_put(0x01020304).b[0], 1);
	assert_int_equal(sizeof(struct {
				 struct be16 a;
				 struct be64 b;
				 struct be24 c;
			 }),
			 13);
}

static void test_buf(void **state)
{
	struct buf buf;
	char *text;

	(void)state;
	buf_init(&buf, 1000);
	assert_string_equal(buf_text(&buf), "");
	for (int i = 0; i < 100; i++)
		buf_printf(&buf, "%04d", i);
	assert_int_equal(buf.len, 400);
	assert_memory_equal(buf.data + 396, "0099", 5);
	buf_consume(&buf, 396);
	assert_string_equal(buf_text(&buf), "0099");
	assert_false(buf.failed);
	text = buf_take(&buf);
	assert_string_equal(text, "0099");
	free(text);
	text = buf_take(&buf);
	assert_string_equal(text, "");
	free(text);
	for (int i = 0; i < 251; i++)
		buf_add_string(&buf, "abcd");
	assert_true(buf.failed);
	assert_int_equal(buf.len, 1000);
	assert_null(buf_take(&buf));
	buf_fini(&buf);
}

static void test_reason(void **state)
{
	static char longer[sizeof(struct reason) + 8];
	struct reason reason = { "" };

	(void)state;
	assert_int_equal(reason_default(&reason, 0, "nothing is wrong"), 0);
	assert_string_equal(reason.text, "");
	assert_int_equal(reason_default(&reason, -5, "no %s", "disk"), -5);
	assert_string_equal(reason.text, "no disk");
	assert_int_equal(reason_default(&reason, -6, "another"), -6);
	assert_string_equal(reason.text, "no disk");
	reason_append(&reason, ", no %s", "machine");
	assert_string_equal(reason.text, "no disk, no machine");
	assert_int_equal(reason_refuse(&reason, -7, "a %s", "refusal"), -7);
	assert_string_equal(reason.text, "a refusal");
	memset(longer, 'x', sizeof(longer) - 1);
	reason_append(&reason, "%s", longer);
	reason_append(&reason, "no room");
	assert_int_equal(strlen(reason.text), sizeof(reason.text) - 1);
	assert_memory_equal(reason.text, "a refusalxxx", 12);
}

static void test_crc32c(void **state)
{
	uint8_t zeros[32] = { 0 }, ones[32], up[32];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	for (unsigned i = 0; i < sizeof(up); i++)
		up[i] = (uint8_t)i;
	/* RFC 7143 Appendix A; the wire carries them least significant byte first. */
	assert_true(crc32c(0, zeros, 32) == 0x8a9136aau);
	assert_true(crc32c(0, ones, 32) == 0x62a8ab43u);
	assert_true(crc32c(0, up, 32) == 0x46dd794eu);
	assert_true(crc32c(crc32c(0, up, 7), up + 7, 25) == 0x46dd794eu);
}

static void test_secret(void **state)
{
	char a[33], b[33], hex[5];

	(void)state;
	secret_text(a, 32);
	secret_text(b, 32);
	assert_int_equal(strlen(a), 32);
	assert_int_equal(strspn(a, "abcdefghijklmnopqrstuvwxyz234567"), 32);
	assert_string_not_equal(a, b);
	assert_true(secret_equal(a, a, 32));
	assert_false(secret_equal(a, b, 32));
	secret_hex(hex, "\x01\xfe", 2);
	assert_string_equal(hex, "01fe");
}

/* Descriptors that the kernel's table of this process has room for. */
static unsigned long fd_table_size(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	unsigned long size = 0;
	char line[256];

	assert_non_null(status);
	while (!size && fgets(line, sizeof(line), status))
		sscanf(line, "FDSize: %lu", &size);
	fclose(status);
	return size;
}

static void test_fd_table_has_room(void **state)
{
	struct rlimit limit;
	int fd;

	(void)state;
	fd_table_prepare();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(limit.rlim_cur == limit.rlim_max);
	assert_true(fd_table_size() >= min_u64(limit.rlim_cur, FD_TABLE_DESCRIPTORS));
	/* The next descriptor is a small number as ever. */
	fd = dup(0);
	assert_in_range(fd, 0, 63);
	close(fd);
}

static void test_log_escape(void **state)
{
	char out[16];

	(void)state;
	assert_string_equal(log_escape(out, sizeof(out), "a\n\x80", 3), "a\\x0a\\x80");
	assert_string_equal(log_escape(out, sizeof(out), "\\", 1), "\\x5c");
	/* Once more changes nothing; what only looks a little like it is escaped. */
	assert_string_equal(log_escape(out, sizeof(out), "a\\x0ab", 6), "a\\x0ab");
	assert_string_equal(log_escape(out, sizeof(out), "\\x0", 3), "\\x5cx0");
	assert_string_equal(log_escape(out, sizeof(out), "\\xfg", 4), "\\x5cxfg");
	assert_true(strlen(log_escape(out, sizeof(out), "\1\1\1\1\1\1\1", 7)) < sizeof(out));
}

struct counting {
	struct loop_msg msg;
	struct loop *loop;
	atomic_uint *count;
	unsigned want;
	bool ok;
};

static void count_run(struct loop_msg *msg)
{
	struct counting *c = (struct counting *)msg;

	c->ok = atomic_fetch_add(c->count, 1) == c->want && loop_current() == c->loop;
}

static void add_one(void *arg)
{
	atomic_fetch_add((atomic_uint *)arg, 1);
}

static void test_loop(void **state)
{
	enum { COUNT = 1000 };
	struct loop *loop = loop_new(3);
	struct counting *all = calloc(COUNT, sizeof(*all));
	atomic_uint count = 0;

	(void)state;
	assert_int_equal(loop_index(loop), 3);
	assert_int_equal(loop_start(loop, "test"), 0);
	assert_null(loop_current());
	for (unsigned i = 0; i < COUNT; i++) {
		all[i] = (struct counting){ { .run = count_run }, loop, &count, i, false };
		loop_post(loop, &all[i].msg);
	}
	loop_call(loop, add_one, &count);
	assert_int_equal(atomic_load(&count), COUNT + 1);
	for (unsigned i = 0; i < COUNT; i++)
		assert_true(all[i].ok);
	loop_stop(loop);
	loop_free(loop);
	free(all);
}

static void test_loop_without_thread(void **state)
{
	struct loop *loop = loop_new(0);
	atomic_uint count = 0;
	struct counting c = { { .run = count_run }, loop, &count, 0, false };

	(void)state;
	loop_post(loop, &c.msg);
	assert_int_equal(count, 0);
	loop_run_once(loop, false);
	assert_int_equal(count, 1);
	assert_true(c.ok);
	loop_post(loop, &c.msg);
	loop_free(loop); /* runs what is left */
	assert_int_equal(count, 2);
}

/* Posts itself so often; what it posts to its own loop runs later, never inside. */
struct chain {
	struct loop_msg msg;
	struct loop *loop;
	unsigned left, runs, inside;
	bool nested;
};

static void chain_run(struct loop_msg *msg)
{
	struct chain *c = container_of(msg, struct chain, msg);

	c->runs++;
	c->nested = c->nested || c->inside;
	c->inside++;
	if (c->left) {
		c->left--;
		loop_post(c->loop, &c->msg);
	}
	c->inside--;
}

static void test_loop_posts_to_itself(void **state)
{
	struct loop *loop = loop_new(0);
	struct chain c = { .msg.run = chain_run, .loop = loop, .left = 3 };

	(void)state;
	/* Without sleeping: there is nothing that could wake it. */
	loop_post(loop, &c.msg);
	for (int i = 0; i < 10 && c.runs < 4; i++)
		loop_run_once(loop, true);
	assert_int_equal(c.runs, 4);
	assert_false(c.nested);
	/* Nothing is left that keeps it from sleeping. */
	assert_false(uv_backend_timeout(loop_uv(loop)) == 0);
	/* And what is left at the end is run. */
	c.left = 5;
	loop_post(loop, &c.msg);
	loop_free(loop);
	assert_int_equal(c.runs, 10);
}

/* What it posted to itself in this callback is run at once by loop_run_own, what that posts is not. */
struct own {
	struct loop_msg msg;
	struct chain chain;
	unsigned after;
};

static void own_run(struct loop_msg *msg)
{
	struct own *o = container_of(msg, struct own, msg);

	loop_post(o->chain.loop, &o->chain.msg);
	loop_run_own(o->chain.loop);
	o->after = o->chain.runs;
}

static void test_loop_run_own(void **state)
{
	struct loop *loop = loop_new(0);
	struct own o = { .msg.run = own_run, .chain = { .msg.run = chain_run, .loop = loop, .left = 2 } };

	(void)state;
	loop_post(loop, &o.msg);
	loop_run_once(loop, false);
	assert_int_equal(o.after, 1);
	for (int i = 0; i < 10 && o.chain.runs < 3; i++)
		loop_run_once(loop, true);
	assert_int_equal(o.chain.runs, 3);
	loop_free(loop);
}

/* A thread that posts to itself ends when asked to, after the last message. */
static void test_loop_stops_when_empty(void **state)
{
	struct loop *loop = loop_new(0);
	struct chain c = { .msg.run = chain_run, .loop = loop, .left = 100000 };

	(void)state;
	assert_int_equal(loop_start(loop, "test"), 0);
	loop_post(loop, &c.msg);
	loop_stop(loop);
	assert_int_equal(c.runs, 100001);
	loop_free(loop);
}

struct work {
	struct pool_job job;
	atomic_uint *running, *peak, *finished;
	unsigned order;
};

static void work_run(struct pool_job *job)
{
	struct work *w = container_of(job, struct work, job);
	unsigned now = atomic_fetch_add(w->running, 1) + 1, peak = atomic_load(w->peak);

	while (now > peak && !atomic_compare_exchange_weak(w->peak, &peak, now))
		;
	usleep(100);
	atomic_fetch_sub(w->running, 1);
}

static void work_done(struct pool_job *job)
{
	struct work *w = container_of(job, struct work, job);

	atomic_fetch_add(w->finished, 1);
}

static void test_pool(void **state)
{
	enum { COUNT = 200 };
	static const unsigned threads[POOL_CLASSES] = { 8, 1, 1, 1 };
	struct work *all = calloc(COUNT, sizeof(*all));
	struct loop *loop = loop_new(0);
	atomic_uint running = 0, peak = 0, finished = 0;
	struct pool_lane lane = { { 0 } };
	struct pool *pool;

	(void)state;
	assert_int_equal(pool_new(threads, &pool), 0);
	for (int i = 0; i < COUNT; i++) {
		all[i] = (struct work){ { .work = work_run, .done = work_done, .loop = loop, .lane = &lane },
					&running,
					&peak,
					&finished,
					0 };
		pool_submit(pool, POOL_READ, &all[i].job);
	}
	while (atomic_load(&finished) < COUNT)
		loop_run_once(loop, true);
	/* One file never has more than its share of the eight workers. */
	assert_in_range(atomic_load(&peak), 1, 4);
	assert_int_equal(lane.running[POOL_READ], 0);
	pool_free(pool);
	loop_free(loop);
	free(all);
}

/* A worker that is told when it may go on, and what it did, in order: a letter for each job, capital for ahead. */
struct ahead {
	struct pool_job job;
	sem_t *entered, *gate; /* of the one that waits */
	char name, *order;
};

static void ahead_note(struct ahead *a, char what)
{
	a->order[strlen(a->order)] = what;
}

static void ahead_begin(struct pool_job *job)
{
	struct ahead *a = container_of(job, struct ahead, job);

	ahead_note(a, (char)(a->name - 'a' + 'A'));
}

static void ahead_work(struct pool_job *job)
{
	struct ahead *a = container_of(job, struct ahead, job);

	if (a->gate) {
		sem_post(a->entered);
		sem_wait(a->gate);
	}
	ahead_note(a, a->name);
}

static void test_pool_begins_ahead(void **state)
{
	static const unsigned threads[POOL_CLASSES] = { 1, 1, 1, 1 };
	char order[32] = "";
	struct ahead all[6];
	struct pool *pool;
	sem_t entered, gate;

	(void)state;
	sem_init(&entered, 0, 0);
	sem_init(&gate, 0, 0);
	assert_int_equal(pool_new(threads, &pool), 0);
	for (size_t i = 0; i < array_len(all); i++) {
		all[i] = (struct ahead){
			{ .work = ahead_work, .ahead = ahead_begin }, NULL, NULL, (char)('a' + i), order
		};
		/* e has nothing to do ahead, so it does not make f wait for one worker to come to it. */
		if (i == 4)
			all[i].job.ahead = NULL;
	}
	all[0].entered = &entered;
	all[0].gate = &gate;
	pool_submit(pool, POOL_SYNC, &all[0].job);
	/* The worker has the first, alone, and waits in it. */
	sem_wait(&entered);
	for (size_t i = 1; i < array_len(all); i++)
		pool_submit(pool, POOL_SYNC, &all[i].job);
	sem_post(&gate);
	pool_free(pool);
	assert_string_equal(order, "aBCDbcdef");
	sem_destroy(&entered);
	sem_destroy(&gate);
}

static void test_pool_free_runs_the_queue(void **state)
{
	static const unsigned threads[POOL_CLASSES] = { 1, 1, 1, 1 };
	struct work all[50];
	atomic_uint running = 0, peak = 0, finished = 0;
	struct pool *pool;

	(void)state;
	assert_int_equal(pool_new(threads, &pool), 0);
	for (size_t i = 0; i < array_len(all); i++) {
		all[i] = (struct work){ { .work = work_run, .done = work_done }, &running, &peak, &finished, 0 };
		pool_submit(pool, (enum pool_class)(i % POOL_CLASSES), &all[i].job);
	}
	pool_free(pool);
	assert_int_equal(finished, array_len(all));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_be),
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_reason),
		cmocka_unit_test(test_crc32c),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_log_escape),
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_loop_without_thread),
		cmocka_unit_test(test_loop_posts_to_itself),
		cmocka_unit_test(test_loop_run_own),
		cmocka_unit_test(test_loop_stops_when_empty),
		cmocka_unit_test(test_fd_table_has_room),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_pool_begins_ahead),
		cmocka_unit_test(test_pool_free_runs_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
