// SPDX-License-Identifier: GPL-2.0-or-later
/* See hole_map.h. The mutex guards the list and `refs`; a map that is in the list does not change. */
#include "disk/hole_map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "disk/file_state.h"

struct hole {
	uint64_t start, end;
};

struct hole_map {
	struct hole_maps *maps;
	struct hole_map *next;
	unsigned refs;
	struct stat st;	    /* which file this is, and which state of it */
	struct hole *holes; /* in order */
	unsigned count, room;
};

static bool add(struct hole_map *map, uint64_t start, uint64_t end)
{
	if (end - start < HOLE_MIN_BYTES || map->count == HOLES_MAX)
		return true;
	if (map->count == map->room) {
		unsigned room = map->room ? 2 * map->room : 16;
		struct hole *more = realloc(map->holes, room * sizeof(*more));

		if (!more)
			return false;
		map->holes = more;
		map->room = room;
	}
	map->holes[map->count++] = (struct hole){ start, end };
	return true;
}

/* From data to data. False where the file system does not say, or without memory. */
static bool find_holes(struct hole_map *map, int fd)
{
	uint64_t at = 0;

	while (map->count < HOLES_MAX) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

		if (data < 0)
			return errno == ENXIO && add(map, at, UINT64_MAX);
		if (!add(map, at, (uint64_t)data))
			return false;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole <= data)
			return false;
		at = (uint64_t)hole;
	}
	return true;
}

static struct hole_map *find_map(struct hole_maps *maps, const struct stat *st)
{
	for (struct hole_map *map = maps->first; map; map = map->next)
		if (file_state_same(&map->st, st))
			return map;
	return NULL;
}

static void free_map(struct hole_map *map)
{
	if (map)
		free(map->holes);
	free(map);
}

static struct hole_map *new_map(struct hole_maps *maps, int fd, const struct stat *st)
{
	struct hole_map *map = calloc(1, sizeof(*map));

	if (map && !find_holes(map, fd)) {
		free_map(map);
		return NULL;
	}
	if (map) {
		map->maps = maps;
		map->st = *st;
	}
	return map;
}

void hole_maps_init(struct hole_maps *maps)
{
	pthread_mutex_init(&maps->mutex, NULL);
	maps->first = NULL;
}

void hole_maps_fini(struct hole_maps *maps)
{
	assert(!maps->first);
	pthread_mutex_destroy(&maps->mutex);
}

struct hole_map *hole_map_get(struct hole_maps *maps, int fd, const struct stat *st)
{
	struct hole_map *map, *made = NULL;

	pthread_mutex_lock(&maps->mutex);
	map = find_map(maps, st);
	if (!map) {
		/* Not under the mutex, which the loops take, too. */
		pthread_mutex_unlock(&maps->mutex);
		made = new_map(maps, fd, st);
		pthread_mutex_lock(&maps->mutex);
		map = find_map(maps, st);
	}
	if (!map && made) {
		map = made;
		made = NULL;
		map->next = maps->first;
		maps->first = map;
	}
	if (map)
		map->refs++;
	pthread_mutex_unlock(&maps->mutex);
	free_map(made);
	return map;
}

void hole_map_put(struct hole_map *map)
{
	struct hole_maps *maps;
	bool last;

	if (!map)
		return;
	maps = map->maps;
	pthread_mutex_lock(&maps->mutex);
	last = --map->refs == 0;
	if (last) {
		struct hole_map **at = &maps->first;

		while (*at != map)
			at = &(*at)->next;
		*at = map->next;
	}
	pthread_mutex_unlock(&maps->mutex);
	if (last)
		free_map(map);
}

bool hole_map_covers(const struct hole_map *map, uint64_t offset, uint64_t length)
{
	unsigned low = 0, high = map ? map->count : 0;

	/* The last hole that begins at offset or before. */
	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (map->holes[middle].start <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low && offset < map->holes[low - 1].end && map->holes[low - 1].end - offset >= length;
}
