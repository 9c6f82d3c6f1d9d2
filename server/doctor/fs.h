/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is on a partition of somebody else's disk, and whether it was left in order: asked before anything in it is
 * believed, as the tools that read files show an unclean file system as it was before its journal, without a word.
 * Read from the superblocks by ourselves. Hostile bytes: everything is bounded. Private to doctor/.
 */
#ifndef DOCTOR_FS_H
#define DOCTOR_FS_H

#include "doctor/view.h"

enum fs_kind {
	FS_UNKNOWN,
	FS_EXT,
	FS_XFS,
	FS_BTRFS,
	FS_FAT,
	FS_NTFS,
	FS_SWAP,
	FS_LVM,
	FS_LUKS,
	FS_BITLOCKER,
	FS_RAID,
	FS_ISO,
	FS_KINDS,
};

enum fs_state {
	FS_CLEAN,
	FS_UNCLEAN, /* not unmounted: what is in its journal is not seen */
	FS_DAMAGED, /* it says of itself that it has errors */
	FS_UNTOLD,  /* it could not be found out */
};

struct fs_info {
	enum fs_kind kind;
	enum fs_state state;
	char uuid[40]; /* as blkid writes it; "" none */
	char label[48];
};

/* The bytes of a partition, or of the whole disk. */
void fs_look(const struct view *view, uint64_t start, uint64_t bytes, struct fs_info *info);
/* "ext4", "XFS", ... for people. */
const char *fs_kind_name(enum fs_kind kind);
/* Are there files in it that GRUB's drivers can read? */
bool fs_has_files(enum fs_kind kind);

/* fs_xfs.c, fs_ntfs.c: the part of fs_look for each; the kind is known. */
void fs_look_xfs(const struct view *view, uint64_t start, uint64_t bytes, struct fs_info *info);
void fs_look_ntfs(const struct view *view, uint64_t start, uint64_t bytes, struct fs_info *info);

#endif
