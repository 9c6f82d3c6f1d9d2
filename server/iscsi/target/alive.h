/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a target's sessions still have somebody at their other end: see iscsi_server_check_alive. */
#ifndef ISCSI_ALIVE_H
#define ISCSI_ALIVE_H

#include <stdbool.h>
#include <stdint.h>

struct iscsi_session_info;
struct loop;
struct target_loop;

/* Answered once, on reply_loop. loop owns the target. Any thread. */
void alive_ask(struct target_loop *loop, uint64_t key, unsigned timeout_ms, struct loop *reply_loop,
	       void (*answered)(void *arg, bool alive, const struct iscsi_session_info *session), void *arg);
void alive_tick(struct target_loop *loop, uint64_t now_ms);
/* The server has stopped: nobody is there. */
void alive_end_all(struct target_loop *loop);

#endif
