/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The basic header segments of RFC 7143 §11, as they lie on the wire: 48 bytes each, every field a byte-array integer.
 * Fields named rN are reserved.
 */
#ifndef ISCSI_BHS_H
#define ISCSI_BHS_H

#include "base/be.h"

#include <stdint.h>

enum { BHS_BYTES = 48 };

/* §11.2.1.2 */
enum opcode {
	OP_NOP_OUT = 0x00,
	OP_SCSI_COMMAND = 0x01,
	OP_TASK_REQUEST = 0x02,
	OP_LOGIN_REQUEST = 0x03,
	OP_TEXT_REQUEST = 0x04,
	OP_DATA_OUT = 0x05,
	OP_LOGOUT_REQUEST = 0x06,
	OP_SNACK_REQUEST = 0x10,
	OP_NOP_IN = 0x20,
	OP_SCSI_RESPONSE = 0x21,
	OP_TASK_RESPONSE = 0x22,
	OP_LOGIN_RESPONSE = 0x23,
	OP_TEXT_RESPONSE = 0x24,
	OP_DATA_IN = 0x25,
	OP_LOGOUT_RESPONSE = 0x26,
	OP_R2T = 0x31,
	OP_ASYNC = 0x32,
	OP_REJECT = 0x3f,
	OP_MASK = 0x3f,
	OP_IMMEDIATE = 0x40,
};

enum {
	FLAG_FINAL = 0x80,
	FLAG_CONTINUE = 0x40, /* Text, Login: C */
	CMD_READ = 0x40,
	CMD_WRITE = 0x20,
	CMD_ATTRIBUTE = 0x07,
	LOGIN_TRANSIT = 0x80,
	DATA_IN_STATUS = 0x01,
	RESIDUAL_UNDERFLOW = 0x02,
	RESIDUAL_OVERFLOW = 0x04,
};

#define TAG_NONE 0xffffffffu /* the reserved Initiator and Target Task Tag */

/* Login stages, §11.12.3 */
enum { STAGE_SECURITY = 0, STAGE_OPERATIONAL = 1, STAGE_RESERVED = 2, STAGE_FULL = 3 };

/* Login status, class and detail, §11.13.5 */
enum login_status {
	LOGIN_SUCCESS = 0x0000,
	LOGIN_INITIATOR_ERROR = 0x0200,
	LOGIN_AUTHENTICATION_FAILED = 0x0201,
	LOGIN_FORBIDDEN = 0x0202,
	LOGIN_NOT_FOUND = 0x0203,
	LOGIN_UNSUPPORTED_VERSION = 0x0205,
	LOGIN_TOO_MANY_CONNECTIONS = 0x0206,
	LOGIN_MISSING_PARAMETER = 0x0207,
	LOGIN_SESSION_TYPE = 0x0209,
	LOGIN_NO_SESSION = 0x020a,
	LOGIN_INVALID_DURING_LOGIN = 0x020b,
	LOGIN_TARGET_ERROR = 0x0300,
	LOGIN_UNAVAILABLE = 0x0301,
	LOGIN_OUT_OF_RESOURCES = 0x0302,
};

/* Reject reasons, §11.17.1 */
enum reject_reason {
	REJECT_DATA_DIGEST = 0x02,
	REJECT_SNACK = 0x03,
	REJECT_PROTOCOL = 0x04,
	REJECT_UNSUPPORTED = 0x05,
	REJECT_TOO_MANY_IMMEDIATE = 0x06,
	REJECT_TASK_IN_PROGRESS = 0x07,
	REJECT_INVALID_FIELD = 0x09,
	REJECT_OUT_OF_RESOURCES = 0x0a,
};

/* Task management functions and responses, §11.5.1, §11.6.1 */
enum {
	TMF_ABORT_TASK = 1,
	TMF_ABORT_TASK_SET = 2,
	TMF_CLEAR_ACA = 3,
	TMF_CLEAR_TASK_SET = 4,
	TMF_LUN_RESET = 5,
	TMF_TARGET_WARM_RESET = 6,
	TMF_TARGET_COLD_RESET = 7,
	TMF_TASK_REASSIGN = 8,

	TMF_COMPLETE = 0,
	TMF_NO_TASK = 1,
	TMF_NO_LUN = 2,
	TMF_NO_REASSIGN = 4,
	TMF_UNSUPPORTED = 5,
	TMF_REJECTED = 255,
};

/* Asynchronous events, §11.9.1 */
enum { ASYNC_SCSI = 0, ASYNC_LOGOUT = 1, ASYNC_DROP_CONNECTION = 2, ASYNC_DROP_ALL = 3 };

/* Additional header segments, §11.2.2 */
enum { AHS_EXTENDED_CDB = 1, AHS_BIDI_READ_LENGTH = 2 };

/* What all have in common, §11.2.1. */
struct bhs {
	uint8_t opcode, flags, specific[2];
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt;
	uint8_t rest[28];
};

/* What every PDU from the target has in the same place. */
struct bhs_target {
	uint8_t opcode, flags, specific[2];
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt, ttt, statsn, exp_cmdsn, max_cmdsn;
	uint8_t rest[12];
};

/* What every numbered PDU from the initiator has in the same place. */
struct bhs_initiator {
	uint8_t opcode, flags, specific[2];
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt, ttt, cmdsn, exp_statsn;
	uint8_t rest[16];
};

struct bhs_scsi_command { /* §11.3 */
	uint8_t opcode, flags, r1[2];
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt, expected_len, cmdsn, exp_statsn;
	uint8_t cdb[16];
};

struct bhs_scsi_response { /* §11.4 */
	uint8_t opcode, flags, response, status;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t r1[8];
	struct be32 itt, snack_tag, statsn, exp_cmdsn, max_cmdsn, exp_datasn, bidi_residual, residual;
};

struct bhs_task_request { /* §11.5 */
	uint8_t opcode, function, r1[2];
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt, ref_itt, cmdsn, exp_statsn, ref_cmdsn, exp_datasn;
	uint8_t r2[8];
};

struct bhs_data_out { /* §11.7 */
	uint8_t opcode, flags, r1[2];
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt, ttt;
	uint8_t r2[4];
	struct be32 exp_statsn;
	uint8_t r3[4];
	struct be32 datasn, offset;
	uint8_t r4[4];
};

struct bhs_data_in { /* §11.7 */
	uint8_t opcode, flags, r1, status;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt, ttt, statsn, exp_cmdsn, max_cmdsn, datasn, offset, residual;
};

struct bhs_r2t { /* §11.8 */
	uint8_t opcode, flags, r1[2];
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt, ttt, statsn, exp_cmdsn, max_cmdsn, r2tsn, offset, length;
};

struct bhs_async { /* §11.9 */
	uint8_t opcode, flags, r1[2];
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t lun[8];
	struct be32 itt;
	uint8_t r2[4];
	struct be32 statsn, exp_cmdsn, max_cmdsn;
	uint8_t event, vendor_code;
	struct be16 parameter1, parameter2, parameter3;
	uint8_t r3[4];
};

struct bhs_login_request { /* §11.12 */
	uint8_t opcode, flags, version_max, version_min;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t isid[6];
	struct be16 tsih;
	struct be32 itt;
	struct be16 cid;
	uint8_t r1[2];
	struct be32 cmdsn, exp_statsn;
	uint8_t r2[16];
};

struct bhs_login_response { /* §11.13 */
	uint8_t opcode, flags, version_max, version_active;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t isid[6];
	struct be16 tsih;
	struct be32 itt;
	uint8_t r1[4];
	struct be32 statsn, exp_cmdsn, max_cmdsn;
	struct be16 status;
	uint8_t r2[10];
};

struct bhs_logout_request { /* §11.14 */
	uint8_t opcode, reason, r1[2];
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t r2[8];
	struct be32 itt;
	struct be16 cid;
	uint8_t r3[2];
	struct be32 cmdsn, exp_statsn;
	uint8_t r4[16];
};

struct bhs_logout_response { /* §11.15 */
	uint8_t opcode, flags, response, r1;
	uint8_t ahs_words;
	struct be24 data_len;
	uint8_t r2[8];
	struct be32 itt;
	uint8_t r3[4];
	struct be32 statsn, exp_cmdsn, max_cmdsn;
	uint8_t r4[4];
	struct be16 time2wait, time2retain;
	uint8_t r5[4];
};

#define BHS_CHECK(name) _Static_assert(sizeof(struct name) == BHS_BYTES, #name " is not 48 bytes")
BHS_CHECK(bhs);
BHS_CHECK(bhs_target);
BHS_CHECK(bhs_initiator);
BHS_CHECK(bhs_scsi_command);
BHS_CHECK(bhs_scsi_response);
BHS_CHECK(bhs_task_request);
BHS_CHECK(bhs_data_out);
BHS_CHECK(bhs_data_in);
BHS_CHECK(bhs_r2t);
BHS_CHECK(bhs_async);
BHS_CHECK(bhs_login_request);
BHS_CHECK(bhs_login_response);
BHS_CHECK(bhs_logout_request);
BHS_CHECK(bhs_logout_response);

/* Serial number arithmetic, RFC 1982 as RFC 7143 §4.2.2.1 uses it: a < b. */
static inline int serial_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

#endif
