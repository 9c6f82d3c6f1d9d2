/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The golden image doctor: what would stop a raw disk from booting as a clone, told without mounting it, without root
 * and without starting anything that is in it. Partition tables, superblocks, FAT and archives are read by ourselves;
 * files in ext4, XFS, btrfs, NTFS and LVM by GRUB's drivers (grub-fstest) in a box (base/box.h), Windows' registry by
 * hivexsh likewise. What it cannot look into it says, and takes nothing there for missing. It never refuses.
 *
 * All of it blocks, for less than two seconds as a rule, for a minute at most.
 */
#ifndef DOCTOR_DOCTOR_H
#define DOCTOR_DOCTOR_H

#include "base/reason.h"

#include <stdbool.h>
#include <stdint.h>

enum doctor_severity {
	DOCTOR_HINT,  /* good to know */
	DOCTOR_CLASH, /* it is the same in all clones, and must not be */
	DOCTOR_RISK,  /* some machines do not boot it, or not always */
	DOCTOR_STOPS, /* no clone boots */
};

enum {
	DOCTOR_FINDINGS_MAX = 64,
	DOCTOR_PARTS_MAX = 32,
};

struct doctor_finding {
	const char *code; /* for programs, such as "machine-id"; static */
	enum doctor_severity severity;
	bool sealable;	/* doctor_seal mends it */
	char what[480]; /* is wrong */
	char todo[360]; /* about it */
};

/* What was looked into. */
struct doctor_part {
	char name[72];	/* "partition 2", "LVM vg/root", "whole disk" */
	char holds[32]; /* "ext4", "LUKS (encrypted)", "unknown" */
	char state[32]; /* "clean", "not unmounted", "damaged", "" where there is none to tell */
	bool looked_into;
	uint64_t bytes;
};

struct doctor_report {
	unsigned count, part_count;
	char system[96]; /* "Debian GNU/Linux 12 (bookworm)", "Windows 10 Pro"; "" none was found */
	char iscsi[64];	 /* its initiator: "open-iscsi 2.1.8-1"; "" */
	unsigned took_ms;
	struct doctor_finding findings[DOCTOR_FINDINGS_MAX]; /* the worst first */
	struct doctor_part parts[DOCTOR_PARTS_MAX];
};

/* The disk: raw, size bytes, not written to meanwhile. */
void doctor_check(int fd, uint64_t size, struct doctor_report *report);
/* Does something in it stop every clone? */
bool doctor_stops_boot(const struct doctor_report *report);
/* "stops-boot", "risk", "clones-clash", "hint" */
const char *doctor_severity_name(enum doctor_severity severity);

/*
 * Mends what is the same in all clones: a copy that is ours alone, opened for reading and writing, that nobody but this
 * call uses; while it runs everybody may write to the file (so it lies in a folder that nobody else may enter). Only a
 * root on ext4 that was unmounted is written to: by debugfs, a run for each change, and all is read
 * back by GRUB's driver and e2fsck. Blocks, for minutes where the file system is large. changes: a sentence each, in
 * lines. 0; -EALREADY: there is nothing to mend; -ENOTSUP: it cannot be written to; -EUCLEAN; others; with a sentence. The file is
 * good for nothing after an error.
 */
int doctor_seal(int fd, uint64_t size, char *changes, unsigned changes_size, struct reason *reason);

#endif
