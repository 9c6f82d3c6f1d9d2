// SPDX-License-Identifier: GPL-2.0-or-later
/* Which Linux is on a disk, and what the checks ask of it: its packages, its initramfs, its kernel's command line. */
#include "doctor/exam.h"

#include "base/util.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
	DPKG_MAX = 32 << 20,
	FOLDER_DEPTH_MAX = 3,
	MENUS_MAX = 16, /* of the boot loader specification */
};

/* ---- which ---- */

static void read_name(struct exam *exam, const char *text)
{
	char line[EXAM_NAME + 32], *value, *end;

	while (exam_next_line(&text, line, sizeof(line))) {
		if (strncmp(line, "PRETTY_NAME=", 12))
			continue;
		value = line + 12 + (line[12] == '"' || line[12] == '\'');
		end = value + strcspn(value, "\"'");
		*end = '\0';
		for (char *c = value; *c; c++)
			*c = *c >= 0x20 && *c < 0x7f ? *c : '?';
		snprintf(exam->system, sizeof(exam->system), "%.*s", EXAM_NAME - 1, value);
	}
}

static bool is_root(struct exam *exam, const struct tree *tree)
{
	struct buf text;
	bool found;

	buf_init(&text, 65536);
	found = !tree_read(tree, "/etc/os-release", &text) || !tree_read(tree, "/usr/lib/os-release", &text);
	if (found)
		read_name(exam, buf_text(&text));
	buf_fini(&text);
	return found || tree_has(tree, "/etc/fstab");
}

/* Where distributions put their root in a btrfs; GRUB begins at its top. */
static const char *const subvolumes[] = { "", "/@", "/root", "/@rootfs", "/@/.snapshots/1/snapshot" };

static void find_root(struct exam *exam)
{
	struct exam_linux *lin = &exam->lin;

	for (unsigned i = 0; i < exam->part_count; i++) {
		const struct exam_part *part = &exam->parts[i];
		size_t tries = part->fs.kind == FS_BTRFS ? array_len(subvolumes) : 1;

		if (!part->looked_into || !fs_has_files(part->fs.kind) || part->fs.kind == FS_NTFS)
			continue;
		for (size_t s = 0; s < tries; s++) {
			lin->root = part->tree;
			snprintf(lin->root.prefix, sizeof(lin->root.prefix), "%s", subvolumes[s]);
			if (is_root(exam, &lin->root)) {
				lin->part = part;
				return;
			}
		}
	}
}

/* ---- packages ---- */

static const struct {
	const char *name, *program;
} packages[PACKAGES] = {
	[PACKAGE_OPEN_ISCSI] = { "open-iscsi", "/usr/sbin/iscsid" },
	[PACKAGE_DRACUT] = { "dracut-core", "/usr/bin/dracut" },
	[PACKAGE_INITRAMFS_TOOLS] = { "initramfs-tools-core", "/usr/sbin/update-initramfs" },
	[PACKAGE_CLOUD_INIT] = { "cloud-init", "/usr/bin/cloud-init" },
	[PACKAGE_MULTIPATH] = { "multipath-tools", "/usr/sbin/multipath" },
	[PACKAGE_MULTIPATH_BOOT] = { "multipath-tools-boot", "" },
	[PACKAGE_SSH_SERVER] = { "openssh-server", "/usr/sbin/sshd" },
	[PACKAGE_NETWORK_MANAGER] = { "network-manager", "/usr/sbin/NetworkManager" },
};

/* A stanza of dpkg's list that says "installed"; its version where it is asked for. */
static bool dpkg_has(const char *status, const char *name, char *version, size_t version_size)
{
	char head[64], line[256];
	const char *at;
	bool installed = false;

	snprintf(head, sizeof(head), "Package: %s\n", name);
	for (at = status; (at = strstr(at, head)) && at != status && at[-1] != '\n'; at++)
		;
	while (at && exam_next_line(&at, line, sizeof(line)) && line[0]) {
		installed |=
			!strcmp(line, "Status: install ok installed") || !strcmp(line, "Status: hold ok installed");
		if (version && !strncmp(line, "Version: ", 9))
			snprintf(version, version_size, "%.*s", (int)version_size - 1, line + 9);
	}
	return installed;
}

static void find_packages(struct exam_linux *lin)
{
	struct buf status;

	buf_init(&status, DPKG_MAX);
	lin->dpkg = !tree_read(&lin->root, "/var/lib/dpkg/status", &status) && status.len;
	for (int i = 0; i < PACKAGES; i++) {
		bool iscsi = i == PACKAGE_OPEN_ISCSI;

		if (lin->dpkg)
			lin->has[i] = dpkg_has(buf_text(&status), packages[i].name, iscsi ? lin->iscsi_version : NULL,
					       sizeof(lin->iscsi_version));
		else if (packages[i].program[0])
			lin->has[i] = tree_has(&lin->root, packages[i].program);
	}
	buf_fini(&status);
}

/* ---- initramfs ---- */

struct boot_search {
	struct exam_linux *found;
	const struct tree *tree;
	char folder[EXAM_PATH]; /* with a '/' behind */
	unsigned depth;
};

/* Those of a running system: not the one for a crash, for rescue, or of before. */
static bool is_initrd(const char *name)
{
	static const char *const others[] = { "rescue", "kdump", "fallback", ".old", ".bak", ".new", "-old" };

	if (strncasecmp(name, "initrd", 6) && strncasecmp(name, "initramfs", 9))
		return false;
	for (size_t i = 0; i < array_len(others); i++) {
		if (strstr(name, others[i]))
			return false;
	}
	return name[strlen(name) - 1] != '/';
}

static void search_folder(struct boot_search *search);

static void see_name(void *arg, const char *name)
{
	struct boot_search *search = arg, inner = *search;
	struct exam_linux *found = search->found;
	char path[EXAM_PATH];

	if (snprintf(path, sizeof(path), "%s%s", search->folder, name) >= (int)sizeof(path))
		return;
	found->kernel |= !strncasecmp(name, "vmlinuz", 7);
	/* The newest, as the menu's first entry is. */
	if (is_initrd(name) && (!found->initrd[0] || strverscmp(path, found->initrd) > 0)) {
		snprintf(found->initrd, sizeof(found->initrd), "%s", path);
		found->boot = *search->tree;
	}
	if (name[strlen(name) - 1] == '/' && search->depth) {
		inner.depth--;
		snprintf(inner.folder, sizeof(inner.folder), "%s", path);
		search_folder(&inner);
	}
}

static void search_folder(struct boot_search *search)
{
	tree_list(search->tree, search->folder, see_name, search);
}

/* In /boot, or on a partition that is mounted there. */
static void find_initrd(struct exam *exam)
{
	struct exam_linux *lin = &exam->lin;

	if (lin->part) {
		struct boot_search search = { lin, &lin->root, "/boot/", 0 };

		search_folder(&search);
	}
	for (unsigned i = 0; i < exam->part_count && !lin->initrd[0]; i++) {
		const struct exam_part *part = &exam->parts[i];
		struct boot_search search = { lin, &part->tree, "/", part->tree.fat ? FOLDER_DEPTH_MAX : 0 };

		if (part->looked_into && part != lin->part && part->fs.kind != FS_NTFS)
			search_folder(&search);
	}
	if (lin->initrd[0])
		initramfs_look(&lin->boot, lin->initrd, &lin->initramfs);
}

/* ---- the kernel's command line ---- */

struct menu_search {
	struct exam_linux *found;
	const struct tree *tree;
	const char *folder;
	unsigned left;
};

static void read_menu(void *arg, const char *name)
{
	struct menu_search *search = arg;
	char path[EXAM_PATH];

	if (!search->left || snprintf(path, sizeof(path), "%s%s", search->folder, name) >= (int)sizeof(path))
		return;
	search->left--;
	tree_read_text(search->tree, path, &search->found->cmdline);
	buf_add_string(&search->found->cmdline, "\n");
}

static void read_menus(struct exam_linux *lin, const struct tree *tree, const char *base)
{
	static const char *const files[] = { "/grub/grub.cfg", "/grub2/grub.cfg", "/grub2/grubenv",
					     "/extlinux/extlinux.conf" };
	char path[EXAM_PATH];
	struct menu_search entries = { lin, tree, path, MENUS_MAX };

	for (size_t i = 0; i < array_len(files); i++) {
		snprintf(path, sizeof(path), "%s%s", base, files[i]);
		tree_read_text(tree, path, &lin->cmdline);
		buf_add_string(&lin->cmdline, "\n");
	}
	snprintf(path, sizeof(path), "%s/loader/entries/", base);
	tree_list(tree, path, read_menu, &entries);
}

static void read_cmdline(struct exam *exam)
{
	struct exam_linux *lin = &exam->lin;

	read_menus(lin, &lin->root, "/boot");
	tree_read_text(&lin->root, "/etc/kernel/cmdline", &lin->cmdline);
	buf_add_string(&lin->cmdline, "\n");
	for (unsigned i = 0; i < exam->part_count; i++) {
		const struct exam_part *part = &exam->parts[i];

		if (part->looked_into && part != lin->part && part->fs.kind != FS_NTFS)
			read_menus(lin, &part->tree, "");
	}
}

void exam_look_linux(struct exam *exam)
{
	struct exam_linux *lin = &exam->lin;

	find_root(exam);
	find_initrd(exam);
	if (!lin->part)
		return;
	if (!exam->system[0])
		snprintf(exam->system, sizeof(exam->system), "Linux");
	find_packages(lin);
	tree_read_text(&lin->root, "/etc/fstab", &lin->fstab);
	read_cmdline(exam);
}

bool exam_is_cloud_init_network(const char *name)
{
	return !strncmp(name, "10-cloud-init-", 14) && strstr(name, ".network");
}
