/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Room for the inventory on a file system that is full: see room.c. Private to the folder. The writer's thread, or
 * whoever opens and closes.
 */
#ifndef INVENTORY_ROOM_H
#define INVENTORY_ROOM_H

#include <limits.h>
#include <stdbool.h>

struct room {
	char path[PATH_MAX]; /* of the database */
	int db_fd, wal_fd;   /* -1: not open */
	bool missing;	     /* it was said that there is none */
};

/* Before SQLite opens the file, which is there: what was kept while nobody had it open may be used now. */
void room_init(struct room *room, const char *path);
/* After the first look at the database, and after each transaction: blocks for what comes next are the files' already. */
void room_keep(struct room *room);
/*
 * After SQLite has closed the file, never before: closing a descriptor of our own would take SQLite's locks away. Keeps
 * as much for the next start.
 */
void room_fini(struct room *room);

#endif
