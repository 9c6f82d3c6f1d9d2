/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sense data (SPC-4 §4.5): what went wrong with a command, and its two formats. Private to scsi/. */
#ifndef SCSI_SENSE_H
#define SCSI_SENSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SPC-4 §4.5.6 */
enum sense_key {
	SENSE_NO_SENSE = 0x0,
	SENSE_MEDIUM_ERROR = 0x3,
	SENSE_HARDWARE_ERROR = 0x4,
	SENSE_ILLEGAL_REQUEST = 0x5,
	SENSE_UNIT_ATTENTION = 0x6,
	SENSE_DATA_PROTECT = 0x7,
	SENSE_MISCOMPARE = 0xe,
};

/* Additional sense code and qualifier in one number, named as SPC-4 annex F does. */
enum sense_code {
	ASC_NO_ADDITIONAL = 0x0000,
	ASC_WRITE_ERROR = 0x0c00,
	ASC_INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT = 0x0e03,
	ASC_UNRECOVERED_READ_ERROR = 0x1100,
	ASC_PARAMETER_LIST_LENGTH_ERROR = 0x1a00,
	ASC_MISCOMPARE_DURING_VERIFY = 0x1d00,
	ASC_INVALID_OPERATION_CODE = 0x2000,
	ASC_LBA_OUT_OF_RANGE = 0x2100,
	ASC_INVALID_FIELD_IN_CDB = 0x2400,
	ASC_LOGICAL_UNIT_NOT_SUPPORTED = 0x2500,
	ASC_INVALID_FIELD_IN_PARAMETER_LIST = 0x2600,
	ASC_INVALID_RELEASE_OF_PERSISTENT_RESERVATION = 0x2604,
	ASC_WRITE_PROTECTED = 0x2700,
	ASC_SOFTWARE_WRITE_PROTECTED = 0x2702,
	ASC_SPACE_ALLOCATION_FAILED = 0x2707,
	ASC_POWER_ON_OR_RESET_OCCURRED = 0x2900,
	ASC_BUS_RESET_OCCURRED = 0x2902,
	ASC_BUS_DEVICE_RESET_OCCURRED = 0x2903,
	ASC_MODE_PARAMETERS_CHANGED = 0x2a01,
	ASC_RESERVATIONS_PREEMPTED = 0x2a03,
	ASC_RESERVATIONS_RELEASED = 0x2a04,
	ASC_REGISTRATIONS_PREEMPTED = 0x2a05,
	ASC_CAPACITY_DATA_CHANGED = 0x2a09,
	ASC_COMMANDS_CLEARED_BY_ANOTHER_INITIATOR = 0x2f00,
	ASC_THIN_PROVISIONING_SOFT_THRESHOLD = 0x3807,
	ASC_INCOMPATIBLE_MEDIUM = 0x3002,
	ASC_REPORTED_LUNS_CHANGED = 0x3f0e,
	ASC_SAVING_NOT_SUPPORTED = 0x3900,
	ASC_INTERNAL_TARGET_FAILURE = 0x4400,
	ASC_INVALID_MESSAGE_ERROR = 0x4900,
	ASC_INSUFFICIENT_REGISTRATION_RESOURCES = 0x5504,
};

enum sense_where { SENSE_NOWHERE, SENSE_IN_CDB, SENSE_IN_PARAMETERS };

struct sense {
	uint8_t key;
	uint16_t code;
	bool has_information;
	uint64_t information; /* an LBA or a byte offset, as the command defines it */
	/* the field in error (SPC-4 §4.5.2.4.2), for ILLEGAL REQUEST */
	enum sense_where where;
	uint16_t byte;
	int8_t bit; /* -1: the whole byte */
};

enum { SENSE_FIXED_BYTES = 18 };

/* Writes sense to out, which holds at least SCSI_SENSE_MAX bytes; returns how many it takes. descriptor: D_SENSE. */
size_t sense_encode(const struct sense *sense, bool descriptor, uint8_t *out);

#endif
