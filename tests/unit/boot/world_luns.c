// SPDX-License-Identifier: GPL-2.0-or-later
/* LUNs that come and go under a target that is open, a second target, and disks after a loss of power: see world.h. */
#include "world.h"

#include "base/loop.h"
#include "base/util.h"
#include "disk/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

const struct boot_lun *world_lun(const struct world *w, unsigned number)
{
	for (unsigned i = 0; i < w->lun_count; i++) {
		if (w->luns[i].number == number)
			return &w->luns[i];
	}
	return NULL;
}

/* ---- attach and detach, as iSCSI would do it: on the target's loop, by boot's own functions ---- */

struct lun_change {
	struct loop_msg msg;
	struct world *world;
	uint64_t key;
	unsigned lun;
	bool force;
	struct loop *reply_loop;
	void (*changed)(void *arg, int err, const char *reason);
	void *arg;
	int err;
	struct reason reason;
};

static void change_reply(struct loop_msg *msg)
{
	struct lun_change *c = container_of(msg, struct lun_change, msg);

	c->changed(c->arg, c->err, c->reason.text);
	free(c);
}

static void change_end(struct lun_change *c, int err, const char *reason)
{
	c->err = err;
	reason_set(&c->reason, "%s", reason);
	c->msg.run = change_reply;
	loop_post(c->reply_loop, &c->msg);
}

static void attach_opened(void *arg, const struct boot_lun *lun, const char *reason)
{
	struct lun_change *c = arg;
	struct world *w = c->world;

	if (!lun) {
		change_end(c, -EIO, reason);
		return;
	}
	assert_int_equal(lun->number, c->lun);
	assert_true(w->lun_count < array_len(w->luns));
	w->luns[w->lun_count++] = *lun;
	change_end(c, 0, "");
}

static bool is_open(const struct lun_change *c)
{
	return c->world->disk && (uint64_t)c->world->disk_machine == c->key;
}

static void attach_on_io(struct loop_msg *msg)
{
	struct lun_change *c = container_of(msg, struct lun_change, msg);

	if (is_open(c))
		boot_target_open_lun(c->world->boot, (int64_t)c->key, c->lun, c->world->io, attach_opened, c);
	else
		change_end(c, -ENOENT, "");
}

static void detach_closed(void *arg)
{
	change_end(arg, 0, "");
}

static void detach_on_io(struct loop_msg *msg)
{
	struct lun_change *c = container_of(msg, struct lun_change, msg);
	struct world *w = c->world;
	unsigned i = 0;

	while (i < w->lun_count && w->luns[i].number != c->lun)
		i++;
	if (!is_open(c) || i == w->lun_count) {
		change_end(c, -ENOENT, "");
		return;
	}
	if (w->busy_lun == c->lun && !c->force) {
		change_end(c, -EBUSY, "the LUN is in use: its last command was 3 s ago");
		return;
	}
	struct boot_lun lun = w->luns[i];

	memmove(&w->luns[i], &w->luns[i + 1], (--w->lun_count - i) * sizeof(lun));
	boot_target_close(w->boot, &lun, 1, detach_closed, c);
}

static void change(struct lun_change what, void (*run)(struct loop_msg *msg))
{
	struct lun_change *c = malloc(sizeof(*c));

	assert_non_null(c);
	*c = what;
	c->msg.run = run;
	loop_post(c->world->io, &c->msg);
}

void world_attach(void *world, uint64_t key, unsigned lun, struct loop *reply_loop,
		  void (*attached)(void *arg, int err, const char *reason), void *arg)
{
	change((struct lun_change){ .world = world,
				    .key = key,
				    .lun = lun,
				    .reply_loop = reply_loop,
				    .changed = attached,
				    .arg = arg },
	       attach_on_io);
}

void world_detach(void *world, uint64_t key, unsigned lun, bool force, struct loop *reply_loop,
		  void (*detached)(void *arg, int err, const char *reason), void *arg)
{
	change((struct lun_change){ .world = world,
				    .key = key,
				    .lun = lun,
				    .force = force,
				    .reply_loop = reply_loop,
				    .changed = detached,
				    .arg = arg },
	       detach_on_io);
}

/* ---- a second target ---- */

struct second {
	struct loop_msg msg;
	struct world *world;
	struct boot_lun *luns;
	unsigned count;
	struct reason *reason;
	sem_t done;
};

static void second_opened(void *arg, const struct boot_lun *luns, unsigned count, uint16_t login_status,
			  const char *reason)
{
	struct second *second = arg;

	assert_int_equal(login_status == 0, count > 0);
	assert_true(count <= 8);
	if (count)
		memcpy(second->luns, luns, count * sizeof(*luns));
	second->count = count;
	reason_set(second->reason, "%s", reason);
	sem_post(&second->done);
}

unsigned world_open_luns(struct world *w, int64_t machine_id, uint64_t number, struct boot_lun luns[8],
			 struct reason *reason)
{
	struct second second = { .luns = luns, .reason = reason };

	sem_init(&second.done, 0, 0);
	boot_target_open(w->boot, machine_id, number, w->io, second_opened, &second);
	sem_wait(&second.done);
	sem_destroy(&second.done);
	return second.count;
}

static void second_closed(void *arg)
{
	sem_post(arg);
}

static void second_close(struct loop_msg *msg)
{
	struct second *second = container_of(msg, struct second, msg);

	boot_target_close(second->world->boot, second->luns, second->count, second_closed, &second->done);
}

void world_close_luns(struct world *w, const struct boot_lun *luns, unsigned count)
{
	struct boot_lun copy[8];
	struct second second = { .msg.run = second_close, .world = w, .luns = copy, .count = count };

	memcpy(copy, luns, count * sizeof(*luns));
	sem_init(&second.done, 0, 0);
	loop_post(w->io, &second.msg);
	sem_wait(&second.done);
	sem_destroy(&second.done);
}

/* ---- a loss of power ---- */

static void run(const char *format, const char *a, const char *b)
{
	char command[3 * PATH_MAX];

	snprintf(command, sizeof(command), format, a, b);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

/* In the first sector of a child, this host's boot_id becomes another one. */
static void patch_boot_id(const char *path)
{
	char id[37] = "", sector[65536], *at;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);

	assert_int_equal(read(fd, id, 36), 36);
	close(fd);
	fd = open(path, O_RDWR);
	assert_int_equal(read(fd, sector, sizeof(sector)), sizeof(sector));
	at = memmem(sector, sizeof(sector), id, 36);
	assert_non_null(at);
	assert_int_equal(pwrite(fd, id[0] == 'a' ? "b" : "a", 1, at - sector), 1);
	close(fd);
}

void world_die(struct world *w, const char *object, struct disk *disk)
{
	char path[PATH_MAX], saved[PATH_MAX];

	snprintf(path, sizeof(path), "%s/children/%s", w->dir, object);
	snprintf(saved, sizeof(saved), "%s/tmp", w->dir);
	assert_int_equal(world_write_disk(w, disk, 8192, 'x', false), 0);
	run("cp --sparse=always -a '%s' '%s'/", path, saved);
	run("cp -a '%s.journal' '%s'/ || true", path, saved);
	world_close(w);
	run("cp --sparse=always -a '%s'/* '%s'/children/", saved, w->dir);
}

void world_lose_power(struct world *w, const char *object, struct disk *disk)
{
	char path[PATH_MAX];

	world_die(w, object, disk);
	snprintf(path, sizeof(path), "%s/children/%s", w->dir, object);
	patch_boot_id(path);
}

unsigned world_boot_luns(struct world *w, const char *mac, struct boot_lun luns[8])
{
	struct machine_boot current, pending = { .number = 0 };
	struct reason reason = { "" };
	struct machine machine;
	unsigned count;

	world_expect(w, mac, "", "", "sanboot", NULL);
	machine = world_machine(w, mac);
	world_boots(w, machine.id, &current, &pending);
	assert_int_equal(world_begin(w, machine.id, pending.number), 0);
	count = world_open_luns(w, machine.id, pending.number, luns, &reason);
	if (!count)
		fail_msg("%s", reason.text);
	return count;
}

static uint64_t place_of(unsigned char byte)
{
	return 4096ull * byte;
}

void world_boot_and_write(struct world *w, const char *mac, unsigned char byte)
{
	struct boot_lun luns[8];
	unsigned count = world_boot_luns(w, mac, luns);

	assert_int_equal(world_write_disk(w, luns[0].disk, place_of(byte), byte, true), 0);
	world_close_luns(w, luns, count);
}

void world_expect_bytes(struct world *w, const char *mac, const char *bytes)
{
	struct boot_lun luns[8];
	unsigned count = world_boot_luns(w, mac, luns);

	for (unsigned char byte = 'A'; byte <= 'Z'; byte++) {
		int found = world_read_disk(w, luns[0].disk, place_of(byte));

		if ((found == byte) != (strchr(bytes, byte) != NULL))
			fail_msg("%s: %c is %d, and \"%s\" should be there", mac, byte, found, bytes);
	}
	world_close_luns(w, luns, count);
}
