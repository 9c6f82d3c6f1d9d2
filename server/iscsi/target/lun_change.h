/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LUNs come, go and grow under a target's sessions: see server.h. */
#ifndef ISCSI_LUN_CHANGE_H
#define ISCSI_LUN_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct target;
struct target_loop;

struct lun_request {
	enum { LUN_GROW, LUN_ATTACH, LUN_DETACH } kind;
	uint64_t key;
	unsigned lun;
	uint64_t size_bytes; /* grow */
	bool force;	     /* detach */
	struct loop *reply_loop;
	void (*answered)(void *arg, int err, const char *reason);
	void *arg;
};

/* Answered once, on reply_loop. loop owns the target. Any thread. */
void lun_change(struct target_loop *loop, const struct lun_request *wanted);
/*
 * The next step of target->changes. False: something is awaited, and nothing else may be done to the target.
 */
bool lun_change_advance(struct target *target);

#endif
