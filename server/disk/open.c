// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening a disk by its format: see disk.h. The format is what the inventory says, never guessed from the content. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "disk/engine.h"

static const struct format {
	const char *name;
	void (*open)(struct disk_env *env, struct loop *loop, const struct disk_open *how,
		     void (*opened)(void *arg, const struct disk_opened *result), void *arg);
} formats[] = {
	{ "raw", raw_disk_open },
	{ "qcow2", qcow2_disk_open },
};

/* What there is not: told in a later turn, as any other answer. */
struct refusal {
	struct loop_msg msg;
	struct disk_opened result;
	void (*opened)(void *arg, const struct disk_opened *result);
	void *arg;
};

static void refusal_run(struct loop_msg *msg)
{
	struct refusal *refusal = container_of(msg, struct refusal, msg);

	refusal->opened(refusal->arg, &refusal->result);
	free(refusal);
}

void disk_open_refuse(struct loop *loop, const char *reason,
		      void (*opened)(void *arg, const struct disk_opened *result), void *arg)
{
	struct refusal *refusal = calloc(1, sizeof(*refusal));

	if (!refusal) {
		disk_opened_without_memory(opened, arg);
		return;
	}
	*refusal = (struct refusal){ .msg.run = refusal_run, .result.err = -EINVAL, .opened = opened, .arg = arg };
	reason_set(&refusal->result.reason, "%s", reason);
	loop_post(loop, &refusal->msg);
}

void disk_open_file(struct disk_env *env, struct loop *loop, const char *format, const struct disk_open *how,
		    void (*opened)(void *arg, const struct disk_opened *result), void *arg)
{
	struct reason reason;

	for (size_t i = 0; i < array_len(formats); i++) {
		if (!strcmp(formats[i].name, format)) {
			formats[i].open(env, loop, how, opened, arg);
			return;
		}
	}
	reason_set(&reason, "%s: there is no disk format \"%.32s\"", how->path, format);
	disk_open_refuse(loop, reason.text, opened, arg);
}
