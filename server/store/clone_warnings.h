/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Could a clone of this raw disk boot? Looks at partition tables, the boot code and the FAT partitions, and says in
 * lines what a person should know; it never refuses. Hostile bytes: all is bounded. Private to store/.
 */
#ifndef STORE_CLONE_WARNINGS_H
#define STORE_CLONE_WARNINGS_H

#include "store/view.h"

struct buf;

/* original_bytes: the size before it was padded to whole 512-byte blocks. */
void clone_warnings(const struct view *view, uint64_t original_bytes, struct buf *lines);

#endif
