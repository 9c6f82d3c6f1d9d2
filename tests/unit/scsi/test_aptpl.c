// SPDX-License-Identifier: GPL-2.0-or-later
/* What reservations outlive: the closing of a disk, and with APTPL a restart; what was saved, waited for, damaged. */
#include "reserve.h"

#include <errno.h>

#include "scsi/sense.h"

static void test_aptpl(void **state)
{
	struct rig *rig = *state;

	assert_good(reserve_out_flags(rig, 0, REGISTER, 0, 0, A, 0x01));
	assert_good(reserve_out_flags(rig, 1, REGISTER, 0, 0, B, 0x01));
	assert_good(reserve_out(rig, 1, RESERVE, 6, B, 0));
	assert_int_equal(rig->saves, 3);
	rig_restart(rig);
	rig_take_attentions(rig);
	reserve_check_keys(rig, 2, (const uint64_t[]){ A, B }, 0); /* the generation begins anew */
	reserve_check_held(rig, 6, B);
	assert_conflict(RUN(rig, 2, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
	assert_good(RUN(rig, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
	/* the last REGISTER decides, and what was kept is forgotten */
	assert_good(reserve_out(rig, 0, REGISTER, 0, A, A));
	rig_restart(rig);
	rig_take_attentions(rig);
	reserve_check_keys(rig, 0, NULL, 0);
	/* a new boot of the machine */
	assert_good(reserve_out_flags(rig, 0, REGISTER, 0, 0, A, 0x01));
	assert_good(reserve_out(rig, 0, RESERVE, 8, A, 0));
	scsi_target_clear_reservations(rig->target);
	reserve_check_held(rig, 0, 0);
	rig_restart(rig);
	rig_take_attentions(rig);
	reserve_check_keys(rig, 0, NULL, 0);
	assert_good(RUN(rig, 2, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
}

/* The disk is closed when nobody is logged in, and opened again: no power is lost. */
static void test_closed_disk(void **state)
{
	struct rig *rig = *state;

	assert_false(scsi_target_has_registrations(rig->target));
	assert_good(reserve_out(rig, 0, REGISTER, 0, 0, A));
	assert_good(reserve_out(rig, 1, REGISTER, 0, 0, B));
	assert_good(reserve_out(rig, 1, RESERVE, 6, B, 0));
	assert_true(scsi_target_has_registrations(rig->target));
	assert_int_equal(rig->saves, 0);
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		scsi_nexus_close(rig->nexus[i]);
	assert_int_equal(scsi_target_set_disk(rig->target, 1, NULL, NULL), -ENOENT);
	assert_int_equal(scsi_target_set_disk(rig->target, SCSI_LUNS, NULL, NULL), -ENOENT);
	assert_int_equal(scsi_target_set_disk(rig->target, 0, NULL, NULL), 0);
	rig->fake->disk.size_bytes -= 8 * 512;
	assert_int_equal(scsi_target_set_disk(rig->target, 0, &rig->fake->disk, NULL), 0);
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		rig_login(rig, i);
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		assert_sense(RUN(rig, i, 0x00), SENSE_UNIT_ATTENTION, ASC_POWER_ON_OR_RESET_OCCURRED);
	reserve_check_keys(rig, 2, (const uint64_t[]){ A, B }, 2);
	reserve_check_held(rig, 6, B);
	assert_conflict(RUN(rig, 2, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
	assert_good(RUN(rig, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
	assert_int_equal(get_be(RUN(rig, 0, 0x25).in, 4), RIG_BLOCKS - 9);
	/* a boot that begins while it is closed */
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		scsi_nexus_close(rig->nexus[i]);
	assert_int_equal(scsi_target_set_disk(rig->target, 0, NULL, NULL), 0);
	scsi_target_clear_reservations(rig->target);
	assert_false(scsi_target_has_registrations(rig->target));
	assert_int_equal(scsi_target_set_disk(rig->target, 0, &rig->fake->disk, NULL), 0);
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		rig_login(rig, i);
	rig_take_attentions(rig);
	reserve_check_held(rig, 0, 0);
}

static void test_aptpl_waits(void **state)
{
	struct rig *rig = *state;
	uint8_t list[24] = { 0 };
	struct cmd one, two;

	put_be(list + 8, 8, A);
	list[20] = 1;
	rig->hold_saves = true;
	cmd_prepare(rig, &one, 0, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 24));
	cmd_out(&one, list, 24);
	cmd_execute(&one);
	cmd_prepare(rig, &two, 1, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 24));
	cmd_out(&two, list, 24);
	cmd_execute(&two);
	assert_int_equal(one.done + two.done, 0);
	rig_finish_save(rig);
	assert_int_equal(one.done, 1);
	assert_int_equal(two.done, 0);
	assert_int_equal(rig->saves, 2);
	rig_finish_save(rig);
	assert_int_equal(two.done, 1);
	assert_int_equal(two.task.status, SCSI_GOOD);
	cmd_release(&one);
	cmd_release(&two);
	rig->hold_saves = false;
	rig->save_result = -EIO;
	assert_sense(reserve_out(rig, 0, RESERVE, 1, A, 0), SENSE_HARDWARE_ERROR, ASC_INTERNAL_TARGET_FAILURE);
}

static void test_damaged(void **state)
{
	struct rig *rig = *state;

	assert_good(reserve_out_flags(rig, 0, REGISTER, 0, 0, A, 0x01));
	for (size_t i = 0; i < rig->saved_len; i++) {
		rig->saved[i] ^= 0x10;
		rig_restart(rig);
		rig_take_attentions(rig);
		reserve_check_keys(rig, 0, NULL, 0);
		rig->saved[i] ^= 0x10;
	}
	for (size_t len = rig->saved_len, i = 1; i < len; i++) {
		rig->saved_len = i;
		rig_restart(rig);
		rig_take_attentions(rig);
		reserve_check_keys(rig, 0, NULL, 0);
		rig->saved_len = len;
	}
	rig_restart(rig);
	rig_take_attentions(rig);
	reserve_check_keys(rig, 1, (const uint64_t[]){ A }, 0);
}

static void test_no_aptpl(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, RIG_BLOCKS, false);
	rig_take_attentions(&rig);
	assert_int_equal(reserve_in(&rig, 0, 2).in[2], 0x1c);
	check_parameter_field(reserve_out_flags(&rig, 0, REGISTER, 0, 0, A, 0x01), 20, 0);
	reserve_check_keys(&rig, 0, NULL, 0);
	assert_good(reserve_out(&rig, 0, REGISTER, 0, 0, A));
	scsi_target_clear_reservations(rig.target);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_aptpl, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_closed_disk, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_aptpl_waits, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_damaged, rig_setup, rig_teardown),
		cmocka_unit_test(test_no_aptpl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
