/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Golden data in our own memory, shared by all loops: a read lends it from here, where the page cache would copy it.
 * The page cache stays below and keeps what does not fit. Private to disk/.
 *
 * Memory is taken in slots of 64 KiB, of whose 4 KiB pages each is valid or not: only what was asked for is read from
 * the disk. A block of an image gets a slot when a page of it is read for the second time, so one machine that reads a
 * whole disk once does not push out what a room boots from. A slot is lent by pinning it; only unpinned ones are taken
 * away. Golden images do not change while they are open, so the same page may be filled by two loops at once: with the
 * same bytes.
 */
#ifndef DISK_GOLDEN_CACHE_H
#define DISK_GOLDEN_CACHE_H

#include <stdbool.h>
#include <stdint.h>

struct golden_cache;
struct golden_image;
struct golden_slot;
struct pool;
struct stat;

enum { GOLDEN_SLOT_BYTES = 65536, GOLDEN_PAGE_BYTES = 4096 };

/* bytes is rounded up to 2 MiB; memory is taken as it is used, by workers. 0 or -errno. */
int golden_cache_new(struct pool *pool, uint64_t bytes, struct golden_cache **cache);
/* All images are given back. */
void golden_cache_free(struct golden_cache *cache);
uint64_t golden_cache_size(const struct golden_cache *cache);
/* Bytes that hold data, whole slots. Any thread. */
uint64_t golden_cache_used(const struct golden_cache *cache);

/* Any thread. The image that an open file is, as its inode, size and times say; NULL without memory. */
struct golden_image *golden_image_get(struct golden_cache *cache, const struct stat *st);
/* Its data stays for whoever opens it next. */
void golden_image_put(struct golden_image *image);

/*
 * Any loop. Pins the slot of a range that lies within one slot: data is where it begins. valid: it holds the bytes;
 * else the caller reads them there, whole pages of them, and calls golden_slot_filled. NULL: not worth it, or no room.
 */
struct golden_slot *golden_slot_pin(struct golden_image *image, uint64_t offset, uint64_t length, uint8_t **data,
				    bool *valid);
/* The pages of a range have been read into the slot. */
void golden_slot_filled(struct golden_slot *slot, uint64_t offset, uint64_t length);
void golden_slot_unpin(struct golden_slot *slot);

#endif
