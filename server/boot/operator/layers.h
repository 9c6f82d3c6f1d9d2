/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Layers that are joined. Private to boot/. */
#ifndef BOOT_LAYERS_H
#define BOOT_LAYERS_H

struct boot;

/*
 * What removed snapshots hold, and what only one later snapshot still needs, becomes part of that one's object: chains stay
 * short, and room is made. One copy after the other; machines that run notice nothing. Blocking, not on a loop.
 */
void boot_join_layers(struct boot *boot);

#endif
