// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Walking all metadata of a qcow2 file, and its refcounts compared with what the walk found: see qcow2_meta.h. Every
 * cluster of the file is used at most once (no snapshots); a second use is a corruption, which is counted and told,
 * never followed. Workers and tools.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "disk/engine.h"
#include "disk/qcow2_meta.h"

/* ---- finding ---- */

static void corrupt(struct qcow2_meta *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void corrupt(struct qcow2_meta *m, const char *format, ...)
{
	va_list args;

	if (m->corruptions++)
		return;
	reason_set(&m->reason, "%.130s is corrupt: ", m->path);
	va_start(args, format);
	reason_append_args(&m->reason, format, args);
	va_end(args);
}

static bool is_used(const struct qcow2_meta *m, uint64_t cluster)
{
	return cluster < m->clusters && m->used[cluster / 8] >> (cluster % 8) & 1;
}

static void use(struct qcow2_meta *m, uint64_t offset, uint64_t bytes, const char *what)
{
	uint64_t first = offset / QCOW2_CLUSTER_BYTES;
	uint64_t count = align_up(bytes, QCOW2_CLUSTER_BYTES) / QCOW2_CLUSTER_BYTES;

	for (uint64_t c = first; c < first + count; c++) {
		if (c >= m->clusters) {
			corrupt(m, "%s at offset %#llx is beyond the end of the file", what,
				(unsigned long long)c * QCOW2_CLUSTER_BYTES);
			return;
		}
		if (is_used(m, c))
			corrupt(m, "the cluster at offset %#llx is used twice, once as %s",
				(unsigned long long)c * QCOW2_CLUSTER_BYTES, what);
		m->used[c / 8] |= (uint8_t)(1u << (c % 8));
		m->allocated++;
	}
}

/* -ENOTSUP: not ours, but not broken either. */
static int walk_entry(struct qcow2_meta *m, const struct qcow2_wire_l2 *wire, uint64_t guest)
{
	uint64_t descriptor = be64_get(wire->descriptor);
	struct qcow2_entry e = qcow2_entry_get(wire);

	if (descriptor & QCOW2_COMPRESSED)
		return reason_refuse(&m->reason, -ENOTSUP,
				     "%.100s has compressed clusters (the first at guest offset %llu), which are not "
				     "supported; `sanbootctl image import` converts it",
				     m->path, (unsigned long long)guest);
	if (descriptor & QCOW2_L2_RESERVED || e.host % QCOW2_CLUSTER_BYTES) {
		corrupt(m, "the L2 entry of guest offset %llu is not aligned", (unsigned long long)guest);
		return 0;
	}
	if (e.alloc & e.zero || (e.alloc && !e.host))
		corrupt(m, "the L2 entry of guest offset %llu contradicts itself", (unsigned long long)guest);
	if (e.host)
		use(m, e.host, QCOW2_CLUSTER_BYTES, "data");
	return 0;
}

static int walk_table(struct qcow2_meta *m, unsigned table, struct qcow2_wire_l2 *entries)
{
	int err;

	use(m, m->l1[table], QCOW2_CLUSTER_BYTES, "an L2 table");
	err = disk_file_read(m->file, m->l1[table], entries, QCOW2_CLUSTER_BYTES);
	if (err)
		return reason_refuse(&m->reason, err, "%.160s cannot be read at offset %llu: %s", m->path,
				     (unsigned long long)m->l1[table], strerror(-err));
	for (unsigned p = 0; m->overlays && m->overlays[table] && p < QCOW2_PIECES; p++)
		if (m->overlays[table][p])
			memcpy(entries + p * QCOW2_PIECE_ENTRIES, m->overlays[table][p]->data, QCOW2_PIECE_BYTES);
	for (unsigned i = 0; i < QCOW2_L2_ENTRIES && !err; i++)
		err = walk_entry(m, &entries[i], ((uint64_t)table * QCOW2_L2_ENTRIES + i) * QCOW2_CLUSTER_BYTES);
	return err;
}

int qcow2_meta_walk(struct qcow2_meta *m)
{
	struct qcow2_wire_l2 *entries = malloc(QCOW2_CLUSTER_BYTES);
	int err = 0;

	m->used = calloc(1, m->clusters / 8 + 1);
	if (!m->used || !entries) {
		reason_set(&m->reason, "%s cannot be walked: out of memory", m->path);
		free(entries);
		return -ENOMEM;
	}
	use(m, 0, QCOW2_CLUSTER_BYTES, "the header");
	use(m, m->header.l1_offset, (uint64_t)m->header.l1_size * 8, "the L1 table");
	use(m, m->header.reftable_offset, (uint64_t)m->header.reftable_clusters * QCOW2_CLUSTER_BYTES,
	    "the refcount table");
	for (unsigned i = 0; i < m->block_count; i++)
		if (m->reftable[i])
			use(m, m->reftable[i], QCOW2_CLUSTER_BYTES, "a refcount block");
	for (unsigned i = 0; !err && i < m->header.l1_size; i++)
		if (m->l1[i])
			err = walk_table(m, i, entries);
	free(entries);
	return err;
}

uint64_t qcow2_meta_first_free(const struct qcow2_meta *m)
{
	uint64_t cluster = 0;

	while (cluster < m->clusters && m->used[cluster / 8] == 0xff && cluster % 8 == 0)
		cluster += 8;
	while (is_used(m, cluster))
		cluster++;
	return cluster;
}

/* ---- comparing ---- */

static int io_failed(struct qcow2_meta *m, int err)
{
	return reason_refuse(&m->reason, err, "%s: its refcounts cannot be read or written: %s", m->path,
			     strerror(-err));
}

/* Gives the clusters of one piece that were lowered to 0 back to the file system, run by run. */
static int punch_lowered(struct qcow2_meta *m, uint64_t first, const uint8_t lowered[QCOW2_PIECE_REFCOUNTS])
{
	int err = 0;

	for (unsigned i = 0, end; i < QCOW2_PIECE_REFCOUNTS && !err; i = end + 1) {
		for (end = i; end < QCOW2_PIECE_REFCOUNTS && lowered[end]; end++)
			;
		if (end > i && first + i < m->clusters)
			err = disk_file_punch(m->file, (first + i) * QCOW2_CLUSTER_BYTES,
					      (uint64_t)(end - i) * QCOW2_CLUSTER_BYTES);
	}
	return err;
}

struct comparison {
	bool raise, lower;
	qcow2_meta_leak *leak; /* instead of lowering what nobody uses; NULL: none */
	void *arg;
	uint64_t missing, leaked;
};

/* 4 KiB of a refcount block; first: the cluster of its first count. */
static int compare_piece(struct qcow2_meta *m, struct comparison *c, uint64_t offset, struct be16 *counts,
			 uint64_t first)
{
	uint8_t lowered[QCOW2_PIECE_REFCOUNTS] = { 0 };
	bool changed = false, punch = false;
	int err = 0;

	for (unsigned i = 0; i < QCOW2_PIECE_REFCOUNTS; i++) {
		uint16_t is = be16_get(counts[i]), should = is_used(m, first + i);

		if (is == should)
			continue;
		c->missing += is < should;
		c->leaked += is > should;
		if (is < should ? !c->raise : !c->lower)
			continue;
		/* Beyond the end of the file there is nothing to give back. */
		if (!should && c->leak && first + i < m->clusters) {
			err = c->leak(c->arg, first + i, 1);
			if (err)
				return err;
			continue;
		}
		counts[i] = be16_put(should);
		changed = true;
		lowered[i] = !should;
		punch |= !should;
	}
	err = punch ? punch_lowered(m, first, lowered) : 0;
	if (!err && changed)
		err = disk_file_write(m->file, offset, counts, QCOW2_PIECE_BYTES);
	return err;
}

static int compare_all(struct qcow2_meta *m, struct comparison *c)
{
	struct be16 *counts = malloc(QCOW2_CLUSTER_BYTES);
	int err = counts ? 0 : -ENOMEM;

	for (unsigned b = 0; b < m->block_count && !err; b++) {
		if (!m->reftable[b])
			continue;
		err = disk_file_read(m->file, m->reftable[b], counts, QCOW2_CLUSTER_BYTES);
		for (unsigned p = 0; p < QCOW2_PIECES && !err; p++)
			err = compare_piece(m, c, m->reftable[b] + p * QCOW2_PIECE_BYTES,
					    counts + p * QCOW2_PIECE_REFCOUNTS,
					    (uint64_t)b * QCOW2_REFCOUNTS + p * QCOW2_PIECE_REFCOUNTS);
	}
	/* Used clusters that no block counts. */
	for (uint64_t cluster = 0; cluster < m->clusters && !err; cluster += QCOW2_REFCOUNTS) {
		uint64_t b = cluster / QCOW2_REFCOUNTS;

		if (b < m->block_count && m->reftable[b])
			continue;
		for (uint64_t i = cluster; i < min_u64(cluster + QCOW2_REFCOUNTS, m->clusters); i++)
			c->missing += is_used(m, i);
	}
	free(counts);
	return err ? io_failed(m, err) : 0;
}

int qcow2_meta_refcounts(struct qcow2_meta *m, bool raise, bool lower, uint64_t *missing, uint64_t *leaked)
{
	struct comparison c = { .raise = raise, .lower = lower };
	int err = compare_all(m, &c);

	*missing = c.missing;
	*leaked = c.leaked;
	return err;
}

/* ---- covering ---- */

static int count_cluster(struct qcow2_meta *m, uint64_t cluster)
{
	struct be16 one = be16_put(1);
	uint64_t block = m->reftable[cluster / QCOW2_REFCOUNTS];

	return disk_file_write(m->file, block + cluster % QCOW2_REFCOUNTS * sizeof(one), &one, sizeof(one));
}

static int write_reftable(struct qcow2_meta *m)
{
	struct be64 *wire = calloc(m->block_count, sizeof(*wire));
	int err;

	if (!wire)
		return -ENOMEM;
	for (unsigned i = 0; i < m->block_count; i++)
		wire[i] = be64_put(m->reftable[i]);
	err = disk_file_write(m->file, m->header.reftable_offset, wire, m->block_count * sizeof(*wire));
	free(wire);
	return err;
}

/* The file has become longer, and what is new is used. */
static int extend_used(struct qcow2_meta *m, uint64_t clusters)
{
	uint64_t old = m->clusters;
	uint8_t *used;

	if (m->used) {
		used = realloc(m->used, clusters / 8 + 1);
		if (!used)
			return -ENOMEM;
		memset(used + old / 8 + 1, 0, clusters / 8 - old / 8);
		for (uint64_t c = old; c < clusters; c++)
			used[c / 8] |= (uint8_t)(1u << (c % 8));
		m->used = used;
	}
	m->clusters = clusters;
	return 0;
}

/*
 * New blocks go behind the end of the file, so they are zeroes; each counts itself, or an older one does. Only when
 * all of that is durable the table names them.
 */
int qcow2_meta_cover(struct qcow2_meta *m, uint64_t size_bytes)
{
	uint64_t need = qcow2_refcount_blocks(size_bytes), first = m->clusters, next = first;
	static const uint8_t zeroes[512];
	int err = 0;

	need = max_u64(need, (m->clusters + need) / QCOW2_REFCOUNTS + 1);
	if (need > QCOW2_BLOCKS_MAX || need > (uint64_t)m->header.reftable_clusters * QCOW2_TABLE_ENTRIES)
		return reason_refuse(&m->reason, -ENOTSUP, "%s has a refcount table that is too small for its disk",
				     m->path);
	for (unsigned i = 0; i < need; i++)
		if (!m->reftable[i])
			m->reftable[i] = next++ * QCOW2_CLUSTER_BYTES;
	if (next == first)
		return 0;
	m->block_count = (unsigned)max_u64(m->block_count, need);
	/* To its full length: a block beyond the end would be a corruption. */
	err = disk_file_write(m->file, next * QCOW2_CLUSTER_BYTES - sizeof(zeroes), zeroes, sizeof(zeroes));
	for (uint64_t c = first; c < next && !err; c++)
		err = count_cluster(m, c);
	if (!err)
		err = disk_file_sync(m->file);
	if (!err)
		err = write_reftable(m);
	if (!err)
		err = disk_file_sync(m->file);
	if (!err)
		err = extend_used(m, next);
	return err ? io_failed(m, err) : 0;
}

/* ---- mending ---- */

/*
 * In the order of a flush: data and counts that were too low, then maps, then what is given back. A death in between
 * finds the same marks and journal again.
 */
int qcow2_meta_mend_later(struct qcow2_meta *m, uint64_t size_bytes, qcow2_meta_leak *leak, void *arg,
			  uint64_t *reclaimed)
{
	struct comparison give_back = { .lower = true, .leak = leak, .arg = arg };
	uint64_t missing = 0, leaked = 0;
	bool wrote = false;
	int err = qcow2_meta_walk(m);

	if (!err && m->corruptions)
		err = -EUCLEAN;
	if (!err)
		err = qcow2_meta_cover(m, size_bytes);
	if (!err)
		err = qcow2_meta_refcounts(m, true, false, &missing, &leaked);
	/* Also maps that the process before wrote and did not come to sync: they may be why something has leaked. */
	if (!err && (missing || leaked || m->overlays))
		err = disk_file_sync(m->file);
	if (!err)
		err = qcow2_meta_write_overlays(m, &wrote);
	if (!err && wrote)
		err = disk_file_sync(m->file);
	*reclaimed = leaked;
	if (!err && leaked)
		err = compare_all(m, &give_back);
	/* Before marks say that nothing leaks. */
	if (!err && leaked)
		err = disk_file_sync(m->file);
	return reason_default(&m->reason, err, "%.160s cannot be synced: %s", m->path, strerror(-err));
}

int qcow2_meta_mend(struct qcow2_meta *m, uint64_t size_bytes, uint64_t *reclaimed)
{
	return qcow2_meta_mend_later(m, size_bytes, NULL, NULL, reclaimed);
}
