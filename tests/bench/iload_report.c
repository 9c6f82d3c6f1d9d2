// SPDX-License-Identifier: GPL-2.0-or-later
/* What iload reports: see iload.h. */
#include "iload.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* ---- histogram: 64 linear steps per power of two, 1.6 % ---- */
unsigned hidx(uint64_t v)
{
	if (v < 64)
		return v;
	int e = 63 - __builtin_clzll(v);
	unsigned i = 64 * (e - 5) + ((v >> (e - 6)) & 63);
	return i < NHIST ? i : NHIST - 1;
}

static double hval(unsigned i)
{
	if (i < 64)
		return i;
	int e = i / 64 + 5;
	return (double)((64ull + i % 64) << (e - 6)) + (1ull << (e - 6)) / 2.0;
}

static double pctl(const uint64_t *h, double q)
{
	uint64_t n = 0, c = 0;
	for (int i = 0; i < NHIST; i++)
		n += h[i];
	if (!n)
		return 0;
	uint64_t want = (uint64_t)(q * n);
	if (want >= n)
		want = n - 1;
	for (int i = 0; i < NHIST; i++)
		if ((c += h[i]) > want)
			return hval(i);
	return 0;
}

/* ---- CPU time and memory ---- */

/* Seconds that the threads of a process have run, to the nanosecond (/proc/PID/stat counts in steps of 10 ms). */
static double run_time(int pid)
{
	char path[300];
	struct dirent *entry;
	double sum = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		unsigned long long ns;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, entry->d_name);
		f = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%llu", &ns) == 1)
			sum += (double)ns / 1e9;
		fclose(f);
	}
	if (dir)
		closedir(dir);
	return sum;
}

void cpu_take(struct cpu *cpu)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	cpu->self = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
	for (int i = 0; i < opt.npid; i++)
		cpu->pid[i] = run_time(opt.pids[i]);
}

static double rss_mb(int pid)
{
	char path[64], line[256];
	double mb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmRSS:", 6))
			mb = atof(line + 6) / 1024;
	if (f)
		fclose(f);
	return mb;
}

/* ---- report: one JSON object on standard output ---- */

static double us(const struct op_stats *t, double q)
{
	double v = pctl(t->h, q);

	return (v > (double)t->max ? (double)t->max : v) / 1e3;
}

static void report_kind(int kind, double secs)
{
	const struct op_stats *t = &stats[kind];

	if (!t->n)
		return;
	printf(",\n \"%s\":{\"ops\":%llu,\"bytes\":%llu,\"iops\":%.1f,\"mbps\":%.2f,\"avg_us\":%.2f,\"p50_us\":%.2f,"
	       "\"p90_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f,\"max_us\":%.2f}",
	       kind_name[kind], (unsigned long long)t->n, (unsigned long long)t->bytes, (double)t->n / secs,
	       (double)t->bytes / 1e6 / secs, (double)t->sum / 1e3 / (double)t->n, us(t, .5), us(t, .9), us(t, .99),
	       us(t, .999), (double)t->max / 1e3);
}

static uint64_t report_errors(void)
{
	const struct {
		const char *name;
		uint64_t count;
	} all[] = {
		{ "login", errors.login },    { "transport", errors.transport }, { "status", errors.status },
		{ "busy", errors.busy },      { "residual", errors.residual },	 { "short", errors.shortdata },
		{ "protocol", errors.proto }, { "reject", errors.reject },	 { "digest", errors.digest },
		{ "verify", errors.verify },  { "unanswered", errors.stuck },	 { "trace", errors.badtrace },
	};

	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		sum += all[i].count;
		if (all[i].count)
			printf(",\"%s_errors\":%llu", all[i].name, (unsigned long long)all[i].count);
	}
	printf(",\"errors\":%llu", (unsigned long long)sum);
	return sum;
}

void report(double secs)
{
	double target = 0, rss = 0;
	uint64_t errs;

	for (int i = 0; i < opt.npid; i++) {
		target += cpu1.pid[i] - cpu0.pid[i];
		rss += rss_mb(opt.pids[i]);
	}
	printf("{\"sessions\":%d,\"depth\":%d,\"secs\":%.4f,\"login_ms_p50\":%.3f,\"login_ms_max\":%.3f,\"ready_ms\":%."
	       "2f",
	       opt.n, opt.q, secs, pctl(times[0], .5) / 1e6, pctl(times[0], 1) / 1e6, pctl(times[1], 1) / 1e6);
	for (int kind = 0; kind < NKIND; kind++)
		report_kind(kind, secs);
	if (opt.count || opt.trace)
		printf(",\n \"finish_ms_p50\":%.2f,\"finish_ms_p90\":%.2f,\"finish_ms_max\":%.2f",
		       pctl(times[2], .5) / 1e6, pctl(times[2], .9) / 1e6, pctl(times[2], 1) / 1e6);
	printf(",\n "
	       "\"generator_cpu_s\":%.6f,\"target_cpu_s\":%.6f,\"target_rss_mb\":%.1f,\"verified\":%llu,\"unchecked\":%"
	       "llu,"
	       "\"window_stalls\":%llu",
	       cpu1.self - cpu0.self, target, rss, (unsigned long long)errors.verified,
	       (unsigned long long)errors.unchecked, (unsigned long long)errors.winstall);
	errs = report_errors();
	printf("}\n");
	exit(errs ? 1 : 0);
}
