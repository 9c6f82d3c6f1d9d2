/* SPDX-License-Identifier: GPL-2.0-or-later */
/* boot/ with a real inventory, store and disks in a temporary folder, and a runtime that says what a test wants. */
#ifndef UNIT_BOOT_WORLD_H
#define UNIT_BOOT_WORLD_H

#include "boot/boot.h"
#include "boot/internal.h"

#include <stdatomic.h>

struct disk;

struct world {
	char dir[64];
	struct pool *pool;
	struct loop *loop, *io;
	struct store *store;
	struct inventory *inventory;
	struct disk_env *disk_env;
	struct boot *boot;
	struct boot_runtime runtime;

	/* what the runtime says, and how often it was asked */
	atomic_bool alive;
	atomic_uint sessions;
	atomic_int sessions_err; /* how their list ends */
	struct boot_session session;
	atomic_uint probes, releases;
	/* an open target, which release closes; disk: that of LUN 0 */
	struct boot_lun luns[8];
	unsigned lun_count;
	struct disk *disk;
	int64_t disk_machine;
	atomic_uint busy_lun; /* which a machine uses just now; 0: none */
};

/* A fresh folder with an image "debian@1" (with_image), and everything started. */
struct world *world_new(bool with_image);
/* Everything is stopped and started again over the same folder; and the halves of it. */
void world_restart(struct world *world);
void world_stop(struct world *world);
void world_start(struct world *world);
void world_free(struct world *world);
/* The same for cmocka: *state is a struct world, with or without the image. */
int world_setup(void **state);
int world_setup_empty(void **state);
int world_teardown(void **state);
/* NAME@next, published; its first megabyte is filled with byte. */
void world_add_image(struct world *world, const char *name, unsigned char byte);
void world_policy(struct world *world, const char *key, const char *value);

/* A file of the site's: "entries/x.conf"; text NULL: removed. boot_reload reads it. */
void world_site_file(struct world *world, const char *name, const char *text);

struct reply {
	int status;
	char outcome[16];
	char *script; /* free(3) */
};

struct boot_ask world_ask_of(const char *mac, const char *uuid, const char *serial);
struct reply world_ask(struct world *world, const struct boot_ask *ask);
/* The same for the outcome alone. */
void world_expect(struct world *world, const char *mac, const char *uuid, const char *serial, const char *outcome,
		  const char *in_script);
/* What stands behind "set NAME " in a script; "" where it does not. */
void script_setting(const char *script, const char *name, char *out, size_t out_size);

/* Reads; assert where it fails. */
struct machine world_machine(struct world *world, const char *which);
unsigned world_machine_count(struct world *world);
unsigned world_waiting(struct world *world, const char *mac,
		       struct waiting *row); /* how many wait; number 0: this one does not */
bool world_boots(struct world *world, int64_t machine_id, struct machine_boot *current, struct machine_boot *pending);
unsigned world_events(struct world *world, const char *kind);
unsigned world_children(struct world *world); /* files in children/ */
/* Any write job. */
int world_write(struct world *world, int (*run)(struct inventory_tx *tx, void *arg), void *arg);

/* Targets, blocking. */
/* Volumes but system ones; and one of them, by name, "#id" or MACHINE:LUN: id 0 where there is none. */
unsigned world_volume_count(struct world *world);
struct volume world_volume(struct world *world, const char *which);

struct boot_access world_find(struct world *world, const char *iqn, const char *initiator);
int world_begin(struct world *world, int64_t machine_id, uint64_t number);
struct disk *world_open(struct world *world, int64_t machine_id, uint64_t number, uint16_t *status,
			struct reason *reason);
void world_close(struct world *world);
int world_write_block(struct world *world, uint64_t offset, unsigned char byte, bool flush); /* LUN 0 */
/* 4 KiB of any disk. read: the first byte, once all are the same; -errno. */
int world_write_disk(struct world *world, struct disk *disk, uint64_t offset, unsigned char byte, bool flush);
int world_read_disk(struct world *world, struct disk *disk, uint64_t offset);

/* ---- world_luns.c ---- */

/* What is open at a LUN of the target; NULL: nothing. */
const struct boot_lun *world_lun(const struct world *world, unsigned number);
/* A second target, beside that of world_open: *luns, as boot_target_open gives them; how many. */
unsigned world_open_luns(struct world *world, int64_t machine_id, uint64_t number, struct boot_lun luns[8],
			 struct reason *reason);
void world_close_luns(struct world *world, const struct boot_lun *luns, unsigned count);
/* A machine asks and logs in: what is open then, which world_close_luns closes; how many. */
unsigned world_boot_luns(struct world *world, const char *mac, struct boot_lun luns[8]);
/* It boots, writes 4 KiB of a letter at that letter's place of its disk, and is off again; which letters there are, at all places. */
void world_boot_and_write(struct world *world, const char *mac, unsigned char byte);
void world_expect_bytes(struct world *world, const char *mac, const char *bytes);
/*
 * The server dies while disk, which keeps object, is written to: what lies on the disk then, made from what lay there
 * before it was closed. The target is closed. lose_power: and its host with it.
 */
void world_die(struct world *world, const char *object, struct disk *disk);
void world_lose_power(struct world *world, const char *object, struct disk *disk);
/* The runtime's attach and detach, for world.c. */
void world_attach(void *world, uint64_t key, unsigned lun, struct loop *reply_loop,
		  void (*attached)(void *arg, int err, const char *reason), void *arg);
void world_detach(void *world, uint64_t key, unsigned lun, bool force, struct loop *reply_loop,
		  void (*detached)(void *arg, int err, const char *reason), void *arg);

#endif
