/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session: one initiator port at one target port (an I_T nexus), on one connection (ErrorRecoveryLevel 0,
 * MaxConnections 1).
 *
 *     session_new --session_start--> LIVE --session_lost--> ENDING (its tasks are aborted; those that the disk has must
 *     finish) --session_maybe_finish--> freed
 *
 * The life of one command, a task:
 *
 *     command_header            RECEIVING
 *     hold                        -> HELD: a CmdSN before it is missing; release_held goes on
 *     command_begin               -> GATHERING (Data-Out)
 *     command_advance             -> READY (waits for room to answer), or scsi_task_fail
 *     command_pump                -> EXECUTING
 *     response_done                 -> ANSWERING (its PDUs are queued)
 *     response_sent, or session_abort_tasks and response_done -> command_free
 *
 * From below: reply.c, what is sent and how it is numbered; command.c, data_out.c, response.c, a command from its header
 * to its status; tmf.c, text.c, nop_logout.c, the other requests; order.c, whose turn it is; session.c, the life of a
 * session. All on the loop that owns the target.
 */
#ifndef ISCSI_SESSION_H
#define ISCSI_SESSION_H

#include "base/list.h"
#include "iscsi/link/chunks.h"
#include "iscsi/link/conn.h"
#include "iscsi/link/link_loop.h"
#include "iscsi/login/negotiate.h"
#include "iscsi/provider.h"
#include "scsi/target.h"

struct login;

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
	TASK_BUCKETS = 64,
};

enum iscsi_task_state { TASK_RECEIVING, TASK_HELD, TASK_GATHERING, TASK_READY, TASK_EXECUTING, TASK_ANSWERING };

struct r2t {
	uint32_t ttt, offset, len, received, datasn;
};

struct iscsi_task {
	struct iscsi_task *hash_next;
	struct session *session;
	struct list link;	/* session->tasks, in the order of arrival */
	struct list ready_link; /* session->ready or session->solicit */
	enum iscsi_task_state state;
	bool immediate, decoded, aborted, abort_asked;
	bool read, write;		  /* the command's R and W bits */
	bool unsolicited;		  /* Data-Out PDUs without R2T are still to come (F bit) */
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
	uint32_t answers;		    /* R2T and Data-In PDUs sent: ExpDataSN */
	bool answered;			    /* its place in the window is free again */
	unsigned pdus;			    /* queued */
	struct r2t r2ts[MAX_R2TS];
	struct data_out data;
	struct scsi_task scsi;
};

/* A PDU that came before its turn. */
struct held {
	struct list link;
	uint32_t cmdsn;
	struct iscsi_task *task; /* a command; NULL: another numbered request, and what it has */
	struct bhs bhs;
	size_t len;
	char data[];
};

/* What the sessions of one loop share. */
struct session_loop {
	struct link_loop *link;
	const struct iscsi_provider *provider;
	const char *advertise; /* SendTargets: NULL, the address that the client reached */
	struct list ending;    /* sessions that wait for their last tasks */
	struct chunk_pool chunks;
	struct free_list tasks;
};

/* A target as its sessions see it (SAM-5: the target port of their nexuses). */
struct target_port {
	uint64_t key;
	char iqn[ISCSI_NAME_MAX + 1];
	struct scsi_target *scsi; /* while there are sessions, and perhaps longer */
	struct list sessions;	  /* struct session, live or ending */
	struct list tmfs;	  /* struct tmf, tmf.c */
	uint64_t next_serial;	  /* of tasks */
	uint16_t last_tsih;
	uint64_t used_ms[ISCSI_LUNS]; /* when a session last began to read, write or flush one (time_monotonic_ms) */
	/* A session is gone, or a task that was aborted, or a task management request has come. */
	void (*changed)(struct target_port *port);
};

struct session {
	struct session_loop *loop;
	struct conn *conn;	  /* NULL when it is ending */
	struct target_port *port; /* NULL: discovery */
	struct list link;	  /* port->sessions */
	struct list ending_link;  /* loop->ending */
	struct scsi_nexus *nexus;
	uint8_t isid[6];
	uint16_t tsih, cid;
	uint64_t boot;
	bool ipxe, ending, has_read;
	char end_why[80];
	char address[PARSE_ENDPOINT_TEXT], portal[PARSE_ENDPOINT_TEXT]; /* the two ends of its connection */
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
	bool ignored;		      /* the PDU in hand is outside the window */
	struct iscsi_task *receiving; /* the command whose PDU is in hand */

	struct list tasks;
	struct iscsi_task *by_itt[TASK_BUCKETS];
	struct list ready;   /* tasks that wait for room */
	struct list solicit; /* tasks that wait to send their first R2T */
	uint32_t next_ttt;
	size_t in_flight_in;  /* Data-In: executing or unsent */
	size_t in_flight_out; /* Data-Out that R2Ts have asked for */
	unsigned rejects;

	/* text negotiation, text.c */
	uint32_t text_itt, text_ttt;
	bool text_final;		      /* the request in hand may end it */
	char text_wanted[ISCSI_NAME_MAX + 1]; /* SendTargets: only this one; "" all */
	struct buf text, text_reply;
	size_t text_reply_at;

	uint32_t ping_ttt; /* of a NOP-In that waits for its answer; TAG_NONE */
	/* target/alive.c: who asked last whether somebody is there, and what had been received by then */
	const void *asked_by;
	uint64_t asked_receives;
};

/* ---- session.c ---- */
void session_loop_init(struct session_loop *loop, struct link_loop *link, const struct iscsi_provider *provider,
		       const char *advertise);
void session_loop_fini(struct session_loop *loop);
/*
 * What a login asked for, at a port (NULL: discovery). NULL without memory. It is in port->sessions, and not started:
 * session_start or session_lost follows.
 */
struct session *session_new(struct session_loop *loop, struct target_port *port, const struct login *login);
/* The final Login Response is queued: from now on the connection is the session's. */
void session_start(struct session *session, struct conn *conn, uint32_t statsn);
/* It has no connection (any more): its tasks are aborted, and it is gone when the disk has finished with them. */
void session_lost(void *session, const char *why);
/* Before the loop sleeps: those in loop->ending whose tasks are gone are freed. */
void session_finish_all(struct session_loop *loop);
/* Whose session a connection is; NULL: it is in its login, or at its end. */
struct session *session_of(const struct conn *conn);

/* ---- order.c ---- */
/* For struct conn_user: a header, a whole PDU. */
void session_header(void *session);
void session_pdu(void *session);
/* §11.6.1: a command that will not come any more is taken for received. */
void session_skip_cmdsn(struct session *session, uint32_t cmdsn);
void session_drop_held(struct session *session);

/* ---- command.c ---- */
struct iscsi_task *session_find_task(const struct session *session, uint32_t itt);
void command_header(struct session *session, const struct bhs_scsi_command *bhs);
/* Its turn has come. */
void command_begin(struct session *session, struct iscsi_task *task);
/* Data has come for it, or it has failed: what next? */
void command_advance(struct iscsi_task *task);
/* It fails without execution, once all data that is on its way has come. */
void command_fail(struct iscsi_task *task, enum scsi_transport_error why);
/* The session forgets it: its place in the window, its memory, what it was to bring. */
void command_free(struct iscsi_task *task);
/*
 * Aborts the tasks that match: they will be gone soon, without an answer. Those that are being answered are left alone.
 */
void session_abort_tasks(struct session *session, bool (*match)(const struct iscsi_task *task, const void *arg),
			 const void *arg);

/* ---- data_out.c ---- */
/* R2Ts for what is still missing, as far as MaxOutstandingR2T and the session's memory allow. */
void data_out_solicit(struct iscsi_task *task);
/* Memory has become free: commands that wait for it send their first R2T. */
void data_out_solicit_next(struct session *session);
/* The data segment in hand is the task's, as far as the command takes it. */
void data_out_sink(struct iscsi_task *task, uint32_t offset, uint32_t len);
void data_out_header(struct session *session, const struct bhs_data_out *bhs);
void data_out_pdu(struct session *session, const struct bhs_data_out *bhs, bool digest_bad);
/* For struct conn_user: where the bytes of the PDU in hand go. */
void data_out_take(void *task, size_t offset, const uint8_t *bytes, size_t len);
int data_out_room(void *task, size_t offset, size_t len, struct iovec *iov, int max);

/* ---- response.c ---- */
/* scsi_task.done */
void response_done(struct scsi_task *scsi);
/* For struct conn_user: one of the task's PDUs is sent (or never will be). */
void response_sent(void *task);

/* ---- tmf.c: task management functions ---- */
void tmf_request(struct session *session, const struct bhs_task_request *bhs);
/* A task is gone, or a session: requests that wait for it may be complete. */
void tmf_advance(struct target_port *port);
void tmf_forget_session(struct session *session);

/* ---- text.c ---- */
void text_request(struct session *session, const struct bhs *bhs, const char *data, size_t len);
void text_fini(struct session *session);

/* ---- nop_logout.c ---- */
void nop_out(struct session *session, const struct bhs *bhs, const char *data, size_t len);
void nop_ping(struct session *session);
void logout_request(struct session *session, const struct bhs_logout_request *bhs);

/* ---- reply.c ---- */
/* MaxCmdSN, as far as the window allows. */
void session_advance_window(struct session *session);
/* A Target Transfer Tag, or that of a text or a ping. */
uint32_t session_next_ttt(struct session *session);
/* Fills StatSN (advanced: the PDU carries status), ExpCmdSN, MaxCmdSN. */
void session_number(struct session *session, struct bhs_target *bhs, bool status);
/* A PDU that answers: opcode set, final bit set. NULL without memory. */
struct bhs_target *session_answer(struct session *session, uint8_t opcode, uint32_t itt, struct pdu_out **out);
void session_reject(struct session *session, uint8_t reason, const struct bhs *rejected);
/* Reports a SCSI event (§11.9.1 event 0); not to iPXE. */
void async_scsi_event(struct session *session, const uint8_t lun[8], const void *sense, size_t len);
/* Asks the initiator to log out within seconds (§11.9.1 event 1); not iPXE. */
void async_request_logout(struct session *session, unsigned seconds);
/* Ends the session: connection closed, tasks aborted. It is gone when the disk has finished with them. */
void session_end(struct session *session, const char *why);
/* Sends what is queued before. */
void session_end_after_sending(struct session *session, const char *why);
void session_info(const struct session *session, struct iscsi_session_info *info);
/* An event of the provider's, which may be NULL. */
void session_tell(const struct session *session, void (*event)(void *arg, const struct iscsi_session_info *session));

#endif
