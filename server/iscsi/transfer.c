// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Commands and their Data-Out (RFC 7143 §11.3, §11.7, §11.8): immediate and unsolicited data, R2T, and the start of
 * execution.
 *
 * Memory: unsolicited data is bounded by the command window (session.c chooses it by FirstBurstLength); solicited data
 * by SESSION_SOLICITED_BYTES: a command whose data does not fit sends its first R2T later. Reads that would make more
 * than SESSION_UNSENT_BYTES wait in session->ready.
 *
 * Data-Out for a task that is not there is dropped without a word: it is what an initiator has sent for a command that
 * was aborted or has failed. TTTs are never used twice in a row, so it cannot be taken for somebody else's.
 */
#include "iscsi/session.h"

#include "base/log.h"
#include "iscsi/hub.h"
#include "iscsi/target.h"

#include <limits.h>
#include <string.h>

struct task *transfer_find(const struct session *session, uint32_t itt)
{
	struct task *task = session->by_itt[itt % TASK_BUCKETS];

	while (task && task->itt != itt)
		task = task->hash_next;
	return task;
}

static struct task *task_new(struct session *session, const struct bhs_scsi_command *bhs)
{
	struct hub *hub = session->hub;
	struct task *task = spares_get(&hub->tasks, sizeof(*task)), **bucket;

	if (!task)
		return NULL;
	memset(task, 0, offsetof(struct task, r2ts));
	task->session = session;
	task->itt = be32_get(bhs->itt);
	task->cmdsn = be32_get(bhs->cmdsn);
	task->expected_len = be32_get(bhs->expected_len);
	task->immediate = bhs->opcode & OP_IMMEDIATE;
	task->read = bhs->flags & CMD_READ;
	task->write = bhs->flags & CMD_WRITE;
	task->serial = session->target->next_serial++;
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

/* Starts what had to wait for room. */
static void transfer_pump(struct session *session);

/* The session forgets it: its place in the window, its memory, what it was to bring. */
void transfer_free(struct task *task)
{
	struct session *session = task->session;
	struct task **at = &session->by_itt[task->itt % TASK_BUCKETS];

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
		conn_forget_task(session->conn, task);
	session->in_flight_in -= task->reserved_in;
	session->in_flight_out -= task->reserved_out;
	if (task->decoded)
		scsi_task_release(&task->scsi);
	data_out_fini(&task->data, &session->hub->chunks);
	if (task->aborted)
		target_kick(session->target);
	spares_put(&session->hub->tasks, task, UINT_MAX);
	transfer_pump(session);
}

void transfer_fail(struct task *task, enum scsi_transport_error why)
{
	if (!task->failed) /* the first reason is the true one */
		task->failed = why;
}

/* ---- execution ---- */

static void execute(struct task *task)
{
	struct scsi_task *scsi = &task->scsi;

	task->state = TASK_EXECUTING;
	scsi->out = task->data.pieces;
	scsi->out_count = (int)task->data.count;
	scsi->out_len = task->wanted;
	scsi->out_expected = task->write ? task->expected_len : 0;
	task->session->bytes_written += task->wanted;
	if (!task->session->has_read && scsi_task_is_read(scsi))
		session_first_read(task->session);
	if (scsi->medium >= 0)
		task->session->target->used_ms[scsi->medium] = task->session->conn->last_rx_ms;
	scsi_task_execute(scsi);
}

static void transfer_pump(struct session *session)
{
	while (!session->ending && !list_empty(&session->ready)) {
		struct task *task = list_entry(session->ready.next, struct task, ready_link);
		uint32_t len = task->read ? (uint32_t)min_u64(task->expected_len, task->scsi.data_in_len) : 0;

		if (len && session->in_flight_in && session->in_flight_in + len > SESSION_UNSENT_BYTES)
			return;
		list_remove(&task->ready_link);
		session->in_flight_in += len;
		task->reserved_in = len;
		execute(task);
	}
}

/* ---- R2T ---- */

static void send_r2t(struct task *task, uint32_t len)
{
	struct session *session = task->session;
	struct r2t *r2t = &task->r2ts[task->r2t_count];
	struct pdu_out *out;
	struct bhs_r2t *bhs = (struct bhs_r2t *)session_answer(session, OP_R2T, task->itt, &out);

	if (!bhs)
		return;
	*r2t = (struct r2t){ .ttt = session->next_ttt++, .offset = task->asked, .len = len };
	if (session->next_ttt == TAG_NONE)
		session->next_ttt = 0;
	task->r2t_count++;
	task->asked += len;
	memcpy(bhs->lun, task->scsi.lun, sizeof(bhs->lun));
	bhs->ttt = be32_put(r2t->ttt);
	session_number(session, (struct bhs_target *)bhs, false);
	bhs->r2tsn = be32_put(task->r2tsn++);
	bhs->offset = be32_put(r2t->offset);
	bhs->length = be32_put(len);
	task->answers++;
	conn_queue(session->conn, out);
}

/* Asks for what is still missing, as far as MaxOutstandingR2T and the session's memory allow. */
static void solicit(struct task *task)
{
	struct session *session = task->session;
	const struct iscsi_params *params = &session->params;

	if (!task->reserved_out) {
		uint32_t need = task->wanted - task->received;

		if (session->in_flight_out && session->in_flight_out + need > SESSION_SOLICITED_BYTES) {
			if (!list_linked(&task->ready_link))
				list_append(&session->solicit, &task->ready_link);
			return;
		}
		session->in_flight_out += need;
		task->reserved_out = need;
		task->asked = task->received;
	}
	while (session->conn && task->r2t_count < params->max_r2ts && task->asked < task->wanted)
		send_r2t(task, (uint32_t)min_u64(params->max_burst, task->wanted - task->asked));
}

static void solicit_next(struct session *session)
{
	while (!session->ending && !list_empty(&session->solicit)) {
		struct task *task = list_entry(session->solicit.next, struct task, ready_link);

		list_remove(&task->ready_link);
		solicit(task);
		if (list_linked(&task->ready_link))
			return;
	}
}

/* ---- gathering ---- */

/* Its turn has come, or data has: what next? */
static void task_advance(struct task *task)
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
		solicit(task);
		return;
	}
	session->in_flight_out -= task->reserved_out;
	task->reserved_out = 0;
	task->state = TASK_READY;
	list_append(&session->ready, &task->ready_link);
	transfer_pump(session);
	solicit_next(session);
}

void transfer_command(struct session *session, struct task *task)
{
	session->commands++;
	task->state = TASK_GATHERING;
	task_advance(task);
}

static void sink_to_task(struct task *task, uint32_t offset, uint32_t len)
{
	struct conn *conn = task->session->conn;

	if (offset >= task->wanted || task->failed || !len)
		return; /* more than the command takes: dropped */
	len = (uint32_t)min_u64(len, task->wanted - offset);
	conn->sink = SINK_TASK;
	conn->sink_task = task;
	conn->sink_offset = offset;
	conn->sink_left = len;
}

/* ---- the command PDU ---- */

static bool take_cdb(struct session *session, struct task *task, const struct bhs_scsi_command *bhs)
{
	static const enum scsi_attribute attributes[8] = { SCSI_UNTAGGED, SCSI_SIMPLE, SCSI_ORDERED, SCSI_HEAD_OF_QUEUE,
							   SCSI_ACA,	  SCSI_SIMPLE, SCSI_SIMPLE,  SCSI_SIMPLE };
	struct scsi_task *scsi = &task->scsi;
	const uint8_t *more;
	size_t more_len;

	memset(scsi, 0, offsetof(struct scsi_task, cdb));
	scsi->nexus = session->nexus;
	scsi->tag = task->itt;
	scsi->done = answer_done;
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
static void check_immediate(struct task *task, uint32_t len, bool final)
{
	const struct iscsi_params *params = &task->session->params;

	if (task->read && task->write)
		transfer_fail(task, SCSI_BIDIRECTIONAL);
	if (len && (!task->write || !params->immediate_data))
		transfer_fail(task, SCSI_UNEXPECTED_DATA);
	if (!final && (!task->write || params->initial_r2t))
		transfer_fail(task, SCSI_UNEXPECTED_DATA);
	if (len > params->first_burst || len > task->expected_len)
		transfer_fail(task, SCSI_WRONG_DATA_AMOUNT);
}

/* 0, or why the command is rejected. */
static uint8_t refuse_command(const struct session *session, const struct bhs_scsi_command *bhs)
{
	uint32_t itt = be32_get(bhs->itt);

	if (itt == TAG_NONE)
		return REJECT_INVALID_FIELD;
	if (transfer_find(session, itt))
		return REJECT_TASK_IN_PROGRESS;
	if ((bhs->opcode & OP_IMMEDIATE) && session->immediate >= SESSION_IMMEDIATE_MAX)
		return REJECT_TOO_MANY_IMMEDIATE;
	return 0;
}

void transfer_command_header(struct session *session, const struct bhs_scsi_command *bhs)
{
	uint32_t len = be24_get(bhs->data_len);
	bool final = bhs->flags & FLAG_FINAL;
	uint8_t refused = refuse_command(session, bhs);
	struct task *task;

	if (session->hub->stopping) {
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
		transfer_free(task);
		return;
	}
	scsi_task_decode(&task->scsi);
	task->decoded = true;
	if (task->write)
		task->wanted = (uint32_t)min_u64(task->expected_len, task->scsi.data_out_len);
	if (data_out_init(&task->data, task->wanted)) {
		task->wanted = 0;
		transfer_fail(task, SCSI_NO_MEMORY);
	}
	check_immediate(task, len, final);
	task->unsolicited = !final && task->write && !session->params.initial_r2t;
	sink_to_task(task, 0, len);
	task->sent_unsolicited = len;
	task->received = (uint32_t)min_u64(len, task->wanted);
}

/* ---- Data-Out PDUs ---- */

static struct r2t *find_r2t(struct task *task, uint32_t ttt)
{
	for (unsigned i = 0; i < task->r2t_count; i++)
		if (task->r2ts[i].ttt == ttt)
			return &task->r2ts[i];
	return NULL;
}

/*
 * §11.7.5: DataSN counts the PDUs of a sequence; DataPDUInOrder=Yes: no holes, nothing twice, no more than asked for.
 */
static bool in_sequence(const struct task *task, const struct r2t *r2t, const struct bhs_data_out *bhs)
{
	uint32_t len = be24_get(bhs->data_len), offset = be32_get(bhs->offset), datasn = be32_get(bhs->datasn);
	const struct iscsi_params *params = &task->session->params;

	if (r2t)
		return datasn == r2t->datasn && offset == r2t->offset + r2t->received &&
		       len <= r2t->len - r2t->received;
	return datasn == task->unsolicited_datasn && offset == task->sent_unsolicited &&
	       len <= params->first_burst - min_u64(offset, params->first_burst) &&
	       len <= task->expected_len - min_u64(offset, task->expected_len);
}

static bool is_gathering(const struct task *task)
{
	return task && (task->state == TASK_GATHERING || task->state == TASK_HELD);
}

void transfer_data_header(struct session *session, const struct bhs_data_out *bhs)
{
	struct task *task = transfer_find(session, be32_get(bhs->itt));
	uint32_t ttt = be32_get(bhs->ttt);
	struct r2t *r2t;

	if (!is_gathering(task))
		return;
	r2t = ttt == TAG_NONE ? NULL : find_r2t(task, ttt);
	if (ttt == TAG_NONE ? !task->unsolicited : !r2t) {
		/* Not asked for: §11.4.7.2 unexpected unsolicited data, or a sequence that is over */
		session_reject(session, REJECT_PROTOCOL, (const struct bhs *)bhs);
		transfer_fail(task, SCSI_UNEXPECTED_DATA);
		return;
	}
	if (!in_sequence(task, r2t, bhs))
		transfer_fail(task, SCSI_WRONG_DATA_AMOUNT);
	sink_to_task(task, be32_get(bhs->offset), be24_get(bhs->data_len));
}

static void sequence_advance(struct task *task, struct r2t *r2t, const struct bhs_data_out *bhs)
{
	uint32_t len = be24_get(bhs->data_len);
	bool final = bhs->flags & FLAG_FINAL;

	r2t->datasn++;
	r2t->received += (uint32_t)min_u64(len, r2t->len - r2t->received);
	if (!task->failed)
		task->received += len;
	if (!final && (task->failed || r2t->received < r2t->len))
		return;
	if (r2t->received < r2t->len)
		transfer_fail(task, SCSI_WRONG_DATA_AMOUNT);
	*r2t = task->r2ts[--task->r2t_count];
}

void transfer_data(struct session *session, const struct bhs_data_out *bhs, bool digest_bad)
{
	struct task *task = transfer_find(session, be32_get(bhs->itt));
	uint32_t ttt = be32_get(bhs->ttt), len = be24_get(bhs->data_len);
	struct r2t *r2t;

	if (!is_gathering(task))
		return;
	if (digest_bad)
		transfer_fail(task, SCSI_DATA_CORRUPTED);
	r2t = ttt == TAG_NONE ? NULL : find_r2t(task, ttt);
	if (r2t) {
		sequence_advance(task, r2t, bhs);
	} else if (ttt == TAG_NONE && task->unsolicited) {
		task->unsolicited_datasn++;
		if (!task->failed) {
			task->sent_unsolicited += len;
			task->received = (uint32_t)min_u64(task->sent_unsolicited, task->wanted);
		}
		if (bhs->flags & FLAG_FINAL)
			task->unsolicited = false;
	}
	if (task->state == TASK_GATHERING)
		task_advance(task);
}

static bool has_room(struct task *task, size_t upto)
{
	if (!data_out_reserve(&task->data, &task->session->hub->chunks, upto))
		return true;
	transfer_fail(task, SCSI_NO_MEMORY);
	return false;
}

void transfer_take(struct task *task, size_t offset, const uint8_t *bytes, size_t len)
{
	struct data_out *data = &task->data;
	bool whole = len == data->size_bytes && !data->allocated;
	struct rx_block *block = whole ? rx_pool_lend(&task->session->hub->rx, bytes) : NULL;

	if (block)
		data_out_lend(data, block, bytes);
	else if (has_room(task, offset + len))
		data_out_copy(data, offset, bytes, len);
}

int transfer_slice(struct task *task, size_t offset, size_t len, struct iovec *iov, int max)
{
	return has_room(task, offset + len) ? data_out_slice(&task->data, offset, len, iov, max) : 0;
}

/* ---- abort ---- */

static void abort_now(struct task *task)
{
	struct session *session = task->session;

	if (task->state == TASK_EXECUTING) {
		scsi_task_abort(&task->scsi);
		return;
	}
	/* One that waits for its turn leaves its number behind. */
	list_each(link, next, &session->held) {
		struct held *held = list_entry(link, struct held, link);

		if (held->task == task)
			held->task = NULL;
	}
	transfer_free(task);
}

void session_abort_tasks(struct session *session, bool (*match)(const struct task *task, const void *arg),
			 const void *arg)
{
	struct task *victim;

	/* All are marked first: aborting one must not start another that is next. */
	list_each(link, next, &session->tasks) {
		struct task *task = list_entry(link, struct task, link);

		if (task->state == TASK_ANSWERING || task->aborted || !match(task, arg))
			continue;
		task->aborted = true;
		list_remove(&task->ready_link);
	}
	/* Any of these steps may free any task: from the start each time. */
	do {
		victim = NULL;
		list_each(link, next, &session->tasks) {
			struct task *task = list_entry(link, struct task, link);

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
	solicit_next(session);
}
