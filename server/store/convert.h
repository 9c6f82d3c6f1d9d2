/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu-img, run as a child process over two open files. It gets no names, only descriptors; no network; no privileges;
 * and one explicit format without backing file. All of it blocks. Private to store/.
 */
#ifndef STORE_CONVERT_H
#define STORE_CONVERT_H

#include "base/reason.h"
#include "store/hash.h"
#include "store/probe.h"

struct convert {
	const char *qemu_img;
	enum image_format format;
	int in;	 /* as nobody must be able to open it again by /dev/fd: see convert_can_read */
	int out; /* raw, empty, already as long as the disk; not for convert_check */
	const struct progress *progress;
};

/* May the unprivileged child open this file? Otherwise the caller makes a copy that it may. */
bool convert_can_read(const struct stat *st);
/* "qemu-img check": 0, also for formats without checks; -EUCLEAN with a sentence; -ECANCELED. */
int convert_check(const struct convert *how, struct reason *reason);
/* "qemu-img info": how big the disk inside is, in its opinion. 0, -EUCLEAN with a sentence, -ECANCELED. */
int convert_size(const struct convert *how, uint64_t *size_bytes, struct reason *reason);
/* "qemu-img measure": what its data takes as a raw file, uncompressed; 0 where that is not known. 0, -EIO, -ECANCELED. */
int convert_measure(const struct convert *how, uint64_t *needed_bytes, struct reason *reason);
/* "qemu-img convert" into out. 0, -ECANCELED, or -EIO with a sentence. */
int convert_run(const struct convert *how, struct reason *reason);

enum { CONVERT_CHAIN_MAX = 11 };

/* A disk of ours to be exported: a raw file, or qcow2 files one over the other, the last of them perhaps raw. */
struct convert_chain {
	int files[CONVERT_CHAIN_MAX]; /* the topmost first; "nobody" may read them */
	bool raw[CONVERT_CHAIN_MAX];
	unsigned count;
};

struct convert_export {
	const char *qemu_img;
	const struct convert_chain *chain;
	const char *driver, *options; /* of what is made: "vpc", "subformat=dynamic"; options "": none */
	int out;		      /* empty */
	const struct progress *progress;
};

/* "qemu-img measure" of a chain: what its data takes as a raw file; 0 where that is not known. As convert_measure. */
int convert_measure_chain(const struct convert_export *how, uint64_t *needed_bytes, struct reason *reason);
/* "qemu-img convert" of a chain into a new file of the driver's format. 0, -ECANCELED, or -EIO with a sentence. */
int convert_export(const struct convert_export *how, struct reason *reason);

#endif
