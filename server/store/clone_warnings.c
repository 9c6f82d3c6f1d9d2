// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Warnings about an imported image: see clone_warnings.h. What cannot be told (an ext4 /boot, a compressed initramfs)
 * is not claimed.
 *
 * A clone has no boot entries in its firmware's memory, so a UEFI machine starts \EFI\BOOT\BOOTX64.EFI (UEFI §3.5.1.1)
 * or nothing.
 */
#include "store/clone_warnings.h"

#include "base/buf.h"
#include "base/util.h"
#include "store/fat.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	SECTOR = 512,
	MBR_CODE_BYTES = 440,
	MBR_TABLE_AT = 446,
	MBR_SIGNATURE_AT = 510,
	MBR_TYPE_GPT = 0xee,
	ISO_SIGNATURE_AT = 16 * 2048 + 1,
	GPT_ENTRIES_MAX = 1024,
	GPT_ENTRY_MAX = 4096,
	FAT_PARTITIONS_MAX = 16,
	FOLDER_DEPTH_MAX = 4,
	INITRD_BYTES_MAX = 512 << 20,
	CPIO_NAME_MAX = 4096,
};

struct gpt_header {
	char signature[8];
	struct le32 revision, header_size, checksum, reserved;
	struct le64 my_lba, other_lba, first_lba, last_lba;
	uint8_t guid[16];
	struct le64 entries_lba;
	struct le32 entries, entry_size;
};

struct gpt_entry {
	uint8_t type[16], guid[16];
	struct le64 first_lba, last_lba;
};

static const uint8_t type_esp[16] = { 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
				      0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b };

/* What was found. */
struct inspection {
	const struct view *view;
	bool partitions, gpt;
	bool boot_code; /* in the first sector */
	bool esp;	/* a FAT partition from which UEFI firmware would start */
	bool loader;	/* \EFI\BOOT\BOOTX64.EFI on one */
	bool initrd_without_iscsi, by_dracut;
	char initrd[64];
	unsigned fats;
};

/* ---- an initramfs on a FAT partition ---- */

static bool file_skip(struct fat_file *file, uint64_t len)
{
	uint8_t scrap[4096];

	while (len) {
		size_t part = (size_t)min_u64(len, sizeof(scrap));

		if (fat_read(file, scrap, part) != part)
			return false;
		len -= part;
	}
	return true;
}

/* "00001a2b" of a newc header. */
static bool cpio_number(const char *digits, uint32_t *value)
{
	char text[9];
	char *end;

	memcpy(text, digits, 8);
	text[8] = '\0';
	*value = (uint32_t)strtoul(text, &end, 16);
	return end == text + 8 && text[0] != '-' && text[0] != '+' && text[0] != ' ';
}

enum cpio { CPIO_GOES_ON, CPIO_END, CPIO_HAS_ISCSI, CPIO_UNKNOWN };

/* One member of a newc archive (Linux Documentation/driver-api/early-userspace/buffer-format.rst). */
static enum cpio cpio_member(struct fat_file *file, char *name)
{
	char header[110];
	uint32_t size, name_size;
	size_t got;

	/* Archives follow each other, with zeroes in between. */
	do {
		got = fat_read(file, header, 4);
		if (!got)
			return CPIO_END;
	} while (got == 4 && !memcmp(header, "\0\0\0\0", 4));
	if (got != 4 || fat_read(file, header + 4, sizeof(header) - 4) != sizeof(header) - 4 ||
	    (memcmp(header, "070701", 6) && memcmp(header, "070702", 6)))
		return CPIO_UNKNOWN; /* compressed from here on */
	if (!cpio_number(header + 54, &size) || !cpio_number(header + 94, &name_size) || !name_size ||
	    name_size > CPIO_NAME_MAX)
		return CPIO_UNKNOWN;
	if (fat_read(file, name, name_size) != name_size)
		return CPIO_UNKNOWN;
	name[name_size] = '\0';
	if (!file_skip(file, align_up(sizeof(header) + name_size, 4) - sizeof(header) - name_size) ||
	    !file_skip(file, align_up(size, 4)))
		return CPIO_UNKNOWN;
	return strstr(name, "iscsi") ? CPIO_HAS_ISCSI : CPIO_GOES_ON;
}

/* True only where every name in it could be read and none speaks of iSCSI. *by_dracut: who made it, by the names. */
static bool initrd_lacks_iscsi(struct fat *fat, const struct fat_entry *entry, bool *by_dracut)
{
	char name[CPIO_NAME_MAX + 1];
	struct fat_file file;
	enum cpio cpio;
	bool any = false;

	if (entry->size > INITRD_BYTES_MAX)
		return false;
	*by_dracut = false;
	fat_open(fat, entry, &file);
	while ((cpio = cpio_member(&file, name)) == CPIO_GOES_ON) {
		any = true;
		*by_dracut |= strstr(name, "dracut") != NULL;
	}
	return any && cpio == CPIO_END;
}

static bool is_initrd(const char *name)
{
	return !strncasecmp(name, "initrd", 6) || !strncasecmp(name, "initramfs", 9);
}

static void find_initrd(struct inspection *found, struct fat *fat, const struct fat_entry *folder, unsigned depth)
{
	struct fat_entry entry;
	struct fat_file file;

	fat_open(fat, folder, &file);
	while (fat_next(&file, &entry)) {
		if (entry.folder) {
			if (depth < FOLDER_DEPTH_MAX)
				find_initrd(found, fat, &entry, depth + 1);
		} else if (is_initrd(entry.name) && !found->initrd_without_iscsi &&
			   initrd_lacks_iscsi(fat, &entry, &found->by_dracut)) {
			found->initrd_without_iscsi = true;
			memcpy(found->initrd, entry.name, strnlen(entry.name, sizeof(found->initrd) - 1));
		}
	}
}

/* ---- partitions ---- */

static void inspect_fat(struct inspection *found, uint64_t start, uint64_t length, bool esp)
{
	struct fat_entry entry;
	struct fat fat;

	if (start >= found->view->size || found->fats == FAT_PARTITIONS_MAX ||
	    !fat_init(&fat, found->view, start, min_u64(length, found->view->size - start)))
		return;
	found->fats++;
	found->esp |= esp;
	if (esp && fat_find(&fat, "EFI/BOOT/BOOTX64.EFI", &entry) && !entry.folder)
		found->loader = true;
	find_initrd(found, &fat, NULL, 0);
}

static bool gpt_read(const struct view *view, uint32_t sector, struct gpt_header *header)
{
	return view_read(view, sector, header, sizeof(*header)) && !memcmp(header->signature, "EFI PART", 8);
}

static void inspect_gpt(struct inspection *found, const struct gpt_header *header)
{
	uint32_t count = le32_get(header->entries), size = le32_get(header->entry_size);
	uint64_t at = le64_get(header->entries_lba);

	if (count > GPT_ENTRIES_MAX || size < sizeof(struct gpt_entry) || size > GPT_ENTRY_MAX ||
	    at > found->view->size / SECTOR)
		return;
	at *= SECTOR;
	for (uint32_t i = 0; i < count; i++, at += size) {
		static const uint8_t unused[16];
		struct gpt_entry entry;
		uint64_t first, last;

		if (!view_read(found->view, at, &entry, sizeof(entry)))
			return;
		first = le64_get(entry.first_lba);
		last = le64_get(entry.last_lba);
		if (!memcmp(entry.type, unused, 16) || last < first || last >= found->view->size / SECTOR)
			continue;
		found->partitions = true;
		inspect_fat(found, first * SECTOR, (last - first + 1) * SECTOR, !memcmp(entry.type, type_esp, 16));
	}
}

static void inspect_mbr(struct inspection *found, const uint8_t *sector)
{
	for (int i = 0; i < 4; i++) {
		const uint8_t *entry = sector + MBR_TABLE_AT + 16 * i;
		struct le32 first, count;

		memcpy(&first, entry + 8, sizeof(first));
		memcpy(&count, entry + 12, sizeof(count));
		if (!entry[4] || entry[4] == MBR_TYPE_GPT || !le32_get(count) ||
		    le32_get(first) >= found->view->size / SECTOR)
			continue;
		found->partitions = true;
		/* Firmware takes any FAT partition of an MBR disk for one to start from. */
		inspect_fat(found, (uint64_t)le32_get(first) * SECTOR, (uint64_t)le32_get(count) * SECTOR, true);
	}
}

static bool sector_has_code(const uint8_t *sector)
{
	for (int i = 0; i < MBR_CODE_BYTES; i++) {
		if (sector[i])
			return true;
	}
	return false;
}

static void say(struct buf *lines, const char *line)
{
	if (lines->len)
		buf_add_string(lines, "\n");
	buf_add_string(lines, line);
}

static void say_what_is_missing(const struct inspection *found, struct buf *lines)
{
	if (!found->boot_code)
		say(lines, "No boot code in its first sector: machines with BIOS firmware cannot boot it.");
	if (!found->esp)
		say(lines, "No EFI system partition: machines with UEFI firmware cannot boot it.");
	else if (!found->loader)
		say(lines, "No \\EFI\\BOOT\\BOOTX64.EFI on its EFI system partition: machines with UEFI firmware find "
			   "no loader, as a clone has no "
			   "boot entries. In the original: grub-install --target=x86_64-efi --removable.");
	if (found->initrd_without_iscsi) {
		buf_printf(lines,
			   "%s%s has no iSCSI in it: Linux would lose its disk. In the original: install open-iscsi, "
			   "then %s.",
			   lines->len ? "\n" : "", found->initrd,
			   found->by_dracut ? "make it anew, as README.md says for dracut" : "update-initramfs -u");
	}
}

/* ISO 9660 (ECMA-119 §8.1). Also a hybrid one, which has a partition table for sticks. */
static bool is_cd(const struct view *view)
{
	char signature[5];

	return view_read(view, ISO_SIGNATURE_AT, signature, sizeof(signature)) &&
	       !memcmp(signature, "CD001", sizeof(signature));
}

void clone_warnings(const struct view *view, uint64_t original_bytes, struct buf *lines)
{
	struct inspection found = { .view = view };
	struct gpt_header gpt;
	uint8_t sector[SECTOR];
	bool signature;

	if (original_bytes % SECTOR)
		say(lines, "Its size was not a multiple of 512 bytes: zeroes were added. It may be cut off.");
	if (!view_read(view, 0, sector, sizeof(sector))) {
		say(lines, "It could not be looked into.");
		return;
	}
	if (is_cd(view)) {
		say(lines,
		    "It is a CD (ISO 9660): give it to machines as one, with sanbootctl volume create --kind cd, "
		    "not as the disk that they boot from.");
		return;
	}
	signature = sector[MBR_SIGNATURE_AT] == 0x55 && sector[MBR_SIGNATURE_AT + 1] == 0xaa;
	found.boot_code = signature && sector_has_code(sector);
	found.gpt = gpt_read(view, SECTOR, &gpt);
	if (!found.gpt && gpt_read(view, 4096, &gpt)) {
		say(lines, "Its partition table counts in sectors of 4096 bytes, and network boot knows 512: no "
			   "machine can boot it. "
			   "Install into a disk with 512-byte sectors.");
		return;
	}
	if (found.gpt)
		inspect_gpt(&found, &gpt);
	else if (signature)
		inspect_mbr(&found, sector);
	if (!found.partitions && signature)
		inspect_fat(&found, 0, view->size, true); /* a file system without a partition table */
	if (!found.partitions && !found.fats && !found.boot_code) {
		say(lines, "Neither a partition table nor a boot sector: no machine can boot it. Is it a whole disk?");
		return;
	}
	say_what_is_missing(&found, lines);
}
