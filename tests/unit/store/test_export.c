// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Exports: what is written is what the image, or the chain of a machine's disk, reads as, in every format and for other readers
 * than qemu-img; nothing is there before it is whole, nothing is overwritten, and what cannot be is refused.
 */
#include "store/fixture.h"

#include "base/util.h"
#include "skip.h"
#include "store/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct format {
	const char *name, *driver;
} formats[] = { { "raw", "raw" }, { "qcow2", "qcow2" }, { "vhdx", "vhdx" },
		{ "vhd", "vpc" }, { "vmdk", "vmdk" },	{ "vdi", "vdi" } };

/*
 * Not of whole cylinders, so that a VHD that grows is noticed; but of whole blocks of 4 KiB, as 7-Zip wants it of a VHDX.
 */
enum { DISK_BYTES = (24 << 20) + 3 * 4096 };

static void count_end(void *arg)
{
	(*(unsigned *)arg)++;
}

static struct job_status wait_end(struct fixture *f, uint64_t id)
{
	struct job_status status = { 0 };

	while (status.stage != JOB_DONE && status.stage != JOB_FAILED)
		import_wait(f, id, &status);
	return status;
}

static struct job_status export(struct fixture *f, const struct image_version *version, const char *file,
				const char *format, bool force)
{
	struct store_export how = {
		.format = store_export_format(format), .path = input(f, file), .force = force, .actor = "test"
	};
	struct reason reason = { "" };
	uint64_t id;

	if (store_export_version(f->store, version, &how, &id, &reason))
		fail_msg("%s: %s", file, reason.text);
	return wait_end(f, id);
}

static struct image_version golden(struct fixture *f)
{
	make_disk(input(f, "a.raw"), DISK_BYTES, 1);
	return import_version(f, input(f, "a.raw"), "lab");
}

static void test_formats(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);
	struct job_status status;
	char file[16];
	struct stat st;

	for (size_t i = 0; i < array_len(formats); i++) {
		snprintf(file, sizeof(file), "x.%s", formats[i].name);
		status = export(f, &version, file, formats[i].name, false);
		if (status.stage != JOB_DONE)
			fail_msg("%s: %s", file, status.text);
		assert_int_equal(status.kind, JOB_EXPORT);
		assert_string_equal(status.name, "lab@1");
		run_command("qemu-img compare -q -f %s -F raw %s %s", formats[i].driver, input(f, file),
			    input(f, "a.raw"));
		run_command("qemu-img info -f %s --output=json %s | grep -q '\"virtual-size\": %d,'", formats[i].driver,
			    input(f, file), DISK_BYTES);
		assert_int_equal(stat(input(f, file), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0640);
		assert_true((uint64_t)st.st_blocks * 512 < DISK_BYTES / 2 + (8 << 20)); /* holes stay holes */
	}
	/* Nothing else is in the folder, and a.raw. */
	run_command("test \"$(ls -A %s | grep -v -e '^x\\.' -e '^a.raw$' -e '^state$' | wc -l)\" = 0", f->dir);
}

/* By others than qemu-img, as far as they are here. */
static void test_other_readers(void **state)
{
	struct fixture *f = *state;
	struct image_version version;

	if (!have_tool("vhdiinfo") || !have_tool("vmdkinfo") || !have_tool("7zz")) {
		test_skip("libvhdi-utils, libvmdk-utils or 7zip is not installed");
		return;
	}
	version = golden(f);
	for (size_t i = 1; i < array_len(formats); i++) {
		char file[16];

		snprintf(file, sizeof(file), "x.%s", formats[i].name);
		assert_int_equal(export(f, &version, file, formats[i].name, false).stage, JOB_DONE);
		/* 7-Zip pads nothing and cuts nothing: all bytes of the disk. */
		run_command("cd %s && 7zz e -so %s 2>err | cmp - a.raw || { cat err; false; }", f->dir, file);
	}
	run_command("vhdiinfo %s | grep -q '(%d bytes)'", input(f, "x.vhd"), DISK_BYTES);
	/* The description inside names the file as it is called. */
	run_command("vmdkinfo %s | grep -q '(%d bytes)' && vmdkinfo %s | grep -q 'Filename.*x.vmdk'",
		    input(f, "x.vmdk"), DISK_BYTES, input(f, "x.vmdk"));
}

/* Other readers take "reads as zeroes" for old data: no L2 entry of an exported qcow2 says that. */
static void test_no_zero_clusters(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);

	assert_int_equal(export(f, &version, "x.qcow2", "qcow2", false).stage, JOB_DONE);
	run_command("python3 - %s <<'E'\n"
		    "import struct, sys\n"
		    "f = open(sys.argv[1], 'rb'); h = f.read(104)\n"
		    "bits, size, _, l1n, l1 = struct.unpack('>IQIIQ', h[20:48]); assert h[:4] == b'QFI\\xfb'\n"
		    "f.seek(l1); n = 0\n"
		    "for l2 in [e & 0x00fffffffffffe00 for e in struct.unpack('>%%dQ' %% l1n, f.read(8 * l1n))]:\n"
		    "    if l2:\n"
		    "        f.seek(l2); es = struct.unpack('>%%dQ' %% (1 << bits - 3), f.read(1 << bits))\n"
		    "        n += sum(e != 0 for e in es); assert not any(e & 1 for e in es), 'zero clusters'\n"
		    "assert n > 4, n\nE",
		    input(f, "x.qcow2"));
}

/* ---- a machine's disk ---- */

static struct job_status export_machine(struct fixture *f, const struct volume *volume, const char *file,
					const char *format, unsigned *ends)
{
	struct store_export how = { .format = store_export_format(format),
				    .path = input(f, file),
				    .actor = "test",
				    .ended = count_end,
				    .arg = ends };
	struct reason reason = { "" };
	uint64_t id;

	if (store_export_volume(f->store, volume, "pc-001", &how, &id, &reason))
		fail_msg("%s: %s", file, reason.text);
	return wait_end(f, id);
}

static void test_a_machines_disk(void **state)
{
	static const struct policy no_reserve = { .reserve_percent = 0 };
	struct fixture *f = *state;
	struct image_version version = golden(f);
	struct machine machine = enrol(f, &version, 1);
	struct volume next = machine.system;
	struct reason reason = { "" };
	char child[PATH_MAX];
	unsigned ends = 0;
	struct stat st;

	/* What it wrote, a snapshot, and what it wrote over that. */
	run_command("qemu-io -f qcow2 -c 'write -P 7 1M 64k' -c 'write -P 8 9M 64k' %s",
		    in_state(f, "children", machine.system.object));
	assert_int_equal(store_snapshot_volume(f->store, &next, machine.system.object, &no_reserve, 1, &reason), 0);
	snprintf(child, sizeof(child), "%s", in_state(f, "children", next.object));
	run_command("qemu-io -f qcow2 -c 'write -P 9 9M 4k' -c 'write -z 1M 32k' %s", child);
	for (size_t i = 0; i < array_len(formats); i++) {
		char file[16];

		snprintf(file, sizeof(file), "m.%s", formats[i].name);
		assert_int_equal(export_machine(f, &next, file, formats[i].name, &ends).stage, JOB_DONE);
		assert_int_equal(ends, i + 1);
		run_command("qemu-img compare -q -f %s -F qcow2 %s %s", formats[i].driver, input(f, file), child);
		/* It stands on nothing. */
		run_command("! qemu-img info -f %s %s | grep -q 'backing file'", formats[i].driver, input(f, file));
	}
	/* Nobody else may read our files afterwards either. */
	assert_int_equal(stat(child, &st), 0);
	assert_int_equal(st.st_mode & S_IRWXO, 0);
	assert_int_equal(stat(in_state(f, "children", machine.system.object), &st), 0);
	assert_int_equal(st.st_mode & S_IRWXO, 0);
}

static void test_a_disk_that_stands_elsewhere(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);
	struct machine machine = enrol(f, &version, 1);
	struct store_export how = {
		.format = store_export_format("raw"), .path = input(f, "m.raw"), .actor = "test", .ended = count_end
	};
	struct reason reason = { "" };
	unsigned ends = 0;
	uint64_t id;

	how.arg = &ends;
	run_command("qemu-img rebase -u -f qcow2 -F raw -b %s %s", input(f, "a.raw"),
		    in_state(f, "children", machine.system.object));
	assert_int_equal(store_export_volume(f->store, &machine.system, "pc-001", &how, &id, &reason), -ESTALE);
	assert_non_null(strstr(reason.text, "not one of ours"));
	assert_int_equal(ends, 1);
}

/* ---- refused ---- */

static void refused(struct fixture *f, const struct image_version *version, const char *path, const char *format,
		    int wanted, const char *part)
{
	struct store_export how = { .format = store_export_format(format), .path = path, .actor = "test" };
	struct reason reason = { "" };
	uint64_t id;
	int err = store_export_version(f->store, version, &how, &id, &reason);

	if (err != wanted || !strstr(reason.text, part))
		fail_msg("%s: %d, %s", path, err, reason.text);
}

static int keep_all(struct inventory_tx *tx, void *arg)
{
	struct reason reason;

	(void)arg;
	return policy_set(tx, "reserve", "1000T", &reason);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f), large;
	struct reason reason;
	struct job_status status;
	char path[PATH_MAX];

	refused(f, &version, "x.raw", "raw", -EINVAL, "whole path");
	refused(f, &version, "/x/", "raw", -EINVAL, "whole path");
	refused(f, &version, input(f, "no/x.raw"), "raw", -ENOENT, "the folder");
	refused(f, &version, in_state(f, "images", "x.raw"), "raw", -EINVAL, "server's own");
	snprintf(path, sizeof(path), "%s/../state/tmp/x.raw", f->state);
	refused(f, &version, path, "raw", -EINVAL, "server's own");
	refused(f, &version, input(f, "a.raw"), "raw", -EEXIST, "--force");
	refused(f, &version, f->state, "raw", -EINVAL, "is no file");
	assert_null(store_export_format("qed"));
	assert_int_equal(store_create_image(f->store, "large", (uint64_t)2041 << 30, "test", &large, &reason), 0);
	refused(f, &large, input(f, "x.vhd"), "vhd", -EINVAL, "take vhdx instead");
	assert_int_equal(in_write(f, keep_all, NULL), 0);
	status = export(f, &version, "x.raw", "raw", false);
	assert_int_equal(status.stage, JOB_FAILED);
	assert_non_null(strstr(status.text, "in reserve"));
	assert_int_equal(access(input(f, "x.raw"), F_OK), -1);
}

static void test_force(void **state)
{
	struct fixture *f = *state;
	struct image_version version = golden(f);

	make_file(input(f, "x.vhdx"), "old", 3, 3);
	assert_int_equal(export(f, &version, "x.vhdx", "vhdx", true).stage, JOB_DONE);
	run_command("qemu-img compare -q -f vhdx -F raw %s %s", input(f, "x.vhdx"), input(f, "a.raw"));
	run_command("test \"$(ls -A %s | grep -c sanbootd)\" = 0", f->dir);
}

/* What takes the place meanwhile stays as it is; and one that is canceled leaves nothing. */
static void test_meanwhile(void **state)
{
	static const char script[] = "#!/bin/sh\ncase $1 in measure) echo '{\"required\": 4096}'; exit 0;; esac\n"
				     "while ! test -e \"$(dirname \"$0\")/go\"; do sleep 0.02; done\n";
	struct fixture *f = *state;
	struct image_version version = golden(f);
	struct store_export how = { .format = store_export_format("raw"), .path = input(f, "x.raw"), .actor = "test" };
	struct job_status status = { 0 };
	struct reason reason = { "" };
	uint64_t id;

	make_file(input(f, "qemu-img"), script, strlen(script), strlen(script));
	assert_int_equal(chmod(input(f, "qemu-img"), 0755), 0);
	assert_int_equal(chmod(f->dir, 0755), 0);
	snprintf(f->store->qemu_img, sizeof(f->store->qemu_img), "%s", input(f, "qemu-img"));
	assert_int_equal(store_export_version(f->store, &version, &how, &id, &reason), 0);
	while (status.stage != JOB_CONVERTING)
		import_wait(f, id, &status);
	assert_int_equal(status.bytes_total, DISK_BYTES);
	assert_int_equal(access(input(f, "x.raw"), F_OK), -1);
	make_file(input(f, "x.raw"), "mine", 4, 4);
	make_file(input(f, "go"), "", 0, 0);
	status = wait_end(f, id);
	assert_int_equal(status.stage, JOB_FAILED);
	assert_non_null(strstr(status.text, "came meanwhile"));
	run_command("test \"$(cat %s)\" = mine", input(f, "x.raw"));
	run_command("rm %s", input(f, "go"));
	how.path = input(f, "y.raw");
	assert_int_equal(store_export_version(f->store, &version, &how, &id, &reason), 0);
	status.stage = JOB_QUEUED;
	while (status.stage != JOB_CONVERTING)
		import_wait(f, id, &status);
	assert_int_equal(store_job_cancel(f->store, id, "anna", &reason), 0);
	status = wait_end(f, id);
	assert_true(status.canceled);
	assert_non_null(strstr(status.text, "canceled by anna"));
	assert_int_equal(access(input(f, "y.raw"), F_OK), -1);
	run_command("test \"$(ls -A %s | grep -c sanbootd)\" = 0", f->dir);
}

static void test_name_in_vmdk(void **state)
{
	static const char description[] = "# Disk DescriptorFile\nRW 8 SPARSE \"4\"\n\nddb = \"x\"\n";
	struct fixture *f = *state;
	char text[4096] = "", name[NAME_MAX + 1];
	int fd;

	make_file(input(f, "x"), "", 0, 20 * 512 + 512);
	fd = open(input(f, "x"), O_RDWR);
	assert_int_equal(export_name_vmdk(fd, "a.vmdk"), -EIO);
	assert_int_equal(pwrite(fd, description, sizeof(description), 512), sizeof(description));
	memset(name, 'n', NAME_MAX);
	name[NAME_MAX] = '\0';
	assert_int_equal(export_name_vmdk(fd, name), 0);
	assert_int_equal(export_name_vmdk(fd, "a b.vmdk"), 0);
	assert_int_equal(pread(fd, text, sizeof(text) - 1, 512), sizeof(text) - 1);
	assert_string_equal(text, "# Disk DescriptorFile\nRW 8 SPARSE \"a b.vmdk\"\n\nddb = \"x\"\n");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_formats, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_other_readers, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_no_zero_clusters, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_a_machines_disk, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_a_disk_that_stands_elsewhere, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refused, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_force, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_meanwhile, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_name_in_vmdk, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
