/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmocka with the headers that it expects before itself, and with our way of skipping a test instead of its own. */
#ifndef CMOCKA_ALL_H
#define CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Whoever cannot run says so with test_skip(), and returns. */
#undef skip

#include "skip.h"

#endif
