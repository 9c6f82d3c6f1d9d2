// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether callbacks of an I/O loop wait: see loop_watch.h. */
#include "base/loop_watch.h"

#ifdef LOOP_WATCH

#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/log.h"

enum { LOOP_WATCH_MS = 20, LOOP_WATCH_QUIET_MS = 1000 };

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void loop_watch_begin(struct loop_watch *watch)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	*watch = (struct loop_watch){ u.ru_nvcsw, u.ru_majflt, now_ns() };
}

void loop_watch_end(const struct loop_watch *watch, const char *what)
{
	static _Thread_local uint64_t quiet_until_ms;
	uint64_t now = now_ns(), took_ms = (now - watch->began_ns) / 1000000;
	struct rusage u;
	char name[16] = "";

	getrusage(RUSAGE_THREAD, &u);
	if (u.ru_nvcsw == watch->switches && u.ru_majflt == watch->faults)
		return;
	if (now / 1000000 < quiet_until_ms)
		return;
	pthread_getname_np(pthread_self(), name, sizeof(name));
	if (strncmp(name, "io-", 3))
		return;
	if (took_ms < LOOP_WATCH_MS && u.ru_majflt == watch->faults) {
		log_debug("loop %s: callback \"%s\" waited %ld times within %llu ms", name, what, u.ru_nvcsw - watch->switches,
			  (unsigned long long)took_ms);
		return;
	}
	quiet_until_ms = now / 1000000 + LOOP_WATCH_QUIET_MS;
	log_error("loop %s waited: callback \"%s\" took %llu ms with %ld voluntary context switches and %ld major faults", name,
		  what, (unsigned long long)took_ms, u.ru_nvcsw - watch->switches, u.ru_majflt - watch->faults);
}

#endif
