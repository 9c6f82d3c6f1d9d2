// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * diskio POOL: does to qcow2 files what standard input says, with the real engine on the real file system, and tells
 * each answer on standard output at once. What differential.py drives, and kills.
 *
 *	create FILE SIZE BACKING FORMAT	("-": none)	grow FILE SIZE		check FILE
 *	open FILE	-> opened SIZE INTERRUPTED | refused ERRNO REASON
 *	w ID OFFSET LENGTH FROM FUA	LENGTH bytes of the file POOL, from byte FROM on	-> done ID RESULT
 *	z ID OFFSET LENGTH UNMAP FUA	d ID OFFSET LENGTH FUA	f ID			-> done ID RESULT
 *	wait		until all of these are done	-> waited
 *	die COUNT	kill -9 of itself once COUNT of them are done, since it was opened
 *	dump FILE	the whole disk into a file, read in pieces of odd sizes	-> dumped
 *	map FILE	where everything is: OFFSET LENGTH zero|data DEPTH OFFSET-IN-FILE	-> mapped
 *	status FILE	DISK_STATUS: OFFSET LENGTH 0|1	-> told
 *	close		-> closed RESULT
 *
 * At most 16 of w, z, d and f run side by side.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "disk/qcow2.h"
#include "disk/qcow2_engine.h"

enum { SIDE_BY_SIDE = 16, PATH_CHARS = 256 };

struct op {
	struct disk_request req;
	struct iovec iov;
	unsigned long id;
};

static struct loop *loop;
static struct disk_env *env;
static struct disk *disk;
static uint8_t *pool_bytes;
static unsigned running;
static unsigned long done_count, die_at;

static void stop(const char *what)
{
	fprintf(stderr, "diskio: %s\n", what);
	exit(2);
}

static void turn_until(const bool *flag)
{
	while (!*flag)
		loop_run_once(loop, true);
}

/* ---- files that are closed ---- */

static void told(const char *what, int err, const char *reason)
{
	if (err)
		printf("refused %d %s\n", -err, reason);
	else
		printf("%s\n", what);
}

static void create(const char *args)
{
	char path[PATH_CHARS], backing[PATH_CHARS], format[16];
	struct reason reason = { "" };
	struct qcow2_create how = { .path = path };

	if (sscanf(args, "%255s %" SCNu64 " %255s %15s", path, &how.size_bytes, backing, format) != 4)
		stop("create FILE SIZE BACKING FORMAT");
	if (strcmp(backing, "-")) {
		how.backing = backing;
		how.backing_format = format;
	}
	told("created", qcow2_create(&how, &reason), reason.text);
}

static void grow(const char *args)
{
	char path[PATH_CHARS];
	struct reason reason = { "" };
	uint64_t size_bytes;

	if (sscanf(args, "%255s %" SCNu64, path, &size_bytes) != 2)
		stop("grow FILE SIZE");
	told("grown", qcow2_grow(path, size_bytes, &reason), reason.text);
}

static void check(const char *args)
{
	char path[PATH_CHARS], answer[64];
	struct reason reason = { "" };
	struct qcow2_check result = { 0 };
	int err;

	if (sscanf(args, "%255s", path) != 1)
		stop("check FILE");
	err = qcow2_check(path, false, &result, &reason);
	snprintf(answer, sizeof(answer), "checked %" PRIu64 " %" PRIu64, result.corruptions, result.leaks);
	told(answer, err, reason.text);
}

/* ---- the disk ---- */

static bool opened;

static void on_opened(void *arg, const struct disk_opened *result)
{
	(void)arg;
	opened = true;
	disk = result->disk;
	if (disk)
		printf("opened %" PRIu64 " %d\n", disk->size_bytes, result->interrupted);
	else
		printf("refused %d %s\n", -result->err, result->reason.text);
}

static void open_child(const char *args)
{
	char path[PATH_CHARS];
	struct disk_open how = { .path = path };

	if (sscanf(args, "%255s", path) != 1)
		stop("open FILE");
	opened = false;
	done_count = 0;
	qcow2_disk_open(env, loop, &how, on_opened, NULL);
	turn_until(&opened);
}

static bool closed;

static void on_closed(void *arg, int err)
{
	(void)arg;
	closed = true;
	printf("closed %d\n", err);
}

static void close_child(void)
{
	closed = false;
	disk_close(disk, on_closed, NULL);
	turn_until(&closed);
	disk = NULL;
}

static void op_done(struct disk_request *req)
{
	struct op *op = container_of(req, struct op, req);

	/* Acknowledged: from here on it must be there. */
	printf("done %lu %d\n", op->id, req->result);
	free(op);
	running--;
	if (++done_count == die_at)
		kill(getpid(), SIGKILL);
}

static void start(enum disk_op kind, const char *args)
{
	struct op *op = calloc(1, sizeof(*op));
	unsigned unmap = 0, fua = 0;
	uint64_t from = 0;
	int fields = 0;

	if (!op)
		stop("no memory");
	op->req.op = kind;
	if (kind == DISK_WRITE)
		fields = sscanf(args, "%lu %" SCNu64 " %" SCNu64 " %" SCNu64 " %u", &op->id, &op->req.offset,
				&op->req.length, &from, &fua) -
			 5;
	else if (kind == DISK_WRITE_ZEROES)
		fields = sscanf(args, "%lu %" SCNu64 " %" SCNu64 " %u %u", &op->id, &op->req.offset, &op->req.length,
				&unmap, &fua) -
			 5;
	else if (kind == DISK_DISCARD)
		fields = sscanf(args, "%lu %" SCNu64 " %" SCNu64 " %u", &op->id, &op->req.offset, &op->req.length,
				&fua) -
			 4;
	else
		fields = sscanf(args, "%lu", &op->id) - 1;
	if (fields)
		stop("an operation lacks a field");
	op->req.unmap = unmap;
	op->req.fua = fua;
	op->iov = (struct iovec){ pool_bytes + from, op->req.length };
	op->req.iov = &op->iov;
	op->req.iov_count = 1;
	op->req.done = op_done;
	running++;
	disk_submit(disk, &op->req);
	while (running >= SIDE_BY_SIDE)
		loop_run_once(loop, true);
}

static void wait_all(void)
{
	while (running)
		loop_run_once(loop, true);
}

/* ---- looking ---- */

static FILE *out_file(const char *args)
{
	char path[PATH_CHARS];
	FILE *out;

	if (sscanf(args, "%255s", path) != 1)
		stop("a file is missing");
	out = fopen(path, "w");
	if (!out)
		stop("cannot write that file");
	return out;
}

static void set_flag(struct disk_request *req)
{
	*(bool *)req->user = true;
}

static void run(struct disk_request *req)
{
	bool done = false;

	req->done = set_flag;
	req->user = &done;
	disk_submit(disk, req);
	turn_until(&done);
}

static void dump(const char *args)
{
	static const uint64_t sizes[] = { 512, 3584, 4096, 131072, 66048, 1 << 20, 2 << 20, 135168, 1536 };
	FILE *out = out_file(args);
	unsigned turn = 0;

	for (uint64_t at = 0; at < disk->size_bytes;) {
		uint64_t length = min_u64(sizes[turn++ % array_len(sizes)], disk->size_bytes - at);
		struct disk_request req = { .op = DISK_READ, .offset = at, .length = length };

		run(&req);
		if (req.result) {
			printf("refused %d reading at %" PRIu64 "\n", -req.result, req.error_offset);
			fclose(out);
			return;
		}
		for (int i = 0; i < req.iov_count; i++)
			fwrite(req.iov[i].iov_base, 1, req.iov[i].iov_len, out);
		disk_release(disk, &req);
		at += length;
	}
	printf(fclose(out) ? "refused 0 dump\n" : "dumped\n");
}

struct finding {
	struct qcow2_waiter waiter;
	bool woken;
};

static void woken(struct qcow2_waiter *waiter)
{
	container_of(waiter, struct finding, waiter)->woken = true;
}

static void map(const char *args)
{
	struct qcow2 *q = qcow2_of(disk);
	FILE *out = out_file(args);

	for (uint64_t at = 0; at < disk->size_bytes;) {
		struct finding finding = { .waiter = { .run = woken } };
		struct qcow2_extent extent;
		int err = qcow2_find(q, 0, at, disk->size_bytes - at, &finding.waiter, &extent);

		if (err < 0)
			stop("qcow2_find failed");
		if (err == QCOW2_WAIT) {
			turn_until(&finding.woken);
			continue;
		}
		fprintf(out, "%" PRIu64 " %" PRIu64 " %s %u %" PRIu64 "\n", at, extent.length,
			extent.file ? "data" : "zero", extent.layer, extent.offset);
		at += extent.length;
	}
	fclose(out);
	printf("mapped\n");
}

static void status(const char *args)
{
	FILE *out = out_file(args);

	for (uint64_t at = 0; at < disk->size_bytes;) {
		struct disk_extent extents[7];
		struct disk_request req = { .op = DISK_STATUS,
					    .offset = at,
					    .length = disk->size_bytes - at,
					    .extents = extents,
					    .extent_max = array_len(extents) };

		run(&req);
		if (req.result || !req.extent_count)
			stop("DISK_STATUS failed");
		for (unsigned i = 0; i < req.extent_count; i++)
			fprintf(out, "%" PRIu64 " %" PRIu64 " %d\n", extents[i].offset, extents[i].length,
				extents[i].mapped);
		at = extents[req.extent_count - 1].offset + extents[req.extent_count - 1].length;
	}
	fclose(out);
	printf("told\n");
}

/* ---- the whole ---- */

static void obey(char *line)
{
	char *args = line + strcspn(line, " ");

	line[strcspn(line, "\n")] = '\0';
	if (*args)
		*args++ = '\0';
	if (!strcmp(line, "w"))
		start(DISK_WRITE, args);
	else if (!strcmp(line, "z"))
		start(DISK_WRITE_ZEROES, args);
	else if (!strcmp(line, "d"))
		start(DISK_DISCARD, args);
	else if (!strcmp(line, "f"))
		start(DISK_FLUSH, args);
	else if (!strcmp(line, "die"))
		die_at = strtoul(args, NULL, 10);
	else if (!strcmp(line, "create"))
		create(args);
	else if (!strcmp(line, "grow"))
		grow(args);
	else if (!strcmp(line, "check"))
		check(args);
	else if (!strcmp(line, "open"))
		open_child(args);
	else if (wait_all(), !strcmp(line, "wait"))
		printf("waited\n");
	else if (!strcmp(line, "dump"))
		dump(args);
	else if (!strcmp(line, "map"))
		map(args);
	else if (!strcmp(line, "status"))
		status(args);
	else if (!strcmp(line, "close"))
		close_child();
	else
		stop(line);
}

int main(int argc, char **argv)
{
	const unsigned threads[POOL_CLASSES] = { 2, 2, 1, 1 };
	struct pool *workers;
	struct stat st;
	char line[1024];
	int fd;

	if (argc != 2)
		stop("usage: diskio POOL <commands");
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_init(LOG_LEVEL_ERROR, false);
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		stop(argv[1]);
	pool_bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	loop = loop_new(0);
	if (pool_bytes == MAP_FAILED || !loop || pool_new(threads, &workers) || disk_env_new(workers, &loop, 1, &env))
		stop("no memory");
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	if (disk)
		close_child();
	pool_free(workers);
	loop_free(loop);
	disk_env_free(env);
	munmap(pool_bytes, (size_t)st.st_size);
	return 0;
}
