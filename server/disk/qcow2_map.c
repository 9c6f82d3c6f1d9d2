// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The maps of a qcow2 file in memory: L2 tables and refcount blocks in pieces of 4 KiB, loaded when needed.
 *
 *	       get            change             take_dirty           settle(ok)
 *	ABSENT ---> CLEAN ------------> DIRTY ----------------> STABLE ----------> CLEAN
 *	  ^           | trim                                    (change: DIRTY and STABLE, of which stable keeps the
 *	  +-----------+                                          bytes that the flush is writing, data the new ones)
 *
 * A piece of zeroes shares one page. Clean pieces are kept by age, dirty ones are bounded by who makes them so. All
 * on the disk's loop.
 */
#include "disk/qcow2_engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static const uint8_t zero_piece[QCOW2_PIECE_BYTES];

/* ---- waiting ---- */

void qcow2_waiters_init(struct qcow2_waiters *list)
{
	list->first = NULL;
	list->last = &list->first;
}

int qcow2_wait(struct qcow2_waiters *list, struct qcow2_waiter *waiter)
{
	waiter->next = NULL;
	waiter->result = 0;
	*list->last = waiter;
	list->last = &waiter->next;
	return QCOW2_WAIT;
}

void qcow2_wake(struct qcow2_waiters *list, int result)
{
	struct qcow2_waiter *waiter = list->first, *next;

	qcow2_waiters_init(list);
	for (; waiter; waiter = next) {
		next = waiter->next;
		waiter->result = result;
		waiter->run(waiter);
	}
}

/* ---- rings ---- */

static void ring_add(struct qcow2_piece **ring, struct qcow2_piece *piece)
{
	struct qcow2_piece *first = *ring;

	if (!first) {
		piece->next = piece->prev = piece;
		*ring = piece;
		return;
	}
	piece->next = first;
	piece->prev = first->prev;
	first->prev->next = piece;
	first->prev = piece;
}

static void ring_remove(struct qcow2_piece **ring, struct qcow2_piece *piece)
{
	if (piece->next == piece) {
		*ring = NULL;
	} else {
		piece->next->prev = piece->prev;
		piece->prev->next = piece->next;
		if (*ring == piece)
			*ring = piece->next;
	}
	piece->next = piece->prev = NULL;
}

static void become_clean(struct qcow2_piece *piece)
{
	ring_add(&piece->owner->clean, piece);
	piece->owner->clean_count++;
	piece->used = piece->owner->age;
}

static void become_dirty(struct qcow2_piece *piece)
{
	struct qcow2_pieces *owner = piece->owner;

	if (piece->dirty)
		return;
	ring_remove(&owner->clean, piece);
	owner->clean_count--;
	piece->dirty = true;
	ring_add(&owner->dirty, piece);
	owner->dirty_count++;
}

/* ---- life of a piece ---- */

static void data_free(uint8_t *data)
{
	if (data != zero_piece)
		free(data);
}

static void piece_free(struct qcow2_piece *piece)
{
	struct qcow2_pieces *owner = piece->owner;

	owner->tables[piece->index / QCOW2_PIECES][piece->index % QCOW2_PIECES] = NULL;
	if (piece->stable != piece->data)
		data_free(piece->stable);
	data_free(piece->data);
	free(piece);
}

static bool may_drop(const struct qcow2_piece *piece)
{
	return piece->data && !piece->busy && !piece->pins && !piece->stable && !piece->waiters.first;
}

static void drop(struct qcow2_piece *piece)
{
	ring_remove(&piece->owner->clean, piece);
	piece->owner->clean_count--;
	piece_free(piece);
}

/* Makes room for one more: drops the oldest that nobody needs. */
static void drop_oldest(struct qcow2_pieces *pieces)
{
	struct qcow2_piece *piece = pieces->clean;

	for (int tries = 0; tries < 8 && pieces->clean_count > QCOW2_PIECES_BUSY; tries++) {
		struct qcow2_piece *next = piece->next;

		if (may_drop(piece))
			drop(piece);
		piece = next;
	}
}

void qcow2_pieces_trim(struct qcow2_pieces *pieces)
{
	struct qcow2_piece *piece = pieces->clean;

	pieces->age++;
	for (unsigned left = pieces->clean_count; left > 0 && pieces->clean_count > QCOW2_PIECES_IDLE; left--) {
		struct qcow2_piece *next = piece->next;

		if (may_drop(piece) && pieces->age - piece->used > QCOW2_PIECES_AGE)
			drop(piece);
		piece = next;
	}
}

int qcow2_pieces_init(struct qcow2_pieces *pieces, struct file *file, const char *path, const uint64_t *offsets,
		      unsigned table_count)
{
	*pieces = (struct qcow2_pieces){ .file = file, .path = path, .offsets = offsets, .table_count = table_count };
	pieces->tables = calloc(table_count, sizeof(*pieces->tables));
	return pieces->tables ? 0 : -ENOMEM;
}

void qcow2_pieces_fini(struct qcow2_pieces *pieces)
{
	for (unsigned t = 0; pieces->tables && t < pieces->table_count; t++) {
		for (unsigned p = 0; pieces->tables[t] && p < QCOW2_PIECES; p++)
			if (pieces->tables[t][p])
				piece_free(pieces->tables[t][p]);
		free(pieces->tables[t]);
	}
	free(pieces->tables);
	pieces->tables = NULL;
}

static struct qcow2_piece *piece_new(struct qcow2_pieces *pieces, unsigned index)
{
	struct qcow2_piece **table = pieces->tables[index / QCOW2_PIECES], *piece;

	if (!table) {
		table = calloc(QCOW2_PIECES, sizeof(*table));
		if (!table)
			return NULL;
		pieces->tables[index / QCOW2_PIECES] = table;
	}
	piece = calloc(1, sizeof(*piece));
	if (!piece)
		return NULL;
	piece->owner = pieces;
	piece->index = index;
	qcow2_waiters_init(&piece->waiters);
	table[index % QCOW2_PIECES] = piece;
	become_clean(piece);
	return piece;
}

uint64_t qcow2_piece_offset(const struct qcow2_piece *piece)
{
	return piece->owner->offsets[piece->index / QCOW2_PIECES] +
	       (uint64_t)(piece->index % QCOW2_PIECES) * QCOW2_PIECE_BYTES;
}

/* ---- loading ---- */

static void loaded(struct qcow2_piece *piece)
{
	if (memcmp(piece->data, zero_piece, QCOW2_PIECE_BYTES)) {
		piece->reserved = true;
		return;
	}
	free(piece->data);
	piece->data = (uint8_t *)zero_piece;
}

static void load_done(struct file_request *io)
{
	struct qcow2_piece *piece = io->user;
	struct qcow2_waiters waiters = piece->waiters;
	int result = io->result;

	piece->busy = false;
	if (!result) {
		piece->data = piece->iov.iov_base;
		loaded(piece);
		qcow2_wake(&piece->waiters, 0);
		return;
	}
	log_error("%s: reading the maps at offset %llu: %s", piece->owner->path, (unsigned long long)io->offset,
		  strerror(-result));
	free(piece->iov.iov_base);
	ring_remove(&piece->owner->clean, piece);
	piece->owner->clean_count--;
	if (!waiters.first)
		qcow2_waiters_init(&waiters);
	piece_free(piece);
	qcow2_wake(&waiters, result);
}

static void piece_submit(struct qcow2_piece *piece, enum file_op op, void (*done)(struct file_request *io))
{
	piece->busy = true;
	piece->io = (struct file_request){
		.op = op,
		.offset = qcow2_piece_offset(piece),
		.length = QCOW2_PIECE_BYTES,
		.iov = &piece->iov,
		.iov_count = 1,
		.done = done,
		.user = piece,
	};
	piece->owner->file->ops->submit(piece->owner->file, &piece->io);
}

static int load(struct qcow2_piece *piece, struct qcow2_waiter *waiter)
{
	struct file *file = piece->owner->file;

	piece->iov = (struct iovec){ malloc(QCOW2_PIECE_BYTES), QCOW2_PIECE_BYTES };
	if (!piece->iov.iov_base) {
		drop(piece);
		return -ENOMEM;
	}
	if (file->ops->read_now(file, qcow2_piece_offset(piece), &piece->iov, 1, QCOW2_PIECE_BYTES)) {
		piece->data = piece->iov.iov_base;
		loaded(piece);
		return 0;
	}
	qcow2_wait(&piece->waiters, waiter);
	piece_submit(piece, FILE_READ, load_done);
	return QCOW2_WAIT;
}

int qcow2_piece_get(struct qcow2_pieces *pieces, unsigned index, struct qcow2_waiter *waiter, struct qcow2_piece **out)
{
	struct qcow2_piece **table = pieces->tables[index / QCOW2_PIECES];
	struct qcow2_piece *piece = table ? table[index % QCOW2_PIECES] : NULL;
	int err;

	if (!piece) {
		if (pieces->clean_count > QCOW2_PIECES_BUSY)
			drop_oldest(pieces);
		piece = piece_new(pieces, index);
		if (!piece)
			return -ENOMEM;
		err = load(piece, waiter);
		if (err)
			return err;
	} else if (!piece->data) {
		return qcow2_wait(&piece->waiters, waiter);
	}
	if (piece->used != pieces->age && !piece->dirty) {
		ring_remove(&pieces->clean, piece);
		ring_add(&pieces->clean, piece);
	}
	piece->used = pieces->age;
	*out = piece;
	return 0;
}

/* ---- changing ---- */

static void reserve_done(struct file_request *io)
{
	struct qcow2_piece *piece = io->user;

	piece->busy = false;
	piece->reserved = !io->result;
	qcow2_wake(&piece->waiters, io->result);
}

/* Zeroes over zeroes: nothing changes, but the file system has allocated the block. */
int qcow2_piece_reserve(struct qcow2_piece *piece, struct qcow2_waiter *waiter)
{
	struct file *file = piece->owner->file;

	if (piece->reserved)
		return 0;
	if (piece->busy)
		return qcow2_wait(&piece->waiters, waiter);
	piece->iov = (struct iovec){ (void *)zero_piece, QCOW2_PIECE_BYTES };
	if (file->ops->write_now(file, qcow2_piece_offset(piece), &piece->iov, 1, QCOW2_PIECE_BYTES)) {
		piece->reserved = true;
		return 0;
	}
	qcow2_wait(&piece->waiters, waiter);
	piece_submit(piece, FILE_WRITE, reserve_done);
	return QCOW2_WAIT;
}

uint8_t *qcow2_piece_change(struct qcow2_piece *piece)
{
	assert(piece->data && piece->reserved);
	if (piece->data == piece->stable || piece->data == zero_piece) {
		uint8_t *copy = malloc(QCOW2_PIECE_BYTES);

		if (!copy)
			return NULL;
		memcpy(copy, piece->data, QCOW2_PIECE_BYTES);
		piece->data = copy;
	}
	become_dirty(piece);
	return piece->data;
}

int qcow2_piece_insert(struct qcow2_pieces *pieces, unsigned index, const void *data)
{
	struct qcow2_piece *piece = piece_new(pieces, index);

	if (!piece)
		return -ENOMEM;
	piece->data = malloc(QCOW2_PIECE_BYTES);
	if (!piece->data) {
		drop(piece);
		return -ENOMEM;
	}
	memcpy(piece->data, data, QCOW2_PIECE_BYTES);
	become_dirty(piece);
	return 0;
}

struct qcow2_piece *qcow2_pieces_take_dirty(struct qcow2_pieces *pieces)
{
	struct qcow2_piece *list = NULL, *piece;

	while ((piece = pieces->dirty)) {
		ring_remove(&pieces->dirty, piece);
		pieces->dirty_count--;
		piece->dirty = false;
		piece->stable = piece->data;
		become_clean(piece);
		piece->flush_next = list;
		list = piece;
	}
	return list;
}

void qcow2_piece_settle(struct qcow2_piece *piece, bool ok)
{
	if (piece->stable != piece->data)
		data_free(piece->stable);
	piece->stable = NULL;
	if (!ok)
		become_dirty(piece);
}
