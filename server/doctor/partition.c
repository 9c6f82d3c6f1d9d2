// SPDX-License-Identifier: GPL-2.0-or-later
/* Partition tables: see partition.h. */
#include "doctor/partition.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>

enum {
	MBR_CODE_BYTES = 440,
	MBR_SERIAL_AT = 440,
	MBR_TABLE_AT = 446,
	MBR_SIGNATURE_AT = 510,
	MBR_TYPE_GPT = 0xee,
	LOGICAL_MAX = 60, /* links of the chain of extended partitions */
	GPT_ENTRIES_MAX = 1024,
	GPT_ENTRY_MAX = 4096,
	GPT_HEADER_MIN = 92,
	GPT_4096 = 4096,
};

struct gpt_header {
	char signature[8];
	struct le32 revision, header_size, checksum, reserved;
	struct le64 my_lba, other_lba, first_lba, last_lba;
	uint8_t guid[16];
	struct le64 entries_lba;
	struct le32 entries, entry_size, entries_checksum;
};

struct gpt_entry {
	uint8_t type[16], guid[16];
	struct le64 first_lba, last_lba;
};

static const uint8_t type_esp[16] = { 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
				      0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b };

/* The CRC of UEFI §4.2: that of IEEE 802.3, reflected. */
static uint32_t crc32_add(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len--) {
		crc ^= *at++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return crc;
}

static void list_add(struct partition_list *list, const struct view *view, const struct partition *found)
{
	struct partition *added;

	if (list->count == PARTITIONS_MAX) {
		list->more = true;
		return;
	}
	added = &list->list[list->count++];
	*added = *found;
	if (found->start > view->size || found->bytes > view->size - found->start) {
		added->cut = true;
		added->bytes = found->start < view->size ? view->size - found->start : 0;
	}
}

/* ---- MBR ---- */

struct mbr_entry {
	uint8_t status, first_chs[3], type, last_chs[3];
	struct le32 first, count;
};

static bool mbr_is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/* Linux names it by the disk's serial number and its own. */
static void mbr_add(struct partition_list *list, const struct view *view, uint32_t serial, unsigned number,
		    uint64_t first, uint64_t count)
{
	struct partition found = {
		.number = number, .start = first * SECTOR_BYTES, .bytes = count * SECTOR_BYTES, .esp = true
	}; /* firmware takes any FAT partition of an MBR disk */

	snprintf(found.uuid, sizeof(found.uuid), "%08x-%02x", serial, number);
	list_add(list, view, &found);
}

/* Each link names one partition, relative to itself, and the next link, relative to the whole. */
static void mbr_read_logical(struct partition_list *list, const struct view *view, uint32_t serial, uint64_t extended)
{
	uint64_t link = extended;
	unsigned number = 5;

	for (int links = 0; links < LOGICAL_MAX; links++) {
		uint8_t sector[SECTOR_BYTES];
		struct mbr_entry entries[2];

		if (!view_read(view, link * SECTOR_BYTES, sector, sizeof(sector)) || sector[MBR_SIGNATURE_AT] != 0x55 ||
		    sector[MBR_SIGNATURE_AT + 1] != 0xaa)
			return;
		memcpy(entries, sector + MBR_TABLE_AT, sizeof(entries));
		if (entries[0].type && le32_get(entries[0].count))
			mbr_add(list, view, serial, number++, link + le32_get(entries[0].first),
				le32_get(entries[0].count));
		if (!mbr_is_extended(entries[1].type) || !le32_get(entries[1].first))
			return;
		link = extended + le32_get(entries[1].first);
	}
	list->more = true;
}

static void mbr_read(struct partition_list *list, const struct view *view, const uint8_t *sector)
{
	struct mbr_entry entries[4];
	struct le32 serial;

	memcpy(&serial, sector + MBR_SERIAL_AT, sizeof(serial));
	memcpy(entries, sector + MBR_TABLE_AT, sizeof(entries));
	for (unsigned i = 0; i < array_len(entries); i++) {
		const struct mbr_entry *entry = &entries[i];
		uint64_t first = le32_get(entry->first);

		/* The boot sector of a file system has text where a table would be. */
		if (!entry->type || entry->type == MBR_TYPE_GPT || !le32_get(entry->count) || (entry->status & 0x7f) ||
		    first >= view->size / SECTOR_BYTES)
			continue;
		list->table = PARTITION_TABLE_MBR;
		if (mbr_is_extended(entry->type))
			mbr_read_logical(list, view, le32_get(serial), first);
		else
			mbr_add(list, view, le32_get(serial), i + 1, first, le32_get(entry->count));
	}
}

/* ---- GPT ---- */

static bool gpt_read_header(const struct view *view, uint64_t at, struct gpt_header *header)
{
	return view_read(view, at, header, sizeof(*header)) && !memcmp(header->signature, "EFI PART", 8);
}

static bool gpt_header_valid(const struct gpt_header *header)
{
	struct gpt_header copy = *header;

	copy.checksum = (struct le32){ { 0 } };
	/* Longer ones are allowed, and nobody makes them. */
	return le32_get(header->header_size) != GPT_HEADER_MIN ||
	       ~crc32_add(~0u, &copy, GPT_HEADER_MIN) == le32_get(header->checksum);
}

/* The first three fields are little-endian (UEFI appendix A). */
static void gpt_uuid(const uint8_t *b, char out[40])
{
	snprintf(out, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[3], b[2], b[1],
		 b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static void gpt_add(struct partition_list *list, const struct view *view, unsigned number,
		    const struct gpt_entry *entry)
{
	static const uint8_t unused[16];
	uint64_t first = le64_get(entry->first_lba), last = le64_get(entry->last_lba);
	struct partition found = { .number = number };

	if (!memcmp(entry->type, unused, 16) || last < first || last >= UINT64_MAX / SECTOR_BYTES)
		return;
	found.start = first * SECTOR_BYTES;
	found.bytes = (last - first + 1) * SECTOR_BYTES;
	found.esp = !memcmp(entry->type, type_esp, 16);
	gpt_uuid(entry->guid, found.uuid);
	list_add(list, view, &found);
}

static void gpt_read(struct partition_list *list, const struct view *view, const struct gpt_header *header)
{
	uint32_t count = le32_get(header->entries), size = le32_get(header->entry_size), crc = ~0u;
	uint64_t at = le64_get(header->entries_lba);
	uint8_t raw[GPT_ENTRY_MAX];
	struct gpt_header backup;

	list->table = PARTITION_TABLE_GPT;
	list->damaged = !gpt_header_valid(header);
	list->backup_missing = view->size < 2 * SECTOR_BYTES ||
			       !gpt_read_header(view, align_down(view->size, SECTOR_BYTES) - SECTOR_BYTES, &backup);
	if (count > GPT_ENTRIES_MAX || size < sizeof(struct gpt_entry) || size > GPT_ENTRY_MAX ||
	    at > view->size / SECTOR_BYTES) {
		list->damaged = true;
		return;
	}
	at *= SECTOR_BYTES;
	for (uint32_t i = 0; i < count; i++, at += size) {
		struct gpt_entry entry;

		if (!view_read(view, at, raw, size)) {
			list->damaged = true;
			return;
		}
		crc = crc32_add(crc, raw, size);
		memcpy(&entry, raw, sizeof(entry));
		gpt_add(list, view, i + 1, &entry);
	}
	if (~crc != le32_get(header->entries_checksum))
		list->damaged = true;
}

bool partition_list_read(const struct view *view, struct partition_list *list)
{
	uint8_t sector[SECTOR_BYTES];
	struct gpt_header header;

	memset(list, 0, sizeof(*list));
	if (!view_read(view, 0, sector, sizeof(sector)))
		return false;
	list->signature = sector[MBR_SIGNATURE_AT] == 0x55 && sector[MBR_SIGNATURE_AT + 1] == 0xaa;
	for (int i = 0; list->signature && i < MBR_CODE_BYTES; i++)
		list->boot_code |= sector[i] != 0;
	if (gpt_read_header(view, SECTOR_BYTES, &header))
		gpt_read(list, view, &header);
	else if (gpt_read_header(view, GPT_4096, &header))
		list->table = PARTITION_TABLE_GPT_4096;
	else if (list->signature)
		mbr_read(list, view, sector);
	return true;
}
