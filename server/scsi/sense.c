// SPDX-License-Identifier: GPL-2.0-or-later
/* Sense data in fixed and in descriptor format: see sense.h. */
#include "scsi/sense.h"

#include <string.h>

#include "base/be.h"

enum { SENSE_SKS_BYTES = 3 };

/* SPC-4 §4.5.3 */
struct sense_fixed {
	uint8_t response_code, obsolete, key;
	struct be32 information;
	uint8_t additional_length;
	struct be32 command_specific;
	uint8_t asc, ascq, fru;
	uint8_t key_specific[SENSE_SKS_BYTES];
};

/* SPC-4 §4.5.2.1 */
struct sense_descriptor_header {
	uint8_t response_code, key, asc, ascq, reserved[3], additional_length;
};

/* SPC-4 §4.5.2.2 */
struct sense_information {
	uint8_t type, length, valid, reserved;
	struct be64 information;
};

/* SPC-4 §4.5.2.4 */
struct sense_key_specific {
	uint8_t type, length, reserved1[2], key_specific[SENSE_SKS_BYTES], reserved2;
};

/* The field pointer of SPC-4 §4.5.2.4.2: SKSV, C/D, BPV, bit pointer, byte. */
static void sense_put_field(const struct sense *sense, uint8_t out[SENSE_SKS_BYTES])
{
	struct be16 byte = be16_put(sense->byte);

	out[0] = 0x80;
	if (sense->where == SENSE_IN_CDB)
		out[0] |= 0x40;
	if (sense->bit >= 0)
		out[0] |= (uint8_t)(0x08 | (sense->bit & 7));
	memcpy(out + 1, &byte, sizeof(byte));
}

static size_t sense_encode_fixed(const struct sense *sense, uint8_t *out)
{
	struct sense_fixed fixed = { .response_code = 0x70,
				     .key = sense->key,
				     .additional_length = SENSE_FIXED_BYTES - 8 };

	fixed.asc = (uint8_t)(sense->code >> 8);
	fixed.ascq = (uint8_t)sense->code;
	/* VALID only where the field holds the whole number: SPC-4 §4.5.3. */
	if (sense->has_information && sense->information <= UINT32_MAX) {
		fixed.response_code |= 0x80;
		fixed.information = be32_put((uint32_t)sense->information);
	}
	if (sense->where != SENSE_NOWHERE)
		sense_put_field(sense, fixed.key_specific);
	memcpy(out, &fixed, sizeof(fixed));
	return sizeof(fixed);
}

static size_t sense_encode_descriptor(const struct sense *sense, uint8_t *out)
{
	struct sense_descriptor_header header = { .response_code = 0x72, .key = sense->key };
	size_t len = sizeof(header);

	header.asc = (uint8_t)(sense->code >> 8);
	header.ascq = (uint8_t)sense->code;
	if (sense->has_information) {
		struct sense_information d = { .type = 0x00, .length = 0x0a, .valid = 0x80 };

		d.information = be64_put(sense->information);
		memcpy(out + len, &d, sizeof(d));
		len += sizeof(d);
	}
	if (sense->where != SENSE_NOWHERE) {
		struct sense_key_specific d = { .type = 0x02, .length = 0x06 };

		sense_put_field(sense, d.key_specific);
		memcpy(out + len, &d, sizeof(d));
		len += sizeof(d);
	}
	header.additional_length = (uint8_t)(len - sizeof(header));
	memcpy(out, &header, sizeof(header));
	return len;
}

size_t sense_encode(const struct sense *sense, bool descriptor, uint8_t *out)
{
	return descriptor ? sense_encode_descriptor(sense, out) : sense_encode_fixed(sense, out);
}
