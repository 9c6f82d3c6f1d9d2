// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two servers on one folder that locks do not reach: whom the second one finds, when it is refused, and which of two that
 * serve leaves. The other server is bytes in the file, or a second one in this process.
 */
#include "store/fixture.h"

#include "base/util.h"
#include "store/beat.h"
#include "store/beat_record.h"
#include "store/mount_kind.h"
#include "store/reach.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SHORT_MS = 20, LONG_MS = 100000 };

/* ---- time: what would be slept while a folder is taken is counted, and something happens at a moment of it ---- */

static uint64_t slept_ms;
static void (*at_pause)(void *arg, unsigned number);
static void *pause_arg;
static unsigned pauses;

int nanosleep(const struct timespec *time, struct timespec *left)
{
	(void)left;
	slept_ms += (uint64_t)time->tv_sec * 1000 + (uint64_t)time->tv_nsec / 1000000;
	pauses++;
	if (at_pause)
		at_pause(pause_arg, pauses);
	return 0;
}

/* For a moment, really. */
static void breathe(void)
{
	clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* ---- the other server ---- */

struct beats {
	struct fixture *f;
	struct beat_record other;
	pthread_mutex_t mutex; /* guards what follows: from the beat's thread */
	unsigned seen, superseded;
	struct reason what;
};

static void put_bytes(struct beats *b, const void *bytes, size_t size)
{
	char from[600], to[600];

	snprintf(from, sizeof(from), "%s", input(b->f, "beat"));
	snprintf(to, sizeof(to), "%s/.beat", b->f->state);
	assert_true(!mkdir(to, 0755) || errno == EEXIST);
	snprintf(to, sizeof(to), "%s/.beat/now", b->f->state);
	make_file(from, bytes, size, size);
	assert_int_equal(rename(from, to), 0);
}

static void put_other(struct beats *b)
{
	char bytes[BEAT_BYTES];

	b->other.count++;
	beat_record_format(&b->other, bytes);
	put_bytes(b, bytes, sizeof(bytes));
}

static bool get_beat(struct beats *b, struct beat_record *record)
{
	char path[600], bytes[BEAT_BYTES + 1];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "%s/.beat/now", b->f->state);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, bytes, sizeof(bytes));
	close(fd);
	return got >= 0 && beat_record_parse(bytes, (size_t)got, record);
}

static bool is_others(struct beats *b)
{
	struct beat_record record;

	return get_beat(b, &record) && !strcmp(record.token, b->other.token);
}

static void on_seen(void *arg, const struct reason *what)
{
	struct beats *b = arg;

	pthread_mutex_lock(&b->mutex);
	b->seen++;
	b->what = *what;
	pthread_mutex_unlock(&b->mutex);
}

static void on_superseded(void *arg, const struct reason *what)
{
	struct beats *b = arg;

	pthread_mutex_lock(&b->mutex);
	b->superseded++;
	b->what = *what;
	pthread_mutex_unlock(&b->mutex);
}

static void wait_for(struct beats *b, const unsigned *count)
{
	unsigned now = 0;

	while (!now) {
		breathe();
		pthread_mutex_lock(&b->mutex);
		now = *count;
		pthread_mutex_unlock(&b->mutex);
	}
}

static int take(struct beats *b, unsigned period_ms, struct beat **beat, struct reason *reason)
{
	const struct beat_config config = {
		.folder = b->f->state, .period_ms = period_ms, .seen = on_seen, .superseded = on_superseded, .arg = b
	};

	slept_ms = 0;
	pauses = 0;
	reason->text[0] = '\0';
	return beat_take(&config, beat, reason);
}

static int setup(void **state)
{
	struct beats *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->f = fixture_new();
	fixture_open(b->f);
	pthread_mutex_init(&b->mutex, NULL);
	beat_record_describe_self(&b->other);
	b->other.term = 7;
	b->other.state = BEAT_SERVING;
	memset(b->other.boot_id, 0, sizeof(b->other.boot_id));
	memset(b->other.host, 0, sizeof(b->other.host));
	strcpy(b->other.boot_id, "another-host");
	strcpy(b->other.host, "server-b");
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct beats *b = *state;
	void *f = b->f;

	at_pause = NULL;
	pthread_mutex_destroy(&b->mutex);
	free(b);
	return fixture_teardown(&f);
}

/* ---- kinds of file systems ---- */

static long file_system; /* what every folder is on */

int statfs(const char *path, struct statfs *fs)
{
	*fs = (struct statfs){ .f_type = file_system };
	if (!strcmp(path, "/no/such/folder")) {
		errno = ENOENT;
		return -1;
	}
	return 0;
}

static const char *kind_of(long f_type)
{
	file_system = f_type;
	return mount_kind_of("/state");
}

static void test_kinds(void **state)
{
	(void)state;
	assert_string_equal(kind_of(0x6969), "NFS");
	assert_string_equal(kind_of(0x01021997), "9p");
	assert_string_equal(kind_of(0x65735546), "FUSE");
	assert_string_equal(kind_of(0xff534d42), "SMB");
	assert_string_equal(kind_of((int32_t)0xff534d42), "SMB"); /* as a signed field has it */
	assert_null(mount_kind_of("/no/such/folder"));
	assert_null(kind_of(0xef53));	  /* ext4 */
	assert_null(kind_of(0x58465342)); /* XFS */
	assert_null(kind_of(0x01021994)); /* tmpfs */
}

/* ---- the bytes ---- */

static void test_bytes(void **state)
{
	struct beats *b = *state;
	struct beat_record record = { 0 };
	char good[BEAT_BYTES + 1], bad[BEAT_BYTES + 1], again[BEAT_BYTES];

	memset(b->other.host, 'h', BEAT_HOST_CHARS);
	b->other.term = b->other.count = b->other.pid_space = b->other.pid = b->other.started = INT64_MAX;
	beat_record_format(&b->other, good);
	good[BEAT_BYTES] = '\n';
	assert_true(beat_record_parse(good, BEAT_BYTES, &record));
	assert_memory_equal(&record, &b->other, sizeof(record));
	for (size_t size = 0; size <= BEAT_BYTES + 1; size++)
		assert_true(beat_record_parse(good, size, &record) == (size == BEAT_BYTES));
	/* Whatever byte is another one: it is refused, or says what it says. */
	for (size_t i = 0; i < BEAT_BYTES; i++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			memcpy(bad, good, BEAT_BYTES);
			bad[i] = (char)byte;
			if (!beat_record_parse(bad, BEAT_BYTES, &record))
				continue;
			beat_record_format(&record, again);
			assert_memory_equal(again, bad, BEAT_BYTES);
			assert_true(record.state <= BEAT_STOPPED);
			for (const char *c = record.host; *c; c++)
				assert_true(*c > ' ' && *c <= '~');
		}
	}
	memcpy(bad, good, BEAT_BYTES);
	memcpy(strstr(bad, "term 92"), "term 00", 7);
	assert_false(beat_record_parse(bad, BEAT_BYTES, &record));
	memset(bad, ' ', BEAT_BYTES);
	assert_false(beat_record_parse(bad, BEAT_BYTES, &record));
}

static void test_who_lives(void **state)
{
	struct beat_record self, other;
	pid_t dead = fork();

	(void)state;
	if (!dead)
		_exit(0);
	assert_int_equal(waitpid(dead, NULL, 0), dead);
	beat_record_describe_self(&self);
	assert_int_equal(beat_record_life(&self), BEAT_ALIVE);
	other = self;
	other.started++; /* its number was given again */
	assert_int_equal(beat_record_life(&other), BEAT_DEAD);
	other.pid = (uint64_t)dead;
	assert_int_equal(beat_record_life(&other), BEAT_DEAD);
	other.pid_space++;
	assert_int_equal(beat_record_life(&other), BEAT_UNKNOWN);
	other.pid_space--;
	strcpy(other.boot_id, "another-host");
	assert_int_equal(beat_record_life(&other), BEAT_UNKNOWN);
	other = self;
	other.started = 0;
	assert_int_equal(beat_record_life(&other), BEAT_UNKNOWN);
	other = self;
	other.pid = 0;
	assert_int_equal(beat_record_life(&other), BEAT_UNKNOWN);
	other.pid = (uint64_t)dead + ((uint64_t)1 << 32);
	assert_int_equal(beat_record_life(&other), BEAT_UNKNOWN);
}

/* ---- taking a folder ---- */

static void test_free_folder(void **state)
{
	struct beats *b = *state;
	struct beat_record record;
	struct beat *beat;
	struct reason reason;
	char left[600];

	snprintf(left, sizeof(left), "%s/.beat", b->f->state);
	assert_int_equal(mkdir(left, 0755), 0);
	snprintf(left, sizeof(left), "%s/.beat/new-0123", b->f->state);
	make_file(left, "half", 4, 4);
	assert_int_equal(take(b, LONG_MS, &beat, &reason), 0);
	assert_int_equal(slept_ms, LONG_MS / 2);
	assert_int_equal(access(left, F_OK), -1);
	assert_true(get_beat(b, &record));
	assert_int_equal(record.state, BEAT_SERVING);
	assert_int_equal(record.term, 1);
	beat_free(beat);
	/* In order: the next one need not watch, nor after one that was killed here. */
	assert_true(get_beat(b, &record));
	assert_int_equal(record.state, BEAT_STOPPED);
	assert_int_equal(take(b, LONG_MS, &beat, &reason), 0);
	assert_int_equal(slept_ms, LONG_MS / 2);
	assert_true(get_beat(b, &record));
	assert_int_equal(record.term, 2);
	beat_free(beat);
	beat_record_describe_self(&b->other);
	b->other.term = 7;
	b->other.state = BEAT_SERVING;
	b->other.started++;
	put_other(b);
	assert_int_equal(take(b, LONG_MS, &beat, &reason), 0);
	assert_int_equal(slept_ms, LONG_MS / 2);
	beat_free(beat);
}

static void test_silent_server(void **state)
{
	struct beats *b = *state;
	struct beat_record record;
	struct beat *beat;
	struct reason reason;

	put_other(b);
	assert_int_equal(take(b, LONG_MS, &beat, &reason), 0);
	assert_true(slept_ms > 3 * LONG_MS + 2 * LONG_MS);
	assert_true(get_beat(b, &record));
	assert_int_equal(record.term, 8);
	beat_free(beat);
}

static void other_beats_at_9(void *arg, unsigned number)
{
	if (number == 9)
		put_other(arg);
}

static void other_beats_at_first(void *arg, unsigned number)
{
	if (number == 1)
		put_other(arg);
}

static void other_beats_while_it_settles(void *arg, unsigned number)
{
	if (number == 14)
		put_other(arg);
}

static void other_stops_at_3(void *arg, unsigned number)
{
	struct beats *b = arg;

	if (number != 3)
		return;
	b->other.state = BEAT_STOPPED;
	put_other(b);
}

static void expect_refused(struct beats *b, void (*at)(void *arg, unsigned number))
{
	struct beat *beat = NULL;
	struct reason reason;

	at_pause = at;
	pause_arg = b;
	assert_int_equal(take(b, LONG_MS, &beat, &reason), -EBUSY);
	assert_null(beat);
	assert_non_null(strstr(reason.text, "another sanbootd on server-b (process "));
	assert_non_null(strstr(reason.text, "--state-dir"));
	assert_true(is_others(b));
	at_pause = NULL;
}

static void test_live_server(void **state)
{
	struct beats *b = *state;
	struct beat_record other;
	struct beat *beat;
	struct reason reason;

	put_other(b);
	expect_refused(b, other_beats_at_9);
	/* It was stuck, and wakes up when it has been given up. */
	expect_refused(b, other_beats_while_it_settles);
	/* One that is known to be alive, on this host, is not even watched: it may be stuck, as one with a lock may. */
	other = b->other;
	beat_record_describe_self(&b->other);
	b->other.state = BEAT_SERVING;
	put_other(b);
	assert_int_equal(take(b, LONG_MS, &beat, &reason), -EBUSY);
	assert_int_equal(pauses, 0);
	b->other = other;
	put_other(b);
	/* It ends meanwhile: nobody is in the way any more, but whoever was is let settle. */
	at_pause = other_stops_at_3;
	assert_int_equal(take(b, LONG_MS, &beat, &reason), 0);
	assert_int_equal(pauses, 4);
	beat_free(beat);
}

/* Nobody was there, and two begin. */
static void test_both_at_once(void **state)
{
	struct beats *b = *state;

	b->other.state = BEAT_STARTING;
	expect_refused(b, other_beats_at_first);
}

static void test_foreign_bytes(void **state)
{
	struct beats *b = *state;
	struct beat *beat = NULL;
	struct reason reason;
	char path[600];

	put_bytes(b, "hello", 5);
	at_pause = other_beats_at_9;
	pause_arg = b;
	assert_int_equal(take(b, LONG_MS, &beat, &reason), -EBUSY);
	at_pause = NULL;
	put_bytes(b, "hello", 5);
	assert_int_equal(take(b, LONG_MS, &beat, &reason), 0);
	assert_true(slept_ms > 3 * LONG_MS);
	beat_free(beat);
	/* What cannot be read is not waited for, nor followed. */
	snprintf(path, sizeof(path), "%s/.beat/now", b->f->state);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(take(b, LONG_MS, &beat, &reason), -EINVAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_int_equal(take(b, LONG_MS, &beat, &reason), -ELOOP);
	assert_non_null(strstr(reason.text, path));
}

/* ---- serving ---- */

/* A claim, and an earlier server that still beats: both find ours. */
static void test_others_that_leave(void **state)
{
	struct beats *b = *state;
	struct beat_record record = { 0 };
	struct beat *beat;
	struct reason reason;

	b->other.state = BEAT_STOPPED;
	put_other(b);
	assert_int_equal(take(b, SHORT_MS, &beat, &reason), 0);
	b->other.state = BEAT_STARTING;
	b->other.term = 20;
	put_other(b);
	wait_for(b, &b->seen);
	assert_non_null(strstr(b->what.text, "server-b"));
	assert_non_null(strstr(b->what.text, "tried to start"));
	while (is_others(b))
		breathe();
	assert_true(get_beat(b, &record));
	assert_int_equal(record.term, 21);
	pthread_mutex_lock(&b->mutex);
	b->seen = 0;
	pthread_mutex_unlock(&b->mutex);
	b->other.state = BEAT_SERVING;
	memset(b->other.token, 'f', BEAT_TOKEN_CHARS);
	put_other(b);
	wait_for(b, &b->seen);
	while (is_others(b))
		breathe();
	beat_free(beat);
	assert_int_equal(b->seen, 1);
	assert_int_equal(b->superseded, 0);
}

static void expect_superseded(struct beats *b, enum beat_state other)
{
	struct beat *beat;
	struct reason reason;
	struct beat_record record;

	b->superseded = 0;
	assert_int_equal(take(b, SHORT_MS, &beat, &reason), 0);
	assert_true(get_beat(b, &record));
	b->other.state = other;
	b->other.term = record.term + 1;
	put_other(b);
	wait_for(b, &b->superseded);
	beat_free(beat);
	assert_int_equal(b->superseded, 1);
	assert_int_equal(b->seen, 0);
	assert_true(is_others(b));
	assert_non_null(strstr(b->what.text, "ends at once"));
}

/* Nothing is written any more, whether the later one still serves or has ended since. */
static void test_later_server(void **state)
{
	expect_superseded(*state, BEAT_SERVING);
	expect_superseded(*state, BEAT_STOPPED);
}

/* ---- folders of a state directory ---- */

static const char *is_nfs(const char *path)
{
	return strstr(path, "/children") || strstr(path, "/images") ? NULL : "NFS";
}

static const char *is_local(const char *path)
{
	(void)path;
	return NULL;
}

static void count_warning(void *arg, const char *text)
{
	++*(unsigned *)arg;
	assert_non_null(strstr(text, "NFS"));
}

static int find_event(void *arg, const struct event *event)
{
	if (!strcmp(event->kind, "state-on-network"))
		++*(unsigned *)arg;
	return 0;
}

static int find_events(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, 0, 0, 1000, find_event, arg);
}

static int reach(struct beats *b, const char *(*kind)(const char *path), struct reach **made, struct reason *reason)
{
	pauses = 0;
	return reach_open(b->f->state, kind, LONG_MS, made, reason);
}

static void test_two_stores(void **state)
{
	struct beats *b = *state;
	struct reach *first, *second = NULL;
	struct reason reason = { "" };
	unsigned warnings = 0, events = 0;

	assert_int_equal(reach(b, is_nfs, &first, &reason), 0);
	reach_attach(first, b->f->inventory);
	reach_each_warning(first, count_warning, &warnings);
	assert_int_equal(warnings, 1);
	assert_int_equal(in_write(b->f, find_events, &events), 0);
	assert_int_equal(events, 1);
	assert_int_equal(reach(b, is_nfs, &second, &reason), -EBUSY);
	assert_null(second);
	assert_non_null(strstr(reason.text, b->f->state));
	reach_attach(first, NULL);
	reach_close(first);
	assert_int_equal(reach(b, is_nfs, &second, &reason), 0);
	reach_close(second);
}

static void test_local_store(void **state)
{
	struct beats *b = *state;
	struct reach *local;
	struct reason reason = { "" };
	unsigned warnings = 0;

	put_other(b); /* it was on a network until now */
	assert_int_equal(reach(b, is_local, &local, &reason), 0);
	reach_each_warning(local, count_warning, &warnings);
	assert_int_equal(warnings, 0);
	assert_int_equal(pauses, 0);
	assert_true(is_others(b));
	reach_close(local);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test(test_who_lives),
		cmocka_unit_test_setup_teardown(test_free_folder, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silent_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_live_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_both_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_that_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_stores, setup, teardown),
		cmocka_unit_test_setup_teardown(test_local_store, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
