/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far each boot in progress has come, and which ones do not get further. Private to boot/; stages.c feeds it and
 * writes down what it finds.
 *
 *     arrival (by MAC or address, no boot yet): dhcp, boot-file, waited
 *         | timeline_script: they become the beginning of a boot
 *     track (a boot): script -> ipxe-login -> first-read -> loader-done -> kernel-login -> steady: forgotten
 *
 * How the stages are known:
 *     loader-done   iPXE's session is not heard of any more: its last command before the kernel's login, or before a
 *                   silence of 30 s. (No loader says when it is done; BIOS iPXE leaves its connection open.)
 *                   Where it is heard of again, the stage moves.
 *     kernel-login  the first login of the boot by anybody but iPXE
 *     steady        the system's session has stood for 20 s: the take-over by the daemon of the running system, which
 *                   logs in anew, is over by then. Where the script named several portals, it has also logged in at each of
 *                   them, or its sessions show that it runs (timeline_used): an initramfs logs in at one after the other,
 *                   waits for ever for one that is dead, and uses nothing meanwhile. A system that wants only one portal
 *                   is told from that by what it reads and writes.
 *
 * Only a boot whose script led to its disk can be stuck: nobody knows what an installer with the disk hooked does.
 *
 * Any thread; one mutex, held for a scan of a table. Both tables are bounded: what was quiet longest is forgotten.
 * Nothing here waits, writes or asks a clock: now_ms and at_ms are Unix milliseconds from the caller.
 */
#ifndef BOOT_TIMELINE_H
#define BOOT_TIMELINE_H

#include "boot/portals.h"
#include "inventory/stage.h"

enum {
	TIMELINE_TRACKS = 1024,
	TIMELINE_ARRIVALS = 1024,
	TIMELINE_CHANGES = 4096,       /* not yet taken */
	TIMELINE_FILE_MS = 60000,      /* DHCP -> boot file */
	TIMELINE_SCRIPT_MS = 60000,    /* boot file -> script */
	TIMELINE_LOGIN_MS = 60000,     /* script -> iPXE's login */
	TIMELINE_READ_MS = 60000,      /* iPXE's login -> first read */
	TIMELINE_SILENCE_MS = 30000,   /* of iPXE's session: its loader is done */
	TIMELINE_KERNEL_MS = 120000,   /* loader done -> kernel's login */
	TIMELINE_UNSTEADY_MS = 180000, /* kernel's login -> steady */
	TIMELINE_STEADY_MS = 20000,
	TIMELINE_PORTAL_MS = 60000, /* a login of the system -> its next one, at another portal */
	TIMELINE_USE_MS = 5000,	    /* between two questions whether it runs */
	TIMELINE_USED_BYTES = 16 << 20,
	TIMELINE_GAP_MS = 120000, /* quiet for so long: another power-on */
	TIMELINE_FORGET_MS = 3600000,
};

/* In why of a machine whose system has logged in at one portal and not at another. */
#define TIMELINE_WAITS " and waits for portal "

struct timeline;

enum timeline_kind {
	TIMELINE_PUT,	  /* record: the first time counts */
	TIMELINE_REPLACE, /* record: the last one does */
	TIMELINE_CLEAR,	  /* the boot's stages go; record.at_ms not 0: unless its script came after that */
	TIMELINE_STUCK,	  /* record: stage, stuck_ms, why. machine_id 0: a MAC that never asked for a script */
	TIMELINE_ASK,	  /* of its sessions: the answer goes to timeline_ipxe_heard and timeline_used */
};

struct timeline_change {
	enum timeline_kind kind;
	struct stage_record record;
	char mac[PARSE_MAC_TEXT]; /* STUCK */
	bool tell;		  /* STUCK: an event is due, once per boot */
	/* STUCK: those that it waits for. PUT of steady: those that it has reached, where it was said to wait. Else "" */
	char portals[PORTALS_TEXT];
};

/* NULL without memory. */
struct timeline *timeline_new(void);
void timeline_free(struct timeline *timeline);

/* Of somebody who has no boot yet; key: a MAC, or an address where no MAC is known. Stages up to STAGE_WAITED. */
void timeline_arrival(struct timeline *timeline, const char *key, enum stage stage, const char *detail, int64_t at_ms);
/*
 * What was seen of a MAC that has not got a script since: at most three records, in order, without a boot. Their
 * number.
 */
unsigned timeline_arriving(struct timeline *timeline, const char *mac, struct stage_record records[STAGE_WAITED + 1]);
/* A boot that has not begun gets its script, the first time or again; mac, address: of who asked; offer NULL: one portal. */
void timeline_script(struct timeline *timeline, int64_t machine_id, uint64_t number, const char *mac,
		     const char *address, const struct portals_offer *offer, int64_t now_ms);
/* The machine asked again, and got something else than the script to its disk: no login is to be expected. */
void timeline_elsewhere(struct timeline *timeline, int64_t machine_id);
/*
 * What keeps a boot from going on; explains: it is the cause (a refused login), not only what was seen of it (a failed
 * sanboot).
 */
void timeline_problem(struct timeline *timeline, int64_t machine_id, const char *problem, bool explains);
/* The system's next session (timeline_session_began) is at this portal. */
void timeline_reached(struct timeline *timeline, int64_t machine_id, uint64_t number, const char *portal);
/* What a session of the system has read and written: it has written something, or read more than anybody who only looks. */
void timeline_used(struct timeline *timeline, int64_t machine_id, uint64_t number, uint64_t bytes_read,
		   uint64_t bytes_written);
void timeline_session_began(struct timeline *timeline, int64_t machine_id, uint64_t number, bool ipxe,
			    const char *address, int64_t now_ms);
/* heard_ms: when the session's peer was heard of last. */
void timeline_session_ended(struct timeline *timeline, int64_t machine_id, uint64_t number, bool ipxe, int64_t heard_ms,
			    const char *why);
void timeline_first_read(struct timeline *timeline, int64_t machine_id, uint64_t number, int64_t now_ms);
/* heard_ms 0: it has no session of iPXE (any more). */
void timeline_ipxe_heard(struct timeline *timeline, int64_t machine_id, uint64_t number, int64_t heard_ms,
			 int64_t now_ms);
/* The machine is gone: nothing more of it. */
void timeline_forget(struct timeline *timeline, int64_t machine_id);

/* Time goes by: finds what is due, as changes. A clock that was set moves what is due with it. */
void timeline_tick(struct timeline *timeline, int64_t now_ms, uint64_t monotonic_ms);
/* Nothing is to be handed out, and nothing will be due. */
bool timeline_is_idle(struct timeline *timeline);
/* Hands out at most max changes, in order. */
unsigned timeline_take(struct timeline *timeline, struct timeline_change *changes, unsigned max);

/* How long the next stage may take; 0: for ever. */
int64_t timeline_limit_ms(enum stage stage);
/* For people: why boots usually stop here, and what to do about it; "" where nothing can be said. */
const char *timeline_why(enum stage stage);
const char *timeline_hint(enum stage stage, const char *why); /* why: as the change said */

#endif
