// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checks of a Linux: does it find its disk over iSCSI by itself, and keep it? The loader reads through the firmware; the
 * initramfs has to log in anew, by what the iBFT says, and the running system must leave that connection alone.
 */
#include "doctor/exam.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
	LINE_TEXT = 512,
	NICS_FEW = 3,
};

/* Is there a line that begins with this, after blanks? Its rest is copied where that is asked for. */
static bool find_line(const char *text, const char *start, char *rest, size_t size)
{
	char line[LINE_TEXT];

	while (exam_next_line(&text, line, sizeof(line))) {
		const char *at = line + strspn(line, " \t");

		if (strncmp(at, start, strlen(start)))
			continue;
		if (rest)
			snprintf(rest, size, "%s", at + strlen(start));
		return true;
	}
	return false;
}

/* ---- the initramfs ---- */

static const char *initrd_name(const struct exam *exam)
{
	return strrchr(exam->lin.initrd, '/') + 1;
}

static const char *advice_initramfs(const struct exam *exam)
{
	return exam->lin.initramfs.dracut ||
			       (exam->lin.has[PACKAGE_DRACUT] && !exam->lin.has[PACKAGE_INITRAMFS_TOOLS]) ?
		       "hostonly=\"no\" and the modules that README.md names for dracut, dracut --force" :
		       "install open-iscsi, echo ISCSI_AUTO=true >/etc/iscsi/iscsi.initramfs, update-initramfs -u";
}

static bool initramfs_missing(const struct exam *exam, struct exam_detail *detail)
{
	exam_detail_set(detail, 0, "%s", advice_initramfs(exam));
	return exam->lin.part && exam->lin.kernel && !exam->lin.initrd[0];
}

static bool initramfs_not_read(const struct exam *exam, struct exam_detail *detail)
{
	if (!exam->lin.initrd[0] || exam->lin.initramfs.told)
		return false;
	exam_detail_set(detail, 0, "%s", initrd_name(exam));
	exam_detail_set(detail, 1, "%s", exam->lin.initramfs.why_not);
	return true;
}

static bool initramfs_without_iscsi(const struct exam *exam, struct exam_detail *detail)
{
	const struct initramfs *initramfs = &exam->lin.initramfs;

	if (!exam->lin.initrd[0] || !initramfs->told)
		return false;
	exam_detail_set(detail, 0, "%s", initrd_name(exam));
	exam_detail_set(detail, 1, "%s", advice_initramfs(exam));
	return !initramfs->login || (initramfs->modules && !initramfs->tcp);
}

static bool initramfs_without_nic(const struct exam *exam, struct exam_detail *detail)
{
	const struct initramfs *initramfs = &exam->lin.initramfs;

	if (!exam->lin.initrd[0] || !initramfs->told || !initramfs->modules)
		return false;
	exam_detail_set(detail, 0, "%s", initrd_name(exam));
	exam_detail_set(detail, 1, "%s",
			initramfs->dracut ? "hostonly=\"no\" in /etc/dracut.conf.d, dracut --force" :
					    "MODULES=most in /etc/initramfs-tools/initramfs.conf, update-initramfs -u");
	return !initramfs->nic_count;
}

static bool initramfs_few_nics(const struct exam *exam, struct exam_detail *detail)
{
	const struct initramfs *initramfs = &exam->lin.initramfs;

	initramfs_without_nic(exam, detail);
	exam_detail_set(detail, 0, "%.80s has drivers for few network cards only (%.80s)%s",
			exam->lin.initrd[0] ? initrd_name(exam) : "", initramfs->nics,
			initramfs->host_only ? ", and was made for one machine (hostonly)" : "");
	return exam->lin.initrd[0] && initramfs->told && initramfs->nic_count && initramfs->nic_count < NICS_FEW;
}

/* initramfs-tools: open-iscsi's script does nothing unless it is told to, in its file or on the command line. */
static bool no_automatic_login(const struct exam *exam, struct exam_detail *detail)
{
	struct buf text;
	bool missing;

	(void)detail;
	if (!exam->lin.initrd[0] || !exam->lin.part || !exam->lin.initramfs.told || exam->lin.initramfs.dracut ||
	    !exam->lin.initramfs.login || !exam->lin.has[PACKAGE_INITRAMFS_TOOLS])
		return false;
	buf_init(&text, EXAM_TEXT_MAX);
	missing = !tree_read_text(&exam->lin.root, "/etc/iscsi/iscsi.initramfs", &text) &&
		  !find_line(buf_text(&text), "ISCSI_AUTO=true", NULL, 0) &&
		  !find_line(buf_text(&text), "ISCSI_TARGET_NAME=", NULL, 0) &&
		  !strstr(buf_text(&exam->lin.cmdline), "iscsi_auto");
	buf_fini(&text);
	return missing;
}

/* dracut looks at the iBFT only when the command line says so. */
static bool dracut_not_told(const struct exam *exam, struct exam_detail *detail)
{
	const char *cmdline = buf_text(&exam->lin.cmdline);

	(void)detail;
	return exam->lin.part && exam->lin.initrd[0] && exam->lin.initramfs.told && exam->lin.initramfs.dracut &&
	       exam->lin.initramfs.login && !exam->lin.initramfs.own_cmdline && !strstr(cmdline, "rd.iscsi.firmware") &&
	       !strstr(cmdline, "netroot=") && !strstr(cmdline, "rd.iscsi.ibft");
}

static bool open_iscsi_missing(const struct exam *exam, struct exam_detail *detail)
{
	exam_detail_set(detail, 0, "%s", exam->lin.dpkg ? "open-iscsi" : "iscsi-initiator-utils (or open-iscsi)");
	return !exam->lin.has[PACKAGE_OPEN_ISCSI];
}

/* Asked for when somebody wants its disk offered at several addresses. */
static bool multipath_half(const struct exam *exam, struct exam_detail *detail)
{
	(void)detail;
	return exam->lin.dpkg && exam->lin.has[PACKAGE_MULTIPATH] && !exam->lin.has[PACKAGE_MULTIPATH_BOOT];
}

static bool multipath_knows_others(const struct exam *exam, struct exam_detail *detail)
{
	struct buf text;
	bool found;

	(void)detail;
	if (!exam->lin.has[PACKAGE_MULTIPATH])
		return false;
	buf_init(&text, EXAM_TEXT_MAX);
	found = !tree_read(&exam->lin.root, "/etc/multipath/wwids", &text) && find_line(buf_text(&text), "/", NULL, 0);
	buf_fini(&text);
	return found;
}

/* Does multipath.conf say so? The last word counts, but whoever says both has thought about it. */
static bool multipath_says(const char *text, const char *key, const char *value)
{
	char rest[LINE_TEXT];

	while ((text = strstr(text, key))) {
		text += strlen(key);
		snprintf(rest, sizeof(rest), "%.40s", text + strspn(text, " \t\""));
		if (!strncmp(rest, value, strlen(value)))
			return true;
	}
	return false;
}

/* Without the one it makes no map of a clone's disk; without the other, one that loses its paths for good. */
static bool multipath_not_set(const struct exam *exam, struct exam_detail *detail)
{
	bool maps, named;
	struct buf text;

	if (!exam->lin.has[PACKAGE_MULTIPATH_BOOT])
		return false;
	buf_init(&text, EXAM_TEXT_MAX);
	maps = named = tree_read_text(&exam->lin.root, "/etc/multipath.conf", &text) != 0;
	maps = maps || multipath_says(buf_text(&text), "find_multipaths", "greedy") ||
	       multipath_says(buf_text(&text), "find_multipaths", "no");
	named = named || multipath_says(buf_text(&text), "user_friendly_names", "yes");
	buf_fini(&text);
	exam_detail_set(detail, 0, "%s%s%s", maps ? "" : "find_multipaths greedy", maps || named ? "" : " and ",
			named ? "" : "user_friendly_names yes");
	return !maps || !named;
}

/* ---- names of disks ---- */

/* The fields of a line of fstab; false: it is none. */
static bool fstab_fields(char *line, char *fields[4])
{
	char *rest;

	line += strspn(line, " \t");
	if (!*line || *line == '#')
		return false;
	for (int i = 0; i < 4; i++) {
		fields[i] = strtok_r(i ? NULL : line, " \t", &rest);
		if (!fields[i])
			return false;
	}
	return true;
}

static void collect_fstab(const struct exam *exam, struct exam_detail *detail,
			  bool (*wanted)(const struct exam *exam, char *const fields[4]))
{
	const char *text = buf_text(&exam->lin.fstab);
	char line[LINE_TEXT], *fields[4], said[LINE_TEXT];

	while (exam_next_line(&text, line, sizeof(line))) {
		if (!fstab_fields(line, fields) || !wanted(exam, fields))
			continue;
		snprintf(said, sizeof(said), "%.80s on %.80s", fields[0], fields[1]);
		exam_detail_add(detail, 0, said);
	}
}

static bool is_foreign_disk(const char *device)
{
	static const char *const names[] = { "/dev/vd",	    "/dev/xvd",		  "/dev/nvme",	     "/dev/hd",
					     "/dev/mmcblk", "/dev/disk/by-path/", "/dev/disk/by-id/" };

	for (size_t i = 0; i < array_len(names); i++) {
		if (!strncmp(device, names[i], strlen(names[i])))
			return true;
	}
	return false;
}

static bool is_required(char *const fields[4])
{
	return !strstr(fields[3], "nofail") && !strstr(fields[3], "noauto");
}

static bool names_foreign_disk(const struct exam *exam, char *const fields[4])
{
	(void)exam;
	return is_required(fields) && strcmp(fields[2], "swap") && is_foreign_disk(fields[0]);
}

static bool fstab_foreign(const struct exam *exam, struct exam_detail *detail)
{
	collect_fstab(exam, detail, names_foreign_disk);
	return detail->text[0][0];
}

static bool names_by_letter(const struct exam *exam, char *const fields[4])
{
	(void)exam;
	return is_required(fields) && !strncmp(fields[0], "/dev/sd", 7);
}

static bool fstab_by_letter(const struct exam *exam, struct exam_detail *detail)
{
	collect_fstab(exam, detail, names_by_letter);
	return detail->text[0][0];
}

/* "UUID=x" or "LABEL=x" of something that is on this disk; also true where that cannot be told. */
static bool is_here(const struct exam *exam, const char *spec)
{
	const char *value = strchr(spec, '=') + 1;
	char wanted[64];
	size_t len;

	value += *value == '"';
	len = strcspn(value, "\"");
	if (exam->more_parts || exam->partitions.more || len >= sizeof(wanted))
		return true;
	snprintf(wanted, sizeof(wanted), "%.*s", (int)len, value);
	for (unsigned i = 0; i < exam->part_count; i++) {
		const struct exam_part *part = &exam->parts[i];
		bool inner = part->fs.kind == FS_UNKNOWN || part->fs.kind == FS_LUKS || part->fs.kind == FS_RAID;

		/* Thin volumes, encrypted ones and arrays have file systems in them that are not seen. */
		if ((inner && part->bytes > 1 << 20) || part->fs.kind == FS_LVM)
			return true;
		if (!strncasecmp(spec, "UUID=", 5) && !strcasecmp(part->fs.uuid, wanted))
			return true;
		if (!strncasecmp(spec, "LABEL=", 6) && !strcmp(part->fs.label, wanted))
			return true;
		if (!strncasecmp(spec, "PARTUUID=", 9) && part->partition && !strcasecmp(part->partition->uuid, wanted))
			return true;
	}
	return false;
}

static bool names_what_is_missing(const struct exam *exam, char *const fields[4])
{
	bool by_id = !strncmp(fields[0], "UUID=", 5) || !strncmp(fields[0], "LABEL=", 6) ||
		     !strncmp(fields[0], "PARTUUID=", 9);

	return by_id && is_required(fields) && !is_here(exam, fields[0]);
}

static bool fstab_missing(const struct exam *exam, struct exam_detail *detail)
{
	collect_fstab(exam, detail, names_what_is_missing);
	return detail->text[0][0];
}

static bool names_swap(const struct exam *exam, char *const fields[4])
{
	(void)exam;
	return !strcmp(fields[2], "swap");
}

static bool fstab_swap(const struct exam *exam, struct exam_detail *detail)
{
	collect_fstab(exam, detail, names_swap);
	return detail->text[0][0];
}

/* "root=/dev/..." of a menu. */
static bool root_by_name(const struct exam *exam, struct exam_detail *detail, bool foreign)
{
	const char *at = buf_text(&exam->lin.cmdline);

	while ((at = strstr(at, "root=/dev/"))) {
		char device[64];

		at += strlen("root=");
		snprintf(device, sizeof(device), "%.*s", (int)min_u64(strcspn(at, " \t\n\"'"), sizeof(device) - 1), at);
		if (foreign ? is_foreign_disk(device) : !strncmp(device, "/dev/sd", 7)) {
			exam_detail_set(detail, 0, "root=%s", device);
			return true;
		}
	}
	return false;
}

static bool cmdline_foreign(const struct exam *exam, struct exam_detail *detail)
{
	return root_by_name(exam, detail, true);
}

static bool cmdline_by_letter(const struct exam *exam, struct exam_detail *detail)
{
	return root_by_name(exam, detail, false);
}

/* initramfs-tools waits for the swap to resume from, which is gone or another machine's. */
static bool resume_waits(const struct exam *exam, struct exam_detail *detail)
{
	struct buf text;
	char value[LINE_TEXT];
	bool found;

	buf_init(&text, EXAM_TEXT_MAX);
	found = !tree_read(&exam->lin.root, "/etc/initramfs-tools/conf.d/resume", &text) &&
		find_line(buf_text(&text), "RESUME=", value, sizeof(value)) && value[0] && strcmp(value, "none");
	buf_fini(&text);
	if (found)
		exam_detail_set(detail, 0, "RESUME=%.100s", value);
	return found;
}

const struct exam_check exam_linux_checks[] = {
	{ "initramfs-missing", EXAM_LINUX, DOCTOR_STOPS, false, initramfs_missing,
	  "There is a kernel in /boot and no initramfs: Linux would not find its disk.", "In the original: {1}." },
	{ "initramfs-without-iscsi", EXAM_ANY, DOCTOR_STOPS, false, initramfs_without_iscsi,
	  "{1} has no iSCSI in it: Linux would lose its disk.", "In the original: {2}." },
	{ "initramfs-without-network", EXAM_ANY, DOCTOR_STOPS, false, initramfs_without_nic,
	  "{1} has no driver for any network card in it: Linux would lose its disk.", "In the original: {2}." },
	{ "iscsi-not-automatic", EXAM_LINUX, DOCTOR_STOPS, false, no_automatic_login,
	  "Its initramfs can log in over iSCSI, but nobody tells it to.",
	  "In the original: echo ISCSI_AUTO=true >/etc/iscsi/iscsi.initramfs, update-initramfs -u. Or iscsi_auto on the "
	  "kernel's command line." },
	{ "dracut-not-told", EXAM_LINUX, DOCTOR_STOPS, false, dracut_not_told,
	  "Its initramfs (dracut) can log in over iSCSI, but the kernel's command line does not say so.",
	  "In the original, on the kernel's command line: rd.iscsi.firmware=1 rd.iscsi.ibft=1 ip=ibft." },
	{ "fstab-missing", EXAM_LINUX, DOCTOR_STOPS, false, fstab_missing,
	  "/etc/fstab wants what is not on this disk ({1}): a clone would wait for it and then ask for a password.",
	  "In the original: remove it, or add nofail." },
	{ "fstab-other-disk", EXAM_LINUX, DOCTOR_STOPS, false, fstab_foreign,
	  "/etc/fstab names a disk as no clone has it ({1}).", "In the original: by UUID=, which blkid tells." },
	{ "cmdline-other-disk", EXAM_LINUX, DOCTOR_STOPS, false, cmdline_foreign,
	  "The kernel's command line names a disk as no clone has it ({1}).", "In the original: root=UUID=..." },
	{ "open-iscsi-missing", EXAM_LINUX, DOCTOR_RISK, false, open_iscsi_missing,
	  "The running system has no iscsid: its disk is gone for good when the connection breaks once.",
	  "In the original: install {1}, then make the initramfs anew." },
	{ "initramfs-few-cards", EXAM_ANY, DOCTOR_RISK, false, initramfs_few_nics,
	  "{1}: machines with other cards would lose their disk.", "In the original: {2}." },
	{ "fstab-by-letter", EXAM_LINUX, DOCTOR_RISK, false, fstab_by_letter,
	  "/etc/fstab names disks by letter ({1}): with a second disk it may be another one.",
	  "In the original: by UUID=, which blkid tells." },
	{ "cmdline-by-letter", EXAM_LINUX, DOCTOR_RISK, false, cmdline_by_letter,
	  "The kernel's command line names its disk by letter ({1}): with a second disk it may be another one.",
	  "In the original: root=UUID=..." },
	{ "swap", EXAM_LINUX, DOCTOR_RISK, true, fstab_swap,
	  "/etc/fstab has swap ({1}): over the network a machine without memory may wait for memory to write to it.",
	  "In the original: take it out of /etc/fstab." },
	{ "resume", EXAM_LINUX, DOCTOR_HINT, false, resume_waits,
	  "Its initramfs is told to look for a hibernated system ({1}), and waits for that.",
	  "In the original: echo RESUME=none >/etc/initramfs-tools/conf.d/resume, update-initramfs -u." },
	{ "initramfs-not-read", EXAM_ANY, DOCTOR_HINT, false, initramfs_not_read,
	  "Could not look into {1} ({2}): nothing is said about what is in there.",
	  "Look yourself whether iscsistart is in it: lsinitramfs, or lsinitrd." },
	{ "multipath-not-at-boot", EXAM_LINUX, DOCTOR_HINT, false, multipath_half,
	  "multipath-tools is there without multipath-tools-boot: a root that is mounted before cannot be taken into a map.",
	  "For machines with multipath=yes: install multipath-tools-boot, update-initramfs -u." },
	{ "multipath-other-disks", EXAM_LINUX, DOCTOR_HINT, false, multipath_knows_others,
	  "/etc/multipath/wwids has the disks of the original; those of clones are not in it.",
	  "For machines with multipath=yes: find_multipaths greedy in /etc/multipath.conf, limited to vendor SANBOOT." },
	{ "multipath-not-set", EXAM_LINUX, DOCTOR_HINT, false, multipath_not_set,
	  "multipath-tools-boot is there, but /etc/multipath.conf does not say {1}: without greedy there is no map of a disk that is "
	  "new to it, and a map that is called by the disk's id, which has commas, does not get a lost path back.",
	  "For machines with multipath=yes: see README.md, or image build debian --multipath." },
	{ 0 },
};
