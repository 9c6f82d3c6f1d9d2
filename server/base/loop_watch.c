// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether an I/O loop waits: see loop_watch.h. A prepare handle looks before the loop sleeps, which is once a turn.
 * Sleeps in epoll are the loop's rest: they are no uninterruptible ones, and libuv counts their time.
 */
#include "base/loop_watch.h"

#ifdef LOOP_WATCH

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/kernel_stack.h"
#include "base/log.h"
#include "base/util.h"

enum { QUIET_MS = 1000, FRAMES_LOGGED = 16, CALLERS_LOGGED = 8 };

/* Where the thread stood. */
struct mark {
	uint64_t wall_ns, idle_ns, cpu_ns, ready_ns; /* ready: without a core */
	long major_faults;
};

struct loop_watch {
	uv_prepare_t prepare;
	char name[16];
	bool traced; /* disk and lock are open */
	struct sleep_trace disk, lock;
	int schedstat_fd; /* or -1 */
	unsigned allowed;
	struct mark mark;
	uint64_t quiet_until_ms;
	unsigned long journal_waits;
};

static _Thread_local struct loop_watch *current;

/* ---- where a stack leads ---- */

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* Page faults and changes of the address space. A call has many wrappers: __x64_sys_brk, __do_sys_brk. */
static bool is_memory_map(const char *function)
{
	static const char *const names[] = { "exc_page_fault",	 "do_user_addr_fault", "do_page_fault",
					     "handle_mm_fault",	 "vm_mmap_pgoff",      "__vm_munmap",
					     "do_mprotect_pkey", "do_madvise" };
	static const char *const calls[] = { "sys_brk",	   "sys_mmap",	   "sys_munmap",
					     "sys_mremap", "sys_mprotect", "sys_madvise" };
	const char *call = strstr(function, "sys_");

	return is_one_of(function, names, array_len(names)) || (call && is_one_of(call, calls, array_len(calls)));
}

static bool is_io(const char *function)
{
	return !strncmp(function, "io_schedule", strlen("io_schedule"));
}

/* For a lock of the address space alone: short, and any thread that allocates memory may hold it. */
static bool is_address_space_lock(const struct kernel_stack *stack)
{
	bool memory_map = false;

	for (unsigned i = 0; i < stack->kernel_count; i++) {
		const char *function = kernel_symbol(stack->kernel[i]);

		if (is_io(function))
			return false;
		memory_map = memory_map || is_memory_map(function);
	}
	return memory_map;
}

/* A write for which ext4 waits for its journal: see loop_watch.h. Not one that waits for a lock, a page or room. */
static bool is_journal_of_write(const struct kernel_stack *stack)
{
	bool journal = false, write = false;

	for (unsigned i = 0; i < stack->kernel_count; i++) {
		const char *function = kernel_symbol(stack->kernel[i]);

		journal = journal || !strncmp(function, "jbd2_", strlen("jbd2_"));
		write = write || !strcmp(function, "ext4_buffered_write_iter");
	}
	return journal && write;
}

/* The loop's own rest. */
static bool is_poll(const struct kernel_stack *stack)
{
	static const char *const names[] = { "ep_poll", "do_epoll_wait", "do_epoll_pwait" };

	for (unsigned i = 0; i < stack->kernel_count; i++)
		if (is_one_of(kernel_symbol(stack->kernel[i]), names, array_len(names)))
			return true;
	return false;
}

/* ---- what is said ---- */

static void format_stack(const struct kernel_stack *stack, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < stack->kernel_count && i < FRAMES_LOGGED && len < size; i++)
		len += (size_t)snprintf(out + len, size - len, " %s", kernel_symbol(stack->kernel[i]));
	for (unsigned i = 0, said = 0; i < stack->user_count && said < CALLERS_LOGGED && len < size; i++) {
		uint64_t at = stack->user[i];
		Dl_info info;

		if (!dladdr((void *)at, &info) || !info.dli_fname)
			continue;
		len += (size_t)snprintf(out + len, size - len, "%s%s+0x%llx", said++ ? " " : "; by ",
					basename(info.dli_fname), (unsigned long long)(at - (uint64_t)info.dli_fbase));
	}
}

static void report(struct loop_watch *watch, const char *what, const struct kernel_stack *stack)
{
	uint64_t now_ms = time_monotonic_ms();
	char text[1400];

	if (now_ms < watch->quiet_until_ms)
		return;
	watch->quiet_until_ms = now_ms + QUIET_MS;
	format_stack(stack, text, sizeof(text));
	log_error("loop %s waited %s:%s", watch->name, what,
		  stack->kernel_count ? text : " (the kernel does not say where)");
}

/* ---- looking ---- */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The second number: ns that the thread was ready and had no core. */
static uint64_t ready_ns(const struct loop_watch *watch)
{
	char text[80];
	ssize_t n = watch->schedstat_fd < 0 ? -1 : pread(watch->schedstat_fd, text, sizeof(text) - 1, 0);
	unsigned long long ready = 0;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return sscanf(text, "%*u %llu", &ready) == 1 ? ready : 0;
}

static struct mark mark_now(const struct loop_watch *watch)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (struct mark){
		.wall_ns = clock_ns(CLOCK_MONOTONIC),
		.idle_ns = uv_metrics_idle_time(watch->prepare.loop),
		.cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID),
		.ready_ns = ready_ns(watch),
		.major_faults = usage.ru_majflt,
	};
}

/* What is not accounted for since the mark: the thread slept outside of epoll. */
static uint64_t slept_ns(const struct mark *from, const struct mark *to)
{
	uint64_t wall = to->wall_ns - from->wall_ns;
	uint64_t known = to->idle_ns - from->idle_ns + to->cpu_ns - from->cpu_ns + to->ready_ns - from->ready_ns;

	return wall > known ? wall - known : 0;
}

static void start_over(struct loop_watch *watch)
{
	if (watch->traced) {
		sleep_trace_skip(&watch->disk);
		sleep_trace_skip(&watch->lock);
	}
	watch->mark = mark_now(watch);
}

static void look_for_disk(struct loop_watch *watch, long major_faults)
{
	struct kernel_stack stack = { 0 };
	char what[64];
	bool found = false;

	while (watch->traced && !found && sleep_trace_next(&watch->disk, &stack)) {
		if (is_journal_of_write(&stack))
			watch->journal_waits++;
		else
			found = !is_address_space_lock(&stack);
	}
	if (found && !major_faults)
		report(watch, "for a disk", &stack);
	if (!major_faults)
		return;
	if (!found)
		stack = (struct kernel_stack){ 0 };
	snprintf(what, sizeof(what), "for a disk, with %ld major faults", major_faults);
	report(watch, what, &stack);
}

static void look_for_lock(struct loop_watch *watch, uint64_t slept)
{
	struct kernel_stack stack = { 0 };
	char what[64];
	bool found = false;

	/* A core that the host took away and a write's wait for the journal look like it as well: untraced nothing is certain. */
	if (!watch->traced || slept < (uint64_t)LOOP_WATCH_LOCK_MS * 1000000)
		return;
	while (!found && sleep_trace_next(&watch->lock, &stack))
		found = !is_poll(&stack);
	if (!found)
		return;
	snprintf(what, sizeof(what), "%llu ms for a lock", (unsigned long long)slept / 1000000);
	report(watch, what, &stack);
}

static void look(struct loop_watch *watch)
{
	struct mark now = mark_now(watch);

	watch->allowed++; /* so that what is logged now is not looked at */
	look_for_disk(watch, now.major_faults - watch->mark.major_faults);
	look_for_lock(watch, slept_ns(&watch->mark, &now));
	watch->allowed--;
	start_over(watch);
}

static void on_prepare(uv_prepare_t *prepare)
{
	look(prepare->data);
}

void loop_watch_allow(void)
{
	if (!current)
		return;
	if (!current->allowed)
		look(current);
	current->allowed++;
}

void loop_watch_forbid(void)
{
	if (current && --current->allowed == 0)
		start_over(current);
}

/* ---- life ---- */

static int populate(struct dl_phdr_info *info, size_t size, void *arg)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uint64_t start = align_down(info->dlpi_addr + header->p_vaddr, page);
		uint64_t end = align_up(info->dlpi_addr + header->p_vaddr + header->p_filesz, page);

		if (header->p_type == PT_LOAD)
			madvise((void *)start, end - start, MADV_POPULATE_READ);
	}
	return 0;
}

/* Program and libraries are read once and stay: a page of code that was never run before is no fault of the loop's. */
static void populate_program(void)
{
	dl_iterate_phdr(populate, NULL);
}

static bool open_traces(struct loop_watch *watch)
{
	int err = sleep_trace_open(&watch->disk, SLEEP_UNINTERRUPTIBLE);

	if (!err) {
		err = sleep_trace_open(&watch->lock, SLEEP_INTERRUPTIBLE);
		if (err)
			sleep_trace_close(&watch->disk);
	}
	if (err)
		log_info("loop %s: only its major faults are watched: where it sleeps cannot be traced: %s",
			 watch->name, strerror(-err));
	return !err;
}

struct loop_watch *loop_watch_open(struct uv_loop_s *uv, const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct loop_watch *watch = strncmp(name, "io-", 3) ? NULL : calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	pthread_once(&once, populate_program);
	snprintf(watch->name, sizeof(watch->name), "%s", name);
	watch->schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	watch->traced = open_traces(watch);
	uv_loop_configure(uv, UV_METRICS_IDLE_TIME);
	uv_prepare_init(uv, &watch->prepare);
	watch->prepare.data = watch;
	uv_prepare_start(&watch->prepare, on_prepare);
	uv_unref((uv_handle_t *)&watch->prepare);
	return watch;
}

struct loop_watch *loop_watch_enter(struct loop_watch *watch)
{
	struct loop_watch *outer = current;

	if (outer && !outer->allowed)
		look(outer);
	current = watch;
	if (watch)
		start_over(watch);
	return outer;
}

void loop_watch_leave(struct loop_watch *watch, struct loop_watch *outer)
{
	if (watch)
		look(watch);
	current = outer;
	if (outer)
		start_over(outer);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void loop_watch_close(struct loop_watch *watch)
{
	if (!watch)
		return;
	if (watch->journal_waits)
		log_info("loop %s: %lu writes slept until ext4's journal took the file's time or size", watch->name,
			 watch->journal_waits);
	if (watch->traced) {
		sleep_trace_close(&watch->disk);
		sleep_trace_close(&watch->lock);
	}
	if (watch->schedstat_fd >= 0)
		close(watch->schedstat_fd);
	uv_close((uv_handle_t *)&watch->prepare, on_closed);
}

#endif
