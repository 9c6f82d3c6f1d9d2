// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim [--format raw|qcow2] [--seed N] [--histories N] [--ops N] [--lives N] [--qemu PERCENT] [--verbose]
 *
 * Runs histories with the seeds N, N + 1, ...; ends with 1 at the first in which something is wrong. That one alone
 * comes back with --seed THAT --histories 1 (and the same --ops and --lives).
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "sim.h"

static const struct option long_options[] = {
	{ "format", required_argument, NULL, 'f' },   { "seed", required_argument, NULL, 's' },
	{ "histories", required_argument, NULL, 'n' }, { "ops", required_argument, NULL, 'o' },
	{ "lives", required_argument, NULL, 'l' },     { "qemu", required_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },	       { NULL, 0, NULL, 0 },
};

static bool verbose;

/* Stands before base/log.c's: what engines say of the faults that we make is news only to who asks. */
void log_write(enum log_level level, const char *format, ...)
{
	va_list args;

	(void)level;
	if (!verbose)
		return;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

bool log_enabled(enum log_level level)
{
	(void)level;
	return verbose;
}

static char running[64]; /* for an assertion that fails */

static void on_abort(int signal)
{
	(void)signal;
	if (write(STDERR_FILENO, running, strlen(running)) < 0)
		_exit(1);
}

static int usage(void)
{
	fprintf(stderr, "usage: sim [--format raw|qcow2] [--seed N] [--histories N] [--ops N] [--lives N]\n"
			"           [--qemu PERCENT] [--verbose]\n");
	return 2;
}

static bool number(const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	*value = strtoull(text, &end, 10);
	return *text && !*end && *value <= max;
}

int main(int argc, char **argv)
{
	struct sim_options options = { .format = "qcow2", .ops = 60, .lives = 6 };
	uint64_t seed = 1, histories = 100, value = 0;
	struct sim_counts counts = { 0 };
	char dir[] = "/dev/shm/sanbootd-sim-XXXXXX", command[64];
	bool ok = true;
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (strchr("snolq", c) && !number(optarg, c == 's' || c == 'n' ? UINT64_MAX : 1000000, &value))
			return usage();
		switch (c) {
		case 'f':
			options.format = optarg;
			break;
		case 's':
			seed = value;
			break;
		case 'n':
			histories = value;
			break;
		case 'o':
			options.ops = (unsigned)value;
			break;
		case 'l':
			options.lives = (unsigned)value;
			break;
		case 'q':
			options.qemu = (unsigned)value;
			break;
		case 'v':
			options.verbose = verbose = true;
			break;
		default:
			return usage();
		}
	}
	if (optind < argc || !options.ops || !options.lives ||
	    (strcmp(options.format, "raw") && strcmp(options.format, "qcow2")))
		return usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mkdtemp(dir)) {
		perror(dir);
		return 1;
	}
	options.dir = dir;
	signal(SIGABRT, on_abort);
	for (uint64_t i = 0; i < histories && ok; i++) {
		snprintf(running, sizeof(running), "FAILED seed %" PRIu64 ": aborted\n", seed + i);
		ok = sim_run(&options, seed + i, &counts);
	}
	printf("%s: %" PRIu64 " requests, %" PRIu64 " kills, %" PRIu64 " power cuts, %" PRIu64 " closes, %" PRIu64
	       " opened as interrupted\n",
	       options.format, counts.requests, counts.kills, counts.cuts, counts.closes, counts.opens_interrupted);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) == 0 && ok ? 0 : 1;
}
