// SPDX-License-Identifier: GPL-2.0-or-later
/* Partitions, logical volumes, file systems: what there is, and where files can be read. */
#include "doctor/exam.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>

enum {
	LVM_NAME_MAX = 100,
	LVM_SECTORS_MAX = 128, /* of one read */
};

/* ---- parts ---- */

static struct exam_part *add_part(struct exam *exam, uint64_t start, uint64_t bytes)
{
	struct exam_part *part;

	if (exam->part_count == DOCTOR_PARTS_MAX) {
		exam->more_parts = true;
		return NULL;
	}
	part = &exam->parts[exam->part_count++];
	*part = (struct exam_part){ .start = start, .bytes = bytes };
	part->tree.source = &exam->source;
	return part;
}

/* What is on it, and can its files be read? GRUB's device is set. */
static void look_at_part(struct exam *exam, struct exam_part *part)
{
	fs_look(&exam->view, part->start, part->bytes, &part->fs);
	if (part->fs.kind == FS_FAT) {
		part->looked_into = fat_init(&part->fat, &exam->view, part->start, part->bytes);
		part->tree.fat = &part->fat;
	}
}

/* Only whoever asks GRUB's drivers learns whether they know it. */
static void try_files(struct exam_part *part)
{
	if (fs_has_files(part->fs.kind))
		part->looked_into = tree_can_look(&part->tree);
}

static void add_partitions(struct exam *exam)
{
	const char *table = exam->partitions.table == PARTITION_TABLE_GPT ? "gpt" : "msdos";

	for (unsigned i = 0; i < exam->partitions.count; i++) {
		const struct partition *partition = &exam->partitions.list[i];
		struct exam_part *part = add_part(exam, partition->start, partition->bytes);

		if (!part)
			return;
		part->partition = partition;
		snprintf(part->name, sizeof(part->name), "partition %u", partition->number);
		snprintf(part->tree.device, sizeof(part->tree.device), "loop0,%s%u", table, partition->number);
		look_at_part(exam, part);
		try_files(part);
	}
}

static void add_whole_disk(struct exam *exam)
{
	struct exam_part *part = add_part(exam, 0, exam->size);

	if (!part)
		return;
	snprintf(part->name, sizeof(part->name), "the whole disk");
	snprintf(part->tree.device, sizeof(part->tree.device), "loop0");
	look_at_part(exam, part);
	try_files(part);
}

/* ---- logical volumes: their bytes, too, are read by GRUB, as "(lvm/vg-root)SECTOR+COUNT" ---- */

struct lv_read {
	uint8_t *data;
	size_t len, have;
	uint64_t skip;
};

static bool take_sectors(void *arg, const void *data, size_t len)
{
	struct lv_read *read = arg;
	size_t skip = (size_t)min_u64(read->skip, len), part = (size_t)min_u64(len - skip, read->len - read->have);

	read->skip -= skip;
	memcpy(read->data + read->have, (const uint8_t *)data + skip, part);
	read->have += part;
	return true;
}

static bool lv_view_read(void *arg, uint64_t offset, void *data, size_t len)
{
	const struct tree *tree = arg;
	uint64_t first = offset / SECTOR_BYTES, count = (offset + len - 1) / SECTOR_BYTES - first + 1;
	struct lv_read read = { .data = data, .len = len, .skip = offset % SECTOR_BYTES };
	struct tree blocks = *tree;
	char list[64];

	if (count > LVM_SECTORS_MAX)
		return false;
	blocks.prefix[0] = '\0';
	snprintf(list, sizeof(list), "%llu+%llu", (unsigned long long)first, (unsigned long long)count);
	return !tree_stream(&blocks, list, take_sectors, &read) && read.have == len;
}

/* "my--vg-root" -> "my-vg/root" */
static void write_lv_name(const char *name, char *out, size_t size)
{
	size_t len = 0;

	for (; *name && len + 1 < size; name++) {
		bool dash = *name == '-';

		out[len++] = dash && name[1] != '-' ? '/' : *name;
		name += dash && name[1] == '-';
	}
	out[len] = '\0';
}

static void add_lv(struct exam *exam, const char *device)
{
	struct exam_part *part = add_part(exam, 0, 0);
	char name[64];
	struct view view;

	if (!part)
		return;
	write_lv_name(device + strlen("lvm/"), name, sizeof(name));
	snprintf(part->name, sizeof(part->name), "LVM %s", name);
	snprintf(part->tree.device, sizeof(part->tree.device), "%s", device);
	/* How long it is nobody says; GRUB refuses what lies behind its end. */
	view = (struct view){ lv_view_read, &part->tree, UINT64_MAX / 2 };
	fs_look(&view, 0, view.size, &part->fs);
	if (part->fs.kind == FS_FAT)
		part->fs.kind = FS_UNKNOWN; /* nobody has that */
	try_files(part);
}

/* grub-fstest ls: "(loop0) (loop0,gpt1) (lvm/vg-root) ..." */
static void add_lvs(struct exam *exam)
{
	struct buf devices;
	char *rest, *device;
	size_t len;

	buf_init(&devices, TREE_FILE_MAX);
	if (!tree_list_devices(&exam->source, &devices) && devices.data) {
		for (device = strtok_r(devices.data, " \n", &rest); device; device = strtok_r(NULL, " \n", &rest)) {
			len = strlen(device);
			if (strncmp(device, "(lvm/", 5) || device[len - 1] != ')' || len > LVM_NAME_MAX)
				continue;
			device[len - 1] = '\0';
			add_lv(exam, device + 1);
		}
	}
	buf_fini(&devices);
}

void exam_look_disk(struct exam *exam)
{
	bool lvm = false;

	exam->readable = partition_list_read(&exam->view, &exam->partitions);
	if (!exam->readable || exam->partitions.table == PARTITION_TABLE_GPT_4096)
		return;
	/* Signatures of what was there before outlive a new table: with one the disk itself is no file system. */
	if (exam->partitions.count)
		add_partitions(exam);
	else if (exam->partitions.table == PARTITION_TABLE_NONE)
		add_whole_disk(exam);
	for (unsigned i = 0; i < exam->part_count; i++)
		lvm |= exam->parts[i].fs.kind == FS_LVM;
	if (lvm)
		add_lvs(exam);
}
