/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One export, from what people ask for to its end. Private to store/. */
#ifndef STORE_EXPORT_H
#define STORE_EXPORT_H

#include "store/convert.h"
#include "store/private.h"

struct export_format {
	const char *name, *shown, *driver, *options;
	uint64_t size_max;     /* of the disk; 0: as everywhere */
	const char *too_large; /* what to do then */
};

struct export
{
	const struct export_format *format;
	struct convert_chain chain;
	char file[NAME_MAX + 1]; /* in the folder job->fd */
	bool force;
	uint64_t size_bytes; /* of the disk */
};

/* Takes a queued export to DONE or FAILED. Blocks, on a slow worker. */
void export_perform(struct store *store, struct job *job);
/* vmdk: the description inside names the file, which had no name when it was made. 0 or -errno. */
int export_name_vmdk(int fd, const char *file);

#endif
