// SPDX-License-Identifier: GPL-2.0-or-later
/* What a file is (probe). Images are made by the usual tools. */
#include "store/fixture.h"

#include "base/be.h"
#include "base/util.h"
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
		{ "\x7f\x10\xda\xbe", 4, 64, "VDI of another version" },
		{ "BZh", 3, 0, "bunzip2" },
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_probe_vhd, folder_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_probe_vhdx, folder_setup, fixture_teardown),
		cmocka_unit_test(test_probe_magic),
		cmocka_unit_test_setup_teardown(test_probe_cut, folder_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
