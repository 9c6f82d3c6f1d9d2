/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One event, one line on standard error: object, operation, cause.
 *
 * error: the operator must act; warning: something was refused or degraded; info: life cycle; debug: per PDU.
 * Never a secret, never unescaped bytes of a peer (log_escape). Any thread; a line is written by one write(2).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Sets what is written. journald: prefix each line with the priority that journald reads ("<3>"), no time stamp. */
void log_init(enum log_level level, bool journald);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                           \
	do {                                                     \
		if (log_enabled(LOG_LEVEL_DEBUG))                \
			log_write(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)

/* "error" ... "debug" -> level; false where it is none of them. */
bool log_parse_level(const char *name, enum log_level *level);

/*
 * Copies at most len bytes of text to out, everything but printable ASCII as \xNN; always terminated. What was escaped
 * before, and has come here in somebody's sentence, stays as it is. Returns out.
 */
const char *log_escape(char *out, size_t out_size, const char *text, size_t len);

#endif
