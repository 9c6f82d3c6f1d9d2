// SPDX-License-Identifier: GPL-2.0-or-later
/* A target over a fake disk: see rig.h. */
#include "rig.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "scsi/sense.h"

static uint8_t in_data[RIG_IN_MAX];

static const char *const ports[RIG_NEXUSES] = {
	"iqn.2026-11.test:a,i,0x00023d000001",
	"iqn.2026-11.test:b,i,0x00023d000002",
	"iqn.2026-11.test:c,i,0x00023d000003",
};

static void rig_save(void *arg, const void *blob, size_t len, void (*done)(void *done_arg, int err), void *done_arg)
{
	struct rig *rig = arg;

	assert(len <= sizeof(rig->saved));
	rig->saves++;
	if (!rig->save_result) {
		memcpy(rig->saved, blob, len);
		rig->saved_len = len;
	}
	if (rig->hold_saves) {
		assert(!rig->save_done);
		rig->save_done = done;
		rig->save_done_arg = done_arg;
	} else {
		done(done_arg, rig->save_result);
	}
}

void rig_finish_save(struct rig *rig)
{
	void (*done)(void *arg, int err) = rig->save_done;

	assert(done);
	rig->save_done = NULL;
	done(rig->save_done_arg, rig->save_result);
}

void rig_login(struct rig *rig, unsigned nexus)
{
	assert_int_equal(scsi_nexus_open(rig->target, ports[nexus], &rig->nexus[nexus]), 0);
	scsi_nexus_set_user(rig->nexus[nexus], rig);
}

static void rig_start(struct rig *rig, bool with_save)
{
	struct scsi_target_config config = { .name = "iqn.2026-11.org.example:sanbootd:m1", .serial = "m1-0001" };

	config.tasks = &rig->tasks;
	if (with_save) {
		config.save = rig_save;
		config.save_arg = rig;
		config.saved = rig->saved;
		config.saved_len = rig->saved_len;
	}
	assert_int_equal(scsi_target_new(&config, &rig->target), 0);
	assert_int_equal(scsi_target_add_lun(rig->target, 0, &rig->fake->disk, NULL), 0);
	if (rig->second_lun)
		assert_int_equal(scsi_target_add_lun(rig->target, rig->second_lun, &rig->second->disk,
						     &rig->second_config),
				 0);
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		rig_login(rig, i);
}

static void rig_stop(struct rig *rig)
{
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		if (rig->nexus[i])
			scsi_nexus_close(rig->nexus[i]);
	memset(rig->nexus, 0, sizeof(rig->nexus));
	scsi_target_free(rig->target);
}

void rig_init(struct rig *rig, uint64_t blocks, bool with_save)
{
	memset(rig, 0, sizeof(*rig));
	rig->fake = fake_disk_new(blocks * SCSI_BLOCK);
	rig_start(rig, with_save);
}

void rig_restart(struct rig *rig)
{
	rig_stop(rig);
	rig_start(rig, true);
}

void rig_fini(struct rig *rig)
{
	rig_stop(rig);
	free_list_fini(&rig->tasks);
	fake_disk_free(rig->fake);
	if (rig->second)
		fake_disk_free(rig->second);
}

int rig_setup(void **state)
{
	struct rig *rig = malloc(sizeof(*rig));

	rig_init(rig, RIG_BLOCKS, true);
	rig_take_attentions(rig);
	*state = rig;
	return 0;
}

int rig_teardown(void **state)
{
	struct rig *rig = *state;

	rig_fini(rig);
	free(rig);
	return 0;
}

void rig_take_attentions(struct rig *rig)
{
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		while (RUN(rig, i, 0x00).status == SCSI_CHECK_CONDITION)
			;
}

/* ---- commands ---- */

static void on_done(struct scsi_task *task)
{
	((struct cmd *)task->user)->done++;
}

void cmd_prepare_lun(struct rig *rig, struct cmd *cmd, unsigned nexus, unsigned lun, const void *cdb, size_t cdb_len)
{
	memset(cmd, 0, sizeof(*cmd));
	cmd->task.nexus = rig->nexus[nexus];
	cmd->task.lun[1] = (uint8_t)lun;
	memcpy(cmd->task.cdb, cdb, cdb_len);
	cmd->task.cdb_len = cdb_len;
	cmd->task.done = on_done;
	cmd->task.user = cmd;
	scsi_task_decode(&cmd->task);
	assert_int_equal(cmd->done, 0);
}

void cmd_prepare(struct rig *rig, struct cmd *cmd, unsigned nexus, const void *cdb, size_t cdb_len)
{
	cmd_prepare_lun(rig, cmd, nexus, 0, cdb, cdb_len);
}

/* In pieces of different lengths, of which one is empty. */
void cmd_out(struct cmd *cmd, const void *data, size_t len)
{
	uint8_t *p = (uint8_t *)(uintptr_t)data;
	size_t first = len / 3;

	cmd->out[0] = (struct iovec){ p, first };
	cmd->out[1] = (struct iovec){ NULL, 0 };
	cmd->out[2] = (struct iovec){ p + first, len - first };
	cmd->task.out = cmd->out;
	cmd->task.out_count = len ? 3 : 0;
	cmd->task.out_len = len;
}

void cmd_prepare_read(struct rig *rig, struct cmd *cmd, unsigned nexus, uint32_t lba)
{
	uint8_t cdb[16] = { 0x28 };

	put_be(cdb + 2, 4, lba);
	cdb[8] = 1;
	cmd_prepare(rig, cmd, nexus, cdb, sizeof(cdb));
}

void cmd_prepare_write(struct rig *rig, struct cmd *cmd, unsigned nexus, uint32_t lba, const uint8_t *data)
{
	uint8_t cdb[16] = { 0x2a };

	put_be(cdb + 2, 4, lba);
	cdb[8] = 1;
	cmd_prepare(rig, cmd, nexus, cdb, sizeof(cdb));
	assert_int_equal(cmd->task.data_out_len, 512);
	assert_int_equal(cmd->task.direction, SCSI_DATA_OUT);
	cmd_out(cmd, data, 512);
}

void cmd_execute(struct cmd *cmd)
{
	scsi_task_execute(&cmd->task);
}

void cmd_release(struct cmd *cmd)
{
	assert(!cmd->released);
	cmd->released = true;
	scsi_task_release(&cmd->task);
}

struct answer answer_of(const struct scsi_task *task)
{
	const uint8_t *s = task->sense;
	struct answer a = { .status = task->status, .in = in_data };

	for (int i = 0; i < task->in_count; i++) {
		memcpy(in_data + a.in_len, task->in[i].iov_base, task->in[i].iov_len);
		a.in_len += task->in[i].iov_len;
	}
	assert_int_equal(a.in_len, task->in_len);
	if (task->status != SCSI_CHECK_CONDITION) {
		assert_int_equal(task->sense_len, 0);
		return a;
	}
	if ((s[0] & 0x7f) == 0x70) {
		assert_int_equal(task->sense_len, 18);
		a.key = s[2];
		a.code = (uint16_t)get_be(s + 12, 2);
		a.has_information = s[0] & 0x80;
		a.information = get_be(s + 3, 4);
		a.has_field = s[15] & 0x80;
		a.in_cdb = s[15] & 0x40;
		a.has_bit = s[15] & 0x08;
		a.bit = s[15] & 7;
		a.byte = (unsigned)get_be(s + 16, 2);
		return a;
	}
	assert_int_equal(s[0], 0x72);
	assert_int_equal(task->sense_len, 8 + s[7]);
	a.key = s[1];
	a.code = (uint16_t)get_be(s + 2, 2);
	for (size_t at = 8; at < task->sense_len; at += 2u + s[at + 1]) {
		if (s[at] == 0x00) {
			a.has_information = s[at + 2] & 0x80;
			a.information = get_be(s + at + 4, 8);
		} else if (s[at] == 0x02) {
			a.has_field = s[at + 4] & 0x80;
			a.in_cdb = s[at + 4] & 0x40;
			a.has_bit = s[at + 4] & 0x08;
			a.bit = s[at + 4] & 7;
			a.byte = (unsigned)get_be(s + at + 5, 2);
		}
	}
	return a;
}

struct answer rig_run_lun(struct rig *rig, unsigned nexus, unsigned lun, const void *cdb, size_t cdb_len,
			  const void *out, size_t out_len)
{
	struct answer a;
	struct cmd cmd;

	memset(&cmd, 0, sizeof(cmd));
	cmd.task.nexus = rig->nexus[nexus];
	if (lun > 0xff) { /* well-known */
		cmd.task.lun[0] = 0xc1;
		cmd.task.lun[1] = 0x01;
	} else {
		cmd.task.lun[1] = (uint8_t)lun;
	}
	memcpy(cmd.task.cdb, cdb, cdb_len);
	cmd.task.cdb_len = cdb_len;
	cmd.task.done = on_done;
	cmd.task.user = &cmd;
	scsi_task_decode(&cmd.task);
	assert_int_equal(cmd.done, 0);
	assert_true(cmd.task.data_in_len <= RIG_IN_MAX && cmd.task.data_out_len <= RIG_IN_MAX);
	/* As the transport does: no more than the command takes. */
	cmd_out(&cmd, out, out_len < cmd.task.data_out_len ? out_len : cmd.task.data_out_len);
	cmd.task.out_expected = out_len;
	cmd_execute(&cmd);
	fake_disk_run(rig->fake);
	if (rig->second)
		fake_disk_run(rig->second);
	assert_int_equal(cmd.done, 1);
	a = answer_of(&cmd.task);
	assert_true(a.in_len <= cmd.task.data_in_len);
	cmd_release(&cmd);
	assert_int_equal(rig->fake->lent, 0);
	assert_true(!rig->second || !rig->second->lent);
	return a;
}

struct answer rig_run(struct rig *rig, unsigned nexus, const void *cdb, size_t cdb_len, const void *out, size_t out_len)
{
	return rig_run_lun(rig, nexus, rig->lun, cdb, cdb_len, out, out_len);
}

void check_sense(struct answer a, unsigned key, unsigned code)
{
	assert_int_equal(a.status, SCSI_CHECK_CONDITION);
	if (a.key != key || a.code != code)
		print_error("sense %x/%04x, expected %x/%04x (byte %u)\n", a.key, a.code, key, code, a.byte);
	assert_int_equal(a.key, key);
	assert_int_equal(a.code, code);
}

static void check_field(struct answer a, bool in_cdb, unsigned byte, int bit)
{
	assert_true(a.has_field);
	assert_int_equal(a.in_cdb, in_cdb);
	assert_int_equal(a.byte, byte);
	if (bit >= 0) {
		assert_true(a.has_bit);
		assert_int_equal(a.bit, bit);
	}
}

void check_cdb_field(struct answer a, unsigned byte, int bit)
{
	check_sense(a, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
	check_field(a, true, byte, bit);
}

void check_parameter_field(struct answer a, unsigned byte, int bit)
{
	check_sense(a, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_PARAMETER_LIST);
	check_field(a, false, byte, bit);
}

uint64_t get_be(const uint8_t *p, unsigned bytes)
{
	uint64_t x = 0;

	for (unsigned i = 0; i < bytes; i++)
		x = x << 8 | p[i];
	return x;
}

void put_be(uint8_t *p, unsigned bytes, uint64_t x)
{
	for (unsigned i = bytes; i-- > 0; x >>= 8)
		p[i] = (uint8_t)x;
}
