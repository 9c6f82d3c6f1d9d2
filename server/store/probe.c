// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is it: magic numbers, then the few fields that say how big the disk inside is and whether it leans on other
 * files. See probe.h. Formats: QEMU's docs/interop/qcow2.txt; "Virtual Hard Disk Image Format Specification";
 * [MS-VHDX]; "Virtual Disk Format 5.0" (VMDK).
 */
#include "store/probe.h"

#include "base/be.h"
#include "base/util.h"
#include "store/private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* For each format: its size, unless that is none. */
static int accept_size(struct probe *probe, enum image_format format, uint64_t size, struct reason *reason)
{
	if (!size)
		return reason_refuse(reason, -EINVAL, "holds an empty disk: there is nothing to boot from");
	if (size > STORE_SIZE_MAX)
		return reason_refuse(reason, -EINVAL, "holds a disk of %llu GiB: at most 16 TiB can be imported",
				     (unsigned long long)(size >> 30));
	*probe = (struct probe){ format, size };
	return 0;
}

/* ---- qcow2 ---- */

struct qcow2_start {
	struct be32 magic, version;
	struct be64 backing_offset;
	struct be32 backing_size, cluster_bits;
	struct be64 size;
	struct be32 crypt_method;
	uint8_t skipped[36];
	struct be64 incompatible; /* version 3 */
};
_Static_assert(offsetof(struct qcow2_start, incompatible) == 72, "qcow2 header");

enum { QCOW2_CORRUPT = 1 << 1, QCOW2_DATA_FILE = 1 << 2 };

static int probe_qcow2(const struct view *view, struct probe *probe, struct reason *reason)
{
	struct qcow2_start h;
	uint64_t incompatible;
	uint32_t version;

	if (!view_read(view, 0, &h, sizeof(h)))
		return reason_refuse(reason, -EINVAL, "is cut off: a qcow2 header does not fit into it");
	version = be32_get(h.version);
	if (version != 2 && version != 3)
		return reason_refuse(reason, -EINVAL,
				     "is qcow version %u: convert it first (qemu-img convert -O qcow2 OLD NEW)",
				     version);
	incompatible = version == 3 ? be64_get(h.incompatible) : 0;
	if (be64_get(h.backing_offset))
		return reason_refuse(reason, -EINVAL,
				     "has a backing file, so it is not complete by itself: make one file of both first "
				     "(qemu-img convert -O qcow2 OLD NEW, where both are)");
	if (incompatible & QCOW2_DATA_FILE)
		return reason_refuse(reason, -EINVAL,
				     "keeps its data in another file: make one file of both first (qemu-img convert -O "
				     "qcow2 OLD NEW, where both are)");
	if (be32_get(h.crypt_method))
		return reason_refuse(reason, -EINVAL,
				     "is encrypted: convert it with its key into a plain one first (qemu-img convert)");
	if (incompatible & QCOW2_CORRUPT)
		return reason_refuse(reason, -EINVAL, "is marked corrupt: repair it first (qemu-img check -r all)");
	return accept_size(probe, FORMAT_QCOW2, be64_get(h.size), reason);
}

/* ---- VHD ---- */

struct vhd_footer {
	char cookie[8];
	struct be32 features, version;
	struct be64 data_offset;
	struct be32 time;
	char creator[4];
	struct be32 creator_version, creator_os;
	struct be64 original_size, current_size;
	struct be32 geometry, type, checksum;
	uint8_t rest[444];
};
_Static_assert(sizeof(struct vhd_footer) == 512, "VHD footer");

struct vhd_dynamic {
	char cookie[8];
	struct be64 data_offset, table_offset;
	struct be32 version, entries, block_size, checksum;
};

enum { VHD_FIXED = 2, VHD_DYNAMIC = 3, VHD_DIFFERENCING = 4, VHD_UNUSED = -1, VHD_CHUNK = 1024 };

static bool vhd_checksum_ok(const struct vhd_footer *footer)
{
	const uint8_t *byte = (const uint8_t *)footer;
	uint32_t sum = 0;

	for (size_t i = 0; i < sizeof(*footer); i++) {
		if (i < offsetof(struct vhd_footer, checksum) || i >= offsetof(struct vhd_footer, rest))
			sum += byte[i];
	}
	return ~sum == be32_get(footer->checksum);
}

/* The blocks of a dynamic VHD must lie in the file: qemu-img would read what is cut off as zeroes. */
static int vhd_check_table(const struct view *view, const struct vhd_footer *footer, struct reason *reason)
{
	struct vhd_dynamic header;
	struct be32 table[VHD_CHUNK];
	uint64_t at, entries, block;

	if (!view_read(view, be64_get(footer->data_offset), &header, sizeof(header)) ||
	    memcmp(header.cookie, "cxsparse", 8))
		return reason_refuse(reason, -EINVAL, "is damaged: its VHD header is missing");
	at = be64_get(header.table_offset);
	entries = be32_get(header.entries);
	block = be32_get(header.block_size);
	if (block < 512 || (block & (block - 1)) || entries > STORE_SIZE_MAX / block ||
	    entries * block < be64_get(footer->current_size))
		return reason_refuse(reason, -EINVAL, "is damaged: its VHD header makes no sense");
	while (entries) {
		size_t count = (size_t)min_u64(entries, VHD_CHUNK);

		if (!view_read(view, at, table, count * sizeof(table[0])))
			return reason_refuse(reason, -EINVAL,
					     "is cut off or damaged: its VHD block table does not fit into it");
		for (size_t i = 0; i < count; i++) {
			uint32_t sector = be32_get(table[i]);

			if (sector != (uint32_t)VHD_UNUSED && (uint64_t)sector * 512 + block > view->size)
				return reason_refuse(reason, -EINVAL,
						     "is cut off: blocks of its disk lie beyond its end. Copy it again");
		}
		at += count * sizeof(table[0]);
		entries -= count;
	}
	return 0;
}

/* The one at its start is a copy of the one at its end: where they differ, one of them is of an older state. */
static int vhd_check_copies(const struct vhd_footer *first, const struct vhd_footer *last, struct reason *reason)
{
	uint64_t size = be64_get(first->current_size), last_size = be64_get(last->current_size);

	if (!vhd_checksum_ok(last))
		return reason_refuse(reason, -EINVAL,
				     "is damaged: the checksum of the VHD footer at its end is wrong. Copy it again, or "
				     "open it once in Hyper-V (Mount-VHD FILE, then Dismount-VHD FILE)");
	if (size != last_size)
		return reason_refuse(reason, -EINVAL,
				     "has two VHD footers that disagree, a disk of %llu bytes at its start and of %llu "
				     "bytes at its end: it was not closed in order. Open it once in Hyper-V (Mount-VHD "
				     "FILE, then Dismount-VHD FILE), or copy it again",
				     (unsigned long long)size, (unsigned long long)last_size);
	if (be32_get(first->type) != be32_get(last->type) ||
	    be64_get(first->data_offset) != be64_get(last->data_offset))
		return reason_refuse(reason, -EINVAL,
				     "has two VHD footers that disagree on what it is: it was not closed in order. Open "
				     "it once in Hyper-V (Mount-VHD FILE, then Dismount-VHD FILE), or copy it again");
	return 0;
}

static int probe_vhd(const struct view *view, const struct vhd_footer *footer, bool at_start, struct probe *probe,
		     struct reason *reason)
{
	struct vhd_footer last;
	uint32_t type = be32_get(footer->type);
	uint64_t size = be64_get(footer->current_size);

	if (!vhd_checksum_ok(footer))
		return reason_refuse(reason, -EINVAL, "is damaged: the checksum of its VHD footer is wrong");
	if (type == VHD_DIFFERENCING)
		return reason_refuse(reason, -EINVAL,
				     "is a differencing VHD, so it is not complete by itself: merge it with its parent "
				     "first (Hyper-V: Edit Disk, Merge; or Convert-VHD OLD.vhd NEW.vhdx)");
	if (type == VHD_DYNAMIC) {
		int err;

		if (!at_start || !view_read(view, view->size - sizeof(last), &last, sizeof(last)) ||
		    memcmp(last.cookie, "conectix", 8))
			return reason_refuse(reason, -EINVAL,
					     "is cut off: the VHD footer at its end is missing. Copy it again");
		err = vhd_check_copies(footer, &last, reason);
		if (!err)
			err = vhd_check_table(view, footer, reason);
		if (err)
			return err;
	} else if (type != VHD_FIXED) {
		return reason_refuse(reason, -EINVAL, "is a VHD of type %u, which nobody knows", type);
	} else if (size > view->size - sizeof(last)) {
		return reason_refuse(reason, -EINVAL,
				     "is cut off: its VHD footer promises a disk of %llu bytes. Copy it again",
				     (unsigned long long)size);
	}
	return accept_size(probe, FORMAT_VHD, size, reason);
}

/* ---- VHDX ---- */

struct vhdx_entry { /* of the region table and of the metadata table */
	uint8_t guid[16];
	uint8_t rest[16];
};

enum { VHDX_ENTRIES_MAX = 2047, VHDX_REGION_TABLE = 192 << 10, VHDX_REGION_TABLE_2 = 256 << 10, VHDX_HAS_PARENT = 2 };

static const uint8_t vhdx_metadata[16] = { 0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
					   0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e };
static const uint8_t vhdx_parameters[16] = { 0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
					     0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b };
static const uint8_t vhdx_disk_size[16] = { 0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48,
					    0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8 };
static const uint8_t vhdx_sector_size[16] = { 0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47,
					      0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f };
static const uint8_t vhdx_parent[16] = { 0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45,
					 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c };

/* Finds a GUID in count entries at an offset. */
static bool vhdx_find(const struct view *view, uint64_t at, unsigned count, const uint8_t guid[16],
		      struct vhdx_entry *found)
{
	if (count > VHDX_ENTRIES_MAX)
		return false;
	for (unsigned i = 0; i < count; i++, at += sizeof(*found)) {
		if (!view_read(view, at, found, sizeof(*found)))
			return false;
		if (!memcmp(found->guid, guid, 16))
			return true;
	}
	return false;
}

/* [MS-VHDX] §2.2.3: either copy of the region table will do. */
static bool vhdx_metadata_region(const struct view *view, uint64_t *at)
{
	static const uint32_t copies[] = { VHDX_REGION_TABLE, VHDX_REGION_TABLE_2 };
	struct {
		char signature[4];
		struct le32 checksum, count, reserved;
	} table;
	struct vhdx_entry entry;
	struct le64 offset;

	for (size_t i = 0; i < array_len(copies); i++) {
		if (!view_read(view, copies[i], &table, sizeof(table)) || memcmp(table.signature, "regi", 4))
			continue;
		if (!vhdx_find(view, copies[i] + sizeof(table), le32_get(table.count), vhdx_metadata, &entry))
			continue;
		memcpy(&offset, entry.rest, sizeof(offset));
		*at = le64_get(offset);
		return true;
	}
	return false;
}

/* [MS-VHDX] §2.2.3.2: a metadata item's first len bytes. */
static bool vhdx_item(const struct view *view, uint64_t region, unsigned count, const uint8_t guid[16], void *data,
		      size_t len)
{
	struct vhdx_entry entry;
	struct le32 offset;

	if (!vhdx_find(view, region + 32, count, guid, &entry))
		return false;
	memcpy(&offset, entry.rest, sizeof(offset));
	return view_read(view, region + le32_get(offset), data, len);
}

static int probe_vhdx(const struct view *view, struct probe *probe, struct reason *reason)
{
	struct {
		char signature[8];
		struct le16 reserved, count;
	} table;
	struct {
		struct le32 block_size, flags;
	} parameters;
	struct vhdx_entry entry;
	struct le64 size;
	struct le32 sector;
	uint64_t region;
	unsigned count;

	if (!vhdx_metadata_region(view, &region) || region > view->size ||
	    !view_read(view, region, &table, sizeof(table)) || memcmp(table.signature, "metadata", 8))
		return reason_refuse(reason, -EINVAL, "is cut off or damaged: its VHDX metadata is missing");
	count = le16_get(table.count);
	if (!vhdx_item(view, region, count, vhdx_parameters, &parameters, sizeof(parameters)) ||
	    !vhdx_item(view, region, count, vhdx_disk_size, &size, sizeof(size)) ||
	    !vhdx_item(view, region, count, vhdx_sector_size, &sector, sizeof(sector)))
		return reason_refuse(reason, -EINVAL, "is damaged: its VHDX metadata is incomplete");
	if ((le32_get(parameters.flags) & VHDX_HAS_PARENT) || vhdx_find(view, region + 32, count, vhdx_parent, &entry))
		return reason_refuse(reason, -EINVAL,
				     "is a differencing VHDX (an .avhdx checkpoint, perhaps), so it is not complete by "
				     "itself: merge it with its parent first (Hyper-V: delete the checkpoint, or "
				     "Convert-VHD OLD.avhdx NEW.vhdx)");
	/* qemu-img takes such a disk for an eighth of its size; its partitions count in blocks that no machine sees. */
	if (le32_get(sector) != 512)
		return reason_refuse(reason, -EINVAL,
				     "has logical sectors of %u bytes, and network boot knows 512: install into a disk "
				     "with 512-byte sectors (New-VHD -LogicalSectorSizeBytes 512)",
				     le32_get(sector));
	return accept_size(probe, FORMAT_VHDX, le64_get(size), reason);
}

/* ---- VMDK ---- */

struct vmdk_header {
	char magic[4];
	struct le32 version, flags;
	struct le64 capacity, grain, descriptor_at, descriptor_size; /* sectors */
};

enum { VMDK_DESCRIPTOR_AT = 512, VMDK_DESCRIPTOR_MAX = 20 * 512 }; /* where qemu-img looks, and how far */

#define DESCRIPTOR_MAGIC "# Disk DescriptorFile"

static int vmdk_external(struct reason *reason, const char *what)
{
	return reason_refuse(reason, -EINVAL,
			     "is %s, so it is not complete by itself: make one file of all its parts first (qemu-img "
			     "convert -O qcow2 NAME.vmdk NEW.qcow2, where all of them are; NAME.vmdk is the small file "
			     "that names the others)",
			     what);
}

/* The text inside: one extent, which is this file, and no parent. */
static int vmdk_check_descriptor(const char *text, struct reason *reason)
{
	const char *parent = strcasestr(text, "parentCID");
	const char *line;
	unsigned extents = 0;

	if (parent && strncasecmp(parent + strcspn(parent, "=\n"), "=ffffffff", 9))
		return vmdk_external(reason, "a VMDK snapshot with a parent");
	if (strcasestr(text, "parentFileNameHint"))
		return vmdk_external(reason, "a VMDK snapshot with a parent");
	for (line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		while (*line == ' ' || *line == '\t' || *line == '\r')
			line++;
		if (strncasecmp(line, "RW ", 3) && strncasecmp(line, "RDONLY ", 7) && strncasecmp(line, "NOACCESS ", 9))
			continue;
		extents++;
		line += strcspn(line, " \n"); /* access */
		line += strspn(line, " ");
		line += strcspn(line, " \n"); /* sectors */
		line += strspn(line, " ");
		if (strncasecmp(line, "SPARSE ", 7))
			return vmdk_external(reason, "a VMDK whose data lies in other files");
	}
	return extents > 1 ? vmdk_external(reason, "a VMDK that is split into several files") : 0;
}

static int probe_vmdk(const struct view *view, struct probe *probe, struct reason *reason)
{
	char text[VMDK_DESCRIPTOR_MAX + 1];
	uint64_t offsets[2] = { VMDK_DESCRIPTOR_AT, 0 };
	struct vmdk_header h;
	bool described = false;

	if (!view_read(view, 0, &h, sizeof(h)))
		return reason_refuse(reason, -EINVAL, "is cut off: a VMDK header does not fit into it");
	if (!le64_get(h.capacity))
		return vmdk_external(reason, "a VMDK whose data lies in other files");
	if (le64_get(h.capacity) > STORE_SIZE_MAX / 512)
		return reason_refuse(reason, -EINVAL, "holds a disk of more than 16 TiB, or is damaged");
	if (le64_get(h.descriptor_at) <= view->size / 512)
		offsets[1] = le64_get(h.descriptor_at) * 512;
	for (size_t i = 0; i < array_len(offsets); i++) {
		size_t len;
		int err;

		if (!offsets[i] || offsets[i] >= view->size)
			continue;
		len = (size_t)min_u64(VMDK_DESCRIPTOR_MAX, view->size - offsets[i]);
		if (!view_read(view, offsets[i], text, len))
			return reason_refuse(reason, -EINVAL, "could not be read");
		text[len] = '\0';
		described |= !strncasecmp(text, DESCRIPTOR_MAGIC, strlen(DESCRIPTOR_MAGIC));
		err = vmdk_check_descriptor(text, reason);
		if (err)
			return err;
	}
	/* Virtual Disk Format 5.0, "Hosted Sparse Extent Header": only a disk of one file has its description inside. */
	if (!described)
		return vmdk_external(reason, "one part of a split VMDK");
	return accept_size(probe, FORMAT_VMDK, le64_get(h.capacity) * 512, reason);
}

/* ---- all of them ---- */

static const struct foreign {
	uint32_t offset;
	uint8_t len;
	const char *magic, *what;
} foreign[] = {
	{ 0, 4, "COWD",
	  "is one extent of an ESX VMDK: name a file that holds the whole disk (qemu-img convert -O qcow2 NAME.vmdk "
	  "NEW.qcow2)" },
	{ 0, 4, "\xbe\xba\xfe\xca",
	  "is one extent of an ESX VMDK (SEsparse): export the machine from vSphere as OVF first" },
	{ 0, 21, DESCRIPTOR_MAGIC,
	  "is only the description of a VMDK, its data lies in other files: make one file of them first "
	  "(qemu-img convert -O qcow2 NAME.vmdk NEW.qcow2, where all of them are)" },
	{ 0, 6, "LUKS\xba\xbe",
	  "is encrypted (LUKS): machines that boot from it could not ask for the key. Import the disk with its boot "
	  "partition in the clear" },
	{ 0, 4, "QED\0", "is a QED image: convert it first (qemu-img convert -f qed -O qcow2 OLD NEW)" },
	{ 0, 16, "WithoutFreeSpace",
	  "is a Parallels image: convert it first (qemu-img convert -f parallels -O qcow2 OLD NEW)" },
	{ 0, 16, "WithouFreSpacExt",
	  "is a Parallels image: convert it first (qemu-img convert -f parallels -O qcow2 OLD NEW)" },
	{ 0, 8, "MSWIM\0\0\0", "is a Windows WIM archive, not a disk: apply it to a virtual disk and import that" },
	/* What is packed once is unpacked before it comes here (unpack.h). */
	{ 0, 2, "\x1f\x8b", "is packed twice: unpack it first (gunzip)" },
	{ 0, 6,
	  "\xfd"
	  "7zXZ\0",
	  "is packed twice: unpack it first (unxz)" },
	{ 0, 4, "\x28\xb5\x2f\xfd", "is packed twice: unpack it first (unzstd)" },
	{ 1, 3, "\x2a\x4d\x18",
	  "is packed twice (by pzstd): unpack it first (unzstd)" }, /* a skippable frame goes first */
	{ 0, 3, "BZh", "is compressed: unpack it first (bunzip2)" },
	{ 0, 4, "PK\3\4", "is a ZIP archive: unpack it first (unzip)" },
	{ 0, 6, "7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it first (7z x)" },
	{ 257, 5, "ustar", "is a tar archive (an OVA, perhaps): unpack it and import the disk in it (tar xf)" },
	{ 0, 4,
	  "\x7f"
	  "ELF",
	  "is a program, not a disk" },
};

static const struct ending {
	const char *text;
	enum image_format format;
} endings[] = {
	{ ".qcow2", FORMAT_QCOW2 }, { ".vhdx", FORMAT_VHDX }, { ".avhdx", FORMAT_VHDX },
	{ ".vhd", FORMAT_VHD },	    { ".vmdk", FORMAT_VMDK }, { ".vdi", FORMAT_VDI },
};

static int probe_raw(const struct view *view, const char *file_name, struct probe *probe, struct reason *reason)
{
	uint8_t magic[32];
	const char *dot = strrchr(file_name, '.');

	for (size_t i = 0; i < array_len(foreign); i++) {
		const struct foreign *f = &foreign[i];

		if (view_read(view, f->offset, magic, f->len) && !memcmp(magic, f->magic, f->len))
			return reason_refuse(reason, -EINVAL, "%s", f->what);
	}
	for (size_t i = 0; i < array_len(endings) && dot; i++) {
		if (!strcasecmp(dot, endings[i].text))
			return reason_refuse(reason, -EINVAL,
					     "is named %s, but does not begin like one: it is damaged, or a raw image "
					     "that should be called .raw",
					     endings[i].text);
	}
	return accept_size(probe, FORMAT_RAW, view->size, reason);
}

int probe_image(const struct view *view, const char *file_name, struct probe *probe, struct reason *reason)
{
	struct vhd_footer footer;
	uint64_t vdi_size;
	uint8_t start[8] = { 0 }, magic[4];

	if (!view->size)
		return reason_refuse(reason, -EINVAL, "is empty");
	if (!view_read(view, 0, start, (size_t)min_u64(view->size, sizeof(start))))
		return reason_refuse(reason, -EINVAL, "could not be read");
	if (!memcmp(start, "QFI\xfb", 4))
		return probe_qcow2(view, probe, reason);
	if (!memcmp(start, "vhdxfile", 8))
		return probe_vhdx(view, probe, reason);
	if (!memcmp(start, "KDMV", 4))
		return probe_vmdk(view, probe, reason);
	if (view_read(view, 64, magic, sizeof(magic)) && !memcmp(magic, "\x7f\x10\xda\xbe", sizeof(magic))) {
		int err = probe_vdi(view, &vdi_size, reason);

		return err ? err : accept_size(probe, FORMAT_VDI, vdi_size, reason);
	}
	if (!memcmp(start, "conectix", 8) && view_read(view, 0, &footer, sizeof(footer)))
		return probe_vhd(view, &footer, true, probe, reason);
	if (view->size > sizeof(footer) && view_read(view, view->size - sizeof(footer), &footer, sizeof(footer)) &&
	    !memcmp(footer.cookie, "conectix", 8))
		return probe_vhd(view, &footer, false, probe, reason);
	return probe_raw(view, file_name, probe, reason);
}

static const struct {
	const char *name, *driver;
} formats[] = {
	[FORMAT_RAW] = { "raw", "raw" },    [FORMAT_QCOW2] = { "qcow2", "qcow2" }, [FORMAT_VHD] = { "VHD", "vpc" },
	[FORMAT_VHDX] = { "VHDX", "vhdx" }, [FORMAT_VMDK] = { "VMDK", "vmdk" },	   [FORMAT_VDI] = { "VDI", "vdi" },
};

const char *probe_format_name(enum image_format format)
{
	return formats[format].name;
}

const char *probe_format_driver(enum image_format format)
{
	return formats[format].driver;
}
