/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The login phase of one connection (RFC 7143 §6.3, §11.12, §11.13).
 *
 *     FIRST -> FINDING (the provider is asked about the target; the connection moves to its loop)
 *           -> STAGES (security, operational; as often as it takes) -> ADMISSION (the target is made ready)
 *           -> full feature
 *
 * A discovery login names no target: FIRST -> STAGES -> full feature, on the loop that accepted it.
 * Every refusal is a Login Response with a status, one log line with the reason, and the end of the connection.
 */
#ifndef ISCSI_LOGIN_H
#define ISCSI_LOGIN_H

#include "base/buf.h"
#include "iscsi/chap.h"
#include "iscsi/list.h"
#include "iscsi/negotiate.h"
#include "iscsi/server.h"

struct conn;
struct session;
struct target;

enum {
	LOGIN_FIRST_MS = 15000, /* for the first request to come */
	LOGIN_WHOLE_MS = 30000, /* from then to the full feature phase, without the time that our disk takes to open */
	LOGIN_OPEN_MS = 60000,	/* the longest that the initiator is kept waiting for a target */
	LOGIN_REQUESTS_MAX = 64,
	LOGIN_DATA_MAX = 16384, /* bytes of one PDU; §13.12 says 8192 */
};

enum login_state { LOGIN_FIRST, LOGIN_FINDING, LOGIN_STAGES, LOGIN_ADMISSION };

enum security_state { SECURITY_START, SECURITY_METHOD_CHAP, SECURITY_CHALLENGED, SECURITY_DONE };

struct login {
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
	bool declared;	/* our MaxRecvDataSegmentLength has been sent */
	bool announced; /* our TargetPortalGroupTag has been sent */
	struct iscsi_access *access; /* what the provider said; NULL in discovery */
	enum security_state security;
	bool authenticated;
	int chap_algorithm;
	uint8_t chap_id, chap_challenge[CHAP_CHALLENGE_BYTES];
	const struct iscsi_credential *credential; /* whose secret matched, in access */
	/* what it may begin, once authenticated */
	uint64_t boot;
	bool pending;
	/* in target->waiting */
	struct list waiting_link;
	struct target *target;
};

int login_new(struct conn *conn);
void login_free(struct login *login);
/* The connection is closed. */
void login_abandon(struct login *login);
/* A header has come; a PDU has come whole (its data in conn->segment). */
void login_header(struct login *login);
void login_pdu(struct login *login);
/* Sends the refusal and ends the connection. reason for the log and the events. */
void login_refuse(struct login *login, uint16_t status, const char *reason);
/* The target is ready and session exists: the final response goes out, the login is freed. */
void login_succeed(struct login *login, struct session *session);

#endif
