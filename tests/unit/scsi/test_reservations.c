// SPDX-License-Identifier: GPL-2.0-or-later
/* PERSISTENT RESERVE IN and OUT, RESERVE and RELEASE, and what each type lets through. */
#include "reserve.h"

#include <stdio.h>

#include "scsi/opcode_table.h"
#include "scsi/reservations.h"
#include "scsi/sense.h"

static const uint8_t types[] = { 1, 3, 5, 6, 7, 8 };

static void test_register(void **state)
{
	struct rig *rig = *state;

	assert_good(reserve_out(rig, 0, REGISTER, 0, 0, A));
	reserve_check_keys(rig, 1, (const uint64_t[]){ A }, 1);
	/* with a wrong key, without one */
	assert_conflict(reserve_out(rig, 0, REGISTER, 0, B, C));
	assert_conflict(reserve_out(rig, 0, REGISTER, 0, 0, C));
	assert_conflict(reserve_out(rig, 1, REGISTER, 0, A, C));
	assert_good(reserve_out(rig, 1, REGISTER, 0, 0, 0)); /* nothing to do */
	reserve_check_keys(rig, 1, (const uint64_t[]){ A }, 1);
	assert_good(reserve_out(rig, 0, REGISTER, 0, A, B));
	assert_good(reserve_out(rig, 1, IGNORE, 0, 0x1234, A));
	reserve_check_keys(rig, 2, (const uint64_t[]){ B, A }, 3);
	assert_good(reserve_out(rig, 0, IGNORE, 0, 0x1234, C));
	reserve_check_keys(rig, 2, (const uint64_t[]){ C, A }, 4);
	assert_good(reserve_out(rig, 0, REGISTER, 0, C, 0));
	assert_good(reserve_out(rig, 2, IGNORE, 0, 0, 0));
	reserve_check_keys(rig, 1, (const uint64_t[]){ A }, 5);
	/* a registration outlives its nexus */
	scsi_nexus_close(rig->nexus[1]);
	rig_login(rig, 1);
	rig_take_attentions(rig);
	assert_good(reserve_out(rig, 1, RESERVE, 1, A, 0));
	reserve_check_held(rig, 1, A);
}

static void test_bad_lists(void **state)
{
	struct rig *rig = *state;
	uint8_t list[32] = { 0 };

	assert_sense(rig_run(rig, 0, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 23), list, 23), SENSE_ILLEGAL_REQUEST,
		     ASC_PARAMETER_LIST_LENGTH_ERROR);
	assert_sense(rig_run(rig, 0, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 25), list, 25), SENSE_ILLEGAL_REQUEST,
		     ASC_PARAMETER_LIST_LENGTH_ERROR);
	assert_sense(rig_run(rig, 0, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 0), list, 0), SENSE_ILLEGAL_REQUEST,
		     ASC_PARAMETER_LIST_LENGTH_ERROR);
	assert_sense(rig_run(rig, 0, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 24), list, 12), SENSE_ILLEGAL_REQUEST,
		     ASC_PARAMETER_LIST_LENGTH_ERROR);
	check_cdb_field(rig_run(rig, 0, CDB(0x5f, 0, 0, 0, 0, 0x10, 0, 0, 24), list, 24), 5, -1);
	assert_good(reserve_out(rig, 0, REGISTER, 0, 0, A));
	check_cdb_field(reserve_out(rig, 0, RESERVE, 0x11, A, 0), 2, 7); /* SCOPE */
	for (uint8_t type = 0; type < 16; type++) {
		if (pr_type_valid(type))
			continue;
		check_cdb_field(reserve_out(rig, 0, RESERVE, type, A, 0), 2, 3);
		check_cdb_field(reserve_out(rig, 0, PREEMPT, type, A, A), 2, 3);
	}
	check_parameter_field(reserve_out_flags(rig, 1, IGNORE, 0, 0, B, 0x08), 20, 3); /* SPEC_I_PT */
	for (unsigned action = 4; action < 32; action++)
		check_cdb_field(RUN(rig, 0, 0x5e, (uint8_t)action, 0, 0, 0, 0, 0, 0, 8), 1, 4);
}

static void test_reserve(void **state)
{
	struct rig *rig = *state;

	assert_conflict(reserve_out(rig, 0, RESERVE, 1, 0, 0)); /* not registered */
	assert_good(reserve_out(rig, 0, REGISTER, 0, 0, A));
	assert_good(reserve_out(rig, 1, REGISTER, 0, 0, B));
	for (size_t i = 0; i < sizeof(types); i++) {
		uint8_t type = types[i], other = types[(i + 1) % sizeof(types)];
		bool all = pr_type_is_all(type);

		assert_conflict(reserve_out(rig, 0, RESERVE, type, B, 0));
		assert_good(reserve_out(rig, 0, RESERVE, type, A, 0));
		reserve_check_held(rig, type, all ? 0 : A);
		assert_good(reserve_out(rig, 0, RESERVE, type, A, 0));
		assert_conflict(reserve_out(rig, 0, RESERVE, other, A, 0));
		if (all)
			assert_good(reserve_out(rig, 1, RESERVE, type, B, 0));
		else
			assert_conflict(reserve_out(rig, 1, RESERVE, type, B, 0));
		/* released by who does not hold it: no error, no effect */
		if (!all)
			assert_good(reserve_out(rig, 1, RELEASE, type, B, 0));
		reserve_check_held(rig, type, all ? 0 : A);
		assert_conflict(reserve_out(rig, 0, RELEASE, type, B, 0));
		assert_sense(reserve_out(rig, 0, RELEASE, other, A, 0), SENSE_ILLEGAL_REQUEST,
			     ASC_INVALID_RELEASE_OF_PERSISTENT_RESERVATION);
		assert_good(reserve_out(rig, 0, RELEASE, type, A, 0));
		reserve_check_held(rig, 0, 0);
		/* registrants are told when it was a registrants type */
		if (pr_type_is_registrants(type))
			assert_sense(RUN(rig, 1, 0x00), SENSE_UNIT_ATTENTION, ASC_RESERVATIONS_RELEASED);
		assert_good(RUN(rig, 1, 0x00));
		assert_good(RUN(rig, 2, 0x00));
		assert_good(reserve_out(rig, 0, RELEASE, type, A, 0)); /* nothing held: no error */
	}
	reserve_check_keys(rig, 2, (const uint64_t[]){ A, B }, 2); /* RESERVE and RELEASE do not count */
}

/* SPC-4 §5.13.11.3 */
static void test_unregister_holder(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(types); i++) {
		uint8_t type = types[i];

		assert_good(reserve_out(rig, 0, IGNORE, 0, 0, A));
		assert_good(reserve_out(rig, 1, IGNORE, 0, 0, B));
		assert_good(reserve_out(rig, 0, RESERVE, type, A, 0));
		assert_good(reserve_out(rig, 0, REGISTER, 0, A, 0));
		if (pr_type_is_all(type)) {
			reserve_check_held(rig, type, 0);
			assert_good(reserve_out(rig, 1, REGISTER, 0, B, 0)); /* the last of them */
			reserve_check_held(rig, 0, 0);
			continue;
		}
		reserve_check_held(rig, 0, 0);
		if (pr_type_is_registrants(type))
			assert_sense(RUN(rig, 1, 0x00), SENSE_UNIT_ATTENTION, ASC_RESERVATIONS_RELEASED);
		assert_good(RUN(rig, 1, 0x00));
	}
}

static bool may(struct rig *rig, unsigned nexus, const uint8_t *cdb, size_t out_len)
{
	static uint8_t data[1024];
	struct answer a = rig_run(rig, nexus, cdb, 16, data, out_len);

	if (a.status == SCSI_RESERVATION_CONFLICT)
		return false;
	assert_int_not_equal(a.key, SENSE_UNIT_ATTENTION);
	return true;
}

/* SPC-4 table 66, SBC-3 table 13 */
static void test_access(void **state)
{
	static const uint8_t read[] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t write[] = { 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t start[16] = { 0x1b, 0, 0, 0, 1 }, stop[16] = { 0x1b };
	static const uint8_t prevent[16] = { 0x1e, 0, 0, 0, 1 }, allow[16] = { 0x1e };
	static const uint8_t always[][16] = {
		{ 0x00 }, { 0x12, 0, 0, 0, 36 }, { 0x25 }, { 0xa0 }, { 0x03 }, { 0x5e }, { 0x4d }, { 0x9e, 0x10 },
	};
	static const uint8_t like_read[][16] = { { 0x1a, 0, 0x3f }, { 0x2f },	    { 0x34 },
						 { 0x9e, 0x12 },    { 0xa3, 0x0c }, { 0x37 } };
	static const uint8_t like_write[][16] = { { 0x35 }, { 0x15 },
						  { 0x42 }, { 0x93, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
						  { 0x89 }, { 0x1d } };
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(types); i++) {
		uint8_t type = types[i];
		bool exclusive = type == 3 || type == 6 || type == 8, registrants = pr_type_is_registrants(type);

		assert_good(reserve_out(rig, 0, IGNORE, 0, 0, A));
		assert_good(reserve_out(rig, 1, IGNORE, 0, 0, B));
		assert_good(reserve_out(rig, 0, RESERVE, type, A, 0));
		assert_true(may(rig, 0, read, 0) && may(rig, 0, write, 512));
		assert_int_equal(may(rig, 1, read, 0), registrants || !exclusive);
		assert_int_equal(may(rig, 1, write, 512), registrants);
		assert_int_equal(may(rig, 2, read, 0), !exclusive);
		assert_false(may(rig, 2, write, 512));
		assert_true(may(rig, 2, start, 0) && may(rig, 2, allow, 0));
		assert_false(may(rig, 2, stop, 0) || may(rig, 2, prevent, 0));
		for (size_t k = 0; k < sizeof(always) / 16; k++)
			assert_true(may(rig, 2, always[k], 0));
		for (size_t k = 0; k < sizeof(like_read) / 16; k++)
			assert_int_equal(may(rig, 2, like_read[k], 0), !exclusive);
		for (size_t k = 0; k < sizeof(like_write) / 16; k++)
			assert_false(may(rig, 2, like_write[k], 0));
		assert_good(reserve_out(rig, 0, RELEASE, type, A, 0));
		rig_take_attentions(rig);
	}
}

static void test_clear(void **state)
{
	struct rig *rig = *state;

	assert_conflict(reserve_out(rig, 0, CLEAR, 0, 0, 0));
	assert_good(reserve_out(rig, 0, REGISTER, 0, 0, A));
	assert_good(reserve_out(rig, 1, REGISTER, 0, 0, B));
	assert_good(reserve_out(rig, 0, RESERVE, 3, A, 0));
	assert_conflict(reserve_out(rig, 1, CLEAR, 0, A, 0));
	assert_good(reserve_out(rig, 1, CLEAR, 0, B, 0)); /* any registrant may */
	rig_take_attentions(rig);
	reserve_check_held(rig, 0, 0);
	reserve_check_keys(rig, 0, NULL, 3);
}

static void test_clear_tells(void **state)
{
	struct rig *rig = *state;

	assert_good(reserve_out(rig, 0, REGISTER, 0, 0, A));
	assert_good(reserve_out(rig, 1, REGISTER, 0, 0, B));
	assert_good(reserve_out(rig, 1, RESERVE, 3, B, 0));
	assert_good(reserve_out(rig, 0, CLEAR, 0, A, 0));
	assert_sense(RUN(rig, 1, 0x00), SENSE_UNIT_ATTENTION, ASC_RESERVATIONS_PREEMPTED);
	assert_good(RUN(rig, 2, 0x00));
	reserve_check_keys(rig, 0, NULL, 3);
	reserve_check_held(rig, 0, 0);
}

static void test_preempt(void **state)
{
	struct rig *rig = *state;

	/* without a reservation: registrations only */
	assert_good(reserve_out(rig, 0, REGISTER, 0, 0, A));
	assert_good(reserve_out(rig, 1, REGISTER, 0, 0, B));
	assert_good(reserve_out(rig, 2, REGISTER, 0, 0, B));
	assert_conflict(reserve_out(rig, 0, PREEMPT, 1, B, A));
	assert_conflict(reserve_out(rig, 0, PREEMPT, 1, A, C)); /* nobody has that key */
	check_parameter_field(reserve_out(rig, 0, PREEMPT, 1, A, 0), 8, -1);
	assert_good(reserve_out(rig, 0, PREEMPT, 1, A, B));
	reserve_check_keys(rig, 1, (const uint64_t[]){ A }, 4);
	reserve_check_held(rig, 0, 0);
	assert_sense(RUN(rig, 1, 0x00), SENSE_UNIT_ATTENTION, ASC_REGISTRATIONS_PREEMPTED);
	assert_sense(RUN(rig, 2, 0x00), SENSE_UNIT_ATTENTION, ASC_REGISTRATIONS_PREEMPTED);
	/* the holder: its reservation is taken over, with the new type */
	assert_good(reserve_out(rig, 1, REGISTER, 0, 0, B));
	assert_good(reserve_out(rig, 2, REGISTER, 0, 0, C));
	assert_good(reserve_out(rig, 1, RESERVE, 5, B, 0));
	assert_good(reserve_out(rig, 0, PREEMPT, 3, A, B));
	reserve_check_held(rig, 3, A);
	reserve_check_keys(rig, 2, (const uint64_t[]){ A, C }, 7);
	assert_sense(RUN(rig, 1, 0x00), SENSE_UNIT_ATTENTION, ASC_REGISTRATIONS_PREEMPTED);
	assert_sense(RUN(rig, 2, 0x00), SENSE_UNIT_ATTENTION, ASC_RESERVATIONS_RELEASED);
	/* not the holder: it stays */
	assert_good(reserve_out(rig, 0, PREEMPT, 1, A, C));
	reserve_check_held(rig, 3, A);
	reserve_check_keys(rig, 1, (const uint64_t[]){ A }, 8);
	/* oneself: only the type changes */
	assert_good(reserve_out(rig, 0, PREEMPT, 1, A, A));
	reserve_check_held(rig, 1, A);
	reserve_check_keys(rig, 1, (const uint64_t[]){ A }, 9);
}

static void test_preempt_all_registrants(void **state)
{
	struct rig *rig = *state;

	assert_good(reserve_out(rig, 0, REGISTER, 0, 0, A));
	assert_good(reserve_out(rig, 1, REGISTER, 0, 0, B));
	assert_good(reserve_out(rig, 2, REGISTER, 0, 0, C));
	assert_good(reserve_out(rig, 0, RESERVE, 8, A, 0));
	assert_conflict(reserve_out(rig, 1, PREEMPT, 8, B, 0x77));
	assert_good(reserve_out(rig, 1, PREEMPT, 3, B, C)); /* one of them goes, the reservation stays */
	reserve_check_held(rig, 8, 0);
	rig_take_attentions(rig);
	assert_good(reserve_out(rig, 1, PREEMPT, 3, B, 0)); /* all of them go */
	assert_sense(RUN(rig, 0, 0x00), SENSE_UNIT_ATTENTION, ASC_REGISTRATIONS_PREEMPTED);
	reserve_check_held(rig, 3, B);
	reserve_check_keys(rig, 1, (const uint64_t[]){ B }, 5);
}

static void test_capabilities(void **state)
{
	struct rig *rig = *state;
	struct answer a = reserve_in(rig, 0, 2);

	assert_good(a);
	assert_int_equal(a.in_len, 8);
	assert_int_equal(get_be(a.in, 2), 8);
	assert_int_equal(a.in[2], 0x1d);
	assert_int_equal(a.in[3], 0x80);
	assert_int_equal(a.in[4], 0xea);
	assert_int_equal(a.in[5], 0x01);
	assert_good(reserve_out_flags(rig, 0, REGISTER, 0, 0, A, 0x01));
	assert_int_equal(reserve_in(rig, 0, 2).in[3], 0x81);
}

static void test_full_status(void **state)
{
	static const char *const port = "iqn.2026-11.test:b,i,0x00023d000002";
	struct rig *rig = *state;
	struct answer a;
	size_t id_len;

	assert_good(reserve_out(rig, 0, REGISTER, 0, 0, A));
	assert_good(reserve_out_flags(rig, 1, REGISTER, 0, 0, B, 0x04)); /* ALL_TG_PT */
	assert_good(reserve_out(rig, 1, RESERVE, 6, B, 0));
	a = reserve_in(rig, 0, 3);
	assert_good(a);
	assert_int_equal(get_be(a.in + 4, 4), a.in_len - 8);
	assert_int_equal(get_be(a.in + 8, 8), A);
	assert_int_equal(a.in[8 + 12], 0);
	assert_int_equal(get_be(a.in + 8 + 18, 2), 1);
	id_len = get_be(a.in + 8 + 20, 4);
	assert_int_equal(a.in[8 + 24], 0x45);
	assert_int_equal(get_be(a.in + 8 + 26, 2), id_len - 4);
	a.in += 8 + 24 + id_len;
	assert_int_equal(get_be(a.in, 8), B);
	assert_int_equal(a.in[12], 3); /* ALL_TG_PT, R_HOLDER */
	assert_int_equal(a.in[13], 6);
	assert_string_equal((const char *)a.in + 28, port);
}

static size_t put_id(uint8_t *at, const char *name)
{
	return transport_id_encode(name, at);
}

/* SPC-4 §6.16.3, SPEC_I_PT */
static void test_register_ports(void **state)
{
	struct rig *rig = *state;
	uint8_t list[1024] = { 0 }, cdb[16] = { 0x5f };
	size_t len = 28;

	put_be(list + 8, 8, A);
	list[20] = 0x08;
	len += put_id(list + len, "iqn.2026-11.test:b,i,0x00023D000002"); /* the digits in capitals */
	len += put_id(list + len, "iqn.2026-11.test:elsewhere,i,0x000000000009");
	put_be(list + 24, 4, len - 28);
	put_be(cdb + 5, 4, len);
	assert_good(rig_run(rig, 0, cdb, sizeof(cdb), list, len));
	reserve_check_keys(rig, 3, (const uint64_t[]){ A, A, A }, 1);
	assert_good(reserve_out(rig, 1, RESERVE, 1, A, 0)); /* nexus 1 is registered */
	/* again: already registered */
	put_be(list, 8, A);
	check_parameter_field(rig_run(rig, 0, cdb, sizeof(cdb), list, len), 20, 3);
	put_be(list, 8, 0);
	check_parameter_field(rig_run(rig, 2, cdb, sizeof(cdb), list, len), 28, -1);
	put_be(list + 24, 4, len - 29);
	assert_sense(rig_run(rig, 2, cdb, sizeof(cdb), list, len), SENSE_ILLEGAL_REQUEST,
		     ASC_PARAMETER_LIST_LENGTH_ERROR);
	put_be(list + 24, 4, len - 28);
	list[28] = 0x05; /* a device, not a port */
	check_parameter_field(rig_run(rig, 2, cdb, sizeof(cdb), list, len), 28, -1);
	reserve_check_keys(rig, 3, (const uint64_t[]){ A, A, A }, 1);
}

/* SPC-4 §5.13.8 */
static void test_move(void **state)
{
	struct rig *rig = *state;
	uint8_t list[512] = { 0 }, cdb[16] = { 0x5f, MOVE };
	size_t len = 24;

	len += put_id(list + len, "iqn.2026-11.test:b,i,0x00023d000002");
	put_be(list, 8, A);
	put_be(list + 8, 8, C);
	list[17] = 0x02; /* UNREG */
	put_be(list + 18, 2, 1);
	put_be(list + 20, 4, len - 24);
	put_be(cdb + 5, 4, len);
	assert_conflict(rig_run(rig, 0, cdb, sizeof(cdb), list, len));
	assert_good(reserve_out(rig, 0, REGISTER, 0, 0, A));
	assert_conflict(rig_run(rig, 0, cdb, sizeof(cdb), list, len)); /* holds nothing */
	assert_good(reserve_out(rig, 0, RESERVE, 3, A, 0));
	put_be(list + 8, 8, 0);
	check_parameter_field(rig_run(rig, 0, cdb, sizeof(cdb), list, len), 8, -1);
	put_be(list + 8, 8, C);
	put_be(list + 18, 2, 2);
	check_parameter_field(rig_run(rig, 0, cdb, sizeof(cdb), list, len), 18, -1);
	put_be(list + 18, 2, 1);
	put_be(list + 20, 4, 8);
	assert_sense(rig_run(rig, 0, cdb, sizeof(cdb), list, len), SENSE_ILLEGAL_REQUEST,
		     ASC_PARAMETER_LIST_LENGTH_ERROR);
	put_be(list + 20, 4, len - 24);
	assert_good(rig_run(rig, 0, cdb, sizeof(cdb), list, len));
	reserve_check_keys(rig, 1, (const uint64_t[]){ C }, 2);
	reserve_check_held(rig, 3, C);
	assert_conflict(RUN(rig, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
	assert_good(RUN(rig, 1, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
}

static void test_bounded(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < SCSI_REGISTRANTS_MAX; i++) {
		struct scsi_nexus *nexus = rig->nexus[2];
		char name[64];

		snprintf(name, sizeof(name), "iqn.2026-11.test:n%u,i,0x000000000001", i);
		assert_int_equal(scsi_nexus_open(rig->target, name, &rig->nexus[2]), 0);
		RUN(rig, 2, 0x00);
		assert_good(reserve_out(rig, 2, REGISTER, 0, 0, i + 1));
		scsi_nexus_close(rig->nexus[2]);
		rig->nexus[2] = nexus;
	}
	assert_sense(reserve_out(rig, 0, REGISTER, 0, 0, A), SENSE_ILLEGAL_REQUEST,
		     ASC_INSUFFICIENT_REGISTRATION_RESOURCES);
	assert_int_equal(reserve_in(rig, 0, 0).in_len, 8 + 8 * SCSI_REGISTRANTS_MAX);
	assert_true(reserve_in(rig, 0, 3).in_len > SCSI_REGISTRANTS_MAX * 60);
}

/* SPC-2 §5.5.1 */
static void test_reserve_6(void **state)
{
	struct rig *rig = *state;

	for (unsigned ten = 0; ten < 2; ten++) {
		uint8_t reserve = ten ? 0x56 : 0x16, release = ten ? 0x57 : 0x17;

		assert_good(RUN(rig, 0, reserve));
		assert_good(RUN(rig, 0, reserve));
		assert_conflict(RUN(rig, 1, reserve));
		assert_good(RUN(rig, 1, release));
		assert_conflict(RUN(rig, 1, 0x1a, 0, 0x3f, 0, 255));
		assert_conflict(RUN(rig, 1, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
		assert_conflict(RUN(rig, 1, 0x00));
		assert_conflict(RUN(rig, 1, 0x5e));
		assert_conflict(RUN(rig, 0, 0x5f, 0, 0, 0, 0, 0, 0, 0, 24));
		assert_good(RUN(rig, 1, 0x12, 0, 0, 0, 36));
		assert_good(RUN(rig, 1, 0xa0));
		assert_good(RUN(rig, 1, 0x03));
		assert_good(RUN(rig, 1, 0x25));
		assert_good(RUN(rig, 1, 0x1e));
		assert_conflict(RUN(rig, 1, 0x1e, 0, 0, 0, 1));
		assert_good(RUN(rig, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
		assert_good(RUN(rig, 0, release));
		assert_good(RUN(rig, 1, reserve));
		assert_good(RUN(rig, 1, release));
	}
	/* ended by a reset, and by the end of its nexus */
	assert_good(RUN(rig, 0, 0x16));
	scsi_lun_reset(rig->target, (const uint8_t[8]){ 0 }, rig->nexus[1]);
	rig_take_attentions(rig);
	assert_good(RUN(rig, 1, 0x16));
	scsi_target_reset(rig->target, NULL);
	rig_take_attentions(rig);
	assert_good(RUN(rig, 2, 0x16));
	scsi_nexus_close(rig->nexus[2]);
	rig_login(rig, 2);
	rig_take_attentions(rig);
	assert_good(RUN(rig, 1, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
	/* SPC-4 §5.13.3, CRH */
	assert_good(reserve_out(rig, 0, REGISTER, 0, 0, A));
	assert_good(RUN(rig, 0, 0x16));
	assert_conflict(RUN(rig, 1, 0x16));
	assert_conflict(RUN(rig, 1, 0x17));
	assert_good(RUN(rig, 1, 0x28, 0, 0, 0, 0, 0, 0, 0, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_register, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_bad_lists, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_reserve, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_unregister_holder, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_access, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_clear, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_clear_tells, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_preempt, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_preempt_all_registrants, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_capabilities, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_full_status, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_register_ports, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_move, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_bounded, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_reserve_6, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
