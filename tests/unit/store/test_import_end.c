// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Imports as a person meets them who did not wait: what is being imported, that it can be ended, what is refused before
 * it begins; and that very large and mostly empty ones take no longer than what is in them.
 */
#include "store/fixture.h"

#include "base/util.h"
#include "store/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A script in the place of qemu-img that converts for ever. */
static void endless_qemu_img(struct fixture *f)
{
	static const char script[] =
		"#!/bin/sh\ncase $1 in check) exit 0;; info) echo '{\"virtual-size\": 1048576}'; exit "
		"0;; measure) echo '{\"required\": 4096}'; exit 0;; esac\nexec sleep 1000\n";

	make_file(input(f, "qemu-img"), script, strlen(script), strlen(script));
	assert_int_equal(chmod(input(f, "qemu-img"), 0755), 0);
	assert_int_equal(chmod(f->dir, 0755), 0);
	snprintf(f->store->qemu_img, sizeof(f->store->qemu_img), "%s", input(f, "qemu-img"));
	make_disk(input(f, "a.raw"), 1 << 20, 1);
	run_command("cd %s && qemu-img convert -f raw -O qcow2 a.raw a.qcow2", f->dir);
}

static uint64_t begin(struct fixture *f, const char *file, const char *name)
{
	struct reason reason;
	uint64_t id = 0;

	assert_int_equal(store_import(f->store, input(f, file), name, IMPORT_FOR_MACHINES, "test", &id, &reason), 0);
	return id;
}

static struct job_status wait_for(struct fixture *f, uint64_t id, enum job_stage stage)
{
	struct job_status status = { 0 };

	while (status.stage < stage)
		import_wait(f, id, &status);
	return status;
}

static int take_event(void *arg, const struct event *event)
{
	if (!strcmp(event->kind, "image-import-canceled"))
		snprintf(arg, 1024, "%s: %s", event->actor, event->text);
	return 0;
}

static int last_canceled(struct inventory_tx *tx, void *arg)
{
	return event_each(tx, 0, 0, 100, take_event, arg);
}

static void test_one_that_runs_is_canceled(void **state)
{
	struct fixture *f = *state;
	struct job_status status;
	char event[1024] = "";
	struct reason reason;
	uint64_t id, other, next;

	endless_qemu_img(f);
	id = begin(f, "a.qcow2", "unwanted");
	other = begin(f, "a.qcow2", "other");
	wait_for(f, id, JOB_CONVERTING);
	wait_for(f, other, JOB_CONVERTING); /* two at a time; a third waits */
	next = begin(f, "a.raw", "wanted");
	assert_int_equal(store_job_status(f->store, next, &status), 0);
	assert_non_null(strstr(status.text, "waiting for import 1 (unwanted)"));
	assert_int_equal(store_job_cancel(f->store, id, "anna", &reason), 0);
	status = wait_for(f, id, JOB_DONE);
	assert_int_equal(status.stage, JOB_FAILED);
	assert_true(status.canceled);
	assert_non_null(strstr(status.text, "canceled by anna"));
	/* Who waited behind it comes; of the other nothing is left, and it is no image. */
	assert_int_equal(wait_for(f, next, JOB_DONE).stage, JOB_DONE);
	assert_int_equal(in_write(f, last_canceled, event), 0);
	assert_int_equal(store_job_cancel(f->store, other, "bert", &reason), 0);
	assert_int_equal(wait_for(f, other, JOB_DONE).stage, JOB_FAILED);
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
	assert_int_equal(count_entries(in_state(f, "images", "")), 1);
	assert_non_null(strstr(event, "anna: a.qcow2"));
	assert_int_equal(store_job_cancel(f->store, id, "anna", &reason), -EALREADY);
	assert_non_null(strstr(reason.text, "has ended"));
	assert_int_equal(store_job_cancel(f->store, next, "anna", &reason), -EALREADY);
	assert_non_null(strstr(reason.text, "image remove"));
	assert_int_equal(store_job_cancel(f->store, 99, "anna", &reason), -ENOENT);
}

static void test_one_that_waits_is_canceled(void **state)
{
	struct job_status list[JOBS_KEPT], status;
	struct fixture *f = *state;
	struct reason reason;
	uint64_t first, other, second;

	assert_int_equal(store_job_list(f->store, list), 0);
	endless_qemu_img(f);
	first = begin(f, "a.qcow2", "first");
	wait_for(f, first, JOB_CONVERTING);
	other = begin(f, "a.qcow2", "other");
	wait_for(f, other, JOB_CONVERTING);
	second = begin(f, "a.raw", "second");
	assert_int_equal(store_job_cancel(f->store, second, "ctl", &reason), 0);
	assert_int_equal(store_job_status(f->store, second, &status), 0);
	assert_int_equal(status.stage, JOB_FAILED);
	assert_int_equal(store_job_list(f->store, list), 3);
	assert_string_equal(list[0].name, "first");
	assert_string_equal(list[0].source, input(f, "a.qcow2"));
	assert_int_equal(list[0].stage, JOB_CONVERTING);
	assert_true(list[2].canceled);
	assert_int_equal(store_job_cancel(f->store, first, "ctl", &reason), 0);
	assert_int_equal(store_job_cancel(f->store, other, "ctl", &reason), 0);
	wait_for(f, first, JOB_DONE);
	wait_for(f, other, JOB_DONE);
	assert_int_equal(count_entries(in_state(f, "images", "")), 0);
}

/* Copying, without qemu-img, can be ended, too: this one would take minutes. */
static void test_a_copy_is_canceled(void **state)
{
	struct fixture *f = *state;
	struct reason reason;
	uint64_t id;

	run_command("cd %s && truncate -s 100G big.raw", f->dir);
	id = begin(f, "big.raw", "big");
	wait_for(f, id, JOB_CONVERTING);
	assert_int_equal(store_job_cancel(f->store, id, "ctl", &reason), 0);
	assert_int_equal(wait_for(f, id, JOB_DONE).stage, JOB_FAILED);
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
}

static void refused(struct fixture *f, const char *path, const char *part)
{
	struct reason reason = { "" };
	uint64_t id;

	assert_int_equal(store_import(f->store, path, "x", IMPORT_FOR_MACHINES, "test", &id, &reason), -EINVAL);
	if (!strstr(reason.text, part))
		fail_msg("%s: %s", path, reason.text);
}

static void test_what_is_no_file(void **state)
{
	struct fixture *f = *state;

	run_command("cd %s && mkfifo pipe", f->dir);
	refused(f, input(f, "pipe"), "| sanbootctl image import - --name NAME");
	refused(f, "/dev/zero", "neither a file nor a disk");
	refused(f, f->dir, "is a folder");
	refused(f, "https://example.org/debian.qcow2", "whole path on the server");
}

/* Hours of hashing zeroes, were they hashed: it must end, and be known again wherever its holes are. */
static void test_a_huge_sparse_file(void **state)
{
	struct fixture *f = *state;
	struct image_version version;
	struct reason reason;

	run_command(
		"cd %s && { truncate -s 15T huge.raw || truncate -s 1T huge.raw; } && printf x | dd of=huge.raw bs=1 "
		"seek=50000 conv=notrunc status=none && printf y | dd of=huge.raw bs=1 seek=900000000000 conv=notrunc "
		"status=none",
		f->dir);
	version = import_version(f, input(f, "huge.raw"), "huge");
	assert_true(version.size_bytes >= (uint64_t)1 << 40);
	assert_int_equal(hash_kind_of(version.sha256), HASH_DATA);
	assert_true(store_version_allocated(f->store, &version) < 1 << 20);
	run_command("cd %s && for at in 50000 900000000000; do dd if=huge.raw bs=1 skip=$at count=1 status=none; dd if=%s "
		    "bs=1 skip=$at count=1 status=none; done | grep -qx xxyy",
		    f->dir, in_state(f, "images", version.file));
	/* A copy of it from a backup, zeroes written out here and there, is the same; one byte more is not. */
	run_command("cd %s && chmod u+w %s && dd if=/dev/zero of=%s bs=4096 seek=100 count=20 conv=notrunc status=none",
		    f->dir, in_state(f, "images", version.file), in_state(f, "images", version.file));
	assert_int_equal(store_verify_version(f->store, &version, &reason), 0);
	run_command("printf z | dd of=%s bs=1 seek=800000000000 conv=notrunc status=none",
		    in_state(f, "images", version.file));
	assert_int_equal(store_verify_version(f->store, &version, &reason), -ESTALE);
}

static void test_names_that_differ_by_case(void **state)
{
	struct fixture *f = *state;
	struct image_version version;
	struct reason reason;
	uint64_t id;

	make_disk(input(f, "a.raw"), 1 << 20, 1);
	import_version(f, input(f, "a.raw"), "Golden");
	assert_int_equal(store_import(f->store, input(f, "a.raw"), "golden", IMPORT_FOR_MACHINES, "test", &id, &reason),
			 -ENOTUNIQ);
	assert_non_null(strstr(reason.text, "there is an image Golden already"));
	version = import_version(f, input(f, "a.raw"), "Golden");
	assert_int_equal(version.number, 2);
}

/* Both begin before either has a name in the inventory. */
static void test_names_that_differ_by_case_at_once(void **state)
{
	struct fixture *f = *state;
	struct job_status status;
	uint64_t first, second;

	make_disk(input(f, "a.raw"), 1 << 20, 1);
	run_command("cd %s && truncate -s 4G b.raw", f->dir); /* some seconds, so that the second is queued meanwhile */
	first = begin(f, "b.raw", "Lab");
	second = begin(f, "a.raw", "lab");
	assert_int_equal(wait_for(f, first, JOB_DONE).stage, JOB_DONE);
	status = wait_for(f, second, JOB_DONE);
	assert_int_equal(status.stage, JOB_FAILED);
	assert_non_null(strstr(status.text, "but for its case"));
	assert_int_equal(count_entries(in_state(f, "images", "")), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_that_runs_is_canceled, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_one_that_waits_is_canceled, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_a_copy_is_canceled, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_file, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_a_huge_sparse_file, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_names_that_differ_by_case, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_names_that_differ_by_case_at_once, fixture_setup,
						fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
