/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A target at run time, on the loop that owns it: its LUNs, its sessions, its boots.
 *
 *     ABSENT -> OPENING -> OPEN -> CLOSING -> ABSENT (and freed, when nobody wants it)
 *                          OPEN -> LOST: LUN 0 did not come back from growing; sessions end -> CLOSING
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

#include "iscsi/list.h"
#include "iscsi/server.h"

#include <stdint.h>

struct hub;
struct login;
struct scsi_target;
struct session;

enum { TARGET_GRACE_MS = 2000, TARGET_SESSIONS_MAX = 256 };

enum target_state { TARGET_ABSENT, TARGET_OPENING, TARGET_OPEN, TARGET_CLOSING, TARGET_LOST };

struct target {
	struct hub *hub;
	struct list link;      /* hub->targets[] */
	struct list kick_link; /* hub->kicked */
	uint64_t key;
	char iqn[ISCSI_NAME_MAX + 1];
	enum target_state state;
	uint64_t boot;	       /* whose sessions these are; 0: not known yet, or without boots */
	bool beginning;	       /* provider->begin was asked */
	bool many;
	struct iscsi_lun *luns; /* while OPENING (from the answer on), OPEN, CLOSING, LOST */
	unsigned lun_count;
	uint64_t used_ms[ISCSI_LUNS]; /* when a session last began to read, write or flush one (time_monotonic_ms) */
	struct scsi_target *scsi; /* while OPEN, and afterwards as long as somebody is registered (SPC-4 §5.13.5) */
	unsigned saves;	       /* provider->save_state was asked */
	struct list sessions;  /* struct session, live or ending */
	struct list waiting;   /* struct login */
	struct list tmfs;      /* struct tmf, task_mgmt.c */
	struct list releases;  /* struct release_request, server_query.c */
	struct list changes;   /* struct change, change.c: LUNs that come, go, grow; one after the other */
	uint64_t close_after_ms; /* the grace ends then; 0: not running */
	uint64_t next_serial;	 /* of tasks */
	uint16_t last_tsih;
	uint64_t begin_boot; /* which boot provider->begin was asked about */
};

/* The login has authenticated: makes the target ready for it, then login_succeed or login_refuse. */
void target_admit(struct hub *hub, struct login *login);
/* The LUN of that number, or NULL. */
struct iscsi_lun *target_lun(const struct target *target, unsigned number);
/* Something changed: target_advance before the loop sleeps. */
void target_kick(struct target *target);
/* One step; may free the target. From the hub. */
void target_advance(struct target *target);
/* Out of the waiting list, and refused. */
void target_refuse(struct login *login, uint16_t status, const char *reason);
struct target *target_find(struct hub *hub, uint64_t key);
uint16_t target_next_tsih(struct target *target);
void target_session_began(struct target *target, struct session *session);
/* The session is gone but for its memory. */
void target_session_ended(struct target *target, struct session *session);
void target_end_sessions(struct target *target, const char *why);

/* Somebody waits until the target is closed. */
struct release_request {
	struct list link;
	void (*released)(struct release_request *request);
};
void target_release(struct target *target, struct release_request *request, const char *why);

#endif
