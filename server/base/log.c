// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The log. Its level is the project's only mutable state at file scope: it is read everywhere and changed only by
 * SIGHUP.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/loop_watch.h"

static atomic_int log_level = LOG_LEVEL_INFO;
static atomic_bool log_journald;

static const struct {
	const char *name;
	int priority; /* syslog(3), as journald reads it */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", 3 },
	[LOG_LEVEL_WARNING] = { "warning", 4 },
	[LOG_LEVEL_INFO] = { "info", 6 },
	[LOG_LEVEL_DEBUG] = { "debug", 7 },
};

void log_init(enum log_level level, bool journald)
{
	atomic_store(&log_level, level);
	atomic_store(&log_journald, journald);
}

void log_set_level(enum log_level level)
{
	atomic_store(&log_level, level);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[2048];
	size_t len;
	int saved = errno;
	va_list args;

	if (!log_enabled(level))
		return;
	if (atomic_load_explicit(&log_journald, memory_order_relaxed)) {
		len = (size_t)snprintf(line, sizeof(line), "<%d>", levels[level].priority);
	} else {
		struct timespec now;
		struct tm tm;

		clock_gettime(CLOCK_REALTIME, &now);
		localtime_r(&now.tv_sec, &tm);
		len = strftime(line, sizeof(line), "%Y-%m-%d %H:%M:%S", &tm);
		len += (size_t)snprintf(line + len, sizeof(line) - len, ".%03ld %s ", now.tv_nsec / 1000000,
					levels[level].name);
	}
	va_start(args, format);
	len += (size_t)vsnprintf(line + len, sizeof(line) - len, format, args);
	va_end(args);
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	/* Whoever takes the lines may make any thread wait, an I/O loop too: that is why there are few of them (link_log). */
	loop_watch_allow();
	if (write(STDERR_FILENO, line, len) < 0) { /* nowhere left to say so */
	}
	loop_watch_forbid();
	errno = saved;
}

bool log_parse_level(const char *name, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (!strcmp(levels[i].name, name)) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

/* What we have written ourselves: "\\xNN". */
static bool is_escape(const char *text, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	return len >= 4 && text[0] == '\\' && text[1] == 'x' && text[2] && strchr(digits, text[2]) && text[3] &&
	       strchr(digits, text[3]);
}

const char *log_escape(char *out, size_t out_size, const char *text, size_t len)
{
	size_t o = 0;

	for (size_t i = 0; i < len && o + 5 < out_size; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c < 0x7f && (c != '\\' || is_escape(text + i, len - i)))
			out[o++] = (char)c;
		else
			o += (size_t)snprintf(out + o, out_size - o, "\\x%02x", c);
	}
	out[o] = '\0';
	return out;
}
