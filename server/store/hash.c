// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hashing and copying of big, mostly empty files: see hash.h. Holes are found by SEEK_DATA and never read; where a file
 * system cannot tell, all of it is data.
 */
#include "store/hash.h"

#include "base/secret.h"
#include "base/util.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20, PROGRESS_MS = 200 };

struct pass {
	int in, out; /* out -1: only hash */
	uint64_t size;
	gnutls_hash_hd_t hash; /* NULL: none */
	const struct progress *progress;
	uint64_t told_ms;
	uint8_t *data, *zeroes; /* CHUNK_BYTES each */
};

static int pass_init(struct pass *p, bool hash)
{
	p->data = malloc(CHUNK_BYTES);
	p->zeroes = calloc(1, CHUNK_BYTES);
	if (!p->data || !p->zeroes)
		return -ENOMEM;
	if (hash && gnutls_hash_init(&p->hash, GNUTLS_DIG_SHA256))
		return -ENOMEM;
	return 0;
}

static void pass_fini(struct pass *p, char *sha256)
{
	uint8_t digest[32];

	if (p->hash) {
		gnutls_hash_deinit(p->hash, digest);
		if (sha256)
			secret_hex(sha256, digest, sizeof(digest));
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
	while (from < to && p->hash) {
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
		if (p->hash)
			gnutls_hash(p->hash, p->data, len);
		if (p->out >= 0)
			err = write_sparse(p, from, len);
		if (err)
			return err;
		from += len;
	}
	return 0;
}

/* Data, hole, data, hole ... up to end. */
static int pass_run(struct pass *p, uint64_t end)
{
	uint64_t at = 0;

	while (at < end) {
		off_t data = lseek(p->in, (off_t)at, SEEK_DATA), hole;
		int err;

		if (data < 0 && errno == ENXIO)
			return pass_zeroes(p, at, end);
		if (data < 0)
			return pass_data(p, at, end); /* it cannot tell */
		err = pass_zeroes(p, at, min_u64((uint64_t)data, end));
		if (err)
			return err;
		at = min_u64((uint64_t)data, end);
		hole = lseek(p->in, (off_t)at, SEEK_HOLE);
		if (at < end && hole < 0)
			return errno == ENXIO ? -ENODATA : -errno;
		if (at < end)
			err = pass_data(p, at, min_u64((uint64_t)hole, end));
		if (err)
			return err;
		at = at < end ? min_u64((uint64_t)hole, end) : end;
	}
	return 0;
}

int hash_file(int fd, uint64_t size, const struct progress *progress, char sha256[SHA256_TEXT])
{
	struct pass p = { .in = fd, .out = -1, .size = size, .progress = progress };
	int err = pass_init(&p, true);

	if (!err)
		err = pass_run(&p, size);
	pass_fini(&p, err ? NULL : sha256);
	return err;
}

int copy_file_sparse(int in, uint64_t in_size, int out, uint64_t out_size, const struct progress *progress,
		     char sha256[SHA256_TEXT])
{
	struct pass p = { .in = in, .out = out, .size = in_size, .progress = progress };
	int err = pass_init(&p, sha256 != NULL);

	if (!err && ftruncate(out, (off_t)out_size))
		err = -errno;
	if (!err)
		err = pass_run(&p, in_size);
	if (!err)
		err = pass_zeroes(&p, in_size, out_size);
	pass_fini(&p, err ? NULL : sha256);
	return err;
}
