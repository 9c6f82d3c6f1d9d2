// SPDX-License-Identifier: GPL-2.0-or-later
/* The task set: order, attributes, atomic commands, unit attentions, a target freed from inside. */
#include "rig.h"

#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "scsi/sense.h"

static uint8_t block_b[512];

static int setup(void **state)
{
	memset(block_b, 'b', sizeof(block_b));
	return rig_setup(state);
}

static void test_decode(void **state)
{
	struct rig *rig = *state;
	struct cmd cmd;

	cmd_prepare(rig, &cmd, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8));
	assert_int_equal(cmd.task.direction, SCSI_DATA_IN);
	assert_int_equal(cmd.task.data_in_len, 4096);
	assert_int_equal(cmd.task.data_out_len, 0);
	cmd_release(&cmd); /* instead of execute */
	/* a bad CDB has no data phase */
	cmd_prepare(rig, &cmd, 0, CDB(0x2a, 0x20, 0, 0, 0, 0, 0, 0, 8));
	assert_int_equal(cmd.task.direction, SCSI_NO_DATA);
	assert_int_equal(cmd.task.data_out_len, 0);
	cmd_release(&cmd);
	cmd_prepare(rig, &cmd, 0, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3));
	assert_int_equal(cmd.task.data_out_len, 3072);
	cmd_release(&cmd);
	cmd_prepare(rig, &cmd, 0, CDB(0x93, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3));
	assert_int_equal(cmd.task.direction, SCSI_NO_DATA);
	cmd_release(&cmd);
	cmd_prepare(rig, &cmd, 0, CDB(0xa3, 0x0c, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff));
	assert_int_equal(cmd.task.data_in_len, 65536);
	cmd_release(&cmd);
	assert_int_equal(rig->nexus[0]->tasks, 0);
}

static void test_parallel(void **state)
{
	struct rig *rig = *state;
	struct cmd reads[8];

	for (unsigned i = 0; i < 8; i++) {
		cmd_prepare_read(rig, &reads[i], 0, i);
		cmd_execute(&reads[i]);
	}
	assert_int_equal(rig->fake->pending, 8); /* all at once: the disk orders what overlaps */
	fake_disk_run(rig->fake);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(reads[i].done, 1);
		assert_int_equal(reads[i].task.in_len, 512);
		cmd_release(&reads[i]);
	}
}

/* SAM-5 §8.6 */
static void test_ordered(void **state)
{
	struct rig *rig = *state;
	struct cmd first, ordered, later, head;

	cmd_prepare_read(rig, &first, 0, 0);
	cmd_execute(&first);
	cmd_prepare_read(rig, &ordered, 0, 1);
	ordered.task.attribute = SCSI_ORDERED;
	cmd_execute(&ordered);
	cmd_prepare_read(rig, &later, 1, 2);
	cmd_execute(&later);
	cmd_prepare_read(rig, &head, 1, 3);
	head.task.attribute = SCSI_HEAD_OF_QUEUE;
	cmd_execute(&head);
	assert_int_equal(rig->fake->pending, 2); /* the first and the head */
	fake_disk_step(rig->fake);
	assert_int_equal(first.done, 1);
	assert_int_equal(rig->fake->pending, 1);
	assert_int_equal(rig->target->lus[0]->waiting, 2);
	fake_disk_step(rig->fake);
	assert_int_equal(head.done, 1);
	assert_int_equal(ordered.done, 0);
	assert_int_equal(rig->fake->pending, 1);
	fake_disk_step(rig->fake);
	assert_int_equal(ordered.done, 1);
	assert_int_equal(later.done, 0);
	fake_disk_step(rig->fake);
	assert_int_equal(later.done, 1);
	cmd_release(&first);
	cmd_release(&ordered);
	cmd_release(&later);
	cmd_release(&head);
	assert_int_equal(rig->target->lus[0]->task_count, 0);
	assert_int_equal(rig->target->lus[0]->barriers, 0);
}

static void test_ordered_chain(void **state)
{
	struct rig *rig = *state;
	struct cmd cmds[32];

	for (unsigned i = 0; i < 32; i++) {
		if (i % 3 == 2)
			cmd_prepare(rig, &cmds[i], 0, CDB(0x00)); /* ends at once where it may start */
		else
			cmd_prepare_read(rig, &cmds[i], 0, i);
		cmds[i].task.attribute = i % 4 == 1 ? SCSI_ORDERED : SCSI_SIMPLE;
		cmd_execute(&cmds[i]);
	}
	fake_disk_run(rig->fake);
	for (unsigned i = 0; i < 32; i++) {
		assert_int_equal(cmds[i].done, 1);
		cmd_release(&cmds[i]);
	}
	assert_int_equal(rig->target->lus[0]->waiting, 0);
}

static void test_aca(void **state)
{
	struct rig *rig = *state;
	struct cmd cmd;

	cmd_prepare(rig, &cmd, 0, CDB(0x00));
	cmd.task.attribute = SCSI_ACA;
	cmd_execute(&cmd);
	assert_sense(answer_of(&cmd.task), SENSE_ILLEGAL_REQUEST, ASC_INVALID_MESSAGE_ERROR);
	cmd_release(&cmd);
}

/* Nothing comes between the halves of COMPARE AND WRITE. */
static void test_atomic(void **state)
{
	struct rig *rig = *state;
	struct cmd compare, over, beside, second;
	uint8_t both[1024];

	memset(both, 0, 512);
	memset(both + 512, 'a', 512);
	cmd_prepare(rig, &compare, 0, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1));
	cmd_out(&compare, both, sizeof(both));
	cmd_execute(&compare);
	cmd_prepare(rig, &second, 1, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1));
	cmd_out(&second, both, sizeof(both));
	cmd_execute(&second);
	cmd_prepare_write(rig, &over, 1, 5, block_b);
	cmd_execute(&over);
	cmd_prepare_write(rig, &beside, 1, 6, block_b);
	cmd_execute(&beside);
	assert_int_equal(rig->fake->pending, 2); /* its read, and what does not touch it */
	fake_disk_run(rig->fake);
	assert_int_equal(compare.task.status, SCSI_GOOD);
	assert_sense(answer_of(&second.task), SENSE_MISCOMPARE, ASC_MISCOMPARE_DURING_VERIFY);
	assert_int_equal(over.task.status, SCSI_GOOD);
	assert_int_equal(rig->fake->bytes[5 * 512], 'b');
	assert_int_equal(rig->fake->bytes[6 * 512], 'b');
	cmd_release(&compare);
	cmd_release(&second);
	cmd_release(&over);
	cmd_release(&beside);
}

/* UNMAP's blocks are in its parameters: it waits for anything atomic. */
static void test_atomic_and_unmap(void **state)
{
	struct rig *rig = *state;
	uint8_t both[1024] = { 0 }, list[24] = { 0 };
	struct cmd compare, unmap;

	put_be(list, 2, 22);
	put_be(list + 2, 2, 16);
	put_be(list + 8, 8, 5);
	put_be(list + 16, 4, 1);
	memset(both + 512, 'a', 512);
	cmd_prepare(rig, &compare, 0, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1));
	cmd_out(&compare, both, sizeof(both));
	cmd_execute(&compare);
	cmd_prepare(rig, &unmap, 0, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 24));
	cmd_out(&unmap, list, sizeof(list));
	cmd_execute(&unmap);
	assert_int_equal(rig->fake->pending, 1);
	fake_disk_run(rig->fake);
	assert_int_equal(compare.task.status, SCSI_GOOD);
	assert_int_equal(unmap.task.status, SCSI_GOOD);
	assert_int_equal(rig->fake->bytes[5 * 512], 0);
	cmd_release(&compare);
	cmd_release(&unmap);
}

static void test_attentions(void **state)
{
	struct rig *rig = *state;

	rig_restart(rig);
	/* exempt, and they leave it in place (SAM-5 §5.14) */
	assert_good(RUN(rig, 0, 0x12, 0, 0, 0, 36));
	assert_good(RUN(rig, 0, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16));
	/* before what is wrong with a command */
	assert_sense(RUN(rig, 0, 0xff), SENSE_UNIT_ATTENTION, ASC_POWER_ON_OR_RESET_OCCURRED);
	assert_sense(RUN(rig, 0, 0xff), SENSE_ILLEGAL_REQUEST, ASC_INVALID_OPERATION_CODE);
	assert_sense(RUN(rig, 1, 0x28, 0, 0, 0, 0, 0, 0, 0, 1), SENSE_UNIT_ATTENTION, ASC_POWER_ON_OR_RESET_OCCURRED);
	assert_good(RUN(rig, 1, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
	/* several, each once */
	scsi_target_reset(rig->target, rig->nexus[0]);
	scsi_target_capacity_changed(rig->target, 0);
	scsi_target_capacity_changed(rig->target, 0);
	scsi_target_capacity_changed(rig->target, 9);
	assert_sense(RUN(rig, 0, 0x00), SENSE_UNIT_ATTENTION, ASC_BUS_RESET_OCCURRED);
	assert_sense(RUN(rig, 0, 0x00), SENSE_UNIT_ATTENTION, ASC_CAPACITY_DATA_CHANGED);
	assert_good(RUN(rig, 0, 0x00));
	rig_take_attentions(rig);
	assert_false(scsi_lun_reset(rig->target, (const uint8_t[8]){ 0, 3 }, rig->nexus[0]));
	assert_good(RUN(rig, 0, 0x00));
	assert_true(scsi_lun_reset(rig->target, (const uint8_t[8]){ 0 }, rig->nexus[0]));
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		assert_sense(RUN(rig, i, 0x00), SENSE_UNIT_ATTENTION, ASC_BUS_DEVICE_RESET_OCCURRED);
}

static void test_capacity_changed(void **state)
{
	struct rig *rig = *state;

	rig->fake->disk.size_bytes -= 8 * 512;
	scsi_target_capacity_changed(rig->target, 0);
	rig_take_attentions(rig);
	assert_int_equal(get_be(RUN(rig, 0, 0x25).in, 4), RIG_BLOCKS - 9);
	assert_sense(RUN(rig, 0, 0x28, 0, 0, 0, 0xff, 0xff, 0, 0, 1), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
}

struct events {
	unsigned count;
	const struct scsi_nexus *nexus[8];
	uint8_t lun, sense[SCSI_SENSE_MAX];
	size_t sense_len;
};

static void on_event(void *arg, struct scsi_nexus *nexus, const uint8_t lun[8], const void *sense, size_t sense_len)
{
	struct events *events = arg;

	events->nexus[events->count++] = nexus;
	events->lun = lun[1];
	memcpy(events->sense, sense, sense_len);
	events->sense_len = sense_len;
}

/* Each nexus once, in its logical unit's format of sense data. */
static void test_events(void **state)
{
	struct rig *rig = *state;
	struct fake_disk *second = fake_disk_new(1 << 20);
	struct events events = { 0 };

	scsi_target_set_event_hook(rig->target, on_event, &events);
	scsi_target_capacity_changed(rig->target, 0);
	assert_int_equal(events.count, RIG_NEXUSES);
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		for (unsigned j = 0; j < i; j++)
			assert_ptr_not_equal(events.nexus[i], events.nexus[j]);
	assert_int_equal(events.sense_len, 18);
	assert_int_equal(events.sense[2], SENSE_UNIT_ATTENTION);
	assert_int_equal(get_be(events.sense + 12, 2), ASC_CAPACITY_DATA_CHANGED);
	/* a reset is what somebody asked for */
	events.count = 0;
	scsi_target_reset(rig->target, rig->nexus[0]);
	assert_int_equal(events.count, 0);
	rig_take_attentions(rig);

	rig->target->lus[0]->mode.d_sense = true;
	assert_int_equal(scsi_target_add_lun(rig->target, 5, &second->disk, NULL), 0);
	assert_int_equal(events.count, RIG_NEXUSES);
	assert_int_equal(events.lun, 0);
	assert_int_equal(events.sense[0], 0x72);
	assert_int_equal(get_be(events.sense + 2, 2), ASC_REPORTED_LUNS_CHANGED);
	scsi_target_capacity_changed(rig->target, 5);
	assert_int_equal(events.lun, 5);
	rig->target->lus[5]->disk = NULL;
	fake_disk_free(second);
}

/* What the transport refuses has the sense of its logical unit, in the format that is set there. */
static void test_transport_errors(void **state)
{
	static const struct {
		enum scsi_transport_error why;
		unsigned key, code;
	} errors[] = {
		{ SCSI_UNEXPECTED_DATA, SENSE_ABORTED_COMMAND, 0x0c0c },
		{ SCSI_WRONG_DATA_AMOUNT, SENSE_ABORTED_COMMAND, 0x0c0d },
		{ SCSI_DATA_CORRUPTED, SENSE_ABORTED_COMMAND, 0x4705 },
		{ SCSI_BIDIRECTIONAL, SENSE_ILLEGAL_REQUEST, 0x2400 },
		{ SCSI_NO_MEMORY, SENSE_HARDWARE_ERROR, 0x4400 },
	};
	struct rig *rig = *state;
	struct fake_disk *second = fake_disk_new(1 << 20);
	struct cmd cmd;

	for (unsigned i = 0; i < 2 * array_len(errors); i++) {
		bool descriptor = i % 2;

		rig->target->lus[0]->mode.d_sense = descriptor;
		cmd_prepare_write(rig, &cmd, 0, 5, block_b);
		scsi_task_fail(&cmd.task, errors[i / 2].why);
		assert_int_equal(cmd.done, 1);
		assert_false(cmd.task.aborted);
		assert_int_equal(cmd.task.sense[0], descriptor ? 0x72 : 0x70);
		assert_int_equal(cmd.task.sense_len, descriptor ? 8 : 18);
		assert_sense(answer_of(&cmd.task), errors[i / 2].key, errors[i / 2].code);
		cmd_release(&cmd);
		assert_int_equal(rig->fake->pending, 0);
	}
	/* its unit has gone since, and with it what was set there */
	assert_int_equal(scsi_target_add_lun(rig->target, 5, &second->disk, NULL), 0);
	rig->target->lus[5]->mode.d_sense = true;
	cmd_prepare_lun(rig, &cmd, 0, 5, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1));
	scsi_target_hold(rig->target, 5);
	assert_int_equal(scsi_target_remove_lun(rig->target, 5), 0);
	scsi_task_fail(&cmd.task, SCSI_DATA_CORRUPTED);
	assert_int_equal(cmd.task.sense[0], 0x70);
	cmd_release(&cmd);
	fake_disk_free(second);
}

static void test_is_read(void **state)
{
	static const struct {
		uint8_t cdb[16];
		bool is;
	} commands[] = { { { 0x08 }, true },  { { 0x28 }, true },  { { 0xa8 }, true },	{ { 0x88 }, true },
			 { { 0x25 }, false }, { { 0x2a }, false }, { { 0x2f }, false }, { { 0xee }, false } };
	struct rig *rig = *state;
	struct cmd cmd;

	for (unsigned i = 0; i < array_len(commands); i++) {
		cmd_prepare(rig, &cmd, 0, commands[i].cdb, 16);
		assert_int_equal(scsi_task_is_read(&cmd.task), commands[i].is);
		cmd_release(&cmd);
	}
}

/* The disk goes away under its nexuses and comes back larger; what came meanwhile then runs. */
static void test_hold(void **state)
{
	struct rig *rig = *state;
	struct fake_disk *small = rig->fake, *big = fake_disk_new((RIG_BLOCKS + 8) * 512);
	struct cmd read, late[3], gone;

	cmd_prepare_read(rig, &read, 0, 0);
	cmd_execute(&read);
	scsi_target_hold(rig->target, 0);
	assert_false(scsi_target_is_idle(rig->target, 0));
	cmd_prepare_write(rig, &late[0], 0, 5, block_b);
	cmd_prepare(rig, &late[1], 1, CDB(0x00));
	cmd_prepare(rig, &late[2], 1, CDB(0x25));
	late[2].task.attribute = SCSI_HEAD_OF_QUEUE;
	cmd_prepare_read(rig, &gone, 2, 0);
	for (unsigned i = 0; i < 3; i++)
		cmd_execute(&late[i]);
	cmd_execute(&gone);
	assert_int_equal(small->pending, 1);
	fake_disk_run(small);
	assert_int_equal(read.done, 1);
	assert_false(scsi_target_is_idle(rig->target, 0)); /* what it read is lent */
	cmd_release(&read);
	assert_true(scsi_target_is_idle(rig->target, 0));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(late[i].done, 0);
	/* one that waits can be aborted meanwhile */
	scsi_task_abort(&gone.task);
	assert_int_equal(gone.done, 1);
	assert_true(gone.task.aborted);
	cmd_release(&gone);

	rig->fake = big;
	scsi_target_unhold(rig->target, 0, &big->disk);
	fake_disk_run(big);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(late[i].done, 1);
		assert_int_equal(late[i].task.status, SCSI_GOOD);
	}
	assert_int_equal(big->bytes[5 * 512], 'b');
	assert_int_equal(get_be(late[2].task.in[0].iov_base, 4), RIG_BLOCKS + 7);
	for (unsigned i = 0; i < 3; i++)
		cmd_release(&late[i]);
	for (unsigned i = 0; i < RIG_NEXUSES; i++) {
		assert_sense(RUN(rig, i, 0x00), SENSE_UNIT_ATTENTION, ASC_CAPACITY_DATA_CHANGED);
		assert_good(RUN(rig, i, 0x00));
	}
	/* the same size again: nobody is told */
	scsi_target_hold(rig->target, 0);
	scsi_target_unhold(rig->target, 0, &big->disk);
	assert_good(RUN(rig, 0, 0x00));
	fake_disk_free(small);
}

static void test_cleared(void **state)
{
	struct rig *rig = *state;
	struct cmd cmd;

	cmd_prepare_read(rig, &cmd, 1, 0);
	cmd_execute(&cmd);
	scsi_task_set_cleared(rig->target, (const uint8_t[8]){ 0 }, rig->nexus[0]);
	fake_disk_run(rig->fake);
	cmd_release(&cmd);
	assert_sense(RUN(rig, 1, 0x00), SENSE_UNIT_ATTENTION, ASC_COMMANDS_CLEARED_BY_ANOTHER_INITIATOR);
	assert_good(RUN(rig, 0, 0x00));
	assert_good(RUN(rig, 2, 0x00));
}

static void test_task_set_full(void **state)
{
	struct rig *rig = *state;
	struct cmd *cmds = calloc(SCSI_TASK_SET_MAX + 1, sizeof(*cmds));

	assert_non_null(cmds);
	for (unsigned i = 0; i <= SCSI_TASK_SET_MAX; i++) {
		cmd_prepare_read(rig, &cmds[i], 0, i);
		cmd_execute(&cmds[i]);
	}
	assert_int_equal(cmds[SCSI_TASK_SET_MAX].done, 1);
	assert_int_equal(cmds[SCSI_TASK_SET_MAX].task.status, SCSI_TASK_SET_FULL);
	fake_disk_run(rig->fake);
	for (unsigned i = 0; i <= SCSI_TASK_SET_MAX; i++)
		cmd_release(&cmds[i]);
	free(cmds);
}

/* The transport may tear everything down from inside the last done. */
static void teardown_on_done(struct scsi_task *task)
{
	struct rig *rig = task->user;

	scsi_task_release(task);
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		scsi_nexus_close(rig->nexus[i]);
	memset(rig->nexus, 0, sizeof(rig->nexus));
	scsi_target_free(rig->target);
	rig->target = NULL;
}

static void test_freed_inside(void **state)
{
	static const uint8_t cdbs[][16] = { { 0x28, 0, 0, 0, 0, 0, 0, 0, 1 }, { 0x00 }, { 0xff } };

	(void)state;
	for (size_t i = 0; i < sizeof(cdbs) / 16; i++) {
		struct rig rig;
		struct cmd cmd;

		rig_init(&rig, RIG_BLOCKS, true);
		rig_take_attentions(&rig);
		cmd_prepare(&rig, &cmd, 0, cdbs[i], 16);
		cmd.task.done = teardown_on_done;
		cmd.task.user = &rig;
		cmd_execute(&cmd);
		fake_disk_run(rig.fake);
		assert_null(rig.target);
		rig_fini(&rig);
	}
}

/* A save that is answered when its target is gone. */
static void test_freed_while_saving(void **state)
{
	uint8_t list[24] = { 0 };
	struct rig rig;

	(void)state;
	rig_init(&rig, RIG_BLOCKS, true);
	rig_take_attentions(&rig);
	put_be(list + 8, 8, 1);
	list[20] = 1;
	assert_good(rig_run(&rig, 0, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 24), list, 24));
	rig.hold_saves = true;
	scsi_target_clear_reservations(rig.target);
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		scsi_nexus_close(rig.nexus[i]);
	memset(rig.nexus, 0, sizeof(rig.nexus));
	scsi_target_free(rig.target);
	rig.target = NULL;
	rig_finish_save(&rig);
	rig_fini(&rig);
}

static void test_bad_arguments(void **state)
{
	struct rig *rig = *state;
	struct fake_disk *tiny = fake_disk_new(0);

	assert_int_equal(scsi_target_add_lun(rig->target, 256, &rig->fake->disk, NULL), -EINVAL);
	assert_int_equal(scsi_target_add_lun(rig->target, 0, &rig->fake->disk, NULL), -EEXIST);
	assert_int_equal(scsi_target_add_lun(rig->target, 1, &tiny->disk, NULL), -EINVAL);
	fake_disk_free(tiny);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_decode, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_parallel, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_ordered, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_ordered_chain, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_aca, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_atomic, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_atomic_and_unmap, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_attentions, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_capacity_changed, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_transport_errors, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_is_read, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_hold, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_cleared, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_task_set_full, setup, rig_teardown),
		cmocka_unit_test(test_freed_inside),
		cmocka_unit_test(test_freed_while_saving),
		cmocka_unit_test_setup_teardown(test_bad_arguments, setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
