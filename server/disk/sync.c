// SPDX-License-Identifier: GPL-2.0-or-later
/* See sync.h. */
#include "disk/sync.h"

#include <stddef.h>

#include "base/loop.h"
#include "base/util.h"

static void sync_done(struct file_request *io);

static void sync_start(struct syncs *s)
{
	s->running = true;
	s->served = s->first;
	s->first = NULL;
	s->last = &s->first;
	s->io = (struct file_request){ .op = FILE_SYNC, .done = sync_done, .user = s };
	s->file->ops->submit(s->file, &s->io);
}

static void answer(struct file_request *list, int result)
{
	struct file_request *next;

	for (; list; list = next) {
		next = list->next;
		list->result = result;
		list->done(list);
	}
}

static void sync_done(struct file_request *io)
{
	struct syncs *s = io->user;
	struct file_request *served = s->served, *waiting = NULL;
	int result = io->result;

	s->running = false;
	if (result) {
		s->error = result;
		waiting = s->first;
		s->first = NULL;
		s->last = &s->first;
	} else if (s->first) {
		sync_start(s);
	}
	/* From here s may be gone with the last of them. */
	answer(served, result);
	answer(waiting, result);
}

static void refuse(struct loop_msg *msg)
{
	struct file_request *req = container_of(msg, struct file_request, job.msg);

	req->done(req);
}

void syncs_submit(struct syncs *s, struct file_request *req)
{
	if (s->error) {
		req->result = s->error;
		req->job.msg.run = refuse;
		loop_post(s->file->loop, &req->job.msg);
		return;
	}
	req->next = NULL;
	*s->last = req;
	s->last = &req->next;
	if (!s->running)
		sync_start(s);
}

void syncs_init(struct syncs *s, struct file *file)
{
	*s = (struct syncs){ .file = file };
	s->last = &s->first;
}
