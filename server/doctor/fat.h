/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A read-only look into a FAT12/16/32 file system of somebody else's image: folders and the bytes of files, in order.
 * Hostile bytes: every chain and every folder is bounded, and so is all that is read through one struct fat. Private to
 * doctor/. Format: "Microsoft Extensible Firmware Initiative FAT32 File System Specification" 1.03.
 */
#ifndef DOCTOR_FAT_H
#define DOCTOR_FAT_H

#include "doctor/view.h"

struct fat {
	const struct view *view;
	uint64_t start;		    /* bytes: where the file system begins in the view */
	uint64_t table, root, data; /* bytes, in the view */
	uint32_t cluster_bytes;
	uint32_t clusters;     /* data clusters; numbers 2 to clusters + 1 */
	uint32_t root_entries; /* FAT12/16 */
	uint32_t root_cluster; /* FAT32 */
	unsigned bits;	       /* 12, 16, 32 */
	unsigned budget;       /* steps that are left */
};

struct fat_entry {
	char name[256]; /* the long name where there is one; '?' for what is not ASCII */
	bool folder;
	uint32_t cluster, size; /* size in bytes; folders: 0 */
};

/* Bytes of a file or folder, front to back. */
struct fat_file {
	struct fat *fat;
	uint32_t cluster; /* 0: the fixed root folder of FAT12/16 */
	uint32_t in_cluster;
	uint64_t left; /* bytes */
};

/* False: no FAT file system there. The view must outlive it. */
bool fat_init(struct fat *fat, const struct view *view, uint64_t start, uint64_t length);
/* folder NULL: the root. */
void fat_open(struct fat *fat, const struct fat_entry *entry, struct fat_file *file);
/* Up to len bytes; less at the end, or where the file system is damaged. */
size_t fat_read(struct fat_file *file, void *data, size_t len);
/* The next entry of a folder, without ".", ".." and the volume label. False: no more. */
bool fat_next(struct fat_file *folder, struct fat_entry *entry);
/* A path such as "EFI/BOOT/BOOTX64.EFI", in any case. */
bool fat_find(struct fat *fat, const char *path, struct fat_entry *entry);

#endif
