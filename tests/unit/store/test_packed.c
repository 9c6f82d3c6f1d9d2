// SPDX-License-Identifier: GPL-2.0-or-later
/* Images that were packed, that are sent to us, and empty ones: what comes out is what went in, and what is wrong is refused. */
#include "store/fixture.h"

#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void is_same_disk(struct fixture *f, const char *file, const char *name, const char *original)
{
	struct image_version version = import_version(f, input(f, file), name);
	const char *path = in_state(f, "images", version.file);
	struct stat st;

	assert_true(same_content(path, original));
	assert_int_equal(stat(path, &st), 0);
	assert_true((uint64_t)st.st_blocks * 512 < version.size_bytes / 2); /* holes stay holes */
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
}

static void test_each_way(void **state)
{
	static const struct {
		const char *command, *file;
	} ways[] = {
		{ "gzip -k a.raw", "a.raw.gz" },
		{ "xz -k a.raw", "a.raw.xz" },
		{ "zstd -qk a.raw", "a.raw.zst" },
		/* Without an ending, in two parts, and with the largest window. */
		{ "head -c 5000001 a.raw | gzip -c >two; tail -c +5000002 a.raw | gzip -c >>two", "two" },
		{ "zstd -q --ultra --long=31 -c a.raw >long", "long" },
		/* A skippable frame goes first, as pzstd writes it. */
		{ "{ printf 'P*M\\030\\004\\000\\000\\000abcd'; zstd -qc a.raw; } >skip.zst", "skip.zst" },
		{ "qemu-img convert -O qcow2 a.raw a.qcow2 && gzip -k a.qcow2", "a.qcow2.gz" },
		{ "qemu-img convert -O vhdx a.raw a.vhdx && zstd -qk a.vhdx", "a.vhdx.zst" },
	};
	struct fixture *f = *state;
	char name[16];

	make_disk(input(f, "a.raw"), 24 << 20, 1);
	for (size_t i = 0; i < array_len(ways); i++) {
		run_command("cd %s && %s", f->dir, ways[i].command);
		snprintf(name, sizeof(name), "way%zu", i);
		is_same_disk(f, ways[i].file, name, input(f, "a.raw"));
	}
}

/* Its last block is filled up, as that of one that is not packed. */
static void test_padding(void **state)
{
	struct fixture *f = *state;
	struct image_version version;

	make_disk(input(f, "odd.raw"), (4 << 20) + 100, 2);
	run_command("cd %s && gzip -k odd.raw && truncate -s %d odd.raw", f->dir, (4 << 20) + 512);
	version = import_version(f, input(f, "odd.raw.gz"), "odd");
	assert_int_equal(version.size_bytes, (4 << 20) + 512);
	assert_true(same_content(in_state(f, "images", version.file), input(f, "odd.raw")));
}

static void expect_refused(struct fixture *f, const char *file, const char *part)
{
	struct job_status status = import_file(f, input(f, file), "refused");

	if (status.stage != JOB_FAILED || !strstr(status.text, part))
		fail_msg("%s: expected \"%s\", got \"%s\"", file, part, status.text);
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
	assert_int_equal(count_entries(in_state(f, "images", "")), 0);
}

static void test_refused(void **state)
{
	static const struct {
		const char *command, *file, *part;
	} bad[] = {
		{ "gzip -k a.raw && head -c -30 a.raw.gz >cut.gz", "cut.gz", "damaged or cut off" },
		{ "xz -k a.raw && head -c -30 a.raw.xz >cut.xz", "cut.xz", "damaged or cut off" },
		{ "zstd -qk a.raw && head -c -30 a.raw.zst >cut.zst", "cut.zst", "damaged or cut off" },
		{ "cp a.raw.xz bad.xz && printf xxxx | dd of=bad.xz bs=1 seek=60 conv=notrunc status=none", "bad.xz",
		  "damaged or cut off" },
		{ "gzip -c a.raw.gz >twice.gz", "twice.gz", "packed twice" },
		{ "{ cat a.raw.gz; echo garbage; } >tail.gz", "tail.gz", "garbage" },
		{ "tar -cf a.tar a.raw && gzip a.tar", "a.tar.gz", "tar archive" },
		{ "qemu-img create -q -f qcow2 -b /etc/passwd -F raw b.qcow2 1M && gzip b.qcow2", "b.qcow2.gz",
		  "backing file" },
		{ "printf '' | gzip -c >empty.gz", "empty.gz", "is empty" },
	};
	struct fixture *f = *state;

	make_disk(input(f, "a.raw"), 8 << 20, 1);
	for (size_t i = 0; i < array_len(bad); i++) {
		run_command("cd %s && %s", f->dir, bad[i].command);
		expect_refused(f, bad[i].file, bad[i].part);
	}
}

static int keep_all(struct inventory_tx *tx, void *arg)
{
	struct reason reason;

	(void)arg;
	return policy_set(tx, "reserve", "1000T", &reason);
}

/* A small file that fills the disk: it is bounded by what is to stay free, and nothing of it is left. */
static void test_bomb(void **state)
{
	struct fixture *f = *state;

	run_command("cd %s && yes bomb | head -c 200000000 | gzip -1 >bomb.gz", f->dir);
	assert_int_equal(in_write(f, keep_all, NULL), 0);
	expect_refused(f, "bomb.gz", "in reserve");
}

/* ---- sent ---- */

static uint64_t begin(struct fixture *f, const char *file, uint64_t size)
{
	struct reason reason;
	uint64_t id = 0;

	assert_int_equal(store_upload(f->store, file, "sent", size, IMPORT_FOR_MACHINES, "test", &id, &reason), 0);
	return id;
}

static void test_sent(void **state)
{
	struct fixture *f = *state;
	struct job_status status = { 0 };
	struct reason reason;
	enum { SIZE = 3 << 20, PIECE = 1 << 20 };
	char *data = malloc(SIZE);
	FILE *file;
	uint64_t id;

	make_disk(input(f, "a.raw"), SIZE, 5);
	file = fopen(input(f, "a.raw"), "r");
	assert_non_null(file);
	assert_int_equal(fread(data, 1, SIZE, file), SIZE);
	fclose(file);
	id = begin(f, "C:\\x/a.raw", SIZE);
	assert_int_equal(store_upload_write(f->store, id, 0, data, PIECE, &reason), 0);
	/* A piece that comes twice, or too early, is not taken; where to go on is said. */
	assert_int_equal(store_upload_write(f->store, id, 0, data, PIECE, &reason), -ESTALE);
	assert_non_null(strstr(reason.text, "1048576 bytes are here"));
	assert_int_equal(store_upload_write(f->store, id, 2 * PIECE, data, PIECE, &reason), -ESTALE);
	assert_int_equal(store_upload_end(f->store, id, &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "3145728 bytes were announced, and 1048576 came"));
	assert_int_equal(store_job_status(f->store, id, &status), 0);
	assert_int_equal(status.bytes_done, PIECE);
	assert_int_equal(status.bytes_total, SIZE);
	assert_string_equal(status.source, "a.raw");
	assert_int_equal(store_upload_write(f->store, id, PIECE, data + PIECE, 2 * PIECE, &reason), 0);
	assert_int_equal(store_upload_end(f->store, id, &reason), 0);
	assert_int_equal(store_upload_write(f->store, id, SIZE, data, 1, &reason), -EALREADY);
	while (status.stage != JOB_DONE && status.stage != JOB_FAILED)
		import_wait(f, id, &status);
	assert_int_equal(status.stage, JOB_DONE);
	assert_true(same_content(in_state(f, "images", "sent@1.raw"), input(f, "a.raw")));
	assert_int_equal(store_upload_write(f->store, 99, 0, data, 1, &reason), -ENOENT);
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
	free(data);
}

static void test_sent_and_canceled(void **state)
{
	struct fixture *f = *state;
	struct job_status status = { 0 };
	struct reason reason;
	uint64_t id = begin(f, "a.raw", 0), other;

	assert_int_equal(store_upload_write(f->store, id, 0, "abc", 3, &reason), 0);
	assert_int_equal(store_job_cancel(f->store, id, "anna", &reason), 0);
	while (status.stage != JOB_FAILED)
		import_wait(f, id, &status);
	assert_true(status.canceled);
	assert_non_null(strstr(status.text, "canceled by anna"));
	assert_int_equal(store_upload_write(f->store, id, 3, "abc", 3, &reason), -EALREADY);
	assert_int_equal(store_upload_end(f->store, id, &reason), -EALREADY);
	assert_int_equal(store_upload(f->store, "a", "../x", 0, IMPORT_FOR_MACHINES, "test", &other, &reason), -EINVAL);
	assert_int_equal(store_upload(f->store, "a", "x", UINT64_MAX, IMPORT_FOR_MACHINES, "test", &other, &reason),
			 -EINVAL);
	assert_int_equal(in_write(f, keep_all, NULL), 0);
	assert_int_equal(store_upload(f->store, "a", "x", 1 << 20, IMPORT_FOR_MACHINES, "test", &other, &reason),
			 -ENOSPC);
	assert_int_equal(count_entries(in_state(f, "images", "")), 0);
}

/* ---- empty ---- */

static void test_empty(void **state)
{
	struct fixture *f = *state;
	struct image_version version, found;
	struct reason reason = { "" };
	struct stat st;

	assert_int_equal(store_create_image(f->store, "windows", (uint64_t)15 << 40, "test", &version, &reason), 0);
	found = get_version(f, "windows", 1);
	assert_int_equal(found.state, VERSION_TEST);
	assert_false(found.is_default);
	assert_int_equal(found.size_bytes, (uint64_t)15 << 40);
	assert_int_equal(stat(in_state(f, "images", "windows@1.raw"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0444);
	assert_true(st.st_blocks * 512 < 1 << 20);
	assert_int_equal(store_verify_version(f->store, &found, &reason), 0);
	assert_int_equal(store_create_image(f->store, "windows", 1 << 30, "test", &version, &reason), -EEXIST);
	assert_int_equal(store_create_image(f->store, "Windows", 1 << 30, "test", &version, &reason), -ENOTUNIQ);
	assert_int_equal(store_create_image(f->store, "a b", 1 << 30, "test", &version, &reason), -EINVAL);
	assert_int_equal(store_create_image(f->store, "small", 4096, "test", &version, &reason), -EINVAL);
	assert_int_equal(store_create_image(f->store, "odd", (1 << 30) + 1, "test", &version, &reason), -EINVAL);
	assert_int_equal(store_create_image(f->store, "large", ((uint64_t)16 << 40) + 512, "test", &version, &reason),
			 -EINVAL);
	assert_int_equal(count_entries(in_state(f, "images", "")), 1);
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_way, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_padding, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refused, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_bomb, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_sent, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_sent_and_canceled, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_empty, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
