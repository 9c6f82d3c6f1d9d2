// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz harness: what the doctor parses of a disk by itself: the head of a hive, partition tables, superblocks, XFS's log, NTFS's $Volume, and
 * files in FAT. The input: pieces.h.
 */
#include "pieces.h"

#include "doctor/fat.h"
#include "doctor/fs.h"
#include "doctor/hive.h"
#include "doctor/partition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct fat *fat, const struct fat_entry *folder, unsigned depth)
{
	struct fat_entry entry;
	struct fat_file file, content;
	uint8_t bytes[512];

	fat_open(fat, folder, &file);
	while (fat_next(&file, &entry)) {
		if (entry.folder && depth) {
			walk(fat, &entry, depth - 1);
		} else if (!entry.folder) {
			fat_open(fat, &entry, &content);
			fat_read(&content, bytes, sizeof(bytes));
		}
	}
}

static void look(const struct view *view, uint64_t start, uint64_t bytes)
{
	struct fs_info info;
	struct fat fat;

	fs_look(view, start, bytes, &info);
	if (info.kind >= FS_KINDS || !memchr(info.uuid, 0, sizeof(info.uuid)) ||
	    !memchr(info.label, 0, sizeof(info.label)))
		abort();
	if (info.kind == FS_FAT && fat_init(&fat, view, start, bytes))
		walk(&fat, NULL, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct partition_list list;
	struct input input;
	struct view view = input_view(&input, data, size);

	hive_look(data, size);
	if (!partition_list_read(&view, &list))
		return 0;
	if (list.count > PARTITIONS_MAX)
		abort();
	for (unsigned i = 0; i < list.count; i++) {
		const struct partition *found = &list.list[i];

		if (!found->cut && (found->bytes > view.size || found->start > view.size - found->bytes))
			abort();
		look(&view, found->start, found->bytes);
	}
	look(&view, 0, view.size);
	return 0;
}
