// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Making a qcow2 file: see qcow2.h. Workers and tools.
 *
 * A new file: cluster 0 the header, 1 the L1 table, 2 the refcount table, then all refcount blocks that the disk may
 * ever need, sparse. Only the header, the refcount table and the first counts are written.
 */
#include "disk/qcow2.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "disk/disk.h"
#include "disk/qcow2_meta.h"

enum { CREATE_L1 = 1, CREATE_REFTABLE = 2, CREATE_BLOCKS = 3 }; /* clusters */

/* ---- create ---- */

static int check_create(const struct qcow2_create *how, struct reason *reason)
{
	bool raw = how->backing && how->backing_format && !strcmp(how->backing_format, "raw");
	bool qcow2 = how->backing && how->backing_format && !strcmp(how->backing_format, "qcow2");

	if (how->size_bytes == 0 || how->size_bytes % DISK_BLOCK_BYTES || how->size_bytes > QCOW2_SIZE_MAX)
		return reason_refuse(reason, -EINVAL, "%s: a disk has a multiple of 512 bytes, up to 16 TiB, not %llu",
				     how->path, (unsigned long long)how->size_bytes);
	if (how->backing && !raw && !qcow2)
		return reason_refuse(reason, -EINVAL, "%s: the format of a backing file is raw or qcow2", how->path);
	if (how->backing && (!how->backing[0] || strlen(how->backing) > QCOW2_BACKING_MAX || how->backing[0] == '/'))
		return reason_refuse(reason, -EINVAL, "%s: \"%.100s\" is no relative path of a backing file", how->path,
				     how->backing);
	return 0;
}

/* Everything that is not zero. */
static int write_new(int fd, const struct qcow2_header *header, uint64_t blocks)
{
	uint64_t clusters = CREATE_BLOCKS + blocks;
	size_t table_bytes = blocks * sizeof(struct be64), count_bytes = clusters * sizeof(struct be16);
	uint8_t area[QCOW2_HEADER_AREA];
	struct be64 *table = malloc(table_bytes);
	struct be16 *counts = malloc(count_bytes);
	off_t at = CREATE_REFTABLE * QCOW2_CLUSTER_BYTES;
	int err = -ENOMEM;

	if (!table || !counts)
		goto out;
	qcow2_header_build(header, area);
	for (uint64_t i = 0; i < blocks; i++)
		table[i] = be64_put((CREATE_BLOCKS + i) * QCOW2_CLUSTER_BYTES);
	for (uint64_t i = 0; i < clusters; i++)
		counts[i] = be16_put(1);
	err = ftruncate(fd, (off_t)(clusters * QCOW2_CLUSTER_BYTES)) ? -errno : 0;
	if (!err && pwrite(fd, area, sizeof(area), 0) != (ssize_t)sizeof(area))
		err = -ENOSPC;
	if (!err && pwrite(fd, table, table_bytes, at) != (ssize_t)table_bytes)
		err = -ENOSPC;
	at += QCOW2_CLUSTER_BYTES;
	if (!err && pwrite(fd, counts, count_bytes, at) != (ssize_t)count_bytes)
		err = -ENOSPC;
out:
	free(table);
	free(counts);
	return err;
}

int qcow2_create(const struct qcow2_create *how, struct reason *reason)
{
	uint64_t blocks = qcow2_refcount_blocks(how->size_bytes);
	struct qcow2_header header = {
		.size_bytes = how->size_bytes,
		.l1_offset = CREATE_L1 * QCOW2_CLUSTER_BYTES,
		.l1_size = (uint32_t)qcow2_l1_entries(how->size_bytes),
		.reftable_offset = CREATE_REFTABLE * QCOW2_CLUSTER_BYTES,
		.reftable_clusters = 1,
		.incompatible = QCOW2_INCOMPAT_EXTENDED_L2,
		.free_hint = CREATE_BLOCKS + blocks,
	};
	int fd, err = check_create(how, reason);

	if (err)
		return err;
	/* A journal that an earlier file of this name left behind must not fit. */
	secret_bytes(&header.generation, sizeof(header.generation));
	if (how->backing) {
		snprintf(header.backing, sizeof(header.backing), "%s", how->backing);
		snprintf(header.backing_format, sizeof(header.backing_format), "%s", how->backing_format);
	}
	fd = open(how->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return reason_refuse(reason, -errno, "%s cannot be made: %s", how->path, strerror(errno));
	err = write_new(fd, &header, blocks);
	close(fd);
	if (err) {
		unlink(how->path);
		reason_refuse(reason, err, "%s cannot be written: %s", how->path, strerror(-err));
	}
	return err;
}
