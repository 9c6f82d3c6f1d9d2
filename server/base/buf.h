/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A growing run of bytes, always followed by a NUL so that text can be read in place.
 *
 * Growth beyond the limit given at init, or a failed allocation, sets `failed` and drops what does not fit; the
 * caller checks once, at the end. One thread.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* NULL until something was added */
	size_t len; /* bytes, without the NUL */
	size_t capacity;
	size_t limit; /* most bytes that it may hold */
	bool failed;
};

void buf_init(struct buf *buf, size_t limit_bytes);
void buf_fini(struct buf *buf);
void buf_reset(struct buf *buf); /* empty again, memory kept */

void buf_add(struct buf *buf, const void *data, size_t len);
void buf_add_string(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first len bytes. */
void buf_consume(struct buf *buf, size_t len);
/* The text, "" when empty. Borrowed until the next call. */
const char *buf_text(const struct buf *buf);
/* Hands the memory over to the caller (free with free(3)), leaves the buf empty; NULL when it failed. */
char *buf_take(struct buf *buf);

#endif
