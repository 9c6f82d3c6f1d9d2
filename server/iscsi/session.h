/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session: one initiator port at one target (an I_T nexus), on one connection (ErrorRecoveryLevel 0, MaxConnections
 * 1).
 *
 *     LIVE -> ENDING (its connection is gone, its tasks are aborted; those that the disk has must finish) -> freed
 *
 * A task's life:
 *
 *     RECEIVING -> [HELD: a CmdSN before it is missing] -> GATHERING (Data-Out) -> READY (waits for room to answer)
 *               -> EXECUTING -> ANSWERING (its PDUs are queued) -> freed
 *
 * session.c: order and numbers; transfer.c: commands and Data-Out; answer.c: Data-In and status; task_mgmt.c, text.c,
 * misc.c (NOP, Logout, Reject, asynchronous messages): the rest. All on the loop that owns the target.
 */
#ifndef ISCSI_SESSION_H
#define ISCSI_SESSION_H

#include "iscsi/chunks.h"
#include "iscsi/conn.h"
#include "iscsi/list.h"
#include "iscsi/negotiate.h"
#include "iscsi/server.h"
#include "iscsi/wire.h"
#include "scsi/target.h"

struct hub;
struct login;
struct target;

enum {
	SESSION_WINDOW = 128, /* commands, at most */
	SESSION_WINDOW_MIN = 32,
	SESSION_UNSOLICITED_BYTES = 16 << 20, /* what the window times FirstBurstLength may come to */
	SESSION_SOLICITED_BYTES = 8 << 20, /* asked for by R2T and not yet there, unless a single command wants more */
	SESSION_UNSENT_BYTES = 1 << 20,	   /* Data-In: reads beyond it wait until some is sent */
	SESSION_IMMEDIATE_MAX = 32,	   /* immediate commands and task management at a time */
	SESSION_HELD_BYTES = 65536,	   /* data of PDUs (other than commands) that came before their turn */
	SESSION_REJECTS_MAX = 64,	   /* then the session ends */
	SESSION_PING_MS = 15000,	   /* idle for so long: NOP-In */
	SESSION_DISCOVERY_MS = 60000,	   /* a discovery session's whole life */
	MAX_SEGMENT_BYTES = MAX_RECV_DATA,
	TASK_BUCKETS = 64,
};

enum iscsi_task_state { TASK_RECEIVING, TASK_HELD, TASK_GATHERING, TASK_READY, TASK_EXECUTING, TASK_ANSWERING };

struct r2t {
	uint32_t ttt, offset, len, received, datasn;
};

struct task {
	struct task *hash_next;
	struct session *session;
	struct list link;	/* session->tasks, in the order of arrival */
	struct list ready_link; /* session->ready or session->solicit */
	enum iscsi_task_state state;
	bool immediate, decoded, aborted, abort_asked;
	bool read, write;  /* the command's R and W bits */
	bool unsolicited;  /* Data-Out PDUs without R2T are still to come (F bit) */
	enum scsi_transport_error failed; /* it will not be executed, and what still comes for it is dropped */
	uint32_t itt, cmdsn;
	uint64_t serial;       /* order of arrival at the target */
	uint32_t expected_len; /* bytes, §11.3.4 */
	uint32_t wanted;       /* bytes of Data-Out that it takes: what the command wants and the initiator has */
	uint32_t received, sent_unsolicited;
	uint32_t unsolicited_datasn;
	uint32_t asked; /* up to where R2Ts have been sent */
	uint32_t r2tsn;
	unsigned r2t_count;
	uint32_t reserved_in, reserved_out; /* bytes of session->in_flight_in and _out that are its own */
	uint32_t answers;     /* R2T and Data-In PDUs sent: ExpDataSN */
	bool answered;	      /* its place in the window is free again */
	unsigned pdus;	      /* queued */
	struct r2t r2ts[MAX_R2TS];
	struct data_out data;
	struct scsi_task scsi;
};

/* A numbered PDU that is not a command, and came before its turn. */
struct held {
	struct list link;
	uint32_t cmdsn;
	struct task *task; /* or */
	struct bhs bhs;
	size_t len;
	char data[];
};

struct session {
	struct hub *hub;
	struct conn *conn;     /* NULL when it is ending */
	struct target *target; /* NULL: discovery */
	struct list link;      /* target->sessions */
	struct list ending_link; /* hub->ending */
	struct scsi_nexus *nexus;
	uint8_t isid[6];
	uint16_t tsih, cid;
	uint64_t boot;
	bool ipxe, ending, has_read;
	char end_why[80];
	char address[PARSE_ENDPOINT_TEXT];
	char initiator[ISCSI_NAME_MAX + 1];
	struct iscsi_params params;
	int64_t since_unix_ms;
	uint64_t bytes_read, bytes_written, commands;
	uint64_t heard_ms; /* without conn: when something came last */

	/* §4.2.2 */
	uint32_t statsn, exp_cmdsn, max_cmdsn;
	unsigned window;
	unsigned numbered;  /* tasks that take a place in the window */
	unsigned immediate; /* tasks that do not */
	unsigned tmf_count; /* task management requests without a response yet */
	struct list held;   /* struct held, by CmdSN */
	size_t held_bytes;
	bool ignored; /* the PDU in hand is outside the window */
	struct task *receiving; /* the command whose PDU is in hand */

	struct list tasks;
	struct task *by_itt[TASK_BUCKETS];
	struct list ready;   /* tasks that wait for room */
	struct list solicit; /* tasks that wait to send their first R2T */
	uint32_t next_ttt;
	size_t in_flight_in;  /* Data-In: executing or unsent */
	size_t in_flight_out; /* Data-Out that R2Ts have asked for */
	unsigned rejects;

	/* text negotiation, text.c */
	uint32_t text_itt, text_ttt;
	bool text_final;			/* the request in hand may end it */
	char text_wanted[ISCSI_NAME_MAX + 1];	/* SendTargets: only this one; "" all */
	struct buf text, text_reply;
	size_t text_reply_at;

	uint32_t ping_ttt; /* of a NOP-In that waits for its answer; TAG_NONE */
	/* probe.c: who asked last, and what had been received by then */
	const void *probed_by;
	uint64_t probed_receives;
};

/* ---- session.c ---- */
/* On a target; boot as login says. NULL without memory. It is in target->sessions, and not started. */
struct session *session_new(struct target *target, const struct login *login);
/* A discovery session, which ends with its connection. */
struct session *session_new_discovery(struct conn *conn, const struct login *login);
/* The final Login Response is queued: from now on the connection is the session's. */
void session_start(struct session *session, struct conn *conn, uint32_t statsn);
/* From the connection: a header, a whole PDU, its end. */
void session_header(struct session *session, struct conn *conn);
void session_pdu(struct session *session, struct conn *conn);
void session_connection_lost(struct session *session, const char *why);
/* Ends the session: connection closed, tasks aborted. It is gone when the disk has finished with them. */
void session_end(struct session *session, const char *why);
/* Sends what is queued before. */
void session_end_after_sending(struct session *session, const char *why);
/* From the hub, for those in hub->ending: frees it when its tasks are gone. */
void session_maybe_finish(struct session *session);
/* §11.6.1: a command that will not come any more is taken for received. */
void session_skip_cmdsn(struct session *session, uint32_t cmdsn);
/* Fills StatSN (advanced: the PDU carries status), ExpCmdSN, MaxCmdSN. */
void session_number(struct session *session, struct bhs_target *bhs, bool status);
/* A PDU that answers: opcode set, final bit set. NULL without memory. */
struct bhs_target *session_answer(struct session *session, uint8_t opcode, uint32_t itt, struct pdu_out **out);
void session_info(const struct session *session, struct iscsi_session_info *info);
/* Its first READ is here. */
void session_first_read(struct session *session);
/* Time goes by. */
void session_tick(struct session *session, uint64_t now_ms);
/* When session_tick has something to do, if nothing happens until then; UINT64_MAX: never. */
uint64_t session_next_tick_ms(const struct session *session);

/* ---- transfer.c ---- */
void transfer_command_header(struct session *session, const struct bhs_scsi_command *bhs);
void transfer_command(struct session *session, struct task *task); /* its turn has come */
void transfer_data_header(struct session *session, const struct bhs_data_out *bhs);
void transfer_data(struct session *session, const struct bhs_data_out *bhs, bool digest_bad);
struct task *transfer_find(const struct session *session, uint32_t itt);
/*
 * Aborts the tasks that match: they will be gone soon, without an answer. Those that are being answered are left alone.
 */
void session_abort_tasks(struct session *session, bool (*match)(const struct task *task, const void *arg),
			 const void *arg);
/* Fails it without execution, once all data that is on its way has come. */
void transfer_fail(struct task *task, enum scsi_transport_error why);
void transfer_free(struct task *task);
/* From conn: where the bytes of the PDU in hand go. */
void transfer_take(struct task *task, size_t offset, const uint8_t *bytes, size_t len);
int transfer_slice(struct task *task, size_t offset, size_t len, struct iovec *iov, int max);

/* ---- answer.c ---- */
/* scsi_task.done */
void answer_done(struct scsi_task *scsi);
/* From conn: one of its PDUs is sent (or never will be). */
void answer_pdu_sent(struct task *task);

/* ---- task_mgmt.c ---- */
void task_mgmt_request(struct session *session, const struct bhs_task_request *bhs);
/* A task of the target is gone, or a session: requests that wait for it may be complete. */
void task_mgmt_advance(struct target *target);
void task_mgmt_forget_session(struct session *session);

/* ---- text.c ---- */
void text_request(struct session *session, const struct bhs *bhs, const char *data, size_t len);
void text_fini(struct session *session);

/* ---- misc.c ---- */
void nop_out(struct session *session, const struct bhs *bhs, const char *data, size_t len);
void nop_ping(struct session *session);
void logout_request(struct session *session, const struct bhs_logout_request *bhs);
void session_reject(struct session *session, uint8_t reason, const struct bhs *rejected);
/* Reports a SCSI event (§11.9.1 event 0); not to iPXE. */
void async_scsi_event(struct session *session, const uint8_t lun[8], const void *sense, size_t len);
/* Asks the initiator to log out within seconds (§11.9.1 event 1); not iPXE. */
void async_request_logout(struct session *session, unsigned seconds);

#endif
