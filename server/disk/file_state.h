/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a file is the same one, unchanged, so that what is known of it still holds. Private to disk/. */
#ifndef DISK_FILE_STATE_H
#define DISK_FILE_STATE_H

#include <stdbool.h>
#include <sys/stat.h>

static inline bool file_state_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The same inode, of the same size, not changed in between as its times say. */
static inline bool file_state_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       file_state_same_time(&a->st_mtim, &b->st_mtim) && file_state_same_time(&a->st_ctim, &b->st_ctim);
}

#endif
