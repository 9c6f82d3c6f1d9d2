/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a decision to a script. Any thread; nothing here waits or writes. Private to boot/. */
#ifndef BOOT_ANSWER_H
#define BOOT_ANSWER_H

#include "lookup.h"
#include "boot/portals.h"
#include "boot/progress/turns.h"

struct answer_facts {
	const struct asker *asker;
	const struct lookup *lookup; /* may be NULL with reason */
	enum decision decision;
	const char *reason; /* NULL, or why */
	const struct boot_session *running;
	const struct turn *turn;	   /* NULL: it does not wait for its turn */
	const struct portals_offer *offer; /* where its disk is */
};

void answer_make(struct boot *boot, const struct answer_facts *facts, struct boot_answer *answer);
/* status 400 or 503: says reason and asks again. */
void answer_error(struct boot *boot, const struct asker *asker, int status, enum boot_outcome outcome,
		  const char *reason, struct boot_answer *answer);

/* Who runs, for people: "10.0.0.7 (iPXE)", "22 Nov 14:03:05". */
void answer_session(const struct boot_session *session, char *where, size_t where_size, char *since, size_t since_size);

#endif
