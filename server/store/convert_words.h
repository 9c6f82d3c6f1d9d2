/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What qemu-img complains about, as the person who has the image needs to hear it. Private to store/. */
#ifndef STORE_CONVERT_WORDS_H
#define STORE_CONVERT_WORDS_H

#include "base/reason.h"
#include "store/probe.h"

/*
 * Sets a sentence that goes on after the file's name: what is wrong, and what to do. words: what qemu-img wrote, whose
 * names for the file (descriptors of its own, JSON) nobody knows outside. Returns err.
 */
int convert_explain(enum image_format format, const char *words, int err, struct reason *reason);
/* The same of an export: a whole sentence. */
int convert_explain_export(const char *words, int err, struct reason *reason);

#endif
