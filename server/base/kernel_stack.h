/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where in the kernel the calling thread falls asleep, as stacks of addresses, and their names. For base/loop_watch.c.
 * Needs the right to trace (root, or CAP_PERFMON and CAP_SYSLOG), and tracefs.
 */
#ifndef BASE_KERNEL_STACK_H
#define BASE_KERNEL_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KERNEL_STACK_MAX = 64 };

struct kernel_stack {
	unsigned kernel_count, user_count; /* innermost first */
	uint64_t kernel[KERNEL_STACK_MAX], user[KERNEL_STACK_MAX];
};

/* One thread's sleeps of a kind. */
struct sleep_trace {
	int fd;
	void *ring;
	uint64_t tail;
};

enum sleep_kind { SLEEP_INTERRUPTIBLE = 1, SLEEP_UNINTERRUPTIBLE = 2 }; /* TASK_* of the kernel */

/* Notes the sleeps of the calling thread from now on. 0 or -errno. */
int sleep_trace_open(struct sleep_trace *trace, enum sleep_kind kind);
void sleep_trace_close(struct sleep_trace *trace);
/* The next sleep that was noted; false: none. */
bool sleep_trace_next(struct sleep_trace *trace, struct kernel_stack *stack);
/* Forgets what was noted. */
void sleep_trace_skip(struct sleep_trace *trace);

/* The name of the kernel's function at address; "?" where the kernel does not tell. The first call takes a while. */
const char *kernel_symbol(uint64_t address);

#endif
