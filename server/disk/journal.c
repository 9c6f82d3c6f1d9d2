// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The journal of a child: see journal.h.
 *
 * A half is 32 blocks of 4 KiB, a block 102 entries of 40 bytes; the first two of a half are its header.
 * Appending writes the block that the entries fall into, whole, so that the page cache never has to read first. Bytes
 * of earlier entries are written again as they were, so a write that a dying process leaves half done harms none of
 * them.
 *
 * What is added in one turn of the loop is written together. At most one write is in flight; then further entries
 * queue.
 */
#include "disk/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/util.h"

enum {
	JOURNAL_MAGIC = 0x534a524e, /* "SJRN" */
	JOURNAL_BLOCK_BYTES = 4096,
	JOURNAL_HEADER_ENTRIES = 2,
	JOURNAL_POISON = 0xffff, /* instead of a count */
	JOURNAL_SPARE = 8,	 /* a flush, which takes the other half, is due when an eighth is left */
};

struct wire_entry {
	struct be32 crc;
	struct be16 count, padding;
	struct be64 first, table, descriptor, bitmap;
};

struct wire_header {
	struct be32 crc, magic;
	struct be64 generation, epoch;
	char boot_id[40];
};

enum {
	JOURNAL_BLOCK_ENTRIES = JOURNAL_BLOCK_BYTES / sizeof(struct wire_entry),
	JOURNAL_HALF_ENTRIES = JOURNAL_HALF_BYTES / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_ENTRIES,
	JOURNAL_ROOM_MAX = JOURNAL_HALF_ENTRIES - 1, /* the last one is kept for the poison */
};
_Static_assert(sizeof(struct wire_header) <= JOURNAL_HEADER_ENTRIES * sizeof(struct wire_entry), "header");

struct journal {
	struct file *file;
	struct loop *loop;
	struct journal_owner owner;
	uint64_t generation;
	char boot_id[40];
	unsigned half;	 /* the present one */
	uint64_t epoch;	 /* of the present half; each use of a half has its own */
	unsigned used;	 /* entries of the present half */
	unsigned room;	 /* of them there are so many */
	bool other_free; /* everything in the other half is in the maps, durably */
	bool moved;	 /* halves changed since the flush began */
	struct journal_change *queue;
	unsigned queue_first, queue_count, queue_room;
	uint64_t added, written; /* changes ever */
	struct journal_waiter *first, **last;
	bool posted, writing, closing;
	struct journal_waiter *poison; /* who wants it, until told */
	bool poisoned;
	int error;	/* for ever */
	int refused;	/* what is queued now will not be written */
	bool gap;	/* such a change was, so what came before it must not be trusted to have been superseded */
	unsigned batch; /* changes in the write that is in flight */
	struct loop_msg msg;
	struct file_request io;
	struct iovec iov;
	uint8_t *block; /* the last block of the present half */
};

/* ---- bytes ---- */

static uint32_t entry_crc(const struct wire_entry *entry, uint64_t generation, uint64_t epoch, unsigned index)
{
	struct be64 where[3] = { be64_put(generation), be64_put(epoch), be64_put(index) };

	return crc32c(crc32c(0, where, sizeof(where)), &entry->count, sizeof(*entry) - sizeof(entry->crc));
}

static struct wire_entry *entry_in(uint8_t *block, unsigned index)
{
	return (struct wire_entry *)block + index % JOURNAL_BLOCK_ENTRIES;
}

static void put_entry(struct journal *j, struct wire_entry entry)
{
	entry.crc = be32_put(entry_crc(&entry, j->generation, j->epoch, j->used));
	*entry_in(j->block, j->used) = entry;
	j->used++;
}

static struct wire_entry entry_of(const struct journal_change *change)
{
	struct qcow2_wire_l2 l2 = qcow2_entry_put(change->entry);

	return (struct wire_entry){
		.count = be16_put((uint16_t)change->count),
		.first = be64_put(change->first),
		.table = be64_put(change->table),
		.descriptor = l2.descriptor,
		.bitmap = l2.bitmap,
	};
}

static void put_header(struct journal *j)
{
	struct wire_header header = {
		.magic = be32_put(JOURNAL_MAGIC),
		.generation = be64_put(j->generation),
		.epoch = be64_put(j->epoch),
	};

	memcpy(header.boot_id, j->boot_id, sizeof(header.boot_id));
	header.crc = be32_put(crc32c(0, &header.magic, sizeof(header) - sizeof(header.crc)));
	memset(j->block, 0, JOURNAL_BLOCK_BYTES);
	memcpy(j->block, &header, sizeof(header));
	j->used = JOURNAL_HEADER_ENTRIES;
}

/* ---- writing ---- */

static void free_now(struct journal *j)
{
	if (j->file)
		j->file->ops->close(j->file);
	free(j->queue);
	free(j->block);
	free(j);
}

/* Those whose changes are all written. With an error, everybody. */
static void answer(struct journal *j)
{
	struct journal_waiter *waiter = j->first, *next;

	if (j->error) {
		j->first = NULL;
		j->last = &j->first;
		for (; waiter; waiter = next) {
			next = waiter->next;
			waiter->done(waiter, j->error);
		}
		return;
	}
	while ((waiter = j->first) && waiter->ticket <= j->written) {
		j->first = waiter->next;
		if (!j->first)
			j->last = &j->first;
		waiter->done(waiter, 0);
	}
}

static void swap_halves(struct journal *j)
{
	j->half ^= 1;
	j->epoch++;
	j->other_free = false;
	j->moved = true;
	put_header(j);
}

/* Fills the rest of the present block from the queue, as far as it goes. */
static void fill_block(struct journal *j)
{
	j->batch = 0;
	do {
		put_entry(j, entry_of(&j->queue[j->queue_first++]));
		j->queue_count--;
		j->batch++;
	} while (j->queue_count && j->used < j->room && j->used % JOURNAL_BLOCK_ENTRIES);
	if (!j->queue_count)
		j->queue_first = 0;
}

static void block_written(struct journal *j, int err)
{
	j->written += j->batch;
	if (err && !j->error) {
		j->error = err;
		j->owner.failed(j->owner.arg, err);
	}
	if (j->used % JOURNAL_BLOCK_ENTRIES == 0)
		memset(j->block, 0, JOURNAL_BLOCK_BYTES);
}

static void pump(struct journal *j);

static void write_done(struct file_request *io)
{
	struct journal *j = io->user;

	j->writing = false;
	if (j->closing) {
		free_now(j);
		return;
	}
	block_written(j, io->result);
	pump(j);
	answer(j);
}

/* true: done already. */
static bool write_block(struct journal *j)
{
	uint64_t offset = (uint64_t)j->half * JOURNAL_HALF_BYTES +
			  (uint64_t)((j->used - 1) / JOURNAL_BLOCK_ENTRIES) * JOURNAL_BLOCK_BYTES;

	j->iov = (struct iovec){ j->block, JOURNAL_BLOCK_BYTES };
	if (j->file->ops->write_now(j->file, offset, &j->iov, 1, JOURNAL_BLOCK_BYTES))
		return true;
	j->io = (struct file_request){
		.op = FILE_WRITE,
		.offset = offset,
		.length = JOURNAL_BLOCK_BYTES,
		.iov = &j->iov,
		.iov_count = 1,
		.done = write_done,
		.user = j,
	};
	j->writing = true;
	j->file->ops->submit(j->file, &j->io);
	return false;
}

/* Their maps are changed in memory, but their requests fail. */
static void refuse_queue(struct journal *j)
{
	struct journal_waiter *waiter = j->first, *next;
	int err = j->refused;

	j->refused = 0;
	j->gap = j->gap || j->queue_count;
	j->queue_count = j->queue_first = 0;
	j->written = j->added;
	j->first = NULL;
	j->last = &j->first;
	for (; waiter; waiter = next) {
		next = waiter->next;
		waiter->done(waiter, err);
	}
}

static void poison(struct journal *j)
{
	struct journal_waiter *waiter = j->poison;

	if (!j->poisoned) {
		j->poisoned = true;
		j->batch = 0;
		put_entry(j, (struct wire_entry){ .count = be16_put(JOURNAL_POISON) });
		if (!write_block(j))
			return;
	}
	j->poison = NULL;
	waiter->done(waiter, 0);
}

static void pump(struct journal *j)
{
	if (j->refused && !j->writing)
		refuse_queue(j);
	while (!j->writing && !j->error && j->queue_count) {
		if (j->used >= j->room) {
			if (!j->other_free) {
				j->owner.filling(j->owner.arg);
				return;
			}
			swap_halves(j);
		}
		fill_block(j);
		if (write_block(j))
			block_written(j, 0);
	}
	if (!j->writing && j->poison)
		poison(j);
	if (!j->error && j->used > j->room - j->room / JOURNAL_SPARE)
		j->owner.filling(j->owner.arg);
}

static void pump_run(struct loop_msg *msg)
{
	struct journal *j = container_of(msg, struct journal, msg);

	j->posted = false;
	if (j->closing) {
		free_now(j);
		return;
	}
	pump(j);
	answer(j);
}

static void pump_soon(struct journal *j)
{
	if (j->posted || j->writing)
		return;
	j->posted = true;
	j->msg.run = pump_run;
	loop_post(j->loop, &j->msg);
}

/* ---- public ---- */

int journal_add(struct journal *j, const struct journal_change *change)
{
	if (j->queue_first + j->queue_count == j->queue_room) {
		unsigned room = j->queue_count * 2 + 16;
		struct journal_change *queue = malloc(room * sizeof(*queue));

		if (!queue)
			return -ENOMEM;
		if (j->queue_count)
			memcpy(queue, j->queue + j->queue_first, j->queue_count * sizeof(*queue));
		free(j->queue);
		j->queue = queue;
		j->queue_first = 0;
		j->queue_room = room;
	}
	j->queue[j->queue_first + j->queue_count++] = *change;
	j->added++;
	pump_soon(j);
	return 0;
}

void journal_wait(struct journal *j, struct journal_waiter *waiter)
{
	waiter->next = NULL;
	waiter->ticket = j->added;
	*j->last = waiter;
	j->last = &waiter->next;
	pump_soon(j);
}

unsigned journal_backlog(const struct journal *j)
{
	return j->queue_count;
}

uint64_t journal_position(const struct journal *j)
{
	return j->added;
}

bool journal_has_gap(const struct journal *j)
{
	return j->gap;
}

bool journal_is_written(const struct journal *j, uint64_t position)
{
	return j->written >= position;
}

void journal_flush_begins(struct journal *j)
{
	if (!j->writing && j->other_free && j->used > JOURNAL_HEADER_ENTRIES)
		swap_halves(j);
	j->moved = false;
}

void journal_flush_ends(struct journal *j, int err)
{
	if (!err && !j->moved)
		j->other_free = true;
	if (err && j->queue_count && j->used >= j->room && !j->other_free)
		j->refused = err;
	if (j->queue_count)
		pump_soon(j);
}

void journal_poison(struct journal *j, struct journal_waiter *waiter)
{
	j->poison = waiter;
	if (!j->error)
		j->error = -EIO;
	j->queue_count = 0;
	j->queue_first = 0;
	pump_soon(j);
}

/* ---- life ---- */

/* A write to it must never want for space. */
static int preallocate(struct file *file)
{
	int err = disk_file_allocate(file, 0, JOURNAL_BYTES);
	void *zeroes;

	if (err != -EOPNOTSUPP)
		return err;
	zeroes = calloc(1, JOURNAL_BYTES);
	if (!zeroes)
		return -ENOMEM;
	err = disk_file_write(file, 0, zeroes, JOURNAL_BYTES);
	free(zeroes);
	return err;
}

int journal_create(struct disk_env *env, struct loop *loop, const char *path, bool ephemeral, uint64_t generation,
		   const struct journal_owner *owner, struct journal **journal)
{
	unsigned flags = DISK_ENV_CREATE | DISK_ENV_NO_LOCK | (ephemeral ? DISK_ENV_NO_SYNC : 0);
	struct journal *j = calloc(1, sizeof(*j));
	int err;

	if (!j)
		return -ENOMEM;
	j->loop = loop;
	j->owner = *owner;
	j->generation = generation;
	strncpy(j->boot_id, disk_env_boot_id(env), sizeof(j->boot_id) - 1);
	j->epoch = 1;
	j->room = disk_env_limit(env, DISK_ENV_JOURNAL_ENTRIES, JOURNAL_ROOM_MAX);
	j->other_free = true;
	j->last = &j->first;
	/* One page, too, so that the kernel copies all of it or nothing. */
	j->block = aligned_alloc(JOURNAL_BLOCK_BYTES, JOURNAL_BLOCK_BYTES);
	if (!j->block) {
		err = -ENOMEM;
		goto out;
	}
	err = disk_env_open_file(env, loop, path, flags, &j->file);
	if (err)
		goto out;
	put_header(j);
	err = preallocate(j->file);
	if (!err)
		err = disk_file_write(j->file, 0, j->block, JOURNAL_BLOCK_BYTES);
out:
	if (err) {
		free_now(j);
		return err;
	}
	*journal = j;
	return 0;
}

void journal_close(struct journal *j)
{
	j->closing = true;
	if (!j->posted && !j->writing)
		free_now(j);
}

/* ---- replay ---- */

/* The epoch of a half, 0 where it is not of that generation and boot. */
static uint64_t half_epoch(const uint8_t *half, uint64_t generation, const char *boot_id)
{
	const struct wire_header *header = (const struct wire_header *)half;

	if (be32_get(header->magic) != JOURNAL_MAGIC ||
	    be32_get(header->crc) != crc32c(0, &header->magic, sizeof(*header) - sizeof(header->crc)))
		return 0;
	if (be64_get(header->generation) != generation || strncmp(header->boot_id, boot_id, sizeof(header->boot_id)))
		return 0;
	return be64_get(header->epoch);
}

static int replay_half(uint8_t *half, uint64_t generation, uint64_t epoch,
		       int (*change)(void *arg, const struct journal_change *change), void *arg)
{
	for (unsigned index = JOURNAL_HEADER_ENTRIES; index < JOURNAL_HALF_ENTRIES; index++) {
		uint8_t *block = half + (size_t)(index / JOURNAL_BLOCK_ENTRIES) * JOURNAL_BLOCK_BYTES;
		const struct wire_entry *wire = entry_in(block, index);
		struct qcow2_wire_l2 l2 = { wire->descriptor, wire->bitmap };
		struct journal_change c = {
			.first = be64_get(wire->first),
			.count = be16_get(wire->count),
			.table = be64_get(wire->table),
			.entry = qcow2_entry_get(&l2),
		};
		int err;

		if (be32_get(wire->crc) != entry_crc(wire, generation, epoch, index))
			return 0;
		if (c.count == JOURNAL_POISON)
			return -EHWPOISON;
		err = change(arg, &c);
		if (err)
			return err;
	}
	return 0;
}

int journal_replay(struct file *file, uint64_t generation, const char *boot_id,
		   int (*change)(void *arg, const struct journal_change *change), void *arg)
{
	uint8_t *data = malloc(JOURNAL_BYTES);
	uint64_t epochs[2];
	int err;

	if (!data)
		return -ENOMEM;
	err = disk_file_read(file, 0, data, JOURNAL_BYTES);
	if (err)
		goto out;
	for (unsigned h = 0; h < 2; h++)
		epochs[h] = half_epoch(data + h * JOURNAL_HALF_BYTES, generation, boot_id);
	if (!epochs[0] && !epochs[1])
		err = -ENOENT;
	for (unsigned turn = 0; turn < 2 && !err; turn++) {
		/* The older one first. */
		unsigned h = (epochs[0] > epochs[1]) ^ turn;

		if (epochs[h])
			err = replay_half(data + h * JOURNAL_HALF_BYTES, generation, epochs[h], change, arg);
	}
out:
	free(data);
	return err;
}
