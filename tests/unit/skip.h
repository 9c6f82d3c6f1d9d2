/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a test says that it cannot run on this machine. It calls test_skip with the reason, frees what it holds and returns:
 * its teardown runs as always, and tests/unit/run prints "skip PROGRAM: TEST reason" instead of "ok PROGRAM: TEST".
 * cmocka's own skip() is not there (cmocka_all.h): it jumps out of the test, and what that held is a leak.
 */
#ifndef TEST_SKIP_H
#define TEST_SKIP_H

#include <stdarg.h>
#include <stdio.h>

/* On a line of its own before cmocka's line for the test, whatever the reason contains. */
__attribute__((format(printf, 1, 2), unused)) static void test_skip(const char *format, ...)
{
	char reason[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	for (char *c = reason; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	printf("\ntest_skip: %s\n", reason);
	fflush(stdout);
}

#endif
