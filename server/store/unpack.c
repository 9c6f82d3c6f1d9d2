// SPDX-License-Identifier: GPL-2.0-or-later
/* See unpack.h. */
#include "store/unpack.h"

#include "base/box.h"
#include "base/log.h"
#include "base/util.h"
#include "store/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { MEMORY_MIB = 4096, WORDS_TEXT = 200, NOT_FOUND = 126 };

static const uint8_t zeroes[STORE_HOLE_BYTES];

static const struct tool {
	const char *name, *ending, *package;
	const char *argv[5]; /* without the path */
} tools[] = {
	[PACKED_GZIP] = { "gzip", ".gz", "gzip", { "/usr/bin/gzip", "-dc", NULL } },
	[PACKED_XZ] = { "xz", ".xz", "xz-utils", { "/usr/bin/xz", "-dc", NULL } },
	/* Also with the largest window, which takes 2 GiB. */
	[PACKED_ZSTD] = { "zstd", ".zst", "zstd", { "/usr/bin/zstd", "-dcq", "--long=31", NULL } },
};

bool unpack_is_packed(int fd, enum packing *packing)
{
	uint8_t start[6];

	if (pread(fd, start, sizeof(start), 0) != (ssize_t)sizeof(start))
		return false;
	if (start[0] == 0x1f && start[1] == 0x8b && start[2] == 8)
		*packing = PACKED_GZIP;
	else if (!memcmp(start,
			 "\xfd"
			 "7zXZ",
			 6)) /* with its NUL */
		*packing = PACKED_XZ;
	/* Or a skippable frame goes first: pzstd. */
	else if (!memcmp(start, "\x28\xb5\x2f\xfd", 4) ||
		 ((start[0] & 0xf0) == 0x50 && !memcmp(start + 1, "\x2a\x4d\x18", 3)))
		*packing = PACKED_ZSTD;
	else
		return false;
	return true;
}

const char *unpack_name(enum packing packing)
{
	return tools[packing].name;
}

void unpack_strip_name(char *name)
{
	char *dot = strrchr(name, '.');

	for (size_t i = 0; i < array_len(tools) && dot; i++) {
		if (!strcasecmp(dot, tools[i].ending)) {
			*dot = '\0';
			return;
		}
	}
}

/* ---- what comes out of it ---- */

struct unpacking {
	const struct unpack *how;
	uint64_t at; /* where unit begins in the file */
	size_t fill; /* of unit */
	int err;
	bool too_large;
	uint8_t unit[STORE_HOLE_BYTES];
};

static bool write_unit(struct unpacking *u)
{
	size_t done = 0;

	while (done < u->fill && memcmp(u->unit, zeroes, u->fill)) {
		ssize_t n = pwrite(u->how->out, u->unit + done, u->fill - done, (off_t)(u->at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			u->err = -errno;
			return false;
		}
		done += (size_t)n;
	}
	u->at += u->fill;
	u->fill = 0;
	u->too_large = u->at > STORE_SIZE_MAX;
	return !u->too_large;
}

static bool take(void *arg, const void *data, size_t len)
{
	struct unpacking *u = arg;
	const uint8_t *from = data;

	while (len) {
		size_t part = (size_t)min_u64(len, sizeof(u->unit) - u->fill);

		memcpy(u->unit + u->fill, from, part);
		u->fill += part;
		from += part;
		len -= part;
		if (u->fill == sizeof(u->unit) && !write_unit(u))
			return false;
	}
	return true;
}

/* By how much of the file the tool has read: the descriptor is its and ours. */
static bool step(void *arg)
{
	const struct unpacking *u = arg;
	const struct unpack *how = u->how;
	off_t at = lseek(how->in, 0, SEEK_CUR);
	uint64_t percent = how->in_size ? (uint64_t)(at < 0 ? 0 : at) * 100 / how->in_size : 0;

	return !how->progress || how->progress->step(how->progress->arg, (unsigned)min_u64(percent, 100));
}

/* ---- how it ended ---- */

static int explain(const struct tool *tool, const struct unpacking *u, const struct box_end *end, struct reason *reason)
{
	char words[WORDS_TEXT];
	const char *from;

	if (u->too_large)
		return reason_refuse(reason, -EFBIG,
				     "unpacks to more than 16 TiB, the largest disk that can be imported");
	if (u->err)
		return reason_refuse(reason, u->err, "could not be unpacked: %s", strerror(-u->err));
	if (end->signal)
		return reason_refuse(reason, -EIO,
				     "could not be unpacked: %s was killed by signal %d (too little memory?)",
				     tool->name, end->signal);
	if (end->code == NOT_FOUND)
		return reason_refuse(reason, -EIO,
				     "is packed by %s, which this server lacks: apt install %s, or unpack it first",
				     tool->name, tool->package);
	from = end->text + strspn(end->text, "\n"); /* where gzip begins */
	log_escape(words, sizeof(words), from, strcspn(from, "\n"));
	return reason_refuse(reason, -EUCLEAN, "is damaged or cut off: copy it again. %s says: %s", tool->name,
			     words[0] ? words : "nothing");
}

int unpack_run(const struct unpack *how, uint64_t *size, struct reason *reason)
{
	const struct tool *tool = &tools[how->packing];
	struct unpacking *u = calloc(1, sizeof(*u));
	struct box_end *end = calloc(1, sizeof(*end));
	struct box box = {
		.argv = tool->argv, .input = how->in, .memory_mib = MEMORY_MIB, .take = take, .step = step, .arg = u
	};
	int err = u && end ? 0 : -ENOMEM;

	if (!err) {
		u->how = how;
		err = lseek(how->in, 0, SEEK_SET) < 0 ? -errno : box_run(&box, end);
	}
	if (err && err != -ECANCELED)
		reason_set(reason, "could not be unpacked: %s", strerror(-err));
	if (!err && !end->enough && !end->code && !end->signal)
		write_unit(u);
	if (!err && u->err == -ENOSPC)
		err = -ENOSPC;
	else if (!err && (end->enough || end->code || end->signal || u->err || u->too_large))
		err = explain(tool, u, end, reason);
	if (!err && ftruncate(how->out, (off_t)u->at))
		err = reason_refuse(reason, -errno, "could not be unpacked: %s", strerror(errno));
	if (!err)
		*size = u->at;
	free(u);
	free(end);
	return err;
}
