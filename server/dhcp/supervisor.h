/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps one child process running: a table of state by event.
 *
 *     stopped --START--> starting --READY--> up
 *                           |                 |
 *                          EXIT              EXIT        (any) --STOP--> stopping --EXIT--> stopped
 *                           v                 v
 *                         backing off <-------+          backing off --TIMER--> starting
 *
 * Wanted (START seen, no STOP yet), readiness (the line that says so) and the restart delay are separate facts. What
 * the child prints on standard error is logged, and its last line is kept as the reason of an exit. Private to dhcp/;
 * one loop.
 */
#ifndef DHCP_SUPERVISOR_H
#define DHCP_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct supervisor;

enum supervisor_state {
	SUPERVISOR_STOPPED,
	SUPERVISOR_STARTING,
	SUPERVISOR_UP,
	SUPERVISOR_BACKING_OFF,
	SUPERVISOR_STOPPING
};

struct supervisor_config {
	const char *name;			   /* for the log */
	const char *const *argv;		   /* NULL ends; copied */
	const char *ready_text;			   /* a line of standard error that contains it means: up */
	unsigned first_delay_ms, longest_delay_ms; /* back-off: doubles with each exit, begins anew after a minute up */
	struct loop *loop;
	/* Each change of state, on the loop; line: the last one that the child printed, "" none. */
	void (*changed)(void *arg, enum supervisor_state state, const char *line);
	/* Each line that it prints, escaped for the log; NULL: not asked for. */
	void (*said)(void *arg, const char *line);
	void *arg;
};

/* All on the loop. */
int supervisor_new(const struct supervisor_config *config, struct supervisor **supervisor);
void supervisor_start(struct supervisor *supervisor);
/* SIGTERM, and SIGKILL after 5 s; changed(STOPPED) when it is gone. */
void supervisor_stop(struct supervisor *supervisor);
/* Sends a signal to the child, if there is one. */
void supervisor_signal(struct supervisor *supervisor, int signal);
/* When STOPPED. freed runs on the loop, when nothing uses the memory any more. */
void supervisor_free(struct supervisor *supervisor, void (*freed)(void *arg), void *arg);
const char *supervisor_state_name(enum supervisor_state state);
unsigned supervisor_restarts(const struct supervisor *supervisor);
int supervisor_pid(const struct supervisor *supervisor); /* 0: none */

#endif
