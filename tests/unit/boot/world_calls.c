// SPDX-License-Identifier: GPL-2.0-or-later
/* Asks for scripts, logs in, opens disks, and waits for each answer with a semaphore: see world.h. */
#include "world.h"

#include "disk_block.h"

#include "base/loop.h"
#include "base/util.h"
#include "disk/disk.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- asking ---- */

struct boot_ask world_ask_of(const char *mac, const char *uuid, const char *serial)
{
	struct boot_ask ask = { .platform = "pcbios",
				.buildarch = "i386",
				.client = "127.0.0.1:5000",
				.server = "127.0.0.1",
				.base_url = "http://127.0.0.1:8080",
				.manufacturer = "QEMU",
				.product = "PC" };

	snprintf(ask.mac, sizeof(ask.mac), "%s", mac);
	snprintf(ask.uuid, sizeof(ask.uuid), "%s", uuid);
	snprintf(ask.serial, sizeof(ask.serial), "%s", serial);
	return ask;
}

struct asking {
	sem_t done;
	struct reply reply;
};

static void asked(void *arg, const struct boot_answer *answer)
{
	struct asking *asking = arg;

	asking->reply.status = answer->status;
	snprintf(asking->reply.outcome, sizeof(asking->reply.outcome), "%s", boot_outcome_name(answer->outcome));
	asking->reply.script = strdup(buf_text(&answer->script));
	sem_post(&asking->done);
}

struct reply world_ask(struct world *w, const struct boot_ask *ask)
{
	struct asking asking = { .reply = { 0 } };

	sem_init(&asking.done, 0, 0);
	boot_request(w->boot, ask, asked, &asking);
	sem_wait(&asking.done);
	sem_destroy(&asking.done);
	return asking.reply;
}

void world_expect(struct world *w, const char *mac, const char *uuid, const char *serial, const char *outcome,
		  const char *in_script)
{
	struct boot_ask ask = world_ask_of(mac, uuid, serial);
	struct reply reply = world_ask(w, &ask);

	if (strcmp(reply.outcome, outcome) || (in_script && !strstr(reply.script, in_script)))
		fail_msg("%s: %d %s instead of %s with \"%s\":\n%s", mac, reply.status, reply.outcome, outcome,
			 in_script ? in_script : "", reply.script);
	free(reply.script);
}

void script_setting(const char *script, const char *name, char *out, size_t out_size)
{
	char line[64];
	const char *at;

	snprintf(line, sizeof(line), "\nset %s ", name);
	at = strstr(script, line);
	snprintf(out, out_size, "%.*s", at ? (int)strcspn(at + strlen(line), " \n") : 0, at ? at + strlen(line) : "");
}

/* ---- targets ---- */

struct calling {
	struct world *world;
	sem_t done;
	struct boot_access access;
	int err;
	struct disk *disk;
	uint16_t status;
	struct reason reason;
};

static void call_found(void *arg, const struct boot_access *access)
{
	struct calling *calling = arg;

	calling->access = *access;
	sem_post(&calling->done);
}

static void call_wait(struct calling *calling)
{
	sem_wait(&calling->done);
	sem_destroy(&calling->done);
}

struct boot_access world_find(struct world *w, const char *iqn, const char *initiator)
{
	struct calling calling = { .err = 0 };

	sem_init(&calling.done, 0, 0);
	boot_target_find(w->boot, iqn, initiator, w->io, call_found, &calling);
	call_wait(&calling);
	return calling.access;
}

static void call_begun(void *arg, int err, const char *reason)
{
	struct calling *calling = arg;

	calling->err = err;
	assert_true(!err == !reason[0]);
	sem_post(&calling->done);
}

int world_begin(struct world *w, int64_t machine_id, uint64_t number)
{
	struct calling calling = { .err = 0 };

	sem_init(&calling.done, 0, 0);
	boot_target_begin(w->boot, machine_id, number, w->io, call_begun, &calling);
	call_wait(&calling);
	return calling.err;
}

static void call_opened(void *arg, const struct boot_lun *luns, unsigned count, uint16_t login_status,
			const char *reason)
{
	struct calling *calling = arg;

	assert_true(count <= array_len(calling->world->luns));
	assert_true(!count || luns[0].number == 0);
	calling->disk = count ? luns[0].disk : NULL;
	if (count) {
		memcpy(calling->world->luns, luns, count * sizeof(*luns));
		calling->world->lun_count = count;
	}
	calling->status = login_status;
	reason_set(&calling->reason, "%s", reason);
	sem_post(&calling->done);
}

struct disk *world_open(struct world *w, int64_t machine_id, uint64_t number, uint16_t *status, struct reason *reason)
{
	struct calling calling = { .world = w };

	sem_init(&calling.done, 0, 0);
	boot_target_open(w->boot, machine_id, number, w->io, call_opened, &calling);
	call_wait(&calling);
	if (calling.disk) {
		w->disk = calling.disk;
		w->disk_machine = machine_id;
	}
	*status = calling.status;
	*reason = calling.reason;
	return calling.disk;
}

struct closing {
	struct loop_msg msg;
	struct world *world;
	sem_t done;
};

static void close_done(void *arg)
{
	sem_post(arg);
}

static void close_run(struct loop_msg *msg)
{
	struct closing *closing = container_of(msg, struct closing, msg);
	struct world *w = closing->world;

	boot_target_close(w->boot, w->luns, w->lun_count, close_done, &closing->done);
	w->disk = NULL;
	w->lun_count = 0;
}

void world_close(struct world *w)
{
	struct closing closing = { .msg.run = close_run, .world = w };

	if (!w->disk)
		return;
	sem_init(&closing.done, 0, 0);
	loop_post(w->io, &closing.msg);
	sem_wait(&closing.done);
	sem_destroy(&closing.done);
}

int world_write_disk(struct world *w, struct disk *disk, uint64_t offset, unsigned char byte, bool flush)
{
	(void)w;
	return disk_block_write(disk, offset, byte, flush);
}

int world_write_block(struct world *w, uint64_t offset, unsigned char byte, bool flush)
{
	return world_write_disk(w, w->disk, offset, byte, flush);
}

int world_read_disk(struct world *w, struct disk *disk, uint64_t offset)
{
	(void)w;
	return disk_block_read(disk, offset);
}
