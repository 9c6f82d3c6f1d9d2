/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may boot now, where the policy (max-booting) bounds how many machines do so at a time. Private to boot/.
 *
 *     asks --+--> permit (boots) --> free again: the boot is steady, its sessions are gone, or it took too long
 *            +--> ticket (waits): a place in the queue, kept as long as the machine comes back and asks
 *
 * Order: those who have waited for TURNS_AGE_MS first, then by priority, then by ticket. A ticket is called when as
 * many permits are free as there are tickets up to it; until its machine comes back a permit is kept for it, and a
 * machine that does not come back loses its ticket. So nobody is overtaken by chance, and nobody starves.
 *
 * Any thread; one mutex. Bounded: beyond TURNS_TICKETS whoever asks is told the last place, without a ticket.
 * No clock: now_ms is any clock that never goes back.
 */
#ifndef BOOT_TURNS_H
#define BOOT_TURNS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	TURNS_TICKETS = 4096,
	TURNS_LOGIN_MS = 60000,	   /* a permit without a login for so long is free */
	TURNS_IDLE_MS = 30000,	   /* and one whose sessions have been gone for so long */
	TURNS_BOOT_MS = 180000,	   /* the longest that a boot keeps its permit */
	TURNS_PATIENCE_MS = 20000, /* without asking, a ticket is void */
	TURNS_AGE_MS = 300000,	   /* having waited for so long comes before priority */
};

struct turns;

struct turn {
	bool now;	  /* it may boot */
	unsigned place;	  /* else: 1 is next */
	unsigned waiting; /* how many wait, itself included */
};

/* NULL without memory. */
struct turns *turns_new(void);
void turns_free(struct turns *turns);

/* limit: permits, 0 as many as want. A machine that has a permit keeps it, however often it asks. */
struct turn turns_ask(struct turns *turns, int64_t machine_id, int priority, unsigned limit, uint64_t now_ms);
/* A session of the machine began, or ended. */
void turns_session(struct turns *turns, int64_t machine_id, bool began, uint64_t now_ms);
/* Its boot is steady, or over. */
void turns_leave(struct turns *turns, int64_t machine_id);
/* For those who watch: how many boot, how many wait. */
void turns_count(struct turns *turns, uint64_t now_ms, unsigned *booting, unsigned *waiting);

#endif
