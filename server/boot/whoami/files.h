/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The templates of who-am-i volumes by name: a folder of the site's, and what is built in (packaging/templates/). They are read
 * when they are needed, so an edit counts from a machine's next boot on. Any thread; blocks. Private to boot/.
 */
#ifndef BOOT_WHOAMI_FILES_H
#define BOOT_WHOAMI_FILES_H

#include "boot/boot.h"
#include "fill.h"

enum {
	WHOAMI_FILES_MAX = 64,
	WHOAMI_FILE_BYTES = 1 << 20,
	WHOAMI_FILE_TEXT = 65, /* Joliet has 64 characters for a name */
	WHOAMI_TOTAL_BYTES = 4 << 20,
	WHOAMI_FILLED_BYTES = 8 << 20, /* with values */
};

struct whoami_file {
	char name[WHOAMI_FILE_TEXT];
	char *own;	  /* free(3); NULL: built in */
	const char *text; /* with a NUL behind it */
	size_t len;
};

struct whoami_files {
	struct whoami_file list[WHOAMI_FILES_MAX];
	unsigned count;
	char folder[200]; /* of the site's; "": built in */
};

/*
 * All files of name; folder: of the site's templates, "" none. What it lacks of a built-in one's files is taken from there,
 * and what it lacks of cloud-init's (where it has any of them) from cloud-init. -ENOENT: there are none of this name;
 * -EINVAL, -EFBIG, ...: problem says where and why. whoami_files_fini in any case.
 */
int whoami_files_load(const char *folder, const char *name, struct whoami_files *files, struct boot_problem *problem);
void whoami_files_fini(struct whoami_files *files);
/*
 * The texts of all files with these values, one behind the other; ends: where each ends. -EINVAL with the file and the
 * line (fill_text), -EFBIG. values NULL: only checks.
 */
int whoami_files_fill(const struct whoami_files *files, const struct fill_values *values, struct buf *texts,
		      size_t ends[WHOAMI_FILES_MAX], struct boot_problem *problem);
/* Are all of their placeholders known? -EINVAL with the file and the line. */
int whoami_files_check(const struct whoami_files *files, struct boot_problem *problem);
/* Windows looks for its answer file on a CD-ROM, and not on a disk. */
bool whoami_files_are_for_windows(const struct whoami_files *files);
/* For cloud-init. */
bool whoami_files_are_a_seed(const struct whoami_files *files);

/* The site's names, in order, as whoami_files_load takes them. */
void whoami_files_each_name(const char *folder, void (*each)(void *arg, const char *name), void *arg);

#endif
