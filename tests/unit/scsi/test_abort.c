// SPDX-License-Identifier: GPL-2.0-or-later
/* Aborts at each moment of a task: before it runs, while the disk works, between steps, in the queue; and by others. */
#include "rig.h"

#include <errno.h>

#include "scsi/sense.h"

static uint8_t block_a[512];

static int setup(void **state)
{
	memset(block_a, 'a', sizeof(block_a));
	return rig_setup(state);
}

static void test_abort(void **state)
{
	struct rig *rig = *state;
	struct cmd cmd, ordered;

	/* before execute: at once */
	cmd_prepare_write(rig, &cmd, 0, 0, block_a);
	scsi_task_abort(&cmd.task);
	assert_int_equal(cmd.done, 1);
	assert_true(cmd.task.aborted);
	cmd_release(&cmd);
	/* while the disk works: when it has finished */
	cmd_prepare_write(rig, &cmd, 0, 0, block_a);
	cmd_execute(&cmd);
	scsi_task_abort(&cmd.task);
	assert_int_equal(cmd.done, 0);
	fake_disk_run(rig->fake);
	assert_int_equal(cmd.done, 1);
	assert_true(cmd.task.aborted);
	assert_int_equal(rig->fake->bytes[0], 'a');
	scsi_task_abort(&cmd.task); /* too late, no harm */
	assert_int_equal(cmd.done, 1);
	cmd_release(&cmd);
	/* a read: what was lent goes back */
	cmd_prepare_read(rig, &cmd, 0, 0);
	cmd_execute(&cmd);
	scsi_task_abort(&cmd.task);
	fake_disk_run(rig->fake);
	assert_true(cmd.task.aborted);
	assert_int_equal(cmd.task.in_len, 0);
	assert_int_equal(rig->fake->lent, 1);
	cmd_release(&cmd);
	assert_int_equal(rig->fake->lent, 0);
	/* in the queue: at once */
	cmd_prepare_read(rig, &cmd, 0, 0);
	cmd_execute(&cmd);
	cmd_prepare_read(rig, &ordered, 0, 1);
	ordered.task.attribute = SCSI_ORDERED;
	cmd_execute(&ordered);
	scsi_task_abort(&ordered.task);
	assert_true(ordered.done && ordered.task.aborted);
	cmd_release(&ordered);
	fake_disk_run(rig->fake);
	assert_int_equal(cmd.task.status, SCSI_GOOD);
	assert_false(cmd.task.aborted);
	cmd_release(&cmd);
	assert_int_equal(rig->target->lus[0]->waiting, 0);
}

/* Between steps: the next one does not start. */
static void test_abort_steps(void **state)
{
	struct rig *rig = *state;
	struct cmd cmd;
	unsigned reads;

	cmd_prepare(rig, &cmd, 0, CDB(0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff));
	cmd_execute(&cmd);
	fake_disk_step(rig->fake);
	fake_disk_step(rig->fake);
	fake_disk_step(rig->fake);
	reads = rig->fake->reads;
	scsi_task_abort(&cmd.task);
	fake_disk_run(rig->fake);
	assert_true(cmd.task.aborted);
	assert_int_equal(rig->fake->reads, reads + 1);
	cmd_release(&cmd);
}

static void test_abort_failed(void **state)
{
	struct rig *rig = *state;
	struct cmd cmd;

	cmd_prepare_write(rig, &cmd, 0, 0, block_a);
	cmd_execute(&cmd);
	scsi_task_abort(&cmd.task);
	rig->fake->fail_op = DISK_WRITE;
	rig->fake->fail_result = -EIO;
	fake_disk_run(rig->fake);
	assert_true(cmd.task.aborted);
	assert_int_equal(cmd.done, 1);
	cmd_release(&cmd);
}

static void hook(void *arg, struct scsi_nexus *nexus)
{
	struct rig *rig = scsi_nexus_user(nexus);
	struct cmd *cmd = arg;

	rig->hook_calls++;
	assert_ptr_equal(nexus, cmd->task.nexus);
	scsi_task_abort(&cmd->task);
}

/* Nexus 1 has registered, and its write is under way when nexus 0 says PREEMPT AND ABORT; the hook may want to know. */
static void begin_preempt_and_abort(struct rig *rig, struct cmd *victim, struct cmd *preempt, bool with_hook)
{
	static uint8_t list[24]; /* the command borrows it */

	memset(list, 0, sizeof(list));
	put_be(list + 8, 8, 0xa);
	assert_good(rig_run(rig, 0, CDB(0x5f, 6, 0, 0, 0, 0, 0, 0, 24), list, 24));
	put_be(list + 8, 8, 0xb);
	assert_good(rig_run(rig, 1, CDB(0x5f, 6, 0, 0, 0, 0, 0, 0, 24), list, 24));
	cmd_prepare_write(rig, victim, 1, 9, block_a);
	cmd_execute(victim);
	if (with_hook)
		scsi_target_set_abort_hook(rig->target, hook, victim);
	put_be(list, 8, 0xa);
	cmd_prepare(rig, preempt, 0, CDB(0x5f, 5, 1, 0, 0, 0, 0, 0, 24));
	cmd_out(preempt, list, 24);
	cmd_execute(preempt);
}

/* It is good only when what it aborted has ended. */
static void test_preempt_and_abort(void **state)
{
	for (unsigned with_hook = 0; with_hook < 2; with_hook++) {
		struct rig *rig = *state;
		struct cmd victim, preempt;

		begin_preempt_and_abort(rig, &victim, &preempt, with_hook);
		assert_int_equal(preempt.done, 0);
		assert_int_equal(victim.done, 0);
		fake_disk_run(rig->fake);
		assert_int_equal(victim.done, 1);
		assert_true(victim.task.aborted);
		assert_int_equal(preempt.done, 1);
		assert_int_equal(preempt.task.status, SCSI_GOOD);
		assert_int_equal(rig->hook_calls, with_hook);
		cmd_release(&victim);
		cmd_release(&preempt);
		assert_sense(RUN(rig, 1, 0x00), SENSE_UNIT_ATTENTION, ASC_REGISTRATIONS_PREEMPTED);
	}
}

static void test_preempt_and_abort_aborted(void **state)
{
	struct rig *rig = *state;
	struct cmd victim, preempt;

	begin_preempt_and_abort(rig, &victim, &preempt, false);
	scsi_task_abort(&preempt.task);
	assert_true(preempt.done && preempt.task.aborted);
	cmd_release(&preempt);
	fake_disk_run(rig->fake);
	cmd_release(&victim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_abort, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_abort_steps, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_abort_failed, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_preempt_and_abort, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_preempt_and_abort_aborted, setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
