/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The names in an initramfs: newc archives one after the other with zeroes between them, the last of which may be
 * compressed as a whole. Bytes are pushed in, in pieces of any length. Hostile bytes: bounded. Private to doctor/. Format: Linux,
 * Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#ifndef DOCTOR_CPIO_H
#define DOCTOR_CPIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CPIO_NAME_MAX = 4096,
	CPIO_HEADER = 110,
};

enum cpio_state {
	CPIO_BETWEEN, /* archives: zeroes, or the magic of a header */
	CPIO_IN_HEADER,
	CPIO_IN_NAME,
	CPIO_SKIPS,   /* what is in a file */
	CPIO_FOREIGN, /* it goes on with something else, which is compressed perhaps */
};

struct cpio {
	void (*each)(void *arg, const char *name);
	void *arg;
	enum cpio_state state;
	bool any; /* a name was seen */
	size_t have;
	uint64_t skip; /* bytes that are left of a file and its padding */
	size_t name_bytes;
	uint64_t file_bytes;
	char header[CPIO_HEADER];
	char name[CPIO_NAME_MAX + 1];
};

void cpio_init(struct cpio *cpio, void (*each)(void *arg, const char *name), void *arg);
/* How many bytes were taken: less than len where it is foreign from there on. */
size_t cpio_push(struct cpio *cpio, const uint8_t *data, size_t len);
/* Nothing is cut off. */
bool cpio_is_whole(const struct cpio *cpio);

#endif
