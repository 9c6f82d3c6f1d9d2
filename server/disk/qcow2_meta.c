// SPDX-License-Identifier: GPL-2.0-or-later
/* The metadata of a qcow2 file, loaded, with a journal laid over, written: see qcow2_meta.h. Workers and tools. */
#include "disk/qcow2_meta.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "disk/engine.h"
#include "disk/file_io.h"

static int refuse(struct qcow2_meta *m, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int refuse(struct qcow2_meta *m, int err, const char *format, ...)
{
	va_list args;

	reason_set(&m->reason, "%.160s ", m->path);
	va_start(args, format);
	reason_append_args(&m->reason, format, args);
	va_end(args);
	return err;
}

static int cannot_read(struct qcow2_meta *m, uint64_t offset, int err)
{
	return refuse(m, err, "cannot be read at offset %llu: %s", (unsigned long long)offset, strerror(-err));
}

/* ---- loading ---- */

static int load_header(struct qcow2_meta *m)
{
	uint64_t length = min_u64(m->file->size_bytes, QCOW2_CLUSTER_BYTES);
	uint8_t *data = calloc(1, QCOW2_CLUSTER_BYTES);
	struct reason text;
	int err;

	if (!data)
		return refuse(m, -ENOMEM, "cannot be opened: out of memory");
	err = length ? disk_file_read(m->file, 0, data, length) : 0;
	if (err) {
		cannot_read(m, 0, err);
	} else {
		err = qcow2_header_parse(data, length, m->file->size_bytes, &m->header, &text);
		if (err)
			refuse(m, err, "%s", text.text);
	}
	free(data);
	return err;
}

/* An offset of a table, without its flags. */
static int check_offset(struct qcow2_meta *m, const char *table, unsigned index, uint64_t entry, uint64_t reserved,
			uint64_t *offset)
{
	uint64_t at = entry & QCOW2_OFFSET_MASK;

	if (entry & reserved || at % QCOW2_CLUSTER_BYTES || at / QCOW2_CLUSTER_BYTES >= m->clusters)
		return refuse(m, -EUCLEAN,
			      "is corrupt: entry %u of its %s points to %#llx, which is not within the file", index,
			      table, (unsigned long long)entry);
	*offset = at;
	return 0;
}

static int load_l1(struct qcow2_meta *m)
{
	struct be64 *wire = calloc(m->header.l1_size, sizeof(*wire));
	int err = 0;

	m->l1 = calloc(m->header.l1_size, sizeof(*m->l1));
	if (!wire || !m->l1)
		err = refuse(m, -ENOMEM, "cannot be opened: out of memory");
	if (!err) {
		err = disk_file_read(m->file, m->header.l1_offset, wire, m->header.l1_size * sizeof(*wire));
		if (err)
			cannot_read(m, m->header.l1_offset, err);
	}
	for (unsigned i = 0; !err && i < m->header.l1_size; i++)
		err = check_offset(m, "L1 table", i, be64_get(wire[i]), QCOW2_L1_RESERVED, &m->l1[i]);
	free(wire);
	return err;
}

/* One cluster of the refcount table at a time; only up to the last block that there is. */
static int load_reftable(struct qcow2_meta *m)
{
	struct be64 *wire = malloc(QCOW2_CLUSTER_BYTES);
	int err = 0;

	m->reftable = calloc(QCOW2_BLOCKS_MAX, sizeof(*m->reftable));
	if (!wire || !m->reftable)
		err = refuse(m, -ENOMEM, "cannot be opened: out of memory");
	for (unsigned c = 0; !err && c < m->header.reftable_clusters; c++) {
		uint64_t at = m->header.reftable_offset + (uint64_t)c * QCOW2_CLUSTER_BYTES;

		err = disk_file_read(m->file, at, wire, QCOW2_CLUSTER_BYTES);
		if (err)
			cannot_read(m, at, err);
		for (unsigned i = 0; !err && i < QCOW2_TABLE_ENTRIES; i++) {
			unsigned index = c * QCOW2_TABLE_ENTRIES + i;
			uint64_t entry = be64_get(wire[i]);

			if (!entry)
				continue;
			if (index >= QCOW2_BLOCKS_MAX)
				err = refuse(m, -ENOTSUP, "has more refcount blocks than a disk of 16 TiB needs");
			else
				err = check_offset(m, "refcount table", index, entry, 0x1ff, &m->reftable[index]);
			m->block_count = index + 1;
		}
	}
	free(wire);
	return err;
}

int qcow2_meta_load(struct qcow2_meta *m, struct file *file, const char *path)
{
	int err;

	*m = (struct qcow2_meta){ .file = file, .path = path };
	m->clusters = align_up(file->size_bytes, QCOW2_CLUSTER_BYTES) / QCOW2_CLUSTER_BYTES;
	err = load_header(m);
	if (!err)
		err = load_l1(m);
	if (!err)
		err = load_reftable(m);
	return err;
}

void qcow2_meta_fini(struct qcow2_meta *m)
{
	for (unsigned t = 0; m->overlays && t < m->header.l1_size; t++) {
		for (unsigned p = 0; m->overlays[t] && p < QCOW2_PIECES; p++)
			free(m->overlays[t][p]);
		free(m->overlays[t]);
	}
	free(m->overlays);
	free(m->l1);
	free(m->reftable);
	free(m->used);
}

/* ---- the journal over the maps ---- */

/* The overlay of a cluster's piece of L2, made from the file where there is none. NULL: *err. */
static struct qcow2_overlay *overlay_get(struct qcow2_meta *m, uint64_t cluster, int *err)
{
	unsigned table = (unsigned)(cluster / QCOW2_L2_ENTRIES);
	unsigned piece = (unsigned)(cluster / QCOW2_PIECE_ENTRIES % QCOW2_PIECES);
	uint64_t at = m->l1[table] + (uint64_t)piece * QCOW2_PIECE_BYTES;
	struct qcow2_overlay *overlay;

	if (!m->overlays)
		m->overlays = calloc(m->header.l1_size, sizeof(*m->overlays));
	if (m->overlays && !m->overlays[table])
		m->overlays[table] = calloc(QCOW2_PIECES, sizeof(*m->overlays[table]));
	if (m->overlays && m->overlays[table] && m->overlays[table][piece])
		return m->overlays[table][piece];
	overlay = malloc(sizeof(*overlay));
	if (!m->overlays || !m->overlays[table] || !overlay) {
		free(overlay);
		*err = refuse(m, -ENOMEM, "cannot be opened: out of memory");
		return NULL;
	}
	*err = disk_file_read(m->file, at, overlay->data, sizeof(overlay->data));
	if (*err) {
		free(overlay);
		cannot_read(m, at, *err);
		return NULL;
	}
	m->overlays[table][piece] = overlay;
	return overlay;
}

static bool change_fits(const struct qcow2_meta *m, const struct journal_change *c)
{
	uint64_t clusters = align_up(m->header.size_bytes, QCOW2_CLUSTER_BYTES) / QCOW2_CLUSTER_BYTES;

	if (c->count == 0 || c->first >= clusters || c->count > clusters - c->first)
		return false;
	if (c->first / QCOW2_PIECE_ENTRIES != (c->first + c->count - 1) / QCOW2_PIECE_ENTRIES)
		return false;
	if (c->table == 0 || c->table % QCOW2_CLUSTER_BYTES || c->table / QCOW2_CLUSTER_BYTES >= m->clusters)
		return false;
	if (c->count > 1 && c->entry.host)
		return false;
	return m->l1[c->first / QCOW2_L2_ENTRIES] == 0 || m->l1[c->first / QCOW2_L2_ENTRIES] == c->table;
}

int qcow2_meta_change(void *arg, const struct journal_change *c)
{
	struct qcow2_meta *m = arg;
	struct qcow2_overlay *overlay;
	struct qcow2_wire_l2 *entries;
	int err;

	if (!change_fits(m, c))
		return refuse(m, -EUCLEAN, "is corrupt: its journal and its maps do not fit together");
	if (!m->l1[c->first / QCOW2_L2_ENTRIES]) {
		m->l1[c->first / QCOW2_L2_ENTRIES] = c->table;
		m->l1_dirty |= 1u << (c->first / QCOW2_L2_ENTRIES * 8 / QCOW2_PIECE_BYTES);
	}
	overlay = overlay_get(m, c->first, &err);
	if (!overlay)
		return err;
	entries = (struct qcow2_wire_l2 *)overlay->data;
	for (unsigned i = 0; i < c->count; i++)
		entries[(c->first + i) % QCOW2_PIECE_ENTRIES] = qcow2_entry_put(c->entry);
	return 0;
}

static int write_overlay(struct qcow2_meta *m, unsigned table, unsigned piece, bool *wrote)
{
	const struct qcow2_overlay *overlay = m->overlays[table][piece];
	uint64_t at = m->l1[table] + (uint64_t)piece * QCOW2_PIECE_BYTES;
	struct qcow2_overlay old;
	int err = disk_file_read(m->file, at, old.data, sizeof(old.data));

	if (err)
		return cannot_read(m, at, err);
	if (!memcmp(old.data, overlay->data, sizeof(old.data)))
		return 0;
	*wrote = true;
	err = disk_file_write(m->file, at, overlay->data, sizeof(overlay->data));
	return err ? refuse(m, err, "cannot be written at offset %llu: %s", (unsigned long long)at, strerror(-err)) : 0;
}

static int write_l1_piece(struct qcow2_meta *m, unsigned piece)
{
	struct be64 wire[QCOW2_PIECE_BYTES / 8] = { 0 };
	unsigned first = piece * (unsigned)array_len(wire);
	int err;

	for (unsigned i = 0; i < array_len(wire) && first + i < m->header.l1_size; i++)
		if (m->l1[first + i])
			wire[i] = be64_put(m->l1[first + i] | QCOW2_COPIED);
	err = disk_file_write(m->file, m->header.l1_offset + (uint64_t)piece * QCOW2_PIECE_BYTES, wire, sizeof(wire));
	return err ? refuse(m, err, "cannot be written: %s", strerror(-err)) : 0;
}

int qcow2_meta_write_overlays(struct qcow2_meta *m, bool *wrote)
{
	int err = 0;

	for (unsigned t = 0; m->overlays && t < m->header.l1_size; t++)
		for (unsigned p = 0; m->overlays[t] && p < QCOW2_PIECES && !err; p++)
			if (m->overlays[t][p])
				err = write_overlay(m, t, p, wrote);
	for (unsigned p = 0; p < QCOW2_PIECES && !err; p++) {
		if (m->l1_dirty >> p & 1) {
			*wrote = true;
			err = write_l1_piece(m, p);
		}
	}
	return err;
}

/* ---- the header ---- */

int qcow2_meta_write_header(struct qcow2_meta *m)
{
	uint8_t area[QCOW2_HEADER_AREA];
	bool long_name = qcow2_header_build(&m->header, area);
	int err = 0;

	if (long_name && !m->header.ours) {
		err = disk_file_write(m->file, QCOW2_LONG_NAME_AT, area + QCOW2_LONG_NAME_AT,
				      QCOW2_HEADER_AREA - QCOW2_LONG_NAME_AT);
		if (!err)
			err = disk_file_sync(m->file);
	}
	if (!err)
		err = disk_file_write(m->file, 0, area, QCOW2_HEADER_SECTOR);
	if (err)
		return refuse(m, err, "cannot be written: %s", strerror(-err));
	m->header.ours = true;
	return 0;
}

/* ---- a descriptor as a file ---- */

struct fd_file {
	struct file file;
	int fd;
};

static int fd_run(struct file *file, struct file_request *req)
{
	int fd = container_of(file, struct fd_file, file)->fd;

	switch (req->op) {
	case FILE_READ:
		file_io_read(fd, req, file->size_bytes);
		break;
	case FILE_WRITE:
		file_io_write(fd, req);
		break;
	case FILE_SYNC:
		req->result = file_io_sync(fd);
		break;
	case FILE_PUNCH:
		file_io_punch(fd, req);
		break;
	default:
		req->result = -EOPNOTSUPP;
		break;
	}
	return req->result;
}

static void fd_close(struct file *file)
{
	struct fd_file *f = container_of(file, struct fd_file, file);

	close(f->fd);
	free(f);
}

struct file *qcow2_file_of(int fd, uint64_t size_bytes)
{
	static const struct file_ops ops = { .run = fd_run, .close = fd_close };
	struct fd_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->file = (struct file){ .ops = &ops, .size_bytes = size_bytes };
	f->fd = fd;
	return &f->file;
}
