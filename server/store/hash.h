/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SHA-256 of files; and copies that keep holes. All of it blocks. Private to store/.
 *
 * An identity is the SHA-256 of all bytes, holes as zeroes, as sha256sum(1) says it. That takes hours where a file is 15
 * TiB of nothing, so one with very much of it is known by what is not zeroes: 64 digits and HASH_DATA_MARK.
 */
#ifndef STORE_HASH_H
#define STORE_HASH_H

#include "store/private.h"

enum hash_kind { HASH_WHOLE, HASH_DATA };
#define HASH_DATA_MARK ".data"

/* Told how far it is, a few times a second at most; false: stop (the call returns -ECANCELED). */
struct progress {
	bool (*step)(void *arg, unsigned percent);
	void *arg;
};

/* What suits a file of size bytes, by its holes. */
enum hash_kind hash_kind_for(int fd, uint64_t size);
/* How an identity was taken. */
enum hash_kind hash_kind_of(const char *identity);
/*
 * The first size bytes; what the file lacks counts as zeroes. Where the holes are is nothing that an identity depends
 * on. progress may be NULL. 0 or -errno.
 */
int hash_file(int fd, uint64_t size, enum hash_kind kind, const struct progress *progress,
	      char identity[IDENTITY_TEXT]);
/*
 * Copies in_size bytes from in to out (an empty file), leaving out zeroes, and hashes what out then is: out_size bytes,
 * the rest zeroes. identity NULL: does not hash.
 */
int copy_file_sparse(int in, uint64_t in_size, int out, uint64_t out_size, enum hash_kind kind,
		     const struct progress *progress, char identity[IDENTITY_TEXT]);

#endif
