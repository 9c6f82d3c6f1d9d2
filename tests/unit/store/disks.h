/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Volumes of a store opened as disks on loops, and used; everything is waited for with a semaphore. */
#ifndef TESTS_STORE_DISKS_H
#define TESTS_STORE_DISKS_H

#include "store/fixture.h"

#include "base/loop.h"
#include "disk/disk.h"

struct disks {
	struct fixture *f;
	struct loop *loops[2];
	struct disk_env *env;
};

void disks_start(struct disks *disks, struct fixture *f);
void disks_stop(struct disks *disks);
/* *err and *reason where it is NULL. */
struct disk *disks_open(struct disks *disks, unsigned loop, const struct volume *volume,
			const struct image_version *version, int *err, struct reason *reason);
int disks_close(struct disks *disks, struct disk *disk);
/* 4 KiB. read: the first byte, once all are the same; -errno. */
int disks_write(struct disk *disk, uint64_t offset, unsigned char byte);
int disks_read(struct disk *disk, uint64_t offset);
/* Runs it on a loop, in one turn, and waits for it. */
void disks_on_loop(struct disks *disks, unsigned loop, void (*run)(void *arg), void *arg);

#endif
