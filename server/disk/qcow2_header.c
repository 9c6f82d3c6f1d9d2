// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The qcow2 header: see qcow2_header.h. Everything here may come from a hostile file: length before structure,
 * structure before meaning.
 *
 * Layout of what we build, all of it in the first sector where the backing file name is not long: header, our marks,
 * backing format, other extensions, end, backing file name.
 */
#include "disk/qcow2_header.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/util.h"

struct parse {
	const uint8_t *data;
	size_t len;
	uint64_t file_bytes;
	struct qcow2_header *header;
	struct reason *reason;
};

#define IMPORT_IT "; `sanbootctl image import` converts it"

/* ---- features and geometry: what we do not do, by name ---- */

static int check_features(struct parse *p, uint64_t features)
{
	static const struct {
		uint64_t bit;
		const char *name;
	} known[] = {
		{ QCOW2_INCOMPAT_DATA_FILE, "an external data file" },
		{ QCOW2_INCOMPAT_COMPRESSION, "a compression type" },
	};
	uint64_t rest = features;

	if (features & QCOW2_INCOMPAT_CORRUPT)
		return reason_refuse(p->reason, -EUCLEAN, "is marked corrupt; `qemu-img check -r all` may mend it");
	for (size_t i = 0; i < array_len(known); i++)
		if (features & known[i].bit)
			return reason_refuse(p->reason, -ENOTSUP, "uses %s, which is not supported" IMPORT_IT,
					     known[i].name);
	rest &= ~(QCOW2_INCOMPAT_DIRTY | QCOW2_INCOMPAT_EXTENDED_L2);
	if (rest)
		return reason_refuse(p->reason, -ENOTSUP,
				     "uses an incompatible feature that is not known here (bit %d)" IMPORT_IT,
				     __builtin_ctzll(rest));
	if (!(features & QCOW2_INCOMPAT_EXTENDED_L2))
		return reason_refuse(p->reason, -ENOTSUP,
				     "has no extended L2 entries (subclusters), which are needed" IMPORT_IT);
	return 0;
}

static int check_geometry(struct parse *p, const struct qcow2_wire_header *wire)
{
	uint32_t bits = be32_get(wire->cluster_bits), order = be32_get(wire->refcount_order);
	int err;

	if (be32_get(wire->crypt_method))
		return reason_refuse(p->reason, -ENOTSUP, "is encrypted, which is not supported" IMPORT_IT);
	if (be32_get(wire->snapshot_count))
		return reason_refuse(p->reason, -ENOTSUP, "has internal snapshots, which are not supported" IMPORT_IT);
	if (bits < 9 || bits > 21)
		return reason_refuse(p->reason, -EUCLEAN, "is corrupt: cluster_bits is %u", bits);
	if (order > 6)
		return reason_refuse(p->reason, -EUCLEAN, "is corrupt: refcount_order is %u", order);
	err = check_features(p, be64_get(wire->incompatible));
	if (err)
		return err;
	if (bits != QCOW2_CLUSTER_BITS)
		return reason_refuse(p->reason, -ENOTSUP, "has clusters of %u bytes; only %u are supported" IMPORT_IT,
				     1u << bits, 1u << QCOW2_CLUSTER_BITS);
	if (order != QCOW2_REFCOUNT_ORDER)
		return reason_refuse(p->reason, -ENOTSUP,
				     "has %u-bit refcounts; only 16-bit ones are supported" IMPORT_IT, 1u << order);
	return 0;
}

static bool ranges_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* Offsets and lengths of the two top tables. */
static int check_tables(struct parse *p)
{
	const struct qcow2_header *h = p->header;
	uint64_t l1_bytes = (uint64_t)h->l1_size * 8;
	uint64_t reftable_bytes = (uint64_t)h->reftable_clusters * QCOW2_CLUSTER_BYTES;
	uint64_t end = align_up(p->file_bytes, QCOW2_CLUSTER_BYTES);

	if (h->size_bytes == 0 || h->size_bytes % 512 || h->size_bytes > QCOW2_SIZE_MAX)
		return reason_refuse(p->reason, h->size_bytes % 512 || !h->size_bytes ? -EUCLEAN : -ENOTSUP,
				     "says it is a disk of %llu bytes; 512-byte blocks up to 16 TiB are supported",
				     (unsigned long long)h->size_bytes);
	if (h->l1_size < qcow2_l1_entries(h->size_bytes))
		return reason_refuse(p->reason, -EUCLEAN,
				     "is corrupt: its L1 table has %u entries, fewer than the disk needs", h->l1_size);
	if (h->l1_size > QCOW2_TABLE_ENTRIES)
		return reason_refuse(p->reason, -ENOTSUP, "has an L1 table of %u entries; at most %d are supported",
				     h->l1_size, QCOW2_TABLE_ENTRIES);
	if (h->reftable_clusters == 0 || h->reftable_clusters > QCOW2_REFTABLE_CLUSTERS_MAX)
		return reason_refuse(p->reason, -EUCLEAN, "is corrupt: its refcount table has %u clusters",
				     h->reftable_clusters);
	if (h->l1_offset == 0 || h->l1_offset % QCOW2_CLUSTER_BYTES || h->l1_offset > end ||
	    l1_bytes > end - h->l1_offset)
		return reason_refuse(p->reason, -EUCLEAN,
				     "is corrupt: its L1 table at offset %#llx is not within the file",
				     (unsigned long long)h->l1_offset);
	if (h->reftable_offset == 0 || h->reftable_offset % QCOW2_CLUSTER_BYTES || h->reftable_offset > end ||
	    reftable_bytes > end - h->reftable_offset)
		return reason_refuse(p->reason, -EUCLEAN,
				     "is corrupt: its refcount table at offset %#llx is not within the file",
				     (unsigned long long)h->reftable_offset);
	if (ranges_overlap(h->l1_offset, QCOW2_CLUSTER_BYTES, h->reftable_offset, reftable_bytes))
		return reason_refuse(p->reason, -EUCLEAN, "is corrupt: its L1 table and its refcount table overlap");
	return 0;
}

/* ---- extensions ---- */

static void read_marks(struct qcow2_header *h, const uint8_t *data, size_t len)
{
	const struct qcow2_wire_marks *wire = (const struct qcow2_wire_marks *)data;
	bool whole = len >= sizeof(*wire) && be32_get(wire->version) == QCOW2_MARKS_VERSION &&
		     crc32c(0, wire, offsetof(struct qcow2_wire_marks, crc)) == be32_get(wire->crc);

	if (!whole) {
		h->torn = true;
		return;
	}
	h->flags = be32_get(wire->flags);
	h->generation = be64_get(wire->generation);
	h->free_hint = be64_get(wire->free_hint);
	memcpy(h->boot_id, wire->boot_id, sizeof(h->boot_id));
	h->boot_id[sizeof(h->boot_id) - 1] = '\0';
}

static int read_backing_format(struct parse *p, const uint8_t *data, size_t len)
{
	struct qcow2_header *h = p->header;

	if ((len == 3 && !memcmp(data, "raw", 3)) || (len == 5 && !memcmp(data, "qcow2", 5))) {
		memcpy(h->backing_format, data, len);
		h->backing_format[len] = '\0';
		return 0;
	}
	return reason_refuse(p->reason, -ENOTSUP,
			     "names a backing file of a format that is not supported; raw and qcow2 are");
}

static int keep_other(struct parse *p, const uint8_t *ext, size_t padded)
{
	struct qcow2_header *h = p->header;

	if (padded > sizeof(h->others) - h->others_bytes)
		return reason_refuse(p->reason, -ENOTSUP, "has more header extensions than are supported" IMPORT_IT);
	memcpy(h->others + h->others_bytes, ext, padded);
	h->others_bytes += (uint32_t)padded;
	return 0;
}

static int read_extension(struct parse *p, uint32_t type, const uint8_t *ext, size_t len)
{
	const uint8_t *data = ext + sizeof(struct qcow2_wire_ext);

	switch (type) {
	case QCOW2_EXT_BACKING_FORMAT:
		return read_backing_format(p, data, len);
	case QCOW2_EXT_OURS:
		read_marks(p->header, data, len);
		return 0;
	case QCOW2_EXT_FEATURE_NAMES:
		return 0;
	case QCOW2_EXT_BITMAPS:
		return reason_refuse(p->reason, -ENOTSUP,
				     "holds dirty bitmaps, which are not supported; `qemu-img bitmap --remove` first");
	case QCOW2_EXT_CRYPTO:
	case QCOW2_EXT_DATA_FILE:
		return reason_refuse(
			p->reason, -EUCLEAN,
			"is corrupt: a header extension of type %#x belongs to a feature that it does not have", type);
	}
	return keep_other(p, ext, sizeof(struct qcow2_wire_ext) + align_up(len, 8));
}

static int read_extensions(struct parse *p, size_t at, size_t end)
{
	while (end - at >= sizeof(struct qcow2_wire_ext)) {
		const struct qcow2_wire_ext *ext = (const struct qcow2_wire_ext *)(p->data + at);
		uint32_t type = be32_get(ext->type), len = be32_get(ext->length);
		int err;

		if (type == QCOW2_EXT_END)
			return 0;
		at += sizeof(*ext);
		if (len > end - at || align_up(len, 8) > end - at)
			return reason_refuse(p->reason, -EUCLEAN,
					     "is corrupt: a header extension of type %#x is %u bytes long", type, len);
		err = read_extension(p, type, p->data + at - sizeof(*ext), len);
		if (err)
			return err;
		at += align_up(len, 8);
	}
	return 0;
}

static int read_backing(struct parse *p, const struct qcow2_wire_header *wire)
{
	uint64_t offset = be64_get(wire->backing_offset);
	uint32_t len = be32_get(wire->backing_size);
	const char *colon, *slash;

	if (offset == 0)
		return 0;
	if (len == 0 || len > QCOW2_BACKING_MAX || offset < be32_get(wire->header_length) || offset > p->len ||
	    len > p->len - offset)
		return reason_refuse(
			p->reason, -EUCLEAN,
			"is corrupt: its backing file name of %u bytes at offset %#llx is not within the header", len,
			(unsigned long long)offset);
	memcpy(p->header->backing, p->data + offset, len);
	p->header->backing[len] = '\0';
	if (strlen(p->header->backing) != len)
		return reason_refuse(p->reason, -EUCLEAN, "is corrupt: its backing file name contains a NUL");
	/* "nbd://...", "json:{...": QEMU would not take these for files either. */
	colon = strchr(p->header->backing, ':');
	slash = strchr(p->header->backing, '/');
	if (colon && (!slash || colon < slash))
		return reason_refuse(p->reason, -ENOTSUP, "names a backing file that is not a plain path" IMPORT_IT);
	return 0;
}

/* ---- the whole ---- */

int qcow2_header_parse(const uint8_t *data, size_t data_len, uint64_t file_bytes, struct qcow2_header *header,
		       struct reason *reason)
{
	struct parse p = { data, min_u64(data_len, QCOW2_CLUSTER_BYTES), file_bytes, header, reason };
	const struct qcow2_wire_header *wire = (const struct qcow2_wire_header *)data;
	uint64_t backing_offset;
	uint32_t length;
	int err;

	memset(header, 0, sizeof(*header));
	if (data_len < 8 || be32_get(wire->magic) != QCOW2_MAGIC)
		return reason_refuse(reason, -EUCLEAN, "is not a qcow2 file");
	if (be32_get(wire->version) != QCOW2_VERSION)
		return reason_refuse(reason, -ENOTSUP, "is qcow2 version %u; only 3 is supported" IMPORT_IT,
				     be32_get(wire->version));
	if (p.len < QCOW2_HEADER_BYTES)
		return reason_refuse(reason, -EUCLEAN, "is corrupt: its header is cut off");
	if (file_bytes > QCOW2_FILE_MAX)
		return reason_refuse(reason, -ENOTSUP, "is longer than a disk of 16 TiB can be");
	length = be32_get(wire->header_length);
	if (length < QCOW2_HEADER_MIN || length % 8 || length > p.len)
		return reason_refuse(reason, -EUCLEAN, "is corrupt: its header says it is %u bytes long", length);
	err = check_geometry(&p, wire);
	if (err)
		return err;
	header->size_bytes = be64_get(wire->size);
	header->l1_offset = be64_get(wire->l1_offset);
	header->l1_size = be32_get(wire->l1_size);
	header->reftable_offset = be64_get(wire->reftable_offset);
	header->reftable_clusters = be32_get(wire->reftable_clusters);
	header->incompatible = be64_get(wire->incompatible);
	header->compatible = be64_get(wire->compatible);
	header->ours = be64_get(wire->autoclear) & QCOW2_AUTOCLEAR_OURS;
	err = check_tables(&p);
	if (!err)
		err = read_backing(&p, wire);
	if (err)
		return err;
	backing_offset = be64_get(wire->backing_offset);
	err = read_extensions(&p, length, backing_offset > length ? backing_offset : p.len);
	if (err)
		return err;
	if (header->backing[0] && !header->backing_format[0])
		return reason_refuse(reason, -ENOTSUP,
				     "does not say of which format its backing file is; `qemu-img rebase -u -F` says it");
	return 0;
}

/* ---- building ---- */

static size_t put_extension(uint8_t *area, size_t at, uint32_t type, const void *data, size_t len)
{
	struct qcow2_wire_ext ext = { be32_put(type), be32_put((uint32_t)len) };

	memcpy(area + at, &ext, sizeof(ext));
	memcpy(area + at + sizeof(ext), data, len);
	return at + sizeof(ext) + align_up(len, 8);
}

static struct qcow2_wire_marks marks_of(const struct qcow2_header *h)
{
	struct qcow2_wire_marks marks = {
		.version = be32_put(QCOW2_MARKS_VERSION),
		.flags = be32_put(h->flags),
		.generation = be64_put(h->generation),
		.free_hint = be64_put(h->free_hint),
	};

	memcpy(marks.boot_id, h->boot_id, sizeof(marks.boot_id));
	marks.crc = be32_put(crc32c(0, &marks, offsetof(struct qcow2_wire_marks, crc)));
	return marks;
}

bool qcow2_header_build(const struct qcow2_header *h, uint8_t area[QCOW2_HEADER_AREA])
{
	struct qcow2_wire_marks marks = marks_of(h);
	size_t name_len = strlen(h->backing), at;
	struct qcow2_wire_header wire = {
		.magic = be32_put(QCOW2_MAGIC),
		.version = be32_put(QCOW2_VERSION),
		.backing_size = be32_put((uint32_t)name_len),
		.cluster_bits = be32_put(QCOW2_CLUSTER_BITS),
		.size = be64_put(h->size_bytes),
		.l1_size = be32_put(h->l1_size),
		.l1_offset = be64_put(h->l1_offset),
		.reftable_offset = be64_put(h->reftable_offset),
		.reftable_clusters = be32_put(h->reftable_clusters),
		.incompatible = be64_put(h->incompatible),
		.compatible = be64_put(h->compatible),
		.autoclear = be64_put(QCOW2_AUTOCLEAR_OURS),
		.refcount_order = be32_put(QCOW2_REFCOUNT_ORDER),
		.header_length = be32_put(QCOW2_HEADER_BYTES),
	};

	memset(area, 0, QCOW2_HEADER_AREA);
	at = put_extension(area, sizeof(wire), QCOW2_EXT_OURS, &marks, sizeof(marks));
	if (h->backing_format[0])
		at = put_extension(area, at, QCOW2_EXT_BACKING_FORMAT, h->backing_format, strlen(h->backing_format));
	memcpy(area + at, h->others, h->others_bytes);
	at += h->others_bytes + sizeof(struct qcow2_wire_ext);
	assert(at <= QCOW2_HEADER_SECTOR);
	if (name_len > QCOW2_HEADER_SECTOR - at)
		at = QCOW2_LONG_NAME_AT;
	if (name_len)
		wire.backing_offset = be64_put(at);
	memcpy(area + at, h->backing, name_len);
	memcpy(area, &wire, sizeof(wire));
	return name_len && at == QCOW2_LONG_NAME_AT;
}

uint64_t qcow2_refcount_blocks(uint64_t size_bytes)
{
	uint64_t data = (size_bytes + QCOW2_CLUSTER_BYTES - 1) / QCOW2_CLUSTER_BYTES;
	/* Header, L1, refcount table; clusters that wait for a flush before they are free again. */
	uint64_t clusters = data + qcow2_l1_entries(size_bytes) + 3 + 4096;

	/* Each block also counts itself. */
	return (clusters + QCOW2_REFCOUNTS - 2) / (QCOW2_REFCOUNTS - 1);
}

char *qcow2_backing_path(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	char *full;

	if (name[0] == '/' || !slash)
		return strdup(name);
	if (asprintf(&full, "%.*s/%s", (int)(slash - path), path, name) < 0)
		return NULL;
	return full;
}
