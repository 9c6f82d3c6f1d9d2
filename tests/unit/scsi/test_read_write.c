// SPDX-License-Identifier: GPL-2.0-or-later
/* READ, WRITE, VERIFY, WRITE AND VERIFY in all their lengths, and what errors of the disk become. */
#include "rig.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "scsi/sense.h"

/* The four lengths of CDB, and where they have what. */
struct form {
	unsigned cdb_bytes;
	uint8_t read, write, verify, write_verify;
	unsigned lba_at, lba_bytes, len_at, len_bytes;
};

static const struct form forms[] = {
	{ 10, 0x28, 0x2a, 0x2f, 0x2e, 2, 4, 7, 2 },
	{ 12, 0xa8, 0xaa, 0xaf, 0xae, 2, 4, 6, 4 },
	{ 16, 0x88, 0x8a, 0x8f, 0x8e, 2, 8, 10, 4 },
};

static struct answer run(struct rig *rig, const struct form *f, uint8_t code, uint8_t flags, uint64_t lba,
			 uint64_t blocks, const void *out, size_t out_len)
{
	uint8_t cdb[16] = { code, flags };

	put_be(cdb + f->lba_at, f->lba_bytes, lba);
	put_be(cdb + f->len_at, f->len_bytes, blocks);
	return rig_run(rig, 0, cdb, sizeof(cdb), out, out_len);
}

static uint8_t pattern[RIG_IN_MAX];

static void fill_pattern(unsigned seed)
{
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 0; i < sizeof(pattern); i++) {
		x = x * 1664525 + 1013904223;
		pattern[i] = (uint8_t)(x >> 24);
	}
}

static void test_all_lengths(void **state)
{
	struct rig *rig = *state;
	struct answer a;

	for (size_t i = 0; i < array_len(forms); i++) {
		for (unsigned blocks = 1; blocks <= 257; blocks += 64) {
			uint64_t lba = i * 1000 + blocks;
			size_t len = blocks * 512;

			fill_pattern(blocks);
			rig->fake->piece_bytes = blocks & 64 ? 700 : 0;
			a = run(rig, &forms[i], forms[i].write, 0, lba, blocks, pattern, len);
			assert_good(a);
			assert_memory_equal(rig->fake->bytes + lba * 512, pattern, len);
			a = run(rig, &forms[i], forms[i].read, 0, lba, blocks, NULL, 0);
			assert_good(a);
			assert_int_equal(a.in_len, len);
			assert_memory_equal(a.in, pattern, len);
			assert_good(run(rig, &forms[i], forms[i].verify, 0x00, lba, blocks, NULL, 0));
			assert_good(run(rig, &forms[i], forms[i].verify, 0x02, lba, blocks, pattern, len));
			pattern[len - 3] ^= 1;
			a = run(rig, &forms[i], forms[i].verify, 0x02, lba, blocks, pattern, len);
			assert_sense(a, SENSE_MISCOMPARE, ASC_MISCOMPARE_DURING_VERIFY);
			assert_true(a.has_information);
			assert_int_equal(a.information, len - 3);
			assert_good(run(rig, &forms[i], forms[i].write_verify, 0x02, lba, blocks, pattern, len));
			assert_memory_equal(rig->fake->bytes + lba * 512, pattern, len);
			assert_good(run(rig, &forms[i], forms[i].write_verify, 0x10, lba, blocks, pattern, len));
		}
	}
}

static void test_six(void **state)
{
	struct rig *rig = *state;
	struct answer a;

	fill_pattern(6);
	a = rig_run(rig, 0, CDB(0x0a, 0x01, 0x02, 0x03, 2), pattern, 1024);
	/* 0x10203 is beyond the end */
	assert_sense(a, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	assert_good(rig_run(rig, 0, CDB(0x0a, 0x00, 0x02, 0x03, 2), pattern, 1024));
	assert_memory_equal(rig->fake->bytes + 0x203 * 512, pattern, 1024);
	a = RUN(rig, 0, 0x08, 0x00, 0x02, 0x03, 2);
	assert_good(a);
	assert_int_equal(a.in_len, 1024);
	assert_memory_equal(a.in, pattern, 1024);
	/* 0 means 256 */
	a = RUN(rig, 0, 0x08, 0, 0, 0, 0);
	assert_good(a);
	assert_int_equal(a.in_len, 256 * 512);
	/* an old initiator's LUN bits are no longer a LUN */
	check_cdb_field(RUN(rig, 0, 0x08, 0x20, 0, 0, 1), 1, 5);
}

static void test_range(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < array_len(forms); i++) {
		const struct form *f = &forms[i];
		const uint8_t codes[] = { f->read, f->write, f->verify, f->write_verify };

		for (size_t c = 0; c < array_len(codes); c++) {
			assert_sense(run(rig, f, codes[c], 0, RIG_BLOCKS, 1, pattern, 512), SENSE_ILLEGAL_REQUEST,
				     ASC_LBA_OUT_OF_RANGE);
			assert_sense(run(rig, f, codes[c], 0, RIG_BLOCKS - 1, 2, pattern, 1024), SENSE_ILLEGAL_REQUEST,
				     ASC_LBA_OUT_OF_RANGE);
			assert_sense(run(rig, f, codes[c], 0, RIG_BLOCKS + 1, 0, NULL, 0), SENSE_ILLEGAL_REQUEST,
				     ASC_LBA_OUT_OF_RANGE);
			assert_sense(run(rig, f, codes[c], 0, UINT64_MAX, 1, pattern, 512), SENSE_ILLEGAL_REQUEST,
				     ASC_LBA_OUT_OF_RANGE);
			assert_good(run(rig, f, codes[c], 0, 0, 0, NULL, 0));
			assert_good(run(rig, f, codes[c], 0, RIG_BLOCKS - 1, 1, pattern, 512));
		}
	}
	assert_sense(run(rig, &forms[2], 0x88, 0, UINT64_MAX, 8192, NULL, 0), SENSE_ILLEGAL_REQUEST,
		     ASC_LBA_OUT_OF_RANGE);
}

static void test_longest(void **state)
{
	struct rig *rig = *state;
	struct answer a;

	fill_pattern(4);
	assert_good(run(rig, &forms[2], 0x8a, 0, 8, 8192, pattern, 4 << 20));
	a = run(rig, &forms[2], 0x88, 0, 8, 8192, NULL, 0);
	assert_good(a);
	assert_memory_equal(a.in, pattern, 4 << 20);
	assert_int_equal(rig->fake->longest, 4 << 20);
	check_cdb_field(run(rig, &forms[2], 0x8a, 0, 8, 8193, pattern, 4 << 20), 10, -1);
	check_cdb_field(run(rig, &forms[2], 0x88, 0, 8, 8193, NULL, 0), 10, -1);
	check_cdb_field(run(rig, &forms[1], 0xa8, 0, 8, UINT32_MAX, NULL, 0), 6, -1);
	check_cdb_field(run(rig, &forms[2], 0x8f, 2, 8, 8193, NULL, 0), 10, -1);
	/* without data there is no bound, but steps of 1 MiB */
	rig->fake->longest = 0;
	assert_good(run(rig, &forms[2], 0x8f, 0, 0, RIG_BLOCKS, NULL, 0));
	assert_int_equal(rig->fake->longest, 1 << 20);
}

static void test_flags(void **state)
{
	struct rig *rig = *state;
	struct fake_disk *fake = rig->fake;

	for (size_t i = 0; i < array_len(forms); i++) {
		const struct form *f = &forms[i];
		unsigned before = fake->fua_writes, flushes = fake->flushes;

		assert_good(run(rig, f, f->write, 0x10, 0, 1, pattern, 512)); /* DPO */
		assert_int_equal(fake->fua_writes, before);
		assert_good(run(rig, f, f->write, 0x18, 0, 1, pattern, 512)); /* DPO, FUA */
		assert_int_equal(fake->fua_writes, before + 1);
		assert_good(run(rig, f, f->read, 0x18, 0, 1, NULL, 0));
		assert_int_equal(fake->flushes, flushes + 1);
		assert_good(run(rig, f, f->write_verify, 0, 0, 1, pattern, 512));
		assert_int_equal(fake->fua_writes, before + 2);
		for (unsigned protect = 1; protect < 8; protect++) {
			int top = protect & 4 ? 7 : protect & 2 ? 6 : 5;

			check_cdb_field(run(rig, f, f->read, (uint8_t)(protect << 5), 0, 1, NULL, 0), 1, top);
			check_cdb_field(run(rig, f, f->write, (uint8_t)(protect << 5), 0, 1, pattern, 512), 1, top);
			check_cdb_field(run(rig, f, f->verify, (uint8_t)(protect << 5 | 2), 0, 1, pattern, 512), 1,
					top);
			check_cdb_field(run(rig, f, f->write_verify, (uint8_t)(protect << 5), 0, 1, pattern, 512), 1,
					top);
		}
		check_cdb_field(run(rig, f, f->verify, 0x04, 0, 1, pattern, 512), 1, 2); /* BYTCHK 10b */
		check_cdb_field(run(rig, f, f->write_verify, 0x06, 0, 1, pattern, 512), 1, 2);
	}
}

static void test_verify_repeated(void **state)
{
	struct rig *rig = *state;
	struct answer a;

	memset(rig->fake->bytes, 0x5a, 100 * 512);
	memset(pattern, 0x5a, 512);
	rig->fake->piece_bytes = 333;
	assert_good(run(rig, &forms[0], 0x2f, 0x06, 0, 100, pattern, 512));
	a = run(rig, &forms[0], 0x2f, 0x06, 0, 101, pattern, 512);
	assert_sense(a, SENSE_MISCOMPARE, ASC_MISCOMPARE_DURING_VERIFY);
	assert_int_equal(a.information, 0);
	assert_sense(run(rig, &forms[0], 0x2f, 0x06, 0, 100, pattern, 100), SENSE_ILLEGAL_REQUEST,
		     ASC_INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
	assert_good(run(rig, &forms[0], 0x2f, 0x06, 0, 0, NULL, 0));
}

/* RFC 7143 §11.4.5.2: less announced than the CDB says. */
static void test_short_data_out(void **state)
{
	struct rig *rig = *state;

	memset(pattern, 'b', 1024);
	for (size_t i = 0; i < array_len(forms); i++) {
		const uint8_t codes[] = { forms[i].write, forms[i].write_verify };

		for (size_t c = 0; c < array_len(codes); c++) {
			memset(rig->fake->bytes, 'a', 1024);
			assert_good(run(rig, &forms[i], codes[c], 0, 0, 1, NULL, 0));
			assert_good(run(rig, &forms[i], codes[c], 0, 0, 2, pattern, 512));
			assert_int_equal(rig->fake->bytes[511], 'b');
			assert_int_equal(rig->fake->bytes[512], 'a');
			assert_sense(run(rig, &forms[i], codes[c], 0, 1, 1, pattern, 200), SENSE_ILLEGAL_REQUEST,
				     ASC_INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
			assert_int_equal(rig->fake->bytes[512], 'a');
			/* more than the CDB says: only that is taken */
			assert_good(run(rig, &forms[i], codes[c], 0, 0, 1, pattern, 1024));
			assert_int_equal(rig->fake->bytes[512], 'a');
		}
	}
}

static void test_errors(void **state)
{
	struct rig *rig = *state;
	struct fake_disk *fake = rig->fake;
	struct answer a;

	fake->fail_op = DISK_READ;
	fake->fail_result = -EIO;
	fake->fail_offset = 7 * 512;
	a = run(rig, &forms[0], 0x28, 0, 4, 8, NULL, 0);
	assert_sense(a, SENSE_MEDIUM_ERROR, ASC_UNRECOVERED_READ_ERROR);
	assert_true(a.has_information);
	assert_int_equal(a.information, 7);
	assert_int_equal(a.in_len, 0);

	fake->fail_op = DISK_WRITE;
	fake->fail_result = -EIO;
	assert_sense(run(rig, &forms[0], 0x2a, 0, 4, 1, pattern, 512), SENSE_MEDIUM_ERROR, ASC_WRITE_ERROR);
	fake->fail_result = -EROFS;
	assert_sense(run(rig, &forms[0], 0x2a, 0, 4, 1, pattern, 512), SENSE_DATA_PROTECT, ASC_WRITE_PROTECTED);
	fake->fail_result = -ECANCELED;
	assert_int_equal(run(rig, &forms[0], 0x2a, 0, 4, 1, pattern, 512).status, SCSI_TASK_ABORTED);
	fake->fail_result = -ENOMEM;
	assert_int_equal(run(rig, &forms[0], 0x2a, 0, 4, 1, pattern, 512).status, SCSI_BUSY);
	fake->fail_result = -EBADMSG;
	assert_sense(run(rig, &forms[0], 0x2a, 0, 4, 1, pattern, 512), SENSE_HARDWARE_ERROR,
		     ASC_INTERNAL_TARGET_FAILURE);

	fake->fail_op = DISK_FLUSH;
	fake->fail_result = -EIO;
	assert_sense(RUN(rig, 0, 0x35), SENSE_MEDIUM_ERROR, ASC_WRITE_ERROR);
	fake->fail_result = -EIO;
	assert_sense(run(rig, &forms[0], 0x2f, 0, 0, 8, NULL, 0), SENSE_MEDIUM_ERROR, ASC_WRITE_ERROR);
	/* in the middle of steps */
	fake->fail_op = DISK_READ;
	fake->fail_result = -EIO;
	fake->fail_after = 2;
	fake->fail_offset = 5000 * 512;
	a = run(rig, &forms[2], 0x8f, 0, 0, RIG_BLOCKS, NULL, 0);
	assert_sense(a, SENSE_MEDIUM_ERROR, ASC_UNRECOVERED_READ_ERROR);
	assert_int_equal(a.information, 5000);
}

static void test_no_space(void **state)
{
	struct rig *rig = *state;
	struct fake_disk *fake = rig->fake;
	struct scsi_lu *lu = rig->target->lus[0];

	fake->fail_op = DISK_WRITE;
	fake->fail_result = -ENOSPC;
	fake->fail_always = true;
	assert_int_equal(run(rig, &forms[0], 0x2a, 0, 4, 1, pattern, 512).status, SCSI_BUSY);
	assert_int_equal(run(rig, &forms[0], 0x2a, 0, 4, 1, pattern, 512).status, SCSI_BUSY);
	lu->no_space_since_ms -= SCSI_NO_SPACE_BUSY_MS;
	assert_sense(run(rig, &forms[0], 0x2a, 0, 4, 1, pattern, 512), SENSE_DATA_PROTECT, ASC_SPACE_ALLOCATION_FAILED);
	/* somebody made room: the clock starts anew */
	fake->fail_result = 0;
	assert_good(run(rig, &forms[0], 0x2a, 0, 4, 1, pattern, 512));
	fake->fail_result = -ENOSPC;
	assert_int_equal(run(rig, &forms[0], 0x2a, 0, 4, 1, pattern, 512).status, SCSI_BUSY);
	fake->fail_result = 0;
	fake->fail_always = false;
}

static void test_read_only(void **state)
{
	struct rig *rig = *state;

	rig->fake->disk.read_only = true;
	rig_restart(rig);
	rig_take_attentions(rig);
	assert_sense(run(rig, &forms[0], 0x2a, 0, 4, 1, pattern, 512), SENSE_DATA_PROTECT, ASC_WRITE_PROTECTED);
	assert_sense(run(rig, &forms[2], 0x8b, 0, 4, 1, pattern, 512), SENSE_DATA_PROTECT, ASC_WRITE_PROTECTED);
	assert_sense(run(rig, &forms[2], 0x93, 0, 4, 1, pattern, 512), SENSE_DATA_PROTECT, ASC_WRITE_PROTECTED);
	assert_sense(rig_run(rig, 0, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 8), pattern, 8), SENSE_DATA_PROTECT,
		     ASC_WRITE_PROTECTED);
	assert_good(run(rig, &forms[0], 0x28, 0, 4, 1, NULL, 0));
	assert_int_equal(RUN(rig, 0, 0x1a, 0x08, 0x08, 0, 255).in[2], 0x90);
	assert_good(RUN(rig, 0, 0x1b, 0, 0, 0, 0));
}

static void test_cache_off(void **state)
{
	struct rig *rig = *state;
	uint8_t list[4 + 20] = { 0 };
	unsigned before;
	struct answer a = RUN(rig, 0, 0x1a, 0x08, 0x08, 0, 255);

	memcpy(list + 4, a.in + 4, 20);
	assert_int_equal(list[4 + 2], 0x04);
	list[4 + 2] = 0;
	assert_good(rig_run(rig, 0, CDB(0x15, 0x10, 0, 0, 24), list, 24));
	before = rig->fake->fua_writes;
	assert_good(run(rig, &forms[0], 0x2a, 0, 4, 1, pattern, 512));
	assert_int_equal(rig->fake->fua_writes, before + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_lengths, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_six, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_range, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_longest, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_flags, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_verify_repeated, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_short_data_out, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_errors, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_no_space, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_read_only, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_cache_off, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
