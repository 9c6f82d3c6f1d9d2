// SPDX-License-Identifier: GPL-2.0-or-later
/* qcow2 files that nobody has open, looked at, checked and grown: see qcow2.h. Workers and tools. */
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

/* ---- looking ---- */

int qcow2_open_closed(const char *path, bool write, struct file **file, struct reason *reason)
{
	int fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = 0;
	struct stat st;

	if (fd < 0)
		return reason_refuse(reason, -errno, "%s cannot be opened: %s", path, strerror(errno));
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	if (!err)
		err = file_lock(fd, write ? FILE_LOCK_EXCLUSIVE : FILE_LOCK_SHARED_READ);
	if (!err && fstat(fd, &st))
		err = -errno;
	if (!err) {
		*file = qcow2_file_of(fd, (uint64_t)st.st_size);
		err = *file ? 0 : -ENOMEM;
	}
	if (err) {
		disk_env_explain(err, path, reason);
		close(fd);
	}
	return err;
}

int qcow2_read_info(const char *path, struct qcow2_info *info, struct reason *reason)
{
	uint8_t *data = calloc(1, QCOW2_CLUSTER_BYTES);
	struct qcow2_header *header = malloc(sizeof(*header));
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = 0;
	struct reason text;
	struct stat st;
	ssize_t n = -1;

	if (fd < 0 || fstat(fd, &st) || !data || !header || (n = pread(fd, data, QCOW2_CLUSTER_BYTES, 0)) < 0) {
		err = data && header ? -errno : -ENOMEM;
		reason_refuse(reason, err, "%s cannot be read: %s", path, strerror(-err));
		goto out;
	}
	err = qcow2_header_parse(data, (size_t)n, (uint64_t)st.st_size, header, &text);
	if (err) {
		reason_refuse(reason, err, "%s %s", path, text.text);
		goto out;
	}
	*info = (struct qcow2_info){
		.size_bytes = header->size_bytes,
		.allocated_bytes = (uint64_t)st.st_blocks * 512,
		.clean = !(header->flags & QCOW2_MARK_JOURNAL) && !header->torn,
		.generation = header->generation,
	};
	snprintf(info->backing, sizeof(info->backing), "%s", header->backing);
	snprintf(info->backing_format, sizeof(info->backing_format), "%s", header->backing_format);
out:
	if (fd >= 0)
		close(fd);
	free(data);
	free(header);
	return err;
}

int qcow2_refuse_open(struct qcow2_meta *m)
{
	if (!m->header.ours || !(m->header.flags & QCOW2_MARK_JOURNAL))
		return 0;
	return reason_refuse(&m->reason, -EBUSY, "%.150s was not closed properly; open it once, which recovers it",
			     m->path);
}

/* ---- growing ---- */

/* The size of its backing file, as a disk; 0 where there is none. */
static int backing_size(const struct qcow2_meta *m, uint64_t *size_bytes, struct reason *reason)
{
	char *path = qcow2_backing_path(m->path, m->header.backing);
	struct qcow2_info info;
	struct stat st;
	int err = 0;

	*size_bytes = 0;
	if (!path)
		return reason_refuse(reason, -ENOMEM, "%s cannot be grown: out of memory", m->path);
	if (!strcmp(m->header.backing_format, "qcow2")) {
		err = qcow2_read_info(path, &info, reason);
		if (!err)
			*size_bytes = info.size_bytes;
	} else if (stat(path, &st)) {
		err = reason_refuse(reason, -errno, "%s cannot be read: %s", path, strerror(errno));
	} else {
		*size_bytes = (uint64_t)st.st_size;
	}
	free(path);
	return err;
}

static int check_grow(const struct qcow2_meta *m, uint64_t size_bytes, struct reason *reason)
{
	uint64_t backing = 0;
	int err = 0;

	if (size_bytes % DISK_BLOCK_BYTES || size_bytes > QCOW2_SIZE_MAX)
		return reason_refuse(reason, -EINVAL, "%s: a disk has a multiple of 512 bytes, up to 16 TiB, not %llu",
				     m->path, (unsigned long long)size_bytes);
	if (size_bytes < m->header.size_bytes)
		return reason_refuse(reason, -EINVAL, "%s has %llu bytes already, and a disk only grows", m->path,
				     (unsigned long long)m->header.size_bytes);
	if (m->header.backing[0])
		err = backing_size(m, &backing, reason);
	/* What lies in the backing file beyond the end of the disk must not become visible. */
	if (!err && backing > m->header.size_bytes)
		err = reason_refuse(reason, -ENOTSUP, "%s is shorter than its backing file and cannot grow", m->path);
	return err;
}

static int grow(struct qcow2_meta *m, uint64_t size_bytes)
{
	struct qcow2_header *h = &m->header;
	uint64_t reclaimed;
	int err;

	if (h->ours) {
		err = qcow2_meta_cover(m, size_bytes);
	} else {
		/* Another program wrote to it, and may have left anything; the journal, if there was one, is void. */
		err = qcow2_meta_mend(m, size_bytes, &reclaimed);
		if (h->torn || h->flags & QCOW2_MARK_JOURNAL)
			h->flags = QCOW2_MARK_INTERRUPTED;
		h->free_hint = 0;
	}
	if (err)
		return err;
	h->size_bytes = size_bytes;
	h->l1_size = (uint32_t)max_u64(h->l1_size, qcow2_l1_entries(size_bytes));
	err = qcow2_meta_write_header(m);
	if (!err)
		err = disk_file_sync(m->file);
	return err;
}

int qcow2_grow(const char *path, uint64_t size_bytes, struct reason *reason)
{
	struct qcow2_meta m;
	struct file *file;
	int err = qcow2_open_closed(path, true, &file, reason);

	if (err)
		return err;
	err = qcow2_meta_load(&m, file, path);
	if (!err)
		err = qcow2_refuse_open(&m);
	if (err)
		reason_refuse(reason, err, "%s", m.reason.text);
	if (!err)
		err = check_grow(&m, size_bytes, reason);
	if (!err && size_bytes > m.header.size_bytes) {
		err = grow(&m, size_bytes);
		if (err)
			reason_refuse(reason, err, "%s",
				      m.reason.text[0] ? m.reason.text : "the file cannot be synced");
	}
	qcow2_meta_fini(&m);
	file->ops->close(file);
	return err;
}

/* ---- after a failed sync ---- */

static int give_up(struct qcow2_meta *m)
{
	uint64_t reclaimed;
	int err = qcow2_meta_mend(m, m->header.size_bytes, &reclaimed);

	if (err)
		return err;
	m->header.flags = QCOW2_MARK_INTERRUPTED;
	m->header.incompatible &= ~QCOW2_INCOMPAT_DIRTY;
	m->header.free_hint = qcow2_meta_first_free(m);
	err = qcow2_meta_write_header(m);
	return err ? err : disk_file_sync(m->file);
}

int qcow2_give_up_journal(const char *path, struct reason *reason)
{
	struct qcow2_meta m;
	struct file *file;
	char journal[4096];
	int err = qcow2_open_closed(path, true, &file, reason);

	if (err)
		return err;
	err = qcow2_meta_load(&m, file, path);
	if (!err && m.header.ours && m.header.flags & QCOW2_MARK_JOURNAL) {
		err = give_up(&m);
		/* If it cannot be removed, it is void all the same: its generation is an older one. */
		if (!err && snprintf(journal, sizeof(journal), "%s.journal", path) < (int)sizeof(journal))
			unlink(journal);
	}
	if (err)
		reason_refuse(reason, err, "%s", m.reason.text[0] ? m.reason.text : "the file cannot be synced");
	qcow2_meta_fini(&m);
	file->ops->close(file);
	return err;
}

/* ---- check ---- */

int qcow2_check(const char *path, bool repair_leaks, struct qcow2_check *result, struct reason *reason)
{
	uint64_t missing = 0, leaked = 0;
	struct qcow2_meta m;
	struct file *file;
	int err = qcow2_open_closed(path, repair_leaks, &file, reason);

	if (err)
		return err;
	err = qcow2_meta_load(&m, file, path);
	if (!err && repair_leaks)
		err = qcow2_refuse_open(&m);
	if (!err)
		err = qcow2_meta_walk(&m);
	if (!err)
		err = qcow2_meta_refcounts(&m, false, false, &missing, &leaked);
	if (!err && repair_leaks && leaked && !m.corruptions) {
		err = qcow2_meta_refcounts(&m, false, true, &missing, &leaked);
		if (!err)
			err = disk_file_sync(file);
	}
	reason_refuse(reason, err, "%s", err && !m.reason.text[0] ? "the file cannot be synced" : m.reason.text);
	if (!err) {
		*result = (struct qcow2_check){
			.corruptions = m.corruptions + missing,
			.leaks = leaked,
			.allocated_clusters = m.allocated,
		};
	}
	qcow2_meta_fini(&m);
	file->ops->close(file);
	return err;
}
