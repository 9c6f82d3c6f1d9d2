/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random bytes and secrets, from the kernel. Any thread. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* Fills out with random bytes; ends the process where the kernel has none. */
void secret_bytes(void *out, size_t len);
/* count characters of [a-z2-7] (5 bits each) and a NUL: safe in a script, a URL and an iBFT. out holds count + 1. */
void secret_text(char *out, size_t count);
/* Compares in a time that does not depend on where they differ. */
bool secret_equal(const void *a, const void *b, size_t len);
/* Lower-case hex of len bytes, and a NUL: out holds 2 * len + 1. */
void secret_hex(char *out, const void *data, size_t len);

#endif
