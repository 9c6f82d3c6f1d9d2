// SPDX-License-Identifier: GPL-2.0-or-later
/* Logical units come and go under nexuses: who is told, what goes with them, what waits for them; read-only ones. */
#include "reserve.h"

#include <errno.h>
#include <stdlib.h>

#include "scsi/mode.h"
#include "scsi/sense.h"

enum { LUN = 3, BLOCKS = 4096 };

static const struct scsi_lun_config data = { .physical_exponent = SCSI_PHYSICAL_4096, .serial = "volume-17" };
static uint8_t block[4096];

static struct answer run(struct rig *rig, unsigned nexus, unsigned lun, const uint8_t *cdb, size_t len)
{
	return rig_run_lun(rig, nexus, lun, cdb, len, NULL, 0);
}

#define LUN_RUN(rig, nexus, lun, ...) run(rig, nexus, lun, CDB(__VA_ARGS__))

static void take(struct rig *rig, unsigned lun)
{
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		while (LUN_RUN(rig, i, lun, 0x00).status == SCSI_CHECK_CONDITION)
			;
}

static void add(struct rig *rig, unsigned lun, const struct scsi_lun_config *config)
{
	assert_int_equal(scsi_target_add_lun(rig->target, lun, &rig->second->disk, config), 0);
}

static int setup(void **state)
{
	struct rig *rig;

	rig_setup(state);
	rig = *state;
	rig->second = fake_disk_new(BLOCKS * 512);
	add(rig, LUN, &data);
	rig_take_attentions(rig);
	take(rig, LUN);
	return 0;
}

static void remove_idle(struct rig *rig, unsigned lun)
{
	scsi_target_hold(rig->target, lun);
	assert_true(scsi_target_is_idle(rig->target, lun));
	assert_int_equal(scsi_target_remove_lun(rig->target, lun), 0);
}

static unsigned luns_of(struct rig *rig, unsigned nexus, unsigned lun, uint8_t select)
{
	struct answer a = LUN_RUN(rig, nexus, lun, 0xa0, 0, select, 0, 0, 0, 0, 0, 16, 0);

	assert_good(a);
	assert_int_equal(get_be(a.in, 4), a.in_len - 8);
	return (unsigned)(a.in_len - 8) / 8;
}

static void test_comes_and_goes(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(scsi_target_add_lun(rig->target, LUN, &rig->second->disk, &data), -EEXIST);
	remove_idle(rig, LUN);
	assert_int_equal(scsi_target_remove_lun(rig->target, LUN), -ENOENT);
	assert_int_equal(scsi_target_remove_lun(rig->target, SCSI_LUNS), -ENOENT);
	/* every nexus is told, once */
	for (unsigned i = 0; i < RIG_NEXUSES; i++) {
		assert_sense(RUN(rig, i, 0x00), SENSE_UNIT_ATTENTION, ASC_REPORTED_LUNS_CHANGED);
		assert_good(RUN(rig, i, 0x00));
	}
	assert_int_equal(LUN_RUN(rig, 0, LUN, 0x12, 0, 0, 0, 36).in[0], 0x7f);
	assert_sense(LUN_RUN(rig, 0, LUN, 0x00), SENSE_ILLEGAL_REQUEST, ASC_LOGICAL_UNIT_NOT_SUPPORTED);
	assert_sense(LUN_RUN(rig, 0, LUN, 0x28, 0, 0, 0, 0, 0, 0, 0, 1), SENSE_ILLEGAL_REQUEST,
		     ASC_LOGICAL_UNIT_NOT_SUPPORTED);
	assert_good(LUN_RUN(rig, 0, LUN, 0x03, 0, 0, 0, 18)); /* says so in its data */
	assert_int_equal(luns_of(rig, 0, 0, 0), 1);
	assert_int_equal(luns_of(rig, 0, 0, 1), 1);
	assert_int_equal(luns_of(rig, 0, 0, 2), 2);
	assert_int_equal(luns_of(rig, 0, 0x100, 2), 2); /* from the well-known one */

	add(rig, LUN, &data);
	assert_int_equal(luns_of(rig, 0, 0, 0), 2);
	assert_good(RUN(rig, 0, 0x00)); /* it has looked */
	assert_sense(RUN(rig, 1, 0x00), SENSE_UNIT_ATTENTION, ASC_REPORTED_LUNS_CHANGED);
	for (unsigned i = 0; i < RIG_NEXUSES; i++) {
		assert_sense(LUN_RUN(rig, i, LUN, 0x00), SENSE_UNIT_ATTENTION, ASC_POWER_ON_OR_RESET_OCCURRED);
		assert_good(LUN_RUN(rig, i, LUN, 0x00));
	}
}

/* What waits is answered, what was decoded for one unit does not reach another that has its number by then. */
static void test_tasks(void **state)
{
	struct rig *rig = *state;
	struct cmd running, waiting[3], decoded, aborted;
	struct fake_disk *third = fake_disk_new(BLOCKS * 512);

	rig->lun = LUN;
	cmd_prepare_lun(rig, &running, 0, LUN, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8));
	cmd_prepare_lun(rig, &decoded, 1, LUN, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1));
	cmd_prepare_lun(rig, &aborted, 1, LUN, CDB(0x00));
	cmd_out(&decoded, block, 512);
	cmd_execute(&running);
	scsi_target_hold(rig->target, LUN);
	for (unsigned i = 0; i < 3; i++) {
		cmd_prepare_lun(rig, &waiting[i], i, LUN, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8));
		waiting[i].task.attribute = i ? SCSI_ORDERED : SCSI_HEAD_OF_QUEUE;
		cmd_execute(&waiting[i]);
		assert_int_equal(waiting[i].done, 0);
	}
	assert_false(scsi_target_is_idle(rig->target, LUN));
	fake_disk_run(rig->second);
	assert_int_equal(running.done, 1);
	assert_false(scsi_target_is_idle(rig->target, LUN)); /* lent */
	cmd_release(&running);
	assert_true(scsi_target_is_idle(rig->target, LUN));
	assert_int_equal(scsi_target_remove_lun(rig->target, LUN), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(waiting[i].done, 1);
		assert_sense(answer_of(&waiting[i].task), SENSE_ILLEGAL_REQUEST, ASC_LOGICAL_UNIT_NOT_SUPPORTED);
		cmd_release(&waiting[i]);
	}
	assert_int_equal(scsi_target_add_lun(rig->target, LUN, &third->disk, NULL), 0);
	cmd_execute(&decoded);
	assert_int_equal(decoded.done, 1);
	assert_sense(answer_of(&decoded.task), SENSE_ILLEGAL_REQUEST, ASC_LOGICAL_UNIT_NOT_SUPPORTED);
	cmd_release(&decoded);
	scsi_task_abort(&aborted.task);
	assert_true(aborted.done == 1 && aborted.task.aborted);
	cmd_release(&aborted);
	assert_int_equal(third->pending, 0);
	remove_idle(rig, LUN);
	fake_disk_free(third);
	/* and one whose unit is still there is not disturbed by another that goes */
	rig->lun = 0;
	rig_take_attentions(rig);
	cmd_prepare_read(rig, &decoded, 0, 0);
	add(rig, LUN, &data);
	remove_idle(rig, LUN);
	RUN(rig, 0, 0x00); /* the unit attention */
	cmd_execute(&decoded);
	fake_disk_run(rig->fake);
	assert_int_equal(decoded.task.status, SCSI_GOOD);
	cmd_release(&decoded);
}

static void select_d_sense(struct rig *rig, unsigned lun, uint8_t save)
{
	uint8_t list[16] = { 0, 0, 0, 0, 0x0a, 0x0a, 0x06 };

	list[4 + 9] = SCSI_NO_SPACE_BUSY_MS / 100;
	assert_good(rig_run_lun(rig, 0, lun, CDB(0x15, 0x10 | save, 0, 0, 16), list, 16));
}

static bool has_d_sense(struct rig *rig, unsigned lun)
{
	struct answer a = LUN_RUN(rig, 0, lun, 0x1a, 0x08, 0x0a, 0, 255);

	assert_good(a);
	return a.in[4 + 2] & 0x04;
}

/* What initiators set on a unit ends with it, in memory and in what is kept. */
static void test_nothing_is_inherited(void **state)
{
	struct rig *rig = *state;
	unsigned saves;

	rig->lun = LUN;
	assert_good(reserve_out_flags(rig, 0, REGISTER, 0, 0, A, 0x01));
	assert_good(reserve_out(rig, 0, RESERVE, 3, A, 0));
	select_d_sense(rig, LUN, 1);
	take(rig, LUN);
	saves = rig->saves;
	remove_idle(rig, LUN);
	assert_int_equal(rig->saves, saves + 1); /* written again, without it */
	assert_false(scsi_target_has_registrations(rig->target));
	add(rig, LUN, &data);
	take(rig, LUN);
	assert_false(has_d_sense(rig, LUN));
	reserve_check_keys(rig, 0, NULL, 0);
	reserve_check_held(rig, 0, 0);
	assert_good(LUN_RUN(rig, 2, LUN, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
	/* one on which nothing was set costs no write */
	saves = rig->saves;
	remove_idle(rig, LUN);
	assert_int_equal(rig->saves, saves);
	/* an old style RESERVE */
	add(rig, LUN, &data);
	take(rig, LUN);
	assert_good(LUN_RUN(rig, 1, LUN, 0x16));
	assert_conflict(LUN_RUN(rig, 0, LUN, 0x00));
	remove_idle(rig, LUN);
	add(rig, LUN, &data);
	take(rig, LUN);
}

/* Over a restart what is kept comes back to the same unit, and to no other under its number. */
static void test_kept(void **state)
{
	struct rig *rig = *state;

	rig->lun = LUN;
	rig->second_lun = LUN;
	rig->second_config = data;
	assert_good(reserve_out_flags(rig, 1, REGISTER, 0, 0, B, 0x01));
	select_d_sense(rig, LUN, 1);
	take(rig, LUN);
	rig_restart(rig);
	take(rig, LUN);
	take(rig, 0);
	assert_true(has_d_sense(rig, LUN));
	assert_false(has_d_sense(rig, 0));
	reserve_check_keys(rig, 1, (const uint64_t[]){ B }, 0);
	/* it went while nobody looked, and there is another */
	rig->second_config.serial = "volume-18";
	rig_restart(rig);
	take(rig, LUN);
	assert_false(has_d_sense(rig, LUN));
	reserve_check_keys(rig, 0, NULL, 0);
	rig->second_config.serial = NULL;
	rig_restart(rig);
	take(rig, LUN);
	assert_false(has_d_sense(rig, LUN));
	/* what was saved is old by the time at which initiators are there */
	rig->second_lun = 0;
	rig_restart(rig);
	take(rig, 0);
	add(rig, LUN, &data);
	take(rig, LUN);
	assert_false(has_d_sense(rig, LUN));
	reserve_check_keys(rig, 0, NULL, 0);
}

/* A unit without its own serial number is that of its LUN, as it always was. */
static void test_kept_without_serial(void **state)
{
	struct rig *rig = *state;

	assert_good(reserve_out_flags(rig, 1, REGISTER, 0, 0, B, 0x01));
	select_d_sense(rig, 0, 1);
	rig_restart(rig);
	rig_take_attentions(rig);
	assert_true(has_d_sense(rig, 0));
	reserve_check_keys(rig, 1, (const uint64_t[]){ B }, 0);
}

static void test_closed(void **state)
{
	struct rig *rig = *state;
	struct scsi_lun_config other = data;

	rig->lun = LUN;
	assert_good(reserve_out(rig, 0, REGISTER, 0, 0, A));
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		scsi_nexus_close(rig->nexus[i]);
	memset(rig->nexus, 0, sizeof(rig->nexus));
	assert_int_equal(scsi_target_set_disk(rig->target, LUN, NULL, NULL), 0);
	assert_int_equal(scsi_target_set_disk(rig->target, 0, NULL, NULL), 0);
	other.serial = "volume-18";
	assert_int_equal(scsi_target_set_disk(rig->target, LUN, &rig->second->disk, &other), -ESTALE);
	other = data;
	other.type = SCSI_CDROM;
	assert_int_equal(scsi_target_set_disk(rig->target, LUN, &rig->second->disk, &other), -ESTALE);
	other = data;
	other.physical_exponent = 0;
	other.read_only = true;
	assert_int_equal(scsi_target_set_disk(rig->target, LUN, &rig->second->disk, &other), 0);
	assert_int_equal(scsi_target_set_disk(rig->target, 0, &rig->fake->disk, NULL), 0);
	rig_login(rig, 0);
	LUN_RUN(rig, 0, LUN, 0x00);
	assert_int_equal(LUN_RUN(rig, 0, LUN, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32).in[13], 0);
	assert_int_equal(LUN_RUN(rig, 0, LUN, 0x1a, 0x08, 0x0a, 0, 255).in[2] & 0x80, 0x80);
	reserve_check_keys(rig, 1, (const uint64_t[]){ A }, 1);
	/* a unit may go while nobody is there */
	scsi_nexus_close(rig->nexus[0]);
	rig->nexus[0] = NULL;
	assert_int_equal(scsi_target_set_disk(rig->target, LUN, NULL, NULL), 0);
	assert_int_equal(scsi_target_remove_lun(rig->target, LUN), 0);
	assert_false(scsi_target_has_registrations(rig->target));
}

static void copy_page(struct rig *rig, unsigned lun, uint8_t code, uint8_t page[512], size_t *len)
{
	struct answer a = LUN_RUN(rig, 0, lun, 0x12, 1, code, 2, 0);

	assert_good(a);
	assert_true(a.in_len <= 512);
	memcpy(page, a.in, a.in_len);
	*len = a.in_len;
}

/* Identifiers are those of what lies there, not of the number. LUN 0's are what they always were. */
static void test_identity(void **state)
{
	struct rig *rig = *state;
	uint8_t three[512], seven[512], zero[512];
	size_t three_len, seven_len, len;

	copy_page(rig, LUN, 0x80, three, &len);
	assert_int_equal(len, 4 + 9);
	assert_memory_equal(three + 4, "volume-17", 9);
	copy_page(rig, LUN, 0x83, three, &three_len);
	remove_idle(rig, LUN);
	add(rig, 7, &data);
	copy_page(rig, 7, 0x83, seven, &seven_len);
	assert_int_equal(three_len, seven_len);
	assert_memory_equal(three, seven, three_len);
	copy_page(rig, 0, 0x83, zero, &len);
	assert_memory_equal(zero + 4, "\x01\x03\x00\x08", 4);
	assert_memory_equal(seven + 4, "\x01\x03\x00\x08", 4);
	assert_memory_not_equal(zero + 8, seven + 8, 8);
	assert_non_null(memmem(zero, len, "sanbootd:m1,L,0x0000000000000000", 32));
	assert_non_null(memmem(seven, seven_len, "naa.3", 5));
	copy_page(rig, 0, 0x80, zero, &len);
	assert_memory_equal(zero + 4, "m1-0001", 7);
	assert_int_equal(len, 11);
}

static void test_bad(void **state)
{
	struct rig *rig = *state;
	char serial[SCSI_SERIAL_MAX + 2];
	struct scsi_lun_config config = { .serial = serial };

	memset(serial, 'x', sizeof(serial));
	serial[SCSI_SERIAL_MAX + 1] = '\0';
	assert_int_equal(scsi_target_add_lun(rig->target, 1, &rig->second->disk, &config), -EINVAL);
	serial[SCSI_SERIAL_MAX] = '\0';
	add(rig, 1, &config);
	assert_int_equal(LUN_RUN(rig, 0, 1, 0x12, 1, 0x80, 0, 255).in_len, 4 + SCSI_SERIAL_MAX);
	assert_good(LUN_RUN(rig, 0, 1, 0x12, 1, 0x83, 4, 0));
}

/* ---- read-only ---- */

static void check_read_only(struct rig *rig, unsigned lun)
{
	static const uint8_t writes[][16] = {
		{ 0x0a, 0, 0, 0, 1 },
		{ 0x2a, 0, 0, 0, 0, 0, 0, 0, 1 },
		{ 0xaa, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
		{ 0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
		{ 0x2e, 0, 0, 0, 0, 0, 0, 0, 1 },
		{ 0x41, 0, 0, 0, 0, 0, 0, 0, 1 },
		{ 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
		{ 0x42, 0, 0, 0, 0, 0, 0, 0, 24 },
		{ 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
		{ 0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
	};

	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
		assert_sense(rig_run_lun(rig, 0, lun, writes[i], 16, block, 1024), SENSE_DATA_PROTECT,
			     ASC_WRITE_PROTECTED);
	assert_good(LUN_RUN(rig, 0, lun, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
	assert_good(LUN_RUN(rig, 0, lun, 0x35));
	assert_int_equal(LUN_RUN(rig, 0, lun, 0x1a, 0x08, 0x3f, 0, 255).in[2], 0x90); /* WP, DPOFUA */
	assert_int_equal(LUN_RUN(rig, 0, lun, 0x5a, 0x08, 0x3f, 0, 0, 0, 0, 0, 255).in[3], 0x90);
}

static void test_read_only(void **state)
{
	struct rig *rig = *state;
	struct scsi_lun_config config = data;

	remove_idle(rig, LUN);
	config.read_only = true;
	add(rig, LUN, &config);
	take(rig, LUN);
	check_read_only(rig, LUN);
	remove_idle(rig, LUN);
	/* a disk that is */
	rig->second->disk.read_only = true;
	add(rig, LUN, &data);
	take(rig, LUN);
	check_read_only(rig, LUN);
	assert_int_equal(rig->second->writes + rig->second->zeroes + rig->second->discards + rig->second->flushes, 0);
	/* the other one is not */
	rig_take_attentions(rig);
	assert_good(rig_run_lun(rig, 0, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1), block, 512));
	assert_int_equal(LUN_RUN(rig, 0, 0, 0x1a, 0x08, 0x3f, 0, 255).in[2], 0x10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_comes_and_goes, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_tasks, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_inherited, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_kept, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_kept_without_serial, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_closed, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_identity, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_bad, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
