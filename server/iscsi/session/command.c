// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Commands (RFC 7143 §11.3), from the header to their execution, and their abort. Reads that would make more than
 * SESSION_UNSENT_BYTES wait in session->ready.
 */
#include "iscsi/session/session.h"

#include <limits.h>
#include <string.h>

struct iscsi_task *session_find_task(const struct session *session, uint32_t itt)
{
	struct iscsi_task *task = session->by_itt[itt % TASK_BUCKETS];

	while (task && task->itt != itt)
		task = task->hash_next;
	return task;
}

static struct iscsi_task *task_new(struct session *session, const struct bhs_scsi_command *bhs)
{
	struct iscsi_task *task = free_list_get(&session->loop->tasks, sizeof(*task)), **bucket;

	if (!task)
		return NULL;
	memset(task, 0, offsetof(struct iscsi_task, r2ts));
	task->session = session;
	task->itt = be32_get(bhs->itt);
	task->cmdsn = be32_get(bhs->cmdsn);
	task->expected_len = be32_get(bhs->expected_len);
	task->immediate = bhs->opcode & OP_IMMEDIATE;
	task->read = bhs->flags & CMD_READ;
	task->write = bhs->flags & CMD_WRITE;
	task->serial = session->port->next_serial++;
	list_init(&task->ready_link);
	list_append(&session->tasks, &task->link);
	bucket = &session->by_itt[task->itt % TASK_BUCKETS];
	task->hash_next = *bucket;
	*bucket = task;
	if (task->immediate)
		session->immediate++;
	else
		session->numbered++;
	return task;
}

static void command_pump(struct session *session);

void command_free(struct iscsi_task *task)
{
	struct session *session = task->session;
	struct iscsi_task **at = &session->by_itt[task->itt % TASK_BUCKETS];

	while (*at != task)
		at = &(*at)->hash_next;
	*at = task->hash_next;
	list_remove(&task->link);
	list_remove(&task->ready_link);
	if (!task->answered && task->immediate)
		session->immediate--;
	else if (!task->answered)
		session->numbered--;
	if (session->receiving == task)
		session->receiving = NULL;
	if (session->conn)
		conn_forget_sink(session->conn, task);
	session->in_flight_in -= task->reserved_in;
	session->in_flight_out -= task->reserved_out;
	if (task->decoded)
		scsi_task_release(&task->scsi);
	data_out_fini(&task->data, &session->loop->chunks);
	if (task->aborted)
		session->port->changed(session->port);
	free_list_put(&session->loop->tasks, task, UINT_MAX);
	command_pump(session);
}

void command_fail(struct iscsi_task *task, enum scsi_transport_error why)
{
	if (!task->failed) /* the first reason is the true one */
		task->failed = why;
}

/* ---- execution ---- */

static void execute(struct iscsi_task *task)
{
	struct session *session = task->session;
	struct scsi_task *scsi = &task->scsi;

	task->state = TASK_EXECUTING;
	scsi->out = task->data.pieces;
	scsi->out_count = (int)task->data.count;
	scsi->out_len = task->wanted;
	scsi->out_expected = task->write ? task->expected_len : 0;
	if (!session->has_read && scsi_task_is_read(scsi)) {
		session->has_read = true;
		session_tell(session, session->loop->provider->first_read);
	}
	if (scsi->medium >= 0)
		session->port->used_ms[scsi->medium] = session->conn->last_rx_ms;
	scsi_task_execute(scsi);
}

/* Starts what had to wait for room. */
static void command_pump(struct session *session)
{
	while (!session->ending && !list_empty(&session->ready)) {
		struct iscsi_task *task = list_entry(session->ready.next, struct iscsi_task, ready_link);
		uint32_t len = task->read ? (uint32_t)min_u64(task->expected_len, task->scsi.data_in_len) : 0;

		if (len && session->in_flight_in && session->in_flight_in + len > SESSION_UNSENT_BYTES)
			return;
		list_remove(&task->ready_link);
		session->in_flight_in += len;
		task->reserved_in = len;
		execute(task);
	}
}

void command_advance(struct iscsi_task *task)
{
	struct session *session = task->session;

	if (task->unsolicited)
		return; /* §11.3.1: the F bit will say when that ends */
	if (task->failed) {
		/* §7.8: only when all that was asked for has come */
		if (!task->r2t_count)
			scsi_task_fail(&task->scsi, task->failed);
		return;
	}
	if (task->received < task->wanted) {
		data_out_solicit(task);
		return;
	}
	session->in_flight_out -= task->reserved_out;
	task->reserved_out = 0;
	task->state = TASK_READY;
	list_append(&session->ready, &task->ready_link);
	command_pump(session);
	data_out_solicit_next(session);
}

void command_begin(struct session *session, struct iscsi_task *task)
{
	session->commands++;
	task->state = TASK_GATHERING;
	command_advance(task);
}

/* ---- its PDU ---- */

static bool take_cdb(struct session *session, struct iscsi_task *task, const struct bhs_scsi_command *bhs)
{
	static const enum scsi_attribute attributes[8] = { SCSI_UNTAGGED, SCSI_SIMPLE, SCSI_ORDERED, SCSI_HEAD_OF_QUEUE,
							   SCSI_ACA,	  SCSI_SIMPLE, SCSI_SIMPLE,  SCSI_SIMPLE };
	struct scsi_task *scsi = &task->scsi;
	const uint8_t *more;
	size_t more_len;

	memset(scsi, 0, offsetof(struct scsi_task, cdb));
	scsi->nexus = session->nexus;
	scsi->tag = task->itt;
	scsi->done = response_done;
	scsi->user = task;
	memcpy(scsi->lun, bhs->lun, sizeof(scsi->lun));
	memcpy(scsi->cdb, bhs->cdb, sizeof(bhs->cdb));
	scsi->cdb_len = sizeof(bhs->cdb);
	scsi->attribute = attributes[bhs->flags & CMD_ATTRIBUTE];
	if (!pdu_in_ahs(&session->conn->in, AHS_EXTENDED_CDB, &more, &more_len) ||
	    more_len > SCSI_CDB_MAX - sizeof(bhs->cdb))
		return false;
	if (more)
		memcpy(scsi->cdb + sizeof(bhs->cdb), more, more_len);
	scsi->cdb_len += more_len;
	return true;
}

/* §11.3.4, §11.4.7.2: unsolicited data that was not agreed on, or more of it than there is. */
static void check_immediate(struct iscsi_task *task, uint32_t len, bool final)
{
	const struct iscsi_params *params = &task->session->params;

	if (task->read && task->write)
		command_fail(task, SCSI_BIDIRECTIONAL);
	if (len && (!task->write || !params->immediate_data))
		command_fail(task, SCSI_UNEXPECTED_DATA);
	if (!final && (!task->write || params->initial_r2t))
		command_fail(task, SCSI_UNEXPECTED_DATA);
	if (len > params->first_burst || len > task->expected_len)
		command_fail(task, SCSI_WRONG_DATA_AMOUNT);
}

/* 0, or why the command is rejected. */
static uint8_t refuse_command(const struct session *session, const struct bhs_scsi_command *bhs)
{
	uint32_t itt = be32_get(bhs->itt);

	if (itt == TAG_NONE)
		return REJECT_INVALID_FIELD;
	if (session_find_task(session, itt))
		return REJECT_TASK_IN_PROGRESS;
	if ((bhs->opcode & OP_IMMEDIATE) && session->immediate >= SESSION_IMMEDIATE_MAX)
		return REJECT_TOO_MANY_IMMEDIATE;
	return 0;
}

void command_header(struct session *session, const struct bhs_scsi_command *bhs)
{
	uint32_t len = be24_get(bhs->data_len);
	bool final = bhs->flags & FLAG_FINAL;
	uint8_t refused = refuse_command(session, bhs);
	struct iscsi_task *task;

	if (session->loop->link->stopping) {
		session->ignored = true; /* the initiator will send it again, to whoever comes after us */
		return;
	}
	if (refused) {
		session_reject(session, refused, (const struct bhs *)bhs);
		return;
	}
	task = task_new(session, bhs);
	if (!task) {
		session_reject(session, REJECT_OUT_OF_RESOURCES, (const struct bhs *)bhs);
		return;
	}
	session->receiving = task;
	data_out_init(&task->data, 0);
	if (!take_cdb(session, task, bhs)) {
		session_reject(session, REJECT_INVALID_FIELD, (const struct bhs *)bhs);
		command_free(task);
		return;
	}
	scsi_task_decode(&task->scsi);
	task->decoded = true;
	if (task->write)
		task->wanted = (uint32_t)min_u64(task->expected_len, task->scsi.data_out_len);
	if (data_out_init(&task->data, task->wanted)) {
		task->wanted = 0;
		command_fail(task, SCSI_NO_MEMORY);
	}
	check_immediate(task, len, final);
	task->unsolicited = !final && task->write && !session->params.initial_r2t;
	data_out_sink(task, 0, len);
	task->sent_unsolicited = len;
	task->received = (uint32_t)min_u64(len, task->wanted);
}

/* ---- abort ---- */

static void abort_now(struct iscsi_task *task)
{
	struct session *session = task->session;

	if (task->state == TASK_EXECUTING) {
		scsi_task_abort(&task->scsi);
		return;
	}
	/* One that waits for its turn leaves its number behind. */
	list_each(link, next, &session->held)
	{
		struct held *held = list_entry(link, struct held, link);

		if (held->task == task)
			held->task = NULL;
	}
	command_free(task);
}

void session_abort_tasks(struct session *session, bool (*match)(const struct iscsi_task *task, const void *arg),
			 const void *arg)
{
	struct iscsi_task *victim;

	/* All are marked first: aborting one must not start another that is next. */
	list_each(link, next, &session->tasks)
	{
		struct iscsi_task *task = list_entry(link, struct iscsi_task, link);

		if (task->state == TASK_ANSWERING || task->aborted || !match(task, arg))
			continue;
		task->aborted = true;
		list_remove(&task->ready_link);
	}
	/* Any of these steps may free any task: from the start each time. */
	do {
		victim = NULL;
		list_each(link, next, &session->tasks)
		{
			struct iscsi_task *task = list_entry(link, struct iscsi_task, link);

			if (!task->aborted || task->abort_asked)
				continue;
			victim = task;
			break;
		}
		if (victim) {
			victim->abort_asked = true;
			abort_now(victim);
		}
	} while (victim);
	data_out_solicit_next(session);
}
