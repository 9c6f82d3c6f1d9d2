// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sleeps of a thread: see kernel_stack.h. A perf event on the tracepoint sched_switch with a filter on the state in
 * which the thread leaves its core. The kernel writes the stacks into a ring that is mapped here, and never waits for
 * us to read them: what does not fit is lost.
 */
#include "base/kernel_stack.h"

#ifdef LOOP_WATCH

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

enum { RING_PAGES = 16, RECORD_MAX = 4096 };

/* ---- sleeps ---- */

/* The number of the tracepoint, or -errno. */
static int switch_event_id(void)
{
	static const char *const paths[] = {
		"/sys/kernel/tracing/events/sched/sched_switch/id",
		"/sys/kernel/debug/tracing/events/sched/sched_switch/id",
	};
	int err = -ENOENT;

	for (size_t i = 0; i < array_len(paths); i++) {
		FILE *file = fopen(paths[i], "re");
		int id;

		if (!file) {
			err = -errno;
			continue;
		}
		if (fscanf(file, "%d", &id) != 1)
			id = -EIO;
		fclose(file);
		return id;
	}
	return err;
}

static size_t ring_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE) * RING_PAGES;
}

/* Who may not know where functions are reads zeroes: then stacks would say nothing. */
static bool may_read_symbols(void)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	unsigned long long address = 0;
	char type = 'A';

	/* Others may really be at 0. */
	while (file && type != 'T' && fscanf(file, "%llx %c%*[^\n]", &address, &type) == 2)
		;
	if (file)
		fclose(file);
	return type == 'T' && address;
}

int sleep_trace_open(struct sleep_trace *trace, enum sleep_kind kind)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_CALLCHAIN,
		.sample_max_stack = KERNEL_STACK_MAX,
		.wakeup_events = UINT32_MAX,
	};
	int id = switch_event_id(), fd, err;
	char filter[32];
	void *ring;

	if (id < 0)
		return id;
	if (!may_read_symbols())
		return -EPERM;
	attr.config = (uint64_t)id;
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(filter, sizeof(filter), "prev_state & %d", kind);
	/* One page more: the ring's header. */
	ring = ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter) ? MAP_FAILED :
							      mmap(NULL, ring_bytes() + (size_t)sysconf(_SC_PAGESIZE),
								   PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED) {
		err = -errno;
		close(fd);
		return err;
	}
	*trace = (struct sleep_trace){ fd, ring, 0 };
	return 0;
}

void sleep_trace_close(struct sleep_trace *trace)
{
	munmap(trace->ring, ring_bytes() + (size_t)sysconf(_SC_PAGESIZE));
	close(trace->fd);
}

static uint64_t ring_head(const struct sleep_trace *trace)
{
	struct perf_event_mmap_page *header = trace->ring;

	return __atomic_load_n(&header->data_head, __ATOMIC_ACQUIRE);
}

static void ring_read(const struct sleep_trace *trace, uint64_t at, void *out, size_t len)
{
	const char *data = (const char *)trace->ring + sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < len; i++)
		((char *)out)[i] = data[(at + i) % ring_bytes()];
}

static void ring_consume(struct sleep_trace *trace, uint64_t to)
{
	struct perf_event_mmap_page *header = trace->ring;

	trace->tail = to;
	__atomic_store_n(&header->data_tail, to, __ATOMIC_RELEASE);
}

/* A call chain: its length, then addresses, with marks where the kernel's and the program's begin. */
static void parse_chain(const uint64_t *chain, uint64_t count, struct kernel_stack *stack)
{
	bool user = false;

	*stack = (struct kernel_stack){ 0 };
	for (uint64_t i = 0; i < count; i++) {
		if (chain[i] == (uint64_t)PERF_CONTEXT_USER)
			user = true;
		else if (chain[i] >= (uint64_t)PERF_CONTEXT_MAX)
			continue; /* other marks */
		else if (user && stack->user_count < KERNEL_STACK_MAX)
			stack->user[stack->user_count++] = chain[i];
		else if (!user && stack->kernel_count < KERNEL_STACK_MAX)
			stack->kernel[stack->kernel_count++] = chain[i];
	}
}

bool sleep_trace_next(struct sleep_trace *trace, struct kernel_stack *stack)
{
	uint64_t head = ring_head(trace), chain[RECORD_MAX / sizeof(uint64_t)], count;
	struct perf_event_header record;

	while (trace->tail < head) {
		uint64_t at = trace->tail;

		ring_read(trace, at, &record, sizeof(record));
		if (record.type != PERF_RECORD_SAMPLE || record.size < sizeof(record) + sizeof(count)) {
			ring_consume(trace, at + record.size);
			continue;
		}
		ring_read(trace, at + sizeof(record), &count, sizeof(count));
		count = min_u64(count, (record.size - sizeof(record)) / sizeof(count) - 1);
		count = min_u64(count, array_len(chain));
		ring_read(trace, at + sizeof(record) + sizeof(count), chain, count * sizeof(chain[0]));
		ring_consume(trace, at + record.size);
		parse_chain(chain, count, stack);
		return true;
	}
	return false;
}

void sleep_trace_skip(struct sleep_trace *trace)
{
	ring_consume(trace, ring_head(trace));
}

/* ---- names ---- */

struct symbol {
	uint64_t address;
	const char *name;
};

struct symbols {
	char *text;
	struct symbol *at; /* by address */
	size_t count;
};

static int compare_symbols(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* All of a file of /proc, terminated; NULL where it cannot be read. */
static char *read_whole(const char *path)
{
	size_t size = 0, room = 8 << 20;
	char *text = malloc(room);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;

	while (text && fd >= 0 && (n = read(fd, text + size, room - size - 1)) > 0) {
		size += (size_t)n;
		if (room - size < 65536) {
			char *more = realloc(text, room *= 2);

			if (!more)
				break;
			text = more;
		}
	}
	if (fd >= 0)
		close(fd);
	if (!text || fd < 0 || n) {
		free(text);
		return NULL;
	}
	text[size] = '\0';
	return text;
}

/* Lines "ADDRESS TYPE NAME [MODULE]"; all addresses are 0 for those who may not know. */
static void symbols_load(struct symbols *s)
{
	size_t room = 0;
	char *save = NULL;

	s->text = read_whole("/proc/kallsyms");
	for (char *line = s->text ? strtok_r(s->text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		char *end;
		uint64_t address = strtoull(line, &end, 16);

		if (!address || end[0] != ' ' || !strchr("tTwW", end[1]) || end[2] != ' ')
			continue;
		if (s->count == room) {
			struct symbol *more = realloc(s->at, (room = room ? 2 * room : 65536) * sizeof(*more));

			if (!more)
				break;
			s->at = more;
		}
		end[3 + strcspn(end + 3, "\t ")] = '\0';
		s->at[s->count++] = (struct symbol){ address, end + 3 };
	}
	if (s->count)
		qsort(s->at, s->count, sizeof(*s->at), compare_symbols);
}

static struct symbols the_symbols; /* constant, once they are loaded */

static void load_the_symbols(void)
{
	symbols_load(&the_symbols);
}

const char *kernel_symbol(uint64_t address)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	size_t low = 0, high;

	pthread_once(&once, load_the_symbols);
	high = the_symbols.count;
	/* The last one that is not beyond address. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (the_symbols.at[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? the_symbols.at[low - 1].name : "?";
}

#endif
