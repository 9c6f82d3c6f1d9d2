// SPDX-License-Identifier: GPL-2.0-or-later
/* The small commands, the opcode table against REPORT SUPPORTED OPERATION CODES, and every bit that must not be set. */
#include "rig.h"

#include <errno.h>

#include "scsi/opcode_table.h"
#include "scsi/sense.h"

static void test_capacity(void **state)
{
	struct rig *rig = *state;
	struct answer a = RUN(rig, 0, 0x25);

	assert_good(a);
	assert_int_equal(a.in_len, 8);
	assert_int_equal(get_be(a.in, 4), RIG_BLOCKS - 1);
	assert_int_equal(get_be(a.in + 4, 4), 512);
	check_cdb_field(RUN(rig, 0, 0x25, 0, 0, 0, 0, 1), 5, 0);
	check_cdb_field(RUN(rig, 0, 0x25, 0, 0, 0, 0, 0, 0, 0, 1), 8, 0);
	for (unsigned len = 0; len < 40; len++) {
		a = RUN(rig, 0, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)len);
		assert_good(a);
		assert_int_equal(a.in_len, len < 32 ? len : 32);
	}
	assert_int_equal(get_be(a.in, 8), RIG_BLOCKS - 1);
	assert_int_equal(get_be(a.in + 8, 4), 512);
	assert_int_equal(a.in[12], 0);
	assert_int_equal(a.in[13], 3);
	assert_int_equal(a.in[14], 0xc0);
	check_cdb_field(RUN(rig, 0, 0x9e, 0x11), 1, 4);
	/* more than 2 TiB */
	rig->target->lus[0]->blocks = 0x100000001;
	assert_int_equal(get_be(RUN(rig, 0, 0x25).in, 4), 0xffffffff);
	rig->target->lus[0]->blocks = 0x100000000;
	assert_int_equal(get_be(RUN(rig, 0, 0x25).in, 4), 0xffffffff);
	assert_int_equal(get_be(RUN(rig, 0, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32).in, 8), 0xffffffff);
}

static void test_request_sense(void **state)
{
	struct rig *rig = *state;
	struct answer a = RUN(rig, 0, 0x03, 0, 0, 0, 252);

	assert_good(a);
	assert_int_equal(a.in_len, 18);
	assert_int_equal(a.in[0], 0x70);
	assert_int_equal(a.in[2], 0);
	a = RUN(rig, 0, 0x03, 1, 0, 0, 252);
	assert_int_equal(a.in_len, 8);
	assert_int_equal(a.in[0], 0x72);
	scsi_lun_reset(rig->target, (const uint8_t[8]){ 0 }, rig->nexus[0]);
	a = RUN(rig, 0, 0x03, 0, 0, 0, 252);
	assert_int_equal(a.in[2], SENSE_UNIT_ATTENTION);
	assert_int_equal(get_be(a.in + 12, 2), ASC_BUS_DEVICE_RESET_OCCURRED);
	assert_good(RUN(rig, 0, 0x00)); /* reported, so gone */
}

static void test_start_stop(void **state)
{
	struct rig *rig = *state;

	assert_good(RUN(rig, 0, 0x1b, 0, 0, 0, 0));
	assert_int_equal(rig->fake->flushes, 1);
	assert_good(RUN(rig, 0, 0x00)); /* a stopped disk still serves the next boot */
	assert_good(RUN(rig, 0, 0x1b, 1, 0, 0, 1));
	assert_good(RUN(rig, 0, 0x1b, 0, 0, 0, 0x04)); /* NO_FLUSH */
	assert_int_equal(rig->fake->flushes, 1);
	check_cdb_field(RUN(rig, 0, 0x1b, 0, 0, 0, 0x02), 4, 1);
	check_cdb_field(RUN(rig, 0, 0x1b, 0, 0, 0, 0x03), 4, 1);
	assert_good(RUN(rig, 0, 0x1b, 0, 0, 0, 0x10));
	assert_good(RUN(rig, 0, 0x1b, 0, 0, 0, 0x70));
	check_cdb_field(RUN(rig, 0, 0x1b, 0, 0, 0, 0x30), 4, 7);
	rig->fake->fail_op = DISK_FLUSH;
	rig->fake->fail_result = -EIO;
	assert_sense(RUN(rig, 0, 0x1b, 0, 0, 0, 0), SENSE_MEDIUM_ERROR, ASC_WRITE_ERROR);
}

static void test_cache(void **state)
{
	struct rig *rig = *state;

	assert_good(RUN(rig, 0, 0x35));
	assert_good(RUN(rig, 0, 0x35, 0x02, 0, 0, 0, 1, 0, 0, 8));
	assert_good(RUN(rig, 0, 0x91));
	assert_int_equal(rig->fake->flushes, 3);
	assert_sense(RUN(rig, 0, 0x35, 0, 0, 1, 0, 0, 0, 0, 1), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	assert_good(RUN(rig, 0, 0x34, 0, 0, 0, 0, 1, 0, 0, 1));
	assert_good(RUN(rig, 0, 0x34, 0x02, 0, 0, 0, 0, 3, 0, 1)); /* IMMED, GROUP NUMBER */
	assert_good(RUN(rig, 0, 0x34, 0, 0, 0, 0, 0, 0, 0, 0));	   /* to the end, as far as it goes */
	assert_good(RUN(rig, 0, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9));
	assert_int_equal(rig->fake->reads, 4);
	assert_sense(RUN(rig, 0, 0x34, 0, 0, 1, 0, 1, 0, 0, 0), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	assert_sense(RUN(rig, 0, 0x90, 0, 0x80), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
}

static void test_lists(void **state)
{
	struct rig *rig = *state;
	struct answer a = RUN(rig, 0, 0x37, 0, 0x1d, 0, 0, 0, 0, 0, 32);

	assert_good(a);
	assert_int_equal(a.in_len, 4);
	assert_int_equal(a.in[1], 0x1d);
	assert_int_equal(get_be(a.in + 2, 2), 0);
	a = RUN(rig, 0, 0xb7, 0x18, 0, 0, 0, 0, 0, 0, 0, 32);
	assert_good(a);
	assert_int_equal(a.in_len, 8);
	assert_int_equal(a.in[1], 0x18);
	assert_int_equal(get_be(a.in + 4, 4), 0);
	assert_good(RUN(rig, 0, 0x1d, 0x04));
	assert_good(RUN(rig, 0, 0x1d, 0x10));
	check_cdb_field(RUN(rig, 0, 0x1d, 0x20), 1, 5);
	check_cdb_field(RUN(rig, 0, 0x1d, 0x10, 0, 0, 4), 4, 2);
	a = RUN(rig, 0, 0x1c, 0x01, 0, 0, 255);
	assert_good(a);
	assert_int_equal(a.in_len, 5);
	assert_int_equal(get_be(a.in + 2, 2), 1);
	check_cdb_field(RUN(rig, 0, 0x1c, 0x01, 0x40, 0, 255), 2, -1);
	assert_good(RUN(rig, 0, 0x1e));
	assert_good(RUN(rig, 0, 0x1e, 0, 0, 0, 1));
	check_cdb_field(RUN(rig, 0, 0x1e, 0, 0, 0, 2), 4, 1);
	a = RUN(rig, 0, 0x4d, 0, 0x40, 0, 0, 0, 0, 0, 255);
	assert_good(a);
	assert_memory_equal(a.in, "\0\0\0\2\0\x0c", 6);
	a = RUN(rig, 0, 0x4d, 0, 0x40, 0xff, 0, 0, 0, 0, 255);
	assert_good(a);
	assert_int_equal(a.in_len, 10);
	check_cdb_field(RUN(rig, 0, 0x4d, 0, 0x6f, 0, 0, 0, 0, 0, 255), 2, 5);
	check_cdb_field(RUN(rig, 0, 0x4d, 0, 0x80, 0, 0, 0, 0, 0, 255), 2, 7);
	check_cdb_field(RUN(rig, 0, 0x4d, 0, 0x4c, 1, 0, 0, 0, 0, 255), 3, -1);
}

static void test_unknown(void **state)
{
	struct rig *rig = *state;

	for (unsigned code = 0; code < 256; code++) {
		struct answer a;

		if (opcode_find_code((uint8_t)code, OPCODE_DISK))
			continue;
		a = RUN(rig, 0, (uint8_t)code, 0xff, 0xff, 0xff, 0xff);
		assert_sense(a, SENSE_ILLEGAL_REQUEST, ASC_INVALID_OPERATION_CODE);
		assert_false(a.has_field);
	}
	check_cdb_field(RUN(rig, 0, 0x5e, 0x04), 1, 4);
	check_cdb_field(RUN(rig, 0, 0x5f, 0x1f), 1, 4);
	check_cdb_field(RUN(rig, 0, 0xa3, 0x05), 1, 4);
	/* a CDB that is cut off */
	assert_sense(rig_run(rig, 0, (const uint8_t[6]){ 0x28 }, 6, NULL, 0), SENSE_ILLEGAL_REQUEST,
		     ASC_INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT);
}

/* SPC-4 §6.35.3: each bit that the usage mask does not have makes the command fail, and is pointed at. */
static void test_every_illegal_bit(void **state)
{
	struct rig *rig = *state;
	unsigned bits = 0;

	for (size_t i = 0; i < opcode_count; i++) {
		const struct opcode *op = &opcode_table[i];

		if (i)
			assert_true(op->code > op[-1].code ||
				    (op->code == op[-1].code &&
				     (op->action > op[-1].action || !(op->types & op[-1].types))));
		if (!(op->types & OPCODE_DISK))
			continue;
		for (unsigned byte = 1; byte < op->cdb_bytes; byte++)
			for (unsigned bit = 0; bit < 8; bit++) {
				uint8_t cdb[16] = { op->code };

				if (op->action >= 0)
					cdb[1] = (uint8_t)op->action;
				if (op->usage[byte] & 1u << bit || (op->action >= 0 && byte == 1 && bit < 5))
					continue;
				cdb[byte] |= (uint8_t)(1u << bit);
				check_cdb_field(rig_run(rig, 0, cdb, sizeof(cdb), NULL, 0), byte, (int)bit);
				bits++;
			}
	}
	assert_true(bits > 1000);
}

static struct answer report_codes(struct rig *rig, uint8_t options, uint8_t code, uint16_t action, uint32_t allocation)
{
	uint8_t cdb[16] = { 0xa3, 0x0c, options, code };

	put_be(cdb + 4, 2, action);
	put_be(cdb + 6, 4, allocation);
	return rig_run(rig, 0, cdb, sizeof(cdb), NULL, 0);
}

static void test_report_codes(void **state)
{
	struct rig *rig = *state;
	struct answer a = report_codes(rig, 0, 0, 0, 65535);
	size_t count = 0;

	for (size_t i = 0; i < opcode_count; i++)
		count += (opcode_table[i].types & OPCODE_DISK) != 0;
	assert_good(a);
	assert_int_equal(a.in_len, 4 + 8 * count);
	assert_int_equal(get_be(a.in, 4), 8 * count);
	assert_int_equal(a.in[5 + 4] & 0x02, 0);
	a = report_codes(rig, 0x80, 0, 0, UINT32_MAX);
	assert_int_equal(a.in_len, 4 + 20 * count);
	assert_int_equal(a.in[4 + 5] & 0x02, 0x02);
	assert_int_equal(get_be(a.in + 4 + 8, 2), 10);
	for (size_t i = 0; i < opcode_count; i++) {
		const struct opcode *op = &opcode_table[i];
		bool with_action = op->action >= 0;
		uint16_t action = with_action ? (uint16_t)op->action : 0;

		if (!(op->types & OPCODE_DISK))
			continue;
		a = report_codes(rig, with_action ? 2 : 1, op->code, action, 255);
		assert_good(a);
		assert_int_equal(a.in[1], 3);
		assert_int_equal(get_be(a.in + 2, 2), op->cdb_bytes);
		assert_int_equal(a.in_len, 4u + op->cdb_bytes);
		assert_int_equal(a.in[4], op->code);
		if (with_action)
			assert_int_equal(a.in[5] & 0x1f, action);
		assert_int_equal(a.in[4 + op->cdb_bytes - 1], 0); /* CONTROL: no NACA */
		check_cdb_field(report_codes(rig, with_action ? 1 : 2, op->code, action, 255), 3, -1);
		a = report_codes(rig, 0x83, op->code, action, 255);
		assert_good(a);
		assert_int_equal(a.in[1], 0x83);
		assert_int_equal(a.in_len, 16u + op->cdb_bytes);
	}
	a = report_codes(rig, 1, 0xc0, 0, 255);
	assert_good(a);
	assert_int_equal(a.in_len, 4);
	assert_int_equal(a.in[1], 1);
	assert_int_equal(report_codes(rig, 2, 0x9e, 0x11, 255).in[1], 1);
	assert_int_equal(report_codes(rig, 2, 0x9e, 0x110, 255).in[1], 1);
	assert_int_equal(report_codes(rig, 2, 0xc0, 0x11, 255).in[1], 1);
	assert_int_equal(report_codes(rig, 3, 0x28, 1, 255).in[1], 1);
	check_cdb_field(report_codes(rig, 4, 0x28, 0, 255), 2, 2);
	/* as libiscsi looks at DPO and FUA */
	assert_int_equal(report_codes(rig, 1, 0x28, 0, 255).in[5] & 0x18, 0x18);
	a = RUN(rig, 0, 0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 255);
	assert_good(a);
	assert_int_equal(a.in_len, 4);
	assert_int_equal(a.in[0], 0xda);
	a = RUN(rig, 0, 0xa3, 0x0d, 0x80, 0, 0, 0, 0, 0, 0, 255);
	assert_int_equal(a.in_len, 16);
	assert_int_equal(a.in[3], 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_capacity, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_request_sense, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_start_stop, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_cache, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_lists, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_unknown, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_every_illegal_bit, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_report_codes, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
