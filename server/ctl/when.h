/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A time that somebody typed. Private to the folder. */
#ifndef CTL_WHEN_H
#define CTL_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * "2027-01-04 06:00" (also with seconds, and with a T between), local time; "22:30", the next time that it is so late; "+90m", "+8h",
 * "+2d". Unix milliseconds. False: it is none of these, or a time that the local clock leaves out.
 */
bool when_parse(const char *text, int64_t now_ms, int64_t *at_ms);

/*
 * One that is over, at its end: "2026-12-24", "2026-12-24 08:00", "today", "yesterday", "monday" (the last one before today). Local
 * time, Unix milliseconds. False: it is none of these.
 */
bool when_parse_end(const char *text, int64_t now_ms, int64_t *end_ms);

#endif
