// SPDX-License-Identifier: GPL-2.0-or-later
/* Copies of qcow2 files without their layers: they read the same, whatever the chain was, and cost no more than they
 * must. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "disk/qcow2_fixture.h"

static void copy(struct fixture *fx, const char *from, const char *to)
{
	struct reason reason;
	int err = qcow2_copy(fixture_path(fx, from), fixture_path(fx, to), &reason);

	if (err)
		fail_msg("%d: %s", err, reason.text);
}

static void refused(struct fixture *fx, const char *from, const char *to, int err, const char *word)
{
	struct reason reason = { "" };

	assert_int_equal(qcow2_copy(fixture_path(fx, from), fixture_path(fx, to), &reason), err);
	if (!strstr(reason.text, word))
		fail_msg("no \"%s\" in: %s", word, reason.text);
}

/* Whole, over nothing but golden (NULL: over nothing), and reads as the model. */
static void check(struct fixture *fx, const char *name, const char *golden, const struct model_disk *model)
{
	struct qcow2_check found;
	struct qcow2_info info;
	struct disk *disk;
	struct reason reason;

	assert_int_equal(qcow2_read_info(fixture_path(fx, name), &info, &reason), 0);
	assert_int_equal(info.size_bytes, model->size_bytes);
	assert_string_equal(info.backing, golden ? golden : "");
	assert_true(info.clean);
	assert_int_equal(qcow2_check(fixture_path(fx, name), false, &found, &reason), 0);
	assert_int_equal(found.corruptions | found.leaks, 0);
	qemu_is_content(fx, name);
	model_disk_compare_qemu(fx, name, model);
	disk = open_child(fx, name);
	model_disk_compare(fx, disk, model);
	assert_int_equal(fixture_close(fx, disk), 0);
}

/* Layers over golden, each larger than the one below by grow_bytes, each with some changes. The uppermost is "layer-N". */
static void make_chain(struct fixture *fx, const char *golden, unsigned layers, uint64_t size_bytes,
		       uint64_t grow_bytes, struct model_disk *model, unsigned *seed)
{
	char name[32], below[32] = "";
	struct reason reason;

	for (unsigned n = 1; n <= layers; n++) {
		struct disk *disk;

		snprintf(name, sizeof(name), "layer-%u", n);
		if (n == 1) {
			make_child(fx, name, size_bytes, golden, "raw");
			model_disk_init(fx, model, size_bytes, golden);
		} else {
			make_child(fx, name, size_bytes, below, "qcow2");
		}
		if (n > 1 && grow_bytes) {
			size_bytes += grow_bytes;
			assert_int_equal(qcow2_grow(fixture_path(fx, name), size_bytes, &reason), 0);
			model->bytes = realloc(model->bytes, size_bytes);
			assert_non_null(model->bytes);
			memset(model->bytes + model->size_bytes, 0, size_bytes - model->size_bytes);
			model->size_bytes = size_bytes;
		}
		disk = open_child(fx, name);
		for (unsigned i = 0; i < 12; i++)
			model_disk_change(fx, disk, model, seed);
		assert_int_equal(fixture_close(fx, disk), 0);
		memcpy(below, name, sizeof(below));
	}
}

static bool count_bytes(void *arg, uint64_t bytes)
{
	*(uint64_t *)arg += bytes;
	return true;
}

static bool stop_at_once(void *arg, uint64_t bytes)
{
	(void)arg;
	(void)bytes;
	return false;
}

/* The same without anything below: it reads as the chain does, which is looked at in three ways. */
static void check_flat(struct fixture *fx, const char *top, const struct model_disk *model)
{
	uint64_t bytes = 0;
	const struct qcow2_step count = { count_bytes, &bytes }, stop = { stop_at_once, NULL };
	struct reason reason;
	struct disk *disk;
	unsigned seed = 1;
	struct model_disk other = { .size_bytes = model->size_bytes, .bytes = malloc(model->size_bytes) };

	if (qcow2_copy_flat(fixture_path(fx, top), fixture_path(fx, "flat"), &count, &reason))
		fail_msg("%s", reason.text);
	check(fx, "flat", NULL, model);
	assert_true(bytes > 0);
	if (qcow2_compare(fixture_path(fx, top), fixture_path(fx, "flat"), &count, &reason))
		fail_msg("%s", reason.text);
	assert_int_equal(qcow2_copy_flat(fixture_path(fx, top), fixture_path(fx, "none"), &stop, &reason), -ECANCELED);
	assert_int_equal(access(fixture_path(fx, "none"), F_OK), -1);
	/* One byte more or less. */
	memcpy(other.bytes, model->bytes, model->size_bytes);
	disk = open_child(fx, "flat");
	do {
		model_disk_change(fx, disk, &other, &seed);
	} while (!memcmp(other.bytes, model->bytes, model->size_bytes));
	assert_int_equal(fixture_close(fx, disk), 0);
	assert_int_equal(qcow2_compare(fixture_path(fx, top), fixture_path(fx, "flat"), &count, &reason), -EBADMSG);
	free(other.bytes);
	shell_works(fx, "rm -f flat*");
}

static void test_chains(void **state)
{
	/* Sizes that are no multiple of a cluster, nor of 4 KiB. */
	static const struct {
		const char *golden;
		unsigned layers;
		uint64_t size_bytes, grow_bytes;
	} chains[] = {
		{ "golden", 1, 8 * MIB, 0 },
		{ "golden", 2, 8 * MIB, 0 },
		{ "golden", 7, 8 * MIB, 0 },
		{ "golden", 5, 8 * MIB + 512, 7 * 512 },
		{ "golden", 4, 9 * MIB, 36 * KIB },
		{ NULL, 1, 5 * MIB + 1536, 0 },
		{ NULL, 8, 4 * MIB, 0 },
		{ NULL, 6, 3 * MIB + 512, 100 * KIB + 512 },
	};
	struct fixture *fx = *state;
	unsigned seed = 11;

	make_golden(fx, "golden", 8 * MIB);
	for (size_t i = 0; i < array_len(chains); i++) {
		struct model_disk model;
		char top[32];

		snprintf(top, sizeof(top), "layer-%u", chains[i].layers);
		make_chain(fx, chains[i].golden, chains[i].layers, chains[i].size_bytes, chains[i].grow_bytes, &model,
			   &seed);
		copy(fx, top, "copy");
		check(fx, "copy", chains[i].golden, &model);
		check_flat(fx, top, &model);
		model_disk_fini(&model);
		shell_works(fx, "rm -f copy* layer-*");
	}
}

/* It goes on like any other: written to, grown, copied again. */
static void test_goes_on(void **state)
{
	struct fixture *fx = *state;
	struct model_disk model;
	struct disk *disk;
	unsigned seed = 5;

	make_golden(fx, "golden", 4 * MIB);
	make_chain(fx, "golden", 3, 4 * MIB, 0, &model, &seed);
	copy(fx, "layer-3", "copy");
	disk = open_child(fx, "copy");
	for (unsigned i = 0; i < 50; i++)
		model_disk_change(fx, disk, &model, &seed);
	assert_int_equal(fixture_close(fx, disk), 0);
	check(fx, "copy", "golden", &model);
	copy(fx, "copy", "second");
	check(fx, "second", "golden", &model);
	model_disk_fini(&model);
}

/* What reads as zeroes is not stored, and an empty layer costs nothing; a disk of 16 TiB is copied at once. */
static void test_costs(void **state)
{
	struct fixture *fx = *state;
	struct disk *disk;

	make_golden(fx, "golden", 4 * MIB);
	make_child(fx, "large", 16ull << 40, "golden", "raw");
	make_child(fx, "empty", 16ull << 40, "large", "qcow2");
	copy(fx, "empty", "copy");
	assert_true(allocated_of(fx, "copy") <= 96 * KIB);
	make_child(fx, "zeroes", 4 * MIB, NULL, NULL);
	shell_works(fx, "qemu-io -f qcow2 -c 'write -P 0 0 2M' -c 'write -P 1 2M 64k' zeroes");
	assert_true(allocated_of(fx, "zeroes") > 2 * MIB);
	copy(fx, "zeroes", "dense");
	assert_true(allocated_of(fx, "dense") < 512 * KIB);
	/* Over golden data they have to be said. */
	make_child(fx, "child", 4 * MIB, "golden", "raw");
	disk = open_child(fx, "child");
	assert_int_equal(fixture_zero(fx, disk, DISK_DISCARD, 0, 4 * MIB), 0);
	assert_int_equal(fixture_close(fx, disk), 0);
	copy(fx, "child", "blank");
	shell_works(fx, "truncate -s 4M zero.raw && qemu-img compare -f qcow2 -F raw blank zero.raw");
	assert_true(allocated_of(fx, "blank") <= 384 * KIB);
}

/* The first L2 entry points out of the file. */
static void break_entry(struct fixture *fx, const char *name)
{
	static const unsigned char far_away[8] = { 0x80, 0, 0, 0x7f, 0xff, 0xfe, 0, 0 };
	unsigned char entry[8];
	uint64_t table = 0;
	int fd = open(fixture_path(fx, name), O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, entry, sizeof(entry), 128 * KIB), sizeof(entry));
	for (unsigned i = 0; i < sizeof(entry); i++)
		table = table << 8 | entry[i];
	table &= 0x00fffffffffffe00ull;
	assert_true(table > 0);
	assert_int_equal(pwrite(fd, far_away, sizeof(far_away), (off_t)table), sizeof(far_away));
	close(fd);
}

static void test_refused(void **state)
{
	struct fixture *fx = *state;
	struct model_disk model;
	struct disk *disk;
	unsigned seed = 1;

	make_golden(fx, "golden", 4 * MIB);
	make_chain(fx, "golden", 2, 4 * MIB, 0, &model, &seed);
	model_disk_fini(&model);
	refused(fx, "missing", "copy", -ENOENT, "missing cannot be opened");
	refused(fx, "golden", "copy", -EUCLEAN, "is not a qcow2 file");
	refused(fx, "layer-2", "layer-1", -EEXIST, "cannot be made");
	/* One that is in use, at either end of the chain. */
	disk = open_child(fx, "layer-2");
	model_disk_init(fx, &model, 4 * MIB, "golden");
	model_disk_change(fx, disk, &model, &seed);
	refused(fx, "layer-2", "copy", -EBUSY, "layer-2");
	assert_int_equal(fixture_close(fx, disk), 0);
	/* A chain that goes in a circle, and one that breaks off. */
	make_child(fx, "one", 4 * MIB, "two", "qcow2");
	make_child(fx, "two", 4 * MIB, "one", "qcow2");
	refused(fx, "one", "copy", -ENOTSUP, "more than 8 files");
	shell_works(fx, "rm two");
	refused(fx, "one", "copy", -ENOENT, "two cannot be opened");
	/* A table that points out of the file. */
	break_entry(fx, "layer-1");
	refused(fx, "layer-1", "copy", -EUCLEAN, "is corrupt: the L2 entry of cluster 0");
	assert_int_equal(access(fixture_path(fx, "copy"), F_OK), -1);
	model_disk_fini(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_chains, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_goes_on, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_costs, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refused, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
