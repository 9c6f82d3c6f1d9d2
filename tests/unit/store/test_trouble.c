// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What goes wrong on the way: changes that do not commit, files that change while they are read, disks that are full,
 * what a start finds missing. Nothing is left half done, and nothing that somebody needs is lost.
 */
#include "broken_commit.h"
#include "store/fixture.h"

#include "base/util.h"
#include "disk/qcow2.h"
#include "store/backend.h"
#include "store/hash.h"
#include "doctor/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct image_version golden(struct fixture *f)
{
	make_disk(input(f, "golden.raw"), 8 << 20, 9);
	return import_version(f, input(f, "golden.raw"), "golden");
}

static void reopen(struct fixture *f)
{
	fixture_close(f);
	fixture_open(f);
}

struct events_of {
	const char *kind;
	unsigned count;
};

static int count_event(void *arg, const struct event *event)
{
	struct events_of *of = arg;

	of->count += !strcmp(event->kind, of->kind);
	return 0;
}

static int read_events(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, 0, 0, 1000, count_event, arg);
}

static unsigned events(struct fixture *f, const char *kind)
{
	struct events_of of = { kind, 0 };

	assert_int_equal(in_write(f, read_events, &of), 0);
	return of.count;
}

/* Some are recorded after what they tell of has been said. */
static void wait_event(struct fixture *f, const char *kind)
{
	uint64_t seen = 0;

	while (!events(f, kind))
		if (!inventory_wait_change(f->inventory, &seen, 60000))
			fail_msg("no event %s", kind);
}

/* ---- changes that do not commit ---- */

static void test_import_without_commit(void **state)
{
	struct fixture *f = *state;
	struct job_status status;

	make_disk(input(f, "a.raw"), 4 << 20, 1);
	break_commit(f->store, "image-imported");
	status = import_file(f, input(f, "a.raw"), "a");
	assert_int_equal(status.stage, JOB_FAILED);
	assert_non_null(strstr(status.text, "could not be entered into the inventory"));
	assert_int_equal(count_entries(in_state(f, "images", "")), 0);
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
	wait_event(f, "image-import-failed");
	mend_commit(f->store);
	assert_int_equal(import_version(f, input(f, "a.raw"), "a").number, 1);
	assert_int_equal(events(f, "image-import-failed"), 1);
}

static void test_removal_without_commit(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);
	struct reason reason = { "" };

	break_commit(f->store, "image-removed");
	assert_true(store_remove_version(f->store, version.id, "test", &reason) < 0);
	assert_true(reason.text[0]);
	assert_true(same_content(in_state(f, "images", version.file), input(f, "golden.raw")));
	assert_int_equal(store_verify_version(f->store, &version, &reason), 0);
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
	mend_commit(f->store);
}

/* ---- imports ---- */

/* A script in the place of qemu-img; `real` in it is the true one. */
static void wrap_qemu_img(struct fixture *f, const char *format, ...)
{
	static char real[sizeof(f->store->qemu_img)];
	char body[2048], script[4096];
	va_list args;

	if (!real[0])
		snprintf(real, sizeof(real), "%s", f->store->qemu_img);

	va_start(args, format);
	vsnprintf(body, sizeof(body), format, args);
	va_end(args);
	snprintf(script, sizeof(script), "#!/bin/sh\nreal=%s\n%s\n", real, body);
	make_file(input(f, "qemu-img"), script, strlen(script), strlen(script));
	assert_int_equal(chmod(input(f, "qemu-img"), 0755), 0);
	assert_int_equal(chmod(f->dir, 0755), 0);
	snprintf(f->store->qemu_img, sizeof(f->store->qemu_img), "%s", input(f, "qemu-img"));
}

static void make_qcow2(struct fixture *f)
{
	make_disk(input(f, "a.raw"), 4 << 20, 1);
	run_command("cd %s && qemu-img convert -f raw -O qcow2 a.raw a.qcow2", f->dir);
}

static void refused(struct fixture *f, const char *part)
{
	struct job_status status = import_file(f, input(f, "a.qcow2"), "a");

	assert_int_equal(status.stage, JOB_FAILED);
	if (!strstr(status.text, part))
		fail_msg("expected \"%s\", got \"%s\"", part, status.text);
	assert_int_equal(count_entries(in_state(f, "images", "")), 0);
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
}

/* Somebody writes to the file while it is converted. */
static void test_input_changes(void **state)
{
	struct fixture *f = *state;

	make_qcow2(f);
	run_command("chmod 666 %s && touch -d 2020-01-01 %s", input(f, "a.qcow2"), input(f, "a.qcow2"));
	wrap_qemu_img(f, "[ $1 != convert ] || touch %s || exit 9\nexec $real \"$@\"", input(f, "a.qcow2"));
	refused(f, "was changed while it was read");
}

/* qemu-img sees less of the disk than its header says: the rest would be zeroes. */
static void test_qemu_img_sees_less(void **state)
{
	struct fixture *f = *state;

	make_qcow2(f);
	wrap_qemu_img(f, "[ $1 != info ] || { echo '{\"virtual-size\": 3145728}'; exit 0; }\nexec $real \"$@\"");
	refused(f, "it is damaged");
}

static void test_qemu_img_fails(void **state)
{
	struct fixture *f = *state;

	make_qcow2(f);
	wrap_qemu_img(f, "[ $1 != check ] || { echo 'qemu-img: it leaks' >&2; exit 2; }\nexec $real \"$@\"");
	refused(f, "qemu-img says: it leaks");
	wrap_qemu_img(
		f, "[ $1 != convert ] || { $real \"$@\"; echo 'qemu-img: I/O error' >&2; exit 1; }\nexec $real \"$@\"");
	refused(f, "qemu-img says: I/O error");
}

/* What we have open is none of qemu-img's business, close-on-exec or not. */
static void test_qemu_img_gets_two_files(void **state)
{
	enum { OURS = 77 };
	struct fixture *f = *state;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	make_qcow2(f);
	assert_int_equal(dup2(fd, OURS), OURS);
	wrap_qemu_img(f,
		      "[ ! -e /proc/$$/fd/%d ] || { echo 'qemu-img: has it' >&2; exit 2; }\n"
		      "echo 'qemu-img: has it not' >&2; exit 2",
		      OURS);
	refused(f, "has it not");
	close(OURS);
	close(fd);
}

static void test_corrupt_input(void **state)
{
	struct fixture *f = *state;

	make_qcow2(f);
	/* incompatible features, bit 1: the image said so itself when it was last used */
	run_command("printf '\\2' | dd of=%s bs=1 seek=79 conv=notrunc status=none", input(f, "a.qcow2"));
	refused(f, "marked corrupt");
}

/* A sparse VMDK whose description names another file of the server's as its data. */
static void test_vmdk_that_points_elsewhere(void **state)
{
	struct fixture *f = *state;
	struct job_status status;

	make_disk(input(f, "a.raw"), 4 << 20, 1);
	run_command(
		"cd %s && qemu-img convert -f raw -O vmdk a.raw a.vmdk && LC_ALL=C sed -i 's/SPARSE \"/FLAT   \"/' a.vmdk",
		f->dir);
	status = import_file(f, input(f, "a.vmdk"), "a");
	assert_int_equal(status.stage, JOB_FAILED);
	assert_non_null(strstr(status.text, "whose data lies in other files"));
	assert_int_equal(count_entries(in_state(f, "images", "")), 0);
}

static void test_make_default(void **state)
{
	struct fixture *f = *state;
	struct image_version first = golden(f);
	struct job_status status = { 0 };
	struct reason reason;
	uint64_t id;

	assert_true(first.is_default);
	make_disk(input(f, "a.raw"), 1 << 20, 1);
	assert_int_equal(store_import(f->store, input(f, "a.raw"), "a", true, "test", &id, &reason), 0);
	while (status.stage != JOB_DONE && status.stage != JOB_FAILED)
		import_wait(f, id, &status);
	assert_true(get_version(f, "a", 1).is_default);
	assert_false(get_version(f, "golden", 1).is_default);
}

/* Zeroes that somebody has written become holes; what stands before and behind them stays. */
static void test_written_zeroes(void **state)
{
	enum { SIZE = 4 << 20, STEP = 1 << 19 };
	struct fixture *f = *state;
	struct image_version version;
	uint8_t *data = calloc(1, SIZE);

	assert_non_null(data);
	for (size_t at = 0; at < SIZE; at += STEP)
		memset(data + at + 40000, 'x', 5000);
	make_file(input(f, "a.raw"), data, SIZE, SIZE);
	free(data);
	version = import_version(f, input(f, "a.raw"), "a");
	assert_true(same_content(in_state(f, "images", version.file), input(f, "a.raw")));
	assert_true(store_version_allocated(f->store, &version) <= SIZE / 4);
}

static uint64_t queue(struct fixture *f, const char *file, const char *name)
{
	struct reason reason = { "" };
	uint64_t id;

	if (store_import(f->store, input(f, file), name, false, "test", &id, &reason))
		fail_msg("%s", reason.text);
	return id;
}

/* Who comes first gets the lower number, also where all wait for another one. */
static void test_order(void **state)
{
	struct fixture *f = *state;
	struct job_status status = { 0 };
	struct reason reason;
	uint64_t first, other, second, third;

	make_qcow2(f);
	make_disk(input(f, "b.raw"), 1 << 20, 2);
	make_disk(input(f, "c.raw"), 1 << 20, 3);
	wrap_qemu_img(f, "while [ ! -e %s ]; do sleep 0.05; done\nexec $real \"$@\"", input(f, "go"));
	first = queue(f, "a.qcow2", "a");
	while (status.stage < JOB_CONVERTING)
		import_wait(f, first, &status);
	other = queue(f, "a.qcow2", "b");
	for (status.stage = JOB_QUEUED; status.stage < JOB_CONVERTING;)
		import_wait(f, other, &status);
	second = queue(f, "b.raw", "x");
	third = queue(f, "c.raw", "x");
	assert_int_equal(store_job_cancel(f->store, first, "test", &reason), 0);
	for (status.stage = JOB_QUEUED; status.stage != JOB_DONE;)
		import_wait(f, third, &status);
	assert_int_equal(status.version_id, get_version(f, "x", 2).id);
	assert_int_equal(store_job_status(f->store, second, &status), 0);
	assert_int_equal(status.version_id, get_version(f, "x", 1).id);
	make_file(input(f, "go"), "", 0, 0);
}

static bool cut_file(void *arg, unsigned percent)
{
	(void)percent;
	assert_int_equal(ftruncate(*(int *)arg, 4096), 0);
	return true;
}

/* The first part of it is copied when somebody cuts it. */
static void test_input_is_cut(void **state)
{
	struct fixture *f = *state;
	struct progress progress = { cut_file, NULL };
	char sha256[IDENTITY_TEXT];
	int in, out;

	make_disk(input(f, "a.raw"), 1 << 20, 1);
	in = open(input(f, "a.raw"), O_RDWR | O_CLOEXEC);
	out = open(input(f, "b.raw"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(in >= 0 && out >= 0);
	progress.arg = &in;
	assert_int_equal(copy_file_sparse(in, 1 << 20, out, 1 << 20, HASH_WHOLE, &progress, sha256), -ENODATA);
	close(in);
	close(out);
}

static void test_view_of_a_cut_file(void **state)
{
	struct fixture *f = *state;
	struct view view;
	char data[512];
	int fd;

	make_file(input(f, "a"), "abc", 3, 4096);
	fd = open(input(f, "a"), O_RDONLY | O_CLOEXEC);
	view = view_of_file(&fd, 8192);
	assert_true(view_read(&view, 0, data, sizeof(data)));
	assert_memory_equal(data, "abc", 4);
	assert_false(view_read(&view, 4096, data, sizeof(data)));
	assert_false(view_read(&view, 4000, data, sizeof(data)));
	close(fd);
}

/* ---- the state directory ---- */

static void test_reserve(void **state)
{
	struct fixture *f = *state;
	struct store_space space;
	struct policy policy = { .reserve_bytes = 1 };
	struct reason reason;

	assert_int_equal(store_get_space(f->store, NULL, &space), 0);
	policy.reserve_bytes = space.free_bytes / 2;
	assert_int_equal(store_check_space(f->store, &policy, 0, &reason), 0);
	/* What is added counts, too. */
	assert_int_equal(store_check_space(f->store, &policy, space.free_bytes / 4 * 3, &reason), -ENOSPC);
	assert_int_equal(store_check_space(f->store, &policy, UINT64_MAX / 2, &reason), -ENOSPC);
}

static void test_tmp_is_ours(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(stat(in_state(f, "tmp", ""), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	/* It was once made otherwise. */
	assert_int_equal(chmod(in_state(f, "tmp", ""), 0755), 0);
	reopen(f);
	assert_int_equal(stat(in_state(f, "tmp", ""), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

/* A program that lies where the daemon happens to be started is not ours to run. */
static void test_qemu_img_beside_us(void **state)
{
	struct fixture *f = *state;
	char before[PATH_MAX], *path = strdup(getenv("PATH"));
	struct reason reason;
	struct store *store;

	make_file(input(f, "qemu-img"), "#!/bin/sh\n", 10, 10);
	assert_int_equal(chmod(input(f, "qemu-img"), 0755), 0);
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(f->dir), 0);
	assert_int_equal(setenv("PATH", ".:/usr/bin", 1), 0);
	assert_int_equal(store_open(input(f, "other"), f->pool, &store, &reason), 0);
	assert_int_equal(store->qemu_img[0], '/');
	store_close(store);
	assert_int_equal(chdir(before), 0);
	assert_int_equal(setenv("PATH", path, 1), 0);
	free(path);
}

/* Hashing was stopped, which says nothing of the image: the next login hashes again. */
static void test_verify_again(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);
	struct reason reason;

	run_command("touch %s", in_state(f, "images", version.file));
	f->store->closing = true;
	assert_int_equal(store_verify_version(f->store, &version, &reason), -ECANCELED);
	f->store->closing = false;
	assert_int_equal(store_verify_version(f->store, &version, &reason), 0);
}

/* ---- after a start ---- */

static void test_missing_image(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);

	assert_int_equal(unlink(in_state(f, "images", version.file)), 0);
	reopen(f);
	assert_int_equal(events(f, "image-missing"), 1);
}

static int count_discarded(void *arg, const char *child)
{
	assert_true(child[0]);
	++*(unsigned *)arg;
	return 0;
}

static int read_discarded(struct inventory_tx *tx, void *arg)
{
	return discarded_each(tx, "files", true, count_discarded, arg);
}

static int delete_machine(struct inventory_tx *tx, void *arg)
{
	return machine_delete(tx, *(int64_t *)arg);
}

/* A name that was given up and whose file is gone is forgotten. */
static void test_discarded_is_forgotten(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);
	struct machine machine = enrol(f, &version, 1);
	unsigned count = 0;

	assert_int_equal(in_write(f, delete_machine, &machine.id), 0);
	assert_int_equal(in_write(f, read_discarded, &count), 0);
	assert_int_equal(count, 1);
	reopen(f);
	count = 0;
	assert_int_equal(in_write(f, read_discarded, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(count_entries(in_state(f, "children", "")), 0);
}

/* A fresh child that is gone, or is not this machine's: made again, as large as the machine's disk is to be. */
static void test_made_again(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f), other;
	struct machine missing = enrol(f, &version, 1), wrong = enrol(f, &version, 2);
	struct volume_info child;
	struct qcow2_info info;
	struct reason reason;

	make_disk(input(f, "other.raw"), 8 << 20, 4);
	other = import_version(f, input(f, "other.raw"), "other");
	missing.system.size_bytes = 16 << 20;
	put_machine(f, &missing);
	assert_int_equal(unlink(in_state(f, "children", missing.system.object)), 0);
	assert_int_equal(unlink(in_state(f, "children", wrong.system.object)), 0);
	assert_int_equal(store_files.create(f->store, &wrong.system, &other, &reason), 0);
	reopen(f);
	assert_int_equal(store_volume_info(f->store, &missing.system, NULL, &child), 0);
	assert_int_equal(child.virtual_bytes, 16 << 20);
	assert_int_equal(qcow2_read_info(in_state(f, "children", wrong.system.object), &info, &reason), 0);
	assert_string_equal(info.backing, "../images/golden@1.raw");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_import_without_commit),
		TEST(test_removal_without_commit),
		TEST(test_input_changes),
		TEST(test_qemu_img_sees_less),
		TEST(test_qemu_img_fails),
		TEST(test_qemu_img_gets_two_files),
		TEST(test_corrupt_input),
		TEST(test_vmdk_that_points_elsewhere),
		TEST(test_make_default),
		TEST(test_input_is_cut),
		TEST(test_view_of_a_cut_file),
		TEST(test_reserve),
		TEST(test_tmp_is_ours),
		TEST(test_qemu_img_beside_us),
		TEST(test_written_zeroes),
		TEST(test_order),
		TEST(test_verify_again),
		TEST(test_missing_image),
		TEST(test_discarded_is_forgotten),
		TEST(test_made_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
