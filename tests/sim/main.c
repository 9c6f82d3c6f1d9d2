// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim [--format raw|qcow2] [--boot FILE] [--seed N] [--histories N] [--ops N] [--lives N] [--qemu PERCENT]
 *     [--progress] [--verbose]
 *
 * Runs histories with the seeds N, N + 1, ...; ends with 1 at the first in which something is wrong. That one alone
 * comes back with --seed THAT --histories 1 (and the same --boot, --ops and --lives). With --boot the requests are
 * those of a recorded boot (sim_trace.h), otherwise random ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "sim.h"
#include "sim_trace.h"

static const struct option long_options[] = {
	{ "format", required_argument, NULL, 'f' },    { "seed", required_argument, NULL, 's' },
	{ "histories", required_argument, NULL, 'n' }, { "ops", required_argument, NULL, 'o' },
	{ "lives", required_argument, NULL, 'l' },     { "qemu", required_argument, NULL, 'q' },
	{ "boot", required_argument, NULL, 'b' },      { "progress", no_argument, NULL, 'p' },
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

/* ---- files in memory, which nobody finds again afterwards ---- */

static char running[64]; /* for an assertion that fails */
static char dir[64];

/* Memory, where the machine has it as a file system. */
static const char *parent_dir(void)
{
	return access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/var/tmp";
}

/* What a history leaves, in so few calls that a signal handler may. */
static void empty_dir(const char *path)
{
	static const char *const names[] = { "disk",   "disk.raw", "golden", "layer1", "layer2",
					     "layer3", "layer4",   "layer5", "layer6", "layer7" };
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < sizeof(names) / sizeof(*names); i++)
		unlinkat(fd, names[i], 0);
	if (fd >= 0)
		close(fd);
	rmdir(path);
}

static void on_signal(int number)
{
	if (number == SIGABRT && write(STDERR_FILENO, running, strlen(running)) < 0)
		_exit(1);
	empty_dir(dir);
	signal(number, SIG_DFL);
	raise(number);
}

/* Also clears what one that was killed with -9 left behind: the names say whose they are. */
static bool make_dir(void)
{
	static const int numbers[] = { SIGABRT, SIGINT, SIGTERM, SIGHUP, SIGSEGV, SIGBUS };
	char pattern[64];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/sanbootd-sim-*", parent_dir());
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++) {
			int pid = atoi(strrchr(found.gl_pathv[i], '-') + 1);

			if (pid > 0 && kill(pid, 0) && errno == ESRCH)
				empty_dir(found.gl_pathv[i]);
		}
		globfree(&found);
	}
	snprintf(dir, sizeof(dir), "%s/sanbootd-sim-%d", parent_dir(), (int)getpid());
	empty_dir(dir);
	if (mkdir(dir, 0700)) {
		perror(dir);
		return false;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		signal(numbers[i], on_signal);
	return true;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: sim [--format raw|qcow2] [--boot FILE] [--seed N] [--histories N] [--ops N] [--lives N]\n"
		"           [--qemu PERCENT] [--progress] [--verbose]\n");
	return 2;
}

static bool number(const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	*value = strtoull(text, &end, 10);
	return *text && !*end && *value <= max;
}

static bool flags(int argc, char **argv, struct sim_options *options, struct sim_trace *trace, uint64_t *seed,
		  uint64_t *histories, bool *progress)
{
	uint64_t value = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (strchr("snolq", c) && !number(optarg, c == 's' || c == 'n' ? UINT64_MAX : 1000000, &value))
			return false;
		switch (c) {
		case 'f':
			options->format = optarg;
			break;
		case 's':
			*seed = value;
			break;
		case 'n':
			*histories = value;
			break;
		case 'o':
			options->ops = (unsigned)value;
			break;
		case 'l':
			options->lives = (unsigned)value;
			break;
		case 'q':
			options->qemu = (unsigned)value;
			break;
		case 'b':
			if (!sim_trace_read(optarg, trace))
				exit(2);
			options->trace = trace;
			break;
		case 'p':
			*progress = true;
			break;
		case 'v':
			options->verbose = verbose = true;
			break;
		default:
			return false;
		}
	}
	return optind == argc && options->ops && options->lives &&
	       (!strcmp(options->format, "raw") || !strcmp(options->format, "qcow2"));
}

int main(int argc, char **argv)
{
	struct sim_options options = { .format = "qcow2", .ops = 60, .lives = 6 };
	uint64_t seed = 1, histories = 100;
	struct sim_counts counts = { 0 };
	struct sim_trace trace = { .count = 0 };
	bool ok = true, progress = false;

	if (!flags(argc, argv, &options, &trace, &seed, &histories, &progress))
		return usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!make_dir())
		return 1;
	options.dir = dir;
	for (uint64_t i = 0; i < histories && ok; i++) {
		snprintf(running, sizeof(running), "FAILED seed %" PRIu64 ": aborted\n", seed + i);
		ok = sim_run(&options, seed + i, &counts);
		if (progress && (i + 1) % 1000 == 0)
			printf("%s: %" PRIu64 " of %" PRIu64 " histories\n", options.format, i + 1, histories);
	}
	printf("%s: %" PRIu64 " requests, %" PRIu64 " kills, %" PRIu64 " power cuts, %" PRIu64 " closes, %" PRIu64
	       " opened as interrupted\n",
	       options.format, counts.requests, counts.kills, counts.cuts, counts.closes, counts.opens_interrupted);
	empty_dir(dir);
	sim_trace_free(&trace);
	return ok ? 0 : 1;
}
