// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Vital product data (SPC-4 §7.8, SBC-3 §6.6): how initiators recognise the disk, and what it can do.
 *
 * The NAA identifier is locally assigned (3h): a hash of the serial number, so that it is the same after every
 * restart and on every path, and nobody needs a registered company identifier.
 */
#include <stdio.h>
#include <string.h>

#include "base/be.h"
#include "base/util.h"
#include "scsi/handlers.h"
#include "scsi/reservations.h"

enum {
	VPD_BYTES = 2048, /* more than any page: the target's name is at most 223 bytes, and is in 83h three times */
	PROTOCOL_ISCSI = 0x5,
	CODE_BINARY = 1,
	CODE_ASCII = 2,
	CODE_UTF8 = 3,
	OF_UNIT = 0,
	OF_PORT = 1,
	OF_TARGET = 2,
};

struct vpd_page {
	uint8_t code;
	/* Writes what follows the header; returns its length. */
	size_t (*build)(const struct task_state *st, uint8_t *out);
	uint8_t types;	   /* of device that have it: OPCODE_DISK... */
	bool without_unit; /* also on the well-known logical unit */
};

static size_t vpd_supported(const struct task_state *st, uint8_t *out);

/* SPC-4 §7.8.16 */
static size_t vpd_serial(const struct task_state *st, uint8_t *out)
{
	return inquiry_serial(st->lu, (char *)out);
}

/* ---- 83h (SPC-4 §7.8.6) ---- */

static size_t designator(uint8_t *out, unsigned code_set, unsigned association, unsigned type, const void *data,
			 size_t len)
{
	size_t padded = align_up(len, type == 0x8 ? 4 : 1);

	out[0] = (uint8_t)code_set;
	out[1] = (uint8_t)(association << 4 | type);
	if (association != OF_UNIT) {
		out[0] |= PROTOCOL_ISCSI << 4;
		out[1] |= 0x80; /* PIV */
	}
	out[3] = (uint8_t)padded;
	memcpy(out + 4, data, len);
	return 4 + padded;
}

/* SPC-4 §7.8.6.11: UTF-8, ended by a zero, padded to a multiple of four. */
static size_t name_designator(uint8_t *out, unsigned association, const char *target, const char *suffix)
{
	char name[256];
	int len = snprintf(name, sizeof(name) - 4, "%.223s%s", target, suffix);

	return designator(out, CODE_UTF8, association, 0x8, name, (size_t)len + 1);
}

static uint64_t vpd_naa(const char *serial, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)serial[i]) * 0x100000001b3;
	return (hash & 0x0fffffffffffffff) | 0x3000000000000000;
}

static size_t vpd_identification(const struct task_state *st, uint8_t *out)
{
	char serial[INQUIRY_SERIAL_MAX], suffix[32];
	size_t serial_len = inquiry_serial(st->lu, serial), len = 0;
	const char *target = st->target->name;
	struct be64 naa = be64_put(vpd_naa(serial, serial_len));
	struct {
		uint8_t vendor[8], product[16];
		char serial[INQUIRY_SERIAL_MAX];
	} t10;
	static const uint8_t one[4] = { 0, 0, 0, SCSI_TARGET_PORT };

	len += designator(out + len, CODE_BINARY, OF_UNIT, 0x3, &naa, sizeof(naa));
	inquiry_put_vendor(st->lu, t10.vendor, t10.product);
	memcpy(t10.serial, serial, serial_len);
	len += designator(out + len, CODE_ASCII, OF_UNIT, 0x1, &t10, offsetof(__typeof__(t10), serial) + serial_len);
	/* A unit with a serial number of its own is the same one under another number and at another target. */
	if (st->lu->serial[0])
		snprintf(suffix, sizeof(suffix), "naa.%016llX", (unsigned long long)be64_get(naa));
	else
		snprintf(suffix, sizeof(suffix), ",L,0x%04x000000000000", st->lu->number);
	len += name_designator(out + len, OF_UNIT, st->lu->serial[0] ? "" : target, suffix);
	len += designator(out + len, CODE_BINARY, OF_PORT, 0x4, one, sizeof(one)); /* relative target port */
	len += designator(out + len, CODE_BINARY, OF_PORT, 0x5, one, sizeof(one)); /* target port group */
	len += name_designator(out + len, OF_PORT, target, ",t,0x0001");
	len += name_designator(out + len, OF_TARGET, target, "");
	return len;
}

/* SPC-4 §7.8.7; offsets as the standard numbers them */
static size_t vpd_extended(const struct task_state *st, uint8_t *out)
{
	uint8_t *page = out - 4;

	(void)st;
	page[5] = 0x07; /* HEADSUP, ORDSUP, SIMPSUP */
	page[6] = 0x01; /* V_SUP: a volatile cache */
	page[13] = SCSI_SENSE_MAX;
	return 0x3c;
}

/*
 * SPC-4 §7.8.17: third-party copy. The page is there so that Windows sees at once that there is none (no ODX
 * descriptor): one descriptor, the supported commands, and its list is empty.
 */
static size_t vpd_copy(const struct task_state *st, uint8_t *out)
{
	(void)st;
	out[0] = 0x00;
	out[1] = 0x01; /* supported commands */
	out[3] = 0x04; /* descriptor length; the list's own length stays 0 */
	return 8;
}

static void put16(uint8_t *out, uint16_t x)
{
	struct be16 v = be16_put(x);

	memcpy(out, &v, sizeof(v));
}

static void put32(uint8_t *out, uint32_t x)
{
	struct be32 v = be32_put(x);

	memcpy(out, &v, sizeof(v));
}

static void put64(uint8_t *out, uint64_t x)
{
	struct be64 v = be64_put(x);

	memcpy(out, &v, sizeof(v));
}

/* SBC-3 §6.6.4 */
static size_t vpd_block_limits(const struct task_state *st, uint8_t *out)
{
	uint8_t *page = out - 4;

	page[4] = st->lu->physical_exponent ? 0x01 : 0; /* WSNZ: see decode.c */
	page[5] = SCSI_COMPARE_BLOCKS_MAX;
	put16(page + 6, SCSI_PHYSICAL_BLOCKS);
	put32(page + 8, SCSI_TRANSFER_BLOCKS_MAX);
	put32(page + 12, SCSI_TRANSFER_BLOCKS_OPTIMAL);
	put32(page + 16, 0); /* MAXIMUM PREFETCH LENGTH: no limit, the surplus is simply not fetched */
	put32(page + 20, SCSI_UNMAP_BLOCKS_MAX);
	put32(page + 24, SCSI_UNMAP_DESCRIPTORS_MAX);
	put32(page + 28, SCSI_PHYSICAL_BLOCKS);
	put32(page + 32, 0x80000000); /* UGAVALID, aligned at 0 */
	put64(page + 36, SCSI_SAME_BLOCKS_MAX);
	return 0x3c;
}

/* SBC-3 §6.6.2 */
static size_t vpd_characteristics(const struct task_state *st, uint8_t *out)
{
	uint8_t *page = out - 4;

	(void)st;
	put16(page + 4, 0x0001); /* non-rotating medium */
	return 0x3c;
}

/* SBC-3 §6.6.5 */
static size_t vpd_provisioning(const struct task_state *st, uint8_t *out)
{
	uint8_t *page = out - 4;

	(void)st;
	page[4] = SCSI_THRESHOLD_EXPONENT;
	page[5] = 0xe6; /* LBPU, LBPWS, LBPWS10, LBPRZ=1, ANC_SUP */
	page[6] = 0x02; /* thin provisioned */
	return 4;
}

enum { DISK = OPCODE_DISK, BOTH = OPCODE_DISK | OPCODE_CDROM };

static const struct vpd_page vpd_pages[] = {
	{ 0x00, vpd_supported, BOTH, true },
	{ 0x80, vpd_serial, BOTH, false },
	{ 0x83, vpd_identification, BOTH, false },
	{ 0x86, vpd_extended, BOTH, false },
	{ 0x8f, vpd_copy, DISK, false },
	{ 0xb0, vpd_block_limits, DISK, false },
	{ 0xb1, vpd_characteristics, DISK, false },
	{ 0xb2, vpd_provisioning, DISK, false },
};

static bool vpd_has(const struct task_state *st, const struct vpd_page *page)
{
	return st->lu ? page->types & st->lu->opcode_types : page->without_unit;
}

static size_t vpd_supported(const struct task_state *st, uint8_t *out)
{
	size_t len = 0;

	for (size_t i = 0; i < array_len(vpd_pages); i++)
		if (vpd_has(st, &vpd_pages[i]))
			out[len++] = vpd_pages[i].code;
	return len;
}

void vpd_inquiry(struct task_state *st)
{
	const struct vpd_page *page = NULL;
	uint8_t *out;
	size_t len;

	for (size_t i = 0; i < array_len(vpd_pages); i++)
		if (vpd_pages[i].code == st->task->cdb[2] && vpd_has(st, &vpd_pages[i]))
			page = &vpd_pages[i];
	if (!page) {
		task_fail_cdb(st, 2, -1);
		return;
	}
	out = task_buffer(st, VPD_BYTES);
	if (!out)
		return;
	out[0] = inquiry_peripheral(st);
	out[1] = page->code;
	len = page->build(st, out + 4);
	put16(out + 2, (uint16_t)len);
	task_data(st, 4 + len);
}
