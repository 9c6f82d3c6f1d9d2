// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How a handler moves bytes: parameter data and parameter lists, pieces of the Data-Out, and disk requests. See task.h.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "scsi/task.h"

/* ---- parameter data ---- */

void *task_buffer(struct task_state *st, size_t size)
{
	assert(!st->buffer && size && size <= SCSI_PARAMETERS_MAX);
	st->buffer = calloc(1, size);
	if (!st->buffer)
		task_status(st, SCSI_BUSY);
	return st->buffer;
}

void task_data(struct task_state *st, size_t len)
{
	struct scsi_task *task = st->task;

	st->in = (struct iovec){ .iov_base = st->buffer, .iov_len = min_u64(len, st->length) };
	task->in = &st->in;
	task->in_count = 1;
	task->in_len = st->in.iov_len;
	task_good(st);
}

const uint8_t *task_parameters(struct task_state *st)
{
	uint8_t *list;

	/* Less arrived than the CDB says: the list is cut off somewhere, and nothing of it is obeyed. */
	if (st->task->out_len < st->length || !st->length) {
		task_fail_list_length(st);
		return NULL;
	}
	list = task_buffer(st, st->length);
	if (list)
		task_copy_out(st, 0, list, st->length);
	return list;
}

/* ---- Data-Out ---- */

void task_copy_out(const struct task_state *st, size_t from, void *to, size_t len)
{
	uint8_t *out = to;

	for (int i = 0; i < st->task->out_count && len; i++) {
		const struct iovec *v = &st->task->out[i];
		size_t part;

		if (from >= v->iov_len) {
			from -= v->iov_len;
			continue;
		}
		part = min_u64(v->iov_len - from, len);
		memcpy(out, (const uint8_t *)v->iov_base + from, part);
		out += part;
		len -= part;
		from = 0;
	}
	assert(!len);
}

bool task_slice_out(struct task_state *st, size_t from, size_t len)
{
	struct scsi_task *task = st->task;
	int count = 0;

	assert(from <= task->out_len && len <= task->out_len - from);
	if (!from && len == task->out_len) {
		/* A disk only reads what a WRITE gives it: disk.h. */
		st->write_iov = (struct iovec *)(uintptr_t)task->out;
		st->write_count = task->out_count;
		return true;
	}
	free(st->iov);
	st->iov = calloc((size_t)task->out_count + 1, sizeof(*st->iov));
	if (!st->iov) {
		task_status(st, SCSI_BUSY);
		return false;
	}
	for (int i = 0; i < task->out_count && len; i++) {
		struct iovec v = task->out[i];

		if (from >= v.iov_len) {
			from -= v.iov_len;
			continue;
		}
		v.iov_base = (uint8_t *)v.iov_base + from;
		v.iov_len = min_u64(v.iov_len - from, len);
		len -= v.iov_len;
		from = 0;
		st->iov[count++] = v;
	}
	st->write_iov = st->iov;
	st->write_count = count;
	return true;
}

static int64_t first_difference(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t i = 0;

	if (memcmp(a, b, len) == 0)
		return -1;
	while (a[i] == b[i])
		i++;
	return (int64_t)i;
}

int64_t task_compare_out(const struct task_state *st, size_t from, size_t len)
{
	const struct iovec *out = st->task->out, *in = st->req.iov;
	const struct iovec *out_end = out + st->task->out_count, *in_end = in + st->req.iov_count;
	size_t out_at = from, in_at = 0, done = 0;

	while (done < len) {
		int64_t difference;
		size_t part;

		for (; out < out_end && out_at >= out->iov_len; out++)
			out_at -= out->iov_len;
		for (; in < in_end && in_at >= in->iov_len; in++)
			in_at -= in->iov_len;
		assert(out < out_end && in < in_end);
		part = min_u64(min_u64(out->iov_len - out_at, in->iov_len - in_at), len - done);
		difference = first_difference((const uint8_t *)out->iov_base + out_at,
					      (const uint8_t *)in->iov_base + in_at, part);
		if (difference >= 0)
			return (int64_t)done + difference;
		out_at += part;
		in_at += part;
		done += part;
	}
	return -1;
}

bool task_blocks_out(struct task_state *st, uint64_t *blocks)
{
	size_t have = min_u64(st->task->out_len, st->blocks * SCSI_BLOCK);

	/*
	 * The initiator announced less than its CDB says. RFC 7143 §11.4.5.2 has the residual tell it so (overflow),
	 * with any status: what came in whole blocks is written (iscsi-test-cu wants GOOD), nothing else is touched,
	 * half a block is an error.
	 */
	if (have % SCSI_BLOCK) {
		task_fail(st, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
		return false;
	}
	*blocks = have / SCSI_BLOCK;
	return true;
}

/* ---- disk ---- */

/* A disk without room: BUSY, which initiators repeat, while somebody may still make room; then the truth. */
static void task_fail_no_space(struct task_state *st)
{
	uint64_t now = time_monotonic_ms();

	if (!st->lu->no_space_since_ms)
		st->lu->no_space_since_ms = now;
	if (now - st->lu->no_space_since_ms < SCSI_NO_SPACE_BUSY_MS)
		task_status(st, SCSI_BUSY);
	else
		task_fail(st, SENSE_DATA_PROTECT, ASC_SPACE_ALLOCATION_FAILED);
}

static void task_fail_disk(struct task_state *st, enum disk_op op, int result, uint64_t offset)
{
	struct sense sense = { .key = SENSE_MEDIUM_ERROR, .code = ASC_WRITE_ERROR };

	switch (-result) {
	case ENOSPC:
	case EDQUOT:
		task_fail_no_space(st);
		return;
	case EROFS:
		task_fail(st, SENSE_DATA_PROTECT, ASC_WRITE_PROTECTED);
		return;
	case ECANCELED:
		task_status(st, SCSI_TASK_ABORTED);
		return;
	case ENOMEM:
		task_status(st, SCSI_BUSY);
		return;
	case EIO:
		break;
	default:
		task_fail(st, SENSE_HARDWARE_ERROR, ASC_INTERNAL_TARGET_FAILURE);
		return;
	}
	if (op == DISK_READ || op == DISK_STATUS) {
		sense.code = ASC_UNRECOVERED_READ_ERROR;
		sense.has_information = true;
		sense.information = offset >> st->lu->block_shift;
	}
	task_fail_sense(st, &sense);
}

void task_give_back(struct task_state *st)
{
	if (!st->lent)
		return;
	st->lent = false;
	disk_release(st->req.disk, &st->req);
}

static void task_on_disk(struct disk_request *req)
{
	struct task_state *st = req->user;
	bool writes = req->op == DISK_WRITE || req->op == DISK_WRITE_ZEROES || req->op == DISK_DISCARD;

	if (req->op == DISK_READ && !req->result)
		st->lent = true;
	if (writes && !req->result)
		st->lu->no_space_since_ms = 0;
	if (writes)
		lu_check_threshold(st->lu, req->length);
	if (st->aborted)
		task_good(st); /* which says aborted, not GOOD */
	else if (req->result)
		task_fail_disk(st, req->op, req->result, req->error_offset);
	else
		st->next(st);
}

void task_disk_flags(struct task_state *st, enum disk_op op, uint64_t lba, uint64_t blocks, bool fua, bool unmap,
		     void (*next)(struct task_state *st))
{
	task_give_back(st);
	/* With the write cache off every write goes to the medium: SBC-3 §6.5.5. */
	if (op == DISK_WRITE || op == DISK_WRITE_ZEROES || op == DISK_DISCARD)
		fua = fua || !st->lu->mode.wce;
	st->req = (struct disk_request){ .op = op, .fua = fua, .unmap = unmap, .done = task_on_disk, .user = st };
	if (op != DISK_FLUSH) {
		st->req.offset = lu_bytes(st->lu, lba);
		st->req.length = lu_bytes(st->lu, blocks);
	}
	if (op == DISK_WRITE) {
		st->req.iov = st->write_iov;
		st->req.iov_count = st->write_count;
		st->req.allocate = st->allocate;
	}
	if (op == DISK_STATUS) {
		st->req.extents = st->extents;
		st->req.extent_max = st->extent_max;
	}
	st->next = next;
	disk_submit(st->lu->disk, &st->req);
}

void task_disk(struct task_state *st, enum disk_op op, uint64_t lba, uint64_t blocks,
	       void (*next)(struct task_state *st))
{
	task_disk_flags(st, op, lba, blocks, false, false, next);
}

void task_flush(struct task_state *st, void (*next)(struct task_state *st))
{
	if (st->lu->read_only)
		next(st);
	else
		task_disk(st, DISK_FLUSH, 0, 0, next);
}
