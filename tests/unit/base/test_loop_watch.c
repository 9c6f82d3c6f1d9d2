// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The watch over I/O loops: what it has to see (waits for a disk of each kind, a lock held for long), and what not.
 * Each test lets a real loop do one thing and reads what was logged. Without LOOP_WATCH (release builds) there is
 * nothing to test, and says so.
 */
#include "cmocka_all.h"

#include "base/loop_watch.h"

#ifdef LOOP_WATCH

#include "base/log.h"
#include "base/loop.h"
#include "base/util.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

enum { FILE_BYTES = 8 << 20, PAGE = 4096 };

static char log_text[65536];

struct deed {
	void (*run)(struct deed *deed);
	int fd;
	char *map;
	pthread_mutex_t mutex;
	unsigned hold_ms;
	atomic_bool held;
	uv_timer_t timer;
	struct loop_msg msg;
	char page[PAGE];
};

static void run_deed(void *arg)
{
	struct deed *deed = arg;

	deed->run(deed);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* Lets a loop called name run deed in a turn of its own; log_text has what was logged. */
static void on_loop(const char *name, struct deed *deed)
{
	FILE *file = tmpfile();
	struct loop *loop = loop_new(0);
	int saved = dup(STDERR_FILENO);
	ssize_t n;

	assert(file && saved >= 0);
	dup2(fileno(file), STDERR_FILENO);
	assert_int_equal(loop_start(loop, name), 0);
	loop_call(loop, nothing, NULL);
	loop_call(loop, run_deed, deed);
	loop_call(loop, nothing, NULL);
	loop_stop(loop);
	loop_free(loop);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = pread(fileno(file), log_text, sizeof(log_text) - 1, 0);
	assert(n >= 0);
	log_text[n] = '\0';
	fclose(file);
}

static bool waited(const char *what)
{
	char line[64];

	snprintf(line, sizeof(line), "error loop io-7 waited %s", what);
	return strstr(log_text, line);
}

/* Not one line of the watch. */
static void assert_quiet(void)
{
	if (strstr(log_text, "waited"))
		fail_msg("%s", log_text);
}

static void do_nothing(struct deed *deed)
{
	(void)deed;
}

/* Whether this machine lets us see where threads sleep; skips the test where it does not. */
static bool traced(void)
{
	struct deed deed = { .run = do_nothing };
	const char *why;

	on_loop("io-7", &deed);
	assert_quiet();
	why = strstr(log_text, "where it sleeps cannot be traced");
	if (!why)
		return true;
	test_skip("%s", why);
	return false;
}

static bool in_memory(const struct deed *deed)
{
	unsigned char pages[FILE_BYTES / PAGE];

	assert(mincore(deed->map, FILE_BYTES, pages) == 0);
	for (size_t i = 0; i < sizeof(pages); i++)
		if (pages[i] & 1)
			return true;
	return false;
}

/* A file beside this program, on a disk and not in memory. */
static int setup_file(void **state)
{
	struct deed *deed = calloc(1, sizeof(*deed));
	char path[4096], *data = malloc(FILE_BYTES);
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 8);

	assert(deed && data && n > 0);
	strcpy(path + n, ".cold");
	deed->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert(deed->fd >= 0);
	unlink(path);
	memset(data, 7, FILE_BYTES);
	assert(pwrite(deed->fd, data, FILE_BYTES, 0) == FILE_BYTES);
	free(data);
	assert(fsync(deed->fd) == 0 && posix_fadvise(deed->fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
	deed->map = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, deed->fd, 0);
	assert(deed->map != MAP_FAILED);
	madvise(deed->map, FILE_BYTES, MADV_RANDOM);
	pthread_mutex_init(&deed->mutex, NULL);
	*state = deed;
	return 0;
}

static int teardown_file(void **state)
{
	struct deed *deed = *state;

	munmap(deed->map, FILE_BYTES);
	close(deed->fd);
	pthread_mutex_destroy(&deed->mutex);
	free(deed);
	return 0;
}

/* Whether the file has to be read from a disk; skips the test where it has not. */
static bool cold(const struct deed *deed)
{
	if (!in_memory(deed))
		return true;
	test_skip("the build directory is in memory, nothing there is ever read from a disk");
	return false;
}

/* ---- waits ---- */

static void read_page(struct deed *deed)
{
	assert(pread(deed->fd, deed->page, PAGE, FILE_BYTES / 2) == PAGE && deed->page[0] == 7);
}

static void test_disk_read(void **state)
{
	struct deed *deed = *state;

	if (!traced() || !cold(deed))
		return;
	deed->run = read_page;
	on_loop("io-7", deed);
	assert_true(waited("for a disk:"));
	assert_non_null(strstr(log_text, " io_schedule "));	 /* where in the kernel */
	assert_non_null(strstr(log_text, "test_loop_watch+0x")); /* and who called it */
	/* Now it is in memory. */
	on_loop("io-7", deed);
	assert_quiet();
}

static void on_timer(uv_timer_t *timer)
{
	read_page(timer->data);
	uv_close((uv_handle_t *)timer, NULL);
}

static void start_timer(struct deed *deed)
{
	uv_timer_init(loop_uv(loop_current()), &deed->timer);
	deed->timer.data = deed;
	uv_timer_start(&deed->timer, on_timer, 0, 0);
}

/* Not in a message, but where libuv calls by itself. */
static void test_disk_read_in_timer(void **state)
{
	struct deed *deed = *state;

	if (!traced() || !cold(deed))
		return;
	deed->run = start_timer;
	on_loop("io-7", deed);
	assert_true(waited("for a disk:"));
}

static void touch_map(struct deed *deed)
{
	deed->page[0] = deed->map[FILE_BYTES / 2];
}

/* Seen without any right to trace. */
static void test_major_fault(void **state)
{
	struct deed *deed = *state;

	if (!cold(deed))
		return;
	deed->run = touch_map;
	on_loop("io-7", deed);
	assert_true(waited("for a disk, with 1 major faults"));
}

static void sync_file(struct deed *deed)
{
	assert(pwrite(deed->fd, deed->page, PAGE, 0) == PAGE && fdatasync(deed->fd) == 0);
}

static void test_sync(void **state)
{
	struct deed *deed = *state;

	if (!traced() || !cold(deed))
		return;
	deed->run = sync_file;
	on_loop("io-7", deed);
	assert_true(waited("for a disk:"));
}

static void *hold_mutex(void *arg)
{
	struct deed *deed = arg;

	pthread_mutex_lock(&deed->mutex);
	atomic_store(&deed->held, true);
	usleep(deed->hold_ms * 1000);
	pthread_mutex_unlock(&deed->mutex);
	return NULL;
}

static void take_mutex(struct deed *deed)
{
	pthread_t holder;

	atomic_store(&deed->held, false);
	assert(pthread_create(&holder, NULL, hold_mutex, deed) == 0);
	while (!atomic_load(&deed->held))
		sched_yield();
	pthread_mutex_lock(&deed->mutex);
	pthread_mutex_unlock(&deed->mutex);
	pthread_join(holder, NULL);
}

static void test_long_lock(void **state)
{
	struct deed *deed = *state;

	if (!traced())
		return;
	deed->run = take_mutex;
	deed->hold_ms = 3 * LOOP_WATCH_LOCK_MS;
	on_loop("io-7", deed);
	assert_non_null(strstr(log_text, " ms for a lock:"));
	assert_false(waited("for a disk"));
}

/* ---- no waits, or such as may be ---- */

static void test_short_lock(void **state)
{
	struct deed *deed = *state;

	deed->run = take_mutex;
	deed->hold_ms = 5;
	on_loop("io-7", deed);
	assert_quiet();
}

static void read_now(struct deed *deed)
{
	struct iovec iov = { deed->page, PAGE };

	assert(preadv2(deed->fd, &iov, 1, FILE_BYTES / 2, RWF_NOWAIT) == -1);
}

/* It begins to read, and does not wait for it: what ru_inblock cannot tell from a wait. */
static void test_nowait(void **state)
{
	struct deed *deed = *state;

	if (!cold(deed))
		return;
	deed->run = read_now;
	on_loop("io-7", deed);
	assert_quiet();
}

static void *map_memory(void *arg)
{
	atomic_bool *stop = arg;

	while (!atomic_load(stop)) {
		char *memory = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		assert(memory != MAP_FAILED);
		memory[0] = memory[PAGE] = 1;
		munmap(memory, 64 * PAGE);
	}
	return NULL;
}

static long switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nvcsw;
}

static void map_beside_others(struct deed *deed)
{
	atomic_bool stop = false, *arg = &stop;
	long before = switches();
	pthread_t other;

	(void)deed;
	assert(pthread_create(&other, NULL, map_memory, arg) == 0);
	for (int i = 0; i < 1000000 && switches() < before + 3; i++) {
		char *memory = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		assert(memory != MAP_FAILED);
		memory[0] = memory[PAGE] = 1;
		munmap(memory, 64 * PAGE);
	}
	atomic_store(&stop, true);
	pthread_join(other, NULL);
}

static void test_address_space_lock(void **state)
{
	struct deed *deed = *state;

	deed->run = map_beside_others;
	on_loop("io-7", deed);
	assert_false(waited("for a disk"));
}

static void read_allowed(struct deed *deed)
{
	loop_watch_allow();
	read_page(deed);
	loop_watch_forbid();
}

static void test_allowed(void **state)
{
	struct deed *deed = *state;

	if (!cold(deed))
		return;
	deed->run = read_allowed;
	on_loop("io-7", deed);
	assert_quiet();
}

/* The control loop may open files and ask the inventory. */
static void test_other_loop(void **state)
{
	struct deed *deed = *state;

	if (!cold(deed))
		return;
	deed->run = read_page;
	on_loop("control", deed);
	assert_quiet();
}

static void post_read(struct loop_msg *msg)
{
	read_page(container_of(msg, struct deed, msg));
}

/* As most unit tests run one: only what happens while it runs counts. */
static void test_without_thread(void **state)
{
	struct deed *deed = *state;
	struct loop *loop;
	FILE *file;
	ssize_t n;
	int saved;

	if (!traced() || !cold(deed))
		return;
	file = tmpfile();
	loop = loop_new(0);
	saved = dup(STDERR_FILENO);
	assert(file && saved >= 0);
	loop_set_name(loop, "io-7");
	dup2(fileno(file), STDERR_FILENO);
	loop_run_once(loop, false);
	sync_file(deed);
	loop_run_once(loop, false);
	assert_int_equal(lseek(STDERR_FILENO, 0, SEEK_END), 0);
	deed->msg.run = post_read;
	loop_post(loop, &deed->msg);
	loop_run_once(loop, true);
	loop_free(loop);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = pread(fileno(file), log_text, sizeof(log_text) - 1, 0);
	log_text[n] = '\0';
	fclose(file);
	assert_true(waited("for a disk:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_disk_read, setup_file, teardown_file),
		cmocka_unit_test_setup_teardown(test_disk_read_in_timer, setup_file, teardown_file),
		cmocka_unit_test_setup_teardown(test_without_thread, setup_file, teardown_file),
		cmocka_unit_test_setup_teardown(test_major_fault, setup_file, teardown_file),
		cmocka_unit_test_setup_teardown(test_sync, setup_file, teardown_file),
		cmocka_unit_test_setup_teardown(test_long_lock, setup_file, teardown_file),
		cmocka_unit_test_setup_teardown(test_short_lock, setup_file, teardown_file),
		cmocka_unit_test_setup_teardown(test_nowait, setup_file, teardown_file),
		cmocka_unit_test_setup_teardown(test_address_space_lock, setup_file, teardown_file),
		cmocka_unit_test_setup_teardown(test_allowed, setup_file, teardown_file),
		cmocka_unit_test_setup_teardown(test_other_loop, setup_file, teardown_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

/* None of its tests exists in this build: tests/unit/run wants that said. */
int main(void)
{
	print_message("1..0 # made without LOOP_WATCH\n");
	return 0;
}

#endif
