/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One GET /boot under way: request.c has its sequence, settle.c what it writes. Touched by boot's loop, and by one job
 * at a time while that runs. Private to boot/ask/.
 */
#ifndef BOOT_REQUEST_H
#define BOOT_REQUEST_H

#include "ask.h"
#include "base/reason.h"
#include "boot/internal.h"
#include "boot/progress/turns.h"
#include "decide.h"
#include "enrol.h"
#include "lookup.h"
#include "neighbour.h"

struct ask_request {
	struct boot *boot;
	void (*answered)(void *arg, const struct boot_answer *answer);
	void *arg;
	struct asker asker;
	bool invalid;
	enum neighbour neighbour;
	struct lookup lookup;
	enum decision decision;
	struct boot_session running;
	struct turn turn; /* place 0: not asked yet, or it may go on */
	struct enrolment enrolment;
	struct reason reason;
	struct inventory_job job;
	struct loop_msg msg;
};

/* Whether the machine in question runs must be asked before this decision counts. */
bool settle_must_probe(const struct ask_request *r);
/* Its decision is worth a write job: something is to be made, or what is known of it is old. */
bool settle_must_write(const struct ask_request *r);
/* The write job: looks and decides again, then writes what that decision needs. */
int settle_request(struct inventory_tx *tx, struct inventory_job *job);
/* Nothing is left to be asked before it can be served. */
bool settle_is_ready(const struct ask_request *r);

#endif
