/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The iSCSI target (RFC 7143): portals on the I/O loops, sessions on the loops that own their targets. What it is told:
 * provider.h.
 */
#ifndef ISCSI_SERVER_H
#define ISCSI_SERVER_H

#include "iscsi/provider.h"

struct iscsi_server;

struct iscsi_server_config {
	struct loop *const *loops;
	unsigned loop_count;
	const struct endpoint *endpoints;
	unsigned endpoint_count;
	const struct iscsi_provider *provider; /* borrowed for the server's life */
	/* Where sessions say "the target's own address": NULL, the one that the client reached. */
	const char *advertise;
	/*
	 * The StatSN of the first response on each connection; any will do (RFC 7143 §11.4.5), and tests begin just
	 * before the wrap.
	 */
	uint32_t first_statsn;
	unsigned lun_in_use_ms; /* for how long a LUN counts as used by the last command: 0, a minute */
};

/*
 * Binds and listens (SO_REUSEPORT on every loop or accepted on one and dealt out: the implementation's choice), so
 * errors come at once: -errno and a sentence in reason. Connections are accepted from then on. Called from the main
 * thread.
 */
int iscsi_server_start(const struct iscsi_server_config *config, struct iscsi_server **server, struct reason *reason);
/* The bound addresses (port 0 replaced). */
unsigned iscsi_server_endpoints(const struct iscsi_server *server, struct endpoint *out, unsigned max);
/*
 * Stops accepting, asks initiators that understand it to log out (Async Message; never iPXE), lets tasks in hand finish
 * for at most drain_ms, closes all sessions and, through the provider, all disks. stopped runs on some loop; then
 * iscsi_server_free from the main thread.
 */
void iscsi_server_stop(struct iscsi_server *server, unsigned drain_ms, void (*stopped)(void *arg), void *arg);
void iscsi_server_free(struct iscsi_server *server);

/*
 * Is somebody there? Looks for sessions of the target; each is asked (NOP-In for an OS, the state of TCP for iPXE) and
 * reaped if it does not answer within timeout_ms. answered runs on reply_loop: alive and one session's info, or not
 * alive (session NULL). Any thread.
 */
void iscsi_server_check_alive(struct iscsi_server *server, uint64_t key, unsigned timeout_ms, struct loop *reply_loop,
			      void (*answered)(void *arg, bool alive, const struct iscsi_session_info *session),
			      void *arg);
/* Ends all sessions of a target and closes its disk; released runs on reply_loop when that has happened. Any thread. */
void iscsi_server_release(struct iscsi_server *server, uint64_t key, const char *why, struct loop *reply_loop,
			  void (*released)(void *arg), void *arg);
/*
 * All sessions, or those of one key (0: all), one by one, on reply_loop; then once NULL with err: 0, or -ENOMEM where
 * those were not all. Any thread.
 */
void iscsi_server_sessions(struct iscsi_server *server, uint64_t key, struct loop *reply_loop,
			   void (*each)(void *arg, const struct iscsi_session_info *session, int err), void *arg);

/*
 * Grows the disk of a LUN of an open target under its sessions: commands wait while provider->grow has it, and
 * initiators are told of the new capacity (unit attention, asynchronous message; never iPXE). resized runs on
 * reply_loop. 0; -ENOENT: it is not open, and nothing was done; -EBUSY: its commands did not end in time, and nothing
 * was done; else as provider->grow says. reason is borrowed. Any thread. A disk that does not come back ends the
 * sessions if it is LUN 0's; another LUN then is gone.
 */
void iscsi_server_resize(struct iscsi_server *server, uint64_t key, unsigned lun, uint64_t size_bytes,
			 struct loop *reply_loop, void (*resized)(void *arg, int err, const char *reason), void *arg);

/*
 * A LUN, not 0, comes to or goes from an open target under its sessions, which are told: REPORTED LUNS DATA HAS CHANGED
 * on its other units. Answers run on reply_loop: 0 or -errno with a sentence, borrowed. -ENOENT: the target is not open
 * (whoever opens it next will have what the provider gives then), or has no such LUN; -EINVAL: no such number; -EBUSY:
 * try again. Requests for a target that is being opened wait for that; those for one target are served one after the
 * other. Any thread.
 *
 * attach: provider->open_lun; its refusal is the answer. One that is there already is no error.
 *
 * detach: -EBUSY also where a session has read, written or flushed it within the last minute or is about to, unless
 * forced. Then new commands wait for it, and those in hand get 5 s to end; the LUN goes, what waited fails with LOGICAL
 * UNIT NOT SUPPORTED, provider->close_lun. Forced, sessions that do not let go of it within those 5 s are ended, and
 * there are 5 s more.
 */
void iscsi_server_attach(struct iscsi_server *server, uint64_t key, unsigned lun, struct loop *reply_loop,
			 void (*attached)(void *arg, int err, const char *reason), void *arg);
void iscsi_server_detach(struct iscsi_server *server, uint64_t key, unsigned lun, bool force, struct loop *reply_loop,
			 void (*detached)(void *arg, int err, const char *reason), void *arg);

#endif
