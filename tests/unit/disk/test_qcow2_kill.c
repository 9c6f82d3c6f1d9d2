// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Children whose process dies: kill -9 anywhere loses no acknowledged write (invariant 1), and what the marks and the
 * journal make of it under this boot_id, another one, and after somebody else has written.
 *
 * The one who dies is this program again, with arguments: `writer PATH SEED`, or `die PATH` after a few writes.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "disk/env.h"
#include "disk/qcow2_fixture.h"

enum {
	SECTOR = 512,
	DISK_BYTES = 8 * MIB,
	SECTORS = DISK_BYTES / SECTOR,
	DEPTH = 8,
	MAX_BYTES = 256 * KIB,
	REPORT_FD = 3,
};

/* What the writer tells before it submits and after it was answered. */
struct report {
	uint32_t number; /* of the change, from 1 */
	uint32_t acknowledged;
	uint32_t first, count; /* sectors */
	uint32_t zero;
};

static void sector_content(unsigned char *sector, uint32_t number, uint32_t index)
{
	memset(sector, (int)(number * 37 + index), SECTOR);
	memcpy(sector, &number, sizeof(number));
	memcpy(sector + sizeof(number), &index, sizeof(index));
}

/* ---- the writer: another process ---- */

struct slot {
	struct disk_request req;
	struct report report;
	struct iovec iov;
	bool busy;
	unsigned char data[MAX_BYTES];
};

static void tell(const struct report *report)
{
	if (write(REPORT_FD, report, sizeof(*report)) != sizeof(*report))
		_exit(2);
}

static void slot_done(struct disk_request *req)
{
	struct slot *slot = req->user;

	if (req->result)
		_exit(3);
	slot->busy = false;
	if (req->op == DISK_FLUSH)
		return;
	slot->report.acknowledged = 1;
	tell(&slot->report);
}

static void slot_submit(struct disk *disk, struct slot *slot, uint32_t number, unsigned *seed)
{
	struct disk_request *req = &slot->req;
	unsigned kind = (unsigned)rand_r(seed) % 16;
	uint32_t unit = rand_r(seed) % 2 ? 8 : 1;

	slot->busy = true;
	*req = (struct disk_request){ .op = DISK_WRITE, .fua = kind == 15, .done = slot_done, .user = slot };
	if (kind == 0) {
		req->op = DISK_FLUSH;
		disk_submit(disk, req);
		return;
	}
	if (kind == 1)
		req->op = DISK_DISCARD;
	slot->report = (struct report){ .number = number, .zero = kind == 1 };
	slot->report.count = ((unsigned)rand_r(seed) % (MAX_BYTES / SECTOR / 8 / unit) + 1) * unit;
	slot->report.first = (unsigned)rand_r(seed) % ((SECTORS - slot->report.count) / unit) * unit;
	for (uint32_t i = 0; i < slot->report.count; i++)
		sector_content(slot->data + (size_t)i * SECTOR, number, slot->report.first + i);
	req->offset = (uint64_t)slot->report.first * SECTOR;
	req->length = (uint64_t)slot->report.count * SECTOR;
	slot->iov = (struct iovec){ slot->data, req->length };
	req->iov = &slot->iov;
	req->iov_count = 1;
	tell(&slot->report);
	disk_submit(disk, req);
}

static int writer_main(const char *path, unsigned seed)
{
	static struct slot slots[DEPTH];
	const unsigned threads[POOL_CLASSES] = { 2, 2, 1, 1 };
	struct disk_open how = { .path = path };
	struct fixture fx = { .dir = "" };
	uint32_t number = 1;
	struct disk *disk;

	fx.loop = loop_new(0);
	if (pool_new(threads, &fx.pool) || disk_env_new(fx.pool, &fx.loop, 1, &fx.env))
		return 4;
	disk = fixture_open(&fx, qcow2_disk_open, &how, NULL);
	if (!disk)
		return 5;
	for (;;) {
		for (unsigned i = 0; i < DEPTH; i++)
			if (!slots[i].busy && rand_r(&seed) % 3)
				slot_submit(disk, &slots[i], number++, &seed);
		loop_run_once(fx.loop, false);
	}
}

/* Some writes, of which the first is flushed; then, all of them acknowledged, it dies. */
static int die_main(const char *path)
{
	const unsigned threads[POOL_CLASSES] = { 2, 2, 1, 1 };
	struct disk_open how = { .path = path };
	struct fixture fx = { .dir = "" };
	unsigned char data[8192];
	struct disk *disk;

	fx.loop = loop_new(0);
	if (pool_new(threads, &fx.pool) || disk_env_new(fx.pool, &fx.loop, 1, &fx.env))
		return 4;
	disk = fixture_open(&fx, qcow2_disk_open, &how, NULL);
	if (!disk)
		return 5;
	for (uint64_t i = 0; i < 4; i++) {
		fixture_pattern(data, sizeof(data), i * MIB, 1);
		if (fixture_write(&fx, disk, i * MIB, data, sizeof(data), false) ||
		    (i == 0 && fixture_flush(&fx, disk)))
			return 6;
	}
	raise(SIGKILL);
	return 7;
}

static pid_t start(const char *mode, const char *path, unsigned seed, int *reports)
{
	char seed_text[16];
	int fds[2];
	pid_t pid;

	snprintf(seed_text, sizeof(seed_text), "%u", seed);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	fcntl(fds[0], F_SETPIPE_SZ, 1 << 20);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], REPORT_FD);
		execl("/proc/self/exe", "writer", mode, path, seed_text, NULL);
		_exit(1);
	}
	assert_true(pid > 0);
	close(fds[1]);
	*reports = fds[0];
	return pid;
}

/* ---- kill -9 anywhere ---- */

/* What a sector may hold: the newest acknowledged change, or any that was submitted after it. */
struct change {
	uint32_t number;
	bool zero, acknowledged;
};

enum { CHANGES_MAX = 64 };

struct history {
	struct change changes[CHANGES_MAX];
	unsigned count;
};

static struct history histories[SECTORS];

static void note(const struct report *r)
{
	for (uint32_t s = r->first; s < r->first + r->count; s++) {
		struct history *h = &histories[s];
		unsigned i = 0;

		while (i < h->count && h->changes[i].number != r->number)
			i++;
		if (!r->acknowledged) {
			assert_true(h->count < CHANGES_MAX);
			h->changes[h->count++] = (struct change){ r->number, r->zero, false };
			continue;
		}
		/* Overlapping changes are done in order: what is older than this one is over. */
		if (i == h->count)
			continue;
		memmove(h->changes, h->changes + i, (h->count - i) * sizeof(h->changes[0]));
		h->count -= i;
		h->changes[0].acknowledged = true;
	}
}

static bool is_change(const unsigned char *sector, const struct change *c, uint32_t index)
{
	unsigned char expected[SECTOR] = { 0 };

	if (!c->zero)
		sector_content(expected, c->number, index);
	return memcmp(sector, expected, SECTOR) == 0;
}

/* What is found is what the next round starts from. */
static void verify(struct fixture *fx, const char *name, unsigned char *contents)
{
	static unsigned char data[DISK_BYTES];
	struct disk *disk = open_child(fx, name);

	for (uint64_t at = 0; at < DISK_BYTES; at += MIB)
		assert_int_equal(fixture_read(fx, disk, at, data + at, MIB), 0);
	assert_int_equal(fixture_close(fx, disk), 0);
	for (uint32_t s = 0; s < SECTORS; s++) {
		struct history *h = &histories[s];
		const unsigned char *sector = data + (size_t)s * SECTOR;
		bool good = !(h->count && h->changes[0].acknowledged) &&
			    memcmp(sector, contents + (size_t)s * SECTOR, SECTOR) == 0;

		for (unsigned i = 0; i < h->count && !good; i++)
			good = is_change(sector, &h->changes[i], s);
		if (!good)
			fail_msg("sector %u lost acknowledged change %u", s, h->count ? h->changes[0].number : 0);
		h->count = 0;
	}
	memcpy(contents, data, DISK_BYTES);
}

/* Lets a writer run until it has told so much, kills it, and takes the rest of what it told. */
static void run_and_kill(const char *path, unsigned seed, unsigned reports_wanted)
{
	struct report report;
	int fd, status;
	pid_t pid = start("writer", path, seed, &fd);

	for (unsigned i = 0; i < reports_wanted; i++) {
		if (read(fd, &report, sizeof(report)) != sizeof(report))
			fail_msg("the writer has gone by itself");
		note(&report);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	while (read(fd, &report, sizeof(report)) == sizeof(report))
		note(&report);
	close(fd);
}

static void test_kill_anywhere(void **state)
{
	struct fixture *fx = *state;
	struct model_disk model;
	unsigned seed = 11;

	make_golden(fx, "golden", 5 * MIB);
	make_child(fx, "child", DISK_BYTES, "golden", "raw");
	model_disk_init(fx, &model, DISK_BYTES, "golden");
	for (unsigned round = 0; round < 25; round++) {
		run_and_kill(fixture_path(fx, "child"), round, 1 + (unsigned)rand_r(&seed) % (round % 2 ? 40 : 2000));
		/* Killed twice between opens that look. */
		if (round % 5 == 4)
			run_and_kill(fixture_path(fx, "child"), 1000 + round, 5);
		verify(fx, "child", model.bytes);
		qemu_is_content(fx, "child");
	}
	model_disk_fini(&model);
}

/* ---- after one death ---- */

static const char *die(struct fixture *fx)
{
	const char *path;
	int fd, status;
	pid_t pid;

	make_golden(fx, "golden", 8 * MIB);
	make_child(fx, "child", 8 * MIB, "golden", "raw");
	path = fixture_path(fx, "child");
	pid = start("die", path, 0, &fd);
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return path;
}

/* How many of the four writes are there, and whether the disk says that it was interrupted. */
static unsigned look(struct fixture *fx, struct disk *disk)
{
	unsigned char data[8192], expected[8192];
	unsigned found = 0;

	for (uint64_t i = 0; i < 4; i++) {
		fixture_pattern(expected, sizeof(expected), i * MIB, 1);
		assert_int_equal(fixture_read(fx, disk, i * MIB, data, sizeof(data)), 0);
		found += !memcmp(data, expected, sizeof(data));
	}
	return found;
}

static struct disk *open_again(struct fixture *fx, bool expect_interrupted)
{
	struct disk_open how = { .path = fixture_path(fx, "child") };
	bool interrupted;
	struct disk *disk = open_child_how(fx, &how, &interrupted);

	assert_int_equal(interrupted, expect_interrupted);
	return disk;
}

static void test_replay(void **state)
{
	struct fixture *fx = *state;
	const char *path = die(fx);
	struct disk_open how = { .path = path, .read_only = true };
	struct disk_opened result;
	struct qcow2_check check;
	struct qcow2_info info;
	struct reason reason;
	struct disk *disk;

	assert_int_equal(qcow2_read_info(path, &info, &reason), 0);
	assert_false(info.clean);
	assert_int_equal(qcow2_check(path, true, &check, &reason), -EBUSY);
	assert_int_equal(qcow2_grow(path, 16 * MIB, &reason), -EBUSY);
	assert_null(fixture_open(fx, qcow2_disk_open, &how, &result));
	assert_non_null(strstr(result.reason.text, "not closed properly"));
	disk = open_again(fx, false);
	assert_int_equal(look(fx, disk), 4);
	assert_int_equal(fixture_close(fx, disk), 0);
	assert_int_equal(qcow2_read_info(path, &info, &reason), 0);
	assert_true(info.clean);
	assert_int_not_equal(access(fixture_path(fx, "child.journal"), F_OK), 0);
	qemu_is_content(fx, "child");
}

/* The host went down: what was flushed is there, and the child says so until somebody writes. */
static void test_other_boot(void **state)
{
	struct fixture *fx = *state;
	unsigned char data[512] = { 1 };
	struct disk *disk;
	unsigned found;

	die(fx);
	strcpy(fx->env->boot_id, "00000000-0000-0000-0000-000000000001");
	for (int i = 0; i < 3; i++) {
		disk = open_again(fx, true);
		found = look(fx, disk);
		assert_true(found >= 1);
		assert_int_equal(fixture_close(fx, disk), 0);
		qemu_is_content(fx, "child");
	}
	disk = open_again(fx, true);
	assert_int_equal(fixture_write(fx, disk, 7 * MIB, data, sizeof(data), false), 0);
	assert_int_equal(look(fx, disk), found);
	assert_int_equal(fixture_close(fx, disk), 0);
	disk = open_again(fx, false);
	assert_int_equal(fixture_close(fx, disk), 0);
}

/* QEMU has written meanwhile: the journal is void, and that is an interruption. */
static void test_foreign_writer(void **state)
{
	struct fixture *fx = *state;
	unsigned char data[4096], expected[4096];
	struct disk *disk;

	die(fx);
	shell_works(fx, "qemu-io -f qcow2 -c 'write -P 9 5M 4k' child");
	disk = open_again(fx, true);
	assert_true(look(fx, disk) >= 1);
	memset(expected, 9, sizeof(expected));
	assert_int_equal(fixture_read(fx, disk, 5 * MIB, data, sizeof(data)), 0);
	assert_memory_equal(data, expected, sizeof(data));
	assert_int_equal(fixture_close(fx, disk), 0);
	qemu_is_content(fx, "child");
}

/* Whatever it was, it is something else now: generations are random. */
static void turn_byte(struct fixture *fx, const char *name, off_t offset)
{
	int fd = open(fixture_path(fx, name), O_RDWR | O_CLOEXEC);
	unsigned char byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, offset), 1);
	byte ^= 0xff;
	assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
	close(fd);
}

static void test_journal_missing(void **state)
{
	struct fixture *fx = *state;
	struct disk *disk;

	die(fx);
	shell_works(fx, "mv child.journal kept");
	open_is_refused(fx, "child", -EUCLEAN, "journal is missing");
	/* Neither half is of this generation. */
	shell_works(fx, "cp kept child.journal");
	turn_byte(fx, "child.journal", 12);
	turn_byte(fx, "child.journal", 131072 + 12);
	open_is_refused(fx, "child", -EUCLEAN, "journal is missing");
	shell_works(fx, "cp kept child.journal");
	disk = open_again(fx, false);
	assert_int_equal(look(fx, disk), 4);
	assert_int_equal(fixture_close(fx, disk), 0);
}

/* The way out that the refusal names. */
static void test_journal_given_up(void **state)
{
	struct fixture *fx = *state;
	struct disk *disk;

	die(fx);
	shell_works(fx, "rm child.journal");
	open_is_refused(fx, "child", -EUCLEAN, "qemu-img check -r leaks");
	fixture_shell(fx, "qemu-img check -r leaks child");
	disk = open_again(fx, true);
	assert_true(look(fx, disk) >= 1);
	assert_int_equal(fixture_close(fx, disk), 0);
}

/* A corrupt entry ends the journal there; what it cannot mean refuses. */
static void test_journal_garbage(void **state)
{
	struct fixture *fx = *state;
	unsigned seed = 4;

	die(fx);
	shell_works(fx, "cp child.journal kept && cp child kept.child");
	for (int i = 0; i < 60; i++) {
		struct disk_open how = { .path = fixture_path(fx, "child") };
		unsigned char byte = (unsigned char)rand_r(&seed);
		struct disk_opened result;
		struct disk *disk;

		shell_works(fx, "cp kept child.journal && cp kept.child child");
		fixture_put(fixture_path(fx, "child.journal"), (unsigned)rand_r(&seed) % 300, &byte, 1, 0);
		disk = fixture_open(fx, qcow2_disk_open, &how, &result);
		if (!disk)
			continue;
		look(fx, disk);
		assert_int_equal(fixture_close(fx, disk), 0);
		qemu_is_content(fx, "child");
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kill_anywhere, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_replay, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_other_boot, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_foreign_writer, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_journal_missing, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_journal_given_up, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_journal_garbage, fixture_setup, fixture_teardown),
	};

	if (argc == 4 && !strcmp(argv[1], "writer"))
		return writer_main(argv[2], (unsigned)atoi(argv[3]));
	if (argc == 4 && !strcmp(argv[1], "die"))
		return die_main(argv[2]);
	return cmocka_run_group_tests_name("qcow2 killed", tests, NULL, NULL);
}
