// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The inventory lies beside the machines' disks, and they may fill the file system to the last block. Who then wants to
 * log in, to change a policy, to make room: all of that is a write here. So blocks are allocated ahead, which nobody
 * else can take:
 *
 *     while it is open    behind the end of the WAL up to WAL_BYTES (commits go there; once copied into the database it
 *                         is written from its beginning again), and DB_AHEAD_BYTES behind the end of the database
 *     while it is closed  DATABASE-room, as large as the WAL, for SQLite removes the WAL when it closes
 *
 * A file system that cannot allocate ahead (EOPNOTSUPP), or copies on writing, promises nothing, and works as before.
 */
#include "inventory/room.h"

#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	WAL_BYTES = 8 << 20, /* some hundred commits where none can be copied */
	DB_AHEAD_BYTES = 2 << 20,
	DB_AHEAD_LEAST = 1 << 20,
	LEAST_BYTES = 64 << 10, /* less is not worth asking for */
	BLOCK = 512,		/* st_blocks counts in these */
};

/* "DATABASE-room", "DATABASE-wal". */
static const char *beside(const struct room *room, const char *suffix, char out[PATH_MAX + 8])
{
	snprintf(out, PATH_MAX + 8, "%s%s", room->path, suffix);
	return out;
}

/*
 * A file of size bytes gets blocks for `more` behind that, where it has not `least`; fewer where that is all that there
 * is. 0 or -errno: it has less than it should.
 */
static int keep(int fd, uint64_t size, uint64_t least, uint64_t more)
{
	struct stat st;
	int err = 0;

	if (fstat(fd, &st))
		return -errno;
	if ((uint64_t)st.st_blocks * BLOCK >= size + least)
		return 0;
	for (uint64_t bytes = more; bytes >= LEAST_BYTES; bytes /= 2) {
		if (!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)(size + bytes)))
			return bytes == more ? 0 : err;
		err = -errno;
		if (err != -ENOSPC)
			return err;
	}
	return err;
}

void room_init(struct room *room, const char *path)
{
	char kept[PATH_MAX + 8];

	*room = (struct room){ .db_fd = -1, .wal_fd = -1 };
	snprintf(room->path, sizeof(room->path), "%s", path);
	if (unlink(beside(room, "-room", kept)) && errno != ENOENT)
		log_warning("inventory: %s: %s", kept, strerror(errno));
	room->db_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

void room_keep(struct room *room)
{
	char wal[PATH_MAX + 8];
	struct stat st;
	int err = 0;

	if (room->wal_fd < 0)
		room->wal_fd = open(beside(room, "-wal", wal), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (room->wal_fd >= 0)
		err = keep(room->wal_fd, 0, WAL_BYTES, WAL_BYTES);
	if (!err && room->db_fd >= 0 && !fstat(room->db_fd, &st))
		err = keep(room->db_fd, (uint64_t)st.st_size, DB_AHEAD_LEAST, DB_AHEAD_BYTES);
	if (err == -ENOSPC && !room->missing)
		log_warning("inventory: the file system of %s is full: what is kept for the inventory on it lasts for a "
			    "while, make room",
			    room->path);
	room->missing = err == -ENOSPC;
}

void room_fini(struct room *room)
{
	char kept[PATH_MAX + 8];
	int fd;

	if (room->wal_fd >= 0)
		close(room->wal_fd);
	if (room->db_fd < 0)
		return;
	close(room->db_fd);
	fd = open(beside(room, "-room", kept), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	keep(fd, 0, WAL_BYTES, WAL_BYTES);
	close(fd);
}
