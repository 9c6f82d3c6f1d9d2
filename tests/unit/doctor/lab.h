/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small disks with a Linux on them, as small as what the checks ask for: made by the usual tools without root, in a folder
 * that goes in the end. (Nothing in them ever ran.)
 */
#ifndef TESTS_DOCTOR_LAB_H
#define TESTS_DOCTOR_LAB_H

#include "cmocka_all.h"

#include "doctor/doctor.h"

struct lab {
	char dir[64];
	struct doctor_report report;
};

/* cmocka set-up and teardown. */
int lab_setup(void **state);
int lab_teardown(void **state);
/*
 * Runs shell lines in the folder, with these functions of lab.sh:
 *
 *     tree            root/: a Debian that is prepared as it should be
 *     initrd NAME...  root/boot/initrd.img-6.1: an initramfs with these files, by zstd
 *     filesystem KIND part: root/ as ext4, xfs or btrfs
 *     disk            disk.img: a GPT, boot code, a partition for firmware with its loaders (LOADERS), part
 */
void lab_run(const struct lab *lab, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* False, loudly: a tool is missing, and the test is skipped. */
bool lab_has(const char *tools);
/* Looks at a file of the folder. */
void lab_check(struct lab *lab, const char *file);
/* The finding with that code; NULL. */
const struct doctor_finding *lab_find(const struct lab *lab, const char *code);
/* These codes, blanks between them, and no others, in any order. */
void lab_expect(const struct lab *lab, const char *codes);
/* Looks at disk.img after lines that changed something in root/ and made it anew. */
void lab_expect_after(struct lab *lab, const char *lines, const char *codes);

#endif
