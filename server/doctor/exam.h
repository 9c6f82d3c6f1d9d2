/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What was found on one disk, gathered once, for all checks; and what a check is. Private to doctor/.
 */
#ifndef DOCTOR_EXAM_H
#define DOCTOR_EXAM_H

#include "base/buf.h"
#include "doctor/doctor.h"
#include "doctor/fs.h"
#include "doctor/hive.h"
#include "doctor/initramfs.h"
#include "doctor/partition.h"
#include "doctor/tree.h"

enum {
	EXAM_NAME = 96,
	EXAM_PATH = 256,
	EXAM_TEXT_MAX = 1 << 20, /* a text file; what is longer is cut */
	EXAM_DETAIL = 200,
	EXAM_CARDS_MAX = 24, /* of Windows that are looked at */
};

/* A file system, or what else there is. */
struct exam_part {
	char name[72];			   /* "partition 2", "LVM vg/root", "the whole disk" */
	const struct partition *partition; /* NULL: a logical volume, or the whole disk */
	uint64_t start, bytes;		   /* bytes 0: not known */
	struct fs_info fs;
	struct fat fat;
	struct tree tree;
	bool looked_into; /* its files can be read */
};

/* Packages that checks ask for; from dpkg's list, or told by their programs. */
enum exam_package {
	PACKAGE_OPEN_ISCSI,
	PACKAGE_DRACUT,
	PACKAGE_INITRAMFS_TOOLS,
	PACKAGE_CLOUD_INIT,
	PACKAGE_MULTIPATH,
	PACKAGE_MULTIPATH_BOOT,
	PACKAGE_SSH_SERVER,
	PACKAGE_NETWORK_MANAGER,
	PACKAGES,
};

struct exam_linux {
	const struct exam_part *part; /* of its root; NULL: none was found */
	struct tree root;
	struct tree boot;	/* where the initramfs lies */
	char initrd[EXAM_PATH]; /* its path there; "" none was found */
	bool kernel;		/* there is one beside it */
	struct initramfs initramfs;
	bool dpkg; /* the packages are known for certain */
	bool has[PACKAGES];
	char iscsi_version[48];
	struct buf fstab, cmdline; /* texts; cmdline: of all menus and configurations that name a kernel's */
};

struct exam_windows {
	const struct exam_part *part; /* NULL: none was found */
	struct hive system, software;
	bool hibernated;
	unsigned control_set; /* that it boots with */
	unsigned cards_looked_at, cards, cards_at_boot;
	char card[64]; /* a driver that does not start at boot; "" */
	char product[EXAM_PATH];
};

struct exam {
	int fd;
	uint64_t size;
	struct view view;
	bool readable;
	struct partition_list partitions;
	unsigned part_count;
	bool more_parts; /* than are kept */
	struct exam_part parts[DOCTOR_PARTS_MAX];
	struct tree_source source;
	struct exam_linux lin;
	struct exam_windows windows;
	char system[EXAM_NAME];
};

/* What a check says besides its sentences: {1} and {2} in them. */
struct exam_detail {
	char text[2][EXAM_DETAIL];
};

void exam_detail_set(struct exam_detail *detail, unsigned which, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* "a", then "a, b". */
void exam_detail_add(struct exam_detail *detail, unsigned which, const char *text);

enum exam_system { EXAM_ANY, EXAM_LINUX, EXAM_WINDOWS };

struct exam_check {
	const char *code;
	enum exam_system system; /* looked at only where this one is there */
	enum doctor_severity severity;
	bool sealable;
	bool (*found)(const struct exam *exam, struct exam_detail *detail);
	const char *what, *todo;
};

/* The checks, by subject; an element without a code ends each. */
extern const struct exam_check exam_disk_checks[], exam_linux_checks[], exam_identity_checks[], exam_windows_checks[];

/* Looks at all of it; the file stays open as long as it is used. */
struct exam *exam_new(int fd, uint64_t size);
void exam_free(struct exam *exam);
/* Its parts: partition tables and file systems; then which Linux, and what its checks ask for. */
void exam_look_disk(struct exam *exam);
void exam_look_linux(struct exam *exam);
void exam_look_windows(struct exam *exam);
void exam_windows_fini(struct exam_windows *windows);
/* A value of SYSTEM, below the control set that it boots with. */
bool exam_windows_value(const struct exam_windows *windows, const char *key, const char *name, char value[EXAM_PATH]);
/* What all checks say of it, into an empty report. */
void exam_report(const struct exam *exam, struct doctor_report *report);

/* The next line of a text that is a file's, without its end: copied to line, cut there. False: no more. */
bool exam_next_line(const char **text, char *line, size_t size);
/* A name in /etc/systemd/network/: cloud-init wrote it. */
bool exam_is_cloud_init_network(const char *name);

#endif
