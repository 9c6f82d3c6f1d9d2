/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a file that nobody changes has holes: its reads there need no file, and no memory of the page cache, which would be
 * filled with zeroes. Found once, when the first disk opens the file, and shared by all that have it open. Private to disk/.
 */
#ifndef DISK_HOLE_MAP_H
#define DISK_HOLE_MAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct hole_map;
struct stat;

enum {
	HOLE_MIN_BYTES = 32 << 10, /* smaller ones are read like data */
	HOLES_MAX = 1 << 20,	   /* of a file; those beyond are read like data. 16 MiB */
};

/* All that there are; embed it. Private fields. */
struct hole_maps {
	pthread_mutex_t mutex;
	struct hole_map *first;
};

void hole_maps_init(struct hole_maps *maps);
/* Every map has been given back. */
void hole_maps_fini(struct hole_maps *maps);

/*
 * Blocks, on a worker: the map of the file that fd is, as its inode, size and times say. NULL where its file system does
 * not tell, or without memory: then nothing is known to be a hole.
 */
struct hole_map *hole_map_get(struct hole_maps *maps, int fd, const struct stat *st);
/* Any thread. map may be NULL. */
void hole_map_put(struct hole_map *map);
/* Any thread. Does the range lie in one hole? What is beyond the end of the file does. map may be NULL: false. */
bool hole_map_covers(const struct hole_map *map, uint64_t offset, uint64_t length);

#endif
