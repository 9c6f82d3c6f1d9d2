// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * iload: see iload.h. Here its options and its phases:
 *
 *	SETUP (all log in) ---> WARM (not counted) ---> RUN ---> DRAIN (what is under way) ---> LOGOUT ---> report
 *
 * Without the barrier (--no-barrier) each session begins as soon as it is ready, and SETUP counts as well: a boot storm.
 */
#include "iload.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull

const char *const kind_name[NKIND] = { "read", "write", "flush" };
struct options opt = {
	.initiator_format = "iqn.2026-01.test.iload:%04d",
	.port = "3260",
	.n = 1,
	.q = 32,
	.mix = 100,
	.loginpar = 32,
	.loops = 1,
	.barrier = 1,
	.trunc = 1,
	.imm = 1,
	.bs = 4096,
	.mrdsl = 262144,
	.mbl = 262144,
	.fbl = 65536,
	.maxr2t = 1,
	.tunit = 512,
	.rnd = true,
	.seed = 1,
	.secs = 10,
};
struct session *sessions;
struct error_counts errors;
struct op_stats stats[NKIND];
uint64_t times[3][NHIST];
struct cpu cpu0, cpu1;
int epoll_fd, phase, nready, ndead, nlogging, nextlogin, nfinished, nout;
uint64_t now, t_begin, t_ready, t_start, t_end, t_mark, next_due_all;
uint8_t *rxbuf, *payload;
const uint8_t *basemap;
uint64_t baselen;
bool basezero;
uint32_t maxop, rxmax = RXBUF;

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("iload: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

void gripe(const struct session *s, const char *format, ...)
{
	static int printed;
	va_list args;

	if (printed++ >= 20)
		return;
	va_start(args, format);
	fprintf(stderr, "iload: session %d (%s): ", s->id, s->target);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

uint64_t rnd64(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

void expand(char *out, size_t cap, const char *fmt, int v) /* one %d / %0Nd */
{
	const char *p = strchr(fmt, '%');
	int w = 0;
	if (!p) {
		snprintf(out, cap, "%s", fmt);
		return;
	}
	const char *e = p + 1;
	while (*e >= '0' && *e <= '9')
		w = w * 10 + *e++ - '0';
	if (*e != 'd' || w > 20)
		die("bad format '%s': want one %%d or %%0Nd", fmt);
	snprintf(out, cap, "%.*s%0*d%s", (int)(p - fmt), fmt, w ? w : 1, v, e + 1);
}

/* ---- options ---- */

static const char usage_text[] =
	"usage: iload -a HOST[:PORT] {-t IQN | --target-format 'IQN%03d' | --list FILE} [options]\n"
	" --list FILE: a session for each line TARGET INITIATOR [USER SECRET]\n"
	" -n SESSIONS  -q DEPTH  -b BYTES  -w randread|randwrite|read|write|randrw|rw  -m READ%  -l LUN\n"
	" -d SECONDS  -W WARMUP_S  -c OPS (per session)  --pass (the region once)  --rate IOPS (per session)\n"
	" --first N (number of the first target)  --initiator-format IQN%04d  --region LO:HI (bytes, k/m/g)  --partition\n"
	" --trace FILE (CSV OP,LBA,BLOCKS,FUA)  --trace-unit 512  --loops N\n"
	" --no-barrier (each session starts when it is ready)  --login-par N  --user NAME --secret SECRET (CHAP)\n"
	" --hdigest  --ddigest  --initial-r2t y|n  --imm y|n  --mrdsl N  --mbl N  --fbl N  --max-r2t N\n"
	" --fua  --sync EVERY (a flush after so many)  --verify  --base FILE|zero (what is not written reads so)  --seed N\n"
	" --pid PID (target's, repeatable)  --poll  --no-trunc (receive all data, rather than drop it in the kernel)\n"
	"Prints one JSON object.\n";

static void usage(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

static uint64_t size_of(const char *text)
{
	char *end;
	double d = strtod(text, &end);

	switch (*end | 32) {
	case 'k':
		d *= 1 << 10;
		break;
	case 'm':
		d *= 1 << 20;
		break;
	case 'g':
		d *= 1 << 30;
		break;
	}
	return (uint64_t)d;
}

static void take_pattern(const char *text)
{
	opt.rnd = !strncmp(text, "rand", 4);
	text += opt.rnd ? 4 : 0;
	if (!strcmp(text, "read"))
		opt.mix = 100;
	else if (!strcmp(text, "write"))
		opt.mix = 0;
	else if (!strcmp(text, "rw"))
		opt.mix = opt.mix == 100 ? 50 : opt.mix;
	else
		usage();
}

static void take_region(const char *text)
{
	const char *colon = strchr(text, ':');

	if (!colon)
		usage();
	opt.rlo = size_of(text);
	opt.rhi = size_of(colon + 1);
}

enum option_kind { TEXT, NUMBER, SIZE32, SIZE64, REAL, ON, OFF, YES, TRUE, PATTERN, REGION, PID };

static const struct option_row {
	const char *name;
	enum option_kind kind;
	void *at;
} option_rows[] = {
	{ "a", TEXT, &opt.host },
	{ "t", TEXT, &opt.target },
	{ "l", NUMBER, &opt.lun },
	{ "n", NUMBER, &opt.n },
	{ "q", NUMBER, &opt.q },
	{ "b", SIZE32, &opt.bs },
	{ "w", PATTERN, NULL },
	{ "m", NUMBER, &opt.mix },
	{ "d", REAL, &opt.secs },
	{ "W", REAL, &opt.warm },
	{ "c", SIZE64, &opt.count },
	{ "list", TEXT, &opt.list },
	{ "target-format", TEXT, &opt.target_format },
	{ "initiator-format", TEXT, &opt.initiator_format },
	{ "first", NUMBER, &opt.first },
	{ "region", REGION, NULL },
	{ "partition", ON, &opt.partition },
	{ "trace", TEXT, &opt.trace },
	{ "trace-unit", SIZE32, &opt.tunit },
	{ "loops", NUMBER, &opt.loops },
	{ "no-barrier", OFF, &opt.barrier },
	{ "login-par", NUMBER, &opt.loginpar },
	{ "user", TEXT, &opt.user },
	{ "secret", TEXT, &opt.secret },
	{ "hdigest", ON, &opt.hd },
	{ "ddigest", ON, &opt.dd },
	{ "initial-r2t", YES, &opt.ir2t },
	{ "imm", YES, &opt.imm },
	{ "mrdsl", SIZE32, &opt.mrdsl },
	{ "mbl", SIZE32, &opt.mbl },
	{ "fbl", SIZE32, &opt.fbl },
	{ "max-r2t", SIZE32, &opt.maxr2t },
	{ "fua", ON, &opt.fua },
	{ "sync", SIZE32, &opt.sync },
	{ "verify", ON, &opt.verify },
	{ "base", TEXT, &opt.base },
	{ "seed", SIZE64, &opt.seed },
	{ "pid", PID, NULL },
	{ "poll", ON, &opt.poll },
	{ "no-trunc", OFF, &opt.trunc },
	{ "pass", TRUE, &opt.pass },
	{ "rate", REAL, &opt.rate },
};

enum { OPTION_ROWS = sizeof(option_rows) / sizeof(option_rows[0]) };

static void take_option(const struct option_row *row, const char *value)
{
	switch (row->kind) {
	case TEXT:
		*(const char **)row->at = value;
		break;
	case NUMBER:
		*(int *)row->at = atoi(value);
		break;
	case SIZE32:
		*(uint32_t *)row->at = (uint32_t)size_of(value);
		break;
	case SIZE64:
		*(uint64_t *)row->at = size_of(value);
		break;
	case REAL:
		*(double *)row->at = atof(value);
		break;
	case ON:
	case OFF:
		*(int *)row->at = row->kind == ON;
		break;
	case YES:
		*(int *)row->at = value[0] == 'y';
		break;
	case TRUE:
		*(bool *)row->at = true;
		break;
	case PATTERN:
		take_pattern(value);
		break;
	case REGION:
		take_region(value);
		break;
	case PID:
		if (opt.npid == MAXPID)
			usage();
		opt.pids[opt.npid++] = atoi(value);
		break;
	}
}

static void take_options(int argc, char **argv)
{
	struct option options[OPTION_ROWS + 1] = { 0 };
	int c, row = 0;

	for (int i = 0; i < OPTION_ROWS; i++) {
		enum option_kind kind = option_rows[i].kind;

		options[i].name = option_rows[i].name;
		options[i].has_arg = kind != ON && kind != OFF && kind != TRUE;
	}
	while ((c = getopt_long_only(argc, argv, "", options, &row)) == 0)
		take_option(&option_rows[row], optarg);
	if (c != -1 || optind < argc)
		usage();
	if (opt.pass) {
		opt.rnd = false;
		opt.count = 1;
	}
	if (opt.base)
		opt.verify = 1;
	if (!opt.host || (!opt.target && !opt.target_format && !opt.list) || opt.n < 1 || opt.q < 1 || opt.q > 4096 ||
	    opt.bs < 512 || opt.loginpar < 1 || (opt.user && !opt.secret))
		usage();
}

static void split_address(void)
{
	char *host = strdup(opt.host), *p = strrchr(host, ':');

	if (p && (host[0] != '[' || p[-1] == ']')) {
		*p = 0;
		opt.port = p + 1;
	}
	if (host[0] == '[') {
		host++;
		host[strcspn(host, "]")] = 0;
	}
	opt.host = host;
}

/* ---- preparing ---- */

static void map_base(void)
{
	struct stat st;
	void *map;
	int fd;

	if (!opt.base)
		return;
	if (!strcmp(opt.base, "zero")) {
		basezero = true;
		return;
	}
	fd = open(opt.base, O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		die("%s: %s", opt.base, strerror(errno));
	baselen = (uint64_t)st.st_size;
	map = mmap(NULL, baselen, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	basemap = map;
}

static void name_session(struct session *s, FILE *list)
{
	char line[1024];

	expand(s->initiator, sizeof(s->initiator), opt.initiator_format, opt.first + s->id);
	if (opt.user) {
		snprintf(s->user, sizeof(s->user), "%s", opt.user);
		snprintf(s->secret, sizeof(s->secret), "%s", opt.secret);
	}
	if (!list) {
		expand(s->target, sizeof(s->target), opt.target ? opt.target : opt.target_format, opt.first + s->id);
		return;
	}
	if (!fgets(line, sizeof(line), list) ||
	    sscanf(line, "%255s %255s %63s %127s", s->target, s->initiator, s->user, s->secret) < 2)
		die("%s: no line for session %d", opt.list, s->id);
}

static void new_sessions(void)
{
	FILE *list = opt.list ? fopen(opt.list, "r") : NULL;
	struct trace *trace = opt.trace ? load_trace(opt.trace) : NULL;

	if (opt.list && !list)
		die("%s: %s", opt.list, strerror(errno));
	sessions = calloc((size_t)opt.n, sizeof(*sessions));
	if (!sessions)
		die("out of memory");
	for (int i = 0; i < opt.n; i++) {
		struct session *s = &sessions[i];

		s->id = i;
		s->fd = -1;
		s->slots = calloc((size_t)opt.q, sizeof(*s->slots));
		if (!s->slots)
			die("out of memory");
		s->rng = opt.seed * 0x9e3779b97f4a7c15ull + (uint64_t)i * 0xd1342543de82ef95ull;
		s->isid[0] = 0x80;
		p24(s->isid + 1, (uint32_t)getpid());
		p16(s->isid + 4, (uint32_t)i);
		s->tr = trace;
		name_session(s, list);
	}
	if (list)
		fclose(list);
}

static void new_buffers(void)
{
	uint64_t seed = opt.seed;

	rxbuf = malloc(RXBUF > opt.mrdsl ? RXBUF : opt.mrdsl);
	payload = malloc(maxop);
	if (!rxbuf || !payload)
		die("out of memory");
	for (uint32_t i = 0; i + 8 <= maxop; i += 8) {
		uint64_t v = rnd64(&seed);

		memcpy(payload + i, &v, 8);
	}
	if (opt.verify || opt.dd)
		opt.trunc = 0;
	if (opt.trunc && maxop >= 16384)
		rxmax = 4096; /* leave the bulk of the data to MSG_TRUNC */
}

/* ---- phases ---- */

static bool is_timed(void)
{
	return !opt.count && !opt.trace;
}

static void begin_run(void)
{
	phase = G_RUN;
	t_start = now;
	t_end = is_timed() ? now + (uint64_t)(opt.secs * 1e9) : 0;
	cpu_take(&cpu0);
	if (opt.rate > 0)
		for (int i = 0; i < opt.n; i++)
			sessions[i].issued = sessions[i].next_due = 0;
}

static void end_setup(void)
{
	if (nready + ndead < opt.n) {
		if (now - t_ready > 60 * SECOND)
			die("%d of %d sessions got ready, and no further one for 60 s", nready, opt.n);
		return;
	}
	if (!opt.barrier) {
		phase = G_RUN;
		t_end = is_timed() ? t_start + (uint64_t)(opt.secs * 1e9) : 0;
	} else if (opt.warm > 0) {
		phase = G_WARM;
		t_end = now + (uint64_t)(opt.warm * 1e9);
	} else {
		begin_run();
	}
	for (int i = 0; i < opt.n; i++)
		pump(&sessions[i]);
}

static void end_run(void)
{
	phase = G_DRAIN;
	cpu_take(&cpu1);
	if (is_timed() || !t_mark)
		t_mark = now;
	t_end = now;
}

static void end_drain(void)
{
	if (nout && now - t_end < 15 * SECOND)
		return;
	if (nout) {
		errors.stuck += (uint64_t)nout;
		fprintf(stderr, "iload: %d command(s) never answered\n", nout);
	}
	phase = G_LOGOUT;
	nout = 0;
	t_end = now;
	for (int i = 0; i < opt.n; i++) {
		struct session *s = &sessions[i];
		uint8_t h[BHS] = { 0x46, 0x80 };

		if (s->state != S_READY)
			continue;
		p32(h + 16, 0xfffe0000u);
		p32(h + 24, s->cmdsn);
		p32(h + 28, s->expstatsn);
		s->state = S_LOGOUT;
		nout++;
		push(s, h, NULL, 0);
		flush_out(s);
	}
}

static void next_phase(void)
{
	switch (phase) {
	case G_SETUP:
		end_setup();
		break;
	case G_WARM:
		if (now >= t_end || nfinished == opt.n)
			begin_run();
		break;
	case G_RUN:
		if ((t_end && now >= t_end) || nfinished == opt.n)
			end_run();
		break;
	case G_DRAIN:
		end_drain();
		break;
	case G_LOGOUT:
		if (nout > 0 && now - t_end < 5 * SECOND)
			break;
		if (nout > 0)
			fprintf(stderr, "iload: %d logout(s) not answered\n", nout);
		report((double)(t_mark - t_start) / 1e9);
	}
}

static void wait_events(void)
{
	uint64_t until = now + SECOND / 10, wait;
	struct epoll_event events[64];
	struct timespec ts;
	int n;

	if (next_due_all < until)
		until = next_due_all;
	if ((phase == G_RUN || phase == G_WARM) && t_end && t_end < until)
		until = t_end;
	wait = opt.poll || until <= now ? 0 : until - now;
	ts = (struct timespec){ (time_t)(wait / SECOND), (long)(wait % SECOND) };
	n = epoll_pwait2(epoll_fd, events, 64, &ts, NULL);
	now = clock_ns();
	for (int i = 0; i < n; i++) {
		struct session *s = events[i].data.ptr;

		if (s->state == S_DEAD)
			continue;
		if (s->state == S_CONNECT) {
			start_login(s);
			continue;
		}
		if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			do_recv(s);
		if (s->state != S_DEAD && events[i].events & EPOLLOUT)
			flush_out(s);
	}
}

static void run(void)
{
	for (;;) {
		wait_events();
		if (now >= next_due_all) {
			next_due_all = UINT64_MAX;
			for (int i = 0; i < opt.n; i++)
				if (sessions[i].have_next)
					pump(&sessions[i]);
		}
		if (nextlogin < opt.n)
			connect_next();
		if (ndead == opt.n) {
			cpu_take(&cpu1);
			report((double)(now - t_start) / 1e9);
		}
		next_phase();
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;

	take_options(argc, argv);
	split_address();
	crc_init();
	maxop = opt.bs;
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	map_base();
	new_sessions();
	new_buffers();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		die("epoll: %s", strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	t_begin = t_ready = t_start = now = clock_ns();
	next_due_all = UINT64_MAX;
	cpu_take(&cpu0);
	connect_next();
	run();
}
