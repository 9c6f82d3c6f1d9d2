// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A copy of a closed qcow2 file without the layers below it, over the golden version at their end, if there is one: see qcow2.h.
 * Workers and tools.
 *
 * For each subcluster of 4 KiB the uppermost layer that says something of it is asked: its data are copied, its zeroes
 * are noted, and what none of them says is left to the version. (qemu-img convert -B would ask the uppermost layer
 * only.) The new file is written from its beginning to its end: clusters one after the other, each table once it is
 * known, the refcounts, which are all 1, last.
 */
#include "disk/qcow2.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "disk/disk.h"
#include "disk/engine.h"
#include "disk/qcow2_meta.h"

enum { NOBODY = -1, NO_PIECE = UINT32_MAX, COUNTS_AT_ONCE = 4096 };

struct copy_layer {
	char *path;
	struct file *file;
	struct qcow2_meta meta;
	struct qcow2_wire_l2 piece[QCOW2_PIECE_ENTRIES]; /* of its L2 tables, the one that was read last */
	uint32_t piece_index;
};

struct copy {
	struct copy_layer *layers[DISK_CHAIN_MAX]; /* the uppermost first */
	unsigned count;
	struct file *out;
	const char *to;
	struct qcow2_header header; /* of the new file, as far as it was made */
	uint64_t next;		    /* its first cluster that is not used */
	struct qcow2_wire_l2 *table;
	uint8_t *data; /* a cluster */
	bool whole;    /* also without the images below it that are qcow2 files */
	bool flat;     /* the same, and without what is below those: */
	int raw;       /* -1: nothing */
	char *raw_path;
	uint64_t raw_bytes; /* that the layers let through */
	const struct qcow2_step *step;
	struct reason *reason;
};

static int failed(struct copy *c, const char *path, const char *what, int err)
{
	return reason_refuse(c->reason, err, "%s cannot be %s: %s", path, what, strerror(-err));
}

/* ---- the chain ---- */

static int open_layer(struct copy *c, char *path)
{
	struct copy_layer *layer = calloc(1, sizeof(*layer));
	int err;

	if (!layer || !path) {
		free(layer);
		free(path);
		return failed(c, c->to, "made", -ENOMEM);
	}
	layer->path = path;
	layer->piece_index = NO_PIECE;
	c->layers[c->count++] = layer;
	err = qcow2_open_closed(path, false, &layer->file, c->reason);
	if (err)
		return err;
	err = qcow2_meta_load(&layer->meta, layer->file, path);
	if (!err)
		err = qcow2_refuse_open(&layer->meta);
	return err ? reason_refuse(c->reason, err, "%s", layer->meta.reason.text) : 0;
}

/* Is the file below it one to do without? A golden version lies in another folder, whatever its format. */
static bool stands_on_layer(const struct copy *c)
{
	const struct qcow2_header *header = &c->layers[c->count - 1]->meta.header;

	return header->backing[0] && !strcmp(header->backing_format, "qcow2") &&
	       (c->whole || c->flat || !strchr(header->backing, '/'));
}

/* What the lowest layer stands on. A layer that is smaller hides what is behind its end. */
static int open_raw(struct copy *c)
{
	const struct copy_layer *lowest = c->layers[c->count - 1];
	struct stat st;

	if (!lowest->meta.header.backing[0])
		return 0;
	c->raw_path = qcow2_backing_path(lowest->path, lowest->meta.header.backing);
	if (!c->raw_path)
		return failed(c, lowest->path, "read", -ENOMEM);
	c->raw = open(c->raw_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (c->raw < 0 || fstat(c->raw, &st))
		return failed(c, c->raw_path, "read", -errno);
	c->raw_bytes = (uint64_t)st.st_size;
	for (unsigned i = 0; i < c->count; i++)
		c->raw_bytes = min_u64(c->raw_bytes, c->layers[i]->meta.header.size_bytes);
	return 0;
}

static int open_chain(struct copy *c, const char *from)
{
	int err = open_layer(c, strdup(from));

	while (!err && stands_on_layer(c)) {
		const struct copy_layer *last = c->layers[c->count - 1];

		if (c->count == DISK_CHAIN_MAX)
			return reason_refuse(c->reason, -ENOTSUP, "%s has more than %d files in its backing chain",
					     from, DISK_CHAIN_MAX);
		err = open_layer(c, qcow2_backing_path(last->path, last->meta.header.backing));
	}
	return err || !c->flat ? err : open_raw(c);
}

static void close_chain(struct copy *c)
{
	for (unsigned i = 0; i < c->count; i++) {
		struct copy_layer *layer = c->layers[i];

		qcow2_meta_fini(&layer->meta);
		if (layer->file)
			layer->file->ops->close(layer->file);
		free(layer->path);
		free(layer);
	}
	if (c->raw >= 0)
		close(c->raw);
	free(c->raw_path);
}

/* What a layer says of a cluster of the disk. */
static int layer_entry(struct copy *c, struct copy_layer *layer, uint64_t cluster, struct qcow2_entry *entry)
{
	const struct qcow2_meta *m = &layer->meta;
	uint32_t table = (uint32_t)(cluster / QCOW2_L2_ENTRIES), piece = (uint32_t)(cluster / QCOW2_PIECE_ENTRIES);
	uint64_t end = (m->header.size_bytes + QCOW2_SUBCLUSTER_BYTES - 1) / QCOW2_SUBCLUSTER_BYTES;
	uint64_t first = cluster * QCOW2_SUBCLUSTERS;
	const struct qcow2_wire_l2 *wire;
	uint32_t within;
	int err;

	*entry = (struct qcow2_entry){ 0 };
	if (first >= end || table >= m->header.l1_size || !m->l1[table])
		return 0;
	if (layer->piece_index != piece) {
		layer->piece_index = NO_PIECE;
		err = disk_file_read(layer->file, m->l1[table] + (uint64_t)(piece % QCOW2_PIECES) * QCOW2_PIECE_BYTES,
				     layer->piece, sizeof(layer->piece));
		if (err)
			return failed(c, layer->path, "read", err);
		layer->piece_index = piece;
	}
	wire = &layer->piece[cluster % QCOW2_PIECE_ENTRIES];
	*entry = qcow2_entry_get(wire);
	if (be64_get(wire->descriptor) & (QCOW2_COMPRESSED | QCOW2_L2_RESERVED) || entry->host % QCOW2_CLUSTER_BYTES ||
	    entry->host / QCOW2_CLUSTER_BYTES >= m->clusters || entry->alloc & entry->zero ||
	    (entry->alloc && !entry->host))
		return reason_refuse(c->reason, -EUCLEAN, "%s is corrupt: the L2 entry of cluster %llu", layer->path,
				     (unsigned long long)cluster);
	within = qcow2_mask(0, (unsigned)min_u64(end - first, QCOW2_SUBCLUSTERS));
	entry->alloc &= within;
	entry->zero &= within;
	return 0;
}

/* ---- one cluster ---- */

/* Subclusters first to last-1 of a cluster, which lie in that layer, into the buffer. */
static int read_run(struct copy *c, struct copy_layer *layer, const struct qcow2_entry *entry, uint64_t cluster,
		    unsigned first, unsigned last)
{
	uint64_t at = (uint64_t)first * QCOW2_SUBCLUSTER_BYTES, end = (uint64_t)last * QCOW2_SUBCLUSTER_BYTES;
	uint64_t rest =
		layer->meta.header.size_bytes - cluster * QCOW2_CLUSTER_BYTES; /* of the disk as this layer knows it */
	uint64_t upto = min_u64(end, rest);
	int err = disk_file_read(layer->file, entry->host + at, c->data + at, upto - at);

	memset(c->data + upto, 0, end - upto);
	return err ? failed(c, layer->path, "read", err) : 0;
}

/* The subclusters that lie in a layer, in runs. */
static int read_layer(struct copy *c, struct copy_layer *layer, const struct qcow2_entry *entry, uint64_t cluster,
		      uint32_t mask)
{
	unsigned first = 0;
	int err = 0;

	while (!err && first < QCOW2_SUBCLUSTERS) {
		unsigned last = first;

		while (last < QCOW2_SUBCLUSTERS && mask >> last & 1)
			last++;
		if (last > first)
			err = read_run(c, layer, entry, cluster, first, last);
		first = last + 1;
	}
	return err;
}

/* What reads as zeroes takes no space. */
static void find_zeroes(struct copy *c, struct qcow2_entry *made)
{
	for (unsigned i = 0; i < QCOW2_SUBCLUSTERS; i++) {
		const uint8_t *at = c->data + (size_t)i * QCOW2_SUBCLUSTER_BYTES;

		if (made->alloc >> i & 1 && !at[0] && !memcmp(at, at + 1, QCOW2_SUBCLUSTER_BYTES - 1)) {
			made->alloc &= ~(1u << i);
			made->zero |= 1u << i;
		}
	}
}

static int write_data(struct copy *c, struct qcow2_entry *made)
{
	int err = 0;

	made->host = c->next++ * QCOW2_CLUSTER_BYTES;
	for (unsigned i = 0; i < QCOW2_SUBCLUSTERS && !err; i++) {
		unsigned first = i;

		while (i < QCOW2_SUBCLUSTERS && made->alloc >> i & 1)
			i++;
		if (i > first)
			err = disk_file_write(c->out, made->host + (uint64_t)first * QCOW2_SUBCLUSTER_BYTES,
					      c->data + (size_t)first * QCOW2_SUBCLUSTER_BYTES,
					      (size_t)(i - first) * QCOW2_SUBCLUSTER_BYTES);
	}
	return err ? failed(c, c->to, "written", err) : 0;
}

/* Of what no layer says anything, from the raw file below. */
static int read_raw(struct copy *c, uint64_t cluster, struct qcow2_entry *made)
{
	uint64_t at = cluster * QCOW2_CLUSTER_BYTES, upto = min_u64(at + QCOW2_CLUSTER_BYTES, c->raw_bytes);
	uint32_t said = made->alloc | made->zero;
	off_t data = at < upto ? lseek(c->raw, (off_t)at, SEEK_DATA) : -1;

	if (at >= upto || (data < 0 && errno == ENXIO) || data >= (off_t)upto)
		return 0; /* a hole, or behind its end */
	for (unsigned i = 0; i < QCOW2_SUBCLUSTERS; i++) {
		uint64_t from = at + (uint64_t)i * QCOW2_SUBCLUSTER_BYTES;
		uint64_t len = from < upto ? min_u64(upto - from, QCOW2_SUBCLUSTER_BYTES) : 0;
		uint8_t *to = c->data + (size_t)i * QCOW2_SUBCLUSTER_BYTES;

		if (said >> i & 1 || !len)
			continue;
		if (pread(c->raw, to, len, (off_t)from) != (ssize_t)len)
			return failed(c, c->raw_path, "read", -EIO);
		memset(to + len, 0, QCOW2_SUBCLUSTER_BYTES - len);
		made->alloc |= 1u << i;
	}
	return 0;
}

/* What the layers say of it; what they hold is in the buffer. */
static int read_cluster(struct copy *c, uint64_t cluster, struct qcow2_entry *made)
{
	int err = 0;

	*made = (struct qcow2_entry){ 0 };
	for (unsigned i = 0; i < c->count && !err; i++) {
		uint32_t said = made->alloc | made->zero;
		struct qcow2_entry entry;

		err = layer_entry(c, c->layers[i], cluster, &entry);
		if (err)
			break;
		made->alloc |= entry.alloc & ~said;
		made->zero |= entry.zero & ~said;
		err = read_layer(c, c->layers[i], &entry, cluster, entry.alloc & ~said);
	}
	if (!err && c->raw >= 0)
		err = read_raw(c, cluster, made);
	if (!err && made->alloc && c->step && !c->step->step(c->step->arg, QCOW2_CLUSTER_BYTES))
		err = reason_refuse(c->reason, -ECANCELED, "it was stopped");
	return err;
}

static int copy_cluster(struct copy *c, uint64_t cluster, struct qcow2_entry *made)
{
	int err = read_cluster(c, cluster, made);

	if (err)
		return err;
	find_zeroes(c, made);
	if (!c->header.backing[0])
		made->zero = 0;
	return made->alloc ? write_data(c, made) : 0;
}

/* ---- the whole ---- */

/* The tables of all layers for the same 1 GiB of the disk become one. */
static int copy_table(struct copy *c, uint32_t table, uint64_t clusters)
{
	uint64_t first = (uint64_t)table * QCOW2_L2_ENTRIES, last = min_u64(first + QCOW2_L2_ENTRIES, clusters);
	struct be64 l1;
	bool some = false;
	int err = 0;

	memset(c->table, 0, QCOW2_CLUSTER_BYTES);
	for (uint64_t cluster = first; cluster < last && !err; cluster++) {
		struct qcow2_entry made;

		err = copy_cluster(c, cluster, &made);
		if (err || !(made.alloc | made.zero))
			continue;
		c->table[cluster - first] = qcow2_entry_put(made);
		some = true;
	}
	if (err || !some)
		return err;
	l1 = be64_put(c->next * QCOW2_CLUSTER_BYTES | QCOW2_COPIED);
	err = disk_file_write(c->out, c->next++ * QCOW2_CLUSTER_BYTES, c->table, QCOW2_CLUSTER_BYTES);
	if (!err)
		err = disk_file_write(c->out, c->header.l1_offset + (uint64_t)table * sizeof(l1), &l1, sizeof(l1));
	return err ? failed(c, c->to, "written", err) : 0;
}

/* Does anything say something of the 1 GiB of a table? */
static bool has_table(const struct copy *c, uint32_t table)
{
	bool some = (uint64_t)table * QCOW2_TABLE_SPAN < c->raw_bytes;

	for (unsigned i = 0; i < c->count && !some; i++)
		some = table < c->layers[i]->meta.header.l1_size && c->layers[i]->meta.l1[table];
	return some;
}

static int copy_tables(struct copy *c)
{
	uint64_t clusters = (c->header.size_bytes + QCOW2_CLUSTER_BYTES - 1) / QCOW2_CLUSTER_BYTES;
	int err = 0;

	for (uint32_t table = 0; table < c->header.l1_size && !err; table++)
		err = has_table(c, table) ? copy_table(c, table, clusters) : 0;
	return err;
}

/* The refcount blocks of a new file lie one behind the other (qcow2_create.c). */
static int write_counts(struct copy *c, uint64_t first, uint64_t blocks_at)
{
	struct be16 ones[COUNTS_AT_ONCE];
	int err = 0;

	for (size_t i = 0; i < array_len(ones); i++)
		ones[i] = be16_put(1);
	while (first < c->next && !err) {
		size_t count = (size_t)min_u64(c->next - first, array_len(ones));

		err = disk_file_write(c->out, blocks_at + first * sizeof(ones[0]), ones, count * sizeof(ones[0]));
		first += count;
	}
	return err ? failed(c, c->to, "written", err) : 0;
}

/* The new file is there, and empty. */
static int fill(struct copy *c, int fd, const char *to)
{
	struct qcow2_meta m;
	uint64_t first;
	int err = qcow2_meta_load(&m, c->out, to);

	if (err) {
		reason_refuse(c->reason, err, "%s", m.reason.text);
		goto out;
	}
	c->header = m.header;
	c->next = first = m.clusters;
	err = copy_tables(c);
	if (!err)
		err = write_counts(c, first, m.reftable[0]);
	if (!err && ftruncate(fd, (off_t)(c->next * QCOW2_CLUSTER_BYTES)))
		err = failed(c, to, "written", -errno);
out:
	qcow2_meta_fini(&m);
	return err;
}

static int make(struct copy *c, const char *to)
{
	const struct qcow2_header *top = &c->layers[0]->meta.header, *lowest = &c->layers[c->count - 1]->meta.header;
	struct qcow2_create how = { .path = to, .size_bytes = top->size_bytes };
	off_t length;
	int fd, err;

	if (lowest->backing[0] && !c->flat) {
		how.backing = lowest->backing;
		how.backing_format = lowest->backing_format;
	}
	err = qcow2_create(&how, c->reason);
	if (err)
		return err;
	fd = open(to, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	length = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	c->out = length < 0 ? NULL : qcow2_file_of(fd, (uint64_t)length);
	if (c->out) {
		err = fill(c, fd, to);
		c->out->ops->close(c->out);
	} else {
		err = failed(c, to, "opened", fd < 0 ? -errno : -ENOMEM);
		if (fd >= 0)
			close(fd);
	}
	if (err)
		unlink(to);
	return err;
}

static int begin(struct copy *c, const char *from)
{
	c->raw = -1;
	c->table = malloc(QCOW2_CLUSTER_BYTES);
	c->data = malloc(QCOW2_CLUSTER_BYTES);
	return c->table && c->data ? open_chain(c, from) : failed(c, c->to, "made", -ENOMEM);
}

static void end(struct copy *c)
{
	close_chain(c);
	free(c->table);
	free(c->data);
}

static int copy_file(const char *from, const char *to, bool whole, struct reason *reason)
{
	struct copy c = { .to = to, .whole = whole, .reason = reason };
	int err = begin(&c, from);

	if (!err)
		err = make(&c, to);
	end(&c);
	return err;
}

int qcow2_copy_flat(const char *from, const char *to, const struct qcow2_step *step, struct reason *reason)
{
	struct copy c = { .to = to, .flat = true, .step = step, .reason = reason };
	int err = begin(&c, from);

	if (!err)
		err = make(&c, to);
	end(&c);
	return err;
}

/* ---- the same? ---- */

/* What nobody holds reads as zeroes. */
static int read_whole(struct copy *c, uint64_t cluster)
{
	struct qcow2_entry made;
	int err;

	memset(c->data, 0, QCOW2_CLUSTER_BYTES);
	err = read_cluster(c, cluster, &made);
	for (unsigned i = 0; i < QCOW2_SUBCLUSTERS && !err; i++) {
		if (!(made.alloc >> i & 1))
			memset(c->data + (size_t)i * QCOW2_SUBCLUSTER_BYTES, 0, QCOW2_SUBCLUSTER_BYTES);
	}
	return err;
}

static int compare(struct copy *one, struct copy *other)
{
	uint64_t size = one->layers[0]->meta.header.size_bytes;
	int err = 0;

	if (size != other->layers[0]->meta.header.size_bytes)
		return reason_refuse(one->reason, -EBADMSG, "%s and %s are disks of different sizes",
				     one->layers[0]->path, other->layers[0]->path);
	for (uint64_t at = 0; at < size && !err; at += QCOW2_CLUSTER_BYTES) {
		uint64_t cluster = at / QCOW2_CLUSTER_BYTES;
		uint32_t table = (uint32_t)(cluster / QCOW2_L2_ENTRIES);

		if (!has_table(one, table) && !has_table(other, table)) {
			at += QCOW2_TABLE_SPAN - QCOW2_CLUSTER_BYTES;
			continue;
		}
		err = read_whole(one, cluster);
		if (!err)
			err = read_whole(other, cluster);
		if (!err && memcmp(one->data, other->data, min_u64(size - at, QCOW2_CLUSTER_BYTES)))
			err = reason_refuse(one->reason, -EBADMSG, "%s and %s differ at %llu", one->layers[0]->path,
					    other->layers[0]->path, (unsigned long long)at);
	}
	return err;
}

int qcow2_compare(const char *one, const char *other, const struct qcow2_step *step, struct reason *reason)
{
	struct copy a = { .to = one, .flat = true, .step = step, .reason = reason };
	struct copy b = { .to = other, .flat = true, .reason = reason };
	int err = begin(&a, one), err_other = begin(&b, other);

	if (!err)
		err = err_other ? err_other : compare(&a, &b);
	end(&a);
	end(&b);
	return err;
}

int qcow2_copy(const char *from, const char *to, struct reason *reason)
{
	return copy_file(from, to, false, reason);
}

int qcow2_copy_whole(const char *from, const char *to, struct reason *reason)
{
	return copy_file(from, to, true, reason);
}
