/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Do locks on a file system reach every server that may have it mounted? Any thread. */
#ifndef STORE_MOUNT_KIND_H
#define STORE_MOUNT_KIND_H

/*
 * What a person calls the file system that holds path, where locks may not reach; NULL: it is one host's, or that cannot be
 * told.
 */
const char *mount_kind_of(const char *path);

#endif
