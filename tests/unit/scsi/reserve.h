/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PERSISTENT RESERVE OUT and IN in one call each, and what a target then says of itself. */
#ifndef TEST_RESERVE_H
#define TEST_RESERVE_H

#include "rig.h"

enum { REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, IGNORE, MOVE };
enum { A = 0xaaaa, B = 0xbbbb, C = 0xcccc };

/* OUT: flags are those of byte 20 (APTPL, ALL_TG_PT, SPEC_I_PT). */
struct answer reserve_out_flags(struct rig *rig, unsigned nexus, uint8_t action, uint8_t type, uint64_t key,
				uint64_t action_key, uint8_t flags);
struct answer reserve_out(struct rig *rig, unsigned nexus, uint8_t action, uint8_t type, uint64_t key,
			  uint64_t action_key);
struct answer reserve_in(struct rig *rig, unsigned nexus, uint8_t action);
/* READ KEYS and READ RESERVATION say this; type 0: nothing is held. */
void reserve_check_keys(struct rig *rig, unsigned count, const uint64_t *keys, uint32_t generation);
void reserve_check_held(struct rig *rig, uint8_t type, uint64_t key);
#define assert_conflict(a) assert_int_equal((a).status, SCSI_RESERVATION_CONFLICT)

#endif
