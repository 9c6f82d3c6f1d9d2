// SPDX-License-Identifier: GPL-2.0-or-later
/* A CD-ROM (MMC-6): what Linux, Windows, GRUB, EDK2 and iPXE ask of it. */
#include "rig.h"

#include <stdlib.h>

#include "scsi/opcode_table.h"
#include "scsi/sense.h"

/* Three 512-byte blocks more than whole ones of 2048: the rest is not there. */
enum { CD_BLOCKS = 700, CD_BYTES = CD_BLOCKS * 2048 + 3 * 512, DVD_BLOCKS = 400000 };

static struct answer run(struct rig *rig, unsigned nexus, const uint8_t *cdb, size_t len)
{
	return rig_run_lun(rig, nexus, 1, cdb, len, NULL, 0);
}

#define CD(rig, ...) run(rig, 0, CDB(__VA_ARGS__))

static const struct scsi_lun_config disc = { .type = SCSI_CDROM, .serial = "iso-5" };

static void start(struct rig *rig)
{
	rig->second = fake_disk_new(CD_BYTES);
	for (unsigned i = 0; i < CD_BYTES; i++)
		rig->second->bytes[i] = (uint8_t)(i / 2048 + i % 251);
	assert_int_equal(scsi_target_add_lun(rig->target, 1, &rig->second->disk, &disc), 0);
	rig_take_attentions(rig);
	for (unsigned i = 0; i < RIG_NEXUSES; i++)
		while (run(rig, i, CDB(0x00)).status == SCSI_CHECK_CONDITION)
			;
}

static int setup(void **state)
{
	rig_setup(state);
	start(*state);
	return 0;
}

/* A DVD by its size; nothing is read of it. */
static int setup_dvd(void **state)
{
	struct rig *rig;

	setup(state);
	rig = *state;
	rig->target->lus[1]->blocks = DVD_BLOCKS;
	return 0;
}

static void test_inquiry(void **state)
{
	struct rig *rig = *state;
	struct answer a = CD(rig, 0x12, 0, 0, 0, 96);

	assert_good(a);
	assert_int_equal(a.in[0], 0x05);
	assert_int_equal(a.in[1], 0x80);
	assert_memory_equal(a.in + 16, "Diskless CD-ROM ", 16);
	assert_int_equal(get_be(a.in + 62, 2), 0x04e0);
	a = CD(rig, 0x12, 1, 0, 0, 96);
	assert_int_equal(a.in[0], 0x05);
	assert_int_equal(a.in_len, 8);
	assert_memory_equal(a.in + 4, "\x00\x80\x83\x86", 4);
	check_cdb_field(CD(rig, 0x12, 1, 0xb0, 0, 96), 2, -1);
	a = CD(rig, 0x12, 1, 0x80, 0, 96);
	assert_memory_equal(a.in + 4, "iso-5", 5);
	/* the disk beside it is none */
	assert_int_equal(RUN(rig, 0, 0x12, 0, 0, 0, 96).in[1], 0);
}

static void test_read(void **state)
{
	struct rig *rig = *state;
	struct answer a = CD(rig, 0x25);

	assert_good(a);
	assert_int_equal(get_be(a.in, 4), CD_BLOCKS - 1);
	assert_int_equal(get_be(a.in + 4, 4), 2048);
	a = CD(rig, 0x28, 0, 0, 0, 0, 16, 0, 0, 2);
	assert_good(a);
	assert_int_equal(a.in_len, 4096);
	assert_memory_equal(a.in, rig->second->bytes + 16 * 2048, 4096);
	a = CD(rig, 0xa8, 0, 0, 0, (CD_BLOCKS - 1) >> 8, (CD_BLOCKS - 1) & 0xff, 0, 0, 0, 1);
	assert_good(a);
	assert_memory_equal(a.in, rig->second->bytes + (CD_BLOCKS - 1) * 2048, 2048);
	a = CD(rig, 0xbe, 0x08, 0, 0, 0, 3, 0, 0, 2, 0x10);
	assert_good(a);
	assert_int_equal(a.in_len, 4096);
	assert_memory_equal(a.in, rig->second->bytes + 3 * 2048, 4096);
	a = CD(rig, 0xbe, 0, 0, 0, 0, 3, 0, 0, 2, 0);
	assert_good(a);
	assert_int_equal(a.in_len, 0);
	check_cdb_field(CD(rig, 0xbe, 0, 0, 0, 0, 3, 0, 0, 2, 0xf8), 9, -1);
	check_cdb_field(CD(rig, 0xbe, 0x04, 0, 0, 0, 3, 0, 0, 2, 0x10), 1, 4); /* CD-DA */
	assert_sense(CD(rig, 0x28, 0, 0, 0, CD_BLOCKS >> 8, CD_BLOCKS & 0xff, 0, 0, 1), SENSE_ILLEGAL_REQUEST,
		     ASC_LBA_OUT_OF_RANGE);
	/* 4 MiB at most, here 2048 blocks */
	check_cdb_field(CD(rig, 0x28, 0, 0, 0, 0, 0, 0, 0x08, 0x01), 7, -1);
	/* what cannot be read is named by its block */
	rig->second->fail_op = DISK_READ;
	rig->second->fail_result = -5;
	rig->second->fail_offset = 21 * 2048;
	a = CD(rig, 0x28, 0, 0, 0, 0, 20, 0, 0, 4);
	assert_sense(a, SENSE_MEDIUM_ERROR, ASC_UNRECOVERED_READ_ERROR);
	assert_int_equal(a.information, 21);
}

static void test_toc(void **state)
{
	struct rig *rig = *state;
	struct answer a = CD(rig, 0x43, 0, 0, 0, 0, 0, 0, 0x10, 0);

	assert_good(a);
	assert_int_equal(a.in_len, 20);
	assert_memory_equal(a.in,
			    "\0\x12\x01\x01"
			    "\0\x14\x01\0\0\0\0\0"
			    "\0\x14\xaa\0",
			    16);
	assert_int_equal(get_be(a.in + 16, 4), CD_BLOCKS);
	a = CD(rig, 0x43, 2, 0, 0, 0, 0, 1, 0x10, 0); /* MSF, as for audio */
	assert_memory_equal(a.in + 8, "\0\0\2\0", 4);
	assert_memory_equal(a.in + 16, "\0\0\x0b\x19", 4); /* 850 frames */
	a = CD(rig, 0x43, 0, 0, 0, 0, 0, 0xaa, 0x10, 0);
	assert_int_equal(a.in_len, 12);
	assert_int_equal(a.in[6], 0xaa);
	/* the header alone, as Linux asks first */
	assert_int_equal(CD(rig, 0x43, 0, 0, 0, 0, 0, 0, 0, 4).in_len, 4);
	check_cdb_field(CD(rig, 0x43, 0, 0, 0, 0, 0, 2, 0x10, 0), 6, -1);
	/* sessions, in both ways of asking */
	for (unsigned old = 0; old < 2; old++) {
		a = CD(rig, 0x43, 0, old ? 0 : 1, 0, 0, 0, 0, 0, 12, old ? 0x40 : 0);
		assert_good(a);
		assert_int_equal(a.in_len, 12);
		assert_memory_equal(a.in, "\0\x0a\x01\x01\0\x14\x01\0\0\0\0\0", 12);
	}
	/* raw */
	a = CD(rig, 0x43, 2, 2, 0, 0, 0, 1, 0x10, 0);
	assert_good(a);
	assert_int_equal(a.in_len, 4 + 4 * 11);
	assert_int_equal(get_be(a.in, 2), a.in_len - 2);
	assert_memory_equal(a.in + 4 + 22, "\x01\x14\0\xa2\0\0\0\0\0\x0b\x19", 11);
	assert_memory_equal(a.in + 4 + 33, "\x01\x14\0\x01\0\0\0\0\0\x02\0", 11);
	check_cdb_field(CD(rig, 0x43, 0, 4, 0, 0, 0, 0, 0x10, 0), 2, -1);
}

static const uint8_t *find_feature(const struct answer *a, unsigned code)
{
	for (size_t at = 8; at + 4 <= a->in_len; at += 4u + a->in[at + 3])
		if (get_be(a->in + at, 2) == code)
			return a->in + at;
	return NULL;
}

static void test_configuration(void **state)
{
	struct rig *rig = *state;
	struct answer a = CD(rig, 0x46, 0, 0, 0, 0, 0, 0, 0xff, 0xff);
	const uint8_t *feature;

	assert_good(a);
	assert_int_equal(get_be(a.in, 4), a.in_len - 4);
	assert_int_equal(get_be(a.in + 6, 2), 0x0008);
	feature = find_feature(&a, 0);
	assert_memory_equal(feature, "\0\0\x03\x08\0\x10\0\0\0\x08\x01\0", 12);
	assert_int_equal(find_feature(&a, 0x1e)[2] & 1, 1);
	assert_int_equal(find_feature(&a, 0x1f)[2] & 1, 0);
	assert_memory_equal(find_feature(&a, 1), "\0\x01\x0b\x08\0\0\0\x01", 8);
	assert_memory_equal(find_feature(&a, 0x10), "\0\x10\x01\x08\0\0\x08\0\0\x01\x01\0", 12);
	/* current ones only; from a number on; one */
	a = CD(rig, 0x46, 1, 0, 0, 0, 0, 0, 0xff, 0xff);
	assert_null(find_feature(&a, 0x1f));
	assert_non_null(find_feature(&a, 0x1e));
	a = CD(rig, 0x46, 0, 0, 0x1e, 0, 0, 0, 0xff, 0xff);
	assert_null(find_feature(&a, 0x10));
	assert_int_equal(get_be(a.in + 8, 2), 0x1e);
	a = CD(rig, 0x46, 2, 0, 0x1e, 0, 0, 0, 0xff, 0xff);
	assert_int_equal(a.in_len, 16);
	a = CD(rig, 0x46, 2, 0, 0x20, 0, 0, 0, 0xff, 0xff); /* it cannot be written: no feature, no error */
	assert_int_equal(a.in_len, 8);
	assert_int_equal(CD(rig, 0x46, 0, 0, 0, 0, 0, 0, 0, 8).in_len, 8);
	check_cdb_field(CD(rig, 0x46, 3, 0, 0, 0, 0, 0, 0, 8), 1, 1);
}

static void test_events(void **state)
{
	struct rig *rig = *state;
	struct answer a;

	for (unsigned nexus = 0; nexus < 2; nexus++) {
		a = run(rig, nexus, CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8));
		assert_good(a);
		assert_memory_equal(a.in, "\0\x06\x04\x16\x02\x02\0\0", 8); /* new, and there */
		a = run(rig, nexus, CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8));
		assert_memory_equal(a.in, "\0\x06\x04\x16\0\x02\0\0", 8);
	}
	a = CD(rig, 0x4a, 1, 0, 0, 0x7e, 0, 0, 0, 8);
	assert_memory_equal(a.in, "\0\x06\x01\x16\0\0\0\0", 8);
	a = CD(rig, 0x4a, 1, 0, 0, 0x04, 0, 0, 0, 8);
	assert_memory_equal(a.in, "\0\x06\x02\x16\0\x01\0\0", 8);
	a = CD(rig, 0x4a, 1, 0, 0, 0x40, 0, 0, 0, 8); /* no such class */
	assert_int_equal(a.in_len, 4);
	assert_memory_equal(a.in, "\0\x02\x80\x16", 4);
	/* where there is no room for it the event waits */
	run(rig, 2, CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 4));
	assert_int_equal(run(rig, 2, CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8)).in[4], 2);
	check_cdb_field(CD(rig, 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8), 1, 0);
	/* in spite of a unit attention, which stays (MMC-6 §4.1.6) */
	scsi_lun_reset(rig->target, (const uint8_t[8]){ 0, 1 }, NULL);
	assert_good(CD(rig, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8));
	assert_good(CD(rig, 0x46, 0, 0, 0, 0, 0, 0, 0, 8));
	assert_sense(CD(rig, 0x00), SENSE_UNIT_ATTENTION, ASC_BUS_DEVICE_RESET_OCCURRED);
	/* another disc in its place is new again */
	scsi_target_hold(rig->target, 1);
	assert_int_equal(scsi_target_remove_lun(rig->target, 1), 0);
	assert_int_equal(scsi_target_add_lun(rig->target, 1, &rig->second->disk, &disc), 0);
	for (unsigned nexus = 0; nexus < 2; nexus++)
		assert_int_equal(run(rig, nexus, CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8)).in[4], 2);
}

static void test_disc(void **state)
{
	struct rig *rig = *state;
	struct answer a = CD(rig, 0x51, 0, 0, 0, 0, 0, 0, 0, 255);

	assert_good(a);
	assert_int_equal(a.in_len, 34);
	assert_memory_equal(a.in, "\0\x20\x0e\x01\x01\x01\x01\x20\0", 9);
	check_cdb_field(CD(rig, 0x51, 1, 0, 0, 0, 0, 0, 0, 255), 1, 2);
	for (unsigned type = 0; type < 3; type++) {
		a = CD(rig, 0x52, (uint8_t)type, 0, 0, 0, 1, 0, 0, 255);
		assert_good(a);
		assert_int_equal(a.in_len, 36);
		assert_memory_equal(a.in, "\0\x22\x01\x01\0\x04\x01\x02", 8);
		assert_int_equal(get_be(a.in + 24, 4), CD_BLOCKS);
		assert_int_equal(get_be(a.in + 28, 4), CD_BLOCKS - 1);
	}
	check_cdb_field(CD(rig, 0x52, 3, 0, 0, 0, 1, 0, 0, 255), 1, 1);
	check_cdb_field(CD(rig, 0x52, 1, 0, 0, 0, 2, 0, 0, 255), 2, -1);
	assert_sense(CD(rig, 0x52, 0, 0, 1, 0, 0, 0, 0, 255), SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	assert_sense(CD(rig, 0xad, 0, 0, 0, 0, 0, 0, 0, 0x10, 0), SENSE_ILLEGAL_REQUEST, ASC_INCOMPATIBLE_MEDIUM);
	a = CD(rig, 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 255);
	assert_good(a);
	assert_int_equal(a.in_len, 8);
}

static void test_dvd(void **state)
{
	struct rig *rig = *state;
	struct answer a = CD(rig, 0x46, 1, 0, 0, 0, 0, 0, 0xff, 0xff);

	assert_int_equal(get_be(a.in + 6, 2), 0x0010);
	assert_memory_equal(find_feature(&a, 0), "\0\0\x03\x08\0\x10\x01\0\0\x08\0\0", 12);
	assert_null(find_feature(&a, 0x1e));
	assert_non_null(find_feature(&a, 0x1f));
	a = CD(rig, 0xad, 0, 0, 0, 0, 0, 0, 0, 0x10, 0);
	assert_good(a);
	assert_int_equal(a.in_len, 2052);
	assert_int_equal(get_be(a.in, 2), 2050);
	assert_int_equal(get_be(a.in + 12, 4) - get_be(a.in + 8, 4), DVD_BLOCKS - 1);
	a = CD(rig, 0xad, 0, 0, 0, 0, 0, 0, 1, 0x10, 0);
	assert_int_equal(a.in_len, 8);
	assert_int_equal(a.in[4], 0); /* no copyright protection */
	a = CD(rig, 0xad, 0, 0, 0, 0, 0, 0, 0xff, 0x10, 0);
	assert_int_equal(a.in_len, 12);
	check_cdb_field(CD(rig, 0xad, 0, 0, 0, 0, 0, 0, 2, 0x10, 0), 7, -1);
	check_cdb_field(CD(rig, 0xad, 0, 0, 0, 0, 0, 1, 0, 0x10, 0), 6, -1);
	check_cdb_field(CD(rig, 0xad, 1, 0, 0, 0, 0, 0, 0, 0x10, 0), 1, -1);
	check_cdb_field(CD(rig, 0x43, 2, 2, 0, 0, 0, 1, 0x10, 0), 2, -1);
	/* the lead-out in minutes: as it is, or as large as can be said */
	a = CD(rig, 0x43, 2, 0, 0, 0, 0, 0xaa, 0x10, 0);
	assert_memory_equal(a.in + 8, "\0\x58\x37\x19", 4); /* 400150 frames: 88:55:25 */
	rig->target->lus[1]->blocks = 2000000;
	a = CD(rig, 0x43, 2, 0, 0, 0, 0, 0xaa, 0x10, 0);
	assert_memory_equal(a.in + 8, "\0\xff\x3b\x4a", 4);
}

static void test_mode(void **state)
{
	struct rig *rig = *state;
	struct answer a = CD(rig, 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255);

	assert_good(a);
	assert_int_equal(a.in_len, 8 + 26);
	assert_int_equal(get_be(a.in + 6, 2), 0); /* no block descriptor */
	assert_int_equal(a.in[3], 0);
	assert_memory_equal(a.in + 8, "\x2a\x18\x3b\0", 4);
	a = CD(rig, 0x5a, 0, 0x3f, 0, 0, 0, 0, 1, 0);
	assert_int_equal(a.in_len, 8 + 12 + 12 + 12 + 26);
	assert_int_equal(a.in[8] & 0x3f, 0x01);
	assert_int_equal(a.in[20] & 0x3f, 0x0a);
	assert_int_equal(a.in[32] & 0x3f, 0x1a);
	a = CD(rig, 0x1a, 0, 0x2a, 0, 255);
	assert_int_equal(a.in_len, 4 + 26);
	check_cdb_field(CD(rig, 0x1a, 0, 0x08, 0, 255), 2, 5);
	check_cdb_field(RUN(rig, 0, 0x1a, 0, 0x2a, 0, 255), 2, 5); /* nor has a disk that of a CD-ROM */
}

static void test_drive(void **state)
{
	struct rig *rig = *state;

	assert_good(CD(rig, 0x00));
	assert_good(CD(rig, 0x1e, 0, 0, 0, 1));
	assert_good(CD(rig, 0x1e, 0, 0, 0, 3)); /* persistent prevent */
	check_cdb_field(RUN(rig, 0, 0x1e, 0, 0, 0, 3), 4, 1);
	assert_good(CD(rig, 0x1b, 0, 0, 0, 1));
	assert_good(CD(rig, 0x1b, 0, 0, 0, 0));
	assert_good(CD(rig, 0x1b, 0, 0, 0, 3));		  /* load */
	assert_good(CD(rig, 0x1b, 0, 0, 0, 0x30));	  /* standby */
	check_cdb_field(CD(rig, 0x1b, 0, 0, 0, 2), 4, 1); /* eject */
	check_cdb_field(CD(rig, 0x1b, 0, 0, 0, 0x40), 4, 7);
	assert_good(CD(rig, 0x00));
	assert_int_equal(rig->second->flushes, 0);
}

/* The table says which types of device have a command: what a CD-ROM does and refuses, and says that it does. */
static void test_table(void **state)
{
	struct rig *rig = *state;
	unsigned reported = 0, bits = 0;
	struct answer a;

	for (unsigned code = 0; code < 256; code++)
		if (!opcode_find_code((uint8_t)code, OPCODE_CDROM))
			assert_sense(CD(rig, (uint8_t)code), SENSE_ILLEGAL_REQUEST, ASC_INVALID_OPERATION_CODE);
	assert_sense(CD(rig, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1), SENSE_ILLEGAL_REQUEST, ASC_INVALID_OPERATION_CODE);
	assert_sense(RUN(rig, 0, 0x43), SENSE_ILLEGAL_REQUEST, ASC_INVALID_OPERATION_CODE);
	for (size_t i = 0; i < opcode_count; i++) {
		const struct opcode *op = &opcode_table[i];

		if (!(op->types & OPCODE_CDROM))
			continue;
		reported++;
		for (unsigned bit = 8; bit < 8u * op->cdb_bytes; bit++) {
			uint8_t cdb[16] = { op->code };

			if (op->action >= 0)
				cdb[1] = (uint8_t)op->action;
			if (op->usage[bit / 8] & 1u << bit % 8 || (op->action >= 0 && bit < 13))
				continue;
			cdb[bit / 8] |= (uint8_t)(1u << bit % 8);
			check_cdb_field(rig_run_lun(rig, 0, 1, cdb, 16, NULL, 0), bit / 8, (int)bit % 8);
			bits++;
		}
	}
	assert_true(bits > 300);
	a = CD(rig, 0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0xff, 0xff);
	assert_good(a);
	assert_int_equal(a.in_len, 4 + 8 * reported);
	a = CD(rig, 0xa3, 0x0c, 1, 0x1e, 0, 0, 0, 0, 0, 255);
	assert_memory_equal(a.in, "\0\x03\0\x06\x1e\0\0\0\x03\0", 10);
	assert_int_equal(CD(rig, 0xa3, 0x0c, 1, 0x2a, 0, 0, 0, 0, 0, 255).in[1], 1); /* not supported */
	assert_int_equal(RUN(rig, 0, 0xa3, 0x0c, 1, 0x43, 0, 0, 0, 0, 0, 255).in[1], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_inquiry, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_read, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_toc, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_configuration, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_disc, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_dvd, setup_dvd, rig_teardown),
		cmocka_unit_test_setup_teardown(test_mode, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_drive, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_table, setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
