/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why something was refused: one sentence for a person. Who calls what may refuse brings the room for it; who refuses
 * leaves the sentence there and returns an error. After success nothing is written, unless the function says so.
 */
#ifndef BASE_REASON_H
#define BASE_REASON_H

#include <stdarg.h>

struct reason {
	char text[1024]; /* what is longer is cut */
};

void reason_set(struct reason *reason, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Behind what is there already. */
void reason_append(struct reason *reason, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reason_append_args(struct reason *reason, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* Sets it; returns err, or false where the answer is a bool. */
int reason_refuse(struct reason *reason, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Where err is an error that nobody has explained: sets it. Returns err. */
int reason_default(struct reason *reason, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
