/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Somebody wants a target closed: see iscsi_server_release. */
#ifndef ISCSI_RELEASE_H
#define ISCSI_RELEASE_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct target;
struct target_loop;

/* released runs once, on reply_loop. loop owns the target. Any thread. */
void release_ask(struct target_loop *loop, uint64_t key, const char *why, struct loop *reply_loop,
		 void (*released)(void *arg), void *arg);
/* Logins wait for it, and open the target again. False: something is awaited. */
bool release_advance(struct target *target);

#endif
