// SPDX-License-Identifier: GPL-2.0-or-later
/* INQUIRY and the vital product data pages; LUNs that are not there, and the well-known one. */
#include "rig.h"

#include "scsi/sense.h"

static void test_standard(void **state)
{
	struct answer a = RUN(*state, 0, 0x12, 0, 0, 0, 255);

	assert_good(a);
	assert_int_equal(a.in_len, 96);
	assert_int_equal(a.in[0], 0);
	assert_int_equal(a.in[1], 0);
	assert_int_equal(a.in[2], 6);
	assert_int_equal(a.in[3] & 0x0f, 2);
	assert_int_equal(a.in[4], 91);
	assert_int_equal(a.in[7], 2);
	assert_memory_equal(a.in + 8, "SANBOOT Diskless Disk   ", 24);
	assert_memory_equal(a.in + 32, "0.1 ", 4);
	assert_int_equal(get_be(a.in + 58, 2), 0x00a0);
	assert_int_equal(get_be(a.in + 60, 2), 0x0460);
	assert_int_equal(get_be(a.in + 62, 2), 0x04c0);
	assert_int_equal(get_be(a.in + 64, 2), 0x0960);
}

static void test_allocation_length(void **state)
{
	for (unsigned len = 0; len < 600; len++) {
		struct answer a = RUN(*state, 0, 0x12, 0, 0, (uint8_t)(len >> 8), (uint8_t)len);

		assert_good(a);
		assert_int_equal(a.in_len, len < 96 ? len : 96);
	}
}

static void test_bad(void **state)
{
	check_cdb_field(RUN(*state, 0, 0x12, 0, 0x80, 0, 255), 2, -1);
	check_cdb_field(RUN(*state, 0, 0x12, 1, 0x81, 0, 255), 2, -1);
	check_cdb_field(RUN(*state, 0, 0x12, 2, 0, 0, 255), 1, 1);	 /* CMDDT is obsolete */
	check_cdb_field(RUN(*state, 0, 0x12, 0, 0, 0, 255, 0x04), 5, 2); /* NACA */
}

static void test_supported_pages(void **state)
{
	static const uint8_t pages[] = { 0x00, 0x80, 0x83, 0x86, 0x8f, 0xb0, 0xb1, 0xb2 };
	struct answer a = RUN(*state, 0, 0x12, 1, 0, 0, 255);

	assert_good(a);
	assert_int_equal(a.in_len, 4 + sizeof(pages));
	assert_int_equal(get_be(a.in + 2, 2), sizeof(pages));
	assert_memory_equal(a.in + 4, pages, sizeof(pages));
	for (size_t i = 0; i < sizeof(pages); i++) {
		a = RUN(*state, 0, 0x12, 1, pages[i], 0x10, 0);
		assert_good(a);
		assert_int_equal(a.in[0], 0);
		assert_int_equal(a.in[1], pages[i]);
		assert_int_equal(a.in_len, 4 + get_be(a.in + 2, 2));
	}
}

static void test_identification(void **state)
{
	bool naa = false, t10 = false, name = false, port = false, group = false, port_name = false,
	     device_name = false;
	struct answer a = RUN(*state, 0, 0x12, 1, 0x83, 0x10, 0);
	size_t at = 4;

	assert_good(a);
	while (at < a.in_len) {
		const uint8_t *d = a.in + at;
		unsigned association = d[1] >> 4 & 3, type = d[1] & 0xf;

		if (association)
			assert_int_equal(d[0] >> 4, 5);
		if (association == 0 && type == 3) {
			assert_int_equal(d[3], 8);
			assert_int_equal(d[4] >> 4, 3);
			naa = true;
		}
		t10 |= association == 0 && type == 1 && memcmp(d + 4, "SANBOOT Diskless Disk   m1-0001", 31) == 0;
		name |= association == 0 && type == 8 &&
			strcmp((const char *)d + 4, "iqn.2026-11.org.example:sanbootd:m1,L,0x0000000000000000") == 0;
		port |= association == 1 && type == 4 && d[7] == 1;
		group |= association == 1 && type == 5;
		port_name |= association == 1 && type == 8 &&
			     strcmp((const char *)d + 4, "iqn.2026-11.org.example:sanbootd:m1,t,0x0001") == 0;
		device_name |= association == 2 && type == 8 &&
			       strcmp((const char *)d + 4, "iqn.2026-11.org.example:sanbootd:m1") == 0;
		at += 4u + d[3];
	}
	assert_int_equal(at, a.in_len);
	assert_true(naa && t10 && name && port && group && port_name && device_name);
	a = RUN(*state, 0, 0x12, 1, 0x80, 0x10, 0);
	assert_memory_equal(a.in + 4, "m1-0001", 7);
	assert_int_equal(a.in_len, 11);
}

static void test_limits(void **state)
{
	struct answer a = RUN(*state, 0, 0x12, 1, 0xb0, 0, 255);

	assert_int_equal(a.in_len, 64);
	assert_int_equal(a.in[4] & 1, 1); /* WSNZ */
	assert_int_equal(a.in[5], 255);
	assert_int_equal(get_be(a.in + 6, 2), 8);
	assert_int_equal(get_be(a.in + 8, 4), 8192);
	assert_int_equal(get_be(a.in + 12, 4), 2048);
	assert_int_equal(get_be(a.in + 20, 4), 1 << 20);
	assert_int_equal(get_be(a.in + 24, 4), 256);
	assert_int_equal(get_be(a.in + 28, 4), 8);
	assert_int_equal(get_be(a.in + 32, 4), 0x80000000);
	assert_int_equal(get_be(a.in + 36, 8), 65528);
	a = RUN(*state, 0, 0x12, 1, 0xb1, 0, 255);
	assert_int_equal(get_be(a.in + 4, 2), 1);
	a = RUN(*state, 0, 0x12, 1, 0xb2, 0, 255);
	assert_int_equal(a.in_len, 8);
	assert_int_equal(a.in[5], 0xe6);
	assert_int_equal(a.in[6] & 7, 2);
	a = RUN(*state, 0, 0x12, 1, 0x86, 0, 255);
	assert_int_equal(a.in_len, 64);
	assert_int_equal(a.in[5], 0x07);
	a = RUN(*state, 0, 0x12, 1, 0x8f, 0, 255);
	assert_int_equal(a.in_len, 12);
	assert_int_equal(get_be(a.in + 4, 2), 1);
}

static struct answer run_lun(struct rig *rig, unsigned lun, const uint8_t *cdb)
{
	return rig_run_lun(rig, 0, lun, cdb, 16, NULL, 0);
}

static void test_wrong_lun(void **state)
{
	struct rig *rig = *state;
	struct answer a = run_lun(rig, 1, (const uint8_t[16]){ 0x12, 0, 0, 0, 96 });

	assert_good(a);
	assert_int_equal(a.in[0], 0x7f);
	assert_sense(run_lun(rig, 1, (const uint8_t[16]){ 0x00 }), SENSE_ILLEGAL_REQUEST,
		     ASC_LOGICAL_UNIT_NOT_SUPPORTED);
	assert_sense(run_lun(rig, 1, (const uint8_t[16]){ 0x28, 0, 0, 0, 0, 0, 0, 0, 1 }), SENSE_ILLEGAL_REQUEST,
		     ASC_LOGICAL_UNIT_NOT_SUPPORTED);
	assert_sense(run_lun(rig, 255, (const uint8_t[16]){ 0xff }), SENSE_ILLEGAL_REQUEST,
		     ASC_LOGICAL_UNIT_NOT_SUPPORTED);
	assert_sense(run_lun(rig, 7, (const uint8_t[16]){ 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 255 }), SENSE_ILLEGAL_REQUEST,
		     ASC_LOGICAL_UNIT_NOT_SUPPORTED);
	assert_good(run_lun(rig, 1, (const uint8_t[16]){ 0x12, 1, 0, 0, 96 }));
	check_cdb_field(run_lun(rig, 1, (const uint8_t[16]){ 0x12, 1, 0x83, 0, 96 }), 2, -1);
	a = run_lun(rig, 1, (const uint8_t[16]){ 0x03, 0, 0, 0, 252 });
	assert_good(a);
	assert_int_equal(a.in[0], 0x70);
	assert_int_equal(a.in[2], SENSE_ILLEGAL_REQUEST);
	assert_int_equal(a.in[12], 0x25);
}

static void test_well_known(void **state)
{
	struct rig *rig = *state;
	struct answer a = run_lun(rig, 0x100, (const uint8_t[16]){ 0x12, 0, 0, 0, 96 });

	assert_good(a);
	assert_int_equal(a.in[0], 0x1e);
	assert_good(run_lun(rig, 0x100, (const uint8_t[16]){ 0x00 }));
	a = run_lun(rig, 0x100, (const uint8_t[16]){ 0xa0, 0, 2, 0, 0, 0, 0, 0, 0, 255 });
	assert_good(a);
	assert_int_equal(a.in_len, 24);
	assert_sense(run_lun(rig, 0x100, (const uint8_t[16]){ 0x28, 0, 0, 0, 0, 0, 0, 0, 1 }), SENSE_ILLEGAL_REQUEST,
		     ASC_INVALID_OPERATION_CODE);
	assert_sense(run_lun(rig, 0x100, (const uint8_t[16]){ 0x25 }), SENSE_ILLEGAL_REQUEST,
		     ASC_INVALID_OPERATION_CODE);
}

/* SAM-5 §4.7.7 */
static void test_addressing(void **state)
{
	struct rig *rig = *state;

	assert_true(scsi_lun_exists(rig->target, (const uint8_t[8]){ 0 }));
	assert_true(scsi_lun_exists(rig->target, (const uint8_t[8]){ 0x40, 0 }));
	assert_true(scsi_lun_exists(rig->target, (const uint8_t[8]){ 0xc1, 1 }));
	assert_false(scsi_lun_exists(rig->target, (const uint8_t[8]){ 0, 1 }));
	assert_false(scsi_lun_exists(rig->target, (const uint8_t[8]){ 1, 0 }));
	assert_false(scsi_lun_exists(rig->target, (const uint8_t[8]){ 0x41, 0 }));
	assert_false(scsi_lun_exists(rig->target, (const uint8_t[8]){ 0, 0, 0, 1 }));
	assert_false(
		scsi_lun_exists(rig->target, (const uint8_t[8]){ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }));
}

static void test_report_luns(void **state)
{
	struct rig *rig = *state;
	struct fake_disk *second = fake_disk_new(1 << 20);
	struct answer a = RUN(rig, 0, 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0);

	assert_good(a);
	assert_int_equal(a.in_len, 16);
	assert_int_equal(get_be(a.in, 4), 8);
	a = RUN(rig, 0, 0xa0, 0, 1, 0, 0, 0, 0, 0, 1, 0);
	assert_int_equal(a.in_len, 16);
	assert_int_equal(get_be(a.in + 8, 2), 0xc101);
	check_cdb_field(RUN(rig, 0, 0xa0, 0, 0x10, 0, 0, 0, 0, 0, 1, 0), 2, -1);
	/* a short allocation length shows the whole length */
	a = RUN(rig, 0, 0xa0, 0, 2, 0, 0, 0, 0, 0, 0, 4);
	assert_int_equal(a.in_len, 4);
	assert_int_equal(get_be(a.in, 4), 16);

	assert_int_equal(scsi_target_add_lun(rig->target, 5, &second->disk, NULL), 0);
	assert_sense(RUN(rig, 1, 0x00), SENSE_UNIT_ATTENTION, ASC_REPORTED_LUNS_CHANGED);
	a = RUN(rig, 0, 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	assert_int_equal(a.in_len, 24);
	assert_int_equal(get_be(a.in + 16, 2), 5);
	assert_good(RUN(rig, 0, 0x00)); /* having looked, it need not be told */
	a = rig_run_lun(rig, 0, 5, CDB(0x12, 1, 0x80, 0, 255), NULL, 0);
	assert_memory_equal(a.in + 4, "m1-0001-5", 9);
	assert_sense(rig_run_lun(rig, 0, 5, CDB(0x00), NULL, 0), SENSE_UNIT_ATTENTION, ASC_POWER_ON_OR_RESET_OCCURRED);
	a = rig_run_lun(rig, 0, 5, CDB(0x25), NULL, 0);
	assert_int_equal(get_be(a.in, 4), 2047);
	rig->target->lus[5]->disk = NULL;
	fake_disk_free(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_standard, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_allocation_length, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_bad, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_supported_pages, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_identification, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_limits, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_wrong_lun, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_well_known, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_addressing, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_report_luns, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
