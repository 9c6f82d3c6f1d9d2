// SPDX-License-Identifier: GPL-2.0-or-later
/* MODE SENSE and MODE SELECT, 6 and 10: every page in every control, what may change and what may not, saving. */
#include "rig.h"

#include <errno.h>

#include "scsi/sense.h"

enum { CURRENT = 0x00, CHANGEABLE = 0x40, DEFAULT = 0x80, SAVED = 0xc0 };

static struct answer sense_6(struct rig *rig, uint8_t dbd, uint8_t page, uint8_t subpage)
{
	return RUN(rig, 0, 0x1a, dbd, page, subpage, 255);
}

static struct answer select_6(struct rig *rig, unsigned nexus, uint8_t flags, const uint8_t *list, size_t len)
{
	return rig_run(rig, nexus, CDB(0x15, flags, 0, 0, (uint8_t)len), list, len);
}

/* A list of one page, as MODE SENSE shows it now. */
static size_t list_of(struct rig *rig, uint8_t page, uint8_t subpage, uint8_t *list)
{
	struct answer a = sense_6(rig, 0x08, page, subpage);

	assert_good(a);
	memcpy(list, a.in, a.in_len);
	memset(list, 0, 4);
	list[4] &= 0x7f;
	return a.in_len;
}

static void test_sense(void **state)
{
	static const struct {
		uint8_t page, subpage;
		size_t bytes;
	} pages[] = { { 1, 0, 12 },    { 8, 0, 20 },	   { 0x0a, 0, 12 }, { 0x1c, 0, 12 },
		      { 0x1c, 2, 24 }, { 0x1c, 0xff, 36 }, { 0x3f, 0, 56 }, { 0x3f, 0xff, 80 } };
	static const uint8_t controls[] = { CURRENT, CHANGEABLE, DEFAULT, SAVED };
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		for (size_t c = 0; c < sizeof(controls); c++) {
			uint8_t page = pages[i].page | controls[c];
			struct answer a = sense_6(rig, 0x08, page, pages[i].subpage);

			assert_good(a);
			assert_int_equal(a.in_len, 4 + pages[i].bytes);
			assert_int_equal(a.in[0], a.in_len - 1);
			assert_int_equal(a.in[2], 0x10);
			assert_int_equal(a.in[3], 0);
			a = sense_6(rig, 0, page, pages[i].subpage);
			assert_int_equal(a.in_len, 12 + pages[i].bytes);
			assert_int_equal(a.in[3], 8);
			assert_int_equal(get_be(a.in + 4, 4), RIG_BLOCKS);
			assert_int_equal(get_be(a.in + 9, 3), 512);
			a = RUN(rig, 0, 0x5a, 0x08, page, pages[i].subpage, 0, 0, 0, 1, 0);
			assert_int_equal(a.in_len, 8 + pages[i].bytes);
			assert_int_equal(get_be(a.in, 2), a.in_len - 2);
			a = RUN(rig, 0, 0x5a, 0x10, page, pages[i].subpage, 0, 0, 0, 1, 0);
			assert_int_equal(a.in_len, 24 + pages[i].bytes);
			assert_int_equal(a.in[4], 1);
			assert_int_equal(get_be(a.in + 6, 2), 16);
			assert_int_equal(get_be(a.in + 8, 8), RIG_BLOCKS);
			assert_int_equal(get_be(a.in + 20, 4), 512);
		}
	check_cdb_field(sense_6(rig, 0, 0x02, 0), 2, 5);
	check_cdb_field(sense_6(rig, 0, 0x08, 1), 3, -1);
	assert_int_equal(sense_6(rig, 8, 0x08, 0).in[4 + 2], 0x04);
	assert_int_equal(sense_6(rig, 8, 0x08 | CHANGEABLE, 0).in[4 + 2], 0x04);
	assert_int_equal(sense_6(rig, 8, 0x0a | CHANGEABLE, 0).in[4 + 2], 0x04);
	assert_int_equal(sense_6(rig, 8, 0x0a | CHANGEABLE, 0).in[4 + 4], 0x08);
	assert_int_equal(sense_6(rig, 8, 0x08, 0).in[4], 0x88); /* PS */
	assert_int_equal(sense_6(rig, 8, 0x01, 0).in[4], 0x01);
	/* an allocation length that cuts */
	assert_int_equal(RUN(rig, 0, 0x1a, 0, 0x3f, 0, 4).in_len, 4);
	assert_int_equal(RUN(rig, 0, 0x1a, 0, 0x3f, 0, 4).in[0], 67);
}

static void test_select(void **state)
{
	struct rig *rig = *state;
	uint8_t list[64];
	struct answer a;
	size_t len = list_of(rig, 0x0a, 0, list);

	list[4 + 2] |= 0x04; /* D_SENSE */
	assert_good(select_6(rig, 1, 0x10, list, len));
	/* the others are told, once; the one who did it is not */
	assert_good(RUN(rig, 1, 0x00));
	a = RUN(rig, 0, 0x00);
	assert_sense(a, SENSE_UNIT_ATTENTION, ASC_MODE_PARAMETERS_CHANGED);
	assert_good(RUN(rig, 0, 0x00));
	/* descriptor format now, field pointer and all; the rig takes either */
	check_cdb_field(RUN(rig, 0, 0x12, 0, 1), 2, -1);
	assert_int_equal(sense_6(rig, 8, 0x0a, 0).in[4 + 2] & 0x04, 0x04);
	assert_int_equal(sense_6(rig, 8, 0x0a | DEFAULT, 0).in[4 + 2] & 0x04, 0);
	assert_int_equal(sense_6(rig, 8, 0x0a | SAVED, 0).in[4 + 2] & 0x04, 0);
	/* an LBA beyond 32 bits fits */
	rig->target->lus[0]->blocks = 1ull << 40;
	rig->fake->fail_op = DISK_READ;
	rig->fake->fail_result = -EIO;
	rig->fake->fail_offset = 0x123456789a * 512;
	a = RUN(rig, 0, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
	assert_int_equal(a.information, 0x123456789a);
	rig->target->lus[0]->blocks = RIG_BLOCKS;
	/* no change, no unit attention */
	len = list_of(rig, 0x0a, 0, list);
	assert_good(select_6(rig, 1, 0x10, list, len));
	rig_take_attentions(rig);
	assert_good(select_6(rig, 1, 0x10, list, len));
	assert_good(RUN(rig, 0, 0x00));
}

static void test_swp(void **state)
{
	struct rig *rig = *state;
	uint8_t list[64];
	size_t len = list_of(rig, 0x0a, 0, list);

	list[4 + 4] |= 0x08;
	assert_good(select_6(rig, 0, 0x10, list, len));
	assert_int_equal(sense_6(rig, 8, 0x0a, 0).in[2], 0x90);
	assert_sense(rig_run(rig, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1), list, 512), SENSE_DATA_PROTECT,
		     ASC_SOFTWARE_WRITE_PROTECTED);
	assert_good(RUN(rig, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
	/* a reset brings back what is saved */
	scsi_lun_reset(rig->target, (const uint8_t[8]){ 0 }, rig->nexus[0]);
	rig_take_attentions(rig);
	assert_int_equal(sense_6(rig, 8, 0x0a, 0).in[2], 0x10);
}

static void test_select_bad(void **state)
{
	struct rig *rig = *state;
	uint8_t list[128];
	size_t len = list_of(rig, 0x08, 0, list);

	list[4 + 2] |= 0x01; /* RCD cannot be changed */
	check_parameter_field(select_6(rig, 0, 0x10, list, len), 4 + 2, 0);
	list[4 + 2] &= 0xfe;
	assert_sense(select_6(rig, 0, 0x10, list, len - 1), SENSE_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
	assert_sense(select_6(rig, 0, 0x10, list, 5), SENSE_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
	assert_sense(select_6(rig, 0, 0x10, list, 3), SENSE_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
	assert_sense(rig_run(rig, 0, CDB(0x15, 0x10, 0, 0, (uint8_t)len), list, len - 2), SENSE_ILLEGAL_REQUEST,
		     ASC_PARAMETER_LIST_LENGTH_ERROR);
	check_cdb_field(select_6(rig, 0, 0x00, list, len), 1, 4); /* PF=0 */
	assert_good(select_6(rig, 0, 0x10, list, 0));
	assert_good(select_6(rig, 0, 0x10, list, 4));
	list[4 + 1] = 0x13; /* page length */
	check_parameter_field(select_6(rig, 0, 0x10, list, len), 4 + 1, -1);
	list[4 + 1] = 0x12;
	list[4] = 0x02; /* no such page */
	check_parameter_field(select_6(rig, 0, 0x10, list, len), 4, 5);
	list[4] = 0x08;
	list[1] = 1; /* medium type */
	check_parameter_field(select_6(rig, 0, 0x10, list, len), 1, -1);
	list[1] = 0;
	list[3] = 4; /* block descriptor length */
	check_parameter_field(select_6(rig, 0, 0x10, list, len), 3, -1);
	list[3] = 8;
	assert_sense(select_6(rig, 0, 0x10, list, 8), SENSE_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
	/* a subpage where there is none, and a page without its subpage header */
	memset(list, 0, sizeof(list));
	list[4] = 0x48;
	check_parameter_field(select_6(rig, 0, 0x10, list, 24), 4, 5);
	list[4] = 0x5c;
	assert_sense(select_6(rig, 0, 0x10, list, 6), SENSE_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
	assert_good(RUN(rig, 1, 0x00)); /* nothing of it has changed anything */
}

static void test_descriptors(void **state)
{
	struct rig *rig = *state;
	uint8_t list[128] = { 0 };

	list[3] = 8;
	assert_good(select_6(rig, 0, 0x10, list, 12));
	put_be(list + 4, 4, RIG_BLOCKS);
	put_be(list + 9, 3, 512);
	assert_good(select_6(rig, 0, 0x10, list, 12));
	put_be(list + 4, 4, 0xffffffff);
	assert_good(select_6(rig, 0, 0x10, list, 12));
	put_be(list + 4, 4, 77);
	check_parameter_field(select_6(rig, 0, 0x10, list, 12), 4, -1);
	put_be(list + 4, 4, 0);
	put_be(list + 9, 3, 4096);
	check_parameter_field(select_6(rig, 0, 0x10, list, 12), 9, -1);
	memset(list, 0, sizeof(list));
	list[4] = 1; /* LONGLBA */
	list[7] = 16;
	put_be(list + 8, 8, RIG_BLOCKS);
	put_be(list + 20, 4, 512);
	assert_good(rig_run(rig, 0, CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, 24), list, 24));
	put_be(list + 20, 4, 520);
	check_parameter_field(rig_run(rig, 0, CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, 24), list, 24), 20, -1);
	list[7] = 8;
	check_parameter_field(rig_run(rig, 0, CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, 24), list, 24), 6, -1);
}

static void test_save(void **state)
{
	struct rig *rig = *state;
	uint8_t list[64];
	size_t len = list_of(rig, 0x08, 0, list);

	list[4 + 2] = 0; /* WCE off */
	assert_good(select_6(rig, 0, 0x11, list, len));
	assert_int_equal(rig->saves, 1);
	assert_int_equal(sense_6(rig, 8, 0x08 | SAVED, 0).in[4 + 2], 0);
	assert_int_equal(sense_6(rig, 8, 0x08 | DEFAULT, 0).in[4 + 2], 0x04);
	rig_restart(rig);
	rig_take_attentions(rig);
	assert_int_equal(sense_6(rig, 8, 0x08, 0).in[4 + 2], 0);
	rig->save_result = -EIO;
	assert_sense(select_6(rig, 0, 0x11, list, len), SENSE_HARDWARE_ERROR, ASC_INTERNAL_TARGET_FAILURE);
}

static void test_no_saving(void **state)
{
	uint8_t list[64];
	struct rig rig;
	size_t len;

	(void)state;
	rig_init(&rig, RIG_BLOCKS, false);
	rig_take_attentions(&rig);
	assert_sense(sense_6(&rig, 8, 0x08 | SAVED, 0), SENSE_ILLEGAL_REQUEST, ASC_SAVING_NOT_SUPPORTED);
	len = list_of(&rig, 0x08, 0, list);
	check_cdb_field(select_6(&rig, 0, 0x11, list, len), 1, 0);
	assert_good(select_6(&rig, 0, 0x10, list, len));
	assert_int_equal(sense_6(&rig, 8, 0x08, 0).in[4], 0x08); /* no PS */
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sense, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_select, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_swp, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_select_bad, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_descriptors, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_save, rig_setup, rig_teardown),
		cmocka_unit_test(test_no_saving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
