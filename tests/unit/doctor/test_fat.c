// SPDX-License-Identifier: GPL-2.0-or-later
/* Folders and files of FAT file systems, as mtools fills them; and one that has no end. */
#include "doctor/lab.h"

#include "base/util.h"
#include "doctor/fat.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void make_fat(const struct lab *lab, unsigned bits, uint64_t size, const char *more)
{
	lab_run(lab, "rm -f fat.img; truncate -s %llu fat.img; mkfs.fat -F %u %s fat.img >/dev/null",
		(unsigned long long)size, bits, more);
}

static int open_file(const struct lab *lab, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", lab->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static uint8_t *load(const struct lab *lab, const char *name, size_t *size)
{
	struct stat st;
	uint8_t *data;
	int fd = open_file(lab, name);

	assert_int_equal(fstat(fd, &st), 0);
	*size = (size_t)st.st_size;
	data = malloc(*size + 1);
	assert_non_null(data);
	assert_int_equal(read(fd, data, *size), *size);
	close(fd);
	return data;
}

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

static void test_fat(void **state)
{
	static const struct {
		unsigned bits;
		uint64_t size;
	} kinds[] = { { 12, 2 << 20 }, { 16, 32 << 20 }, { 32, 300 << 20 } };
	struct lab *lab = *state;

	if (!lab_has(""))
		return;
	lab_run(lab, "head -c 200000 /dev/urandom >data");
	for (size_t i = 0; i < array_len(kinds); i++) {
		struct fat_entry entry;
		struct fat_file file;
		uint8_t *data;
		size_t size;
		struct view view;
		struct fat fat;
		struct stat st;
		uint8_t *copy;
		int fd;

		make_fat(lab, kinds[i].bits, kinds[i].size, "");
		lab_run(lab, "mmd -i fat.img ::/EFI ::/EFI/BOOT ::/loader && mcopy -i fat.img data "
			     "::/EFI/BOOT/BOOTX64.EFI && "
			     "mcopy -i fat.img data '::/loader/a long name, with more than thirteen characters.txt' && "
			     "for i in $(seq 60); do echo $i | mcopy -i fat.img - ::/loader/file-number-$i; done");
		fd = open_file(lab, "fat.img");
		assert_int_equal(fstat(fd, &st), 0);
		view = view_of_file(&fd, (uint64_t)st.st_size);
		assert_true(fat_init(&fat, &view, 0, view.size));
		assert_int_equal(fat.bits, kinds[i].bits);
		assert_true(fat_find(&fat, "efi/boot/bootx64.efi", &entry));
		assert_int_equal(entry.size, 200000);
		assert_false(entry.folder);
		data = load(lab, "data", &size);
		copy = malloc(300000);
		fat_open(&fat, &entry, &file);
		assert_int_equal(fat_read(&file, copy, 300000), 200000);
		assert_int_equal(size, 200000);
		assert_memory_equal(copy, data, 200000);
		free(copy);
		free(data);
		assert_true(fat_find(&fat, "loader/a long name, with more than thirteen characters.txt", &entry));
		assert_true(fat_find(&fat, "LOADER/file-number-60", &entry));
		assert_false(fat_find(&fat, "loader/file-number-61", &entry));
		assert_false(fat_find(&fat, "loader/file-number-60/x", &entry));
		assert_true(fat_find(&fat, "efi", &entry));
		assert_true(entry.folder);
		close(fd);
	}
}

/* A folder that is its own continuation ends. */
static void test_fat_cycle(void **state)
{
	struct lab *lab = *state;
	struct fat_entry entry;
	struct memory m;
	struct view view;
	struct fat fat;

	if (!lab_has(""))
		return;
	make_fat(lab, 16, 32 << 20, "-s 1");
	lab_run(lab, "mmd -i fat.img ::/loop && for i in $(seq 14); do echo $i | mcopy -i fat.img - "
		     "::/loop/f$i; done");
	m.data = load(lab, "fat.img", &m.size);
	view = (struct view){ memory_read, &m, m.size };
	assert_true(fat_init(&fat, &view, 0, view.size));
	assert_true(fat_find(&fat, "loop", &entry));
	for (uint32_t cluster = 2; cluster < 40; cluster++) {
		m.data[fat.table + 2 * cluster] = (uint8_t)entry.cluster;
		m.data[fat.table + 2 * cluster + 1] = (uint8_t)(entry.cluster >> 8);
	}
	assert_false(fat_find(&fat, "loop/none", &entry));
	free(m.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fat, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_fat_cycle, lab_setup, lab_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
