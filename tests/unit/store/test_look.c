// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a file is (probe), what is in it (FAT, partitions), and what a person is warned of. Images are made by the usual
 * tools.
 */
#include "store/fixture.h"

#include "base/be.h"
#include "base/buf.h"
#include "base/util.h"
#include "store/fat.h"
#include "store/clone_warnings.h"
#include "store/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int folder_setup(void **state)
{
	*state = fixture_new();
	return 0;
}

/* ---- memory as a view ---- */

struct memory {
	uint8_t *data;
	size_t size;
};

static bool memory_read(void *arg, uint64_t offset, void *data, size_t len)
{
	const struct memory *memory = arg;

	assert_true(len <= memory->size && offset <= memory->size - len);
	memcpy(data, memory->data + offset, len);
	return true;
}

static struct view view_of(struct memory *memory)
{
	return (struct view){ memory_read, memory, memory->size };
}

static struct memory load(const char *path)
{
	struct memory memory;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	memory.size = (size_t)st.st_size;
	memory.data = malloc(memory.size + 1);
	assert_non_null(memory.data);
	assert_int_equal(read(fd, memory.data, memory.size), memory.size);
	close(fd);
	return memory;
}

static int probe(struct memory *memory, const char *name, struct probe *result, struct reason *reason)
{
	struct view view = view_of(memory);

	reason->text[0] = '\0';
	return probe_image(&view, name, result, reason);
}

/* ---- probe ---- */

static void vhd_sign(uint8_t *footer)
{
	uint32_t sum = 0;
	struct be32 checksum;

	memset(footer + 64, 0, 4);
	for (int i = 0; i < 512; i++)
		sum += footer[i];
	checksum = be32_put(~sum);
	memcpy(footer + 64, &checksum, 4);
}

static void test_probe_vhd(void **state)
{
	struct fixture *f = *state;
	struct memory m;
	struct probe result;
	struct reason reason;
	uint8_t *footer;

	make_disk(input(f, "a.raw"), 8 << 20, 1);
	run_command("cd %s && qemu-img convert -f raw -O vpc -o force_size=on a.raw a.vhd && qemu-img convert -f raw "
		    "-O vpc -o subformat=fixed,force_size=on a.raw "
		    "f.vhd",
		    f->dir);
	m = load(input(f, "a.vhd"));
	assert_int_equal(probe(&m, "a.vhd", &result, &reason), 0);
	assert_int_equal(result.format, FORMAT_VHD);
	assert_int_equal(result.size_bytes, 8 << 20);
	/* A differencing disk. */
	m.data[63] = 4;
	assert_int_equal(probe(&m, "a.vhd", &result, &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "checksum"));
	vhd_sign(m.data);
	assert_int_equal(probe(&m, "a.vhd", &result, &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "differencing VHD"));
	assert_non_null(strstr(reason.text, "Merge"));
	m.data[63] = 9;
	vhd_sign(m.data);
	assert_int_equal(probe(&m, "a.vhd", &result, &reason), -EINVAL);
	/* A block beyond the end. */
	m.data[63] = 3;
	vhd_sign(m.data);
	assert_int_equal(probe(&m, "a.vhd", &result, &reason), 0);
	memcpy(m.data + 1536, "\x00\x10\x00\x00", 4);
	assert_int_equal(probe(&m, "a.vhd", &result, &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "cut off"));
	free(m.data);

	m = load(input(f, "f.vhd"));
	assert_int_equal(probe(&m, "f.vhd", &result, &reason), 0);
	assert_int_equal(result.size_bytes, 8 << 20);
	footer = m.data + m.size - 512;
	footer[48] = 1; /* larger than 16 TiB, and than the file */
	vhd_sign(footer);
	assert_int_equal(probe(&m, "f.vhd", &result, &reason), -EINVAL);
	free(m.data);
}

static uint8_t *find_bytes(struct memory *m, const char *what, size_t len)
{
	uint8_t *found = memmem(m->data, m->size, what, len);

	assert_non_null(found);
	return found;
}

static void test_probe_vhdx(void **state)
{
	struct fixture *f = *state;
	struct memory m;
	struct probe result;
	struct reason reason;
	uint8_t *region, *entry;
	uint32_t offset;

	make_disk(input(f, "a.raw"), 8 << 20, 1);
	run_command("cd %s && qemu-img convert -f raw -O vhdx a.raw a.vhdx", f->dir);
	m = load(input(f, "a.vhdx"));
	assert_int_equal(probe(&m, "a.vhdx", &result, &reason), 0);
	assert_int_equal(result.format, FORMAT_VHDX);
	assert_int_equal(result.size_bytes, 8 << 20);
	region = find_bytes(&m, "metadata", 8);
	entry = find_bytes(&m, "\x37\x67\xa1\xca\x36\xfa\x43\x4d", 8); /* file parameters */
	memcpy(&offset, entry + 16, 4);
	region[offset + 4] |= 2; /* has a parent */
	assert_int_equal(probe(&m, "a.vhdx", &result, &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "differencing VHDX"));
	region[offset + 4] &= (uint8_t)~2;
	assert_int_equal(probe(&m, "a.vhdx", &result, &reason), 0);
	entry = find_bytes(&m, "\x1d\xbf\x41\x81\x6f\xa9\x09\x47", 8); /* logical sector size */
	memcpy(&offset, entry + 16, 4);
	memcpy(region + offset, "\x00\x10\x00\x00", 4);
	assert_int_equal(probe(&m, "a.vhdx", &result, &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "4096"));
	/* The second copy of the region table is as good as the first; without both it is damaged. */
	memcpy(region + offset, "\x00\x02\x00\x00", 4);
	memset(m.data + (192 << 10), 0, 16);
	assert_int_equal(probe(&m, "a.vhdx", &result, &reason), 0);
	memset(m.data + (256 << 10), 0, 16);
	assert_int_equal(probe(&m, "a.vhdx", &result, &reason), -EINVAL);
	free(m.data);
}

static void test_probe_magic(void **state)
{
	static const struct {
		const char *magic;
		size_t len, offset;
		const char *says;
	} known[] = {
		{ "COWD", 4, 0, "ESX" },
		{ "# Disk DescriptorFile", 21, 0, "description" },
		{ "LUKS\xba\xbe", 6, 0, "LUKS" },
		{ "\x7f\x10\xda\xbe", 4, 64, "VirtualBox" },
		{ "\x1f\x8b", 2, 0, "gunzip" },
		{ "\xfd"
		  "7zXZ\0",
		  6, 0, "unxz" },
		{ "\x50\x2a\x4d\x18", 4, 0, "pzstd" },
		{ "PK\3\4", 4, 0, "ZIP" },
		{ "ustar", 5, 257, "tar" },
		{ "QFI\xfb\0\0\0\1", 8, 0, "version 1" },
		{ "QFI\xfb\0\0\0\2", 8, 0, "empty disk" },
		{ "KDMV", 4, 0, "other files" },
		{ "vhdxfile", 8, 0, "VHDX" },
		{ "conectix", 8, 0, "checksum" },
		{ "\x7f"
		  "ELF",
		  4, 0, "program" },
	};
	struct memory m = { .size = 4096 };
	struct probe result;
	struct reason reason;

	(void)state;
	m.data = malloc(m.size);
	for (size_t i = 0; i < array_len(known); i++) {
		memset(m.data, 0, m.size);
		memcpy(m.data + known[i].offset, known[i].magic, known[i].len);
		assert_int_equal(probe(&m, "x.raw", &result, &reason), -EINVAL);
		if (!strstr(reason.text, known[i].says))
			fail_msg("%.*s: %s", 4, known[i].magic, reason.text);
	}
	memset(m.data, 0, m.size);
	assert_int_equal(probe(&m, "x.raw", &result, &reason), 0);
	assert_int_equal(result.format, FORMAT_RAW);
	assert_int_equal(result.size_bytes, 4096);
	assert_int_equal(probe(&m, "x.VHDX", &result, &reason), -EINVAL);
	m.size = 3;
	assert_int_equal(probe(&m, "x", &result, &reason), 0);
	m.size = 0;
	assert_int_equal(probe(&m, "x", &result, &reason), -EINVAL);
	free(m.data);
}

/*
 * Every beginning of every format: refused with a sentence, or what the whole file is (its header is all there, and the
 * rest is qemu-img's to miss), or raw while too short to be told apart. Never read outside: the view asserts, ASan
 * watches.
 */
static void test_probe_cut(void **state)
{
	static const struct {
		const char *name;
		enum image_format format;
		size_t magic_bytes;
	} formats[] = { { "qcow2", FORMAT_QCOW2, 4 },
			{ "vpc", FORMAT_VHD, 512 },
			{ "vhdx", FORMAT_VHDX, 8 },
			{ "vmdk", FORMAT_VMDK, 4 } };
	struct fixture *f = *state;

	make_disk(input(f, "a.raw"), 2 << 20, 1);
	for (size_t i = 0; i < array_len(formats); i++) {
		struct memory m, cut;
		struct probe whole, result;
		unsigned refused = 0;
		struct reason reason;

		run_command("qemu-img convert -f raw -O %s %s %s", formats[i].name, input(f, "a.raw"), input(f, "x"));
		m = load(input(f, "x"));
		assert_int_equal(probe(&m, "x", &whole, &reason), 0);
		assert_int_equal(whole.format, formats[i].format);
		assert_in_range(whole.size_bytes, 2 << 20, 3 << 20);
		for (size_t size = 1; size < m.size; size += size < 2048 ? 1 : size / 7) {
			int err;

			cut = (struct memory){ malloc(size), size };
			memcpy(cut.data, m.data, size);
			err = probe(&cut, "x", &result, &reason);
			free(cut.data);
			if (err) {
				assert_int_equal(err, -EINVAL);
				assert_true(reason.text[0]);
				refused++;
			} else if (result.format == FORMAT_RAW) {
				assert_true(size < formats[i].magic_bytes);
				assert_int_equal(result.size_bytes, size);
			} else {
				assert_int_equal(result.format, whole.format);
				assert_int_equal(result.size_bytes, whole.size_bytes);
			}
		}
		assert_true(refused > 0);
		free(m.data);
	}
}

/* ---- FAT ---- */

static void make_fat(struct fixture *f, const char *name, unsigned bits, uint64_t size, const char *more)
{
	run_command("cd %s && truncate -s %llu %s && PATH=$PATH:/usr/sbin:/sbin mkfs.vfat -F %u %s %s >/dev/null",
		    f->dir, (unsigned long long)size, name, bits, more, name);
}

static void test_fat(void **state)
{
	static const struct {
		unsigned bits;
		uint64_t size;
	} kinds[] = { { 12, 2 << 20 }, { 16, 32 << 20 }, { 32, 300 << 20 } };
	struct fixture *f = *state;

	if (!have_tool("mkfs.vfat") || !have_tool("mcopy"))
		return;
	make_disk(input(f, "data"), 200000, 5);
	for (size_t i = 0; i < array_len(kinds); i++) {
		struct fat_entry entry;
		struct fat_file file;
		struct memory data;
		struct view view;
		struct fat fat;
		struct stat st;
		uint8_t *copy;
		int fd;

		make_fat(f, "fat.img", kinds[i].bits, kinds[i].size, "");
		run_command("cd %s && mmd -i fat.img ::/EFI ::/EFI/BOOT ::/loader && mcopy -i fat.img data "
			    "::/EFI/BOOT/BOOTX64.EFI && "
			    "mcopy -i fat.img data '::/loader/a long name, with more than thirteen characters.txt' && "
			    "for i in $(seq 60); do echo $i | mcopy -i fat.img - ::/loader/file-number-$i; done",
			    f->dir);
		fd = open(input(f, "fat.img"), O_RDONLY | O_CLOEXEC);
		assert_int_equal(fstat(fd, &st), 0);
		view = view_of_file(&fd, (uint64_t)st.st_size);
		assert_true(fat_init(&fat, &view, 0, view.size));
		assert_int_equal(fat.bits, kinds[i].bits);
		assert_true(fat_find(&fat, "efi/boot/bootx64.efi", &entry));
		assert_int_equal(entry.size, 200000);
		assert_false(entry.folder);
		data = load(input(f, "data"));
		copy = malloc(300000);
		fat_open(&fat, &entry, &file);
		assert_int_equal(fat_read(&file, copy, 300000), 200000);
		assert_memory_equal(copy, data.data, 200000);
		free(copy);
		free(data.data);
		assert_true(fat_find(&fat, "loader/a long name, with more than thirteen characters.txt", &entry));
		assert_true(fat_find(&fat, "LOADER/file-number-60", &entry));
		assert_false(fat_find(&fat, "loader/file-number-61", &entry));
		assert_false(fat_find(&fat, "loader/file-number-60/x", &entry));
		assert_true(fat_find(&fat, "efi", &entry));
		assert_true(entry.folder);
		close(fd);
		unlink(input(f, "fat.img"));
	}
}

/* A folder that is its own continuation ends. */
static void test_fat_cycle(void **state)
{
	struct fixture *f = *state;
	struct fat_entry entry;
	struct memory m;
	struct view view;
	struct fat fat;

	if (!have_tool("mkfs.vfat") || !have_tool("mcopy"))
		return;
	make_fat(f, "fat.img", 16, 32 << 20, "-s 1");
	run_command("cd %s && mmd -i fat.img ::/loop && for i in $(seq 14); do echo $i | mcopy -i fat.img - "
		    "::/loop/f$i; done",
		    f->dir);
	m = load(input(f, "fat.img"));
	view = view_of(&m);
	assert_true(fat_init(&fat, &view, 0, view.size));
	assert_true(fat_find(&fat, "loop", &entry));
	for (uint32_t cluster = 2; cluster < 40; cluster++) {
		m.data[fat.table + 2 * cluster] = (uint8_t)entry.cluster;
		m.data[fat.table + 2 * cluster + 1] = (uint8_t)(entry.cluster >> 8);
	}
	assert_false(fat_find(&fat, "loop/none", &entry));
	free(m.data);
}

/* ---- warnings ---- */

static const char *warnings_of(struct fixture *f, const char *name)
{
	static char text[1024];
	struct view view;
	struct buf lines;
	struct stat st;
	int fd = open(input(f, name), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	view = view_of_file(&fd, (uint64_t)st.st_size);
	buf_init(&lines, sizeof(text) - 1);
	clone_warnings(&view, (uint64_t)st.st_size, &lines);
	assert_false(lines.failed);
	snprintf(text, sizeof(text), "%s", buf_text(&lines));
	buf_fini(&lines);
	close(fd);
	return text;
}

static void expect(struct fixture *f, const char *name, unsigned lines, const char *part)
{
	const char *text = warnings_of(f, name);
	unsigned count = text[0] != '\0';

	for (const char *c = text; *c; c++)
		count += *c == '\n';
	if (count != lines || (part && !strstr(text, part)))
		fail_msg("%s: expected %u lines with \"%s\", got: %s", name, lines, part ? part : "", text);
}

/* disk.img with an ESP at 1 MiB that holds what is in esp.img, boot code as asked for. */
static void make_bootable(struct fixture *f, const char *label, bool code)
{
	run_command("cd %s && rm -f disk.img && truncate -s 64M disk.img && "
		    "printf 'label: %s\\nstart=2048, size=81920, type=%s\\n' | PATH=$PATH:/usr/sbin:/sbin sfdisk -q "
		    "disk.img && "
		    "dd if=esp.img of=disk.img bs=1M seek=1 conv=notrunc,sparse status=none",
		    f->dir, label, strcmp(label, "gpt") ? "ef" : "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
	if (code)
		run_command("cd %s && printf '\\353\\143\\220' | dd of=disk.img conv=notrunc status=none", f->dir);
}

static void test_warnings(void **state)
{
	static const char *const labels[] = { "gpt", "dos" };
	struct fixture *f = *state;

	make_disk(input(f, "none.img"), 4 << 20, 1);
	expect(f, "none.img", 1, "Neither a partition table nor a boot sector");
	run_command("truncate -s 1M %s", input(f, "zero.img"));
	expect(f, "zero.img", 1, "Is it a whole disk?");
	if (!have_tool("mkfs.vfat") || !have_tool("mcopy") || !have_tool("sfdisk"))
		return;
	for (size_t i = 0; i < array_len(labels); i++) {
		make_fat(f, "esp.img", 16, 40 << 20, "");
		make_bootable(f, labels[i], false);
		expect(f, "disk.img", 2, "BOOTX64.EFI");
		expect(f, "disk.img", 2, "No boot code");
		make_bootable(f, labels[i], true);
		expect(f, "disk.img", 1, "grub-install --target=x86_64-efi --removable");
		run_command("cd %s && mmd -i esp.img ::/EFI ::/EFI/BOOT && mcopy -i esp.img none.img "
			    "::/EFI/BOOT/BOOTX64.EFI",
			    f->dir);
		make_bootable(f, labels[i], true);
		expect(f, "disk.img", 0, NULL);
		unlink(input(f, "esp.img"));
	}
	/* BIOS only. */
	run_command("cd %s && rm -f disk.img && truncate -s 64M disk.img && printf 'label: dos\\nstart=2048, type=83, "
		    "bootable\\n' | PATH=$PATH:/usr/sbin:/sbin "
		    "sfdisk -q disk.img && printf '\\353\\143\\220' | dd of=disk.img conv=notrunc status=none",
		    f->dir);
	expect(f, "disk.img", 1, "No EFI system partition");
	/* A loader on a partition for data: firmware does not look there. */
	make_fat(f, "esp.img", 16, 40 << 20, "");
	run_command("cd %s && mmd -i esp.img ::/EFI ::/EFI/BOOT && mcopy -i esp.img none.img ::/EFI/BOOT/BOOTX64.EFI",
		    f->dir);
	make_bootable(f, "gpt", true);
	run_command("cd %s && PATH=$PATH:/usr/sbin:/sbin sfdisk -q --part-type disk.img 1 "
		    "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
		    f->dir);
	expect(f, "disk.img", 1, "No EFI system partition");
}

static void test_warnings_4k(void **state)
{
	struct fixture *f = *state;
	uint8_t *disk = calloc(1, 1 << 20);

	memcpy(disk + 4096, "EFI PART", 8);
	disk[510] = 0x55;
	disk[511] = 0xaa;
	make_file(input(f, "4k.img"), disk, 1 << 20, 1 << 20);
	expect(f, "4k.img", 1, "4096 bytes");
	free(disk);
}

/* As xorriso makes them for CDs and sticks: with boot code and a partition, which say nothing about a CD. */
static void test_warnings_cd(void **state)
{
	struct fixture *f = *state;
	uint8_t *cd = calloc(1, 1 << 20);

	cd[0] = 0xfa;
	cd[510] = 0x55;
	cd[511] = 0xaa;
	memcpy(cd + 32769, "CD001", 5);
	make_file(input(f, "cd.iso"), cd, 1 << 20, 1 << 20);
	expect(f, "cd.iso", 1, "--kind cd");
	cd[32769] = 'X';
	make_file(input(f, "cd.iso"), cd, 1 << 20, 1 << 20);
	expect(f, "cd.iso", 1, "No EFI system partition");
	free(cd);
}

static void test_warnings_initrd(void **state)
{
	struct fixture *f = *state;
	const char *dir = f->dir;

	if (!have_tool("mkfs.vfat") || !have_tool("mcopy") || !have_tool("sfdisk") || !have_tool("cpio"))
		return;
	make_fat(f, "esp.img", 16, 40 << 20, "");
	run_command("cd %s && mmd -i esp.img ::/EFI ::/EFI/BOOT ::/EFI/Linux && echo x | mcopy -i esp.img - "
		    "::/EFI/BOOT/BOOTX64.EFI && mkdir -p root/bin root/etc && "
		    "echo x >root/bin/sh && (cd root && find . | cpio -o -H newc --quiet) >initrd.img",
		    dir);
	run_command("cd %s && cat initrd.img initrd.img >two && mcopy -i esp.img two ::/EFI/Linux/initrd.img-6.1", dir);
	make_bootable(f, "gpt", true);
	expect(f, "disk.img", 1, "initrd.img-6.1 has no iSCSI");
	expect(f, "disk.img", 1, "then update-initramfs -u.");
	run_command("cd %s && mkdir -p d/lib/dracut && (cd d && find . | cpio -o -H newc --quiet) >of-dracut && "
		    "mcopy -o -i esp.img of-dracut ::/EFI/Linux/initrd.img-6.1",
		    dir);
	make_bootable(f, "gpt", true);
	expect(f, "disk.img", 1, "as README.md says for dracut");
	/* Compressed: no claim. */
	run_command("cd %s && gzip -k initrd.img && cat initrd.img initrd.img.gz >mixed && mcopy -o -i esp.img mixed "
		    "::/EFI/Linux/initrd.img-6.1",
		    dir);
	make_bootable(f, "gpt", true);
	expect(f, "disk.img", 0, NULL);
	/* It is in the second archive. */
	run_command("cd %s && echo x >root/etc/iscsi.initramfs && (cd root && find . | cpio -o -H newc --quiet) >with "
		    "&& cat initrd.img with >both && "
		    "mcopy -o -i esp.img both ::/EFI/Linux/initrd.img-6.1",
		    dir);
	make_bootable(f, "gpt", true);
	expect(f, "disk.img", 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_probe_vhd, folder_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_probe_vhdx, folder_setup, fixture_teardown),
		cmocka_unit_test(test_probe_magic),
		cmocka_unit_test_setup_teardown(test_probe_cut, folder_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_fat, folder_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_fat_cycle, folder_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_warnings, folder_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_warnings_4k, folder_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_warnings_cd, folder_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_warnings_initrd, folder_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
