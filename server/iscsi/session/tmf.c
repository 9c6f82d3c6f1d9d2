// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Task management (RFC 7143 §4.2.3, §11.5, §11.6).
 *
 * A request marks the tasks it concerns, and its response waits until they are gone: what the disk has in hand has then
 * happened or never will (design.md). Tasks that are being answered have completed: their status goes out before the
 * response. What the initiator still sends for aborted tasks is dropped (data_out.c), so nobody need wait for it
 * (§4.2.3.3).
 */
#include "iscsi/session/session.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct tmf {
	struct list link;	 /* port->tmfs */
	struct session *session; /* NULL: nobody waits for the response any more */
	struct scsi_nexus *nexus;
	uint8_t function;
	uint8_t lun[8];
	uint32_t itt, ref_itt;
	uint64_t serial; /* tasks that came before it */
};

/* SAM-5 §4.7.7: the same logical unit may be named by more than one addressing method. */
static unsigned lun_number(const uint8_t lun[8])
{
	return (lun[0] >> 6) <= 1 ? ((lun[0] & 0x3fu) << 8) | lun[1] : 0x10000u | (unsigned)lun[0] << 8 | lun[1];
}

static bool match_lun(const struct iscsi_task *task, const void *arg)
{
	const struct tmf *tmf = arg;

	return task->serial < tmf->serial && lun_number(task->scsi.lun) == lun_number(tmf->lun);
}

static bool match_before(const struct iscsi_task *task, const void *arg)
{
	const struct tmf *tmf = arg;

	return task->serial < tmf->serial;
}

static bool match_one(const struct iscsi_task *task, const void *arg)
{
	const struct tmf *tmf = arg;

	return task->itt == tmf->ref_itt;
}

static void respond(struct session *session, uint32_t itt, uint8_t response)
{
	struct pdu_out *out;
	struct bhs_target *bhs = session_answer(session, OP_TASK_RESPONSE, itt, &out);

	if (!bhs)
		return;
	bhs->specific[0] = response;
	session_number(session, bhs, true);
	conn_queue(session->conn, out);
}

static void abort_in_all(struct target_port *port, bool (*match)(const struct iscsi_task *, const void *),
			 const struct tmf *tmf)
{
	list_each(link, next, &port->sessions) session_abort_tasks(list_entry(link, struct session, link), match, tmf);
}

/* §11.6.1: the task is there; it never came, and will not; or it is over. */
static uint8_t abort_one(struct session *session, const struct tmf *tmf, const struct bhs_task_request *bhs)
{
	uint32_t ref = be32_get(bhs->ref_cmdsn);
	struct iscsi_task *task = session_find_task(session, tmf->ref_itt);

	if (task && lun_number(task->scsi.lun) != lun_number(tmf->lun))
		return TMF_NO_TASK;
	if (task && task->state != TASK_ANSWERING) {
		session_abort_tasks(session, match_one, tmf);
		return TMF_COMPLETE;
	}
	if (!task && !serial_before(ref, session->exp_cmdsn) && !serial_before(session->max_cmdsn, ref) &&
	    serial_before(ref, be32_get(bhs->cmdsn))) {
		session_skip_cmdsn(session, ref);
		return TMF_COMPLETE;
	}
	return TMF_NO_TASK;
}

/*
 * What is marked at once. TMF_COMPLETE: the response follows when the marked tasks are gone; anything else is the
 * response.
 */
static uint8_t begin(struct session *session, const struct tmf *tmf, const struct bhs_task_request *bhs)
{
	struct target_port *port = session->port;
	bool lun_exists = scsi_lun_exists(port->scsi, tmf->lun);

	switch (tmf->function) {
	case TMF_ABORT_TASK:
		return lun_exists ? abort_one(session, tmf, bhs) : TMF_NO_LUN;
	case TMF_ABORT_TASK_SET:
		if (!lun_exists)
			return TMF_NO_LUN;
		session_abort_tasks(session, match_lun, tmf);
		return TMF_COMPLETE;
	case TMF_CLEAR_TASK_SET:
		if (!lun_exists)
			return TMF_NO_LUN;
		/* While the tasks of others are still there: those are told (COMMANDS CLEARED BY ANOTHER INITIATOR). */
		scsi_task_set_cleared(port->scsi, tmf->lun, session->nexus);
		abort_in_all(port, match_lun, tmf);
		return TMF_COMPLETE;
	case TMF_LUN_RESET:
		if (!lun_exists)
			return TMF_NO_LUN;
		abort_in_all(port, match_lun, tmf);
		return TMF_COMPLETE;
	case TMF_TARGET_WARM_RESET:
	case TMF_TARGET_COLD_RESET:
		abort_in_all(port, match_before, tmf);
		return TMF_COMPLETE;
	case TMF_TASK_REASSIGN: /* ErrorRecoveryLevel 2 */
		return TMF_NO_REASSIGN;
	default: /* CLEAR ACA: NormACA is 0 */
		return TMF_UNSUPPORTED;
	}
}

void tmf_request(struct session *session, const struct bhs_task_request *bhs)
{
	struct tmf *tmf;
	uint8_t response;
	uint32_t itt = be32_get(bhs->itt);

	if (itt == TAG_NONE || session_find_task(session, itt)) {
		session_reject(session, itt == TAG_NONE ? REJECT_INVALID_FIELD : REJECT_TASK_IN_PROGRESS,
			       (const struct bhs *)bhs);
		return;
	}
	if (session->tmf_count >= SESSION_IMMEDIATE_MAX) {
		session_reject(session, REJECT_TOO_MANY_IMMEDIATE, (const struct bhs *)bhs);
		return;
	}
	tmf = calloc(1, sizeof(*tmf));
	if (!tmf) {
		session_end(session, "out of memory");
		return;
	}
	tmf->session = session;
	tmf->nexus = session->nexus;
	tmf->function = bhs->function & 0x7f;
	memcpy(tmf->lun, bhs->lun, sizeof(tmf->lun));
	tmf->itt = itt;
	tmf->ref_itt = be32_get(bhs->ref_itt);
	tmf->serial = session->port->next_serial;
	response = begin(session, tmf, bhs);
	log_debug("iscsi: %s: task management function %u: %u", session->initiator, tmf->function, response);
	if (response != TMF_COMPLETE) {
		respond(session, itt, response);
		free(tmf);
		return;
	}
	session->tmf_count++;
	list_append(&session->port->tmfs, &tmf->link);
	session->port->changed(session->port);
}

/* Whether tasks that were aborted before it came, or by it, are still there. Later ones do not concern it. */
static bool must_wait(const struct target_port *port, const struct tmf *tmf)
{
	list_each(link, next, &port->sessions)
	{
		const struct session *session = list_entry(link, struct session, link);

		list_each(task_link, task_next, &session->tasks)
		{
			const struct iscsi_task *task = list_entry(task_link, struct iscsi_task, link);

			if (task->aborted && task->serial < tmf->serial)
				return true;
		}
	}
	return false;
}

static void complete(struct target_port *port, const struct tmf *tmf)
{
	struct session *session = tmf->session;

	switch (tmf->function) {
	case TMF_LUN_RESET:
		scsi_lun_reset(port->scsi, tmf->lun, tmf->nexus);
		break;
	case TMF_TARGET_WARM_RESET:
	case TMF_TARGET_COLD_RESET:
		scsi_target_reset(port->scsi, tmf->nexus);
		break;
	default:
		break;
	}
	if (session) {
		session->tmf_count--;
		respond(session, tmf->itt, TMF_COMPLETE);
	}
	if (tmf->function != TMF_TARGET_COLD_RESET)
		return;
	/* §11.5.1: all sessions end; who asked for it gets the response first. */
	list_each(link, next, &port->sessions)
	{
		struct session *each = list_entry(link, struct session, link);

		if (each == session)
			session_end_after_sending(each, "target cold reset");
		else
			session_end(each, "target cold reset");
	}
}

void tmf_advance(struct target_port *port)
{
	/* In the order in which they came: an abort is not overtaken by a reset. */
	while (!list_empty(&port->tmfs)) {
		struct tmf *tmf = list_entry(port->tmfs.next, struct tmf, link);

		if (must_wait(port, tmf))
			return;
		list_remove(&tmf->link);
		complete(port, tmf);
		free(tmf);
	}
}

void tmf_forget_session(struct session *session)
{
	if (!session->port)
		return;
	list_each(link, next, &session->port->tmfs)
	{
		struct tmf *tmf = list_entry(link, struct tmf, link);

		if (tmf->session == session) {
			tmf->session = NULL;
			tmf->nexus = NULL;
		}
	}
}
