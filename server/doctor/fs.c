// SPDX-License-Identifier: GPL-2.0-or-later
/* What is on a partition: see fs.h. */
#include "doctor/fs.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>

enum {
	EXT_AT = 1024,
	EXT_STATE_VALID = 1,
	EXT_STATE_ERRORS = 2,
	EXT_INCOMPAT_RECOVER = 4, /* the journal has what is not in place yet */
	EXT_INCOMPAT_JOURNAL_DEVICE = 8,
	EXT_COMPAT_HAS_JOURNAL = 4,
	BTRFS_AT = 64 << 10,
	XFS_UUID_AT = 32,
	FAT_DIRTY = 1,
};

struct ext_super {
	uint8_t counts[56];
	struct le16 magic, state, errors, minor;
	uint8_t times[12];
	struct le32 revision;
	uint8_t owner[4];
	struct le32 first_inode;
	struct le16 inode_size, group;
	struct le32 compat, incompat, ro_compat;
	uint8_t uuid[16];
	char label[16];
};

struct btrfs_super {
	uint8_t checksum[32], uuid[16], place[16];
	char magic[8];
	struct le64 generation, root, chunk_root, log_root;
	uint8_t between[0x12b - 0x68];
	char label[256];
};

_Static_assert(offsetof(struct ext_super, uuid) == 0x68, "s_uuid");
_Static_assert(offsetof(struct btrfs_super, log_root) == 0x60 && offsetof(struct btrfs_super, label) == 0x12b, "btrfs");

static void write_uuid(const uint8_t b[16], char out[40])
{
	snprintf(out, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
		 b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* Until a NUL, or trailing blanks. */
static void copy_label(struct fs_info *info, const char *raw, size_t len)
{
	len = strnlen(raw, min_u64(len, sizeof(info->label) - 1));
	while (len && raw[len - 1] == ' ')
		len--;
	for (size_t i = 0; i < len; i++)
		info->label[i] = raw[i] >= 0x20 && raw[i] < 0x7f ? raw[i] : '?';
	info->label[len] = '\0';
}

/* Linux, Documentation/filesystems/ext4/super.rst */
static bool look_ext(const struct view *view, uint64_t start, struct fs_info *info)
{
	struct ext_super super;

	if (!view_read(view, start + EXT_AT, &super, sizeof(super)) || le16_get(super.magic) != 0xef53)
		return false;
	info->kind = FS_EXT;
	write_uuid(super.uuid, info->uuid);
	copy_label(info, super.label, sizeof(super.label));
	if (le32_get(super.incompat) & EXT_INCOMPAT_JOURNAL_DEVICE)
		info->state = FS_UNTOLD;
	else if ((le32_get(super.incompat) & EXT_INCOMPAT_RECOVER) || !(le16_get(super.state) & EXT_STATE_VALID))
		info->state = FS_UNCLEAN;
	if (le16_get(super.state) & EXT_STATE_ERRORS)
		info->state = FS_DAMAGED;
	return true;
}

/* A log tree is what fsync wrote since the last commit; btrfs check does not look at it. */
static bool look_btrfs(const struct view *view, uint64_t start, struct fs_info *info)
{
	struct btrfs_super super;

	if (!view_read(view, start + BTRFS_AT, &super, sizeof(super)) || memcmp(super.magic, "_BHRfS_M", 8))
		return false;
	info->kind = FS_BTRFS;
	write_uuid(super.uuid, info->uuid);
	copy_label(info, super.label, sizeof(super.label));
	info->state = le64_get(super.log_root) ? FS_UNCLEAN : FS_CLEAN;
	return true;
}

static bool is_power_of_2(unsigned x)
{
	return x && !(x & (x - 1));
}

/* The serial number and the state of a mounted one lie behind the extended boot signature (FAT §3.2). */
static bool look_fat(const uint8_t *sector, struct fs_info *info)
{
	unsigned size = sector[11] | (unsigned)sector[12] << 8;
	bool is_32 = !sector[22] && !sector[23];
	const uint8_t *extended = sector + (is_32 ? 64 : 36); /* drive, state, signature, serial, label */

	if ((sector[0] != 0xeb && sector[0] != 0xe9) || size < 512 || size > 4096 || !is_power_of_2(size) ||
	    !is_power_of_2(sector[13]) || sector[16] < 1 || sector[16] > 2 || sector[510] != 0x55 ||
	    sector[511] != 0xaa)
		return false;
	info->kind = FS_FAT;
	info->state = extended[1] & FAT_DIRTY ? FS_UNCLEAN : FS_CLEAN;
	if (extended[2] == 0x29) {
		snprintf(info->uuid, sizeof(info->uuid), "%02X%02X-%02X%02X", extended[6], extended[5], extended[4],
			 extended[3]);
		if (memcmp(extended + 7, "NO NAME    ", 11))
			copy_label(info, (const char *)extended + 7, 11);
	}
	return true;
}

/* What is known by some bytes at a place. */
static bool look_magic(const struct view *view, uint64_t start, struct fs_info *info)
{
	static const struct {
		enum fs_kind kind;
		unsigned at;
		const char *magic;
		size_t len;
	} known[] = {
		{ FS_XFS, 0, "XFSB", 4 },
		{ FS_NTFS, 3, "NTFS    ", 8 },
		{ FS_BITLOCKER, 3, "-FVE-FS-", 8 },
		{ FS_LUKS, 0, "LUKS\xba\xbe", 6 },
		{ FS_LVM, 512, "LABELONE", 8 },
		{ FS_LVM, 0, "LABELONE", 8 },
		{ FS_SWAP, 4086, "SWAPSPACE2", 10 },
		{ FS_RAID, 4096, "\xfc\x4e\x2b\xa9", 4 },
		{ FS_ISO, 32769, "CD001", 5 },
	};
	uint8_t bytes[16];

	for (size_t i = 0; i < array_len(known); i++) {
		if (!view_read(view, start + known[i].at, bytes, known[i].len) ||
		    memcmp(bytes, known[i].magic, known[i].len))
			continue;
		info->kind = known[i].kind;
		return true;
	}
	return false;
}

static void look_xfs(const struct view *view, uint64_t start, struct fs_info *info)
{
	uint8_t uuid[16];

	if (view_read(view, start + XFS_UUID_AT, uuid, sizeof(uuid)))
		write_uuid(uuid, info->uuid);
	fs_look_xfs(view, start, view->size - start, info);
}

static void look_swap(const struct view *view, uint64_t start, struct fs_info *info)
{
	uint8_t header[0x42c - 0x40c + 16];

	if (!view_read(view, start + 0x40c, header, sizeof(header)))
		return;
	write_uuid(header, info->uuid);
	copy_label(info, (const char *)header + 16, 16);
}

void fs_look(const struct view *view, uint64_t start, uint64_t bytes, struct fs_info *info)
{
	/* What lies behind the partition's end is not its own. */
	struct view own = { view->read, view->arg,
			    start < view->size ? start + min_u64(bytes, view->size - start) : 0 };
	uint8_t sector[512];

	memset(info, 0, sizeof(*info));
	if (!view_read(&own, start, sector, sizeof(sector)))
		return;
	if (look_ext(&own, start, info))
		return;
	if (look_magic(&own, start, info)) {
		if (info->kind == FS_XFS)
			look_xfs(&own, start, info);
		else if (info->kind == FS_NTFS)
			fs_look_ntfs(&own, start, own.size - start, info);
		else if (info->kind == FS_SWAP)
			look_swap(&own, start, info);
		return;
	}
	/* mkfs.fat leaves what btrfs had at 64 KiB; mkfs.btrfs leaves no boot sector. */
	if (!look_fat(sector, info))
		look_btrfs(&own, start, info);
}

const char *fs_kind_name(enum fs_kind kind)
{
	static const char *const names[FS_KINDS] = {
		[FS_UNKNOWN] = "unknown",
		[FS_EXT] = "ext4",
		[FS_XFS] = "XFS",
		[FS_BTRFS] = "btrfs",
		[FS_FAT] = "FAT",
		[FS_NTFS] = "NTFS",
		[FS_SWAP] = "swap",
		[FS_LVM] = "LVM",
		[FS_LUKS] = "LUKS (encrypted)",
		[FS_BITLOCKER] = "BitLocker (encrypted)",
		[FS_RAID] = "Linux RAID",
		[FS_ISO] = "ISO 9660",
	};

	return names[kind];
}

bool fs_has_files(enum fs_kind kind)
{
	return kind == FS_EXT || kind == FS_XFS || kind == FS_BTRFS || kind == FS_NTFS;
}
