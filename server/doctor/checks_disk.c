// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checks of any disk: its sectors, its partitions, what is on them, and how firmware would start it. A clone has no boot
 * entries in its firmware's memory, so a UEFI machine starts \EFI\BOOT\BOOTX64.EFI (UEFI §3.5.1.1) or nothing.
 */
#include "doctor/exam.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>

enum {
	ISO_HEADER_AT = 16 * 2048, /* ECMA-119 §8.1 */
	FAT32_CLUSTERS_MIN = 65525,
};

/* ---- the whole ---- */

static bool cannot_be_read(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return !exam->readable;
}

static bool has_iso_header(const struct exam *exam)
{
	char signature[5];

	return view_read(&exam->view, ISO_HEADER_AT + 1, signature, sizeof(signature)) &&
	       !memcmp(signature, "CD001", sizeof(signature));
}

static const struct exam_part *part_at(const struct exam *exam, uint64_t at)
{
	for (unsigned i = 0; i < exam->part_count; i++) {
		const struct exam_part *part = &exam->parts[i];

		if (part->partition && part->start <= at && at - part->start < part->bytes)
			return part;
	}
	return NULL;
}

/* A partition that has the header inside it is the CD's own view of itself, for sticks, unless it is a file system of another kind. */
static bool is_hybrid_iso(const struct exam *exam)
{
	const struct exam_part *part = part_at(exam, ISO_HEADER_AT);

	return part && (part->fs.kind == FS_ISO || part->fs.kind == FS_UNKNOWN);
}

static bool is_cd(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return has_iso_header(exam) && !exam->partitions.count;
}

static bool is_hybrid(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return has_iso_header(exam) && exam->partitions.count && is_hybrid_iso(exam);
}

static bool has_stale_iso_header(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return has_iso_header(exam) && exam->partitions.count && !is_hybrid_iso(exam);
}

static bool counts_in_4096(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return exam->partitions.table == PARTITION_TABLE_GPT_4096 && !has_iso_header(exam);
}

/* Of CDs and the like nothing else is said. */
static bool is_disk(const struct exam *exam)
{
	return exam->readable && exam->partitions.table != PARTITION_TABLE_GPT_4096 &&
	       !(has_iso_header(exam) && (!exam->partitions.count || is_hybrid_iso(exam)));
}

static bool is_nothing(const struct exam *exam)
{
	return is_disk(exam) && !exam->partitions.count && !exam->partitions.boot_code &&
	       !(exam->part_count && exam->parts[0].looked_into);
}

static bool no_table(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return is_nothing(exam);
}

static bool table_damaged(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return is_disk(exam) && exam->partitions.damaged;
}

static bool backup_missing(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return is_disk(exam) && exam->partitions.backup_missing;
}

static bool is_cut(const struct exam *exam, struct exam_detail *detail)
{
	for (unsigned i = 0; i < exam->part_count && is_disk(exam); i++) {
		if (exam->parts[i].partition && exam->parts[i].partition->cut)
			exam_detail_add(detail, 0, exam->parts[i].name);
	}
	return detail->text[0][0];
}

/* ---- how firmware starts it ---- */

/* Is there such a file on a FAT partition that firmware looks at? Without a name: is there such a partition? */
static bool has_loader(const struct exam *exam, const char *name)
{
	for (unsigned i = 0; i < exam->part_count; i++) {
		const struct exam_part *part = &exam->parts[i];

		if (part->fs.kind == FS_FAT && part->looked_into && (!part->partition || part->partition->esp) &&
		    (!name || tree_has(&part->tree, name)))
			return true;
	}
	return false;
}

#define LOADER_X64 "/EFI/BOOT/BOOTX64.EFI"
#define LOADER_ARM64 "/EFI/BOOT/BOOTAA64.EFI"

/* Linux goes by the width that mkfs.fat wrote, firmware by the number of clusters (FAT §3.5). */
static bool is_small_fat32(const struct exam *exam, const struct exam_part *part)
{
	uint8_t sector[512];

	return part->fs.kind == FS_FAT && view_read(&exam->view, part->start, sector, sizeof(sector)) && !sector[22] &&
	       !sector[23] && !sector[17] && !sector[18] &&
	       (!part->looked_into || part->fat.clusters < FAT32_CLUSTERS_MIN);
}

static bool has_small_fat32(const struct exam *exam, struct exam_detail *detail)
{
	for (unsigned i = 0; i < exam->part_count && is_disk(exam); i++) {
		if (is_small_fat32(exam, &exam->parts[i]))
			exam_detail_add(detail, 0, exam->parts[i].name);
	}
	return detail->text[0][0];
}

static bool small_fat32(const struct exam *exam, struct exam_detail *detail)
{
	return has_small_fat32(exam, detail) && exam->partitions.boot_code;
}

static bool only_small_fat32(const struct exam *exam, struct exam_detail *detail)
{
	return has_small_fat32(exam, detail) && !exam->partitions.boot_code;
}

/* Nobody sees the files in one of those: its loader is not missing. */
static bool sees_no_esp(const struct exam *exam)
{
	struct exam_detail detail = { .text = { "" } };

	return has_small_fat32(exam, &detail);
}

/* Without any of them nothing else is said of them. */
static bool cannot_start(const struct exam *exam)
{
	return is_disk(exam) && !is_nothing(exam) && !exam->partitions.boot_code && !has_loader(exam, LOADER_X64) &&
	       !has_loader(exam, LOADER_ARM64) && !sees_no_esp(exam);
}

static bool nothing_starts(const struct exam *exam, struct exam_detail *detail)
{
	exam_detail_set(detail, 0, "%s",
			has_loader(exam, NULL) ? "no \\EFI\\BOOT\\BOOTX64.EFI on its EFI system partition" :
						 "no EFI system partition");
	return cannot_start(exam);
}

static bool starts_somehow(const struct exam *exam)
{
	return is_disk(exam) && !is_nothing(exam) && !cannot_start(exam);
}

static bool no_boot_code(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return starts_somehow(exam) && !exam->partitions.boot_code && has_loader(exam, LOADER_X64);
}

static bool no_esp(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return starts_somehow(exam) && !has_loader(exam, NULL);
}

static bool no_loader(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return starts_somehow(exam) && has_loader(exam, NULL) && !has_loader(exam, LOADER_X64) &&
	       !has_loader(exam, LOADER_ARM64) && !sees_no_esp(exam);
}

static bool only_arm64(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return starts_somehow(exam) && !has_loader(exam, LOADER_X64) && has_loader(exam, LOADER_ARM64) &&
	       !exam->partitions.boot_code;
}

/* ---- what is on it ---- */

static bool is_unclean(const struct exam *exam, struct exam_detail *detail)
{
	for (unsigned i = 0; i < exam->part_count && is_disk(exam); i++) {
		const struct exam_part *part = &exam->parts[i];
		char text[96];

		if (part->fs.state != FS_UNCLEAN)
			continue;
		snprintf(text, sizeof(text), "%s (%s)", part->name, fs_kind_name(part->fs.kind));
		exam_detail_add(detail, 0, text);
	}
	return detail->text[0][0];
}

static bool is_damaged(const struct exam *exam, struct exam_detail *detail)
{
	for (unsigned i = 0; i < exam->part_count && is_disk(exam); i++) {
		if (exam->parts[i].fs.state == FS_DAMAGED)
			exam_detail_add(detail, 0, exam->parts[i].name);
	}
	return detail->text[0][0];
}

static bool is_looked_past(const struct exam_part *part)
{
	return !part->looked_into && part->fs.kind != FS_SWAP && part->fs.kind != FS_LVM && part->fs.kind != FS_UNKNOWN;
}

static bool cannot_look(const struct exam *exam, struct exam_detail *detail)
{
	for (unsigned i = 0; i < exam->part_count && is_disk(exam); i++) {
		const struct exam_part *part = &exam->parts[i];
		char text[96];

		if (!is_looked_past(part))
			continue;
		snprintf(text, sizeof(text), "%s (%s)", part->name, fs_kind_name(part->fs.kind));
		exam_detail_add(detail, 0, text);
	}
	exam_detail_set(detail, 1,
			exam->source.no_tool ?
				"Install grub-common on the server, which has grub-fstest." :
			!exam->source.may_open ?
				"Let everybody read the file (chmod o+r): what looks into it has no "
				"privileges. Or import it." :
			exam->source.out_of_time ?
				"It took too long: ask again when the server has less to do." :
				"Look there yourself: empty machine-id, no host keys, an initramfs with iSCSI.");
	return detail->text[0][0];
}

/* systemd-repart grows what is last, and says nothing where another one follows. */
static bool root_is_not_last(const struct exam *exam, struct exam_detail *detail)
{
	const struct exam_part *root = exam->lin.part;

	if (!root || !root->partition)
		return false;
	for (unsigned i = 0; i < exam->part_count; i++) {
		if (exam->parts[i].partition && exam->parts[i].start > root->start)
			exam_detail_set(detail, 1, "%s", exam->parts[i].name);
	}
	exam_detail_set(detail, 0, "%s", root->name);
	return detail->text[1][0];
}

#define FAT32_REMEDY \
	"In the original: make it anew as FAT16, or with at least 33 MiB and mkfs.fat -F 32 -s 1, and copy the files."

const struct exam_check exam_disk_checks[] = {
	{ "unreadable", EXAM_ANY, DOCTOR_STOPS, false, cannot_be_read, "It could not be looked into.",
	  "Look at the server's disk and its log." },
	{ "cd", EXAM_ANY, DOCTOR_STOPS, false, is_cd, "It is a CD (ISO 9660), not a disk that machines boot from.",
	  "Give it to machines as a CD: sanbootctl volume create --kind cd." },
	{ "hybrid-iso", EXAM_ANY, DOCTOR_STOPS, false, is_hybrid,
	  "It is a CD (ISO 9660) that also boots from a stick: iPXE takes it for a CD with blocks of 2048 bytes, and its "
	  "partition table counts in 512.",
	  "Give it to machines as a CD: sanbootctl volume create --kind cd." },
	{ "stale-iso", EXAM_ANY, DOCTOR_STOPS, false, has_stale_iso_header,
	  "At byte 32769 lies \"CD001\", left from an ISO file that was once written to this disk: iPXE takes it for a CD "
	  "with blocks of 2048 bytes and cannot boot it, though it boots locally.",
	  "In the original: dd if=/dev/zero of=DISK bs=2048 seek=16 count=1 conv=notrunc, if no partition begins before "
	  "sector 68." },
	{ "sectors-4096", EXAM_ANY, DOCTOR_STOPS, false, counts_in_4096,
	  "Its partition table counts in sectors of 4096 bytes, and network boot knows 512: no machine can boot it.",
	  "Install into a disk with 512-byte sectors." },
	{ "no-partitions", EXAM_ANY, DOCTOR_STOPS, false, no_table,
	  "Neither a partition table nor a boot sector: no machine can boot it.", "Is it a whole disk? Import that." },
	{ "gpt-damaged", EXAM_ANY, DOCTOR_RISK, false, table_damaged,
	  "A checksum of its partition table (GPT) is wrong: firmware may not use it.",
	  "In the original: sgdisk -v, or gdisk, which repairs it from the copy at the end." },
	{ "cut-off", EXAM_ANY, DOCTOR_STOPS, false, is_cut, "It ends before its partitions do ({1}): it is cut off.",
	  "Copy the original again, as a whole." },
	{ "gpt-copy-missing", EXAM_ANY, DOCTOR_HINT, false, backup_missing,
	  "The second copy of its partition table (GPT) is not in the last sector: it was enlarged, or is cut off.",
	  "In the original: sgdisk -e moves it there. Machines boot without it." },
	{ "no-way-to-start", EXAM_ANY, DOCTOR_STOPS, false, nothing_starts,
	  "No boot code for BIOS firmware in its first sector, and {1}: no machine can boot it.",
	  "In the original: grub-install --target=x86_64-efi --removable, or grub-install for BIOS." },
	{ "fat32-small", EXAM_ANY, DOCTOR_RISK, false, small_fat32,
	  "{1}: FAT32 with fewer than 65525 clusters, which Linux reads and UEFI firmware does not.", FAT32_REMEDY },
	{ "fat32-small", EXAM_ANY, DOCTOR_STOPS, false, only_small_fat32,
	  "{1}: FAT32 with fewer than 65525 clusters, which Linux reads and UEFI firmware does not; and no boot code for BIOS "
	  "firmware.",
	  FAT32_REMEDY },
	{ "no-bios", EXAM_ANY, DOCTOR_RISK, false, no_boot_code,
	  "No boot code in its first sector: machines with BIOS firmware cannot boot it.",
	  "Needed only where there are such machines. In the original: grub-install --target=i386-pc DISK." },
	{ "no-esp", EXAM_ANY, DOCTOR_RISK, false, no_esp,
	  "No EFI system partition: machines with UEFI firmware cannot boot it.",
	  "Needed only where there are such machines: a FAT partition of type EFI System with \\EFI\\BOOT\\BOOTX64.EFI." },
	{ "no-uefi-loader", EXAM_ANY, DOCTOR_RISK, false, no_loader,
	  "No \\EFI\\BOOT\\BOOTX64.EFI on its EFI system partition: machines with UEFI firmware find no loader, as a clone "
	  "has no boot entries.",
	  "In the original: grub-install --target=x86_64-efi --removable." },
	{ "only-arm64", EXAM_ANY, DOCTOR_HINT, false, only_arm64,
	  "It has a loader for ARM64 machines only (\\EFI\\BOOT\\BOOTAA64.EFI).",
	  "Give it to no other machines. For PCs: \\EFI\\BOOT\\BOOTX64.EFI." },
	{ "not-unmounted", EXAM_ANY, DOCTOR_RISK, false, is_unclean,
	  "{1} was not unmounted: it was copied while it was in use, or after a crash. Each clone begins with a repair, and "
	  "what is said here is how it was before that.",
	  "Shut the original down in order and copy it again." },
	{ "file-system-errors", EXAM_ANY, DOCTOR_RISK, false, is_damaged, "{1} says of itself that it has errors.",
	  "In the original: fsck." },
	{ "not-looked-into", EXAM_ANY, DOCTOR_HINT, false, cannot_look,
	  "Could not look into {1}: nothing is said about what is in there.", "{2}" },
	{ "root-not-last", EXAM_LINUX, DOCTOR_HINT, false, root_is_not_last,
	  "Its root ({1}) is not the last partition ({2} lies behind it): systemd-repart leaves it as it is when a disk is "
	  "larger, and reports no error.",
	  "Make the root the last partition, if it is to grow with the disk." },
	{ 0 },
};
