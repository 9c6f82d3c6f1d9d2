// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes scsi/: CDBs with their Data-Out, several at a time, from two nexuses, with aborts and resets between them, to a
 * disk and to a CD-ROM that comes and goes, over the fake disk of the unit tests, which is included whole: it takes the
 * place of disk/disk.c, before any library does.
 *
 * The input is a list of steps. Each begins with a byte that says what; a command is followed by its CDB (16 bytes),
 * the length of its Data-Out (2 bytes), and as many of those bytes as there are. Checked: done comes once, no more data
 * than was announced, everything that was lent comes back, and nothing is left in the task set.
 */
#include <assert.h>
#include <stdint.h>

#include "base/free_list.h"
#include "scsi/target.h"

#include "scsi/fake_disk.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NEXUSES = 2, SLOTS = 8, BLOCKS = 2048 };
enum {
	STEP_COMMAND = 0,
	STEP_DISK = 1,
	STEP_ABORT = 2,
	STEP_RESET = 3,
	STEP_CLEAR = 4,
	STEP_CAPACITY = 5,
	STEP_FAIL = 6,
	STEP_RELOGIN = 7
};

struct slot {
	struct scsi_task task;
	struct iovec out[2];
	uint8_t *data;
	bool used, done;
};

struct fuzz {
	struct fake_disk *fake, *iso; /* of LUN 0 and 1 */
	struct scsi_target *target;
	struct free_list tasks;
	struct scsi_nexus *nexus[NEXUSES];
	struct slot slots[SLOTS];
	uint8_t saved[16384];
	size_t saved_len;
	bool held; /* the disk is wanted: scsi_target_hold */
	const uint8_t *data;
	size_t left;
};

static uint8_t next_byte(struct fuzz *f)
{
	if (!f->left)
		return 0;
	f->left--;
	return *f->data++;
}

static void on_done(struct scsi_task *task)
{
	struct slot *slot = task->user;
	size_t in = 0;

	assert(slot->used && !slot->done);
	slot->done = true;
	for (int i = 0; i < task->in_count; i++)
		in += task->in[i].iov_len;
	assert(in == task->in_len);
	assert(in <= task->data_in_len);
	assert((task->status == SCSI_CHECK_CONDITION) == (task->sense_len != 0));
	assert(task->sense_len <= SCSI_SENSE_MAX);
}

static void slot_release(struct slot *slot)
{
	scsi_task_release(&slot->task);
	free(slot->data);
	memset(slot, 0, sizeof(*slot));
}

static void save(void *arg, const void *blob, size_t len, void (*done)(void *done_arg, int err), void *done_arg)
{
	struct fuzz *f = arg;

	assert(len <= sizeof(f->saved));
	memcpy(f->saved, blob, len);
	f->saved_len = len;
	done(done_arg, 0);
}

static void abort_nexus(void *arg, struct scsi_nexus *nexus)
{
	struct fuzz *f = arg;

	for (unsigned i = 0; i < SLOTS; i++)
		if (f->slots[i].used && !f->slots[i].done && f->slots[i].task.nexus == nexus)
			scsi_task_abort(&f->slots[i].task);
}

/* Everything that was begun ends. */
static void run_disk(struct fuzz *f)
{
	if (f->held)
		scsi_target_unhold(f->target, 0, &f->fake->disk);
	f->held = false;
	fake_disk_run(f->fake);
	fake_disk_run(f->iso);
}

static const struct scsi_lun_config cdrom = { .type = SCSI_CDROM, .serial = "iso" };

static void step_cdrom(struct fuzz *f)
{
	if (!scsi_lun_exists(f->target, (const uint8_t[8]){ 0, 1 })) {
		assert(scsi_target_add_lun(f->target, 1, &f->iso->disk, &cdrom) == 0);
		return;
	}
	scsi_target_hold(f->target, 1);
	if (scsi_target_is_idle(f->target, 1))
		assert(scsi_target_remove_lun(f->target, 1) == 0);
	else
		scsi_target_unhold(f->target, 1, &f->iso->disk);
}

static void step_hold(struct fuzz *f)
{
	if (!f->held)
		scsi_target_hold(f->target, 0);
	else if (scsi_target_is_idle(f->target, 0))
		assert(!f->fake->pending && !f->fake->lent);
	if (f->held)
		scsi_target_unhold(f->target, 0, &f->fake->disk);
	f->held = !f->held;
}

static struct slot *slot_free(struct fuzz *f)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (!f->slots[i].used)
			return &f->slots[i];
	run_disk(f);
	for (unsigned i = 0; i < SLOTS; i++) {
		assert(f->slots[i].done);
		slot_release(&f->slots[i]);
	}
	return &f->slots[0];
}

static void step_command(struct fuzz *f, uint8_t what)
{
	struct slot *slot = slot_free(f);
	struct scsi_task *task = &slot->task;
	size_t len, take;

	slot->used = true;
	task->nexus = f->nexus[what >> 3 & 1];
	task->attribute = (enum scsi_attribute)((what >> 4 & 7) % 5);
	task->lun[1] = what == 0xf8 ? 9 : (what >> 4 & 7) >= 5; /* none, the CD-ROM, the disk */
	task->cdb_len = what & 0x80 ? 16 : 12;
	for (unsigned i = 0; i < 16; i++)
		task->cdb[i] = next_byte(f);
	task->done = on_done;
	task->user = slot;
	scsi_task_decode(task);
	assert(!slot->done);
	assert(task->data_in_len <= 4 << 20 && task->data_out_len <= 4 << 20);
	len = (size_t)next_byte(f) << 8;
	len |= next_byte(f);
	take = len < task->data_out_len ? len : task->data_out_len;
	slot->data = calloc(1, take + 1);
	assert(slot->data);
	for (size_t i = 0; i < take && f->left; i++)
		slot->data[i] = next_byte(f);
	slot->out[0] = (struct iovec){ slot->data, take / 2 };
	slot->out[1] = (struct iovec){ slot->data + take / 2, take - take / 2 };
	task->out = slot->out;
	task->out_count = take ? 2 : 0;
	task->out_len = take;
	task->out_expected = len;
	scsi_task_execute(task);
}

static void relogin(struct fuzz *f, unsigned n)
{
	abort_nexus(f, f->nexus[n]);
	run_disk(f);
	for (unsigned i = 0; i < SLOTS; i++)
		if (f->slots[i].used && f->slots[i].task.nexus == f->nexus[n])
			slot_release(&f->slots[i]);
	scsi_nexus_close(f->nexus[n]);
	assert(scsi_nexus_open(f->target, n ? "iqn.t:b,i,0x000000000002" : "iqn.t:a,i,0x000000000001", &f->nexus[n]) ==
	       0);
}

static void step(struct fuzz *f)
{
	static const int errors[] = { -EIO, -ENOSPC, -EROFS, -ECANCELED, -ENOMEM };
	static const uint8_t lun[8];
	uint8_t what = next_byte(f);
	struct slot *slot = &f->slots[what >> 3 & (SLOTS - 1)];

	switch (what & 7) {
	case STEP_COMMAND:
		step_command(f, what);
		return;
	case STEP_DISK:
		fake_disk_step(what & 8 ? f->iso : f->fake);
		return;
	case STEP_ABORT:
		if (slot->used && !slot->done)
			scsi_task_abort(&slot->task);
		return;
	case STEP_RESET:
		if (what & 8)
			scsi_lun_reset(f->target, lun, f->nexus[0]);
		else
			scsi_target_reset(f->target, NULL);
		return;
	case STEP_CLEAR:
		if (what & 16)
			step_cdrom(f);
		else if (what & 8)
			scsi_target_clear_reservations(f->target);
		else
			scsi_task_set_cleared(f->target, lun, f->nexus[0]);
		return;
	case STEP_CAPACITY:
		if (what & 8)
			step_hold(f);
		else
			scsi_target_capacity_changed(f->target, 0);
		return;
	case STEP_FAIL:
		f->fake->fail_op = (enum disk_op)((what >> 3) % (DISK_STATUS + 1));
		f->fake->fail_result = errors[(what >> 3) % 5];
		f->fake->fail_offset = 512;
		return;
	default:
		relogin(f, what >> 3 & 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz *f = calloc(1, sizeof(*f));
	struct scsi_target_config config = { .name = "iqn.t:target", .serial = "s", .save = save, .save_arg = f };

	assert(f);
	f->fake = fake_disk_new(BLOCKS * DISK_BLOCK_BYTES);
	f->iso = fake_disk_new(BLOCKS * DISK_BLOCK_BYTES / 8);
	f->data = data;
	f->left = size;
	/* The first part may be what was saved before: it comes from a file, so it may be anything. */
	if (size && next_byte(f) & 1) {
		config.saved_len = next_byte(f);
		config.saved_len = config.saved_len < f->left ? config.saved_len : f->left;
		config.saved = f->data;
		f->data += config.saved_len;
		f->left -= config.saved_len;
	}
	f->fake->piece_bytes = 777;
	config.tasks = &f->tasks;
	assert(scsi_target_new(&config, &f->target) == 0);
	assert(scsi_target_add_lun(f->target, 0, &f->fake->disk, NULL) == 0);
	assert(scsi_target_add_lun(f->target, 1, &f->iso->disk, &cdrom) == 0);
	scsi_target_set_abort_hook(f->target, abort_nexus, f);
	assert(scsi_nexus_open(f->target, "iqn.t:a,i,0x000000000001", &f->nexus[0]) == 0);
	assert(scsi_nexus_open(f->target, "iqn.t:b,i,0x000000000002", &f->nexus[1]) == 0);
	while (f->left)
		step(f);
	run_disk(f);
	for (unsigned i = 0; i < SLOTS; i++) {
		assert(!f->slots[i].used || f->slots[i].done);
		if (f->slots[i].used)
			slot_release(&f->slots[i]);
	}
	for (unsigned i = 0; i < NEXUSES; i++)
		scsi_nexus_close(f->nexus[i]);
	scsi_target_free(f->target);
	free_list_fini(&f->tasks);
	fake_disk_free(f->fake);
	fake_disk_free(f->iso);
	free(f);
	return 0;
}
