/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the loop tells its connections: something has come, something may be sent, time goes by. */
#ifndef ISCSI_CONN_INPUT_H
#define ISCSI_CONN_INPUT_H

#include <stdbool.h>
#include <stdint.h>

struct link_loop;

/* Before the loop sleeps: all that wait in loop->busy send and go on. */
void conn_work_all(struct link_loop *loop);
/* For loop_set_look, arg a struct link_loop: has something come that libuv has not said? True: and it is handled. */
bool conn_busy_poll(void *arg);
/* Deadlines, and the users' tick. When the clock is needed next: 0 for the next tick, UINT64_MAX for never. */
uint64_t conn_tick_all(struct link_loop *loop, uint64_t now_ms);

#endif
