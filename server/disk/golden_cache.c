// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Golden data in memory: see golden_cache.h.
 *
 * Every image has an entry for each of its blocks of 64 KiB: which pages have been read once, or the block's slot.
 *
 *	entry:  seen pages (< SLOT_BASE) --a page is read again--> slot + SLOT_BASE --slot is taken away--> 0
 *
 * A hit takes no lock: it reads the entry, counts a pin, and reads the entry again. Whoever takes a slot away does so
 * under the mutex, by turning pins from 0 into TAKEN first and changing the entry after: so either the pin comes
 * first and the slot stays, or the reader sees TAKEN, or an entry that is no longer its own.
 *
 * The mutex guards the list of images, their refs, the slots' owners, the clock's hand and what is populated.
 * Fresh memory is populated 2 MiB at a time by a worker: a loop has no time to clear huge pages.
 */
#include "disk/golden_cache.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/pool.h"
#include "base/util.h"
#include "disk/file_state.h"

enum {
	SLOT_BASE = 1 << 16, /* entries below it are masks of pages */
	TAKEN = 1 << 30,     /* in pins */
	HUGE_BYTES = 2 << 20,
	HUGE_SLOTS = HUGE_BYTES / GOLDEN_SLOT_BYTES,
	IMAGES_KEPT = 16, /* that nobody has open */
	SWEEP_MAX = 256,  /* slots that one look for room goes over */
};

/* What every hit touches: small, because between two hits of a slot the data of others goes through the caches. */
struct golden_slot {
	atomic_uint pins;
	atomic_ushort valid; /* a bit for each page */
	atomic_bool used;    /* since the hand last came by */
};

static_assert(GOLDEN_SLOT_BYTES / GOLDEN_PAGE_BYTES <= 8 * sizeof(unsigned short), "a bit for each page");

/* Whose data is in a slot. */
struct golden_owner {
	struct golden_image *image; /* NULL: free */
	uint32_t block;
};

struct golden_image {
	struct golden_cache *cache;
	struct golden_image *next;
	struct stat st; /* which file this is, and which state of it */
	unsigned refs;
	uint64_t block_count;
	atomic_uint entries[];
};

struct golden_cache {
	struct pool *pool;
	uint8_t *memory;
	uint32_t slot_count, populated, fresh, hand; /* fresh: slots from there on were never used */
	atomic_uint in_use;
	pthread_mutex_t mutex;
	pthread_cond_t idle;
	bool populating;
	struct pool_job populate_job;
	struct golden_image *images;
	struct golden_owner *owners; /* of the slots */
	struct golden_slot slots[];
};

/* ---- memory ---- */

static void populate_work(struct pool_job *job)
{
	struct golden_cache *cache = container_of(job, struct golden_cache, populate_job);
	uint8_t *at = cache->memory + (size_t)cache->populated * GOLDEN_SLOT_BYTES;

	/* Kernels before 5.14 do not know it. */
	if (madvise(at, HUGE_BYTES, MADV_POPULATE_WRITE))
		memset(at, 0, HUGE_BYTES);
}

/* On the worker, too; the last that is done with the job. */
static void populate_done(struct pool_job *job)
{
	struct golden_cache *cache = container_of(job, struct golden_cache, populate_job);

	pthread_mutex_lock(&cache->mutex);
	cache->populated += HUGE_SLOTS;
	cache->populating = false;
	pthread_cond_signal(&cache->idle);
	pthread_mutex_unlock(&cache->mutex);
}

/* Keeps a stretch of fresh slots ready. Under the mutex. */
static void populate_ahead(struct golden_cache *cache)
{
	if (cache->populating || cache->populated == cache->slot_count || cache->populated - cache->fresh > HUGE_SLOTS)
		return;
	cache->populating = true;
	cache->populate_job = (struct pool_job){ .work = populate_work, .done = populate_done };
	pool_submit(cache->pool, POOL_SLOW, &cache->populate_job);
}

int golden_cache_new(struct pool *pool, uint64_t bytes, struct golden_cache **cache)
{
	uint64_t size = min_u64(align_up(bytes, HUGE_BYTES), (uint64_t)(TAKEN / 2) * GOLDEN_SLOT_BYTES);
	uint32_t count = (uint32_t)(size / GOLDEN_SLOT_BYTES);
	struct golden_cache *made = calloc(1, sizeof(*made) + (size_t)count * sizeof(made->slots[0]));

	if (!made)
		return -ENOMEM;
	made->owners = calloc(count, sizeof(*made->owners));
	made->memory = mmap(NULL, size + HUGE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!made->owners || made->memory == MAP_FAILED) {
		if (made->memory != MAP_FAILED)
			munmap(made->memory, size + HUGE_BYTES);
		free(made->owners);
		free(made);
		return -ENOMEM;
	}
	/* Aligned, so that huge pages fit; the rest was never touched. */
	made->memory = (uint8_t *)align_up((uintptr_t)made->memory, HUGE_BYTES);
	madvise(made->memory, size, MADV_HUGEPAGE);
	made->pool = pool;
	made->slot_count = count;
	pthread_mutex_init(&made->mutex, NULL);
	pthread_cond_init(&made->idle, NULL);
	*cache = made;
	return 0;
}

void golden_cache_free(struct golden_cache *cache)
{
	struct golden_image *image, *next;

	if (!cache)
		return;
	pthread_mutex_lock(&cache->mutex);
	while (cache->populating)
		pthread_cond_wait(&cache->idle, &cache->mutex);
	pthread_mutex_unlock(&cache->mutex);
	for (image = cache->images; image; image = next) {
		next = image->next;
		assert(image->refs == 0);
		free(image);
	}
	munmap(cache->memory, (size_t)cache->slot_count * GOLDEN_SLOT_BYTES);
	pthread_cond_destroy(&cache->idle);
	pthread_mutex_destroy(&cache->mutex);
	free(cache->owners);
	free(cache);
}

uint64_t golden_cache_size(const struct golden_cache *cache)
{
	return (uint64_t)cache->slot_count * GOLDEN_SLOT_BYTES;
}

uint64_t golden_cache_used(const struct golden_cache *cache)
{
	return (uint64_t)atomic_load_explicit(&((struct golden_cache *)(uintptr_t)cache)->in_use,
					      memory_order_relaxed) *
	       GOLDEN_SLOT_BYTES;
}

/* ---- slots; under the mutex ---- */

/* True: it was unpinned, and is free and TAKEN now. */
static bool slot_take(struct golden_cache *cache, struct golden_slot *slot)
{
	struct golden_owner *owner = &cache->owners[slot - cache->slots];
	unsigned none = 0;

	if (!atomic_compare_exchange_strong(&slot->pins, &none, TAKEN))
		return false;
	if (owner->image) {
		atomic_store(&owner->image->entries[owner->block], 0);
		owner->image = NULL;
		atomic_fetch_sub_explicit(&cache->in_use, 1, memory_order_relaxed);
	}
	return true;
}

/* A slot that is TAKEN, or NULL where all that we looked at are in use. */
static struct golden_slot *slot_find(struct golden_cache *cache)
{
	populate_ahead(cache);
	if (cache->fresh < cache->populated) {
		struct golden_slot *slot = &cache->slots[cache->fresh];

		if (slot_take(cache, slot)) {
			cache->fresh++;
			return slot;
		}
	}
	if (cache->fresh < cache->slot_count)
		return NULL; /* more memory is on its way */
	for (int i = 0; i < SWEEP_MAX; i++) {
		struct golden_slot *slot = &cache->slots[cache->hand];

		cache->hand = (cache->hand + 1) % cache->slot_count;
		if (!atomic_exchange_explicit(&slot->used, false, memory_order_relaxed) && slot_take(cache, slot))
			return slot;
	}
	return NULL;
}

/* Gives a block a slot, pinned. NULL: somebody else did meanwhile, or there is none. */
static struct golden_slot *slot_give(struct golden_image *image, uint64_t block)
{
	struct golden_cache *cache = image->cache;
	struct golden_slot *slot = NULL;

	pthread_mutex_lock(&cache->mutex);
	if (atomic_load(&image->entries[block]) < SLOT_BASE)
		slot = slot_find(cache);
	if (slot) {
		cache->owners[slot - cache->slots] = (struct golden_owner){ image, (uint32_t)block };
		atomic_store(&slot->valid, 0);
		atomic_store_explicit(&slot->used, true, memory_order_relaxed);
		atomic_fetch_add_explicit(&cache->in_use, 1, memory_order_relaxed);
		/* Ours, and those of readers that came too late go by themselves. */
		atomic_fetch_sub(&slot->pins, TAKEN - 1);
		atomic_store(&image->entries[block], (unsigned)(slot - cache->slots) + SLOT_BASE);
	}
	pthread_mutex_unlock(&cache->mutex);
	return slot;
}

/* ---- images ---- */

/* Nobody has it open, so nothing of it is pinned, but by readers who come too late and see TAKEN. */
static void image_forget(struct golden_cache *cache, struct golden_image **at)
{
	struct golden_image *image = *at;

	for (uint32_t i = 0; i < cache->fresh; i++) {
		struct golden_slot *slot = &cache->slots[i];

		if (cache->owners[i].image != image)
			continue;
		while (!slot_take(cache, slot))
			;
		atomic_fetch_sub(&slot->pins, TAKEN);
	}
	*at = image->next;
	free(image);
}

/* The one that was given back longest ago, where there are more than we keep; those are last in the list. */
static void forget_one(struct golden_cache *cache)
{
	struct golden_image **at, **last = NULL;
	unsigned unused = 0;

	for (at = &cache->images; *at; at = &(*at)->next) {
		if ((*at)->refs)
			continue;
		unused++;
		last = at;
	}
	if (unused > IMAGES_KEPT)
		image_forget(cache, last);
}

static struct golden_image *image_find(struct golden_cache *cache, const struct stat *st)
{
	for (struct golden_image *i = cache->images; i; i = i->next)
		if (file_state_same(&i->st, st))
			return i;
	return NULL;
}

static struct golden_image *image_new(struct golden_cache *cache, const struct stat *st)
{
	uint64_t blocks = ((uint64_t)st->st_size + GOLDEN_SLOT_BYTES - 1) / GOLDEN_SLOT_BYTES;
	struct golden_image *image = calloc(1, sizeof(*image) + blocks * sizeof(image->entries[0]));

	if (!image)
		return NULL;
	image->cache = cache;
	image->st = *st;
	image->block_count = blocks;
	image->next = cache->images;
	cache->images = image;
	return image;
}

struct golden_image *golden_image_get(struct golden_cache *cache, const struct stat *st)
{
	struct golden_image *image;

	pthread_mutex_lock(&cache->mutex);
	image = image_find(cache, st);
	if (!image) {
		forget_one(cache);
		image = image_new(cache, st);
	}
	if (image)
		image->refs++;
	populate_ahead(cache);
	pthread_mutex_unlock(&cache->mutex);
	return image;
}

void golden_image_put(struct golden_image *image)
{
	pthread_mutex_lock(&image->cache->mutex);
	image->refs--;
	pthread_mutex_unlock(&image->cache->mutex);
}

/* ---- reading; any loop ---- */

static unsigned pages_of(uint64_t offset, uint64_t length)
{
	unsigned first = (unsigned)(offset % GOLDEN_SLOT_BYTES / GOLDEN_PAGE_BYTES);
	unsigned end = (unsigned)((offset % GOLDEN_SLOT_BYTES + length + GOLDEN_PAGE_BYTES - 1) / GOLDEN_PAGE_BYTES);

	return (1u << end) - (1u << first);
}

/* The slot that an entry names, pinned, if it still is the block's. */
static struct golden_slot *slot_of_entry(struct golden_image *image, uint64_t block, unsigned entry)
{
	struct golden_slot *slot = &image->cache->slots[entry - SLOT_BASE];

	if (!(atomic_fetch_add(&slot->pins, 1) & TAKEN) && atomic_load(&image->entries[block]) == entry)
		return slot;
	atomic_fetch_sub(&slot->pins, 1);
	return NULL;
}

struct golden_slot *golden_slot_pin(struct golden_image *image, uint64_t offset, uint64_t length, uint8_t **data,
				    bool *valid)
{
	uint64_t block = offset / GOLDEN_SLOT_BYTES;
	unsigned pages = pages_of(offset, length), entry;
	struct golden_slot *slot;

	assert(length && offset % GOLDEN_SLOT_BYTES + length <= GOLDEN_SLOT_BYTES);
	if (block >= image->block_count)
		return NULL;
	entry = atomic_load(&image->entries[block]);
	if (entry >= SLOT_BASE) {
		slot = slot_of_entry(image, block, entry);
	} else if (entry & pages) {
		slot = slot_give(image, block);
	} else {
		/* Where another loop is faster, this first reading is not counted. */
		atomic_compare_exchange_strong(&image->entries[block], &entry, entry | pages);
		slot = NULL;
	}
	if (!slot)
		return NULL;
	if (!atomic_load_explicit(&slot->used, memory_order_relaxed))
		atomic_store_explicit(&slot->used, true, memory_order_relaxed);
	*data = image->cache->memory + (size_t)(slot - image->cache->slots) * GOLDEN_SLOT_BYTES +
		offset % GOLDEN_SLOT_BYTES;
	*valid = (atomic_load_explicit(&slot->valid, memory_order_acquire) & pages) == pages;
	return slot;
}

void golden_slot_filled(struct golden_slot *slot, uint64_t offset, uint64_t length)
{
	atomic_fetch_or_explicit(&slot->valid, (unsigned short)pages_of(offset, length), memory_order_release);
}

void golden_slot_unpin(struct golden_slot *slot)
{
	atomic_fetch_sub_explicit(&slot->pins, 1, memory_order_release);
}
