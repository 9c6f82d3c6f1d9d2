/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Versions that were promoted one from the other become one file each, in the background. Private to boot/. */
#ifndef BOOT_FLATTEN_H
#define BOOT_FLATTEN_H

struct boot;

/* A version of that many files, one over the other, or more: the next promotions need the room below DISK_CHAIN_MAX. */
enum { FLATTEN_DEPTH = 3 };

/* Those become one file, one after the other, at so many bytes a second that machines do not notice. Blocking, not on a loop. */
void boot_flatten_versions(struct boot *boot);

#endif
