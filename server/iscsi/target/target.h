/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A target at run time, on the loop that owns it: its LUNs, its sessions, its boots.
 *
 *     ABSENT --target_open--> OPENING --opened_at_last--> OPEN --target_close, target_give_back--> CLOSING
 *            --on_closed--> ABSENT, or --idle_step--> freed, when nobody wants it
 *     OPENING --on_opened--> ABSENT: refused; --open_failed--> CLOSING
 *     OPEN --disk_lost--> LOST: LUN 0 did not come back from growing; its sessions end --lost_step--> CLOSING
 *
 * A closed target stays as a record while somebody is registered with it (PERSISTENT RESERVE OUT), until it is released
 * or the server stops.
 *
 * What it should do next follows from what is wanted (logins that wait, a release, nothing) and from what is there
 * (sessions, an open disk, an answer that is awaited); target_advance works that out and takes one step, whenever
 * something has changed.
 */
#ifndef ISCSI_TARGET_H
#define ISCSI_TARGET_H

#include "base/list.h"
#include "iscsi/login/login.h"
#include "iscsi/session/session.h"

enum { TARGET_GRACE_MS = 2000, TARGET_SESSIONS_MAX = 256, TARGET_BUCKETS = 64 };

enum target_state { TARGET_ABSENT, TARGET_OPENING, TARGET_OPEN, TARGET_CLOSING, TARGET_LOST };

/* What the targets of one loop share. */
struct target_loop {
	struct loop *io;
	struct link_loop *link;
	struct session_loop *sessions;
	const struct iscsi_provider *provider;
	unsigned lun_in_use_ms;
	struct list targets[TARGET_BUCKETS];
	struct list kicked; /* targets with something to do before the loop sleeps */
	struct list checks; /* struct alive_check, alive.c */
	struct free_list scsi_tasks;
};

struct target {
	struct target_port port; /* what its sessions see, and lead: key, name, scsi/ while OPEN or registered with */
	struct target_loop *loop;
	struct list link;      /* loop->targets[] */
	struct list kick_link; /* loop->kicked */
	enum target_state state;
	uint64_t boot;	/* whose sessions these are; 0: not known yet, or without boots */
	bool beginning; /* provider->begin was asked */
	bool many;
	struct iscsi_lun *luns; /* while OPENING (from the answer on), OPEN, CLOSING, LOST */
	unsigned lun_count;
	unsigned saves;		 /* provider->save_state was asked */
	struct list waiting;	 /* struct login */
	struct list releases;	 /* struct release, release.c: who waits until it is closed */
	struct list changes;	 /* struct lun_change, lun_change.c: LUNs that come, go, grow; one after the other */
	uint64_t close_after_ms; /* the grace ends then; 0: not running */
	uint64_t begin_boot;	 /* which boot provider->begin was asked about */
};

void target_loop_init(struct target_loop *loop, struct link_loop *link, struct session_loop *sessions,
		      const struct iscsi_provider *provider, unsigned lun_in_use_ms);
void target_loop_fini(struct target_loop *loop);
/* Before the loop sleeps: those in loop->kicked advance. */
void target_advance_all(struct target_loop *loop);
/* Those that wait for the clock advance, or all. True: there is one. */
bool target_tick_all(struct target_loop *loop, bool all);

/* The login has authenticated: its target is made ready, then login_succeed or login_refuse. Discovery: at once. */
void target_admit(struct target_loop *loop, struct login *login);
/* The LUN of that number, or NULL. */
struct iscsi_lun *target_lun(const struct target *target, unsigned number);
/* Something changed: target_advance before the loop sleeps. */
void target_kick(struct target *target);
/* Out of the waiting list, and refused. */
void target_refuse(struct login *login, uint16_t status, const char *reason);
struct target *target_find(struct target_loop *loop, uint64_t key);
void target_end_sessions(struct target *target, const char *why);

/* ---- target_open.c ---- */
/* ABSENT -> OPENING; then OPEN, or ABSENT with everybody who waits refused. */
void target_open(struct target *target);
/* OPEN, without sessions -> CLOSING, then ABSENT. */
void target_close(struct target *target);
/* Its disks go back to the provider: CLOSING, then ABSENT. scsi/ does not use them any more. */
void target_give_back(struct target *target);
/* A LUN of target->luns becomes a unit of scsi/. 0 or -errno. */
int target_add_unit(struct target *target, const struct iscsi_lun *lun);
/* What scsi/ knows of the target, registrations too. Not while OPEN or while saves are under way. */
void target_forget_scsi(struct target *target);

/* ---- release.c, alive.c, lun_change.c: any thread asks the owner; the answer comes once, on reply_loop ---- */
void release_ask(struct target_loop *loop, uint64_t key, const char *why, struct loop *reply_loop,
		 void (*released)(void *arg), void *arg);
/* The next step of target->releases. False: something is awaited. Logins wait, and open the target again. */
bool release_advance(struct target *target);

void alive_ask(struct target_loop *loop, uint64_t key, unsigned timeout_ms, struct loop *reply_loop,
	       void (*answered)(void *arg, bool alive, const struct iscsi_session_info *session), void *arg);
void alive_tick(struct target_loop *loop, uint64_t now_ms);
/* The server has stopped: nobody is there. */
void alive_end_all(struct target_loop *loop);

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
void lun_change(struct target_loop *loop, const struct lun_request *wanted);
/* The next step of target->changes. False: something is awaited, and nothing else may be done to the target. */
bool lun_change_advance(struct target *target);

#endif
