// SPDX-License-Identifier: GPL-2.0-or-later
/* UNMAP, WRITE SAME, GET LBA STATUS, COMPARE AND WRITE, ORWRITE, and the soft threshold. */
#include "rig.h"

#include <errno.h>

#include "scsi/sense.h"

static uint8_t data[4 << 20];

static struct answer unmap(struct rig *rig, unsigned count, const uint64_t (*ranges)[2], size_t list_len,
			   size_t out_len)
{
	uint8_t cdb[16] = { 0x42 };

	memset(data, 0, 8 + count * 16);
	put_be(data, 2, 6 + count * 16);
	put_be(data + 2, 2, count * 16);
	for (unsigned i = 0; i < count; i++) {
		put_be(data + 8 + i * 16, 8, ranges[i][0]);
		put_be(data + 16 + i * 16, 4, ranges[i][1]);
	}
	put_be(cdb + 7, 2, list_len);
	return rig_run(rig, 0, cdb, sizeof(cdb), data, out_len);
}

static void test_unmap(void **state)
{
	struct rig *rig = *state;
	const uint64_t good[][2] = { { 0, 8 }, { 16, 0 }, { 24, 16 }, { RIG_BLOCKS, 0 } };
	const uint64_t beyond[][2] = { { 0, 8 }, { RIG_BLOCKS - 1, 2 } };
	static uint64_t many[257][2];

	memset(rig->fake->bytes, 0xff, 64 * 512);
	assert_good(unmap(rig, 4, good, 72, 72));
	assert_int_equal(rig->fake->discards, 2);
	assert_int_equal(rig->fake->bytes[0], 0);
	assert_int_equal(rig->fake->bytes[8 * 512], 0xff);
	assert_int_equal(rig->fake->bytes[24 * 512], 0);
	assert_int_equal(rig->fake->bytes[40 * 512], 0xff);
	/* checked whole before the first is obeyed */
	assert_sense(unmap(rig, 2, beyond, 40, 40), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	assert_int_equal(rig->fake->discards, 2);
	assert_good(unmap(rig, 0, NULL, 0, 0));
	assert_good(unmap(rig, 0, NULL, 8, 8));
	assert_sense(unmap(rig, 2, good, 7, 7), SENSE_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
	assert_sense(unmap(rig, 2, good, 40, 24), SENSE_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
	assert_sense(unmap(rig, 2, good, 24, 24), SENSE_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
	assert_good(unmap(rig, 256, many, 8 + 256 * 16, 8 + 256 * 16));
	check_parameter_field(unmap(rig, 257, many, 8 + 257 * 16, 8 + 257 * 16), 2, -1);
	check_cdb_field(rig_run(rig, 0, CDB(0x42, 2, 0, 0, 0, 0, 0, 0, 8), data, 8), 1, 1);
	rig->fake->fail_op = DISK_DISCARD;
	rig->fake->fail_result = -EIO;
	assert_sense(unmap(rig, 1, good, 24, 24), SENSE_MEDIUM_ERROR, ASC_WRITE_ERROR);
}

static void test_unmap_too_long(void **state)
{
	const uint64_t one[][2] = { { 0, 0x100001 } };
	const uint64_t two[][2] = { { 0, 0x80000 }, { 0, 0x80001 } };
	struct rig rig;

	(void)state;
	rig_init(&rig, 0x100008, false);
	rig_take_attentions(&rig);
	check_parameter_field(unmap(&rig, 1, one, 24, 24), 16, -1);
	check_parameter_field(unmap(&rig, 2, two, 40, 40), 32, -1);
	rig_fini(&rig);
}

static struct answer same_16(struct rig *rig, uint8_t flags, uint64_t lba, uint32_t blocks, uint8_t fill,
			     size_t out_len)
{
	uint8_t cdb[16] = { 0x93, flags };

	put_be(cdb + 2, 8, lba);
	put_be(cdb + 10, 4, blocks);
	memset(data, fill, 2048);
	return rig_run(rig, 0, cdb, sizeof(cdb), data, out_len);
}

static void test_write_same(void **state)
{
	struct rig *rig = *state;
	struct fake_disk *fake = rig->fake;

	assert_good(same_16(rig, 0, 8, 5000, 0x77, 512));
	for (unsigned i = 8 * 512; i < 5008 * 512; i++)
		if (fake->bytes[i] != 0x77)
			fail();
	assert_int_equal(fake->bytes[8 * 512 - 1], 0);
	assert_int_equal(fake->bytes[5008 * 512], 0);
	assert_int_equal(fake->longest, 1 << 20);
	assert_int_equal(fake->writes, 3);
	assert_int_equal(fake->allocates, 0);
	/* zeroes are no data */
	assert_good(same_16(rig, 0, 8, 16, 0, 512));
	assert_int_equal(fake->writes, 3);
	assert_int_equal(fake->zeroes, 1);
	assert_int_equal(fake->unmaps, 0);
	assert_good(same_16(rig, 0x08, 24, 16, 0, 512));
	assert_int_equal(fake->unmaps, 1);
	assert_int_equal(fake->bytes[24 * 512], 0);
	/* with UNMAP, what does not read as zeroes is written */
	assert_good(same_16(rig, 0x08, 24, 16, 0x11, 512));
	assert_int_equal(fake->bytes[24 * 512], 0x11);
	/* NDOB */
	assert_good(same_16(rig, 0x01, 24, 16, 0x11, 0));
	assert_int_equal(fake->bytes[24 * 512], 0);
	assert_good(same_16(rig, 0x09, 24, 16, 0x11, 0));
	assert_int_equal(fake->unmaps, 2);
	/* WRITE SAME(10) */
	memset(data, 0x33, 512);
	assert_good(rig_run(rig, 0, CDB(0x41, 0, 0, 0, 0, 64, 0, 0, 8), data, 512));
	assert_int_equal(fake->bytes[72 * 512 - 1], 0x33);
	memset(data, 0, 512);
	assert_good(rig_run(rig, 0, CDB(0x41, 8, 0, 0, 0, 64, 0, 0, 8), data, 512));
	assert_int_equal(fake->unmaps, 3);
}

static void test_write_same_bad(void **state)
{
	struct rig *rig = *state;

	assert_sense(same_16(rig, 0, RIG_BLOCKS, 1, 0, 512), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	assert_sense(same_16(rig, 0, RIG_BLOCKS - 1, 2, 0, 512), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	assert_sense(same_16(rig, 0, UINT64_MAX, 1, 0, 512), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	check_cdb_field(same_16(rig, 0, 8, 0, 0, 512), 10, -1); /* WSNZ */
	check_cdb_field(same_16(rig, 8, 8, 0, 0, 512), 10, -1);
	check_cdb_field(same_16(rig, 0x18, 8, 0, 0, 512), 10, -1);
	check_cdb_field(same_16(rig, 0, 0, 65529, 0, 512), 10, -1);
	assert_good(same_16(rig, 0, 0, 65528, 0, 512));
	check_cdb_field(same_16(rig, 0x10, 0, 1, 0, 512), 1, 4); /* ANCHOR without UNMAP */
	check_cdb_field(same_16(rig, 0x11, 0, 1, 0, 0), 1, 4);
	check_cdb_field(rig_run(rig, 0, CDB(0x41, 0x10, 0, 0, 0, 0, 0, 0, 1), data, 512), 1, 4);
	check_cdb_field(same_16(rig, 0x20, 0, 1, 0, 512), 1, 5);
	assert_sense(same_16(rig, 0, 0, 1, 0, 256), SENSE_ILLEGAL_REQUEST,
		     ASC_INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
	assert_sense(same_16(rig, 0, 0, 1, 0, 1024), SENSE_ILLEGAL_REQUEST,
		     ASC_INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
	check_cdb_field(rig_run(rig, 0, CDB(0x41, 1, 0, 0, 0, 64, 0, 0, 8), data, 512), 1, 0); /* no NDOB in (10) */
	rig->fake->fail_op = DISK_WRITE;
	rig->fake->fail_result = -EIO;
	rig->fake->fail_after = 1;
	assert_sense(same_16(rig, 0, 0, 5000, 1, 512), SENSE_MEDIUM_ERROR, ASC_WRITE_ERROR);
}

/* A 512n disk has WSNZ=0: no blocks are all the rest, within MAXIMUM WRITE SAME LENGTH. */
static void test_write_same_rest(void **state)
{
	struct rig *rig = *state;
	uint8_t same_10[10] = { 0x41 };
	struct rig big;

	assert_int_equal(RUN(rig, 0, 0x12, 1, 0xb0, 0, 255).in[4], 1);
	rig->target->lus[0]->physical_exponent = 0;
	assert_int_equal(RUN(rig, 0, 0x12, 1, 0xb0, 0, 255).in[4], 0);
	assert_int_equal(RUN(rig, 0, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32).in[13], 0);
	assert_good(same_16(rig, 0, RIG_BLOCKS - 40, 0, 0x77, 512));
	assert_int_equal(rig->fake->bytes[(RIG_BLOCKS - 40) * 512 - 1], 0);
	for (size_t i = (RIG_BLOCKS - 40) * 512; i < RIG_BLOCKS * 512; i++)
		if (rig->fake->bytes[i] != 0x77)
			fail();
	put_be(same_10 + 2, 4, RIG_BLOCKS - 1);
	memset(data, 0x33, 512);
	assert_good(rig_run(rig, 0, same_10, sizeof(same_10), data, 512));
	assert_int_equal(rig->fake->bytes[RIG_BLOCKS * 512 - 1], 0x33);
	assert_int_equal(rig->fake->bytes[(RIG_BLOCKS - 1) * 512 - 1], 0x77);
	assert_sense(same_16(rig, 0, RIG_BLOCKS, 0, 0, 512), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	assert_sense(same_16(rig, 8, RIG_BLOCKS + 1, 0, 0, 512), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	assert_sense(same_16(rig, 0, UINT64_MAX, 0, 0, 512), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	/* the rest is no excuse for more than MAXIMUM WRITE SAME LENGTH */
	rig_init(&big, 65528 + 8, false);
	rig_take_attentions(&big);
	big.target->lus[0]->physical_exponent = 0;
	check_cdb_field(same_16(&big, 0, 0, 0, 0, 512), 10, -1);
	check_cdb_field(same_16(&big, 8, 7, 0, 0, 512), 10, -1);
	assert_good(same_16(&big, 0, 8, 0, 0x11, 512));
	assert_int_equal(big.fake->bytes[8 * 512 - 1], 0);
	assert_int_equal(big.fake->bytes[(65528 + 8) * 512 - 1], 0x11);
	rig_fini(&big);
}

static struct answer lba_status(struct rig *rig, uint64_t lba, uint32_t allocation)
{
	uint8_t cdb[16] = { 0x9e, 0x12 };

	put_be(cdb + 2, 8, lba);
	put_be(cdb + 10, 4, allocation);
	return rig_run(rig, 0, cdb, sizeof(cdb), NULL, 0);
}

static void test_lba_status(void **state)
{
	struct rig *rig = *state;
	struct answer a;

	assert_good(same_16(rig, 0, 16, 24, 1, 512));
	a = lba_status(rig, 0, 4096);
	assert_good(a);
	assert_int_equal(get_be(a.in, 4), 4 + 3 * 16);
	assert_int_equal(a.in_len, 8 + 3 * 16);
	assert_int_equal(get_be(a.in + 8, 8), 0);
	assert_int_equal(get_be(a.in + 16, 4), 16);
	assert_int_equal(a.in[20], 1);
	assert_int_equal(get_be(a.in + 24, 8), 16);
	assert_int_equal(get_be(a.in + 32, 4), 24);
	assert_int_equal(a.in[36], 0);
	assert_int_equal(get_be(a.in + 40, 8), 40);
	assert_int_equal(get_be(a.in + 48, 4), RIG_BLOCKS - 40);
	/* the first descriptor begins where it was asked, also within a physical block */
	a = lba_status(rig, 19, 24);
	assert_int_equal(a.in_len, 24);
	assert_int_equal(get_be(a.in + 8, 8), 19);
	assert_int_equal(get_be(a.in + 16, 4), 21);
	assert_int_equal(a.in[20], 0);
	a = lba_status(rig, RIG_BLOCKS - 1, 24);
	assert_int_equal(get_be(a.in + 16, 4), 1);
	assert_int_equal(lba_status(rig, 0, 0).in_len, 0);
	assert_int_equal(lba_status(rig, 0, 10).in_len, 10);
	assert_sense(lba_status(rig, RIG_BLOCKS, 24), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	assert_sense(lba_status(rig, UINT64_MAX, 24), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	rig->fake->fail_op = DISK_STATUS;
	rig->fake->fail_result = -EIO;
	assert_sense(lba_status(rig, 0, 24), SENSE_MEDIUM_ERROR, ASC_UNRECOVERED_READ_ERROR);
}

/* What is anchored reads as zeroes and has its space: it is stored, not left out. */
static void test_anchor(void **state)
{
	struct rig *rig = *state;
	struct fake_disk *fake = rig->fake;
	struct answer a;

	memset(fake->bytes, 0xff, 5000 * 512);
	assert_good(same_16(rig, 0x18, 8, 2049, 0, 512));
	assert_int_equal(fake->writes, 2);
	assert_int_equal(fake->allocates, 2);
	assert_int_equal(fake->longest, 1 << 20);
	assert_int_equal(fake->zeroes + fake->discards, 0);
	assert_int_equal(fake->bytes[8 * 512 - 1], 0xff);
	assert_int_equal(fake->bytes[8 * 512], 0);
	assert_int_equal(fake->bytes[2057 * 512 - 1], 0);
	assert_int_equal(fake->bytes[2057 * 512], 0xff);
	assert_good(same_16(rig, 0x19, 3000, 8, 0xff, 0)); /* NDOB */
	assert_int_equal(fake->bytes[3000 * 512], 0);
	/* what would not read as zeroes is written, and so has its space */
	assert_good(same_16(rig, 0x18, 8, 8, 0x11, 512));
	assert_int_equal(fake->bytes[8 * 512], 0x11);
	a = lba_status(rig, 8, 24);
	assert_int_equal(a.in[20], 0); /* mapped: SBC-3 §4.7.3.5 */
}

static void test_unmap_anchor(void **state)
{
	struct rig *rig = *state;
	struct fake_disk *fake = rig->fake;
	const uint64_t ranges[][2] = { { 8, 4096 }, { 5000, 0 }, { 4105, 1 } };
	uint8_t cdb[10] = { 0x42, 0x01, [8] = 8 + 3 * 16 };

	memset(fake->bytes, 0xff, 5000 * 512);
	unmap(rig, 3, ranges, 0, 0); /* makes the list */
	assert_good(rig_run(rig, 0, cdb, sizeof(cdb), data, 8 + 3 * 16));
	assert_int_equal(fake->writes, 3);
	assert_int_equal(fake->allocates, 3);
	assert_int_equal(fake->discards, 0);
	assert_int_equal(fake->bytes[8 * 512 - 1], 0xff);
	assert_int_equal(fake->bytes[8 * 512], 0);
	assert_int_equal(fake->bytes[4104 * 512 - 1], 0);
	assert_int_equal(fake->bytes[4104 * 512], 0xff);
	assert_int_equal(fake->bytes[4105 * 512], 0);
	assert_int_equal(fake->bytes[4106 * 512], 0xff);
	/* no space to anchor in: SBC-3 §4.7.3.6, as for a write */
	fake->fail_op = DISK_WRITE;
	fake->fail_result = -ENOSPC;
	fake->fail_after = 1;
	assert_int_equal(rig_run(rig, 0, cdb, sizeof(cdb), data, 8 + 3 * 16).status, SCSI_BUSY);
}

static struct answer compare(struct rig *rig, uint8_t flags, uint64_t lba, uint8_t blocks, size_t out_len)
{
	uint8_t cdb[16] = { 0x89, flags };

	put_be(cdb + 2, 8, lba);
	cdb[13] = blocks;
	return rig_run(rig, 0, cdb, sizeof(cdb), data, out_len);
}

static void test_compare_and_write(void **state)
{
	struct rig *rig = *state;
	struct answer a;

	rig->fake->piece_bytes = 900;
	for (unsigned blocks = 1; blocks <= 255; blocks += 127) {
		size_t half = blocks * 512;

		memset(rig->fake->bytes, 'A', half);
		memset(data, 'A', half);
		memset(data + half, 'B', half);
		assert_good(compare(rig, 0, 0, (uint8_t)blocks, 2 * half));
		assert_int_equal(rig->fake->bytes[0], 'B');
		assert_int_equal(rig->fake->bytes[half - 1], 'B');
		a = compare(rig, 0, 0, (uint8_t)blocks, 2 * half);
		assert_sense(a, SENSE_MISCOMPARE, ASC_MISCOMPARE_DURING_VERIFY);
		assert_int_equal(a.information, 0);
		memset(data, 'B', half);
		data[half - 27] = 'C';
		a = compare(rig, 0, 0, (uint8_t)blocks, 2 * half);
		assert_sense(a, SENSE_MISCOMPARE, ASC_MISCOMPARE_DURING_VERIFY);
		assert_int_equal(a.information, half - 27);
		assert_int_equal(rig->fake->bytes[half - 27], 'B');
	}
	assert_good(compare(rig, 0, 0, 0, 0));
	/* 256 blocks, as libiscsi sends them */
	check_cdb_field(compare(rig, 0, 0, 0, 256 * 1024), 13, -1);
	/* less or more than twice the blocks */
	check_cdb_field(compare(rig, 0, 0, 3, 4 * 512), 13, -1);
	check_cdb_field(compare(rig, 0, 0, 1, 4 * 512), 13, -1);
	assert_sense(compare(rig, 0, RIG_BLOCKS - 1, 2, 2048), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	check_cdb_field(compare(rig, 0x20, 0, 1, 1024), 1, 5);
	memset(data, 'B', 1024);
	assert_good(compare(rig, 0x18, 0, 1, 1024));
	assert_int_equal(rig->fake->fua_writes, 1);
}

static void test_orwrite(void **state)
{
	struct rig *rig = *state;
	uint8_t cdb[16] = { 0x8b };

	rig->fake->piece_bytes = 5000;
	put_be(cdb + 2, 8, 7);
	put_be(cdb + 10, 4, 5000);
	memset(data, 0xa5, 5000 * 512);
	assert_good(rig_run(rig, 0, cdb, sizeof(cdb), data, 5000 * 512));
	assert_memory_equal(rig->fake->bytes + 7 * 512, data, 5000 * 512);
	memset(data, 0x5a, 5000 * 512);
	assert_good(rig_run(rig, 0, cdb, sizeof(cdb), data, 5000 * 512));
	for (unsigned i = 7 * 512; i < 5007 * 512; i++)
		if (rig->fake->bytes[i] != 0xff)
			fail();
	assert_int_equal(rig->fake->bytes[5007 * 512], 0);
	assert_int_equal(rig->fake->longest, 1 << 20);
	put_be(cdb + 10, 4, 0);
	assert_good(rig_run(rig, 0, cdb, sizeof(cdb), NULL, 0));
	put_be(cdb + 2, 8, RIG_BLOCKS + 1);
	assert_sense(rig_run(rig, 0, cdb, sizeof(cdb), NULL, 0), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
}

static void test_threshold(void **state)
{
	struct rig *rig = *state;
	uint8_t list[4 + 24] = { 0 };
	struct answer a = RUN(rig, 0, 0x1a, 0x08, 0x1c, 0x02, 255);

	assert_good(a);
	assert_int_equal(a.in_len, 28);
	memcpy(list + 4, a.in + 4, 24);
	list[4] &= 0x7f;
	assert_int_equal(get_be(list + 6, 2), 20);
	list[4 + 16] |= 0x80;
	put_be(list + 4 + 20, 4, 4); /* 4 MiB */
	assert_good(rig_run(rig, 0, CDB(0x15, 0x10, 0, 0, 28), list, 28));
	rig_take_attentions(rig);
	rig->fake->allocated_bytes = (4 << 20) - 1;
	assert_good(same_16(rig, 0, 0, 4096, 1, 512));
	assert_good(RUN(rig, 0, 0x00));
	rig->fake->allocated_bytes = 4 << 20;
	assert_good(same_16(rig, 0, 0, 4096, 1, 512));
	assert_sense(RUN(rig, 0, 0x00), SENSE_UNIT_ATTENTION, ASC_THIN_PROVISIONING_SOFT_THRESHOLD);
	assert_sense(RUN(rig, 1, 0x00), SENSE_UNIT_ATTENTION, ASC_THIN_PROVISIONING_SOFT_THRESHOLD);
	/* once, until it has been below */
	assert_good(same_16(rig, 0, 0, 4096, 1, 512));
	assert_good(RUN(rig, 0, 0x00));
	a = RUN(rig, 0, 0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 255);
	assert_good(a);
	assert_int_equal(get_be(a.in + 2, 2), 12);
	assert_int_equal(get_be(a.in + 4, 2), 2);
	assert_int_equal(get_be(a.in + 8, 4), 4);
	rig->fake->allocated_bytes = 1;
	assert_good(same_16(rig, 0, 0, 4096, 1, 512));
	rig->fake->allocated_bytes = 5 << 20;
	assert_good(same_16(rig, 0, 0, 4096, 1, 512));
	assert_sense(RUN(rig, 0, 0x00), SENSE_UNIT_ATTENTION, ASC_THIN_PROVISIONING_SOFT_THRESHOLD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unmap, rig_setup, rig_teardown),
		cmocka_unit_test(test_unmap_too_long),
		cmocka_unit_test_setup_teardown(test_write_same, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_write_same_bad, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_write_same_rest, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_anchor, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_unmap_anchor, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_lba_status, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_compare_and_write, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_orwrite, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_threshold, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
