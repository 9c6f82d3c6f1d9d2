// SPDX-License-Identifier: GPL-2.0-or-later
/* A qcow2 file and its backing chain as a disk: what disk.c calls. All on the disk's loop. */
#include <errno.h>
#include <stdlib.h>

#include "disk/qcow2_engine.h"

/* ---- FLUSH ---- */

struct flush_request {
	struct disk_request *req;
	struct qcow2_waiter waiter;
};

static void flush_done(struct qcow2_waiter *waiter)
{
	struct flush_request *r = container_of(waiter, struct flush_request, waiter);

	disk_complete_soon(r->req, waiter->result);
	free(r);
}

static void submit_flush(struct qcow2 *q, struct disk_request *req)
{
	struct flush_request *r = calloc(1, sizeof(*r));
	int err;

	if (!r) {
		disk_complete_soon(req, -ENOMEM);
		return;
	}
	r->req = req;
	r->waiter.run = flush_done;
	err = qcow2_flush(q, &r->waiter);
	if (err != QCOW2_WAIT) {
		disk_complete_soon(req, err);
		free(r);
	}
}

/* ---- the operations ---- */

static void disk_qcow2_submit(struct disk *disk, struct disk_request *req)
{
	struct qcow2 *q = qcow2_of(disk);

	switch (req->op) {
	case DISK_READ:
		qcow2_submit_read(q, req);
		break;
	case DISK_WRITE:
		qcow2_submit_write(q, req);
		break;
	case DISK_WRITE_ZEROES:
	case DISK_DISCARD:
		qcow2_submit_zero(q, req);
		break;
	case DISK_FLUSH:
		submit_flush(q, req);
		break;
	case DISK_STATUS:
		qcow2_submit_status(q, req);
		break;
	}
}

static void disk_qcow2_release(struct disk *disk, struct disk_request *req)
{
	qcow2_release_read(qcow2_of(disk), req);
}

static void disk_qcow2_info(const struct disk *disk, struct disk_info *info)
{
	const struct qcow2 *q = container_of(disk, struct qcow2, disk);

	info->allocated_bytes = q->file->ops->allocated_bytes(q->file);
	info->failed = q->failed;
}

static void disk_qcow2_close(struct disk *disk, void (*closed)(void *arg, int err), void *arg)
{
	qcow2_close(qcow2_of(disk), closed, arg);
}

const struct disk_ops qcow2_ops = {
	.name = "qcow2",
	.orders = true,
	.submit = disk_qcow2_submit,
	.release = disk_qcow2_release,
	.info = disk_qcow2_info,
	.close = disk_qcow2_close,
};
