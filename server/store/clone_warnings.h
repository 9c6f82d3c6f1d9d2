/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a person should know of an image that was imported: what the doctor (doctor/) finds in it, but for hints. Private
 * to store/.
 */
#ifndef STORE_CLONE_WARNINGS_H
#define STORE_CLONE_WARNINGS_H

#include <stdint.h>

struct buf;

/*
 * A line each, the worst first; what does not fit into the buffer is left out, and the last line says so. original_bytes:
 * the size before it was padded to whole 512-byte blocks. Blocks for a second or two.
 */
void clone_warnings(int fd, uint64_t original_bytes, uint64_t size, struct buf *lines);

#endif
