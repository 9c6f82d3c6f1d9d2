// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hashing and copying of big, mostly empty files: see hash.h. Holes are found by SEEK_DATA and never read; where a file
 * system cannot tell, all of it is data.
 */
#include "store/hash.h"

#include "base/secret.h"
#include "base/util.h"
#include "doctor/view.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20, PROGRESS_MS = 50, SHA256_BYTES = 32 };

/* Zeroes that are hashed like everything else: two minutes of them, or so. */
static const uint64_t zeroes_hashed_max = (uint64_t)128 << 30;

struct pass {
	int in, out; /* out -1: only hash */
	uint64_t size;
	gnutls_hash_hd_t hash; /* NULL: none */
	enum hash_kind kind;
	const struct progress *progress;
	uint64_t told_ms;
	uint8_t *data, *zeroes; /* CHUNK_BYTES each */
};

/* hashed_size: of what is hashed. */
static int pass_init(struct pass *p, bool hash, uint64_t hashed_size)
{
	struct le64 size = le64_put(hashed_size);

	p->data = malloc(CHUNK_BYTES);
	p->zeroes = calloc(1, CHUNK_BYTES);
	if (!p->data || !p->zeroes)
		return -ENOMEM;
	if (hash && gnutls_hash_init(&p->hash, GNUTLS_DIG_SHA256))
		return -ENOMEM;
	if (p->hash && p->kind == HASH_DATA)
		gnutls_hash(p->hash, &size, sizeof(size));
	return 0;
}

static void pass_fini(struct pass *p, char *identity)
{
	uint8_t digest[SHA256_BYTES];

	if (p->hash) {
		gnutls_hash_deinit(p->hash, digest);
		if (identity) {
			secret_hex(identity, digest, sizeof(digest));
			snprintf(identity + 2 * sizeof(digest), sizeof(HASH_DATA_MARK), "%s",
				 p->kind == HASH_DATA ? HASH_DATA_MARK : "");
		}
	}
	free(p->data);
	free(p->zeroes);
}

static bool pass_goes_on(struct pass *p, uint64_t at)
{
	uint64_t now = time_monotonic_ms();

	if (!p->progress || now - p->told_ms < PROGRESS_MS)
		return true;
	p->told_ms = now;
	/* size <= 16 TiB: no overflow */
	return p->progress->step(p->progress->arg, p->size ? (unsigned)(at * 100 / p->size) : 100);
}

static int pass_zeroes(struct pass *p, uint64_t from, uint64_t to)
{
	while (from < to && p->hash && p->kind == HASH_WHOLE) {
		size_t len = (size_t)min_u64(to - from, CHUNK_BYTES);

		if (!pass_goes_on(p, from))
			return -ECANCELED;
		gnutls_hash(p->hash, p->zeroes, len);
		from += len;
	}
	return 0;
}

static int read_all(int fd, uint64_t offset, uint8_t *data, size_t len, size_t *got)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, data + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += (size_t)n;
	}
	*got = done;
	return 0;
}

static int write_all(int fd, uint64_t offset, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Of a chunk that begins at a unit: each unit that is not zeroes, with its place; the last one is filled up. */
static void hash_units(struct pass *p, uint64_t offset, size_t len)
{
	for (size_t at = 0; at < len; at += STORE_HOLE_BYTES) {
		size_t unit = (size_t)min_u64(STORE_HOLE_BYTES, len - at);
		struct le64 place = le64_put(offset + at);
		const uint8_t *data = p->data + at;

		if (!memcmp(data, p->zeroes, unit))
			continue;
		gnutls_hash(p->hash, &place, sizeof(place));
		gnutls_hash(p->hash, data, unit);
		gnutls_hash(p->hash, p->zeroes, STORE_HOLE_BYTES - unit);
	}
}

static void pass_hash(struct pass *p, uint64_t offset, size_t len)
{
	if (p->hash && p->kind == HASH_DATA)
		hash_units(p, offset, len);
	else if (p->hash)
		gnutls_hash(p->hash, p->data, len);
}

/* Writes what is not zeroes, in units of STORE_HOLE_BYTES, runs of them in one write. */
static int write_sparse(struct pass *p, uint64_t offset, size_t len)
{
	size_t from = 0, at = 0;
	int err = 0;

	while (at < len && !err) {
		size_t unit = (size_t)min_u64(STORE_HOLE_BYTES - (offset + at) % STORE_HOLE_BYTES, len - at);

		if (!memcmp(p->data + at, p->zeroes, unit)) {
			err = write_all(p->out, offset + from, p->data + from, at - from);
			from = at + unit;
		}
		at += unit;
	}
	return err ? err : write_all(p->out, offset + from, p->data + from, len - from);
}

static int pass_data(struct pass *p, uint64_t from, uint64_t to)
{
	while (from < to) {
		size_t len = (size_t)min_u64(to - from, CHUNK_BYTES), got = 0;
		int err;

		if (!pass_goes_on(p, from))
			return -ECANCELED;
		err = read_all(p->in, from, p->data, len, &got);
		if (err)
			return err;
		if (got < len)
			return -ENODATA; /* somebody has cut it meanwhile */
		pass_hash(p, from, len);
		if (p->out >= 0)
			err = write_sparse(p, from, len);
		if (err)
			return err;
		from += len;
	}
	return 0;
}

/*
 * Where data lies from *at on, in whole units, so that what is hashed and left out does not depend on the file system's
 * blocks: [*from, *to), at most up to end. *from is end where there is no more. 0 or -errno.
 */
static int next_data(int fd, uint64_t at, uint64_t end, uint64_t *from, uint64_t *to)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

	*from = *to = end;
	if (data < 0 && errno == ENXIO)
		return 0;
	if (data < 0) { /* it cannot tell */
		*from = at;
		return 0;
	}
	if ((uint64_t)data >= end)
		return 0;
	hole = lseek(fd, data, SEEK_HOLE);
	if (hole < 0)
		return errno == ENXIO ? -ENODATA : -errno;
	*from = max_u64(at, align_down((uint64_t)data, STORE_HOLE_BYTES));
	*to = min_u64(align_up((uint64_t)hole, STORE_HOLE_BYTES), end);
	return 0;
}

/* Data, hole, data, hole ... up to end. */
static int pass_run(struct pass *p, uint64_t end)
{
	uint64_t at = 0, from, to;
	int err = 0;

	while (at < end && !err) {
		err = next_data(p->in, at, end, &from, &to);
		if (!err)
			err = pass_zeroes(p, at, from);
		if (!err)
			err = pass_data(p, from, to);
		at = to;
	}
	return err;
}

enum hash_kind hash_kind_for(int fd, uint64_t size)
{
	uint64_t at = 0, from, to, zeroes = 0;

	while (at < size && zeroes <= zeroes_hashed_max) {
		if (next_data(fd, at, size, &from, &to))
			break;
		zeroes += from - at;
		at = to;
	}
	return zeroes > zeroes_hashed_max ? HASH_DATA : HASH_WHOLE;
}

enum hash_kind hash_kind_of(const char *identity)
{
	return strchr(identity, HASH_DATA_MARK[0]) ? HASH_DATA : HASH_WHOLE;
}

int hash_file(int fd, uint64_t size, enum hash_kind kind, const struct progress *progress, char identity[IDENTITY_TEXT])
{
	struct pass p = { .in = fd, .out = -1, .size = size, .kind = kind, .progress = progress };
	int err = pass_init(&p, true, size);

	if (!err)
		err = pass_run(&p, size);
	pass_fini(&p, err ? NULL : identity);
	return err;
}

int copy_file_sparse(int in, uint64_t in_size, int out, uint64_t out_size, enum hash_kind kind,
		     const struct progress *progress, char identity[IDENTITY_TEXT])
{
	struct pass p = { .in = in, .out = out, .size = in_size, .kind = kind, .progress = progress };
	int err = pass_init(&p, identity != NULL, out_size);

	if (!err && ftruncate(out, (off_t)out_size))
		err = -errno;
	if (!err)
		err = pass_run(&p, in_size);
	if (!err)
		err = pass_zeroes(&p, in_size, out_size);
	pass_fini(&p, err ? NULL : identity);
	return err;
}
