/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What importing and building an image share. Private to the folder. */
#ifndef CTL_IMAGE_H
#define CTL_IMAGE_H

#include "ctl/ctl.h"

#include <limits.h>

enum { IMAGE_VERSION_TEXT = 128 };

/*
 * A line on standard error: rewritten in place on a terminal, a new one every ten percent elsewhere. Zero-initialise.
 */
struct progress {
	bool quiet, shown;
	unsigned percent;
	char text[256];
};

void ctl_progress_show(struct progress *progress, unsigned percent, const char *text);
/* Clears the line on a terminal. */
void ctl_progress_end(struct progress *progress);

/*
 * What a person named as the file to import ("-": standard input, where that is a file), with its whole path. False,
 * and what to do was said: a URL, a pipe, a folder, nothing.
 */
bool ctl_find_image_file(const char *text, char path[PATH_MAX]);
/* Imports an absolute path under --name and follows it to its end. An exit code. */
int ctl_import_image(const struct ctl *ctl, const char *path);
/* The same for a volume, under a name of its own: no machine gets it by itself. version: "NAME@1". An exit code. */
int ctl_import_image_for_volume(const struct ctl *ctl, const char *path, const char *name,
				char version[IMAGE_VERSION_TEXT]);

#endif
