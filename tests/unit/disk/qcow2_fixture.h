/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of qcow2 children share: children over a golden file, a model of their bytes, QEMU's tools. */
#ifndef TESTS_DISK_QCOW2_FIXTURE_H
#define TESTS_DISK_QCOW2_FIXTURE_H

#include "disk/fixture.h"
#include "disk/qcow2.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

/* A golden raw file of that size: data with holes of 64 KiB between. */
void make_golden(struct fixture *fx, const char *name, uint64_t size_bytes);
/* A child over it; backing NULL: over nothing. */
void make_child(struct fixture *fx, const char *name, uint64_t size_bytes, const char *backing, const char *format);
/* Opens a child; it must work. */
struct disk *open_child(struct fixture *fx, const char *name);
struct disk *open_child_how(struct fixture *fx, const struct disk_open *how, bool *interrupted);
/* Opening fails with err, and every word of the sentence that says why is there. */
void open_is_refused(struct fixture *fx, const char *name, int err, const char *word);
/* A shell command that must work; what it said is shown where it does not. */
void shell_works(struct fixture *fx, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* qemu-img check says that the file is whole. */
void qemu_is_content(struct fixture *fx, const char *name);
uint64_t allocated_of(struct fixture *fx, const char *name);

/* The bytes that a disk should have. */
struct model_disk {
	uint64_t size_bytes;
	unsigned char *bytes;
};

/* As golden (NULL: zeroes), with zeroes beyond its end. */
void model_disk_init(struct fixture *fx, struct model_disk *model, uint64_t size_bytes, const char *golden);
void model_disk_fini(struct model_disk *model);
/* The whole disk reads as the model says. */
void model_disk_compare(struct fixture *fx, struct disk *disk, const struct model_disk *model);
/* The same, asked of qemu-img. */
void model_disk_compare_qemu(struct fixture *fx, const char *name, const struct model_disk *model);
/* One random change, of the disk and of the model. */
void model_disk_change(struct fixture *fx, struct disk *disk, struct model_disk *model, unsigned *seed);

#endif
