/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SHA-256 of whole files, holes as zeroes; and copies that keep holes. All of it blocks. Private to store/. */
#ifndef STORE_HASH_H
#define STORE_HASH_H

#include "store/private.h"

/* Told how far it is, a few times a second at most; false: stop (the call returns -ECANCELED). */
struct progress {
	bool (*step)(void *arg, unsigned percent);
	void *arg;
};

/* The first size bytes; what the file lacks counts as zeroes. progress may be NULL. 0 or -errno. */
int hash_file(int fd, uint64_t size, const struct progress *progress, char sha256[SHA256_TEXT]);
/*
 * Copies in_size bytes from in to out (an empty file), leaving out zeroes, and hashes what out then is: out_size bytes,
 * the rest zeroes. sha256 NULL: does not hash.
 */
int copy_file_sparse(int in, uint64_t in_size, int out, uint64_t out_size, const struct progress *progress,
		     char sha256[SHA256_TEXT]);

#endif
