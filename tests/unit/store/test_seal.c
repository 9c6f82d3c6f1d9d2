// SPDX-License-Identifier: GPL-2.0-or-later
/* A version that is sealed, and what importing and checking say of an image; doctor/ has what is looked for. */
#include "store/fixture.h"

#include "doctor/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct job_status wait_for(struct fixture *f, uint64_t id)
{
	struct job_status status;

	assert_int_equal(store_job_status(f->store, id, &status), 0);
	while (status.stage != JOB_DONE && status.stage != JOB_FAILED)
		import_wait(f, id, &status);
	return status;
}

/* A disk that is one file system, with an id and swap. */
static struct image_version import_used(struct fixture *f)
{
	run_command(
		"cd %s && mkdir -p root/etc && echo PRETTY_NAME=Test >root/etc/os-release && echo "
		"0123456789abcdef0123456789abcdef >root/etc/machine-id && echo '/swapfile none swap sw 0 0' >root/etc/fstab && "
		"truncate -s 16M used.raw && PATH=$PATH:/usr/sbin mkfs.ext4 -q -d root used.raw",
		f->dir);
	return import_version(f, input(f, "used.raw"), "used");
}

static void test_sealed(void **state)
{
	struct fixture *f = *state;
	struct image_version version, sealed;
	struct doctor_report *report = calloc(1, sizeof(*report));
	struct job_status status;
	struct reason reason;
	uint64_t id;

	if (!have_tool("mkfs.ext4") || !have_tool("debugfs") || !have_tool("grub-fstest")) {
		free(report);
		return;
	}
	version = import_used(f);
	assert_non_null(strstr(version.warnings, "/etc/machine-id"));
	assert_int_equal(store_seal_version(f->store, &version, "ctl", &id, &reason), 0);
	status = wait_for(f, id);
	if (status.stage != JOB_DONE)
		fail_msg("%s", status.text);
	assert_non_null(strstr(status.changes, "/etc/machine-id is empty"));
	assert_non_null(strstr(status.changes, "Swap"));
	sealed = get_version(f, "used", 2);
	assert_int_equal(sealed.state, VERSION_TEST); /* nobody has tried it */
	assert_string_equal(sealed.source, "used@1");
	assert_null(strstr(sealed.warnings, "machine-id"));
	assert_string_not_equal(sealed.sha256, version.sha256);
	run_command("[ \"$(sha256sum <%s)\" = '%s  -' ]", in_state(f, "images", sealed.file), sealed.sha256);
	run_command("[ \"$(sha256sum <%s)\" = '%s  -' ]", in_state(f, "images", version.file), version.sha256);
	assert_int_equal(store_verify_version(f->store, &sealed, &reason), 0);
	assert_int_equal(store_check_version(f->store, &sealed, report, &reason), 0);
	for (unsigned i = 0; i < report->count; i++)
		assert_false(report->findings[i].sealable);
	/* Nothing is left to do, and nothing is left of it. */
	assert_int_equal(store_seal_version(f->store, &sealed, "ctl", &id, &reason), 0);
	status = wait_for(f, id);
	assert_int_equal(status.stage, JOB_FAILED);
	assert_non_null(strstr(status.text, "nothing in it to mend"));
	assert_int_equal(count_entries(in_state(f, "tmp", "")), 0);
	assert_int_equal(count_entries(in_state(f, "images", "")), 2);
	free(report);
}

static void test_checked_file(void **state)
{
	struct fixture *f = *state;
	struct doctor_report *report = calloc(1, sizeof(*report));
	struct reason reason;

	make_disk(input(f, "a.raw"), 4 << 20, 1);
	run_command("cd %s && qemu-img convert -f raw -O qcow2 a.raw a.qcow2", f->dir);
	assert_int_equal(store_check_file(input(f, "a.raw"), report, &reason), 0);
	assert_true(doctor_stops_boot(report));
	assert_int_equal(store_check_file(input(f, "a.qcow2"), report, &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "qcow2"));
	assert_int_equal(store_check_file(input(f, "none"), report, &reason), -ENOENT);
	assert_int_equal(store_check_file(f->dir, report, &reason), -EINVAL);
	free(report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sealed, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_checked_file, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
