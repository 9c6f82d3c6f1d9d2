// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The Data-Out of commands (RFC 7143 §11.7, §11.8): R2T, unsolicited and solicited data, and where it goes.
 *
 * Memory: unsolicited data is bounded by the command window (session.c chooses it by FirstBurstLength); solicited data
 * by SESSION_SOLICITED_BYTES: a command whose data does not fit sends its first R2T later.
 *
 * Data-Out for a task that is not there is dropped without a word: it is what an initiator has sent for a command that
 * was aborted or has failed. TTTs are never used twice in a row, so it cannot be taken for somebody else's.
 */
#include "iscsi/session/session.h"

#include <string.h>

/* ---- R2T ---- */

static void send_r2t(struct iscsi_task *task, uint32_t len)
{
	struct session *session = task->session;
	struct r2t *r2t = &task->r2ts[task->r2t_count];
	struct pdu_out *out;
	struct bhs_r2t *bhs = (struct bhs_r2t *)session_answer(session, OP_R2T, task->itt, &out);

	if (!bhs)
		return;
	*r2t = (struct r2t){ .ttt = session_next_ttt(session), .offset = task->asked, .len = len };
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

void data_out_solicit(struct iscsi_task *task)
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

void data_out_solicit_next(struct session *session)
{
	while (!session->ending && !list_empty(&session->solicit)) {
		struct iscsi_task *task = list_entry(session->solicit.next, struct iscsi_task, ready_link);

		list_remove(&task->ready_link);
		data_out_solicit(task);
		if (list_linked(&task->ready_link))
			return;
	}
}

void data_out_sink(struct iscsi_task *task, uint32_t offset, uint32_t len)
{
	struct conn *conn = task->session->conn;

	if (offset >= task->wanted || task->failed || !len)
		return; /* more than the command takes: dropped */
	len = (uint32_t)min_u64(len, task->wanted - offset);
	conn->sink = SINK_USER;
	conn->sink_to = task;
	conn->sink_offset = offset;
	conn->sink_left = len;
}

/* ---- Data-Out PDUs ---- */

static struct r2t *find_r2t(struct iscsi_task *task, uint32_t ttt)
{
	for (unsigned i = 0; i < task->r2t_count; i++)
		if (task->r2ts[i].ttt == ttt)
			return &task->r2ts[i];
	return NULL;
}

/*
 * §11.7.5: DataSN counts the PDUs of a sequence; DataPDUInOrder=Yes: no holes, nothing twice, no more than asked for.
 */
static bool in_sequence(const struct iscsi_task *task, const struct r2t *r2t, const struct bhs_data_out *bhs)
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

static bool is_gathering(const struct iscsi_task *task)
{
	return task && (task->state == TASK_GATHERING || task->state == TASK_HELD);
}

void data_out_header(struct session *session, const struct bhs_data_out *bhs)
{
	struct iscsi_task *task = session_find_task(session, be32_get(bhs->itt));
	uint32_t ttt = be32_get(bhs->ttt);
	struct r2t *r2t;

	if (!is_gathering(task))
		return;
	r2t = ttt == TAG_NONE ? NULL : find_r2t(task, ttt);
	if (ttt == TAG_NONE ? !task->unsolicited : !r2t) {
		/* Not asked for: §11.4.7.2 unexpected unsolicited data, or a sequence that is over */
		session_reject(session, REJECT_PROTOCOL, (const struct bhs *)bhs);
		command_fail(task, SCSI_UNEXPECTED_DATA);
		return;
	}
	if (!in_sequence(task, r2t, bhs))
		command_fail(task, SCSI_WRONG_DATA_AMOUNT);
	data_out_sink(task, be32_get(bhs->offset), be24_get(bhs->data_len));
}

static void sequence_advance(struct iscsi_task *task, struct r2t *r2t, const struct bhs_data_out *bhs)
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
		command_fail(task, SCSI_WRONG_DATA_AMOUNT);
	*r2t = task->r2ts[--task->r2t_count];
}

void data_out_pdu(struct session *session, const struct bhs_data_out *bhs, bool digest_bad)
{
	struct iscsi_task *task = session_find_task(session, be32_get(bhs->itt));
	uint32_t ttt = be32_get(bhs->ttt), len = be24_get(bhs->data_len);
	struct r2t *r2t;

	if (!is_gathering(task))
		return;
	if (digest_bad)
		command_fail(task, SCSI_DATA_CORRUPTED);
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
		command_advance(task);
}

static bool has_room(struct iscsi_task *task, size_t upto)
{
	if (!data_out_reserve(&task->data, &task->session->loop->chunks, upto))
		return true;
	command_fail(task, SCSI_NO_MEMORY);
	return false;
}

void data_out_take(void *arg, size_t offset, const uint8_t *bytes, size_t len)
{
	struct iscsi_task *task = arg;
	struct data_out *data = &task->data;
	bool whole = len == data->size_bytes && !data->allocated;
	struct rx_block *block = whole ? rx_pool_lend(&task->session->loop->link->rx, bytes) : NULL;

	if (block)
		data_out_lend(data, block, bytes);
	else if (has_room(task, offset + len))
		data_out_copy(data, offset, bytes, len);
}

int data_out_room(void *arg, size_t offset, size_t len, struct iovec *iov, int max)
{
	struct iscsi_task *task = arg;

	return has_room(task, offset + len) ? data_out_slice(&task->data, offset, len, iov, max) : 0;
}
