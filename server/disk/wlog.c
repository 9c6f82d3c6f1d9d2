// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Areas and slots of the write log: see wlog.h.
 *
 * An area belongs to its loop. Whoever else frees one of its slots (a disk that was opened on another loop, a worker)
 * puts it into `returned`, from where the loop takes all of them at once. The areas of dead processes belong to nobody:
 * they count what is live, and go with the last. `mutex` guards the orphans, the ids that are kept, `found` and `dropping`.
 */
#include "disk/wlog.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "base/util.h"
#include "disk/engine.h"

enum {
	WLOG_MAGIC = 0x53574c47, /* "SWLG" */
	WLOG_VERSION = 1,
	SLOT_FREE = 0,
	SLOT_LIVE = 0x4c495645,
};

/* It never leaves the machine, nor its boot: in the processor's own order. */
struct wire_head {
	uint32_t crc, magic, version, slots;
	char boot_id[40];
};

struct wlog_wire_slot {
	_Atomic uint32_t state;
	uint32_t crc;
	uint64_t id, path, page, seq;
	uint8_t padding[24];
};
_Static_assert(sizeof(struct wlog_wire_slot) == 64, "one line of the cache");
_Static_assert(sizeof(struct wire_head) <= WLOG_PAGE_BYTES, "the first page");

struct wlog_area {
	struct wlog *wlog;
	struct loop *loop; /* NULL: of a dead process */
	struct wlog_memory memory;
	struct wlog_slot *slots;
	unsigned slot_count;
	struct wlog_slot *free;
	unsigned free_count;
	struct wlog_slot *_Atomic returned;
	atomic_uint live; /* taken or live */
	atomic_ullong written;
	struct pool_job drop_job;
};

struct wlog {
	struct wlog_host host;
	struct disk_env *env;
	pthread_mutex_t mutex;
	pthread_cond_t dropped;
	unsigned dropping; /* areas, by workers */
	struct wlog_slot *orphans;
	uint64_t *kept; /* ids of disks that were not closed properly */
	unsigned kept_count;
	atomic_uint orphan_count;
	uint64_t size_bytes;
	bool found;		 /* a dead process of this boot had one */
	atomic_bool keep;	 /* some disk may be in use, as its marks say: areas stay, whatever they hold */
	struct wlog_area **dead; /* areas of dead processes */
	unsigned dead_count;
	unsigned loop_count;
	struct wlog_area *areas[]; /* of the loops; all or none */
};

/* ---- bytes ---- */

static uint64_t table_bytes(unsigned slots)
{
	return align_up((uint64_t)slots * sizeof(struct wlog_wire_slot), WLOG_PAGE_BYTES);
}

static uint64_t area_bytes(unsigned slots)
{
	return WLOG_PAGE_BYTES + table_bytes(slots) + (uint64_t)slots * WLOG_PAGE_BYTES;
}

static uint32_t head_crc(const struct wire_head *head)
{
	return crc32c(0, &head->magic, sizeof(*head) - sizeof(head->crc));
}

static uint32_t slot_crc(const struct wlog_wire_slot *wire, unsigned index)
{
	return crc32c(crc32c(0, &index, sizeof(index)), &wire->id, 4 * sizeof(uint64_t));
}

static unsigned index_of(const struct wlog_slot *slot)
{
	return (unsigned)(slot - slot->area->slots);
}

uint64_t wlog_path_hash(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *path; path++)
		hash = (hash ^ (uint8_t)*path) * 0x100000001b3u;
	return hash;
}

/* ---- slots ---- */

static void area_drop_work(struct pool_job *job)
{
	struct wlog_area *area = container_of(job, struct wlog_area, drop_job);

	area->wlog->host.drop(area->wlog->host.arg, &area->memory, true);
}

/* On the worker: from here on wlog_free may go on. */
static void area_dropped(struct pool_job *job)
{
	struct wlog_area *area = container_of(job, struct wlog_area, drop_job);
	struct wlog *wlog = area->wlog;

	pthread_mutex_lock(&wlog->mutex);
	area->memory.data = NULL;
	wlog->dropping--;
	pthread_cond_signal(&wlog->dropped);
	pthread_mutex_unlock(&wlog->mutex);
}

static void drop_soon(struct wlog_area *area)
{
	struct wlog *wlog = area->wlog;

	pthread_mutex_lock(&wlog->mutex);
	wlog->dropping++;
	pthread_mutex_unlock(&wlog->mutex);
	area->drop_job = (struct pool_job){ .work = area_drop_work, .done = area_dropped };
	disk_env_submit(wlog->env, POOL_SLOW, &area->drop_job);
}

static void push_free(struct wlog_area *area, struct wlog_slot *slot)
{
	slot->next = area->free;
	area->free = slot;
	area->free_count++;
}

static void take_returned(struct wlog_area *area)
{
	struct wlog_slot *slot, *next;

	if (!atomic_load_explicit(&area->returned, memory_order_relaxed))
		return;
	for (slot = atomic_exchange(&area->returned, NULL); slot; slot = next) {
		next = slot->next;
		push_free(area, slot);
	}
}

unsigned wlog_room(struct wlog_area *area)
{
	take_returned(area);
	return area->free_count;
}

unsigned wlog_slot_count(const struct wlog_area *area)
{
	return area->slot_count;
}

struct wlog_slot *wlog_take(struct wlog_area *area)
{
	struct wlog_slot *slot = area->free;

	assert(slot);
	area->free = slot->next;
	area->free_count--;
	atomic_fetch_add_explicit(&area->live, 1, memory_order_relaxed);
	slot->pins = 0;
	slot->error = 0;
	slot->indexed = slot->going = slot->dead = false;
	return slot;
}

void wlog_commit(struct wlog_slot *slot, uint64_t id, uint64_t path, uint64_t page, uint64_t seq)
{
	struct wlog_wire_slot *wire = slot->wire;

	slot->page = page;
	slot->seq = seq;
	wire->id = id;
	wire->path = path;
	wire->page = page;
	wire->seq = seq;
	wire->crc = slot_crc(wire, index_of(slot));
	atomic_store_explicit(&wire->state, SLOT_LIVE, memory_order_release);
}

void wlog_void(struct wlog_slot *slot)
{
	atomic_store_explicit(&slot->wire->state, SLOT_FREE, memory_order_release);
}

void wlog_release(struct wlog_slot *slot)
{
	struct wlog_area *area = slot->area;
	struct wlog_slot *head;

	assert(!slot->pins);
	wlog_void(slot);
	if (area->loop && area->loop == loop_current()) {
		push_free(area, slot);
		atomic_fetch_sub_explicit(&area->live, 1, memory_order_relaxed);
		return;
	}
	if (area->loop) {
		head = atomic_load(&area->returned);
		do
			slot->next = head;
		while (!atomic_compare_exchange_weak(&area->returned, &head, slot));
	}
	if (atomic_fetch_sub(&area->live, 1) == 1 && !area->loop)
		drop_soon(area);
}

/* ---- orphans ---- */

void wlog_orphan(struct wlog *wlog, struct wlog_slot *slot)
{
	pthread_mutex_lock(&wlog->mutex);
	slot->next = wlog->orphans;
	wlog->orphans = slot;
	atomic_fetch_add(&wlog->orphan_count, 1);
	pthread_mutex_unlock(&wlog->mutex);
}

/* Two sorted lists become one. */
static struct wlog_slot *merge(struct wlog_slot *a, struct wlog_slot *b)
{
	struct wlog_slot *first, **at = &first;

	while (a && b) {
		struct wlog_slot **less = a->seq <= b->seq ? &a : &b;

		*at = *less;
		at = &(*at)->next;
		*less = (*less)->next;
	}
	*at = a ? a : b;
	return first;
}

static struct wlog_slot *sort_by_seq(struct wlog_slot *slots, unsigned count)
{
	struct wlog_slot *middle = slots, *second;

	if (count < 2)
		return slots;
	for (unsigned i = 1; i < count / 2; i++)
		middle = middle->next;
	second = middle->next;
	middle->next = NULL;
	return merge(sort_by_seq(slots, count / 2), sort_by_seq(second, count - count / 2));
}

/* Takes those of the orphans that are of that path, or of that id, into two lists. */
static void pick(struct wlog *wlog, const uint64_t *id, uint64_t path, struct wlog_slots *mine, struct wlog_slots *old)
{
	struct wlog_slot **at = &wlog->orphans, *slot;

	pthread_mutex_lock(&wlog->mutex);
	while ((slot = *at)) {
		bool same = id && slot->wire->id == *id;
		struct wlog_slots *list = same ? mine : slot->wire->path == path ? old : NULL;

		if (!list) {
			at = &slot->next;
			continue;
		}
		*at = slot->next;
		slot->next = list->first;
		list->first = slot;
		list->count++;
		atomic_fetch_sub(&wlog->orphan_count, 1);
	}
	pthread_mutex_unlock(&wlog->mutex);
}

struct wlog_slots wlog_claim(struct wlog *wlog, uint64_t id, uint64_t path)
{
	struct wlog_slots mine = { 0 }, old = { 0 };

	if (!atomic_load(&wlog->orphan_count))
		return mine;
	pick(wlog, &id, path, &mine, &old);
	wlog_discard(&old);
	mine.first = sort_by_seq(mine.first, mine.count);
	return mine;
}

void wlog_forget(struct wlog *wlog, uint64_t path)
{
	struct wlog_slots mine = { 0 }, old = { 0 };

	if (!atomic_load(&wlog->orphan_count))
		return;
	pick(wlog, NULL, path, &mine, &old);
	wlog_discard(&old);
}

void wlog_discard(struct wlog_slots *slots)
{
	struct wlog_slot *slot = slots->first, *next;

	for (; slot; slot = next) {
		next = slot->next;
		wlog_release(slot);
	}
	*slots = (struct wlog_slots){ 0 };
}

/* ---- areas ---- */

static void area_free(struct wlog_area *area)
{
	if (!area)
		return;
	free(area->slots);
	free(area);
}

/* Its slots, over memory that has its size. NULL without memory. */
static struct wlog_area *area_new(struct wlog *wlog, struct loop *loop, const struct wlog_memory *memory,
				  unsigned slot_count)
{
	struct wlog_area *area = calloc(1, sizeof(*area));
	uint8_t *table = (uint8_t *)memory->data + WLOG_PAGE_BYTES, *pages = table + table_bytes(slot_count);

	if (!area)
		return NULL;
	*area = (struct wlog_area){ .wlog = wlog, .loop = loop, .memory = *memory, .slot_count = slot_count };
	area->slots = calloc(slot_count, sizeof(*area->slots));
	if (!area->slots) {
		free(area);
		return NULL;
	}
	for (unsigned i = 0; i < slot_count; i++) {
		area->slots[i].area = area;
		area->slots[i].wire = (struct wlog_wire_slot *)(void *)table + i;
		area->slots[i].data = pages + (size_t)i * WLOG_PAGE_BYTES;
	}
	return area;
}

static unsigned slots_in(uint64_t bytes)
{
	uint64_t slots = bytes / (WLOG_PAGE_BYTES + sizeof(struct wlog_wire_slot));

	while (slots > 0 && area_bytes((unsigned)slots) > bytes)
		slots--;
	return (unsigned)min_u64(slots, UINT32_MAX / 2);
}

/* One of a dead process in which nothing is left: it is used again. NULL: none has that size. */
static struct wlog_area *take_empty(struct wlog *wlog, unsigned slots)
{
	for (unsigned i = 0; i < wlog->dead_count; i++) {
		struct wlog_area *area = wlog->dead[i];

		if (area->slot_count != slots || atomic_load(&area->live))
			continue;
		wlog->dead[i] = wlog->dead[--wlog->dead_count];
		return area;
	}
	return NULL;
}

static int make_area(struct wlog *wlog, unsigned slots, struct wlog_area **out)
{
	struct wlog_memory memory;
	struct wire_head *head;
	int err;

	err = wlog->host.make(wlog->host.arg, area_bytes(slots), &memory);
	if (err)
		return err;
	*out = area_new(wlog, NULL, &memory, slots);
	if (!*out) {
		wlog->host.drop(wlog->host.arg, &memory, true);
		return -ENOMEM;
	}
	head = memory.data;
	*head = (struct wire_head){ .magic = WLOG_MAGIC, .version = WLOG_VERSION, .slots = slots };
	strncpy(head->boot_id, disk_env_boot_id(wlog->env), sizeof(head->boot_id) - 1);
	head->crc = head_crc(head);
	return 0;
}

static int get_area(struct wlog *wlog, struct loop *loop, uint64_t bytes, struct wlog_area **out)
{
	unsigned slots = slots_in(bytes);
	int err = 0;

	if (slots < WLOG_SLOTS_MIN)
		return -EINVAL;
	*out = take_empty(wlog, slots);
	if (!*out)
		err = make_area(wlog, slots, out);
	if (err)
		return err;
	(*out)->loop = loop;
	for (unsigned i = slots; i-- > 0;) {
		wlog_void(&(*out)->slots[i]);
		push_free(*out, &(*out)->slots[i]);
	}
	return 0;
}

static bool is_ours(const struct wlog *wlog, const struct wlog_memory *memory)
{
	const struct wire_head *head = memory->data;
	const char *boot_id = disk_env_boot_id(wlog->env);

	return memory->bytes > sizeof(*head) && head->magic == WLOG_MAGIC && head->version == WLOG_VERSION &&
	       head->crc == head_crc(head) && head->slots && memory->bytes >= area_bytes(head->slots) && boot_id[0] &&
	       !strncmp(head->boot_id, boot_id, sizeof(head->boot_id));
}

/* What a dead process has left in it becomes orphans. */
static int adopt_area(struct wlog *wlog, struct wlog_memory *memory)
{
	struct wlog_area *area = NULL;
	int err = 0;

	if (!is_ours(wlog, memory)) {
		wlog->host.drop(wlog->host.arg, memory, true);
		return 0;
	}
	wlog->found = true;
	atomic_store(&wlog->keep, true);
	area = area_new(wlog, NULL, memory, ((struct wire_head *)memory->data)->slots);
	if (!area || array_append(&wlog->dead, &wlog->dead_count, &area, sizeof(area)))
		err = -ENOMEM;
	for (unsigned i = 0; !err && i < area->slot_count; i++) {
		struct wlog_slot *slot = &area->slots[i];

		if (atomic_load(&slot->wire->state) != SLOT_LIVE || slot->wire->crc != slot_crc(slot->wire, i))
			continue;
		slot->page = slot->wire->page;
		slot->seq = slot->wire->seq;
		atomic_fetch_add(&area->live, 1);
		wlog_orphan(wlog, slot);
	}
	if (err) {
		area_free(area);
		wlog->host.drop(wlog->host.arg, memory, false);
	}
	return err;
}

/* Those of dead processes in which nothing is left. */
static void drop_empty(struct wlog *wlog)
{
	for (unsigned i = 0; i < wlog->dead_count; i++) {
		struct wlog_area *area = wlog->dead[i];

		if (!area->memory.data || atomic_load(&area->live))
			continue;
		wlog->host.drop(wlog->host.arg, &area->memory, true);
		area->memory.data = NULL;
	}
}

static void drop_areas(struct wlog *wlog)
{
	for (unsigned i = 0; i < wlog->loop_count; i++) {
		struct wlog_area *area = wlog->areas[i];

		if (area)
			wlog->host.drop(wlog->host.arg, &area->memory,
					!atomic_load(&area->live) && !atomic_load(&wlog->keep));
		area_free(area);
		wlog->areas[i] = NULL;
	}
	wlog->size_bytes = 0;
}

static int make_areas(struct wlog *wlog, struct loop *const *loops, uint64_t bytes)
{
	int err = 0;

	for (unsigned i = 0; i < wlog->loop_count && !err; i++) {
		err = get_area(wlog, loops[i], bytes / wlog->loop_count, &wlog->areas[i]);
		if (!err)
			wlog->size_bytes += (uint64_t)wlog->areas[i]->slot_count * WLOG_PAGE_BYTES;
	}
	if (err)
		drop_areas(wlog);
	return err;
}

int wlog_new(const struct wlog_host *host, struct disk_env *env, struct loop *const *loops, unsigned loop_count,
	     uint64_t bytes, struct wlog **out)
{
	struct wlog *wlog = calloc(1, sizeof(*wlog) + loop_count * sizeof(wlog->areas[0]));
	struct wlog_memory memory;
	int err = 0;

	if (!wlog)
		return -ENOMEM;
	wlog->host = *host;
	wlog->env = env;
	wlog->loop_count = loop_count;
	pthread_mutex_init(&wlog->mutex, NULL);
	pthread_cond_init(&wlog->dropped, NULL);
	while (!err && !host->find(host->arg, &memory))
		err = adopt_area(wlog, &memory);
	if (err) {
		wlog_free(wlog);
		return err;
	}
	/* Where there is no other the next process finds the empty ones, and knows that nothing is missing (wlog_found). */
	if (bytes) {
		err = make_areas(wlog, loops, bytes);
		if (!err)
			drop_empty(wlog);
	}
	*out = wlog;
	return err == -ENOMEM ? -ENOSPC : err;
}

void wlog_free(struct wlog *wlog)
{
	bool has_areas = wlog && wlog->size_bytes;

	if (!wlog)
		return;
	pthread_mutex_lock(&wlog->mutex);
	while (wlog->dropping)
		pthread_cond_wait(&wlog->dropped, &wlog->mutex);
	pthread_mutex_unlock(&wlog->mutex);
	drop_areas(wlog);
	for (unsigned i = 0; i < wlog->dead_count; i++) {
		struct wlog_area *area = wlog->dead[i];

		/* An area of this process is what the next one finds. */
		if (area->memory.data)
			wlog->host.drop(wlog->host.arg, &area->memory, has_areas && !atomic_load(&area->live));
		area_free(area);
	}
	free(wlog->dead);
	free(wlog->kept);
	pthread_mutex_destroy(&wlog->mutex);
	pthread_cond_destroy(&wlog->dropped);
	free(wlog);
}

struct wlog_area *wlog_area_of(struct wlog *wlog, unsigned loop_index)
{
	return wlog && loop_index < wlog->loop_count ? wlog->areas[loop_index] : NULL;
}

bool wlog_found(struct wlog *wlog, uint64_t id)
{
	bool found;

	pthread_mutex_lock(&wlog->mutex);
	found = wlog->found;
	for (unsigned i = 0; i < wlog->kept_count && !found; i++)
		found = wlog->kept[i] == id;
	pthread_mutex_unlock(&wlog->mutex);
	return found;
}

void wlog_keep(struct wlog *wlog, uint64_t id)
{
	pthread_mutex_lock(&wlog->mutex);
	atomic_store(&wlog->keep, true);
	/* Without memory all are believed. */
	if (array_append(&wlog->kept, &wlog->kept_count, &id, sizeof(id)))
		wlog->found = true;
	pthread_mutex_unlock(&wlog->mutex);
}

uint64_t wlog_size(const struct wlog *wlog)
{
	return wlog->size_bytes;
}

void wlog_count_write(struct wlog_area *area)
{
	/* One writer: no read-modify-write is needed. */
	atomic_store_explicit(&area->written, atomic_load_explicit(&area->written, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

void wlog_get_info(struct wlog *wlog, struct wlog_info *info)
{
	*info = (struct wlog_info){ 0 };
	if (!wlog)
		return;
	info->size_bytes = wlog->size_bytes;
	info->orphan_bytes = (uint64_t)atomic_load(&wlog->orphan_count) * WLOG_PAGE_BYTES;
	for (unsigned i = 0; i < wlog->loop_count && wlog->areas[i]; i++) {
		info->used_bytes += (uint64_t)atomic_load(&wlog->areas[i]->live) * WLOG_PAGE_BYTES;
		info->written += atomic_load(&wlog->areas[i]->written);
	}
}
