/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The login phase of one connection (RFC 7143 §6.3, §11.12, §11.13), whose first user it is (login_new).
 *
 *     FIRST --find_target--> FINDING (the provider is asked about the target; the connection moves to its loop)
 *           --login_step--> STAGES (security, operational; as often as it takes)
 *           --enter_full_feature--> ADMISSION (the target is made ready) --login_succeed--> full feature, and freed
 *
 * A discovery login names no target: FIRST --login_step--> STAGES, and all of it on the loop that accepted it. From
 * each state login_refuse leads out: a Login Response with a status, one log line with the reason, and the end of the
 * connection; or login_lost, when the connection has ended.
 */
#ifndef ISCSI_LOGIN_H
#define ISCSI_LOGIN_H

#include "base/buf.h"
#include "base/list.h"
#include "iscsi/link/conn.h"
#include "iscsi/login/chap.h"
#include "iscsi/login/negotiate.h"
#include "iscsi/provider.h"

struct login;
struct target;

enum {
	LOGIN_RECEIVE_BYTES = 16384,
	LOGIN_FIRST_MS = 15000, /* for the first request to come */
	LOGIN_WHOLE_MS = 30000, /* from then to the full feature phase, without the time that our disk takes to open */
	LOGIN_OPEN_MS = 60000,	/* the longest that the initiator is kept waiting for a target */
	LOGIN_REQUESTS_MAX = 64,
	LOGIN_DATA_MAX = 16384, /* bytes of one PDU; §13.12 says 8192 */
};

/* Whom a login serves: those who have the targets. */
struct login_service {
	const struct iscsi_provider *provider;
	uint32_t first_statsn;
	/* The loop that owns a target. Any thread. */
	struct link_loop *(*loop_of)(const struct login_service *service, uint64_t key);
	/*
	 * It has authenticated, on the loop of its target (a discovery login: anywhere). login_succeed or
	 * login_refuse follows.
	 */
	void (*admit)(struct login *login);
};

enum login_state { LOGIN_FIRST, LOGIN_FINDING, LOGIN_STAGES, LOGIN_ADMISSION };

enum security_state { SECURITY_START, SECURITY_METHOD_CHAP, SECURITY_CHALLENGED, SECURITY_DONE };

struct login {
	const struct login_service *service;
	struct conn *conn;
	enum login_state state;
	/* from the first request */
	uint8_t isid[6];
	uint16_t tsih, cid;
	uint32_t itt;
	uint32_t cmdsn;
	char initiator[ISCSI_NAME_MAX + 1], target_name[ISCSI_NAME_MAX + 1];
	bool discovery;
	/* progress */
	unsigned requests;
	uint32_t statsn;
	int stage;
	uint8_t flags; /* of the request in hand */
	struct buf text, reply;
	struct negotiation negotiation;
	bool declared;		     /* our MaxRecvDataSegmentLength has been sent */
	bool announced;		     /* our TargetPortalGroupTag has been sent */
	struct iscsi_access *access; /* what the provider said; NULL in discovery */
	enum security_state security;
	bool authenticated;
	int chap_algorithm;
	uint8_t chap_id, chap_challenge[CHAP_CHALLENGE_BYTES];
	const struct iscsi_credential *credential; /* whose secret matched, in access */
	/* what it may begin, once authenticated */
	uint64_t boot;
	bool pending;
	/* ADMISSION: in target->waiting; lost is told when it is gone from there */
	struct list waiting_link;
	struct target *target;
	void (*lost)(struct target *target);
};

struct refusal {
	uint16_t status; /* 0: none */
	const char *reason;
};

/* The first user of a connection that was accepted. 0 or -errno. */
int login_new(struct conn *conn, const struct login_service *service);
/* Sends the refusal and ends the connection; the login is freed. reason for the log and the events. */
void login_refuse(struct login *login, uint16_t status, const char *reason);
/*
 * The session exists: the final response goes out, the login is freed. Where that works out, the StatSN that follows;
 * the connection is without a user then. False: the connection has ended.
 */
bool login_succeed(struct login *login, uint16_t tsih, uint32_t max_cmdsn, uint32_t *statsn);

/* ---- security.c: AuthMethod and CHAP (RFC 7143 §6.3.2, §12) ---- */
/* Takes the security keys of the login's text, answers in its reply, moves login->security. */
struct refusal security_step(struct login *login);
/* Whether the initiator may leave the stage (or skip it); chooses the boot that it belongs to. */
struct refusal security_finish(struct login *login);

#endif
