// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the bytes of a qcow2 disk are: its L2 entries, checked as they are read, and the chain of files below. All on
 * the disk's loop.
 */
#include <errno.h>

#include "base/log.h"
#include "disk/qcow2_engine.h"

/* ---- entries ---- */

static int corrupt(const struct qcow2_piece *piece, uint64_t guest_cluster, const char *what)
{
	/* Once: who reads it again and again must not fill the log. */
	if (!piece->owner->told_corrupt)
		log_error("%s: corrupt: the L2 entry of guest offset %llu %s", piece->owner->path,
			  (unsigned long long)guest_cluster * QCOW2_CLUSTER_BYTES, what);
	piece->owner->told_corrupt = true;
	return -EIO;
}

int qcow2_entry_read(const struct qcow2_piece *piece, uint64_t guest_cluster, struct qcow2_entry *entry)
{
	const struct qcow2_wire_l2 *wire =
		(const struct qcow2_wire_l2 *)piece->data + guest_cluster % QCOW2_PIECE_ENTRIES;
	uint64_t descriptor = be64_get(wire->descriptor);
	struct qcow2_entry e = qcow2_entry_get(wire);

	if (descriptor & QCOW2_COMPRESSED)
		return corrupt(piece, guest_cluster, "is of a compressed cluster");
	if (descriptor & QCOW2_L2_RESERVED || e.host % QCOW2_CLUSTER_BYTES)
		return corrupt(piece, guest_cluster, "is not aligned");
	if (e.host >= piece->owner->limit_bytes)
		return corrupt(piece, guest_cluster, "points beyond the file");
	if (e.alloc & e.zero || (e.alloc && !e.host))
		return corrupt(piece, guest_cluster, "contradicts itself");
	*entry = e;
	return 0;
}

/* ---- layers ---- */

enum kind { KIND_ABSENT, KIND_ZERO, KIND_DATA };

static enum kind kind_at(const struct qcow2_entry *entry, unsigned sub)
{
	if (entry->alloc >> sub & 1)
		return KIND_DATA;
	return entry->zero >> sub & 1 ? KIND_ZERO : KIND_ABSENT;
}

/* How many subclusters from sub on are of the same kind. */
static unsigned run_at(const struct qcow2_entry *entry, unsigned sub)
{
	uint32_t bits;

	switch (kind_at(entry, sub)) {
	case KIND_DATA:
		bits = entry->alloc;
		break;
	case KIND_ZERO:
		bits = entry->zero;
		break;
	default:
		bits = ~(entry->alloc | entry->zero);
		break;
	}
	bits = ~bits >> sub;
	return bits ? min_u64((unsigned)__builtin_ctz(bits), QCOW2_SUBCLUSTERS - sub) : QCOW2_SUBCLUSTERS - sub;
}

/*
 * One layer's answer: the kind of the bytes from offset on, how many are like them, where they are. Within one piece.
 */
static int look_up(struct qcow2_layer *layer, uint64_t offset, uint64_t length, struct qcow2_waiter *waiter,
		   enum kind *kind, uint64_t *run, uint64_t *host)
{
	uint64_t at = offset, end = min_u64(offset + length, align_down(offset, QCOW2_PIECE_SPAN) + QCOW2_PIECE_SPAN);
	uint64_t table = offset / QCOW2_TABLE_SPAN;
	struct qcow2_piece *piece;
	int err;

	*kind = KIND_ABSENT;
	*host = 0;
	if (!layer->l1[table]) {
		*run = min_u64(length, (table + 1) * QCOW2_TABLE_SPAN - offset);
		return 0;
	}
	err = qcow2_piece_get(&layer->l2, qcow2_piece_of_cluster(offset / QCOW2_CLUSTER_BYTES), waiter, &piece);
	if (err)
		return err;
	while (at < end) {
		unsigned sub = at % QCOW2_CLUSTER_BYTES / QCOW2_SUBCLUSTER_BYTES;
		struct qcow2_entry entry;

		err = qcow2_entry_read(piece, at / QCOW2_CLUSTER_BYTES, &entry);
		if (err)
			return err;
		if (at == offset) {
			*kind = kind_at(&entry, sub);
			*host = entry.host + at % QCOW2_CLUSTER_BYTES;
		} else if (kind_at(&entry, sub) != *kind ||
			   (*kind == KIND_DATA && entry.host != *host + (at - offset))) {
			break;
		}
		at = align_down(at, QCOW2_SUBCLUSTER_BYTES) + (uint64_t)run_at(&entry, sub) * QCOW2_SUBCLUSTER_BYTES;
		if (at % QCOW2_CLUSTER_BYTES)
			break;
	}
	*run = min_u64(at, end) - offset;
	return 0;
}

int qcow2_find(struct qcow2 *q, unsigned first, uint64_t offset, uint64_t length, struct qcow2_waiter *waiter,
	       struct qcow2_extent *extent)
{
	*extent = (struct qcow2_extent){ .guest = offset, .layer = q->layer_count };
	for (unsigned i = first; i < q->layer_count; i++) {
		struct qcow2_layer *layer = &q->layers[i];
		enum kind kind;
		uint64_t host;
		int err;

		/* What lies beyond the end of a backing file is zeroes, whatever is below it. */
		if (offset >= layer->size_bytes)
			break;
		length = min_u64(length, layer->size_bytes - offset);
		if (layer->raw) {
			extent->layer = i;
			extent->file = layer->file->ops->is_hole(layer->file, offset, length) ? NULL : layer->file;
			extent->offset = offset;
			break;
		}
		err = look_up(layer, offset, length, waiter, &kind, &length, &host);
		if (err)
			return err;
		if (kind == KIND_ABSENT)
			continue;
		extent->layer = i;
		if (kind == KIND_DATA) {
			extent->file = layer->file;
			extent->offset = host;
		}
		break;
	}
	extent->length = length;
	return 0;
}

bool qcow2_backing_is_zero(struct qcow2 *q, uint64_t offset, uint64_t length)
{
	struct qcow2_layer *layer = &q->layers[1];

	if (q->layer_count == 1 || offset >= layer->size_bytes)
		return true;
	length = min_u64(length, layer->size_bytes - offset);
	return layer->raw && layer->file->ops->is_hole(layer->file, offset, length);
}
