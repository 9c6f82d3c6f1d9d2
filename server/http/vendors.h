/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who made a network card, by its MAC: the IEEE's registries of assignments (MA-L, MA-M, MA-S and the older IAB), as
 * Debian's package ieee-data has them. Any thread; read-only once it is made.
 */
#ifndef HTTP_VENDORS_H
#define HTTP_VENDORS_H

struct vendors;

#define VENDORS_DIRECTORY "/usr/share/ieee-data"

/* Reads oui.csv, mam.csv, oui36.csv and iab.csv of the directory (3 MB; tens of ms). What is missing or not fit is left out. NULL: no memory. */
struct vendors *vendors_new(const char *directory);
void vendors_free(struct vendors *vendors);
/* mac as parse_mac writes it. NULL: not known, or assigned by whoever runs it (IEEE 802 §8.2.2: its second bit is set). */
const char *vendors_find(const struct vendors *vendors, const char *mac);

#endif
