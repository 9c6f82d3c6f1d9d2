// SPDX-License-Identifier: GPL-2.0-or-later
/* What is said of any disk: partition tables, CDs, loaders, and file systems that were left in use or that nobody can look into. */
#include "doctor/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void expect_said(const struct lab *lab, const char *code, const char *part)
{
	const struct doctor_finding *finding = lab_find(lab, code);

	assert_non_null(finding);
	if (!strstr(finding->what, part) && !strstr(finding->todo, part))
		fail_msg("%s: %s %s", part, finding->what, finding->todo);
}

static void test_no_disk(void **state)
{
	struct lab *lab = *state;

	lab_run(lab, "truncate -s 4M none; echo x | dd of=none bs=1M seek=1 conv=notrunc status=none");
	lab_check(lab, "none");
	lab_expect(lab, "no-partitions");
	assert_true(doctor_stops_boot(&lab->report));
	lab_run(lab, ": >none");
	lab_check(lab, "none");
	lab_expect(lab, "unreadable");
}

/* As xorriso makes them for CDs and sticks; and a disk that was one. */
static void test_cd(void **state)
{
	struct lab *lab = *state;

	if (!lab_has(""))
		return;
	lab_run(lab,
		"cd_() { printf CD001 | dd of=$1 bs=1 seek=32769 conv=notrunc status=none; }; "
		"truncate -s 4M cd.iso; cd_ cd.iso; printf '\\125\\252' | dd of=cd.iso bs=1 seek=510 conv=notrunc status=none; "
		"truncate -s 4M stick.iso; printf 'label: dos\\nstart=64, type=17\\n' | sfdisk -q --force stick.iso; cd_ stick.iso; "
		"tree; filesystem ext4; disk; cd_ disk.img");
	lab_check(lab, "cd.iso");
	lab_expect(lab, "cd");
	lab_check(lab, "stick.iso");
	lab_expect(lab, "hybrid-iso");
	expect_said(lab, "hybrid-iso", "--kind cd");
	lab_check(lab, "disk.img");
	lab_expect(lab, "stale-iso");
	/* The remedy is one. */
	lab_run(lab, "dd if=/dev/zero of=disk.img bs=2048 seek=16 count=1 conv=notrunc status=none");
	lab_check(lab, "disk.img");
	lab_expect(lab, "");
}

static void test_tables(void **state)
{
	struct lab *lab = *state;

	if (!lab_has(""))
		return;
	lab_run(lab, "truncate -s 4M 4k; printf 'EFI PART' | dd of=4k bs=4096 seek=1 conv=notrunc status=none; printf "
		     "'\\125\\252' | dd of=4k bs=1 seek=510 conv=notrunc status=none");
	lab_check(lab, "4k");
	lab_expect(lab, "sectors-4096");
	lab_run(lab,
		"tree; filesystem ext4; disk; cp disk.img whole.img; printf x | dd of=disk.img bs=1 seek=1100 conv=notrunc "
		"status=none");
	lab_check(lab, "disk.img");
	lab_expect(lab, "gpt-damaged");
	lab_run(lab, "cp whole.img disk.img; truncate -s +4M disk.img");
	lab_check(lab, "disk.img");
	lab_expect(lab, "gpt-copy-missing");
	lab_run(lab, "cp whole.img disk.img; truncate -s -20M disk.img");
	lab_check(lab, "disk.img");
	assert_non_null(lab_find(lab, "cut-off"));
	expect_said(lab, "cut-off", "partition 2");
	/* Logical partitions; and a root that is not the last one. */
	lab_run(lab,
		"rm disk.img; truncate -s 100M disk.img; printf 'label: dos\\nsize=16M, type=ef\\nsize=70M, type=5\\n"
		"start=40960, size=66M\\n' | sfdisk -q disk.img; s=$(sfdisk -l -o start,type disk.img | awk '/ Linux$/ {print $1}'); dd if=part "
		"of=disk.img bs=512 seek=$s conv=notrunc,sparse status=none; dd if=esp.img of=disk.img bs=1M seek=1 "
		"conv=notrunc status=none; printf '\\353\\143\\220' | dd of=disk.img conv=notrunc status=none");
	lab_check(lab, "disk.img");
	lab_expect(lab, "");
	assert_string_equal(lab->report.parts[1].name, "partition 5");
	lab_run(lab,
		"rm disk.img; truncate -s 100M disk.img; printf 'label: gpt\\nsize=16M, type=U\\nsize=66M\\nsize=8M\\n' | sfdisk -q "
		"disk.img; dd if=esp.img of=disk.img bs=1M seek=1 conv=notrunc status=none; dd if=part of=disk.img bs=1M "
		"seek=17 conv=notrunc,sparse status=none; printf '\\353\\143\\220' | dd of=disk.img conv=notrunc status=none");
	lab_check(lab, "disk.img");
	lab_expect(lab, "root-not-last");
}

static void test_loaders(void **state)
{
	static const struct {
		const char *lines, *codes;
		bool stops;
	} cases[] = {
		{ "LOADERS=", "no-uefi-loader", false },
		{ "LOADERS= LABEL=dos", "no-uefi-loader", false },
		{ "LOADERS= NO_CODE=1", "no-way-to-start", true },
		{ "LOADERS=BOOTX64.EFI NO_CODE=1", "no-bios", false },
		{ "LOADERS=BOOTAA64.EFI NO_CODE=1", "only-arm64", false },
		{ "LOADERS='BOOTX64.EFI BOOTAA64.EFI'", "", false },
		{ "LOADERS=bootx64.efi", "", false },
		/* Linux reads it, firmware does not. */
		{ "FAT_BITS=32", "fat32-small", false },
	};
	struct lab *lab = *state;

	if (!lab_has(""))
		return;
	lab_run(lab, "tree; filesystem ext4");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		lab_run(lab, "%s; disk", cases[i].lines);
		lab_check(lab, "disk.img");
		print_message("# %s\n", cases[i].lines);
		lab_expect(lab, cases[i].codes);
		assert_int_equal(doctor_stops_boot(&lab->report), cases[i].stops);
	}
	/* A loader on a partition for data: firmware does not look there. */
	lab_run(lab, "disk; sfdisk -q --part-type disk.img 1 0FC63DAF-8483-4772-8E79-3D69D8477DE4");
	lab_check(lab, "disk.img");
	lab_expect(lab, "no-esp");
	/* A file system without a partition table. */
	lab_check(lab, "esp.img");
	lab_expect(lab, "");
}

/* A file system that was not unmounted shows what was before its journal, without a word: so that is said first. */
static void test_unclean(void **state)
{
	struct lab *lab = *state;

	if (!lab_has("debugfs"))
		return;
	lab_run(lab, "tree; filesystem ext4; debugfs -w -R 'feature needs_recovery' part; disk");
	lab_check(lab, "disk.img");
	lab_expect(lab, "not-unmounted");
	assert_string_equal(lab->report.parts[1].state, "not unmounted");
	lab_run(lab, "filesystem ext4; debugfs -w -R 'ssv state 3' part; disk");
	lab_check(lab, "disk.img");
	lab_expect(lab, "file-system-errors");
	/* What GRUB's driver does not know is not missing. */
	lab_run(lab, "EXTRA='-O inline_data'; filesystem ext4; disk");
	lab_check(lab, "disk.img");
	lab_expect(lab, "not-looked-into");
	assert_string_equal(lab->report.system, "");
	/* Nor what only its owner may read. */
	lab_run(lab, "EXTRA=; filesystem ext4; disk; chmod 600 disk.img");
	lab_check(lab, "disk.img");
	if (!geteuid()) {
		lab_expect(lab, "not-looked-into");
		expect_said(lab, "not-looked-into", "chmod o+r");
	}
	/* A stale signature under a table that is younger. */
	lab_run(lab, "chmod 644 disk.img; printf _BHRfS_M | dd "
		     "of=disk.img bs=1 seek=65600 conv=notrunc status=none");
	lab_check(lab, "disk.img");
	lab_expect(lab, "");
}

/* What pvcreate, vgcreate and lvcreate would write, without device-mapper: part becomes a physical volume with part in it. */
static const char make_lvm[] =
	"import struct\n"
	"inner = open('part', 'rb').read()\n"
	"extents, size = len(inner) // 4194304, len(inner) + 2 * 1048576\n"
	"ids = [c * 6 + '-' + '-'.join([c * 4] * 5) + '-' + c * 6 for c in 'abc']\n"
	"text = '''my-vg {\nid = \"%s\"\nseqno = 2\nformat = \"lvm2\"\nstatus = [\"RESIZEABLE\", \"READ\", \"WRITE\"]\nextent_size = 8192\n"
	"max_lv = 0\nmax_pv = 0\nphysical_volumes {\npv0 {\nid = \"%s\"\ndevice = \"/dev/sda2\"\nstatus = [\"ALLOCATABLE\"]\ndev_size = %d\n"
	"pe_start = 2048\npe_count = %d\n}\n}\nlogical_volumes {\nroot {\nid = \"%s\"\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\n"
	"segment_count = 1\nsegment1 {\nstart_extent = 0\nextent_count = %d\ntype = \"striped\"\nstripe_count = 1\nstripes = [\n\"pv0\", 0\n]\n"
	"}\n}\n}\n}\n''' % (ids[0], ids[1], size // 512, extents, ids[2], extents)\n"
	"text = text.encode() + b'\\0'\n"
	"label = struct.pack('<8sQII8s', b'LABELONE', 1, 0, 32, b'LVM2 001') + ids[1].replace('-', '').encode()\n"
	"label += struct.pack('<QQQQQQQQQ', size, 1048576, 0, 0, 0, 4096, 1044480, 0, 0)\n"
	"area = struct.pack('<I16sIQQQQII', 0, b' LVM2 x[5A%r0N*>', 1, 4096, 1044480, 512, len(text), 0, 0)\n"
	"out = (bytes(512) + label).ljust(4096, b'\\0') + area.ljust(512, b'\\0') + text\n"
	"open('part', 'wb').write(out.ljust(1048576, b'\\0') + inner + bytes(1048576))\n";

static void test_lvm(void **state)
{
	struct lab *lab = *state;

	if (!lab_has("python3"))
		return;
	lab_run(lab,
		"tree; echo 0123456789abcdef0123456789abcdef >root/etc/machine-id; filesystem ext4; cat >lvm.py <<'E'\n%sE\n"
		"python3 lvm.py; disk",
		make_lvm);
	lab_check(lab, "disk.img");
	lab_expect(lab, "machine-id");
	assert_int_equal(lab->report.part_count, 3);
	assert_string_equal(lab->report.parts[1].holds, "LVM");
	assert_string_equal(lab->report.parts[2].name, "LVM my-vg/root");
	assert_string_equal(lab->report.parts[2].holds, "ext4");
	assert_string_equal(lab->report.parts[2].state, "clean");
	/* The state of what is in a logical volume is seen, too. */
	lab_run(lab, "filesystem ext4; debugfs -w -R 'feature needs_recovery' part; python3 lvm.py; disk");
	lab_check(lab, "disk.img");
	lab_expect(lab, "machine-id not-unmounted");
}

/* Their tools fill them without root; what is in a subvolume is found, too. */
static void test_other_file_systems(void **state)
{
	struct lab *lab = *state;

	if (!lab_has("mkfs.btrfs mkfs.xfs"))
		return;
	lab_run(lab, "KIND=btrfs; tree; filesystem btrfs; disk");
	lab_check(lab, "disk.img");
	lab_expect(lab, "");
	assert_string_equal(lab->report.parts[1].holds, "btrfs");
	lab_run(lab, "KIND=btrfs; tree; mkdir top; mv root top/@; mv top root; filesystem btrfs; disk");
	lab_check(lab, "disk.img");
	lab_expect(lab, "");
	assert_string_equal(lab->report.system, "Debian GNU/Linux 12 (bookworm)");
	lab_run(lab,
		"printf 'x\\n0 0\\nd--755 0 0\\netc d--755 0 0\\nmachine-id ---644 0 0 id\\nfstab ---644 0 0 tab\\n$\\n$\\n' >proto; echo "
		"0123456789abcdef >id; echo \"UUID=$uuid / xfs defaults 0 1\" >tab; EXTRA='-p proto'; filesystem xfs; disk");
	lab_check(lab, "disk.img");
	lab_expect(lab, "machine-id open-iscsi-missing");
	assert_string_equal(lab->report.parts[1].state, "clean");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_disk, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_cd, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_tables, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_loaders, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_unclean, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_lvm, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_other_file_systems, lab_setup, lab_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
