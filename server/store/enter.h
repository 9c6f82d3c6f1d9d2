/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A finished file becomes a version: one inventory job links it into images/ and inserts the row. The file's name in tmp/
 * goes last, by the caller: at the next start a file in images/ that has a second name in tmp/ and no row is the remains of a
 * crash in between, and goes (reclaim.c). So a crash at any point leaves nothing, or a complete version. Private to store/.
 */
#ifndef STORE_ENTER_H
#define STORE_ENTER_H

#include "base/reason.h"
#include "store/private.h"

enum { VERSION_FILE_RANDOM = 9 };

/* A new file tmp/STEM-RANDOM.SUFFIX, of ours only. Its descriptor, or -errno with a sentence and path "". */
int enter_make_file(struct store *store, const char *stem, const char *suffix, char path[PATH_MAX],
		    struct reason *reason);
/* Read-only and durable: version's size, inode, time and format are set from it. 0 or -errno with a sentence. */
int enter_seal_file(int fd, uint64_t size, struct image_version *version, struct reason *reason);

struct enter {
	const char *tmp; /* the file, sealed */
	struct image_version
		*version; /* image, source, note, warnings and the identity are set; out: number, file, state, id */
	const char *actor;
	enum import_use use;
	int64_t job;	/* that ends with it; 0: none */
	bool new_image; /* -EEXIST where there is an image of that name */
	bool to_test;	/* new machines do not get it by itself, though it is the first */
};

/* 0 or -errno with a sentence, and then nothing is left of it but tmp. */
int enter_version(struct store *store, const struct enter *entry, struct reason *reason);

#endif
