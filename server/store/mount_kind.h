/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Do locks on a file system reach every server that may have it mounted? Any thread. */
#ifndef STORE_MOUNT_KIND_H
#define STORE_MOUNT_KIND_H

#include <stdint.h>

/* What a person calls the file system with this statfs(2) f_type, where locks may not reach; NULL: it is one host's. */
const char *mount_kind_name(uint64_t f_type);
/* The same of the one that holds path; NULL also where it cannot be told. */
const char *mount_kind_of(const char *path);

#endif
