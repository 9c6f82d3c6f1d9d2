// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: a qcow2 child whose metadata somebody else made, its journal, and a qcow2 file of the kind between
 * it and the golden image: load, walk, mend, the journal laid over it; then opened as a disk, its whole block status
 * asked, read, written, discarded, flushed, closed. Nothing may crash, hang, or touch memory that is not its own.
 *
 * The input: one byte of choices, then patches of good files: place, offset (2 bytes), length, bytes. Places 0 to 4
 * are the first clusters of the child, 5 is an entry of the journal with a CRC that fits, 6 bytes of the journal as
 * they are, 7 bytes of the file in between (its first byte says in which cluster). All files are in memory, under
 * disk/'s seams.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "base/util.h"
#include "disk/engine.h"
#include "disk/qcow2_meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	CLUSTER = QCOW2_CLUSTER_BYTES,
	FILE_CLUSTERS = 12,
	ROOM_BYTES = 72 << 20, /* a file grows in steps of 32 MiB */
	DISK_BYTES = 40 << 20,
	CHANGES_MAX = 16,
	TURNS_MAX = 100000, /* of the loop: then it hangs */
};

enum {
	CHOOSE_READ_ONLY = 1,
	CHOOSE_FOREIGN = 2,
	CHOOSE_JOURNAL = 4,
	CHOOSE_MARKS = 8,
	CHOOSE_SHORT = 16,
	CHOOSE_CHAIN = 32
};

/* As journal.c has them. */
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

/* ---- files in memory ---- */

struct memory_file {
	uint8_t *bytes;
	uint64_t size;
};

struct handle {
	struct file file;
	struct memory_file *memory;
};

static struct memory_file child, middle, golden, journal;
static struct loop *loop;
static struct disk_env *env;

static void each_piece(struct memory_file *m, struct file_request *req)
{
	uint64_t at = req->offset;

	for (int i = 0; i < req->iov_count; i++) {
		uint64_t len = req->iov[i].iov_len;

		if (req->op == FILE_WRITE)
			memcpy(m->bytes + at, req->iov[i].iov_base, len);
		else
			memcpy(req->iov[i].iov_base, m->bytes + at, len);
		at += len;
	}
}

static int memory_run(struct file *file, struct file_request *req)
{
	struct memory_file *m = container_of(file, struct handle, file)->memory;
	bool fits = req->length <= ROOM_BYTES && req->offset <= ROOM_BYTES - req->length;

	req->result = 0;
	req->error_offset = req->offset;
	switch (req->op) {
	case FILE_READ:
	case FILE_WRITE:
		if (!fits) {
			req->result = req->op == FILE_WRITE ? -ENOSPC : -EIO;
			break;
		}
		each_piece(m, req);
		if (req->op == FILE_WRITE)
			m->size = max_u64(m->size, req->offset + req->length);
		break;
	case FILE_PUNCH:
		if (fits)
			memset(m->bytes + req->offset, 0, req->length);
		break;
	case FILE_STATUS:
		req->result = -EOPNOTSUPP;
		break;
	default:
		break;
	}
	return req->result;
}

static void request_done(struct loop_msg *msg)
{
	struct file_request *req = container_of(msg, struct file_request, job.msg);

	req->done(req);
}

static void memory_submit(struct file *file, struct file_request *req)
{
	memory_run(file, req);
	req->job.msg.run = request_done;
	loop_post(loop, &req->job.msg);
}

static bool memory_read_now(struct file *file, uint64_t offset, const struct iovec *iov, int iov_count, uint64_t length)
{
	struct file_request req = {
		.op = FILE_READ, .offset = offset, .length = length, .iov = iov, .iov_count = iov_count
	};

	return offset % (2 * CLUSTER) < CLUSTER && memory_run(file, &req) == 0;
}

static bool memory_write_now(struct file *file, uint64_t offset, const struct iovec *iov, int iov_count,
			     uint64_t length)
{
	struct file_request req = {
		.op = FILE_WRITE, .offset = offset, .length = length, .iov = iov, .iov_count = iov_count
	};

	return offset % (2 * CLUSTER) < CLUSTER && memory_run(file, &req) == 0;
}

static bool memory_is_hole(struct file *file, uint64_t offset, uint64_t length)
{
	(void)file;
	(void)length;
	return offset > (8 << 20);
}

static uint64_t memory_allocated_bytes(const struct file *file)
{
	(void)file;
	return 0;
}

static void memory_close(struct file *file)
{
	free(container_of(file, struct handle, file));
}

static const struct file_ops memory_ops = {
	.submit = memory_submit,
	.read_now = memory_read_now,
	.write_now = memory_write_now,
	.overwrite_now = memory_write_now,
	.is_hole = memory_is_hole,
	.allocated_bytes = memory_allocated_bytes,
	.close = memory_close,
	.run = memory_run,
};

static struct file *memory_open(struct memory_file *m)
{
	struct handle *h = calloc(1, sizeof(*h));

	if (!h)
		abort();
	h->file = (struct file){ .ops = &memory_ops, .loop = loop, .size_bytes = m->size };
	h->memory = m;
	return &h->file;
}

/* ---- the environment ---- */

static int fake_open(void *arg, struct disk_env *e, struct loop *l, const char *path, unsigned flags,
		     struct file **file)
{
	static const struct {
		const char *path;
		struct memory_file *memory;
	} files[] = {
		{ "child", &child }, { "middle", &middle }, { "golden", &golden }, { "child.journal", &journal }
	};
	struct memory_file *m = NULL;

	(void)arg;
	(void)e;
	(void)l;
	for (size_t i = 0; i < array_len(files); i++)
		if (!strcmp(path, files[i].path))
			m = files[i].memory;
	if (!m)
		return -ENOENT;
	if (m == &journal && !journal.size && !(flags & DISK_ENV_CREATE))
		return -ENOENT;
	*file = memory_open(m);
	return 0;
}

static bool fake_same_file(void *arg, const char *path, const char *other)
{
	(void)arg;
	return !strcmp(path, other);
}

static int fake_unlink(void *arg, const char *path)
{
	(void)arg;
	(void)path;
	return 0;
}

static const char *fake_boot_id(void *arg)
{
	(void)arg;
	return "boot";
}

static void job_done(struct loop_msg *msg)
{
	struct pool_job *job = container_of(msg, struct pool_job, msg);

	job->done(job);
}

static void fake_submit(void *arg, enum pool_class class, struct pool_job *job)
{
	(void)arg;
	(void)class;
	job->work(job);
	job->msg.run = job_done;
	loop_post(loop, &job->msg);
}

static const struct disk_env_ops fake_ops = {
	.open_file = fake_open,
	.same_file = fake_same_file,
	.unlink = fake_unlink,
	.boot_id = fake_boot_id,
	.submit = fake_submit,
};

/* ---- the good file, and what becomes of it ---- */

static void put64(struct memory_file *m, uint64_t offset, uint64_t value)
{
	struct be64 be = be64_put(value);

	memcpy(m->bytes + offset, &be, sizeof(be));
}

static void build_file(struct memory_file *m, const char *backing, const char *format, uint32_t flags)
{
	struct qcow2_header header = {
		.size_bytes = DISK_BYTES,
		.l1_offset = CLUSTER,
		.l1_size = 1,
		.reftable_offset = 2 * CLUSTER,
		.reftable_clusters = 1,
		.incompatible = QCOW2_INCOMPAT_EXTENDED_L2,
		.flags = flags,
		.generation = 1,
		.boot_id = "boot",
	};
	struct be16 one = be16_put(1);

	strcpy(header.backing, backing);
	strcpy(header.backing_format, format);
	madvise(m->bytes, ROOM_BYTES, MADV_DONTNEED);
	qcow2_header_build(&header, m->bytes);
	put64(m, CLUSTER, 4 * CLUSTER | QCOW2_COPIED);
	put64(m, 2 * CLUSTER, 3 * CLUSTER);
	for (unsigned i = 0; i < 8; i++)
		memcpy(m->bytes + 3 * CLUSTER + 2 * i, &one, sizeof(one));
	for (unsigned i = 0; i < 3; i++) {
		put64(m, 4 * CLUSTER + 16 * i, (5 + i) * CLUSTER | QCOW2_COPIED);
		put64(m, 4 * CLUSTER + 16 * i + 8, 0x00f0000000000f0full << i);
	}
	m->size = FILE_CLUSTERS * CLUSTER;
}

static void build_journal(void)
{
	struct wire_header header = {
		.magic = be32_put(0x534a524e), .generation = be64_put(1), .epoch = be64_put(1), .boot_id = "boot"
	};

	header.crc = be32_put(crc32c(0, &header.magic, sizeof(header) - sizeof(header.crc)));
	memset(journal.bytes, 0, JOURNAL_BYTES);
	memcpy(journal.bytes, &header, sizeof(header));
	journal.size = JOURNAL_BYTES;
}

static void journal_entry(unsigned slot, const struct journal_change *c)
{
	const struct be64 where[3] = { be64_put(1), be64_put(1), be64_put(slot) };
	struct qcow2_wire_l2 l2 = qcow2_entry_put(c->entry);
	struct wire_entry entry = { .count = be16_put((uint16_t)c->count),
				    .first = be64_put(c->first),
				    .table = be64_put(c->table),
				    .descriptor = l2.descriptor,
				    .bitmap = l2.bitmap };
	uint32_t crc = crc32c(0, where, sizeof(where));

	entry.crc = be32_put(crc32c(crc, &entry.count, sizeof(entry) - sizeof(entry.crc)));
	memcpy(journal.bytes + slot * sizeof(entry), &entry, sizeof(entry));
}

static void build_good(uint8_t choices)
{
	bool chain = choices & CHOOSE_CHAIN;

	build_file(&child, chain ? "middle" : "golden", chain ? "qcow2" : "raw",
		   choices & CHOOSE_JOURNAL ? QCOW2_MARK_JOURNAL | QCOW2_MARK_UNSYNCED : 0);
	if (choices & CHOOSE_FOREIGN)
		put64(&child, 88, 0);
	if (choices & CHOOSE_SHORT)
		child.size = 5 * CLUSTER;
	if (chain)
		build_file(&middle, "golden", "raw", 0);
	golden.size = 20 << 20;
	journal.size = 0;
	if (choices & CHOOSE_JOURNAL)
		build_journal();
}

struct patches {
	struct journal_change changes[CHANGES_MAX];
	unsigned change_count;
};

static void take_patches(const uint8_t *data, size_t size, struct patches *patches)
{
	while (size >= 4) {
		unsigned place = data[0] % 8, offset = (unsigned)(data[1] << 8 | data[2]);
		size_t len = min_u64(data[3], size - 4);

		data += 4;
		size -= 4;
		if (place < 5) {
			memcpy(child.bytes + place * CLUSTER + offset, data, len);
		} else if (place == 6) {
			memcpy(journal.bytes + offset, data, len);
		} else if (place == 7) {
			if (len)
				memcpy(middle.bytes + data[0] % 5 * CLUSTER + offset, data + 1, len - 1);
		} else if (patches->change_count < CHANGES_MAX && len >= 8) {
			struct journal_change *c = &patches->changes[patches->change_count++];
			uint64_t x = 0;

			memcpy(&x, data, 8);
			*c = (struct journal_change){
				.first = x % 512,
				.count = (unsigned)(x >> 9) % 300,
				.table = (x >> 20) % 16 * CLUSTER,
				.entry = { (x >> 24) % 16 * CLUSTER, (uint32_t)(x >> 32), (uint32_t)(x >> 40) },
			};
			journal_entry(1 + patches->change_count, c);
		}
		data += len;
		size -= len;
	}
}

/* Marks that were patched, with a CRC that fits. */
static void mend_marks(void)
{
	struct qcow2_wire_marks *marks =
		(struct qcow2_wire_marks *)(child.bytes + QCOW2_HEADER_BYTES + sizeof(struct qcow2_wire_ext));

	marks->version = be32_put(QCOW2_MARKS_VERSION);
	marks->crc = be32_put(crc32c(0, marks, offsetof(struct qcow2_wire_marks, crc)));
}

/* ---- the disk ---- */

static bool finished;
static struct disk *opened_disk;

static void wait_finished(void)
{
	for (int turns = 0; !finished; turns++) {
		if (turns == TURNS_MAX)
			abort();
		loop_run_once(loop, false);
	}
	finished = false;
}

static void on_opened(void *arg, const struct disk_opened *result)
{
	(void)arg;
	finished = true;
	opened_disk = result->disk;
	if (!result->disk && (!result->reason.text[0] || result->err >= 0))
		abort();
}

static void on_closed(void *arg, int err)
{
	(void)arg;
	(void)err;
	finished = true;
}

static void on_done(struct disk_request *req)
{
	(void)req;
	finished = true;
}

static void request(enum disk_op op, uint64_t offset, uint64_t length)
{
	static uint8_t bytes[1 << 20];
	struct disk_extent extents[4];
	struct iovec iov = { bytes, length };
	struct disk_request req = { .op = op,
				    .offset = offset,
				    .length = length,
				    .iov = &iov,
				    .iov_count = 1,
				    .extents = extents,
				    .extent_max = 4,
				    .done = on_done };

	disk_submit(opened_disk, &req);
	wait_finished();
	if (op == DISK_READ && !req.result)
		disk_release(opened_disk, &req);
}

/* As GET LBA STATUS goes on and on: it must come to an end. */
static void status_all(uint64_t size_bytes)
{
	for (uint64_t at = 0; at < size_bytes;) {
		struct disk_extent extents[4];
		struct disk_request req = { .op = DISK_STATUS,
					    .offset = at,
					    .length = size_bytes - at,
					    .extents = extents,
					    .extent_max = 4,
					    .done = on_done };

		disk_submit(opened_disk, &req);
		wait_finished();
		if (req.result)
			return;
		if (!req.extent_count || extents[0].offset != at)
			abort();
		at = extents[req.extent_count - 1].offset + extents[req.extent_count - 1].length;
	}
}

static void use_disk(bool read_only)
{
	struct disk_open how = { .path = "child", .read_only = read_only };

	qcow2_disk_open(env, loop, &how, on_opened, NULL);
	wait_finished();
	if (!opened_disk)
		return;
	status_all(min_u64(opened_disk->size_bytes, DISK_BYTES));
	request(DISK_READ, 0, min_u64(opened_disk->size_bytes, 1 << 20));
	request(DISK_WRITE, 512, min_u64(opened_disk->size_bytes - 512, 300 << 10));
	request(DISK_DISCARD, 0, min_u64(opened_disk->size_bytes, 4 << 20));
	request(DISK_FLUSH, 0, 0);
	request(DISK_WRITE, 0, min_u64(opened_disk->size_bytes, 8192));
	disk_close(opened_disk, on_closed, NULL);
	wait_finished();
}

/* ---- the blocking half ---- */

static void mend(const struct patches *patches)
{
	struct qcow2_meta m;
	struct file *file = memory_open(&child);
	uint64_t missing, leaked;
	int err = qcow2_meta_load(&m, file, "child");

	if (!err)
		err = qcow2_meta_walk(&m);
	if (!err)
		err = qcow2_meta_refcounts(&m, false, false, &missing, &leaked);
	free(m.used);
	m.used = NULL;
	m.corruptions = 0;
	for (unsigned i = 0; i < patches->change_count && !err; i++)
		err = qcow2_meta_change(&m, &patches->changes[i]);
	if (!err)
		err = qcow2_meta_mend(&m, m.header.size_bytes, &leaked);
	if (!err)
		err = qcow2_meta_write_header(&m);
	qcow2_meta_fini(&m);
	file->ops->close(file);
}

static void make_room(struct memory_file *m)
{
	m->bytes = mmap(NULL, ROOM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->bytes == MAP_FAILED)
		abort();
}

static void set_up(void)
{
	log_init(LOG_LEVEL_ERROR, false);
	make_room(&child);
	make_room(&middle);
	make_room(&golden);
	make_room(&journal);
	loop = loop_new(0);
	if (!loop || disk_env_new(NULL, &loop, 1, &env))
		abort();
	disk_env_set_ops(env, &fake_ops, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct patches patches = { .change_count = 0 };

	if (!loop)
		set_up();
	if (size < 1)
		return 0;
	build_good(data[0]);
	take_patches(data + 1, size - 1, &patches);
	if (data[0] & CHOOSE_MARKS)
		mend_marks();
	use_disk(data[0] & CHOOSE_READ_ONLY);
	build_good(data[0]);
	take_patches(data + 1, size - 1, &patches);
	mend(&patches);
	/* What was mended opens. */
	use_disk(false);
	return 0;
}
