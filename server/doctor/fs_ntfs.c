// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * NTFS: was it unmounted? File record 3, $Volume, says so in its attribute 0x70, and the volume's name is 0x60. A record
 * is protected by fixups: the last two bytes of each 512 are kept in its head, and checked. (ntfs-3g, layout.h.)
 */
#include "doctor/fs.h"

#include <stdio.h>
#include <string.h>

enum {
	RECORD_MAX = 4096,
	VOLUME_RECORD = 3,
	ATTRIBUTE_NAME = 0x60,
	ATTRIBUTE_INFORMATION = 0x70,
	ATTRIBUTE_END = -1,
	DIRTY = 1,
	ATTRIBUTES_MAX = 64,
};

static uint32_t get(const uint8_t *at, unsigned len)
{
	uint32_t x = 0;

	while (len--)
		x = x << 8 | at[len];
	return x;
}

/* Puts the ends of its 512-byte parts back; false: it was only written in part. */
static bool apply_fixups(uint8_t *record, uint32_t size)
{
	uint32_t at = get(record + 4, 2), count = get(record + 6, 2);

	if (count != size / 512 + 1 || at > size - 2 * count)
		return false;
	for (uint32_t i = 1; i < count; i++) {
		uint8_t *end = record + i * 512 - 2;

		if (memcmp(end, record + at, 2))
			return false;
		memcpy(end, record + at + 2 * i, 2);
	}
	return true;
}

static void take_name(const uint8_t *value, uint32_t len, struct fs_info *info)
{
	uint32_t i;

	for (i = 0; i < len / 2 && i < sizeof(info->label) - 1; i++) {
		uint32_t c = get(value + 2 * i, 2);

		info->label[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
	}
	info->label[i] = '\0';
}

static void take_attributes(const uint8_t *record, uint32_t size, struct fs_info *info)
{
	uint32_t at = get(record + 20, 2);

	for (int i = 0; i < ATTRIBUTES_MAX && at <= size - 24; i++) {
		const uint8_t *attribute = record + at;
		uint32_t type = get(attribute, 4), len = get(attribute + 4, 4), value = get(attribute + 20, 2),
			 value_len = get(attribute + 16, 4);

		if (type == (uint32_t)ATTRIBUTE_END || len < 24 || len > size - at)
			return;
		/* A resident one whose value is inside it. */
		if (!attribute[8] && value <= len && value_len <= len - value) {
			if (type == ATTRIBUTE_NAME)
				take_name(attribute + value, value_len, info);
			else if (type == ATTRIBUTE_INFORMATION && value_len >= 12)
				info->state = get(attribute + value + 10, 2) & DIRTY ? FS_UNCLEAN : FS_CLEAN;
		}
		at += len;
	}
}

void fs_look_ntfs(const struct view *view, uint64_t start, uint64_t bytes, struct fs_info *info)
{
	uint8_t boot[512], record[RECORD_MAX];
	uint32_t sector, cluster, size;
	uint64_t table;

	info->state = FS_UNTOLD;
	if (!view_read(view, start, boot, sizeof(boot)))
		return;
	snprintf(info->uuid, sizeof(info->uuid), "%08X%08X", get(boot + 76, 4), get(boot + 72, 4));
	sector = get(boot + 11, 2);
	/* Sectors a cluster, or 2 to the power of what it lacks to 256. */
	cluster = boot[13] <= 128 ? sector * boot[13] : sector << (256 - boot[13] > 12 ? 12 : 256 - boot[13]);
	size = boot[64] < 128 ? cluster * boot[64] : 1u << (256 - boot[64] > 12 ? 12 : 256 - boot[64]);
	table = (uint64_t)get(boot + 52, 4) << 32 | get(boot + 48, 4);
	if (sector < 512 || sector > 4096 || !cluster || size < 512 || size > RECORD_MAX || size % 512 ||
	    table > bytes / cluster)
		return;
	if (view_read(view, start + table * cluster + (uint64_t)VOLUME_RECORD * size, record, size) &&
	    !memcmp(record, "FILE", 4) && apply_fixups(record, size))
		take_attributes(record, size, info);
}
