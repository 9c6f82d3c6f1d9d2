// SPDX-License-Identifier: GPL-2.0-or-later
/* See reserve.h. */
#include "reserve.h"

struct answer reserve_out_flags(struct rig *rig, unsigned nexus, uint8_t action, uint8_t type, uint64_t key,
				uint64_t action_key, uint8_t flags)
{
	uint8_t list[24] = { 0 };

	put_be(list, 8, key);
	put_be(list + 8, 8, action_key);
	list[20] = flags;
	return rig_run(rig, nexus, CDB(0x5f, action, type, 0, 0, 0, 0, 0, 24), list, 24);
}

struct answer reserve_out(struct rig *rig, unsigned nexus, uint8_t action, uint8_t type, uint64_t key,
			  uint64_t action_key)
{
	return reserve_out_flags(rig, nexus, action, type, key, action_key, 0);
}

struct answer reserve_in(struct rig *rig, unsigned nexus, uint8_t action)
{
	return RUN(rig, nexus, 0x5e, action, 0, 0, 0, 0, 0, 0xff, 0xff);
}

void reserve_check_keys(struct rig *rig, unsigned count, const uint64_t *keys, uint32_t generation)
{
	struct answer a = reserve_in(rig, 0, 0);

	assert_good(a);
	assert_int_equal(get_be(a.in, 4), generation);
	assert_int_equal(get_be(a.in + 4, 4), count * 8);
	assert_int_equal(a.in_len, 8 + count * 8);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(get_be(a.in + 8 + i * 8, 8), keys[i]);
}

void reserve_check_held(struct rig *rig, uint8_t type, uint64_t key)
{
	struct answer a = reserve_in(rig, 0, 1);

	assert_good(a);
	if (!type) {
		assert_int_equal(a.in_len, 8);
		assert_int_equal(get_be(a.in + 4, 4), 0);
		return;
	}
	assert_int_equal(a.in_len, 24);
	assert_int_equal(get_be(a.in + 8, 8), key);
	assert_int_equal(a.in[21], type);
}
