/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Folders that a site fills with files of its own. Any thread. Private to boot/. */
#ifndef BOOT_FOLDER_H
#define BOOT_FOLDER_H

#include <stddef.h>

enum { FOLDER_PATH_MAX = 512, FOLDER_FILES_MAX = 256 };

/*
 * Its files in order of name, at most FOLDER_FILES_MAX, without those whose name begins with '.' or ends with '~'.
 * 0 or -errno (-ENOENT: there is no such folder).
 */
int folder_each(const char *folder, void (*each)(void *arg, const char *name, const char *path), void *arg);
/* A whole regular file, with a NUL behind it. 0 or -errno: -EFBIG: longer than max. *text: free(3). */
int folder_read(const char *path, size_t max, char **text, size_t *len);

#endif
