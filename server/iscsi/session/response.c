// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Answers to commands (RFC 7143 §11.4, §11.7): Data-In, status, sense, residuals.
 *
 * GOOD rides on the last Data-In; every other status goes in a SCSI Response of its own, because iPXE ignores it in
 * Data-In. The data is the disk's, lent until the last PDU of the task is sent.
 */
#include "iscsi/session/session.h"

#include <stdlib.h>
#include <string.h>

/* §11.4.5: how much of what the command moves and of what the initiator expects did not meet. */
struct residual {
	uint8_t flag;
	uint32_t count;
};

static struct residual residual_of(const struct iscsi_task *task)
{
	const struct scsi_task *scsi = &task->scsi;
	size_t moves = 0, expected = task->expected_len;

	if (scsi->direction == SCSI_DATA_IN) {
		moves = scsi->in_len;
		if (!task->read)
			expected = 0;
	} else if (scsi->direction == SCSI_DATA_OUT) {
		moves = scsi->data_out_len;
		if (!task->write)
			expected = 0;
	}
	if (moves > expected)
		return (struct residual){ RESIDUAL_OVERFLOW, (uint32_t)(moves - expected) };
	if (moves < expected)
		return (struct residual){ RESIDUAL_UNDERFLOW, (uint32_t)(expected - moves) };
	return (struct residual){ 0, 0 };
}

void response_sent(void *arg)
{
	struct iscsi_task *task = arg;

	if (--task->pdus == 0)
		command_free(task);
}

/* Its status is about to be queued: the place in the window is free, and MaxCmdSN may say so. */
static void leave_window(struct iscsi_task *task)
{
	if (task->immediate)
		task->session->immediate--;
	else
		task->session->numbered--;
	task->answered = true;
}

static void send_response(struct iscsi_task *task)
{
	struct session *session = task->session;
	const struct scsi_task *scsi = &task->scsi;
	struct residual residual = residual_of(task);
	uint8_t data[2 + SCSI_SENSE_MAX];
	size_t sense_len = scsi->sense_len;
	struct pdu_out *out;
	struct bhs_scsi_response *bhs;

	leave_window(task);
	bhs = (struct bhs_scsi_response *)session_answer(session, OP_SCSI_RESPONSE, task->itt, &out);
	if (!bhs)
		return;
	session_number(session, (struct bhs_target *)bhs, true);
	bhs->flags |= residual.flag;
	bhs->status = (uint8_t)scsi->status;
	bhs->exp_datasn = be32_put(task->answers);
	bhs->residual = be32_put(residual.count);
	task->pdus++;
	out->mark = task;
	if (!sense_len) {
		conn_queue(session->conn, out);
		return;
	}
	/* §11.4.7: SenseLength, then the sense data */
	data[0] = (uint8_t)(sense_len >> 8);
	data[1] = (uint8_t)sense_len;
	memcpy(data + 2, scsi->sense, sense_len);
	conn_queue_copy(session->conn, out, data, 2 + sense_len);
}

/* Where in the lent pieces the next Data-In begins. */
struct cursor {
	const struct iovec *piece;
	size_t offset;
};

static void cursor_advance(struct cursor *cursor, size_t len)
{
	while (len > 0) {
		size_t left = cursor->piece->iov_len - cursor->offset;

		if (len < left) {
			cursor->offset += len;
			return;
		}
		len -= left;
		cursor->piece++;
		cursor->offset = 0;
	}
}

/* One Data-In of len bytes from cursor; final ends a sequence; last carries GOOD. */
static bool send_data_in(struct iscsi_task *task, const struct cursor *cursor, uint32_t offset, uint32_t len,
			 bool final, bool last)
{
	struct session *session = task->session;
	struct pdu_out *out;
	struct bhs_data_in *bhs = (struct bhs_data_in *)session_answer(session, OP_DATA_IN, task->itt, &out);

	if (!bhs)
		return false;
	bhs->flags = final ? FLAG_FINAL : 0;
	bhs->ttt = be32_put(TAG_NONE);
	if (last) {
		struct residual residual = residual_of(task);

		leave_window(task);
		bhs->flags |= DATA_IN_STATUS | residual.flag;
		bhs->status = SCSI_GOOD;
		bhs->residual = be32_put(residual.count);
	}
	session_number(session, (struct bhs_target *)bhs, last);
	if (!last)
		bhs->statsn = be32_put(0);
	bhs->datasn = be32_put(task->answers++);
	bhs->offset = be32_put(offset);
	out->iov = cursor->piece;
	out->offset = cursor->offset;
	out->data_len = len;
	out->mark = task;
	task->pdus++;
	conn_queue(session->conn, out);
	return true;
}

/*
 * §11.7: PDUs of at most MaxRecvDataSegmentLength, sequences of at most MaxBurstLength. True: the last has carried the
 * status.
 */
static bool send_data(struct iscsi_task *task, uint32_t len)
{
	const struct iscsi_params *params = &task->session->params;
	struct cursor cursor = { task->scsi.in, 0 };
	bool good = task->scsi.status == SCSI_GOOD, last = false;
	uint32_t burst_left = params->max_burst;

	for (uint32_t offset = 0; offset < len;) {
		uint32_t n = (uint32_t)min_u64(min_u64(params->max_send_data, burst_left), len - offset);

		last = good && offset + n == len;
		if (!send_data_in(task, &cursor, offset, n, offset + n == len || n == burst_left, last))
			return true;
		cursor_advance(&cursor, n);
		offset += n;
		burst_left = n == burst_left ? params->max_burst : burst_left - n;
	}
	task->session->bytes_read += len;
	return last;
}

static void respond(struct iscsi_task *task)
{
	uint32_t len = task->read ? (uint32_t)min_u64(task->expected_len, task->scsi.in_len) : 0;

	task->state = TASK_ANSWERING;
	task->pdus++; /* while we build: a connection that just closed drops PDUs as they come */
	if (!len || !send_data(task, len))
		send_response(task);
	response_sent(task);
}

void response_done(struct scsi_task *scsi)
{
	struct iscsi_task *task = scsi->user;

	/* What a unit attention, a reservation or a full disk has ended wrote nothing. */
	if (scsi->status == SCSI_GOOD)
		task->session->bytes_written += task->wanted;
	/* Now, not when the answer is sent: the next command's data then comes into memory that is in the cache. */
	data_out_fini(&task->data, &task->session->loop->chunks);
	/* One that was aborted and had already happened is not reported either. */
	if (scsi->aborted || task->aborted || task->session->ending)
		command_free(task);
	else
		respond(task);
}
