// SPDX-License-Identifier: GPL-2.0-or-later
/* Which file system is on a partition, was it unmounted, and what do its own tools say? */
#include "doctor/lab.h"

#include "doctor/fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fs_info look(const struct lab *lab, const char *file)
{
	struct fs_info info;
	struct view view;
	struct stat st;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", lab->dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	view = view_of_file(&fd, (uint64_t)st.st_size);
	fs_look(&view, 0, view.size, &info);
	close(fd);
	return info;
}

static void expect(const struct lab *lab, enum fs_kind kind, enum fs_state state, const char *uuid, const char *label)
{
	struct fs_info info = look(lab, "part");

	assert_int_equal(info.kind, kind);
	assert_int_equal(info.state, state);
	if (uuid)
		assert_string_equal(info.uuid, uuid);
	assert_string_equal(info.label, label);
}

#define UUID "11111111-2222-4333-8444-555555555555"

static void test_ext(void **state)
{
	struct lab *lab = *state;

	if (!lab_has(""))
		return;
	lab_run(lab, "truncate -s 20M part; mkfs.ext4 -q -L gold -U " UUID " part");
	expect(lab, FS_EXT, FS_CLEAN, UUID, "gold");
	lab_run(lab, "debugfs -w -R 'feature needs_recovery' part");
	expect(lab, FS_EXT, FS_UNCLEAN, UUID, "gold");
}

/* Its log was written by mkfs.xfs; as it is after a crash, by taking the mark of the unmount away, which xfs_logprint notices, too. */
static void test_xfs(void **state)
{
	struct lab *lab = *state;

	if (!lab_has("mkfs.xfs xfs_logprint xfs_db"))
		return;
	lab_run(lab, "truncate -s 320M part; mkfs.xfs -q -L gold -m uuid=" UUID
		     " part; xfs_logprint -t part | grep -q CLEAN");
	expect(lab, FS_XFS, FS_CLEAN, UUID, "gold");
	lab_run(lab,
		"s=$(xfs_db -c 'sb 0' -c 'convert fsblock '$(xfs_db -c 'sb 0' -c 'p logstart' part | awk '{print $3}')' daddr' "
		"part | sed 's/^.*(\\([0-9]*\\)).*/\\1/'); printf '\\000' | dd of=part bs=1 seek=$((s * 512 + 512 + 9)) "
		"conv=notrunc status=none; xfs_logprint -t part | grep -q DIRTY");
	expect(lab, FS_XFS, FS_UNCLEAN, UUID, "gold");
	/* A log on another device. */
	lab_run(lab, "printf '\\0\\0\\0\\0\\0\\0\\0\\0' | dd of=part bs=1 seek=48 conv=notrunc status=none");
	expect(lab, FS_XFS, FS_UNTOLD, UUID, "gold");
}

static void test_btrfs(void **state)
{
	struct lab *lab = *state;

	if (!lab_has("mkfs.btrfs"))
		return;
	lab_run(lab, "truncate -s 128M part; mkfs.btrfs -q -L gold -U " UUID " part");
	expect(lab, FS_BTRFS, FS_CLEAN, UUID, "gold");
	lab_run(lab, "printf '\\1' | dd of=part bs=1 seek=$((65536 + 96 + 3)) conv=notrunc status=none");
	expect(lab, FS_BTRFS, FS_UNCLEAN, UUID, "gold");
}

static void test_ntfs(void **state)
{
	struct lab *lab = *state;

	if (!lab_has("mkntfs ntfsinfo python3"))
		return;
	lab_run(lab,
		"truncate -s 20M part; mkntfs -q -F -Q -L gold part >/dev/null; ntfsinfo -m part | grep -q 'Volume Flags: 0x0000'");
	expect(lab, FS_NTFS, FS_CLEAN, NULL, "gold");
	/* Its attribute 0x70, of 12 bytes: 8 that are reserved, the version 3.1, the flags. In the mirror, too. */
	lab_run(lab, "cat >dirty.py <<'E'\n"
		     "d = bytearray(open('part', 'rb').read())\n"
		     "for place in 48, 56:\n"
		     "    m = int.from_bytes(d[place:place + 8], 'little') * 4096 + 3072\n"
		     "    d[d.find(bytes(8) + b'\\3\\1\\0\\0', m) + 10] = 1\n"
		     "open('part', 'wb').write(d)\n"
		     "E\n"
		     "python3 dirty.py; ntfsinfo -f -m part | grep -q DIRTY");
	expect(lab, FS_NTFS, FS_UNCLEAN, NULL, "gold");
}

static void test_others(void **state)
{
	struct lab *lab = *state;
	struct fs_info info;

	if (!lab_has("mkswap blkid"))
		return;
	lab_run(lab, "truncate -s 20M part; mkswap -q -L gold -U " UUID " part");
	expect(lab, FS_SWAP, FS_CLEAN, UUID, "gold");
	lab_run(lab, "rm part; truncate -s 40M part; mkfs.fat -F 16 -n GOLD part; blkid -o value -s UUID part >uuid");
	info = look(lab, "part");
	lab_run(lab, "[ \"$(cat uuid)\" = '%s' ]", info.uuid);
	expect(lab, FS_FAT, FS_CLEAN, NULL, "GOLD");
	lab_run(lab, "printf 'LUKS\\272\\276' | dd of=part conv=notrunc status=none");
	expect(lab, FS_LUKS, FS_CLEAN, "", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ext, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_xfs, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_btrfs, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_ntfs, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_others, lab_setup, lab_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
